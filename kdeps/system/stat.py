# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How a file looks: what tells a changed file from an unchanged one, whatever its mtime was set to.

This module is on the way of every ``kdeps make``: it imports nothing that Python has not loaded already.
"""

from __future__ import annotations

import os
from stat import S_ISCHR, S_ISFIFO, S_ISREG

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, mtime and ctime in nanoseconds."""

FINE_NS = 50_000_000
"""By how much the clock of a file system with fine stamps may be behind."""
COARSE_NS = 2_100_000_000
"""FAT stamps in steps of two seconds; others cut off at the second."""


def status_of(path: str) -> os.stat_result | None:
    """Return what a path is, links followed; None if it is not there or cannot be looked at."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def is_gone(path: str) -> bool:
    """Whether there is certainly no such file; one that may not be looked at is not gone."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def mtime_ns(path: str) -> int:
    """Return when a file was modified, in nanoseconds; 0 if it cannot be looked at."""
    st = status_of(path)
    return 0 if st is None else st.st_mtime_ns


def is_endless(path: str) -> bool:
    """Tell whether a program that reads a path may never come to its end: a FIFO, a terminal, ``/dev/zero``."""
    st = status_of(path)
    if st is None or S_ISREG(st.st_mode):
        return False
    return S_ISFIFO(st.st_mode) or (S_ISCHR(st.st_mode) and st.st_rdev != os.makedev(1, 3))  # /dev/null


def stamp_of(st: os.stat_result) -> Stamp:
    """Take from a stat result what changes with the file.

    The ctime moves with every change; a file system without one has the others, and so has a file of an
    image that is mounted in the place of another one.
    """
    return (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)


def find_stamp(path: str) -> str:
    """Return the stamp of a file as text; empty if the file cannot be looked at."""
    st = status_of(path)
    return ":".join(map(str, stamp_of(st))) if st else ""


def is_racy(stamp: Stamp, now_ns: int) -> bool:
    """Whether a file with this stamp, read at this time, could change again and keep the stamp."""
    changed_ns = max(stamp[3], stamp[4])
    margin_ns = COARSE_NS if stamp[4] % 1_000_000 == 0 else FINE_NS
    return changed_ns >= now_ns - margin_ns
