# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --store PLACE``: add the steps of this build to those that others may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kdeps.system.errors import KdepsError
from kdeps.system.text import printable

if TYPE_CHECKING:
    from kdeps.staleness.check import CheckResult
    from kdeps.staleness.scope import ScopeResults


def add_to_store(inspection: ScopeResults, name: str, environ: dict[str, str]) -> list[str]:
    """Add the fresh steps of every module that was judged; return why some of them were not.

    Args:
        inspection: What was judged.
        name: A folder or a URL.
        environ: The environment make would get.

    Raises:
        UsageError: It can be no store.
        KdepsError: It cannot be used.
    """
    from kdeps.cli.make_messages import say
    from kdeps.contents.shared import publish_steps
    from kdeps.system.remote import open_place

    place = open_place(name, environ, writing=True)
    steps = new_bytes = 0
    failures = []
    for part in inspection.parts:
        if part.result is None or part.result.rules.whole or part.result.tree.prebuilt:
            continue
        try:
            _keep(part.result, environ)
            added = publish_steps(part.result, place, environ)
        except KdepsError as error:
            failures.append(f"--store: {error}")
            break  # a place that failed once is not asked again
        steps, new_bytes = steps + added.steps, new_bytes + added.new_bytes
    say(f"{steps} steps are in {printable(place.name)}, {new_bytes / 1e6:.1f} MB of them new")
    return failures


def _keep(result: CheckResult, environ: dict[str, str]) -> None:
    """Remember the build first: the process that does so behind `kdeps make` may not have ended."""
    from kdeps.artifacts.racy_edits import find_racy_edits
    from kdeps.contents.remember import remember
    from kdeps.contents.steps import keep_steps

    edits = find_racy_edits(result.graph.rules, result.snapshot.mtime_ns)
    memory = remember(result, environ, time.time_ns(), frozenset(edit.rule.target for edit in edits))
    keep_steps(result, memory, environ)
