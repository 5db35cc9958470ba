# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When a watch looks. The clock is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdeps.watch.settle import EARLY_LOOKS, EARLY_S, GIT_QUIET_S, MAX_WAIT_S, SILENT_S, Busy, Settle


def test_it_waits_for_the_quiet_after_the_last_change() -> None:
    """Three events of one save are one look, a moment after the last."""
    settle = Settle(0.1)
    assert settle.due_at() is None
    for now in (1.0, 1.02, 1.05):
        settle.note_change(now)
    assert not settle.is_due(1.14)
    assert settle.is_due(1.16)
    assert settle.found_busy(Busy.NOBODY, 1.16)
    settle.looked(1.2, still_changing=False)
    assert settle.due_at() is None


def test_a_stream_that_never_ends_is_looked_at_all_the_same() -> None:
    """Changes every 50 ms do not put the look off for ever."""
    settle = Settle(0.1)
    for step in range(100):
        settle.note_change(step * 0.05)
    assert settle.due_at() == MAX_WAIT_S


def test_nothing_is_looked_at_while_make_runs_and_the_quiet_begins_when_it_ends() -> None:
    """However long it is quiet in between: the module's make may follow the kernel's at once."""
    settle = Settle(0.1)
    settle.note_change(1.0)
    assert not settle.found_busy(Busy.MAKE, 1.1)
    assert settle.due_at() == pytest.approx(1.35)
    assert not settle.found_busy(Busy.MAKE, 9.0, recheck_s=2)
    assert settle.due_at() == 11.0
    settle.note_end(10.0)
    assert settle.is_due(10.0)
    assert not settle.found_busy(Busy.NOBODY, 10.0)
    assert not settle.is_due(10.05)
    assert settle.is_due(10.1)
    assert settle.found_busy(Busy.NOBODY, 10.1)


def test_a_make_that_changes_nothing_for_long_is_looked_past() -> None:
    """It may run what was built, for hours; but each change begins the silence anew, and its end is waited for."""
    settle = Settle(0.1)
    settle.note_change(1.0)
    assert not settle.found_busy(Busy.MAKE, 1.1)
    settle.note_change(20.0)
    assert not settle.found_busy(Busy.MAKE, 20.0 + SILENT_S - 1)
    assert settle.found_busy(Busy.MAKE, 20.0 + SILENT_S)
    settle.looked(81.0, still_changing=False)
    assert settle.pending
    assert not settle.found_busy(Busy.MAKE, 82.0)
    assert not settle.found_busy(Busy.REFRESH, 1000.0)
    settle.note_end(1001.0)
    assert not settle.found_busy(Busy.NOBODY, 1001.0)
    assert settle.is_due(1001.2)
    assert settle.found_busy(Busy.NOBODY, 1001.2)
    settle.looked(1001.3, still_changing=False)
    assert not settle.pending


def test_between_the_steps_of_a_rebase_it_waits_longer() -> None:
    """git lets go of its lock for a moment; that is not the end yet."""
    settle = Settle(0.1)
    settle.note_git(1.0)
    settle.note_change(1.1)
    settle.note_git(1.2)
    assert settle.due_at() == pytest.approx(1.2 + GIT_QUIET_S)
    assert Settle(0.1).due_at() is None


def test_git_alone_changes_nothing() -> None:
    """``git status`` takes the lock at every prompt: no look for that."""
    settle = Settle()
    settle.note_git(1.0)
    assert settle.due_at() is None
    assert not settle.pending


def test_what_changed_during_a_look_is_looked_at_again() -> None:
    """The look does not count, and the quiet begins anew."""
    settle = Settle(0.1)
    settle.note_change(1.0)
    settle.looked(1.2, still_changing=True)
    assert settle.due_at() == pytest.approx(1.3)


def test_a_look_may_begin_before_the_quiet_is_over() -> None:
    """Once for each change, a moment after it; what it saw counts while nothing else happens."""
    settle = Settle(0.1)
    assert settle.early_at() is None
    settle.note_change(1.0)
    assert settle.early_at() == pytest.approx(1.0 + EARLY_S)
    settle.note_early()
    began = settle.changes
    assert settle.early_at() is None
    assert settle.is_due(1.11)
    assert settle.found_busy(Busy.NOBODY, 1.11)
    assert settle.changes == began


@pytest.mark.parametrize("what", ["change", "git", "end", "busy"])
def test_whatever_happens_calls_an_early_look_in_question(what: str) -> None:
    """A change, git's lock, the end of a make, a make that runs: the count of changes tells of each."""
    settle = Settle(0.1)
    settle.note_change(1.0)
    settle.note_early()
    began = settle.changes
    if what == "change":
        settle.note_change(1.05)
    elif what == "git":
        settle.note_git(1.05)
    elif what == "end":
        settle.note_end(1.05)
    else:
        settle.found_busy(Busy.MAKE, 1.05)
    assert settle.changes != began


def test_early_looks_are_few_in_a_stream_of_changes() -> None:
    """Every gap is long enough for one, but only so many are begun until one look has counted."""
    settle = Settle(0.1)
    early = 0
    for step in range(30):
        settle.note_change(step * 0.05)
        if settle.is_early_due(step * 0.05 + 0.03):
            settle.note_early()
            early += 1
    assert early == EARLY_LOOKS
    settle.looked(1.6, still_changing=True)
    assert settle.early_at() is not None


def test_there_is_no_early_look_where_it_gains_nothing() -> None:
    """While somebody writes, and where the quiet is short: for the moment that is waited first, or for a slow look."""
    settle = Settle(0.1)
    settle.note_change(1.0)
    settle.found_busy(Busy.MAKE, 1.02)
    assert settle.early_at() is None
    settle = Settle(0.02)
    settle.note_change(1.0)
    assert settle.early_at() is None
    settle = Settle(0.1)
    settle.look_s = 0.5
    settle.note_change(1.0)
    assert settle.early_at() is None


@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from(("change", "git", "end"))), min_size=1, max_size=60)
)
def test_every_change_is_looked_at_in_time(steps: list[tuple[float, str]]) -> None:
    """Whatever the order of changes and git's doings: after a change a look is due, and never later than the longest wait."""
    settle = Settle(0.1)
    now = 0.0
    first: float | None = None
    for wait, what in steps:
        now += wait
        if settle.is_due(now) and settle.found_busy(Busy.NOBODY, now):
            assert first is not None
            settle.looked(now, still_changing=False)
            first = None
        if what == "change":
            settle.note_change(now)
            first = now if first is None else first
        elif what == "git":
            settle.note_git(now)
        else:
            settle.note_end(now)
        assert settle.pending == (first is not None)
        due, early = settle.due_at(), settle.early_at()
        assert (due is None) == (first is None)
        assert early is None or (due is not None and early < due)
        if due is not None and first is not None:
            assert due <= first + MAX_WAIT_S + GIT_QUIET_S
