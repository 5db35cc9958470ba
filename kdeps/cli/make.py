# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make``: make, with the stale kernel artifacts refreshed first.

Whatever happens here, make runs in the end. kdeps stays its parent, with the same exit status, signals,
terminal, job server and output (``make_child``), and explains a failure. make does not run in three cases:
the build is stale and must not be refreshed (``--on-stale=fail``), it is stale and cannot be refreshed, or
the refresh itself failed.
"""

from __future__ import annotations

import os
import time

from kdeps.cli.choices import OnStale, With
from kdeps.cli.exits import Exit, ExitInstead
from kdeps.cli.finish import finish_with_make, given_environment
from kdeps.cli.make_messages import find_advice, find_headlines, refuse, say, say_all, say_helps
from kdeps.staleness.answers import BUILD, Question
from kdeps.system.errors import KdepsError, UsageError, describe_bug

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from kdeps.kbuild.make_command import Request
    from kdeps.staleness.check import CheckResult

VARIABLE = "KDEPS_ON_STALE"


def run_make(words: tuple[str, ...], *, on_stale: OnStale | None = None, with_: With = With.MAKE) -> int:
    """Bring the module's build to fresh, then run ``make WORDS…``. Returns make's exit status, or that of a refusal."""
    environ = given_environment()
    since_ns = time.time_ns()
    judged = False
    if on_stale is None and environ.get(VARIABLE):
        try:
            on_stale = OnStale(environ[VARIABLE])
        except ValueError:
            say(f"error: {VARIABLE}={environ[VARIABLE]}: must be one of rebuild, warn, fail")
            return Exit.ERROR
    try:
        judged = _make_sure(words, on_stale, environ, with_)
    except ExitInstead as stop:
        return stop.status
    except KdepsError as error:
        say(f"warning: not checked, because {error}")
        if on_stale is OnStale.FAIL:
            return refuse("cannot tell whether the build is stale")
    except Exception as error:
        say(f"warning: a bug in kdeps, not in your tree: {describe_bug(error)}; please report it")
        if on_stale is OnStale.FAIL:
            return refuse("cannot tell whether the build is stale")
        say("make runs as asked")
    if judged:
        from kdeps.cli.remembering import remember_later

        remember_later(words, os.getcwd(), environ, since_ns)
    return finish_with_make(words, environ)


def _make_sure(
    words: tuple[str, ...], on_stale: OnStale | None, environ: dict[str, str], with_: With
) -> bool:
    """Return once nothing stale would be used, or the user wants make to run all the same.

    Returns whether the build is worth remembering once make has ended.
    """
    cwd = os.getcwd()
    if Question(BUILD, words, cwd, environ).recall():
        return True
    from kdeps.kbuild.make_command import read_kernel_make, read_requests

    requests = read_requests(words, cwd, environ)
    if not any(request.indirect for request in requests):
        from kdeps.kbuild.slips import find_slip_of_make

        slip = find_slip_of_make(words, cwd)
        if slip is not None:
            raise UsageError(slip)
    if not requests:
        _judge_install(words, cwd, environ, on_stale)
        return read_kernel_make(words, cwd, environ) is not None
    judged = [
        _make_one_sure(request._replace(by_ninja=with_ is With.NINJA), on_stale, cwd, environ)
        for request in requests
    ]
    return all(judged)


def _make_one_sure(request: Request, on_stale: OnStale | None, cwd: str, environ: dict[str, str]) -> bool:
    """Do so for one of the modules that make would build."""
    from kdeps.cli.settling import reuse_contents
    from kdeps.contents.recall import judge_contents
    from kdeps.refresh.judging import check_with_kbuild_once
    from kdeps.refresh.plan import plan_refresh
    from kdeps.staleness.reasons import Status

    def judge(result: CheckResult) -> CheckResult:
        if request.dry_run:
            return judge_contents(result, environ).result
        restored = on_stale in (None, OnStale.REBUILD)
        return reuse_contents(request, restored, cwd, environ, result)

    result = check_with_kbuild_once(request, cwd, environ, judge)
    if result is None:
        return False
    if result.verdict.status is Status.FRESH:
        return not request.dry_run
    policy = on_stale or _default_policy(result)
    lines = find_headlines(result, cwd)
    if result.verdict.status is Status.UNKNOWN:
        say_all("warning", lines)
        if policy is OnStale.FAIL:
            raise ExitInstead(refuse("cannot tell whether the build is stale"))
        return False
    if policy is OnStale.FAIL:
        say_all("stale", lines)
        say_helps(result)
        raise ExitInstead(refuse("the build is stale (--on-stale=fail)", find_advice(result, cwd)))
    cannot = result.tree.prebuilt and plan_refresh(result).empty
    if policy is OnStale.WARN or cannot or request.dry_run:
        say_all("warning: stale", lines)
        say_helps(result)
        _say_why_not_refreshed(result, request, on_stale, find_advice(result, cwd))
        return False
    from kdeps.cli.refresh import refresh

    refresh(result, request, cwd, environ)
    return True


def _judge_install(
    words: tuple[str, ...], cwd: str, environ: dict[str, str], on_stale: OnStale | None
) -> None:
    """Judge a module that is to be installed or loaded as it is."""
    from kdeps.kbuild.make_command import read_install

    install = read_install(words, cwd, environ)
    if install is not None:
        from kdeps.cli.installing import judge_install

        judge_install(install, cwd, environ, on_stale)


def _say_why_not_refreshed(
    result: CheckResult, request: Request, on_stale: OnStale | None, advice: str
) -> None:
    """Say why nothing is refreshed, and what would do it."""
    if not advice:
        return
    if request.dry_run:
        say(f"with -n nothing is refreshed; without it this runs first: {advice}", folded=False)
    elif on_stale is None and _default_policy(result) is OnStale.WARN:
        owner = os.stat(result.tree.objtree).st_uid
        say(
            f"not refreshed, because root would write into a tree of user {owner}; {VARIABLE}=rebuild does it"
        )
        say(f"help: as user {owner}: {advice}", folded=False)
    else:
        say(f"not refreshed; to do so: {advice}", folded=False)


def _default_policy(result: CheckResult) -> OnStale:
    """Refresh, but never write as root into another user's tree: DKMS and ``sudo make install``."""
    if os.geteuid() == 0 and os.stat(result.tree.objtree).st_uid != 0:
        return OnStale.WARN
    return OnStale.REBUILD
