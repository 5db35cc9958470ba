# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 1: where things lie.

From make's own arguments, or from where the user stands: the source tree, the
object tree, the module and the module's output folder. Nothing here knows what
a rule is.

The layouts, and what tells them apart:

* in-source: ``Makefile`` names ``VERSION``/``PATCHLEVEL``, objects lie beside the sources
* ``O=``: the object tree's own ``Makefile`` says ``include SRCTREE/Makefile``, and ``source`` links there
* installed headers (``/lib/modules/…/build``): the same, but the sources it includes were never shipped
* ``make -f KERNEL/Makefile M=…`` in any folder: from 6.13 on the module is built into that folder, as by ``MO=``
* external module: any folder whose ``Kbuild`` or ``Makefile`` has ``obj-m``; ``MO=`` builds it elsewhere

Source: linux ``Makefile`` (the lines between ``KBUILD_EXTMOD`` and ``sub_make_done``),
``Documentation/kbuild/modules.rst``.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from kdeps.errors import NoTree, Unreadable, UsageError
from kdeps.formats.kconfig import parse_value
from kdeps.formats.words import BLANKS, split_words
from kdeps.makeargs import MakeArgs, parse_make_args, without_place, working_directory
from kdeps.makeenv import inherited_words

_KDIR_NAMES = ("KDIR", "KERNEL_SRC", "KERNELDIR", "KSRC", "KERNEL_DIR")
_MODULE_FOLDERS = frozenset(("M", "KBUILD_EXTMOD", "MO", "KBUILD_EXTMOD_OUTPUT"))
_FOLDERS = _MODULE_FOLDERS | {"O", "KBUILD_OUTPUT"}
_CHOSEN_BY_ENVIRONMENT = ("KBUILD_OUTPUT", "ARCH", "CROSS_COMPILE", "LLVM")
_VERSION = re.compile(r"^(VERSION|PATCHLEVEL)\s*=\s*(\d+)\s*$", re.MULTILINE)
_INCLUDE = re.compile(r"^include\s+(\S+)/Makefile\s*$", re.MULTILINE)
_SETTING = re.compile(r"^(?:export\s+|override\s+)*(KBUILD_\w+)\s*:?=\s*(\S+)\s*$", re.MULTILINE)
_OBJECTS = re.compile(r"^[^#\n]*\bobj-(?:m|y|\$[({])", re.MULTILINE)
_RELEASE = re.compile(r"(\d+)\.(\d+)")
_MACHINES = {
    "x86_64": "x86", "i386": "x86", "i686": "x86", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv",
    "ppc64le": "powerpc", "ppc64": "powerpc", "s390x": "s390", "loongarch64": "loongarch",
}  # fmt: skip


class Tree(NamedTuple):
    """Where one build lies. All paths are absolute and without a slash at the end."""

    srctree: str
    objtree: str
    module: str | None
    """The module's source folder (``M=``); ``None``: not a module build."""
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

    @property
    def module_records_base(self) -> str:
        """The folder that names in the module's records are relative to (6.12 and before: the object tree)."""
        if self.module_output is None or self.version < (6, 13):
            return self.objtree
        return self.module_output

    @property
    def config_base(self) -> str:
        """The folder in which ``$(wildcard include/config/…)`` of the *module's* records looks.

        From 6.13 on make stands in the module's output, so the wildcards never match.
        """
        return self.module_records_base


class _Makefile(NamedTuple):
    """What one folder's Makefile makes of the folder."""

    srctree: str
    version: tuple[int, int]
    settings: dict[str, str]


