# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where things lie.

From make's own arguments, or from where the user stands: the source tree, the
object tree, the module and the module's output folder. Nothing here knows what
a rule is.

The layouts, and what tells them apart:

* in-source: ``Makefile`` names ``VERSION``/``PATCHLEVEL``, objects are beside the sources
* ``O=``: the object tree's own ``Makefile`` says ``include SRCTREE/Makefile``, and ``source`` links there
* installed headers (``/lib/modules/…/build``): the same, but the sources it includes were never shipped
* external module: any folder whose ``Kbuild`` or ``Makefile`` has ``obj-m``; ``MO=`` builds it elsewhere

Source: linux ``Makefile`` (the lines between ``KBUILD_EXTMOD`` and ``sub_make_done``),
``Documentation/kbuild/modules.rst``.
"""

from __future__ import annotations

import os
import re
import stat

from kdeps import NamedTuple
from kdeps.formats.makeargs import MakeArgs
from kdeps.kbuild.kernel_makefile import read_text
from kdeps.kbuild.normal_make import named_module_output, named_output, normalise
from kdeps.kbuild.suggest import did_you_mean
from kdeps.system.errors import NotConfigured, Unreadable, UsageError
from kdeps.system.files import open_to_read

_CHOSEN_BY_ENVIRONMENT = ("KBUILD_OUTPUT", "ARCH", "CROSS_COMPILE", "LLVM")
_UTS_RELEASE = re.compile(r'^#define UTS_RELEASE "([^"\n]*)"', re.MULTILINE)
_MACHINES = {
    "x86_64": "x86", "i386": "x86", "i686": "x86", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv",
    "ppc64le": "powerpc", "ppc64": "powerpc", "s390x": "s390", "loongarch64": "loongarch",
}  # fmt: skip


CORE_SOURCES = ("init/main.c", "rust/kernel/lib.rs", "rust/kernel/device.rs", "rust/kernel/io.rs")
"""Sources of a kernel. A package of headers has none of them; a tree that lost one still has the others."""


class Tree(NamedTuple):
    """Where one build lies. All paths are absolute and without a slash at the end."""

    srctree: str
    objtree: str
    module: str | None
    """The module's source folder (``M=``); None if this is not a module build."""
    module_output: str | None
    """Where its objects and records lie (``MO=``, else the module folder)."""
    version: tuple[int, int]
    """Kernel version and patchlevel; Kbuild's behaviour depends on it."""
    release: str
    """``include/config/kernel.release``; empty where it is missing."""
    srcarch: str
    """The folder under ``arch/``."""
    prebuilt: bool
    """Installed headers: the core's sources were never shipped, nothing can be rebuilt."""
    args: MakeArgs
    make_directory: str
    """Where make has to stand for ``args`` to mean what they say."""
    inherited: tuple[str, ...] = ()
    """What the environment chooses and ``args`` do not: another terminal would not know it."""
    guessed: bool = False
    """Nothing names the kernel: it is the running one's."""
    makefiles: tuple[str, ...] = ()
    """The user's own Makefiles that lead to these trees."""
    steady: bool = True
    """The same arguments lead to these trees as long as those Makefiles stay as they are."""

    @property
    def given_module(self) -> str:
        """The module as the user names it; empty without one."""
        return self.args.variables.get("M") or self.module or ""

    @property
    def module_records_base(self) -> str:
        """The folder that names in the module's records are relative to (6.12 and before: the object tree)."""
        if self.module_output is None or self.version < (6, 13):
            return self.objtree
        return self.module_output


