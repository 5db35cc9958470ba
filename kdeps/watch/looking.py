# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Looking at every module, and watching all that the looks have shown to matter."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.inputs import Paths
from kdeps.report.verdict_json import Json
from kdeps.watch.busy import Writers, find_repository
from kdeps.watch.modules import Watchlist
from kdeps.watch.sources import Sources, name_some
from kdeps.watch.target import Look
from kdeps.watch.watched import Watched


class Looks(NamedTuple):
    """One look at each module."""

    all: tuple[tuple[Watched, Look], ...]
    changes: int
    """The count of changes (``Settle.changes``) when they began."""


class Looker:
    """Takes looks; knows the last ones only as far as it takes to tell whether anything is new."""

    def __init__(
        self, modules: Watchlist, sources: Sources, writers: Writers, log: Callable[[str], None]
    ) -> None:
        self.modules, self.sources, self.writers, self.log = modules, sources, writers, log
        self.more: frozenset[str] = frozenset()
        """Folders that are of interest for another reason than a look."""
        self.looks = 0
        self.missed = 0
        """Changes that a look of the clock's found, and no event had told of."""
        self.took_s = 0.0
        self._early: Looks | None = None
        self._last: dict[str, int] = {}
        """Module → the fingerprint of the last look."""

    def look(self, changes: int) -> Looks:
        """Look at every module.

        Args:
            changes: The count of changes, after everything that has happened was noted.
        """
        began = time.monotonic()
        looks = tuple((one, one.target.look()) for one in self.modules)
        self.looks += 1
        self.took_s = time.monotonic() - began
        return Looks(looks, changes)

    def keep(self, looks: Looks) -> None:
        """Keep looks that were taken early."""
        self._early = looks

    def take_early(self, changes: int) -> Looks | None:
        """The looks that were kept, if nothing has happened since they began."""
        early, self._early = self._early, None
        return early if early is not None and early.changes == changes else None

    def is_same(self, looks: Looks) -> bool:
        """Whether the looks saw what the last ones did, to the nanosecond."""
        before, self._last = self._last, {one.target.name: look.fingerprint for one, look in looks.all}
        return before == self._last

    def prepare(self) -> int:
        """Watch what all modules depend on; how many folders are new."""
        files: set[str] = set(self.modules.marks)
        folders: set[str] = set(self.more)
        for one in self.modules:
            paths = one.target.find_paths()
            files |= paths.files
            folders |= paths.folders
        self.writers.repository = find_repository(self.modules.first.target.tree.srctree)
        if self.writers.repository is not None:
            files.add(self.writers.repository.lock)
        before = self.sources.note
        prepared = self.sources.prepare(Paths(frozenset(files), frozenset(folders)))
        if prepared.note and prepared.note != before:
            self.log(prepared.note)
        return prepared.added

    def count_missed(self, looks: Looks) -> None:
        """Looks of the clock's that differ from the last ones: find the files that changed unnoticed."""
        for one, look in looks.all:
            if one.look is None or one.look.fingerprint == look.fingerprint:
                continue
            before, stamps = one.look.stamps, look.stamps
            paths = [path for path in before.keys() | stamps.keys() if before.get(path) != stamps.get(path)]
            if all(os.path.realpath(os.path.dirname(path)) in self.sources.poller for path in paths):
                continue  # the next poll would have found them; or it is no file, but what a compiler says of itself
            self.missed += 1
            some = name_some(sorted(paths), "file")
            self.log(f"{one.target.name}: {some} changed and no event came; polling there from now on")
            self.sources.distrust(paths)

    def about(self) -> Json:
        """What there is to say of the watch as a whole."""
        inotify = self.sources.inotify
        return {
            "looks": self.looks,
            "missed": self.missed,
            "watched": 0 if inotify is None else len(inotify),
            "polled": len(self.sources.poller),
        }
