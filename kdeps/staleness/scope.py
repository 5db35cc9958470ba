# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One or many modules, each judged by the same check as in ``kdeps check``.

This module has no rule of staleness of its own. A module that could not be judged is a part
like the others, with an error in place of the result: a pipeline sees it in every report, and
it is never fresh.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from kdeps.formats.makeargs import working_directory
from kdeps.kbuild.modules import find_modules, is_built_against, split_modules
from kdeps.kbuild.rule import Owner, Problem
from kdeps.kbuild.tree import Tree, find_tree, module_argument
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.inspection import Inspect
from kdeps.staleness.reasons import Finding, Status
from kdeps.system.errors import KdepsError

SEVERITY = {Status.FRESH: 0, Status.UNKNOWN: 1, Status.STALE: 2}
"""What is wrong for sure is worse than what is not known."""


class ScopedResult(NamedTuple):
    """One module, or the kernel's own artifacts, with the answer for it."""

    name: str
    """As make is given it (``M=``); ``kernel`` for the kernel's own artifacts."""
    result: CheckResult | None
    """None if it could not be judged at all."""
    error: str = ""
    findings: tuple[Finding, ...] = ()
    """What was found beyond what the check asks."""
    looked_at: tuple[int, int] | None = None
    """How many rules and files, where the result does not have them: the last answer still holds."""

    @property
    def status(self) -> Status:
        """Stale wins over unknown, unknown over fresh."""
        if self.result is None:
            return Status.UNKNOWN
        return worst((self.result.verdict.status, *(found.status for found in self.findings)))

    @property
    def built(self) -> bool:
        """Whether a module was ever built here, by its records."""
        return self.result is not None and any(
            rule.owner is Owner.MODULE and rule.record is not None for rule in self.result.graph.rules
        )

    @property
    def built_against(self) -> bool:
        """Whether that was against this object tree."""
        return self.result is not None and _belongs(self.result)


class ScopeResults(NamedTuple):
    """Everything that was judged, in the order of the modules' names."""

    parts: tuple[ScopedResult, ...]

    @property
    def results(self) -> tuple[CheckResult, ...]:
        return tuple(part.result for part in self.parts if part.result is not None)


def worst(statuses: Iterable[Status]) -> Status:
    """The status of many: nothing judged is unknown."""
    return max(statuses, key=SEVERITY.__getitem__, default=Status.UNKNOWN)


def with_problems(part: ScopedResult, problems: tuple[Problem, ...]) -> ScopedResult:
    """Add what could not be read later on: what was fresh is unknown then."""
    if part.result is None or not problems:
        return part
    verdict = part.result.verdict
    told = {problem.path for problem in verdict.problems}
    more = (problem for problem in problems if problem.path not in told)
    verdict = verdict._replace(
        problems=(*verdict.problems, *more), status=worst((verdict.status, Status.UNKNOWN))
    )
    return part._replace(result=part.result._replace(verdict=verdict))


def check_scope(
    words: tuple[str, ...],
    extent: Scope,
    cwd: str,
    environ: dict[str, str],
    inspect: Inspect,
    *,
    rules_needed: bool = False,
) -> ScopeResults:
    """Judge what the make arguments name, and with ``Scope.MODULES`` every module that is found.

    ``M=`` may stand there several times, each with its ``MO=`` behind it. ``inspect`` reads the artifacts of a whole
    tree.
    """
    rest, named = split_modules(words)
    parts: dict[str, ScopedResult] = {}
    for module in named:
        # The same folder may be built to several places: then its MO= belongs to the name.
        name = " ".join((module[0].partition("=")[2], *module[1:]))
        part = _inspect((*rest, *module), name, cwd, environ)
        parts.setdefault(_folder(part), part)
    if extent is Scope.TREE:
        return ScopeResults(
            (_inspect_whole(rest, cwd, environ, inspect, rules_needed=rules_needed), *parts.values())
        )
    if extent is Scope.MODULE:
        if not named:
            part = _inspect(rest, "", cwd, environ)
            parts[_folder(part)] = part
        return ScopeResults(tuple(parts.values()))
    try:
        tree = find_tree(rest, cwd, environ)
    except KdepsError as error:
        return ScopeResults((*parts.values(), ScopedResult("kernel", None, str(error))))
    stands_there = os.path.realpath(working_directory(tree.args, cwd)) == tree.make_directory
    found = [tree.module] if tree.module else []
    for folder in (*found, *find_modules(tree)):
        name = module_argument(tree, folder) if stands_there else folder
        if folder in parts:
            continue
        part = _inspect((*rest, f"M={name}"), name, cwd, environ)
        if part.result is None or folder in found or _belongs(part.result):
            parts.setdefault(_folder(part), part)
    if not parts:
        message = (
            f"{tree.srctree}: no module below it was built against {tree.objtree} with M=, so there is "
            "nothing to judge; name one with M=DIR, or leave --scope=modules out"
        )
        return ScopeResults((ScopedResult("kernel", None, message),))
    return ScopeResults(tuple(parts[key] for key in sorted(parts)))


def _inspect(words: tuple[str, ...], name: str, cwd: str, environ: dict[str, str]) -> ScopedResult:
    try:
        result = check_build(words, cwd, environ)
    except KdepsError as error:
        return ScopedResult(name or "kernel", None, str(error))
    return ScopedResult(name or _name(result.tree), result)


def _inspect_whole(
    words: tuple[str, ...], cwd: str, environ: dict[str, str], inspect: Inspect, *, rules_needed: bool
) -> ScopedResult:
    from kdeps.staleness.whole_tree import check_tree

    try:
        result = check_tree(words, cwd, environ, inspect, rules_needed=rules_needed)
    except KdepsError as error:
        return ScopedResult("tree", None, str(error))
    looked_at = (result.rules, result.files) if result.kept else None
    part = ScopedResult("tree", result.result, findings=result.findings, looked_at=looked_at)
    return with_problems(part, result.problems)


def _name(tree: Tree) -> str:
    """What to call a build that was named without ``M=``."""
    return module_argument(tree, tree.module) if tree.module else "kernel"


def _folder(part: ScopedResult) -> str:
    """What tells two parts apart: where the module's output lies; the same folder twice is one."""
    if part.result is None:
        return part.name
    return part.result.tree.module_output or ""


def _belongs(result: CheckResult) -> bool:
    """Whether the records of a module that was found are of this object tree."""
    own = [rule for rule in result.rules.rules if rule.owner is Owner.MODULE]
    return is_built_against(result.tree.objtree, own)


class Scope(str, Enum):
    """What of a tree is judged."""

    MODULE = "module"
    """What the make arguments name: a module, several, or the kernel's own artifacts."""
    MODULES = "modules"
    """Those, and every module below the source tree that has a record of this object tree."""
    TREE = "tree"
    """What plain ``make`` builds: vmlinux and every module of its configuration; and what ``M=`` names."""
