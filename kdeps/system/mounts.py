# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is mounted where, and on which file system a folder is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.system.files import read_text

TABLE = "/proc/self/mountinfo"
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of the table of mounts."""

    point: str
    kind: str
    """The type of the file system, as ``ext4`` or ``fuse.sshfs``."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number, as ``stat`` gives them."""


def open_mounts() -> int:
    """Open the table of mounts; the descriptor has priority data once the table has changed.

    Raises OSError: there is no ``/proc``.
    """
    return os.open(TABLE, os.O_RDONLY | os.O_CLOEXEC)


def read_mounts(path: str = TABLE) -> tuple[Mount, ...]:
    """Read the table of mounts, in its order; empty if it cannot be read.

    Source: proc_pid_mountinfo(5).
    """
    mounts: list[Mount] = []
    for line in read_text(path).splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if dash and len(fields) > 4:
            point = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), fields[4])
            major, _, minor = fields[2].partition(":")
            device = (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
            mounts.append(Mount(point, after.split(" ")[0], device))
    return tuple(mounts)


def find_mount(folder: str, mounts: Iterable[Mount]) -> Mount:
    """Find the mount that a real folder is on: the longest point, and of equal ones the last, which covers."""
    best = Mount("/", "")
    for mount in mounts:
        inside = folder == mount.point or folder.startswith(mount.point.rstrip("/") + "/")
        if inside and len(mount.point) >= len(best.point):
            best = mount
    return best
