# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``kdeps make … modules_install`` says: before, that a stale module is installed; after, what is still loaded.

A goal of the user's own Makefile that calls insmod or modprobe is judged alike.

make installs what is there and builds nothing, so a module that make would still rebuild is stale here as well.
"""

from __future__ import annotations

import os

from kdeps.cli.choices import OnStale
from kdeps.cli.exits import ExitInstead
from kdeps.cli.make_messages import find_headlines, refuse, say
from kdeps.contents.recall import judge_contents
from kdeps.kbuild.rule import Owner
from kdeps.running.build_id import find_other_loaded
from kdeps.staleness.check import check_build
from kdeps.staleness.reasons import Status
from kdeps.system.text import shell_joined

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from kdeps.kbuild.make_command import Install
    from kdeps.staleness.check import CheckResult

SYSFS = "/sys"


def judge_install(install: Install, cwd: str, environ: dict[str, str], on_stale: OnStale | None) -> None:
    """Warn in one line if make is about to install or to load a stale module.

    Raises ExitInstead: the user wants make not to run then.
    """
    result = judge_contents(check_build(install.words, cwd, environ), environ).result
    status = result.verdict.status
    if status is Status.FRESH and not _find_pending(result):
        return
    if status is Status.UNKNOWN:
        say(
            f"warning: cannot tell whether the module that it {install.verb} is stale: {find_headlines(result, cwd)[0]}"
        )
        if on_stale is OnStale.FAIL:
            raise ExitInstead(refuse("cannot tell whether the module is stale"))
        return
    why = find_headlines(result, cwd)[0] if status is Status.STALE else _why_pending(result, cwd)
    build = shell_joined(["kdeps", "make", *(word for word in install.words if word != "modules_install")])
    if on_stale is OnStale.FAIL:
        say(f"stale: {why}")
        raise ExitInstead(refuse(f"the module that it {install.verb} is stale (--on-stale=fail)", build))
    say(
        f"warning: stale: {install.verb} a module that is older than its sources: {why}; to build it first: {build}"
    )


def _find_pending(result: CheckResult) -> list[str]:
    """The modules that ``make M=…`` would build again."""
    return [s.rule.target for s in result.verdict.pending if s.rule.target.endswith(".ko")]


def _why_pending(result: CheckResult, cwd: str) -> str:
    targets = ", ".join(os.path.basename(path) for path in _find_pending(result))
    direct = next((reason for s in result.verdict.pending if s.direct for reason in s.reasons), None)
    if direct is None:
        return f"make would build {targets} again"
    return f"make would build {targets} again ({direct.kind.value}: {os.path.relpath(direct.path, cwd)})"


def say_still_loaded(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> None:
    """Say which module is still loaded in another build than the one that was just installed."""
    if any("INSTALL_MOD_PATH" in word for word in words) or environ.get("INSTALL_MOD_PATH"):
        return  # for another machine, or a package
    result = check_build(words, cwd, environ)
    modules = [r.target for r in result.graph.rules if r.owner is Owner.MODULE and r.target.endswith(".ko")]
    for name in find_other_loaded(modules, SYSFS):
        say(
            f"note: {name}: installed, but another build of it is still loaded; "
            f"to load this one: sudo modprobe -r {name} && sudo modprobe {name}"
        )
