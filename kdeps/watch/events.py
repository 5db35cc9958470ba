# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What announces a change: file events, polling, the table of mounts.

What cannot be watched is polled: folders beyond the limit of watches, and file systems whose changes
happen elsewhere (on a server, on the host of a virtual machine) or that send no events.
Such a folder's stamps are taken now and then and compared with the last ones.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence

from kdeps.staleness.dependencies import Dependencies
from kdeps.system.files import read_text
from kdeps.system.mounts import Mount, find_mount, open_mounts, read_mounts
from kdeps.system.text import counted
from kdeps.watch.inotify import INSTANCE_LIMIT, USER_LIMIT, Events, Inotify
from kdeps.watch.interest import Interest, find_interest

INTERVAL_S, MAX_INTERVAL_S = 1.0, 5.0
MAX_SHARE = 0.03
"""Of the time that polling may take; a slow server makes the interval longer."""
EVENTLESS = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|virtiofs|fuse(\..+)?|fuseblk|ceph|afs|coda|ncpfs|vboxsf|prl_fs|vmhgfs|drvfs|gpfs|lustre|glusterfs"
    r"|ocfs2|gfs2|beegfs|orangefs|pvfs2|osxfs|grpcfuse|fakeowner|davfs"
)
"""Types of file systems that others change without an event here."""
_SOME = 4

Stamps = tuple[object, ...]


class Sources:
    """Watches what it can, and polls the rest."""

    def __init__(self, log: Callable[[str], None], *, only_poll: bool = False) -> None:
        self.log = log
        self.poller = Poller()
        self.note = ""
        """What limits the watching, for people; empty where nothing does."""
        self._inotify: Inotify | None = None
        self._why = "as asked"
        self._silent: frozenset[str] = frozenset()
        """Mount points of file systems that changed without an event."""
        self._paths: Dependencies | None = None
        self._interest = Interest({}, frozenset())
        self._refresh = True
        """Paths may lead elsewhere than when they were walked last."""
        self._poll_took_s = 0.0
        self._mounts = read_mounts()
        self.mount_descriptor: int | None = None
        """Has priority data when the table of mounts has changed."""
        if not only_poll:
            try:
                self._inotify = Inotify()
            except OSError as error:
                self._why = f"{error.strerror}; the limit is the sysctl {INSTANCE_LIMIT}"
        with contextlib.suppress(OSError):
            self.mount_descriptor = open_mounts()

    @property
    def descriptor(self) -> int | None:
        """Readable when there are events."""
        return None if self._inotify is None else self._inotify.descriptor

    @property
    def watched(self) -> int:
        """How many folders send events."""
        return 0 if self._inotify is None else len(self._inotify)

    @property
    def interval_s(self) -> float:
        """How often to poll."""
        return min(max(INTERVAL_S, self._poll_took_s / MAX_SHARE), MAX_INTERVAL_S)

    def watch(self, paths: Dependencies) -> int:
        """Watch what these paths depend on, as the file system is now.

        Returns how many folders were not watched before: what changed in them until now went unnoticed.
        """
        if paths != self._paths or self._refresh:
            self._interest = find_interest(paths)
            self._paths = paths
        refresh, self._refresh = self._refresh, False
        before = self.note
        if self._inotify is None:
            polled = len(self.poller)
            self.poller.poll_for(self._interest.names, self._interest)
            self.note = f"checking every {self.interval_s:.0f} s, without events: {self._why}"
            added = max(len(self.poller) - polled, 0)
        else:
            came = self._inotify.watch(self._interest, refresh=refresh)
            eventless = find_eventless(self._interest.names, self._mounts, self._silent)
            self.poller.poll_for(dict.fromkeys((*came.unwatched, *eventless)), self._interest)
            self.note = self._describe(came.unwatched, came.limit, eventless)
            added = came.added
        if self.note and self.note != before:
            self.log(self.note)
        return added

    def _describe(self, unwatched: tuple[str, ...], limit: str, eventless: tuple[str, ...]) -> str:
        notes = []
        if limit:
            value = read_text(f"/proc/sys/{USER_LIMIT.replace('.', '/')}").strip()
            notes.append(
                f"{len(unwatched)} of {len(self._interest.names)} folders are polled, because the limit of watches is "
                f"reached: raise the sysctl {USER_LIMIT}{f' (now {value})' if value else ''}"
            )
        elif unwatched:
            notes.append(f"{name_some(unwatched, 'folder')} cannot be watched; polling there")
        if eventless:
            mount = find_mount(eventless[0], self._mounts)
            notes.append(f"{mount.point} ({mount.kind}) sends no events: {len(eventless)} folders are polled")
        return "; ".join(notes)

    def read(self) -> Events:
        """Read the events there are; does not wait."""
        events = self._inotify.read() if self._inotify is not None else Events()
        self._refresh |= events.lost or events.moved
        return events

    def poll(self) -> tuple[str, ...]:
        """Look at what is polled; the folders that changed."""
        started = time.perf_counter()
        changed = self.poller.look()
        self._poll_took_s = time.perf_counter() - started
        self._refresh |= bool(changed)
        return changed

    def renew(self) -> None:
        """Let the next ``watch`` walk every path again."""
        self._refresh = True
        self._mounts = read_mounts()

    def distrust(self, paths: list[str]) -> None:
        """Poll the file systems of these files, which changed without an event, from now on."""
        folders = (os.path.realpath(os.path.dirname(path)) for path in paths[:_SOME])
        self._silent |= {find_mount(folder, self._mounts).point for folder in folders}
        self._refresh = True

    def close(self) -> None:
        """Give all descriptors back."""
        if self._inotify is not None:
            self._inotify.close()
        if self.mount_descriptor is not None:
            os.close(self.mount_descriptor)
        self._inotify = self.mount_descriptor = None


