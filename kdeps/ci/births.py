# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When a file was born: what ``stat`` has not, and ``statx`` has.

A birth is given by the kernel and cannot be set; a copy is born when it is made, whatever
mtime it is given. ``os.stat`` has no birth on Linux, so the call of the C library is made directly.

Source: ``statx(2)``; linux ``include/uapi/linux/stat.h``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

_AT_FDCWD = -100
_BASIC_STATS = 0x7FF
_BTIME = 0x800
_TIME = struct.Struct("=qI")
_AT_LINKS, _AT_BIRTH, _AT_CHANGE, _AT_MTIME, _AT_DEVICE = 16, 80, 96, 112, 136
_LOCAL = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "zfs", "bcachefs", "overlay", "ramfs"))  # fmt: skip
"""File systems whose times this very kernel gives, by one clock."""


class Times(NamedTuple):
    """What one file says of its age; all in nanoseconds."""

    birth_ns: int
    mtime_ns: int
    change_ns: int
    """The ctime: the last time that anything about the file changed, its name too."""
    links: int
    device: tuple[int, int]


def read_times(path: str) -> Times | None:
    """Ask for all times of a file; ``None``: it is not there, or nobody knows when it was born."""
    call = _statx()
    if call is None:
        return None
    try:
        data = call(os.fsencode(path))
    except ValueError:  # a NUL in the name
        return None
    if data is None or not struct.unpack_from("=I", data)[0] & _BTIME:
        return None
    birth, change, mtime = (_stamp(data, at) for at in (_AT_BIRTH, _AT_CHANGE, _AT_MTIME))
    (links,) = struct.unpack_from("=I", data, _AT_LINKS)
    return Times(birth, mtime, change, links, struct.unpack_from("=II", data, _AT_DEVICE))


def _stamp(data: bytes, at: int) -> int:
    seconds, nanoseconds = _TIME.unpack_from(data, at)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


@cache
def _statx() -> Callable[[bytes], bytes | None] | None:
    """The call, or ``None`` where the C library or the kernel has none."""
    import ctypes

    try:
        function = ctypes.CDLL(None, use_errno=True).statx
    except (OSError, AttributeError):
        return None

    def call(path: bytes) -> bytes | None:
        if b"\0" in path:
            return None
        buffer = ctypes.create_string_buffer(256)
        if function(_AT_FDCWD, path, 0, _BASIC_STATS | _BTIME, buffer) != 0:
            return None
        return buffer.raw

    return call


def share_clock(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the stamps of two devices can be compared: one server gave them, or this kernel."""
    return one == other or (_is_local(one) and _is_local(other))


def _is_local(device: tuple[int, int]) -> bool:
    return _file_systems().get(device, "") in _LOCAL


@cache
def _file_systems() -> dict[tuple[int, int], str]:
    """What is mounted, by device. Source: ``proc(5)``, mountinfo."""
    found: dict[tuple[int, int], str] = {}
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 22).splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, behind = line.partition(" - ")
        words, kind = before.split(), behind.split(" ", 1)[0]
        if len(words) > 2 and words[2].count(":") == 1:
            major, minor = words[2].split(":")
            found[int(major), int(minor)] = kind
    return found
