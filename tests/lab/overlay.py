# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A throw-away view of the lab: every write lands in memory and is forgotten.

Undoing a mutation by hand means restoring content, mode, nanoseconds and the
folder's own mtime, also after a crash half-way.  An overlay in a private mount
namespace needs no undoing: when the process ends, the kernel drops it all.  It
also tells *exactly* what a command wrote, for that is its upper folder.

A process can enter once; run each case in a process of its own.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

COVERED = ("/root", "/usr")
"""What a case may write to: trees and caches; the toolchain, its libraries and headers."""

_MOUNT_POINT = "/mnt/scratch"
_CLONE_NEWNS = 0x00020000
_MS_REC = 0x4000
_MS_BIND = 0x1000
_MS_PRIVATE = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


class ScratchError(Exception):
    """The overlay cannot be had here (no root, no overlayfs, a sandbox)."""


@dataclass(frozen=True, slots=True)
class Written:
    """The state of one path that differs from the tree below."""

    kind: int
    """File type bits; a character device is a deletion."""
    size: int
    mtime_ns: int
    mode: int


class Scratch:
    """The overlay the calling process lives in, once entered."""

    def __init__(self, covered: tuple[str, ...] = COVERED) -> None:
        """Enter: unshare the mounts and cover every folder of ``covered``."""
        self._covered = covered
        _check("unshare", _libc.unshare(_CLONE_NEWNS))
        _mount("none", "/", None, _MS_REC | _MS_PRIVATE, None)
        Path(_MOUNT_POINT).mkdir(parents=True, exist_ok=True)
        _mount("tmpfs", _MOUNT_POINT, "tmpfs", 0, "size=90%,mode=755")
        for folder in covered:
            upper, work = self._upper(folder), f"{_MOUNT_POINT}/work{folder.replace('/', '-')}"
            below = self.below(folder)
            for made in (upper, work, below):
                os.makedirs(made)
            _mount(folder, below, None, _MS_BIND, None)
            _mount("overlay", folder, "overlay", 0, f"lowerdir={folder},upperdir={upper},workdir={work}")
        # What kdeps remembers of the builds below would take a touched file for none, or put a step back.
        for kind in ("builds", "steps"):
            shutil.rmtree(os.path.expanduser(f"~/.cache/kdeps/{kind}"), ignore_errors=True)

    @property
    def private(self) -> str:
        """A folder outside the covered ones, for this process's own files."""
        folder = f"{_MOUNT_POINT}/private"
        os.makedirs(folder, exist_ok=True)
        return folder

    @staticmethod
    def below(path: str) -> str:
        """Return where the unchanged original of a covered path can be read."""
        return f"{_MOUNT_POINT}/below{path}"

    def written(self) -> dict[str, Written]:
        """Return everything that differs from the trees below, folders left out."""
        found: dict[str, Written] = {}
        for folder in self._covered:
            upper = self._upper(folder)
            stack = [upper]
            while stack:
                with os.scandir(stack.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            stack.append(entry.path)
                            continue
                        s = entry.stat(follow_symlinks=False)
                        found[folder + entry.path[len(upper) :]] = Written(
                            stat.S_IFMT(s.st_mode), s.st_size, s.st_mtime_ns, stat.S_IMODE(s.st_mode)
                        )
        return found

    @staticmethod
    def _upper(folder: str) -> str:
        return f"{_MOUNT_POINT}/upper{folder.replace('/', '-')}"


def differing(before: dict[str, Written], after: dict[str, Written]) -> tuple[str, ...]:
    """Return the paths that were written between two calls of :meth:`Scratch.written`."""
    return tuple(sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p)))


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    def raw(text: str | None) -> bytes | None:
        return None if text is None else text.encode()

    result = _libc.mount(raw(source), raw(target), raw(kind), ctypes.c_ulong(flags), raw(data))
    _check(f"mount {kind or 'private'} on {target}", result)


def _check(what: str, result: int) -> None:
    if result != 0:
        raise ScratchError(f"{what}: {os.strerror(ctypes.get_errno())}")