def find_eventless(
    folders: Iterable[str], mounts: tuple[Mount, ...], silent: frozenset[str]
) -> tuple[str, ...]:
    """Find the real folders that send no events, or not all; ``silent`` mount points were caught changing without
    one.
    """
    if not silent and not any(EVENTLESS.fullmatch(mount.kind) for mount in mounts):
        return ()
    found = [(folder, find_mount(folder, mounts)) for folder in folders]
    return tuple(folder for folder, m in found if m.point in silent or EVENTLESS.fullmatch(m.kind))


def name_some(paths: Sequence[str], what: str) -> str:
    """Name the first of some paths, and count the others."""
    others = len(paths) - 1
    return f"{paths[0]} and {counted(others, f'more {what}')}" if others else paths[0]


class Poller:
    """Remembers the stamps of some folders."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str] | None] = {}
        self._stamps: dict[str, Stamps] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, folder: object) -> bool:
        return folder in self._names

    def poll_for(self, folders: Iterable[str], interest: Interest) -> None:
        """Poll these folders, and no others any more; the stamps of a new one are taken now."""
        before = self._names
        self._names = {folder: interest.names.get(folder) for folder in folders}
        self._stamps = {
            folder: self._stamps[folder] if folder in before and before[folder] == names else _take(folder, names)
            for folder, names in self._names.items()
        }  # fmt: skip

    def look(self) -> tuple[str, ...]:
        """Take all stamps again; return the folders that changed."""
        changed = []
        for folder, names in self._names.items():
            stamps = _take(folder, names)
            if stamps != self._stamps.get(folder):
                self._stamps[folder] = stamps
                changed.append(folder)
        return tuple(changed)


def _take(folder: str, names: frozenset[str] | None) -> Stamps:
    if names is None:
        try:
            names = frozenset(os.listdir(folder))
        except OSError as error:
            return (error.errno,)
    return tuple((name, _stamp(os.path.join(folder, name))) for name in sorted(names))


def _stamp(path: str) -> Stamps:
    """Take what shows that an entry was changed, replaced or deleted. Links are not followed: they are of interest."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return ()
    if (found.st_mode & 0o170000) == 0o040000:
        return (found.st_mode, found.st_ino, found.st_dev)  # its mtime is of interest only to a listing of it
    return (found.st_mode, found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns)
