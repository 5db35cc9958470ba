# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Before a build: put back what was built before, settle what contents prove, and say what is left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kdeps.contents.recall import add_changed, recall
from kdeps.contents.settle import carry_out, plan_settling
from kdeps.kbuild.rule import Owner
from kdeps.system.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from kdeps.contents.recall import Recollection
    from kdeps.contents.settle import Settling
    from kdeps.contents.shared import SharedSteps
    from kdeps.staleness.check import CheckResult


class Reuser:
    """Reuses for one build what is known by content."""

    def __init__(
        self,
        check: Callable[[], CheckResult],
        environ: dict[str, str],
        locked: Callable[[CheckResult, str], AbstractContextManager[None]],
        tell: Callable[[str], None],
        shared: Callable[[CheckResult], SharedSteps | None] = lambda _: None,
    ) -> None:
        """Prepare for one build.

        Args:
            check: Judges it by time.
            locked: Keeps other refreshes of the tree out, and says what a file means that cannot be written.
            tell: Is told what was done, a sentence at a time.
            shared: Opens the steps of others.
        """
        self._check, self._environ, self._locked = check, environ, locked
        self._tell, self._open_shared = tell, shared

    def reuse(self, result: CheckResult, *, restored: bool) -> CheckResult:
        """Leave to make only what it has to build, and return what is stale then, by time or by content.

        With ``restored`` what was built before from the same contents is put back.
        """
        shared = self._open_shared(result) if restored else None
        recalled = recall(result, self._environ, without_memory=shared is not None)
        if recalled is None:
            return result
        if restored and _may_write(result) and not _is_done(recalled.result):
            result = self._restore(result, recalled, shared)
            recalled = recall(result, self._environ) or recalled
        if (recalled.proven or recalled.configuration_proven) and _may_write(result):
            settled = self.settle(result)
            if settled:
                self._tell(
                    f"settled {counted(len(settled), 'step')} with inputs that were only touched: make will not run them"
                )
                result = self._check()
                recalled = recall(result, self._environ) or recalled
        return add_changed(result, recalled)

    def _restore(
        self, result: CheckResult, recalled: Recollection, shared: SharedSteps | None
    ) -> CheckResult:
        """Put back what was built before, while no other kdeps refreshes the tree; return the new verdict by time."""
        from kdeps.contents.restore import restore_configuration, restore_steps

        with self._locked(result, "make will build again what could not be put back"):
            if restore_configuration(result, recalled, self._environ, shared):
                self._tell("put back the configuration, which was synced from the same contents before")
                result = self._check()
                recalled = recall(result, self._environ) or recalled
            count = len(restore_steps(result, recalled, self._environ, shared))
            if count:
                self._tell(f"put back {counted(count, 'step')}, built from the same contents before")
                result = self._check()
            if shared is not None and shared.problem:
                self._tell(f"warning: KDEPS_STORE: {shared.problem}; make builds what could not be had")
        return result

    def settle(self, result: CheckResult) -> tuple[Settling, ...]:
        """Give outputs that are proven their times, while no other kdeps refreshes the tree."""
        with self._locked(result, "its time cannot be set, so make will build it again"):
            recalled = recall(result, self._environ)
            if recalled is not None:
                planned = plan_settling(result, recalled, self._environ)
                return planned[: carry_out(planned, result, recalled, self._environ)]
        return ()


def _is_done(result: CheckResult) -> bool:
    """Whether make would find nothing to do: the module was built, and nothing is stale."""
    verdict = result.verdict
    is_built = any(rule.owner is Owner.MODULE for rule in result.graph.rules)
    return is_built and not (verdict.stale or verdict.pending or verdict.findings)


def _may_write(result: CheckResult) -> bool:
    """Root leaves the tree of another user alone."""
    return os.geteuid() != 0 or os.stat(result.tree.objtree).st_uid == 0
