# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The miniature with what tests need: ask Kbuild what it would do, change files, copy it, hold up a compile; and which steps follow."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdeps.demo import miniature
from kdeps.demo.miniature import MODULE as MODULE
from kdeps.demo.miniature import gnu_make

M = f"M={MODULE}"

LINKS = {"nova-core.o", "modules.order", "Module.symvers", "nova-core.ko"}
MODULE_AGAIN = {"nova_core.o", *LINKS}
KERNEL_CRATE = {"rust/kernel.o", "rust/exports_kernel_generated.h"}
BINDINGS = {"rust/bindings.o", "rust/exports_bindings_generated.h"}
MACRO_USERS = {"rust/pin_init.o", "rust/uapi.o", *BINDINGS, *KERNEL_CRATE}
CRATES = {
    *(f"rust/{name}.o" for name in ("core", "compiler_builtins", "ffi", "build_error", "zerocopy")),
    "rust/exports_core_generated.h",
    *MACRO_USERS,
}
PROC_MACROS = {"rust/libmacros.so", "rust/libpin_init_internal.so", "rust/libzerocopy_derive.so"}

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


@dataclass(frozen=True, slots=True)
class Direct:
    """One target that make would remake of its own, not because something before it is remade."""

    target: str
    """As Kbuild names it: relative to the object tree, or to the module's folder."""

    newer: tuple[str, ...]
    """The prerequisites that are newer, or gone."""

    command: bool
    """Whether the command differs from the recorded one; true for a missing target."""


class Miniature(miniature.Miniature):
    """One miniature tree on disk, and what may be done to it."""

    __slots__ = ()

    @property
    def external(self) -> Path:
        """A module outside the kernel tree, ``hello.rs`` with a Kbuild file."""
        return self.root / "hello"

    # -- asking ----------------------------------------------------------------

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
        """All there is under `root` and the object tree, to compare before and after. By as few calls as can be."""
        found: Listing = {}
        tops = [self.root] if self.objtree.is_relative_to(self.root) else [self.root, self.objtree]
        folders = [str(top) for top in tops]
        for folder in folders:  # those below are added on the way
            status = os.lstat(folder)
            found[folder] = (status.st_mode, status.st_mtime_ns, b"")
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    content = b""
                    if stat.S_ISLNK(status.st_mode):
                        content = os.fsencode(os.readlink(entry.path))
                    elif stat.S_ISREG(status.st_mode):
                        with open(entry.path, "rb", buffering=0) as file:
                            content = file.readall()
                    found[entry.path] = (status.st_mode, status.st_mtime_ns, content)
        return found

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
        """The same tree at another place, as if it had been made and built there."""
        return Snapshot(self).put(root)


class Snapshot:
    """A tree as it was, to be put at other places as if it had been made and built there.

    Every file is text, so every mention of the old place can be replaced; times are kept to the nanosecond.
    The object tree must lie under the root.
    """

    def __init__(self, tree: Miniature) -> None:
        self.objtree = tree.objtree.relative_to(tree.root)
        self.folders: list[tuple[str, int]] = []
        self.files: list[tuple[str, int, int, list[bytes]]] = []
        self.links: list[tuple[str, int, list[bytes]]] = []
        root = os.fsencode(tree.root)
        for folder, folders, files in os.walk(tree.root):
            self.folders.append((os.path.relpath(folder, tree.root), os.stat(folder).st_mtime_ns))
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                below = os.path.relpath(path, tree.root)
                status = os.lstat(path)
                if stat.S_ISLNK(status.st_mode):
                    target = os.fsencode(os.readlink(path)).split(root)
                    self.links.append((below, status.st_mtime_ns, target))
                elif stat.S_ISREG(status.st_mode):
                    parts = Path(path).read_bytes().split(root)
                    self.files.append((below, stat.S_IMODE(status.st_mode), status.st_mtime_ns, parts))

    def put(self, root: Path) -> Miniature:
        """Write it all; a copy is made for most tests, so by as few calls as can be."""
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()
        top, after = f"{root}/", os.fsencode(root)
        for below, _ in self.folders[1:]:
            os.mkdir(top + below)
        for below, mode, mtime_ns, parts in self.files:
            descriptor = os.open(top + below, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            os.write(descriptor, after.join(parts))
            os.fchmod(descriptor, mode)
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            os.close(descriptor)
        for below, mtime_ns, parts in self.links:
            os.symlink(after.join(parts), os.fsencode(top + below))
            os.utime(top + below, ns=(mtime_ns, mtime_ns), follow_symlinks=False)
        for below, mtime_ns in reversed(self.folders):
            os.utime(top + below, ns=(mtime_ns, mtime_ns))
        return Miniature(root, root / self.objtree)


def create(root: Path, *, objtree: Path | None = None) -> Miniature:
    """Lay a miniature out, as ``kdeps.demo`` does; nothing is built yet."""
    laid = miniature.create(root, objtree=objtree)
    return Miniature(laid.root, laid.objtree)


def ko(miniature: Miniature) -> str:
    return (miniature.module / "nova-core.ko").read_text()


def has_deletion_sense() -> bool:
    """Whether this make lets Kbuild notice a deleted prerequisite that has a rule.

    Kbuild must tell make not to delete intermediate files. Up to make 4.4 it can
    only do so with ``.SECONDARY``, and then a missing file that nobody asked for
    counts as up to date; from 4.4.1 on there is ``.NOTINTERMEDIATE``.

    Source: the last lines of linux ``scripts/Kbuild.include``.
    """
    return gnu_make()[1] > (4, 4)


def held_make(tree: Miniature, stage: str, during: Callable[[], object], *words: str) -> None:
    """Run make with a crate's compile held up after one of its stages."""
    fifo = tree.root / "held"
    os.mkfifo(fifo)
    environment = tree.environment({"MINIATURE_HOLD_AFTER": stage, "MINIATURE_HOLD_AT": str(fifo)})
    running = subprocess.Popen(
        ["make", *tree.tree_args, *words], cwd=tree.srctree, env=environment, stdout=subprocess.DEVNULL
    )
    with open(fifo, "w"):
        during()
    assert running.wait() == 0
    fifo.unlink()
