# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bringing a stale build to fresh before make runs: under the lock, by make or by ninja, and what is said of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kdeps.cli.ending import Stop, die_of, flush
from kdeps.cli.saying import (
    find_advice,
    find_headlines,
    find_notes,
    refuse,
    say,
    say_all,
    say_left,
    say_waiting,
    shown,
)
from kdeps.cli.start import Exit
from kdeps.makeenv import kernel_environment
from kdeps.repair.judging import judge
from kdeps.repair.request import Request

if TYPE_CHECKING:
    from kdeps.repair.lock import Lock
    from kdeps.repair.memory import Confirmation
    from kdeps.repair.plan import Plan
    from kdeps.survey import Survey

MAX_ROUNDS = 3
"""A synced configuration may make the module's own objects stale, so one round need not be enough."""


def refresh(found: Survey, request: Request, cwd: str, environ: dict[str, str]) -> None:
    """Bring a stale build to fresh, or raise ``Stop``."""
    from kdeps.repair.lock import take_lock
    from kdeps.repair.plan import CannotRefresh
    from kdeps.verdict import Status

    lock = take_lock(found.tree.objtree, environ, lambda pid: say_waiting(pid, found.tree.objtree))
    try:
        if lock.waited:
            again = judge(request, cwd, environ)
            if again is None or again.verdict.status is not Status.STALE:
                return
            found = again
        _refresh_locked(found, request, cwd, environ, lock)
    except CannotRefresh as error:
        say(f"error: {error}")
        raise Stop(refuse("the build is stale and cannot be refreshed", find_advice(found, cwd))) from error
    finally:
        lock.release()


def _refresh_locked(found: Survey, request: Request, cwd: str, environ: dict[str, str], lock: Lock) -> None:
    """Carry out one plan after the other until nothing is stale."""
    from kdeps.repair.memory import confirm, take_inputs
    from kdeps.repair.plan import REFRESH_GOAL, plan_repair
    from kdeps.survey import survey
    from kdeps.verdict import ReasonKind, Status

    kernel = kernel_environment(environ)
    before: Confirmation | None = None
    done: set[Plan] = set()
    say_all("stale", find_headlines(found, cwd))
    while found.verdict.status is Status.STALE:
        plan = plan_repair(found)
        if plan.empty and plan.by_hand and all(f.kind is ReasonKind.TOOLCHAIN_CHANGED for f in plan.by_hand):
            return  # nothing is stale yet, and a make that needs that compiler will say so itself
        if done and _is_only_ahead(found):
            say_all("warning", find_headlines(found, cwd))
            say("it was just rebuilt; make will do so every time until that file is touched")
            return
        if request.indirect and any(f.kind is ReasonKind.CONFIG_NOT_SYNCED for f in plan.by_hand):
            say(
                "warning: not refreshed: the Makefile here may choose other tools, and does not plainly say so"
            )
            return
        if plan.by_hand or plan.empty or plan in done or len(done) == MAX_ROUNDS:
            say_left(found, cwd, refreshed=bool(done))
            raise Stop(Exit.STALE)
        done.add(plan)
        if REFRESH_GOAL in plan.goals:
            before = before or take_inputs(found, kernel)
        _carry_out(plan, found, request, cwd, environ, lock)
        found = survey(request.words, cwd, environ)
        if found.verdict.status is Status.FRESH:
            if before is None:
                found = judge(request, cwd, environ) or found
            else:
                # Kbuild has just made everything by these very arguments: that is its answer.
                confirm(found, before, kernel)
    if found.verdict.status is Status.UNKNOWN:
        say_all("warning", find_headlines(found, cwd))
    say_all("note", find_notes(found, cwd))


