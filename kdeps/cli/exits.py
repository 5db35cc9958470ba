# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Exit statuses, and which verdict gives which."""

from __future__ import annotations

from enum import IntEnum

TYPE_CHECKING = False  # `make` imports this before it knows whether anything has to be judged
if TYPE_CHECKING:
    from kdeps.staleness.reasons import Status


class Exit(IntEnum):
    """Exit statuses; also in the README."""

    FRESH = 0
    STALE = 1
    ERROR = 2
    BUG = 3
    SKIPPED = 125
    """What `git bisect run` takes for "this one cannot be tested"; only with ``kdeps ci --bisect``."""
    INTERRUPTED = 130


class ExitInstead(Exception):
    """End with this status instead of running make."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def exit_of(status: Status) -> Exit:
    """Return the exit status of a verdict."""
    return {"fresh": Exit.FRESH, "stale": Exit.STALE, "unknown": Exit.ERROR}[status.value]
