# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Keep a program that is about to start from writing into some folders.

Landlock (Linux 5.13 and later) needs no privilege. It knows only what is allowed, so
everything beside the folders, and beside those above them, is. Where a kernel has no
Landlock the program runs as ever.

Source: linux ``Documentation/userspace-api/landlock.rst``, ``include/uapi/linux/landlock.h``.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of system calls, the same on every architecture."""
_ASK_VERSION = 1
_PATH_BENEATH = 1
_SET_NO_NEW_PRIVS = 38
_FILE_RIGHTS = 1 << 1 | 1 << 14
"""To write, and from version 3 on to truncate."""
_FOLDER_RIGHTS = sum(1 << bit for bit in range(4, 14))
"""To remove and to make files and folders of each kind, and from version 2 on to move them."""
_MOST_ENTRIES = 4096
"""A folder above with more than these is not gone through: nothing beside the tree may be written there."""


@contextmanager
def kept_from_writing(folders: Iterable[str], but_in: str) -> Iterator[Callable[[], None] | None]:
    """Keep a child from writing into folders and what is below them, but in one folder.

    Yields what is to be called in the child (``preexec_fn``), or None where the kernel cannot do it.
    """
    libc = ctypes.CDLL(None)
    call, prctl = libc.syscall, libc.prctl
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    rights = _FILE_RIGHTS | _FOLDER_RIGHTS
    if version < 3:
        rights &= ~(1 << 14)
    if version < 2:
        rights &= ~(1 << 13)
    rules = -1
    if version > 0:
        rules = call(_CREATE_RULESET, struct.pack("=Q", rights), ctypes.c_size_t(8), 0)
    if rules < 0:
        yield None
        return
    for path in (*_list_beside(folders), but_in):
        try:
            place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # it is gone, or not for us
        allowed = rights if os.path.isdir(path) else rights & _FILE_RIGHTS
        call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", allowed, place), 0)
        os.close(place)

    def restrict() -> None:
        prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call(_RESTRICT_SELF, rules, 0)

    try:
        yield restrict
    finally:
        os.close(rules)


def _list_beside(folders: Iterable[str]) -> Iterator[str]:
    """List what is beside folders and beside each folder above them. A link counts at its target."""
    real = {os.path.realpath(folder) for folder in folders}
    kept = {path for path in real if not any(path.startswith(f"{other}/") for other in real)}
    above: set[str] = set()
    for path in kept:
        while path != "/":
            path = os.path.dirname(path)
            above.add(path)
    for folder in above:
        try:
            with os.scandir(folder) as entries:
                paths = [entry.path for entry in entries if not entry.is_symlink()]
        except OSError:
            continue
        if len(paths) <= _MOST_ENTRIES:
            yield from (path for path in paths if path not in above and path not in kept)
