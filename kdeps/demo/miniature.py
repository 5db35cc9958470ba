# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A kernel tree that builds in a second, with the real hole in it.

GNU make is real, the ``.cmd`` records are in Kbuild's format, and the macros
that decide what runs again (``if_changed`` and its kin) have Kbuild's names and
results; only the compilers are stand-ins, whose objects are the text of what
went into them. So whatever is true of Kbuild's decisions is true here: above
all that ``make M=`` never brings ``rust/`` up to date.

This module knows how to lay the tree out and how to drive make in it. It does
not know what *stale* means: that is for Kbuild to say.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
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

ANY_PYTHON = b"/usr/bin/env python3"

STEERING = re.compile(
    r"(GNU)?MAKE\w*|MFLAGS|VPATH|KBUILD_\w+|KCONFIG_\w+|KCFLAGS|KRUSTFLAGS|LLVM|ARCH|SRCARCH"
    r"|[MOVCW]|MO|Q|quiet|sub_make_done|srctree|objtree|srcroot|abs_srctree|RUST_LIB_SRC"
)
"""Variables that would change what make does here, were they inherited."""


class MakeFailed(KdepsError):
    """make in the miniature ended with an error."""


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
    if data.startswith(b"#!") and 0 < len(interpreter) < 100 and not re.search(rb"\s", interpreter):
        data = data.replace(ANY_PYTHON, interpreter + b" -ISB")
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

    # -- changing --------------------------------------------------------------

    def path(self, name: str | Path) -> Path:
        """A file by its absolute name, or by its name in the source tree."""
        return self.srctree / name

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
