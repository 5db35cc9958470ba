# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What an inspection of compiled files returns; ``artifacts`` does the inspecting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kdeps.kbuild.rule import Problem
from kdeps.staleness.reasons import Finding

if TYPE_CHECKING:
    from kdeps.staleness.check import CheckResult


class Inspection(NamedTuple):
    """What the artifacts of a build say of themselves."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    """Artifacts that could not be read."""
    ctimes: dict[str, int | None]
    """Which files were read: path → ctime before that; None if it could not be opened."""


Inspect = Callable[["CheckResult"], Inspection]
"""Reads the artifacts of a build. The caller passes it, because it belongs to a higher floor."""
