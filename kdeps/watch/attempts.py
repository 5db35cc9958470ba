# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which refreshes have been tried, and which are known not to help.

What did not help is not tried again until something changes that could matter: a
cause, or a source next to one. A file that a compile misses is in no record, so
after a failure every source that appears beside those that are known counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

MAX_STREAK = 3
"""How many refreshes may follow each other without curing a module; a synced configuration may need two."""
_SOURCE = re.compile(r".*\.(rs|c|h|S)|(Makefile|Kbuild|Kconfig).*", re.DOTALL)

Causes = frozenset[tuple[str, str, int]]
"""What makes a module stale (``Look.causes``)."""


class Attempts:
    """The memory of a watch that refreshes. Modules go by their names."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.log = log
        self.sources: frozenset[str] = frozenset()
        """Where the sources of the last refresh lie."""
        self.folders: frozenset[str] = frozenset()
        """Where sources may appear that a failed refresh has missed."""
        self._streak: dict[str, int] = {}
        self._tried: dict[str, Causes] = {}
        """Module → the causes that its last refresh was to cure."""
        self._given_up: dict[str, Causes] = {}
        self._notes: dict[str, str] = {}

    def note_of(self, name: str) -> str:
        """What there is to say of a module's refresh; empty: nothing."""
        return self._notes.get(name, "")

    def note(self, name: str, text: str) -> None:
        """Say something of a module's refresh."""
        self._notes[name] = text

    def note_begin(self, name: str, causes: Causes) -> None:
        """A refresh begins."""
        self._tried[name] = causes
        self._streak[name] = self._streak.get(name, 0) + 1
        self._notes.pop(name, None)

    def note_change(self, paths: list[str]) -> None:
        """Something has changed: a source beside those of a failed refresh makes it worth another try."""
        if self.folders and any(
            os.path.dirname(path) in self.folders and _SOURCE.fullmatch(os.path.basename(path))
            for path in paths
        ):
            self._given_up.clear()
            self._streak.clear()
            self._tried.clear()

    def is_worth_it(self, name: str, causes: Causes) -> bool:
        """Whether a refresh of a stale module might cure it; says so if not."""
        if name in self._given_up:
            if self._given_up[name] == causes:
                return False
            del self._given_up[name]
            self._streak.pop(name, None)
        elif causes in self._given_up.values():
            return self.give_up(name, causes, "waiting for the next change, as the refresh has failed")
        elif self._tried.get(name) == causes:
            return self.give_up(name, causes, "refreshed, but still stale; waiting for the next change")
        if self._streak.get(name, 0) >= MAX_STREAK:
            return self.give_up(name, causes, "does not become fresh; waiting for the next change")
        return True

    def give_up(self, name: str, causes: Causes, why: str) -> bool:
        """Do not try again by yourself; always ``False``."""
        self._given_up[name] = causes
        self._tried.pop(name, None)
        self.folders = self.sources
        if self._notes.get(name) != why:
            self._notes[name] = why
            self.log(f"{name}: {why}")
        return False

    def was_tried(self, name: str) -> bool:
        """Whether a refresh has been begun since the module was last fresh, and not given up."""
        return name in self._tried

    def forget(self, name: str) -> None:
        """A module is not stale (any more)."""
        for memory in (self._tried, self._streak, self._given_up, self._notes):
            memory.pop(name, None)
        if not self._given_up:
            self.folders = frozenset()
