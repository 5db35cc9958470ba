# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One or many modules, or a whole tree, judged by content where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdeps.contents.memory import load_memory
from kdeps.contents.recall import judge_contents
from kdeps.staleness.scope import ScopeResults

if TYPE_CHECKING:
    from collections.abc import Callable


def check_for_contents(
    check: Callable[[bool], ScopeResults], environ: dict[str, str], *, rules_needed: bool
) -> ScopeResults:
    """Judge by time in a way that lets contents decide afterwards.

    An answer that was kept for a whole tree is one by time, and has no rules to compare contents for. So ``check``
    calls ``check_scope`` and is told whether every result must have its rules.
    """
    results = check(rules_needed)
    kept = [part.result for part in results.parts if part.looked_at is not None and part.result is not None]
    if any(load_memory(result.tree.objtree, environ, whole=True) for result in kept):
        return check(True)
    return results


def judge_scope_contents(results: ScopeResults, environ: dict[str, str]) -> ScopeResults:
    """Let contents decide every part of what ``check_for_contents`` returned, where they are known."""
    return ScopeResults(
        tuple(
            part if part.result is None else part._replace(result=judge_contents(part.result, environ).result)
            for part in results.parts
        )
    )
