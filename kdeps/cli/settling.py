# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``kdeps make`` and ``kdeps settle`` reuse by content, and what they say of it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from kdeps.cli.make_messages import say, say_waiting
from kdeps.contents.reuse import Reuser
from kdeps.staleness.check import check_build
from kdeps.system.errors import KdepsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kdeps.contents.settle import Settling
    from kdeps.contents.shared import SharedSteps
    from kdeps.kbuild.make_command import Request
    from kdeps.staleness.check import CheckResult

VARIABLE = "KDEPS_STORE"


def reuse_contents(
    request: Request, restored: bool, cwd: str, environ: dict[str, str], result: CheckResult
) -> CheckResult:
    """Settle what contents prove, then say what is stale by time or by content.

    With ``restored`` what was built before from the same contents is put back as well.
    """
    check = partial(check_build, request.words, cwd, environ)
    return _make_reuser(check, environ).reuse(result, restored=restored)


def reuse_locked(request: Request, cwd: str, environ: dict[str, str]) -> None:
    """Settle and put back what is known by content, in the middle of a refresh that keeps others out."""
    check = partial(check_build, request.words, cwd, environ)
    reuser = Reuser(check, environ, _tolerant, say, partial(_open_shared, environ))
    reuser.reuse(check(), restored=True)


def settle(result: CheckResult, environ: dict[str, str]) -> tuple[Settling, ...]:
    """Give outputs that are proven their times, while no other kdeps refreshes the tree."""
    return _make_reuser(lambda: result, environ).settle(result)


def _make_reuser(check: Callable[[], CheckResult], environ: dict[str, str]) -> Reuser:
    return Reuser(check, environ, partial(_locked, environ), say, partial(_open_shared, environ))


def _open_shared(environ: dict[str, str], result: CheckResult) -> SharedSteps | None:
    """Open the store that is shared with others; without it make builds what is not here."""
    name = environ.get(VARIABLE)
    if not name:
        return None
    from kdeps.contents.shared import open_shared

    try:
        return open_shared(name, result, environ)
    except KdepsError as error:
        say(f"warning: {VARIABLE}: {error}")
        return None


@contextmanager
def _tolerant(result: CheckResult, otherwise: str) -> Iterator[None]:
    """Where a file cannot be written, say so and go on."""
    try:
        yield
    except OSError as error:
        say(f"note: {error.filename or result.tree.objtree}: {error.strerror}: {otherwise}")


@contextmanager
def _locked(environ: dict[str, str], result: CheckResult, otherwise: str) -> Iterator[None]:
    """Do so, and keep other refreshes of the tree out."""
    from kdeps.system.lock import take_lock

    objtree = result.tree.objtree
    lock = take_lock(objtree, environ, lambda pid: say_waiting(pid, objtree))
    try:
        with _tolerant(result, otherwise):
            yield
    finally:
        lock.release()


def check_module_or_tree(
    words: tuple[str, ...], cwd: str, environ: dict[str, str], *, whole: bool
) -> CheckResult:
    """Judge by time what ``make M=…`` uses, or all that plain ``make`` builds."""
    if not whole:
        return check_build(words, cwd, environ)
    from kdeps.artifacts.inspect import inspect_artifacts
    from kdeps.staleness.whole_tree import check_tree

    return check_tree(words, cwd, environ, inspect_artifacts, rules_needed=True).result
