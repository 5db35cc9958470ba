# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --store PLACE``: add the steps of this build to those that others may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kdeps.cli.make_messages import say
from kdeps.contents.shared import publish_steps
from kdeps.contents.steps import remember_build
from kdeps.system.cache import find_problem
from kdeps.system.errors import KdepsError
from kdeps.system.remote import open_place
from kdeps.system.text import printable

if TYPE_CHECKING:
    from kdeps.staleness.scope import ScopeResults


def add_to_store(inspection: ScopeResults, name: str, environ: dict[str, str]) -> list[str]:
    """Add the fresh steps of every module that was judged to a folder or URL; return why some of them were not.

    Raises UsageError where the name can be no store, another KdepsError where it cannot be used.
    """
    place = open_place(name, environ, writing=True)
    steps = new_bytes = 0
    problem = find_problem(environ)
    failures = [f"--store: {problem}: no build is remembered, so none can be stored"] if problem else []
    for part in inspection.parts:
        if part.result is None or part.result.rules.whole or part.result.tree.prebuilt:
            continue
        try:
            # The process that remembers behind `kdeps make` may not have ended.
            remember_build(part.result, environ, time.time_ns())
            added = publish_steps(part.result, place, environ)
        except KdepsError as error:
            failures.append(f"--store: {error}")
            break  # a place that failed once is not asked again
        steps, new_bytes = steps + added.steps, new_bytes + added.new_bytes
    if not failures:
        say(f"{steps} steps are in {printable(place.name)}, {new_bytes / 1e6:.1f} MB of them new")
    return failures