def find_tree(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Tree:
    """Find the trees that make would work on.

    Args:
        words: make's arguments, verbatim.
        cwd: The folder the user stands in, absolute.
        environ: The environment make would get.

    Raises:
        NoTree: No kernel tree there, or one that is not configured.
        UsageError: ``M=`` names no folder, or several; an option lacks its value.
        Unreadable: A Makefile on the way cannot be read.
    """
    args = parse_make_args((*inherited_words(words, environ), *words))
    if args.incomplete:
        raise UsageError(f"{args.incomplete}: make wants a value behind it")
    start = working_directory(args, cwd)
    try:
        os.stat(f"{start}/.")
    except OSError as error:
        raise NoTree(f"{start}: {error.strerror}; make -C would fail there") from error
    module = _named_module(args, environ)
    found = _read_makefile(start)
    named = _find_named_makefile(args, start)
    if named is not None:
        found, args = named[1], _as_called_there(args, environ, start, *named)
        start, module = named[0], _named_module(args, environ)
    stand = start
    if found is None:
        stand, found, module = _find_kernel(start, args, environ, module)
        if start.startswith(stand + "/"):
            args = _as_called_in(args, start, stand, module)
        else:
            args = parse_make_args(_spelled_out(args.words, start, _MODULE_FOLDERS))
    variables = args.variables
    settings = {**{k: environ[k] for k in ("KBUILD_OUTPUT",) if k in environ}, **found.settings}
    output = _named_output(variables) or settings.get("KBUILD_OUTPUT") or ""
    objtree = _real(os.path.join(stand, output)) if output else (stand if found.settings else found.srctree)
    objtree = _real(objtree)
    srctree = _real(found.srctree)
    release = _read_text(os.path.join(objtree, "include/config/kernel.release"), missing="").strip()
    version = found.version
    if module is None:
        module = settings.get("KBUILD_EXTMOD")
    module_path = output_path = None
    if module:
        base = stand if version >= (6, 13) else objtree
        module_path = _existing_folder(module, base, version)
        mo = _named_module_output(variables, environ) or settings.get("KBUILD_EXTMOD_OUTPUT")
        output_path = _real(os.path.join(stand, mo)) if mo and version >= (6, 13) else module_path
    _require_configured(objtree, srctree, output)
    return Tree(
        srctree=srctree,
        objtree=objtree,
        module=module_path,
        module_output=output_path,
        version=version,
        release=release,
        srcarch=_find_srcarch(args, environ, objtree),
        prebuilt=not any(
            os.path.exists(os.path.join(srctree, f)) for f in ("rust/kernel/lib.rs", "init/main.c")
        ),
        args=args,
        make_directory=stand,
        inherited=tuple(
            f"{name}={environ[name]}"
            for name in _CHOSEN_BY_ENVIRONMENT
            if environ.get(name)
            and name not in variables
            and not (name == "KBUILD_OUTPUT" and "O" in variables)
        ),
    )


def module_argument(tree: Tree, folder: str) -> str:
    """What to give ``M=`` for a module's folder: as short as this kernel understands it."""
    if tree.version >= (6, 13) and folder.startswith(tree.make_directory + "/"):
        return folder[len(tree.make_directory) + 1 :]
    return folder


def _as_called_in(args: MakeArgs, start: str, stand: str, module: str | None) -> MakeArgs:
    """Rewrite the arguments of a user who stands below the kernel tree as make would need them.

    Nobody can call make there, so they mean what they say seen from where the user stands.
    """
    words = ["-C", stand, *_spelled_out(without_place(args.words), start, _FOLDERS)]
    if module is not None and not {"M", "KBUILD_EXTMOD"} & args.variables.keys():
        words.append(f"M={os.path.relpath(module, stand)}")
    return parse_make_args(tuple(words))


def _find_named_makefile(args: MakeArgs, start: str) -> tuple[str, _Makefile] | None:
    """Find the kernel whose Makefile ``-f`` names, where that is not the one that make would read anyway."""
    if not args.files:
        return None
    kernel = os.path.normpath(os.path.join(start, os.path.dirname(args.files[-1])))
    found = _read_makefile(kernel)
    return None if found is None or _real(kernel) == _real(start) else (kernel, found)


def _as_called_there(
    args: MakeArgs, environ: dict[str, str], start: str, kernel: str, found: _Makefile
) -> MakeArgs:
    """Rewrite ``make -f KERNEL/Makefile`` as the ``make -C KERNEL`` that does the same.

    What the top Makefile does not find named it takes to be the folder where make stands: the
    module's output, or, before 6.13 and without a module, the object tree.
    """
    words = ["-C", kernel, *_spelled_out(without_place(args.words), start, _FOLDERS)]
    variables = args.variables
    output = _named_output(variables) or found.settings.get("KBUILD_OUTPUT", "")
    if not output and environ.get("KBUILD_OUTPUT"):
        output = os.path.join(start, environ["KBUILD_OUTPUT"])
        words.append(f"O={output}")
    module = _named_module(args, environ)
    if module is None or found.version < (6, 13):
        return parse_make_args((*words, *(() if output else (f"O={start}",))))
    objtree = os.path.join(start, output) if output else found.srctree
    stands_there = _real(start) in (_real(objtree), _real(found.srctree))
    stands_there = stands_there or _real(start) == _real(os.path.join(start, module))
    if not stands_there and not _named_module_output(variables, environ):
        words.append(f"MO={start}")
    return parse_make_args(tuple(words))


def _spelled_out(words: tuple[str, ...], start: str, names: frozenset[str]) -> tuple[str, ...]:
    """make's words with some folders absolute, so that they mean the same wherever make stands."""
    parts = (word.partition("=") for word in words)
    return tuple(
        f"{name}={os.path.normpath(os.path.join(start, value))}"
        if name in names and value
        else f"{name}{equals}{value}"
        for name, equals, value in parts
    )


def builds_objects(folder: str) -> bool:
    """Tell whether a folder's Kbuild or Makefile has ``obj-…`` lines: whether ``M=`` would build anything."""
    for name in ("Kbuild", "Makefile"):
        text = _read_text(os.path.join(folder, name), missing="")
        if text:
            return _OBJECTS.search(text) is not None  # Kbuild wins over Makefile, as in Makefile.build
    return False


def holds_rust(folder: str) -> bool:
    """Tell whether there is Rust in a module's folder, or below it, built or not."""
    for _, folders, files in os.walk(folder):
        if any(name.endswith(".rs") for name in files):
            return True
        folders[:] = [name for name in folders if not name.startswith(".")]
    return False


def read_object_names(tree: Tree) -> set[str]:
    """The objects that the Kbuild or Makefile of a module's folder spells out, but for what is not configured."""
    for name in ("Kbuild", "Makefile"):
        text = _read_text(f"{tree.module}/{name}", missing="")
        if text:
            break
    configuration = _read_text(f"{tree.objtree}/include/config/auto.conf", missing="")
    lines = re.sub(r"#.*", "", text).replace("\\\n", " ").split("\n")
    own = {found[1] for line in lines if (found := re.match(r"\s*(?:export\s+)?CONFIG_(\w+)\s*[:?]?=", line))}
    names: set[str] = set()
    for line in lines:
        symbol = re.match(r"[^=]*-\$[({]CONFIG_(\w+)[)}]\s*[:+?]?=", line)
        if symbol is None or symbol[1] in own or _is_set(symbol[1], tree.args, configuration):
            names.update(re.findall(r"[\w.-]+\.o\b", line))
    return names


def _is_set(symbol: str, args: MakeArgs, configuration: str) -> bool:
    value = args.variables.get(f"CONFIG_{symbol}")
    return (parse_value(configuration, symbol) if value is None else value) in ("y", "m")


def _named_output(variables: dict[str, str]) -> str:
    """The object tree as the command line names it; the Makefile's ``KBUILD_OUTPUT := $(O)`` loses against it."""
    return variables.get("KBUILD_OUTPUT") or variables.get("O") or ""


def _named_module_output(variables: dict[str, str], environ: dict[str, str]) -> str:
    """The module's output folder as the user names it."""
    return (
        variables.get("KBUILD_EXTMOD_OUTPUT")
        or variables.get("MO")
        or environ.get("KBUILD_EXTMOD_OUTPUT")
        or ""
    )


def _named_module(args: MakeArgs, environ: dict[str, str]) -> str | None:
    """The module as the user names it: ``M=`` on the command line, else ``KBUILD_EXTMOD``."""
    module = args.variables.get("M", args.variables.get("KBUILD_EXTMOD", environ.get("KBUILD_EXTMOD", "")))
    module = module.strip(BLANKS)
    if len(split_words(module)) > 1:
        raise UsageError(f"M={module}: make builds one external module folder at a time")
    return module.rstrip("/") or ("/" if module else None)


def _existing_folder(module: str, base: str, version: tuple[int, int]) -> str:
    path = os.path.join(base, module)
    if os.path.isdir(path):
        return _real(path)
    hint = "" if version >= (6, 13) else f" (before 6.13 a relative M= is taken from the object tree, {base})"
    raise UsageError(f"{path}: M= names no folder{hint}")


def _find_kernel(
    start: str, args: MakeArgs, environ: dict[str, str], module: str | None
) -> tuple[str, _Makefile, str | None]:
    """Find the kernel for a user who does not stand in it."""
    named = next(
        (
            args.variables.get(n) or environ.get(n)
            for n in _KDIR_NAMES
            if args.variables.get(n) or environ.get(n)
        ),
        None,
    )
    is_module = builds_objects(start)
    if module is None and is_module:
        module = start
    elif module is not None:
        module = os.path.join(start, module)
    if named:
        stand = os.path.normpath(os.path.join(start, named))
        found = _read_makefile(stand)
        if found is None:
            raise NoTree(
                f"{stand}: not a kernel tree (KDIR=/KERNEL_SRC= names it); it has no kernel Makefile"
            )
        return stand, found, module
    above = start
    while above != os.path.dirname(above):
        above = os.path.dirname(above)
        found = _read_makefile(above)
        if found is not None and os.path.isdir(os.path.join(above, "scripts")):
            return above, found, None if module == start and not _is_module_folder(start) else module
    if is_module:
        stand = f"/lib/modules/{os.uname().release}/build"
        found = _read_makefile(stand)
        if found is not None:
            return os.path.realpath(stand), found, module
        raise NoTree(f"{stand}: no kernel there to build {start} against; name one with KDIR=DIR or -C DIR")
    raise NoTree(f"{start}: not a kernel tree and not a module folder; go to one, or name it with -C DIR")


def _is_module_folder(folder: str) -> bool:
    """Whether a folder below the kernel tree is one that people build with ``M=``.

    Nearly every folder there has an ``obj-`` line; a module build left its list
    behind, or there is Rust to build. rust/ itself is the core, never a module.
    """
    above = folder
    while above != os.path.dirname(above):
        if os.path.basename(above) == "rust" and os.path.exists(f"{os.path.dirname(above)}/Kconfig"):
            return False
        above = os.path.dirname(above)
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return "modules.order" in names or any(name.endswith(".rs") for name in names)


def is_kernel_makefile(path: str) -> bool:
    """Tell whether a Makefile is the one at the top of a kernel's source or object tree."""
    return os.path.basename(path) == "Makefile" and _read_makefile(os.path.dirname(path)) is not None


def _read_makefile(folder: str) -> _Makefile | None:
    """Tell whether a folder is a kernel's source or object tree; ``None``: neither."""
    settings: dict[str, str] = {}
    here = folder
    for _ in range(3):  # object tree → (Debian: flavour → common) → source
        text = _read_text(os.path.join(here, "Makefile"), missing="", limit=1 << 18)
        numbers = {name: int(value) for name, value in _VERSION.findall(text[:4096])}
        if len(numbers) == 2:
            return _Makefile(here, (numbers["VERSION"], numbers["PATCHLEVEL"]), settings)
        included = _INCLUDE.search(text)
        if included is None:
            return None
        for name, value in _SETTING.findall(text):
            settings.setdefault(name, os.path.join(here, value))
        settings.setdefault("KBUILD_OUTPUT", here)
        here = os.path.join(here, included[1])
    return None


def _require_configured(objtree: str, srctree: str, output: str) -> None:
    if not os.path.isdir(objtree):
        raise NoTree(f"{objtree}: no such object tree (O= or KBUILD_OUTPUT names it)")
    auto_conf = os.path.join(objtree, "include/config/auto.conf")
    if os.path.exists(auto_conf):
        if _size_of_file(auto_conf) == 0:
            raise NoTree(f"{auto_conf}: empty; delete it and run `make modules_prepare`")
        if os.path.exists(f"{auto_conf}.cmd"):
            _size_of_file(f"{auto_conf}.cmd")
        return
    if os.path.exists(os.path.join(objtree, ".config")):
        raise NoTree(
            f"{objtree}/include/config/auto.conf: missing, M= builds stop there; run the same make with the goal modules_prepare instead of M="
        )
    hint = "" if output or objtree != srctree else "; built elsewhere? name it with O=DIR"
    raise NoTree(f"{objtree}: no .config, so nothing was ever built here{hint}")


def _size_of_file(path: str) -> int:
    """The size of a file that the answer depends on.

    Raises:
        Unreadable: It is not a file, or not one that we may read.
    """
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            found = os.fstat(file.fileno())
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"{path}: not a file; delete it and run `make modules_prepare`")
    return found.st_size