def find_tree(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Tree:
    """Find the trees that make would work on, called with these words in the folder where the user stands.

    Raises:
        NoTree: No kernel tree there, or one that is not configured.
        UsageError: ``M=`` names no folder, or several; an option lacks its value.
        Unreadable: A Makefile on the way cannot be read.
    """
    make = normalise(words, cwd, environ)
    stand, makefile, variables = make.directory, make.makefile, make.args.variables
    settings = {**{k: environ[k] for k in ("KBUILD_OUTPUT",) if k in environ}, **makefile.settings}
    output = named_output(variables) or settings.get("KBUILD_OUTPUT") or ""
    objtree = os.path.realpath(
        os.path.join(stand, output) if output else (stand if makefile.settings else makefile.srctree)
    )
    srctree = os.path.realpath(makefile.srctree)
    # First of all, because this names a folder that may not be read; later ones would call its files missing.
    release = read_text(os.path.join(objtree, "include/config/kernel.release"), missing="", limit=256).strip()
    version = makefile.version
    module = make.module or settings.get("KBUILD_EXTMOD")
    module_path = output_path = None
    if module:
        module_path = _existing_folder(module, stand if version >= (6, 13) else objtree, version)
        _require_module(module, module_path, srctree, objtree)
        mo = named_module_output(variables, environ) or settings.get("KBUILD_EXTMOD_OUTPUT")
        output_path = os.path.realpath(os.path.join(stand, mo)) if mo and version >= (6, 13) else module_path
    _require_configured(objtree, srctree, output)
    return Tree(
        srctree=srctree,
        objtree=objtree,
        module=module_path,
        module_output=output_path,
        version=version,
        release=release,
        srcarch=_find_srcarch(make.args, environ, objtree),
        prebuilt=not any(os.path.exists(f"{srctree}/{name}") for name in CORE_SOURCES),
        args=make.args,
        # In the folder of MO= every make is one of the module.
        make_directory=objtree if "KBUILD_EXTMOD" in makefile.settings else stand,
        inherited=tuple(
            f"{name}={environ[name]}"
            for name in _CHOSEN_BY_ENVIRONMENT
            if environ.get(name)
            and name not in variables
            and not (name == "KBUILD_OUTPUT" and "O" in variables)
        ),
        guessed=make.guessed,
        makefiles=make.makefiles,
        steady=make.steady,
    )


def read_vermagic_release(tree: Tree) -> str:
    """Return the release that modules of this tree are for; empty if no file has it.

    The compiler takes it from ``utsrelease.h``. In the headers of Debian 12 that is ``6.1.0-57-cloud-amd64``,
    while ``kernel.release`` has ``6.1.192``.

    Source: linux ``include/linux/vermagic.h``.
    """
    text = read_text(os.path.join(tree.objtree, "include/generated/utsrelease.h"), missing="", limit=4096)
    found = _UTS_RELEASE.search(text)
    return found[1] if found else tree.release


def module_argument(tree: Tree, folder: str) -> str:
    """What to give ``M=`` for a module's folder: as short as this kernel understands it."""
    if tree.version >= (6, 13) and folder.startswith(tree.make_directory + "/"):
        return folder[len(tree.make_directory) + 1 :]
    return folder


def _existing_folder(module: str, base: str, version: tuple[int, int]) -> str:
    path = os.path.join(base, module)
    if os.path.isdir(path):
        return os.path.realpath(path)
    hint = "" if version >= (6, 13) else f" (before 6.13 a relative M= is taken from the object tree, {base})"
    if os.path.isfile(path):
        hint += f"; did you mean `M={os.path.dirname(module) or '.'}`?"
    else:
        hint += did_you_mean("M", module, path)
    raise UsageError(f"{path}: M= names no folder{hint}")


def _require_module(module: str, path: str, srctree: str, objtree: str) -> None:
    """Raise for a folder that is the kernel itself, or its core: neither is a module."""
    if path in (srctree, objtree):
        raise UsageError(
            f"M={module}: this is the kernel's own tree and no module; name the module's folder, or leave M= away"
        )
    if path == f"{srctree}/rust" or path.startswith(f"{srctree}/rust/"):
        raise UsageError(f"M={module}: rust/ is the kernel's core and no module; leave M= away to judge it")


def _require_configured(objtree: str, srctree: str, output: str) -> None:
    if not os.path.isdir(objtree):
        hint = did_you_mean("O", output, objtree)
        raise NotConfigured(f"{objtree}: no such object tree (O= or KBUILD_OUTPUT names it){hint}")
    auto_conf = os.path.join(objtree, "include/config/auto.conf")
    if os.path.exists(auto_conf):
        if _size_of_file(auto_conf) == 0:
            raise NotConfigured(f"{auto_conf}: empty; delete it and run `make modules_prepare`")
        if os.path.exists(f"{auto_conf}.cmd"):
            _size_of_file(f"{auto_conf}.cmd")
        return
    if os.path.exists(os.path.join(objtree, ".config")):
        raise NotConfigured(
            f"{objtree}/include/config/auto.conf: missing, M= builds stop there; run the same make with the goal modules_prepare instead of M="
        )
    hint = "" if output or objtree != srctree else "; built elsewhere? name it with O=DIR"
    raise NotConfigured(f"{objtree}: no .config, so nothing was ever built here{hint}")


def _size_of_file(path: str) -> int:
    """The size of a file that the answer depends on.

    Raises Unreadable: it is not a file, or not one that we may read.
    """
    try:
        with open_to_read(path) as file:
            found = os.fstat(file.fileno())
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"{path}: not a file; delete it and run `make modules_prepare`")
    return found.st_size


def machine_arch(srctree: str) -> str | None:
    """Return the ARCH that make takes by default; None if it is unknown, or not in this tree.

    Source: linux ``scripts/subarch.include``.
    """
    found = _MACHINES.get(os.uname().machine)
    return found if found and os.path.isdir(f"{srctree}/arch/{found}") else None


def _find_srcarch(args: MakeArgs, environ: dict[str, str], objtree: str) -> str:
    """The folder under arch/: what the configuration was made for, else ARCH, else this machine."""
    text = read_text(os.path.join(objtree, "include/config/auto.conf.cmd"), missing="")
    recorded = re.search(r'^ifneq "\$\(SRCARCH\)" "(\w+)"', text, re.MULTILINE)
    if recorded:
        return recorded[1]
    arch = args.variables.get("ARCH") or environ.get("ARCH") or os.uname().machine
    return _MACHINES.get(arch, arch)


def roots_of(trees: tuple[Tree, ...]) -> tuple[str, ...]:
    """The folders below which files may be read."""
    folders = {f for t in trees for f in (t.srctree, t.objtree, t.module, t.module_output) if f}
    return tuple(sorted(folders))


def find_moved(paths: list[str], tree: Tree) -> str:
    """Find the tree that has a file under the end of a path that is gone; "" if none has it."""
    for path in paths:
        parts = path.strip("/").split("/")
        for at in range(1, len(parts) - 1):
            end = "/".join(parts[at:])
            for folder in dict.fromkeys((tree.srctree, tree.objtree)):
                if os.path.lexists(f"{folder}/{end}"):
                    return folder
    return ""
