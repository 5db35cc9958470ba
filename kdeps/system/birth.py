# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When a file was created: ``statx`` has it, ``os.stat`` does not.

The kernel sets the birth time and no program can change it; a copy is born when it is made, whatever
its mtime. Python has no ``statx``, so the function of the C library is called directly.

Source: ``statx(2)``; linux ``include/uapi/linux/stat.h``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from kdeps.system.mounts import read_mounts

_AT_FDCWD = -100
_BASIC_STATS = 0x7FF
_BTIME = 0x800
_TIME = struct.Struct("=qI")
_AT_LINKS, _AT_BIRTH, _AT_MTIME, _AT_DEVICE = 16, 80, 112, 136
_LOCAL = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "zfs", "bcachefs", "overlay", "ramfs"))  # fmt: skip
"""File systems whose times this very kernel gives, by one clock."""


class Times(NamedTuple):
    """All times of one file, in nanoseconds."""

    birth_ns: int
    mtime_ns: int
    links: int
    device: tuple[int, int]


def birth_times(path: str) -> Times | None:
    """Return all times of a file; None if it is not there, or if its birth time is not known."""
    call = _statx()
    if call is None:
        return None
    try:
        data = call(os.fsencode(path))
    except ValueError:  # a NUL in the name
        return None
    if data is None or not struct.unpack_from("=I", data)[0] & _BTIME:
        return None
    birth, mtime = _stamp(data, _AT_BIRTH), _stamp(data, _AT_MTIME)
    (links,) = struct.unpack_from("=I", data, _AT_LINKS)
    return Times(birth, mtime, links, struct.unpack_from("=II", data, _AT_DEVICE))


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


def same_clock(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the stamps of two devices can be compared: one server gave them, or this kernel."""
    return one == other or (_is_local(one) and _is_local(other))


def _is_local(device: tuple[int, int]) -> bool:
    return _file_systems().get(device, "") in _LOCAL


@cache
def _file_systems() -> dict[tuple[int, int], str]:
    """What is mounted, by device. Source: ``proc(5)``, mountinfo."""
    return {mount.device: mount.kind for mount in read_mounts()}
