# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bring a stale build to fresh before make runs: under the lock, by make or by ninja, with messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kdeps.cli.exits import Exit, ExitInstead
from kdeps.cli.finish import die_of, flush
from kdeps.cli.make_messages import (
    find_advice,
    find_headlines,
    find_notes,
    refuse,
    say,
    say_all,
    say_left,
    say_waiting,
)
from kdeps.cli.progress import clear_progress, terminal_watch
from kdeps.cli.settling import reuse_locked
from kdeps.formats.makeflags import kernel_environment
from kdeps.kbuild.make_command import Request
from kdeps.kbuild.rule import Owner
from kdeps.refresh.judging import check_with_kbuild_once
from kdeps.refresh.make_run import load_durations, remove_files, run_make, store_durations
from kdeps.refresh.plan import REFRESH_GOAL, CannotRefresh, find_new_flags, kernel_command, plan_refresh
from kdeps.report.refresh_commands import refresh_commands
from kdeps.staleness.check import check_build
from kdeps.staleness.confirmed import confirm, take_inputs
from kdeps.staleness.reasons import ReasonKind, Status
from kdeps.system.lock import take_lock
from kdeps.system.text import shell_joined

if TYPE_CHECKING:
    from kdeps.refresh.plan import Plan
    from kdeps.staleness.check import CheckResult
    from kdeps.staleness.confirmed import Confirmation
    from kdeps.system.lock import Lock

MAX_ROUNDS = 3
"""A synced configuration may make the module's own objects stale, so one round need not be enough."""


def refresh(result: CheckResult, request: Request, cwd: str, environ: dict[str, str]) -> None:
    """Bring a stale build to fresh, or raise ``ExitInstead``."""
    lock = take_lock(result.tree.objtree, environ, lambda pid: say_waiting(pid, result.tree.objtree))
    try:
        if lock.waited:
            again = check_with_kbuild_once(request, cwd, environ)
            if again is None or again.verdict.status is not Status.STALE:
                return
            result = again
        _refresh_locked(result, request, cwd, environ, lock)
    except CannotRefresh as error:
        say(f"error: {error}")
        raise ExitInstead(
            refuse("the build is stale and cannot be refreshed", find_advice(result, cwd))
        ) from error
    finally:
        lock.release()


def _refresh_locked(
    result: CheckResult, request: Request, cwd: str, environ: dict[str, str], lock: Lock
) -> None:
    """Carry out one plan after the other until nothing is stale."""
    kernel = kernel_environment(environ)
    before: Confirmation | None = None
    done: set[Plan] = set()
    say_all("stale", find_headlines(result, cwd))
    while result.verdict.status is Status.STALE:
        plan = plan_refresh(result)
        if plan.empty and plan.manual and all(f.kind is ReasonKind.TOOLCHAIN_CHANGED for f in plan.manual):
            return  # nothing is stale yet, and a make that needs that compiler will say so itself
        if done and _is_only_ahead(result):
            say_all("warning", find_headlines(result, cwd))
            say("it was just rebuilt; make will do so every time until that file is touched")
            return
        if request.indirect and any(f.kind is ReasonKind.CONFIG_NOT_SYNCED for f in plan.manual):
            say(
                "warning: not refreshed: the Makefile here may choose other tools, and kdeps cannot tell which"
            )
            return
        if plan.manual or plan.empty or plan in done or len(done) == MAX_ROUNDS:
            say_left(result, cwd, refreshed=bool(done))
            raise ExitInstead(Exit.STALE)
        done.add(plan)
        if REFRESH_GOAL in plan.goals:
            before = before or take_inputs(result, kernel)
        _carry_out(plan, result, request, cwd, environ, lock)
        result = check_build(request.words, cwd, environ)
        if result.verdict.status is Status.FRESH:
            if before is None or result.rules.others:
                result = check_with_kbuild_once(request, cwd, environ) or result
            else:
                # Kbuild has just made everything by these very arguments: that is its answer.
                confirm(result, before, kernel)
    if result.verdict.status is Status.UNKNOWN:
        say_all("warning", find_headlines(result, cwd))
    say_all("note", find_notes(result, cwd))


