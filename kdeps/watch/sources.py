# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Everything that can say "something has changed": events, polling, the table of mounts.

A source never says what the change means. What cannot be watched is polled, and
said once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from kdeps.inputs import Paths
from kdeps.watch.inotify import INSTANCE_LIMIT, USER_LIMIT, Events, Inotify
from kdeps.watch.interest import Interest, find_interest
from kdeps.watch.polling import (
    INTERVAL_S,
    MAX_INTERVAL_S,
    MAX_SHARE,
    Poller,
    find_eventless,
    find_mount,
    read_mounts,
)

_SOME = 4


class Prepared(NamedTuple):
    """What came of getting ready to notice changes."""

    added: int
    """Folders that were not watched before: what changed in them until now went unnoticed."""
    note: str
    """What a person should know of how well this is watched; empty where everything is."""


class Sources:
    """Watches what it can, and polls the rest."""

    def __init__(self, *, only_poll: bool = False) -> None:
        self.inotify: Inotify | None = None
        self.poller = Poller()
        self.silent: frozenset[str] = frozenset()
        """Mount points of file systems that changed without an event."""
        self.note = ""
        self._why = "as asked"
        self._paths: Paths | None = None
        self._interest = Interest({}, frozenset())
        self._refresh = True
        self._poll_took_s = 0.0
        self._mounts = read_mounts()
        self._mount_file: int | None = None
        if not only_poll:
            try:
                self.inotify = Inotify()
            except OSError as error:
                self._why = f"{error.strerror}; the limit is the sysctl {INSTANCE_LIMIT}"
        with contextlib.suppress(OSError):
            self._mount_file = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def descriptor(self) -> int | None:
        """Readable when there are events."""
        return None if self.inotify is None else self.inotify.descriptor

    @property
    def mount_descriptor(self) -> int | None:
        """Has priority data when the table of mounts has changed."""
        return self._mount_file

    def prepare(self, paths: Paths) -> Prepared:
        """Watch what these paths depend on, as the file system is now."""
        if paths != self._paths or self._refresh:
            self._interest = find_interest(paths)
            self._paths = paths
        refresh, self._refresh = self._refresh, False
        if self.inotify is None:
            before = len(self.poller)
            self.poller.poll_for(self._interest.names, self._interest)
            self.note = f"looking every {self.interval_s:.0f} s, without events: {self._why}"
            return Prepared(max(len(self.poller) - before, 0), self.note)
        came = self.inotify.watch(self._interest, refresh=refresh)
        eventless = find_eventless(self._interest.names, self._mounts, self.silent)
        self.poller.poll_for(dict.fromkeys((*came.unwatched, *eventless)), self._interest)
        self.note = self._describe(came.unwatched, came.limit, eventless)
        return Prepared(came.added, self.note)

    def _describe(self, unwatched: tuple[str, ...], limit: str, eventless: tuple[str, ...]) -> str:
        notes = []
        if limit:
            value = _read_number(f"/proc/sys/{USER_LIMIT.replace('.', '/')}")
            notes.append(
                f"{len(unwatched)} of {len(self._interest.names)} folders are polled, for the limit of watches is "
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
        if self.inotify is None:
            return Events((), False, False)
        events = self.inotify.read()
        if events.lost or events.moved:
            self._refresh = True
        return events

    def poll(self) -> tuple[str, ...]:
        """Look at what is polled; the folders that changed."""
        started = time.perf_counter()
        changed = self.poller.look()
        self._poll_took_s = time.perf_counter() - started
        if changed:
            self._refresh = True
        return changed

    @property
    def interval_s(self) -> float:
        """How often to poll."""
        return min(max(INTERVAL_S, self._poll_took_s / MAX_SHARE), MAX_INTERVAL_S)

    def renew(self) -> None:
        """Take nothing for granted: the next ``prepare`` asks for every folder anew."""
        self._refresh = True
        self._mounts = read_mounts()

    def distrust(self, paths: list[str]) -> None:
        """Files changed and no event came: poll the file systems they are on from now on."""
        points = {
            find_mount(os.path.realpath(os.path.dirname(path)), self._mounts).point for path in paths[:_SOME]
        }
        self.silent |= points
        self._refresh = True

    def close(self) -> None:
        """Give all descriptors back."""
        if self.inotify is not None:
            self.inotify.close()
            self.inotify = None
        if self._mount_file is not None:
            os.close(self._mount_file)
            self._mount_file = None


def name_some(paths: Sequence[str], what: str) -> str:
    """Name the first of some paths, and count the others."""
    others = len(paths) - 1
    return f"{paths[0]} and {others} more {what}{'s' if others > 1 else ''}" if others else paths[0]


def _read_number(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
