# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A kernel tree that builds in a second, with the real hole in it.

GNU make is real, the ``.cmd`` records are in Kbuild's format, and the macros
that decide what runs again (``if_changed`` and its kin) have Kbuild's names and
results; only the compilers are stand-ins, whose objects are the text of what
went into them. So whatever is true of Kbuild's decisions is true here: above
all that ``make M=`` never brings ``rust/`` up to date.

This module knows how to lay the tree out, how to drive make in it, and how to
change files so that make notices. It does not know what *stale* means: that
is for Kbuild to say, see `Miniature.kernel_answer`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kdeps.system.errors import KdepsError

TEMPLATE = Path(__file__).with_name("tree")
MODULE = "drivers/gpu/nova-core"
"""The driver in the tree, as a user names it: ``make M=drivers/gpu/nova-core``."""

OLDEST_MAKE = (3, 82)

ALIASES = {"ld.lld": "ld", "llvm-nm": "nm", "llvm-objcopy": "objcopy"}
"""Further names for tools, for ``LLVM=1``."""

SHEBANG = b"#!/usr/bin/env python3\n"

STEERING = re.compile(
    r"(GNU)?MAKE\w*|MFLAGS|VPATH|KBUILD_\w+|KCONFIG_\w+|KCFLAGS|KRUSTFLAGS|LLVM|ARCH|SRCARCH"
    r"|[MOVCW]|MO|Q|quiet|sub_make_done|srctree|objtree|srcroot|abs_srctree|RUST_LIB_SRC"
)
"""Variables that would change what make does here, were they inherited."""

DECIDING = (
    "$(if $(and $1,$(filter FORCE,$^)),$(if $(strip $(newer-prereqs)$(cmd-check)),"
    "$(info KD $@ | $(newer-prereqs) | $(if $(strip $(cmd-check)),CMD))))@:"
)
"""What to say instead of acting.

make expands a variable given on its command line once more for the environment
of every recipe, and from 4.4 on of every ``$(shell)``: then there is no ``$1``, or
that of another call. What really asks has FORCE among its prerequisites. ``@:``
because an empty recipe would let make look for an implicit rule.
"""

OVERRIDES = (
    *(
        f"{macro}={DECIDING}"
        for macro in ("if_changed", "if_changed_dep", "if_changed_rule", "if_changed_except")
    ),
    "filechk=",
    "cmd=",
)

Listing = dict[str, tuple[int, int, bytes]]
"""Everything under some folders: path to mode, mtime in ns and content (of a link, its target)."""


class MakeFailed(KdepsError):
    """make in the miniature ended with an error."""


@dataclass(frozen=True, slots=True)
class Direct:
    """One target that make would remake of its own, not because something before it is remade."""

    target: str
    """As Kbuild names it: relative to the object tree, or to the module's folder."""

    newer: tuple[str, ...]
    """The prerequisites that are newer, or gone."""

    command: bool
    """Whether the command differs from the recorded one; true for a missing target."""


@functools.cache
def gnu_make() -> tuple[str, tuple[int, ...]]:
    """Return the path and the version of a GNU make that is new enough. Raises KdepsError: PATH has no make."""
    for name in ("make", "gmake"):
        path = shutil.which(name)
        if path is None:
            continue
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"GNU Make ([\d.]+)", said)
        if found:
            version = tuple(int(number) for number in found[1].strip(".").split("."))
            if version >= OLDEST_MAKE:
                return path, version
    raise KdepsError("no GNU make (3.82 or newer) on PATH: install the package 'make'")


def create(root: Path, *, objtree: Path | None = None) -> Miniature:
    """Lay a miniature out under `root`, which is made if need be; nothing is built yet.

    `root` gets ``linux/``, ``toolchain/`` and ``hello/``. Blanks and colons in its path are as impossible as they are
    for Kbuild. Without `objtree` the source tree is built in.
    """
    root.mkdir(parents=True, exist_ok=True)
    root = root.resolve()
    if re.search(r"[\s:#%$']", str(root)):
        raise KdepsError(
            f"{root}: Kbuild cannot build in a folder with such a name; choose one without blanks and colons"
        )
    for path in sorted(TEMPLATE.rglob("*")):
        copy = root / path.relative_to(TEMPLATE)
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        else:
            _copy(path, copy)
    for alias, tool in ALIASES.items():
        (root / "toolchain/bin" / alias).symlink_to(tool)
    if not os.access(root / "toolchain/bin/rustc", os.X_OK):
        raise KdepsError(
            f"{root}: programs cannot run there (mounted noexec?); choose another folder, or set TMPDIR"
        )
    if objtree is None:
        objtree = root / "linux"
    objtree.mkdir(parents=True, exist_ok=True)
    return Miniature(root, objtree.resolve())


