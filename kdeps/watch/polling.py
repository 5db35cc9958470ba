# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Look at intervals where no events come from.

That is: folders beyond the limit of watches, and file systems whose changes
happen elsewhere (on a server, on the host of a virtual machine) or that never
tell. Such a folder's stamps are taken now and then and compared with the last ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.watch.interest import Interest

INTERVAL_S = 1.0
MAX_SHARE = 0.03
"""Of the time that polling may take; a slow server makes the interval longer."""
MAX_INTERVAL_S = 5.0
EVENTLESS = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|virtiofs|fuse(\..+)?|fuseblk|ceph|afs|coda|ncpfs|vboxsf|prl_fs|vmhgfs|drvfs|gpfs|lustre|glusterfs"
    r"|ocfs2|gfs2|beegfs|orangefs|pvfs2|osxfs|grpcfuse|fakeowner|davfs"
)
"""Types of file systems that others change without a word to us."""

Stamps = tuple[object, ...]


class Mount(NamedTuple):
    """One line of the table of mounts."""

    point: str
    kind: str


def read_mounts(path: str = "/proc/self/mountinfo") -> tuple[Mount, ...]:
    """Read the table of mounts, in its order; empty where there is none.

    Source: proc_pid_mountinfo(5).
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return ()
    found: list[Mount] = []
    for line in lines:
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if dash and len(fields) > 4:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            found.append(Mount(point, after.split(" ")[0]))
    return tuple(found)


def find_mount(folder: str, mounts: Iterable[Mount]) -> Mount:
    """Find the mount a real folder lies on: the longest point, and of equal ones the last, which covers."""
    best = Mount("/", "")
    for mount in mounts:
        inside = folder == mount.point or folder.startswith(mount.point.rstrip("/") + "/")
        if inside and len(mount.point) >= len(best.point):
            best = mount
    return best


def find_eventless(
    folders: Iterable[str], mounts: tuple[Mount, ...], silent: frozenset[str]
) -> tuple[str, ...]:
    """Find the folders that send no events, or not all.

    Args:
        folders: Real folders.
        mounts: The table of mounts.
        silent: Mount points of file systems that were caught changing without an event.
    """
    if not silent and not any(EVENTLESS.fullmatch(mount.kind) for mount in mounts):
        return ()
    found = []
    for folder in folders:
        mount = find_mount(folder, mounts)
        if mount.point in silent or EVENTLESS.fullmatch(mount.kind):
            found.append(folder)
    return tuple(found)


class Poller:
    """Remembers how some folders looked."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str] | None] = {}
        self._stamps: dict[str, Stamps] = {}

    def __len__(self) -> int:
        """How many folders are polled."""
        return len(self._names)

    def __contains__(self, folder: object) -> bool:
        """Whether a folder is polled."""
        return folder in self._names

    def poll_for(self, folders: Iterable[str], interest: Interest) -> None:
        """Poll these folders, and no others any more; a new one is looked at now."""
        before = self._names
        self._names = {folder: interest.names.get(folder) for folder in folders}
        self._stamps = {
            folder: self._stamps[folder] if before.get(folder, _NEVER) == names else _take(folder, names)
            for folder, names in self._names.items()
        }

    def look(self) -> tuple[str, ...]:
        """Look at all folders again; return those that changed."""
        changed = []
        for folder, names in self._names.items():
            stamps = _take(folder, names)
            if stamps != self._stamps.get(folder):
                self._stamps[folder] = stamps
                changed.append(folder)
        return tuple(changed)


_NEVER: frozenset[str] = frozenset(("\0",))


def _take(folder: str, names: frozenset[str] | None) -> Stamps:
    if names is None:
        try:
            names = frozenset(os.listdir(folder))
        except OSError as error:
            return (error.errno,)
    return tuple((name, _stamp(os.path.join(folder, name))) for name in sorted(names))


def _stamp(path: str) -> Stamps:
    """What tells whether an entry was changed, replaced or is gone; not followed, for links are of interest themselves."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return ()
    if (found.st_mode & 0o170000) == 0o040000:
        return (found.st_mode, found.st_ino, found.st_dev)  # a folder's own mtime is for those who list it
    return (found.st_mode, found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns)
