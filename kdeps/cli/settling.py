# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Settling within ``kdeps make`` and ``kdeps settle``: proven outputs get a time that make accepts."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kdeps.cli.make_messages import say, say_waiting
from kdeps.contents.recall import add_changed, recall
from kdeps.contents.settle import carry_out, plan_settling
from kdeps.kbuild.rule import Owner
from kdeps.staleness.check import check_build
from kdeps.system.errors import KdepsError

VARIABLE = "KDEPS_STORE"
"""Names the store that is shared with others (``kdeps.system.remote``)."""

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kdeps.contents.recall import Recollection
    from kdeps.contents.settle import Settling
    from kdeps.contents.shared import SharedSteps
    from kdeps.kbuild.make_command import Request
    from kdeps.staleness.check import CheckResult


def judge_contents(
    request: Request, restored: bool, cwd: str, environ: dict[str, str], result: CheckResult
) -> CheckResult:
    """Settle what contents prove, then say what is stale by time or by content.

    Args:
        request: What make is asked for.
        restored: Whether to put back what was built before from the same contents.
        cwd: The folder the user stands in.
        environ: The environment make would get.
        result: The verdict by time.
    """
    shared = _open_shared(result, environ) if restored and environ.get(VARIABLE) else None
    recalled = recall(result, environ, without_memory=shared is not None)
    if recalled is None:
        return result
    if restored and _may_write(result) and not _is_done(recalled.result):
        result = _restore(request, cwd, environ, result, recalled, shared)
        recalled = recall(result, environ) or recalled
    if (recalled.proven or recalled.configuration_proven) and _may_write(result):
        settled = settle(result, environ)
        if settled:
            say(
                f"{count_steps(len(settled))} with inputs that were only touched: settled, so make will not run them"
            )
            result = check_build(request.words, cwd, environ)
            recalled = recall(result, environ) or recalled
    return add_changed(result, recalled)


def _is_done(result: CheckResult) -> bool:
    """Whether make would find nothing to do: the module was built, and nothing is stale."""
    verdict = result.verdict
    is_built = any(rule.owner is Owner.MODULE for rule in result.graph.rules)
    return is_built and not (verdict.stale or verdict.pending or verdict.findings)


def _open_shared(result: CheckResult, environ: dict[str, str]) -> SharedSteps | None:
    """Open the store that is shared with others; without it make builds what is not here."""
    from kdeps.contents.shared import open_shared

    try:
        return open_shared(environ[VARIABLE], result.tree, environ)
    except KdepsError as error:
        say(f"warning: {VARIABLE}: {error}")
        return None


def _restore(
    request: Request,
    cwd: str,
    environ: dict[str, str],
    result: CheckResult,
    recalled: Recollection,
    shared: SharedSteps | None,
) -> CheckResult:
    """Put back what was built before, while no other kdeps refreshes the tree; return the new verdict by time."""
    from kdeps.contents.restore import restore_configuration, restore_steps

    with _locked(result, environ, "make will build again what could not be put back"):
        if restore_configuration(result, recalled, environ, shared):
            say("the configuration was synced from the same contents before: put back")
            result = check_build(request.words, cwd, environ)
            recalled = recall(result, environ) or recalled
        count = len(restore_steps(result, recalled, environ, shared))
        if count:
            say(f"{count_steps(count)} that were built from the same contents before: put back")
            result = check_build(request.words, cwd, environ)
        if shared is not None and shared.problem:
            say(f"warning: {VARIABLE}: {shared.problem}; make builds what could not be had")
    return result


@contextmanager
def _locked(result: CheckResult, environ: dict[str, str], otherwise: str) -> Iterator[None]:
    """Keep other refreshes of the tree out; where a file cannot be written, say so and go on."""
    from kdeps.system.lock import take_lock

    objtree = result.tree.objtree
    lock = take_lock(objtree, environ, lambda pid: say_waiting(pid, objtree))
    try:
        yield
    except OSError as error:
        say(f"note: {error.filename}: {error.strerror}: {otherwise}")
    finally:
        lock.release()


def _may_write(result: CheckResult) -> bool:
    """Root leaves the tree of another user alone."""
    return os.geteuid() != 0 or os.stat(result.tree.objtree).st_uid == 0


def settle(result: CheckResult, environ: dict[str, str]) -> tuple[Settling, ...]:
    """Give outputs that are proven their times, while no other kdeps refreshes the tree."""
    with _locked(result, environ, "its time cannot be set, so make will build it again"):
        recalled = recall(result, environ)
        if recalled is not None:
            planned = plan_settling(result, recalled, environ)
            return planned[: carry_out(planned, result, recalled, environ)]
    return ()


def count_steps(number: int) -> str:
    return f"{number} step{'s were' if number != 1 else ' was'}"


def check_scope(words: tuple[str, ...], cwd: str, environ: dict[str, str], *, whole: bool) -> CheckResult:
    """Judge by time what ``make M=…`` uses, or all that plain ``make`` builds."""
    if not whole:
        return check_build(words, cwd, environ)
    from kdeps.artifacts.inspect import inspect_artifacts
    from kdeps.staleness.whole_tree import check_tree

    return check_tree(words, cwd, environ, inspect_artifacts, rules_needed=True).result