def _is_only_ahead(result: CheckResult) -> bool:
    """Whether all that is left are files dated in the future, which no build can catch up with."""
    now = time.time_ns()
    blamed = [
        reason.kind is ReasonKind.NEWER_PREREQUISITE and (reason.mtime_ns or 0) > now
        for state in result.verdict.stale
        if state.silent
        for reason in state.reasons
        if reason.kind is not ReasonKind.STALE_PREREQUISITE
    ]
    return all(blamed) and not any(f.status is Status.STALE for f in result.verdict.findings)


def _carry_out(
    plan: Plan, result: CheckResult, request: Request, cwd: str, environ: dict[str, str], lock: Lock
) -> None:
    """Remove what the plan says and make its goals."""
    tree = result.tree
    kernel = kernel_environment(environ)
    if plan.goals:
        for flags in find_new_flags(result, kernel):
            crates = (
                f"{flags.crates} of the kernel's crates" if flags.crates > 1 else "one of the kernel's crates"
            )
            say(f"note: {flags.assignment} is new to {crates}; the refresh builds them with it")
        if any(finding.kind is ReasonKind.CONFIG_NOT_SYNCED for finding in result.verdict.findings):
            say("note: the refresh syncs the configuration first")
    started = time.monotonic()
    if plan.remove and not plan.goals:
        say(f"refreshing: {refresh_commands(result, cwd)[0]}", folded=False)
    remove_files(plan.remove)
    expected = frozenset(s.rule.name for s in result.verdict.stale if s.rule.owner is Owner.KERNEL)
    durations = load_durations(tree.objtree, environ)
    if (
        request.by_ninja
        and plan.goals == (REFRESH_GOAL,)
        and not plan.remove
        and _by_ninja(result, request, cwd, environ, lock, expected, durations)
    ):
        say(f"refreshed in {time.monotonic() - started:.1f} s")
        return
    for goal in plan.goals:
        if goal == REFRESH_GOAL != plan.goals[0]:
            reuse_locked(request, cwd, environ)  # of the configuration that is synced now
        command = kernel_command(tree, cwd, goal, in_job_server=request.in_job_server)
        say(f"refreshing: {shell_joined(command)}", folded=False)
        status = _run(command, kernel, lock, expected, durations)
        if durations:
            store_durations(durations, tree.objtree, environ)
        _stop_if_failed(status)
    if plan.goals:
        say(f"refreshed in {time.monotonic() - started:.1f} s")


def _by_ninja(
    result: CheckResult,
    request: Request,
    cwd: str,
    environ: dict[str, str],
    lock: Lock,
    expected: frozenset[str],
    durations: dict[str, float],
) -> bool:
    """Refresh by ninja; tell whether it is done, so that make need not."""
    from kdeps.refresh.ninja.run import prepare_run  # a refresh by make needs no ninja_syntax

    run = prepare_run(result, request.words, cwd, environ, in_job_server=request.in_job_server)
    if isinstance(run, str):
        say(f"note: refreshed by make, not ninja: {run}")
        return False
    say(f"refreshing: {shell_joined(run.command)} ({run.steps} steps)", folded=False)
    status = _run(run.command, run.environ, lock, expected, durations)
    if status > 0 and run.handed_over:
        say("note: the rest is left to make")
        return False
    _stop_if_failed(status)
    return True


def _run(
    command: list[str],
    environ: dict[str, str],
    lock: Lock,
    expected: frozenset[str],
    durations: dict[str, float],
) -> int:
    """Run make or ninja, with its progress on a terminal. Returns its status, or dies of what it died of."""
    watch = terminal_watch()
    flush()
    outcome = run_make(command, environ, lock, expected=expected, durations=durations, watch=watch)
    if watch is not None:
        clear_progress()
    if outcome.interrupted or outcome.status < 0:
        die_of(outcome.interrupted or -outcome.status)
    return outcome.status


def _stop_if_failed(status: int) -> None:
    if status > 0:
        say("the refresh failed, so the module was not built; see above")
        raise ExitInstead(status)
