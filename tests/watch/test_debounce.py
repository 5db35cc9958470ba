# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When a watch looks. The clock is a number."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdeps.watch.debounce import EARLY_CHECKS, EARLY_S, GIT_QUIET_S, MAX_WAIT_S, SILENT_S, Activity, Debounce


def test_it_waits_for_the_quiet_after_the_last_change() -> None:
    """Three events of one save are one look, a moment after the last."""
    debounce = Debounce(0.1)
    assert debounce.due_at() is None
    for now in (1.0, 1.02, 1.05):
        debounce.note_change(now)
    assert not debounce.is_due(1.14)
    assert debounce.is_due(1.16)
    assert debounce.note_writer(None, 1.16)
    debounce.note_checked(1.2)
    assert debounce.due_at() is None


def test_a_stream_that_never_ends_is_looked_at_all_the_same() -> None:
    """Changes every 50 ms do not put the check off for ever."""
    debounce = Debounce(0.1)
    for step in range(100):
        debounce.note_change(step * 0.05)
    assert debounce.due_at() == MAX_WAIT_S


def test_nothing_is_looked_at_while_make_runs_and_the_quiet_begins_when_it_ends() -> None:
    """However long it is quiet in between: the module's make may follow the kernel's at once."""
    debounce = Debounce(0.1)
    debounce.note_change(1.0)
    assert not debounce.note_writer(Activity.MAKE, 1.1)
    assert debounce.due_at() == pytest.approx(1.35)
    assert not debounce.note_writer(Activity.MAKE, 9.0, recheck_s=2)
    assert debounce.due_at() == 11.0
    debounce.note_end(10.0)
    assert debounce.is_due(10.0)
    assert not debounce.note_writer(None, 10.0)
    assert not debounce.is_due(10.05)
    assert debounce.is_due(10.1)
    assert debounce.note_writer(None, 10.1)


def test_a_make_that_changes_nothing_for_long_is_looked_past() -> None:
    """It may run what was built, for hours; but each change begins the silence anew, and its end is waited for."""
    debounce = Debounce(0.1)
    debounce.note_change(1.0)
    assert not debounce.note_writer(Activity.MAKE, 1.1)
    debounce.note_change(20.0)
    assert not debounce.note_writer(Activity.MAKE, 20.0 + SILENT_S - 1)
    assert debounce.note_writer(Activity.MAKE, 20.0 + SILENT_S)
    debounce.note_checked(81.0)
    assert debounce.pending
    assert not debounce.note_writer(Activity.MAKE, 82.0)
    assert not debounce.note_writer(Activity.REFRESH, 1000.0)
    debounce.note_end(1001.0)
    assert not debounce.note_writer(None, 1001.0)
    assert debounce.is_due(1001.2)
    assert debounce.note_writer(None, 1001.2)
    debounce.note_checked(1001.3)
    assert not debounce.pending


def test_between_the_steps_of_a_rebase_it_waits_longer() -> None:
    """git lets go of its lock for a moment; that is not the end yet."""
    debounce = Debounce(0.1)
    debounce.note_git(1.0)
    debounce.note_change(1.1)
    debounce.note_git(1.2)
    assert debounce.due_at() == pytest.approx(1.2 + GIT_QUIET_S)
    assert Debounce(0.1).due_at() is None


def test_git_alone_changes_nothing() -> None:
    """``git status`` takes the lock at every prompt: no look for that."""
    debounce = Debounce()
    debounce.note_git(1.0)
    assert debounce.due_at() is None
    assert not debounce.pending


def test_what_changed_during_a_look_is_looked_at_again() -> None:
    """The check does not count, and the quiet begins again."""
    debounce = Debounce(0.1)
    debounce.note_change(1.0)
    debounce.note_checked(1.2)
    debounce.note_change(1.2)
    assert debounce.due_at() == pytest.approx(1.3)


def test_a_look_may_begin_before_the_quiet_is_over() -> None:
    """Once for each change, a moment after it; what it saw counts while nothing else happens."""
    debounce = Debounce(0.1)
    assert debounce.early_at() is None
    debounce.note_change(1.0)
    assert debounce.early_at() == pytest.approx(1.0 + EARLY_S)
    debounce.note_early()
    began = debounce.changes
    assert debounce.early_at() is None
    assert debounce.is_due(1.11)
    assert debounce.note_writer(None, 1.11)
    assert debounce.changes == began


@pytest.mark.parametrize("what", ["change", "git", "end", "busy"])
def test_whatever_happens_calls_an_early_look_in_question(what: str) -> None:
    """A change, git's lock, the end of a make, a make that runs: the count of changes tells of each."""
    debounce = Debounce(0.1)
    debounce.note_change(1.0)
    debounce.note_early()
    began = debounce.changes
    if what == "change":
        debounce.note_change(1.05)
    elif what == "git":
        debounce.note_git(1.05)
    elif what == "end":
        debounce.note_end(1.05)
    else:
        debounce.note_writer(Activity.MAKE, 1.05)
    assert debounce.changes != began


def test_early_looks_are_few_in_a_stream_of_changes() -> None:
    """Every gap is long enough for one, but only so many are begun until one look has counted."""
    debounce = Debounce(0.1)
    early = 0
    for step in range(30):
        debounce.note_change(step * 0.05)
        if debounce.is_early_due(step * 0.05 + 0.03):
            debounce.note_early()
            early += 1
    assert early == EARLY_CHECKS
    debounce.note_checked(1.6)
    debounce.note_change(1.6)
    assert debounce.early_at() is not None


def test_there_is_no_early_look_where_it_gains_nothing() -> None:
    """While somebody writes, and where the quiet is short: for the moment that is waited first, or for a slow look."""
    debounce = Debounce(0.1)
    debounce.note_change(1.0)
    debounce.note_writer(Activity.MAKE, 1.02)
    assert debounce.early_at() is None
    debounce = Debounce(0.02)
    debounce.note_change(1.0)
    assert debounce.early_at() is None
    debounce = Debounce(0.1)
    debounce.check_s = 0.5
    debounce.note_change(1.0)
    assert debounce.early_at() is None


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from(("change", "git", "end"))), min_size=1, max_size=60)
)
def test_every_change_is_looked_at_in_time(steps: list[tuple[float, str]]) -> None:
    """Whatever the order of changes and git's doings: after a change a look is due, and never later than the longest wait."""
    debounce = Debounce(0.1)
    now = 0.0
    first: float | None = None
    for wait, what in steps:
        now += wait
        if debounce.is_due(now) and debounce.note_writer(None, now):
            assert first is not None
            debounce.note_checked(now)
            first = None
        if what == "change":
            debounce.note_change(now)
            first = now if first is None else first
        elif what == "git":
            debounce.note_git(now)
        else:
            debounce.note_end(now)
        assert debounce.pending == (first is not None)
        due, early = debounce.due_at(), debounce.early_at()
        assert (due is None) == (first is None)
        assert early is None or (due is not None and early < due)
        if due is not None and first is not None:
            assert due <= first + MAX_WAIT_S + GIT_QUIET_S