def _is_only_ahead(found: Survey) -> bool:
    """Whether all that is left are files dated in the future, which no build can catch up with."""
    from kdeps.verdict import ReasonKind, Status

    now = time.time_ns()
    blamed = [
        reason.kind is ReasonKind.NEWER_PREREQUISITE and (reason.mtime_ns or 0) > now
        for state in found.verdict.stale
        if state.silent
        for reason in state.reasons
        if reason.kind is not ReasonKind.STALE_PREREQUISITE
    ]
    return all(blamed) and not any(f.status is Status.STALE for f in found.verdict.findings)


def _carry_out(
    plan: Plan, found: Survey, request: Request, cwd: str, environ: dict[str, str], lock: Lock
) -> None:
    """Remove what the plan says and make its goals."""
    from kdeps.cli.progress import clear_progress, terminal_watch
    from kdeps.repair.plan import REFRESH_GOAL, find_new_flags, kernel_command
    from kdeps.repair.refresh import load_durations, remove_files, run_make, store_durations
    from kdeps.rules import Scope
    from kdeps.verdict import ReasonKind

    tree = found.tree
    kernel = kernel_environment(environ)
    if plan.goals:
        for flags in find_new_flags(found, kernel):
            crates = (
                f"{flags.crates} of the kernel's crates" if flags.crates > 1 else "one of the kernel's crates"
            )
            say(f"note: {flags.assignment} is new to {crates}; the refresh builds them with it")
        if any(finding.kind is ReasonKind.CONFIG_NOT_SYNCED for finding in found.verdict.findings):
            say("note: the refresh syncs the configuration first")
    started = time.monotonic()
    remove_files(plan.remove)
    expected = frozenset(s.rule.name for s in found.verdict.stale if s.rule.scope is Scope.KERNEL)
    durations = load_durations(tree.objtree, environ)
    if (
        request.by_ninja
        and plan.goals == (REFRESH_GOAL,)
        and not plan.remove
        and _by_ninja(found, request, cwd, environ, lock, durations)
    ):
        say(f"refreshed in {time.monotonic() - started:.1f} s")
        return
    for goal in plan.goals:
        command = kernel_command(tree, cwd, goal, in_job_server=request.in_job_server)
        say(f"refreshing: {shown(command)}")
        watch = terminal_watch()
        flush()
        outcome = run_make(command, kernel, lock, expected=expected, durations=durations, watch=watch)
        if watch is not None:
            clear_progress()
            store_durations(durations, tree.objtree, environ)
        if outcome.interrupted or outcome.status < 0:
            die_of(outcome.interrupted or -outcome.status)
        if outcome.status > 0:
            say("the refresh failed, so the module was not built; see above")
            raise Stop(outcome.status)
    if plan.goals:
        say(f"refreshed in {time.monotonic() - started:.1f} s")


def _by_ninja(
    found: Survey,
    request: Request,
    cwd: str,
    environ: dict[str, str],
    lock: Lock,
    durations: dict[str, float],
) -> bool:
    """Refresh by ninja; tell whether it is done, so that make need not."""
    from kdeps.cli.progress import clear_progress, terminal_watch
    from kdeps.ninja.run import prepare_run
    from kdeps.repair.refresh import run_make
    from kdeps.rules import Scope

    run = prepare_run(found, request.words, cwd, environ, in_job_server=request.in_job_server)
    if isinstance(run, str):
        say(f"note: refreshed by make, not ninja: {run}")
        return False
    say(f"refreshing: {shown(run.command)} ({run.steps} steps)")
    expected = frozenset(s.rule.name for s in found.verdict.stale if s.rule.scope is Scope.KERNEL)
    watch = terminal_watch()
    flush()
    outcome = run_make(run.command, run.environ, lock, expected=expected, durations=durations, watch=watch)
    if watch is not None:
        clear_progress()
    if outcome.interrupted or outcome.status < 0:
        die_of(outcome.interrupted or -outcome.status)
    if outcome.status > 0 and run.handed_over:
        say("note: the rest is left to make")
        return False
    if outcome.status > 0:
        say("the refresh failed, so the module was not built; see above")
        raise Stop(outcome.status)
    return True
