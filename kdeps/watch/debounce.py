# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When to check: once, after the writing has stopped.

Pure: every method is given the time (seconds of any clock that never goes back).

* After a change, wait until nothing has changed for ``quiet_s``. An editor's save is
  three events, a script's edit of forty files is forty.
* A check takes about as long as the quiet. So it may begin early in it: what it found
  counts if the quiet lasts, and is thrown away if not.
* While git checks out or make builds, wait for its end, and then for the quiet:
  there may be a next step (a rebase, the module's make after the kernel's).
* A stream of changes that never ends is checked every ``MAX_WAIT_S`` all the same.
* A make that changes nothing for ``SILENT_S`` may not build at all (it may boot what was built).
  Then a check is true of what is on the disk. The end of that make is waited for all the same.
"""

from __future__ import annotations

from enum import Enum

QUIET_S = 0.1
EARLY_S = 0.02
"""How much of the quiet has to pass before an early check: the events of one save are over by then."""
EARLY_CHECKS = 2
"""How many early checks there are between two that count; in a stream of changes every gap would cost one."""
EARLY_SHARE = 3.0
"""Of the quiet: a check that takes longer gains little by an early start, and costs much if it is void."""
GIT_QUIET_S = 0.4
"""Between the steps of a rebase git releases its lock for a moment."""
MAX_WAIT_S = 2.0
SILENT_S = 60.0
"""The slowest steps of the crates take some 30 s on two cores, and write when they end."""
RECHECK_S = 0.25
"""How often to look for a writer where no event will announce its end."""
SLOW_RECHECK_S = 2.0
"""How often to look where an event will."""


class Activity(str, Enum):
    """Whether the verdict is that of this moment, and if not, why not. The values are stable: JSON carries them."""

    CURRENT = "current"
    SETTLING = "settling"
    """Something has changed; the answer follows when it is quiet."""
    GIT = "checkout"
    """git is changing the files of the source tree."""
    MAKE = "building"
    """A make runs in one of the trees."""
    REFRESH = "refreshing"
    """The watch's own make runs."""


class Debounce:
    """Decides when a change is over."""

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        self.quiet_s = quiet_s
        self.writer: Activity | None = None
        """Who was writing when that was last looked up."""
        self.check_s = 0.0
        self.changes = 0
        """Counts what calls an answer in question. The same number means that nothing has happened in between."""
        self._first: float | None = None
        self._last = 0.0
        self._git_at: float | None = None
        self._recheck_at = 0.0
        self._early_checks = 0
        self._early_changes = -1
        """The count of changes at the last of them."""

    @property
    def pending(self) -> bool:
        """Whether something has changed since the last check."""
        return self._first is not None

    @property
    def activity(self) -> Activity:
        """What is going on."""
        return (self.writer or Activity.SETTLING) if self.pending else Activity.CURRENT

    def note_change(self, now: float) -> None:
        """Something of interest has changed."""
        self.changes += 1
        self._first = now if self._first is None else self._first
        self._last = now

    def note_git(self, now: float) -> None:
        """git has taken or released its lock, which by itself changes nothing."""
        self.changes += 1
        self._git_at = now
        self._recheck_at = 0.0

    def note_end(self, now: float) -> None:
        """A writer has perhaps ended: look for writers again, and restart the quiet period."""
        self.changes += 1
        self._recheck_at = 0.0
        if self.pending:
            self._last = max(self._last, now)

    def note_writer(self, writer: Activity | None, now: float, *, recheck_s: float = RECHECK_S) -> bool:
        """Note who is writing, if anything is; return whether to check now."""
        was, self.writer = self.writer, writer
        if writer is not None:
            self.changes += 1
            self._recheck_at = now + recheck_s
            return writer is Activity.MAKE and now >= self._last + SILENT_S
        if was is None:
            return True
        self._first = self._last = now  # it has just ended: the quiet begins
        self._early_checks = 0
        return False

    def note_early(self) -> None:
        """The early check begins."""
        self._early_checks += 1
        self._early_changes = self.changes

    def note_checked(self, now: float) -> None:
        """A check has ended."""
        self._first = None
        self._early_checks = 0
        if self.writer is not None:
            self._first = self._last = now  # the writer will end

    def due_at(self) -> float | None:
        """When to look for writers and, without any, to check. Returns None if nothing has changed."""
        if self._first is None:
            return None
        if self.writer is not None:
            return self._recheck_at
        quiet_s = self.quiet_s
        if self._git_at is not None and self._git_at >= self._first - GIT_QUIET_S:
            quiet_s = max(quiet_s, GIT_QUIET_S)
        return min(max(self._last, self._git_at or 0.0) + quiet_s, self._first + max(MAX_WAIT_S, quiet_s))

    def is_due(self, now: float) -> bool:
        """Whether ``due_at`` has come."""
        due = self.due_at()
        return due is not None and now >= due

    def early_at(self) -> float | None:
        """When to begin a check before the quiet is over. Returns None if there should be none."""
        due = self.due_at()
        if due is None or self.writer is not None or self.check_s > EARLY_SHARE * self.quiet_s:
            return None
        if self._early_checks >= EARLY_CHECKS or self._early_changes == self.changes:
            return None
        early = self._last + EARLY_S
        return early if early + EARLY_S <= due else None

    def is_early_due(self, now: float) -> bool:
        """Whether ``early_at`` has come."""
        early = self.early_at()
        return early is not None and now >= early