def machine_arch(srctree: str) -> str | None:
    """What make takes for ARCH where nobody names one; ``None``: not known, or not there.

    Source: linux ``scripts/subarch.include``.
    """
    found = _MACHINES.get(os.uname().machine)
    return found if found and os.path.isdir(f"{srctree}/arch/{found}") else None


def _find_srcarch(args: MakeArgs, environ: dict[str, str], objtree: str) -> str:
    """The folder under arch/: what the configuration was made for, else ARCH, else this machine."""
    text = _read_text(os.path.join(objtree, "include/config/auto.conf.cmd"), missing="")
    recorded = re.search(r'^ifneq "\$\(SRCARCH\)" "(\w+)"', text, re.MULTILINE)
    if recorded:
        return recorded[1]
    arch = args.variables.get("ARCH") or environ.get("ARCH") or os.uname().machine
    return _MACHINES.get(arch, arch)


def open_nonblocking(path: str, flags: int) -> int:
    """Open without waiting for anybody: a fifo in the place of a file must not hang us."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _real(path: str) -> str:
    return os.path.realpath(path)


def _read_text(path: str, *, missing: str | None = None, limit: int = 1 << 24) -> str:
    """Read a small text file; ``missing`` is what to return where there is none."""
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            return file.read(limit).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        if missing is None:
            raise
        return missing
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
