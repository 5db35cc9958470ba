# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""File events of exactly the folders asked for, from one descriptor, without a thread.

This uses watchdog's binding of inotify, but not its observers. An observer starts one thread for each folder
that is not watched with everything below it (up to release 6 also one inotify instance, of
which a user has 128), and a kernel's verdict depends on some 2,000 folders. It also reports
every *reading* of a file, and each check reads thousands. Up to release 6 it drops the kernel's
notice that events were lost. The functions used here are the same in releases 4 to 7.

What inotify cannot do is reported as well: a queue that overflowed, a limit that was
reached, a folder that cannot be watched.

A watch belongs to an inode, not to a path. So when a folder comes, goes or moves, every
path is watched anew (``refresh``): a path that leads elsewhere now gets a watch there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from typing import NamedTuple, cast

from kdeps.watch.interest import Interest

_HEAD = struct.Struct("iIII")
_READ_BYTES = 1 << 18

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
_UNMOUNT, _Q_OVERFLOW, _IGNORED = 0x2000, 0x4000, 0x8000
_ONLYDIR, _ISDIR = 0x01000000, 0x40000000
_COMING_AND_GOING = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_SELF = _DELETE_SELF | _MOVE_SELF | _UNMOUNT
_PASSAGE = _ATTRIB | _COMING_AND_GOING | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
_CONTENT = _PASSAGE | _MODIFY | _CLOSE_WRITE

USER_LIMIT = "fs.inotify.max_user_watches"
INSTANCE_LIMIT = "fs.inotify.max_user_instances"


class Events(NamedTuple):
    """What was read from the queue at once."""

    paths: tuple[str, ...] = ()
    """Of interest, and changed in some way; each once, in the order they changed last."""
    lost: bool = False
    """Events were lost: anything may have changed."""
    moved: bool = False
    """Folders or links came, went, moved or got another mode, so that paths may lead elsewhere now."""


class Watches(NamedTuple):
    """What came of watching some folders."""

    added: int
    """New watches; what happened there before went unnoticed. Folders that vanished meanwhile count."""
    unwatched: tuple[str, ...]
    """Folders that could not be watched; they have to be polled."""
    limit: str
    """The sysctl whose limit was reached; empty: none."""


class Inotify:
    """One inotify instance.

    Raises OSError: it cannot be had: this is another system, or the limit of instances was reached.
    """

    def __init__(self) -> None:
        init, self._add_watch, self._rm_watch = _load()
        self.descriptor = init()
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        os.set_inheritable(self.descriptor, False)
        os.set_blocking(self.descriptor, False)
        self._names: dict[str, frozenset[str] | None] = {}
        self._watch_of: dict[str, int] = {}
        self._folders_of: dict[int, list[str]] = {}

    def __len__(self) -> int:
        return len(self._watch_of)

    def close(self) -> None:
        """Give the descriptor back, and all watches with it."""
        os.close(self.descriptor)

    def watch(self, interest: Interest, *, refresh: bool) -> Watches:
        """Watch these folders, and no others any more; ``refresh`` known ones because their paths may lead elsewhere
        now.
        """
        self._names = interest.names
        unwatched: list[str] = []
        limit = ""
        added = 0
        held: dict[str, int] = {}
        for folder in sorted(interest.names, key=lambda name: (name.count("/"), name)):
            known = self._watch_of.get(folder)
            if known is not None and not refresh:
                held[folder] = known
                continue
            if limit and known is None:
                unwatched.append(folder)
                continue
            mask = _PASSAGE if folder in interest.passages else _CONTENT
            number = self._add_watch(self.descriptor, os.fsencode(folder), mask)
            if number < 0:
                error = ctypes.get_errno()
                if error in (errno.ENOSPC, errno.ENOMEM):
                    limit = USER_LIMIT
                if error in (errno.ENOENT, errno.ENOTDIR):
                    added += 1  # gone since its path was walked, perhaps before the folder above was watched
                else:
                    unwatched.append(folder)
                continue
            added += known != number
            held[folder] = number
        folders_of: dict[int, list[str]] = {}
        for folder, number in held.items():
            folders_of.setdefault(number, []).append(folder)
        for number in self._folders_of.keys() - folders_of.keys():
            self._rm_watch(self.descriptor, number)  # fails where the kernel did so itself
        self._watch_of, self._folders_of = held, folders_of
        return Watches(added, tuple(unwatched), limit)

    def read(self) -> Events:
        """Read everything that is in the queue; does not wait."""
        changed: dict[str, None] = {}
        lost = moved = False
        while True:
            try:
                data = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                break
            except InterruptedError:
                continue
            at = 0
            while at + _HEAD.size <= len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                raw = data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0")
                at += _HEAD.size + length
                if mask & _Q_OVERFLOW:
                    lost = True
                elif mask & _IGNORED:
                    # Gone, unmounted, or taken away by us.
                    for folder in self._folders_of.pop(number, ()):
                        self._watch_of.pop(folder, None)
                        moved = True
                else:
                    moved |= self._note(number, mask, raw, changed)
        return Events(tuple(changed), lost, moved)

    def _note(self, number: int, mask: int, raw: bytes, changed: dict[str, None]) -> bool:
        """Note one event if its name is of interest; return whether paths may lead elsewhere now."""
        moved = False
        for folder in self._folders_of.get(number, ()):
            if mask & _SELF:
                changed.pop(folder, None)
                changed[folder] = None
                moved = True
                continue
            names = self._names.get(folder)
            if not raw:
                continue  # the folder's own attributes; its parent reports those, by name
            name = os.fsdecode(raw)
            if names is not None and name not in names:
                continue
            path = f"{folder}/{name}" if folder != "/" else f"/{name}"
            changed.pop(path, None)
            changed[path] = None
            # A file that comes may be a link; one that goes leads nowhere any more. A folder's
            # new mode may open the way to what could not be found for as long as it was closed.
            moved = moved or bool(
                mask & (_COMING_AND_GOING | _ATTRIB)
                if mask & _ISDIR
                else mask & (_CREATE | _MOVED_TO) and os.path.islink(path)
            )
        return moved


def _load() -> tuple[Callable[[], int], Callable[[int, bytes, int], int], Callable[[int, int], int]]:
    """Take the functions from watchdog's binding; any other C library than Linux' has none.

    Raises OSError: there is no inotify here.
    """
    try:
        from watchdog.observers.inotify_c import inotify_add_watch, inotify_init, inotify_rm_watch
    except Exception as error:  # ImportError, or an UnsupportedLibcError that cannot be named without it
        raise OSError(errno.ENOSYS, f"no inotify here: {error}") from error
    return inotify_init, inotify_add_watch, cast("Callable[[int, int], int]", inotify_rm_watch)