def _copy(path: Path, copy: Path) -> None:
    """Copy a file; make a script executable, and a Python one start quickly and isolated."""
    data = path.read_bytes()
    interpreter = os.fsencode(sys.executable)
    if data.startswith(SHEBANG) and 0 < len(interpreter) < 100 and not re.search(rb"\s", interpreter):
        data = b"#!" + interpreter + b" -ISB\n" + data[len(SHEBANG) :]
    copy.write_bytes(data)
    copy.chmod(0o755 if data.startswith(b"#!") else 0o644)


@dataclass(frozen=True, slots=True)
class Miniature:
    """One miniature tree on disk. Paths are absolute and free of symbolic links."""

    root: Path
    objtree: Path

    @property
    def srctree(self) -> Path:
        return self.root / "linux"

    @property
    def toolchain(self) -> Path:
        return self.root / "toolchain"

    @property
    def module(self) -> Path:
        """The driver's folder in the source tree."""
        return self.srctree / MODULE

    @property
    def external(self) -> Path:
        """A module outside the kernel tree, ``hello.rs`` with a Kbuild file."""
        return self.root / "hello"

    @property
    def tree_args(self) -> tuple[str, ...]:
        """What make and kdeps get as arguments in the source tree: O=, or nothing."""
        return () if self.objtree == self.srctree else (f"O={self.objtree}",)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What make, and kdeps, must run with here: nothing that steers make, the toolchain on PATH."""
        kept = {name: value for name, value in os.environ.items() if not STEERING.fullmatch(name)}
        kept["PATH"] = f"{self.toolchain / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, **(extra or {})}

    # -- building --------------------------------------------------------------

    def make(
        self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run make as a user would. Raises MakeFailed, with the first line of what went wrong, where ``check`` says
        so.

        Without `cwd` it is called in the source tree, where `tree_args` come first, so that an ``O=`` in `args` wins.
        `env` is added to `environment`.
        """
        told = self._told(args, cwd)
        done = subprocess.run(
            [gnu_make()[0], *told],
            cwd=cwd or self.srctree,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
            raise MakeFailed(f"make {' '.join(told)}: exit {done.returncode}: {(lines or ['no message'])[0]}")
        return done

    def _told(self, args: tuple[str, ...], cwd: Path | None) -> tuple[str, ...]:
        return (*self.tree_args, *args) if cwd is None and "-C" not in args else args

    def build(self, *, module: str | None = MODULE) -> None:
        """Configure, build the kernel's side, and then the module (none for None)."""
        self.make("defconfig")
        self.make("modules_prepare")
        if module is not None:
            self.make(f"M={module}")

    def kernel_reasons(self, *args: str, cwd: Path | None = None) -> tuple[Direct, ...]:
        """Ask the build itself what it would do, and have it do nothing: the targets stale for a reason of their own,
        in order.

        The macros that decide are overridden on make's command line by one that prints. As with Kbuild there is one
        exception to "nothing": when ``.config`` is newer than ``auto.conf`` (or a value in ``auto.conf.cmd``
        differs), make remakes ``auto.conf`` before it does anything else.
        """
        said = self.make(*args, "-s", *OVERRIDES, cwd=cwd).stdout
        found: dict[str, Direct] = {}
        for line in said.splitlines():
            if line.startswith("KD "):
                target, newer, command = line[3:].split("|")
                found.setdefault(
                    target.strip(), Direct(target.strip(), tuple(newer.split()), bool(command.strip()))
                )
        symvers = found.get("Module.symvers")
        if symvers and not symvers.newer and "i" not in "".join(self._told(args, cwd)):
            # The command of this one target changes as soon as there is an "i" in make's own
            # variables (it is taken for the flag -i), and every override has one.
            del found["Module.symvers"]
        return tuple(found.values())

    def kernel_answer(self, *args: str, cwd: Path | None = None) -> list[str]:
        """The targets of `kernel_reasons`."""
        return [direct.target for direct in self.kernel_reasons(*args, cwd=cwd)]

    def rebuilds(self, *args: str, cwd: Path | None = None) -> set[str]:
        """Run make and return the targets it remade, those that have a record."""
        before = self.listing()
        self.make(*args, cwd=cwd)
        after = self.listing()
        written = {
            path for path in after if before.get(path) != after[path] and not stat.S_ISDIR(after[path][0])
        }
        remade = set()
        for path in written:
            record = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.cmd")
            if record in after:
                head = re.match(rb"savedcmd_(\S+) :=", after[record][2])
                remade.add(os.fsdecode(head[1]) if head else path)
        return remade

    # -- looking ---------------------------------------------------------------

    def listing(self) -> Listing:
        """All there is under `root` and the object tree, to compare before and after."""
        found: Listing = {}
        for top in {self.root, self.objtree}:
            for folder, folders, files in os.walk(top):
                for name in (".", *folders, *files):
                    path = os.path.normpath(os.path.join(folder, name))
                    status = os.lstat(path)
                    content = b""
                    if stat.S_ISLNK(status.st_mode):
                        content = os.fsencode(os.readlink(path))
                    elif stat.S_ISREG(status.st_mode):
                        content = Path(path).read_bytes()
                    found[path] = (status.st_mode, status.st_mtime_ns, content)
        return found

    def path(self, name: str | Path) -> Path:
        """A file by its absolute name, or by its name in the source tree."""
        return self.srctree / name

    # -- changing --------------------------------------------------------------

    def edit(self, name: str | Path, text: str) -> Path:
        """Write a file (a new one, too), newer than everything there is. Returns its path."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self.touch(path)

    def append(self, name: str | Path, text: str) -> Path:
        """Add to the end of a file, as `edit`."""
        return self.edit(name, self.path(name).read_text() + text)

    def replace(self, name: str | Path, old: str, new: str) -> Path:
        """Replace a text that stands in a file, as `edit`."""
        text = self.path(name).read_text()
        if old not in text:
            raise ValueError(f"{name}: {old!r} does not occur in it")
        return self.edit(name, text.replace(old, new))

    def touch(self, name: str | Path) -> Path:
        """Give a file a time that is newer than that of everything written before.

        File systems stamp in steps of some milliseconds, and make takes "equal" for
        "up to date"; so wait for the next step.
        """
        path = self.path(name)
        os.utime(path)
        first = path.stat().st_mtime_ns
        while path.stat().st_mtime_ns <= first:
            time.sleep(0.001)
            os.utime(path)
        return path

    def set_config(self, **symbols: str) -> None:
        """Give symbols values in ``.config``, "n" included; nothing is synced."""
        path = self.objtree / ".config"
        text = path.read_text()
        for symbol, value in symbols.items():
            line = f"CONFIG_{symbol}={value}" if value != "n" else f"# CONFIG_{symbol} is not set"
            old = re.search(rf"^(CONFIG_{symbol}=.*|# CONFIG_{symbol} is not set)$", text, re.M)
            if old is None:
                raise ValueError(f".config: no symbol {symbol}")
            text = text[: old.start()] + line + text[old.end() :]
        self.edit(path, text)

    def set_version(self, tool: str, version: str) -> None:
        """Install another version of rustc, bindgen, clang or gcc, with its libraries."""
        path = self.toolchain / "bin" / tool
        text = path.read_text()
        old = re.search(r'(?m)^VERSION ?= ?"?([\w.]+)"?$', text)
        if old is None:
            raise ValueError(f"{tool}: has no version")
        self.edit(path, text.replace(old[1], version))
        if tool == "rustc":
            for library in sorted(self.toolchain.rglob("*.rlib")):
                self.edit(library, library.read_text().replace(f"by rustc {old[1]}", f"by rustc {version}"))

    # -- copying ---------------------------------------------------------------

    def copy_to(self, root: Path) -> Miniature:
        """The same tree at another place, as if it had been made and built there.

        Every file is text, so every mention of the old place can be replaced;
        times are kept to the nanosecond. The object tree must lie under `root`.
        """
        old, objtree = self.root, self.objtree.relative_to(self.root)
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()
        before, after = os.fsencode(old), os.fsencode(root)
        times: list[tuple[Path, int]] = []
        for folder, folders, files in os.walk(old):
            here = root / Path(folder).relative_to(old)
            here.mkdir(exist_ok=True)
            times.append((here, os.stat(folder).st_mtime_ns))
            for name in (*folders, *files):
                path, copy = Path(folder, name), here / name
                status = path.lstat()
                if stat.S_ISLNK(status.st_mode):
                    copy.symlink_to(os.fsdecode(os.fsencode(os.readlink(path)).replace(before, after)))
                elif stat.S_ISREG(status.st_mode):
                    copy.write_bytes(path.read_bytes().replace(before, after))
                    copy.chmod(stat.S_IMODE(status.st_mode))
                else:
                    continue
                os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
        for here, mtime_ns in reversed(times):
            os.utime(here, ns=(mtime_ns, mtime_ns))
        return Miniature(root, root / objtree)
