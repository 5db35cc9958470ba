# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One or many modules, each judged by the very survey that ``kdeps check`` makes.

Nothing here has a rule of staleness of its own. What could not be judged is a part
like the others, with the error in the place of the survey: a pipeline shall see it in
every report, and it is never fresh.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from kdeps.ci.discovery import Discovery
from kdeps.ci.options import Extent
from kdeps.errors import KdepsError
from kdeps.makeargs import working_directory
from kdeps.query.modules import find_modules, is_built_against, split_modules
from kdeps.rules import Problem, Scope
from kdeps.survey import Survey, survey
from kdeps.tree import Tree, find_tree, module_argument
from kdeps.verdict import Status

_ORDER = {Status.FRESH: 0, Status.UNKNOWN: 1, Status.STALE: 2}


class Part(NamedTuple):
    """One module, or the kernel's own artifacts, with the answer for it."""

    name: str
    """As make is given it (``M=``); ``kernel`` for the kernel's own artifacts."""
    survey: Survey | None
    """``None``: it could not be judged at all."""
    error: str = ""
    """Why not."""
    discoveries: tuple[Discovery, ...] = ()
    """What was found beyond what the survey asks."""
    looked_at: tuple[int, int] | None = None
    """How many rules and files, where the survey does not have them: the last answer still holds."""

    @property
    def status(self) -> Status:
        """Stale wins over unknown, unknown over fresh."""
        if self.survey is None:
            return Status.UNKNOWN
        return worst((self.survey.verdict.status, *(found.status for found in self.discoveries)))

    @property
    def built(self) -> bool:
        """Whether a module was ever built here, by its records."""
        return self.survey is not None and any(
            rule.scope is Scope.MODULE and rule.record is not None for rule in self.survey.graph.rules
        )

    @property
    def built_against(self) -> bool:
        """Whether that was against this object tree."""
        return self.survey is not None and _belongs(self.survey)


class Inspection(NamedTuple):
    """Everything that was judged, in the order of the modules' names."""

    parts: tuple[Part, ...]

    @property
    def status(self) -> Status:
        return worst(tuple(part.status for part in self.parts))

    @property
    def surveys(self) -> tuple[Survey, ...]:
        return tuple(part.survey for part in self.parts if part.survey is not None)


def worst(statuses: tuple[Status, ...]) -> Status:
    """The status of many: nothing judged is unknown."""
    return max(statuses, key=_ORDER.__getitem__, default=Status.UNKNOWN)


def with_problems(part: Part, problems: tuple[Problem, ...]) -> Part:
    """Add what could not be read later on: what was fresh is unknown then."""
    if part.survey is None or not problems:
        return part
    verdict = part.survey.verdict
    told = {problem.path for problem in verdict.problems}
    more = (problem for problem in problems if problem.path not in told)
    verdict = verdict._replace(
        problems=(*verdict.problems, *more), status=worst((verdict.status, Status.UNKNOWN))
    )
    return part._replace(survey=part.survey._replace(verdict=verdict))


def inspect_build(
    words: tuple[str, ...], extent: Extent, cwd: str, environ: dict[str, str], *, rules_needed: bool = False
) -> Inspection:
    """Judge what the make arguments name, and with ``Extent.MODULES`` every module that is found.

    Args:
        words: make's arguments; ``M=`` may stand there several times, each with its ``MO=`` behind it.
        extent: How far to look.
        cwd: The folder the user stands in.
        environ: The environment make would get.
        rules_needed: Every survey must have its rules, because somebody asks them.
    """
    rest, named = split_modules(words)
    parts: dict[str, Part] = {}
    for module in named:
        # The same folder may be built to several places: then its MO= belongs to the name.
        name = " ".join((module[0].partition("=")[2], *module[1:]))
        part = _inspect((*rest, *module), name, cwd, environ)
        parts.setdefault(_folder(part), part)
    if extent is Extent.TREE:
        return Inspection((_inspect_whole(rest, cwd, environ, rules_needed=rules_needed), *parts.values()))
    if extent is Extent.MODULE:
        if not named:
            part = _inspect(rest, "", cwd, environ)
            parts[_folder(part)] = part
        return Inspection(tuple(parts.values()))
    try:
        tree = find_tree(rest, cwd, environ)
    except KdepsError as error:
        return Inspection((*parts.values(), Part("kernel", None, str(error))))
    stands_there = os.path.realpath(working_directory(tree.args, cwd)) == tree.make_directory
    found = [tree.module] if tree.module else []
    for folder in (*found, *find_modules(tree)):
        name = module_argument(tree, folder) if stands_there else folder
        if folder in parts:
            continue
        part = _inspect((*rest, f"M={name}"), name, cwd, environ)
        if part.survey is None or folder in found or _belongs(part.survey):
            parts.setdefault(_folder(part), part)
    if not parts:
        message = (
            f"{tree.srctree}: no module below it was built against {tree.objtree} with M=, so there is "
            "nothing to judge; name one with M=DIR, or leave --scope=modules out"
        )
        return Inspection((Part("kernel", None, message),))
    return Inspection(tuple(parts[key] for key in sorted(parts)))


def _inspect(words: tuple[str, ...], name: str, cwd: str, environ: dict[str, str]) -> Part:
    try:
        found = survey(words, cwd, environ)
    except KdepsError as error:
        return Part(name or "kernel", None, str(error))
    return Part(name or _name(found.tree), found)


def _inspect_whole(words: tuple[str, ...], cwd: str, environ: dict[str, str], *, rules_needed: bool) -> Part:
    from kdeps.ci.whole import survey_whole

    try:
        found = survey_whole(words, cwd, environ, rules_needed=rules_needed)
    except KdepsError as error:
        return Part("tree", None, str(error))
    looked_at = (found.rules, found.files) if found.kept else None
    part = Part("tree", found.survey, discoveries=found.discoveries, looked_at=looked_at)
    return with_problems(part, found.problems)


def _name(tree: Tree) -> str:
    """What to call a build that was named without ``M=``."""
    return module_argument(tree, tree.module) if tree.module else "kernel"


def _folder(part: Part) -> str:
    """What tells two parts apart: where the module's output lies; the same folder twice is one."""
    if part.survey is None:
        return part.name
    return part.survey.tree.module_output or ""


def _belongs(found: Survey) -> bool:
    """Whether the records of a module that was found are of this object tree."""
    own = [rule for rule in found.rules.rules if rule.scope is Scope.MODULE]
    return is_built_against(found.tree.objtree, own)
