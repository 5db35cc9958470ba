# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When to look: after the writing has stopped, once.

Pure: every method is told the time (seconds of any clock that never goes back).

* After a change, wait until nothing has changed for ``quiet_s``: an editor's save is
  three events, a script's edit of forty files is forty.
* A look takes about as long as the quiet. So it may begin early in it: what it saw
  counts if the quiet lasts, and was seen of a state that is over if not.
* While git checks out or make builds, wait for it to end, and then for the quiet:
  there may be a next step (a rebase, the module's make after the kernel's).
* A stream of changes that never ends is looked at every ``MAX_WAIT_S`` all the same.
* A make under whose hands nothing changes for ``SILENT_S`` is perhaps none that builds (it may
  boot what was built); then a look is true of what lies there, and the end is waited for all the same.
"""

from __future__ import annotations

from enum import Enum

QUIET_S = 0.1
EARLY_S = 0.02
"""How much of the quiet has to pass before an early look: the events of one save are over by then."""
EARLY_LOOKS = 2
"""How many of them there are between two looks that count; in a stream of changes every gap would cost one."""
EARLY_SHARE = 3.0
"""Of the quiet: a look that takes longer gains little by it, and costs much if it is void."""
GIT_QUIET_S = 0.4
"""Between the steps of a rebase git lets go of its lock for a moment."""
MAX_WAIT_S = 2.0
SILENT_S = 60.0
"""The slowest steps of the crates take some 30 s on two cores, and write when they end."""
RECHECK_S = 0.25
"""How often to ask whether somebody is still writing, where nothing tells."""
SLOW_RECHECK_S = 2.0
"""The same where something should."""


class Busy(Enum):
    """Who is writing to the tree."""

    NOBODY = "nobody"
    GIT = "git"
    MAKE = "make"
    REFRESH = "refresh"
    """A make of our own."""


class Settle:
    """Decides when a change is over."""

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        self.quiet_s = quiet_s
        self.busy = Busy.NOBODY
        self.look_s = 0.0
        """How long the last look took."""
        self._first: float | None = None
        self._last = 0.0
        self._git_at: float | None = None
        self._recheck_at = 0.0
        self._early_looks = 0
        self._early_changes = -1
        """The count of changes at the last of them."""
        self.changes = 0
        """Counts what calls an answer in question. The same number means that nothing has happened in between."""

    @property
    def pending(self) -> bool:
        """Something has changed that nobody has looked at yet."""
        return self._first is not None

    def note_change(self, now: float) -> None:
        """Something of interest has changed."""
        self.changes += 1
        self._first = now if self._first is None else self._first
        self._last = now

    def note_git(self, now: float) -> None:
        """git has taken or given back its lock, which by itself changes nothing."""
        self.changes += 1
        self._git_at = now
        self._recheck_at = 0.0

    def note_end(self, now: float) -> None:
        """Whoever was writing has perhaps ended: ask, and begin the quiet anew."""
        self.changes += 1
        self._recheck_at = 0.0
        if self.pending:
            self._last = max(self._last, now)

    def due_at(self) -> float | None:
        """When to ask who is busy and, if nobody is, to look; ``None``: not before the next change."""
        if self._first is None:
            return None
        if self.busy is not Busy.NOBODY:
            return self._recheck_at
        quiet_s = self.quiet_s
        if self._git_at is not None and self._git_at >= self._first - GIT_QUIET_S:
            quiet_s = max(quiet_s, GIT_QUIET_S)
        return min(max(self._last, self._git_at or 0.0) + quiet_s, self._first + max(MAX_WAIT_S, quiet_s))

    def is_due(self, now: float) -> bool:
        """Whether it is time to ask who is busy."""
        due = self.due_at()
        return due is not None and now >= due

    def early_at(self) -> float | None:
        """When to ask who is busy and, if nobody is, to look early; ``None``: not before the next change."""
        due = self.due_at()
        if due is None or self.busy is not Busy.NOBODY:
            return None
        if self.look_s > EARLY_SHARE * self.quiet_s:
            return None
        if self._early_looks >= EARLY_LOOKS or self._early_changes == self.changes:
            return None
        early = self._last + EARLY_S
        return early if early + EARLY_S <= due else None

    def is_early_due(self, now: float) -> bool:
        """Whether it is time for an early look."""
        early = self.early_at()
        return early is not None and now >= early

    def note_early(self) -> None:
        """The early look is taken now."""
        self._early_looks += 1
        self._early_changes = self.changes

    def found_busy(self, busy: Busy, now: float, *, recheck_s: float = RECHECK_S) -> bool:
        """Take the answer to who is busy; return whether to look now."""
        was, self.busy = self.busy, busy
        if busy is not Busy.NOBODY:
            self.changes += 1
            self._recheck_at = now + recheck_s
            return busy is Busy.MAKE and now >= self._last + SILENT_S
        if was is Busy.NOBODY:
            return True
        self._first = self._last = now  # it has just ended: the quiet begins
        self._early_looks = 0
        return False

    def looked(self, now: float, *, still_changing: bool) -> None:
        """A look was taken; ``still_changing``: something changed during it, so it does not count."""
        self._first = None
        self._early_looks = 0
        if still_changing:
            self.note_change(now)
        elif self.busy is not Busy.NOBODY:
            self._first = self._last = now  # whoever it is will end
