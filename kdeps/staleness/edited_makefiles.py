# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Makefiles of the kernel that were edited after its artifacts were built.

No rule has a Makefile among its prerequisites: Kbuild compares the commands instead, and ``make M=…`` does not
compare those of the kernel. From the record alone it cannot be told whether such an edit changes a command.
"""

from __future__ import annotations

import os

from kdeps import TYPE_CHECKING
from kdeps.kbuild.command_files import find_main_makefiles
from kdeps.kbuild.rule import Action, Owner
from kdeps.staleness.judge import add_findings
from kdeps.staleness.reasons import Finding, ReasonKind, Source, Status
from kdeps.staleness.snapshot import find_mtime_ns

if TYPE_CHECKING:
    from kdeps.staleness.check import CheckResult


def note_commands(result: CheckResult, environ: dict[str, str]) -> CheckResult:
    """Add a note on edited Makefiles to a fresh verdict.

    It goes, as every other note on commands, if Kbuild has confirmed these commands since (``staleness.confirmed``).
    """
    verdict = result.verdict
    if verdict.status is not Status.FRESH or result.tree.prebuilt or verdict.source is Source.KBUILD:
        return result
    verdict = add_findings(verdict, _find_edited(result))
    doubts = [finding for finding in verdict.findings if finding.kind is ReasonKind.COMMAND_CHANGED]
    if not doubts:
        return result
    from kdeps.formats.makeflags import kernel_environment
    from kdeps.staleness.confirmed import is_confirmed

    if is_confirmed(result, kernel_environment(environ)):
        verdict = verdict._replace(findings=tuple(f for f in verdict.findings if f not in doubts))
    return result._replace(verdict=verdict)


def _find_edited(result: CheckResult) -> tuple[Finding, ...]:
    times = result.snapshot.mtime_ns
    built = (
        times.get(rule.target, 0)
        for rule in result.graph.rules
        if rule.owner is Owner.KERNEL and rule.action is Action.IF_CHANGED
    )
    built_ns = max(built, default=0)
    makefiles, _ = find_main_makefiles(result.tree)
    found = {path: mtime for path in makefiles if (mtime := find_mtime_ns(path)) is not None}
    edited = sorted((mtime, path) for path, mtime in found.items() if mtime > built_ns)
    # All are newer after a fresh checkout. The verdict is fresh, so contents have proven the artifacts.
    if not built_ns or len(edited) in (0, len(found)):
        return ()
    others = f" (and {len(edited) - 1} more)" if len(edited) > 1 else ""
    newest = edited[-1][1]
    message = f"{os.path.relpath(newest, result.tree.srctree)}{others} was edited after the kernel's artifacts were built, which may change commands: the records alone cannot tell"
    help_text = "`kdeps check --exact` asks Kbuild for the commands"
    return (Finding(ReasonKind.COMMAND_CHANGED, newest, message, help_text, Status.FRESH),)
