# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make``: make, with the stale kernel artifacts refreshed first.

Whatever happens here, it ends in make: kdeps *becomes* make (``exec``), so exit
status, signals, terminal, job server and output are make's own. There are
three exceptions: the build is stale and shall not be refreshed
(``--on-stale=fail``), it is stale and cannot be refreshed, or the refresh itself
failed, and then make has said why.
"""

from __future__ import annotations

import os
from enum import Enum

from kdeps.cli.ending import Stop, become_make, given_environment
from kdeps.cli.saying import describe_bug, find_advice, find_headlines, refuse, say, say_all, say_helps
from kdeps.cli.start import Exit
from kdeps.errors import KdepsError, NoTree, UsageError
from kdeps.repair.kept import holds

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from kdeps.survey import Survey

VARIABLE = "KDEPS_ON_STALE"


class OnStale(str, Enum):
    """What to do about a stale build."""

    REBUILD = "rebuild"
    WARN = "warn"
    FAIL = "fail"


class With(str, Enum):
    """What carries a refresh out."""

    MAKE = "make"
    NINJA = "ninja"
    """Where it can replay every step from the record; else make."""


def run_make(words: tuple[str, ...], *, on_stale: OnStale | None = None, with_: With = With.MAKE) -> int:
    """Bring the module's build to fresh, then become ``make WORDS…``.

    Args:
        words: make's arguments, verbatim.
        on_stale: The user's choice on the command line, if there is one.
        with_: What shall carry a refresh out.

    Returns:
        The exit status, where make does not run.
    """
    environ = given_environment()
    for word in words:
        if word.partition("=")[0] in ("--on-stale", "--with"):
            say(f"error: {word}: options of kdeps stand before the make arguments")
            return Exit.ERROR
    if on_stale is None and environ.get(VARIABLE):
        try:
            on_stale = OnStale(environ[VARIABLE])
        except ValueError:
            say(f"error: {VARIABLE}={environ[VARIABLE]}: must be one of rebuild, warn, fail")
            return Exit.ERROR
    try:
        _make_sure(words, on_stale, environ, with_)
    except Stop as stop:
        return stop.status
    except (NoTree, UsageError):
        pass  # nothing here for us; make itself will say what it misses
    except KdepsError as error:
        say(f"warning: {error}")
        if on_stale is OnStale.FAIL:
            return refuse("cannot tell whether the build is stale")
        say("make runs as asked")
    except Exception as error:
        say(f"warning: a bug in kdeps, not in your tree: {describe_bug(error)}; please report it")
        if on_stale is OnStale.FAIL:
            return refuse("cannot tell whether the build is stale")
        say("make runs as asked")
    return become_make(words, environ)


def _make_sure(
    words: tuple[str, ...], on_stale: OnStale | None, environ: dict[str, str], with_: With
) -> None:
    """Return once nothing stale would be used, or the user wants make to run all the same."""
    cwd = os.getcwd()
    if holds(words, cwd, environ):
        return
    from kdeps.repair.judging import judge
    from kdeps.repair.request import read_request
    from kdeps.verdict import Status

    request = read_request(words, cwd, environ)
    if request is None:
        return

    try:
        found = judge(request, cwd, environ)
    except NoTree as error:
        if not request.indirect:
            raise
        say(f"warning: not checked, for which kernel the Makefile here chooses is not plain: {error}")
        if on_stale is OnStale.FAIL:
            raise Stop(refuse("cannot tell whether the build is stale")) from error
        return
    if found is None or found.verdict.status is Status.FRESH:
        return
    policy = on_stale or _default_policy(found)
    lines = find_headlines(found, cwd)
    if found.verdict.status is Status.UNKNOWN:
        say_all("warning", lines)
        if policy is OnStale.FAIL:
            raise Stop(refuse("cannot tell whether the build is stale"))
        return
    if policy is OnStale.FAIL:
        say_all("stale", lines)
        say_helps(found)
        raise Stop(refuse("the build is stale (--on-stale=fail)", find_advice(found, cwd)))
    if policy is OnStale.WARN or found.tree.prebuilt:
        say_all("warning: stale", lines)
        say_helps(found)
        advice = find_advice(found, cwd)
        if advice:
            say(f"not refreshed; to do so: {advice}")
        return
    from kdeps.cli.refreshing import refresh

    refresh(found, request._replace(by_ninja=with_ is With.NINJA), cwd, environ)


def _default_policy(found: Survey) -> OnStale:
    """Refresh, but never write as root into a tree that is somebody else's: DKMS and ``sudo make install``."""
    if os.geteuid() == 0 and os.stat(found.tree.objtree).st_uid != 0:
        return OnStale.WARN
    return OnStale.REBUILD
