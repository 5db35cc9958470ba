# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``kdeps loaded`` and ``kdeps ci --built-id`` compare: a build, and facts that a script printed."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from kdeps.cli.choices import By
from kdeps.staleness.reasons import Status
from kdeps.system.errors import KdepsError, UsageError

if TYPE_CHECKING:
    from kdeps.running.build import Build
    from kdeps.running.facts import Facts
    from kdeps.running.judge import ModuleAnswer
    from kdeps.staleness.check import CheckResult
    from kdeps.staleness.inspection import Inspection


class Builds(NamedTuple):
    """What is compared with a machine."""

    parts: tuple[Build, ...]
    """One for each module folder; a whole kernel with its own modules is one as well."""
    is_whole: bool
    """All modules of a tree are meant, because none was named."""

    @property
    def ids(self) -> dict[str, str | None]:
        """The build id of each module; None if it has none, or if two modules of one name have different ones."""
        found: dict[str, str | None] = {}
        for part in self.parts:
            for name, build_id in part.ids.items():
                found[name] = build_id if found.get(name, build_id) == build_id else None
        return found

    @property
    def built_release(self) -> str:
        """The release that the first build's modules are for."""
        return self.parts[0].built_release

    def judge(self, facts: Facts) -> tuple[ModuleAnswer, ...]:
        """Compare every module with a machine."""
        from kdeps.running.build import add_code
        from kdeps.running.judge import judge_machine

        answers = (
            judge_machine(add_code(part, facts), facts, any_loaded=self.is_whole) for part in self.parts
        )
        return tuple(answer for part in answers for answer in part)


def find_builds(words: tuple[str, ...], cwd: str) -> Builds:
    """Judge the builds that make's words name, and read their modules: without ``M=`` all modules of the tree."""
    from kdeps.contents.scope import judge_scope_contents
    from kdeps.kbuild.modules import split_modules
    from kdeps.kbuild.tree import find_tree
    from kdeps.running.build import read_build
    from kdeps.staleness.scope import Scope, check_scope

    environ = dict(os.environ)
    rest, named = split_modules(words)
    if len(named) == 1:
        return Builds((_find_build(words, named[0], cwd, environ),), is_whole=False)
    tree = None if named else find_tree(rest, cwd, environ)
    is_whole = tree is not None and tree.module is None
    scopes = [Scope.MODULES if is_whole else Scope.MODULE]
    if tree is not None and is_whole and os.path.exists(f"{tree.objtree}/modules.order"):
        scopes.insert(0, Scope.TREE)
    builds: list[Build] = []
    error = ""
    for scope in scopes:
        by_time = check_scope(words, scope, cwd, environ, _inspect, rules_needed=True)
        for part in judge_scope_contents(by_time, environ).parts:
            build = read_build(part.result) if part.result is not None else None
            if build is not None and build.modules:
                builds.append(build)
            elif build is None and is_whole and part.name == "kernel":
                error = part.error  # no module was built with M=
            elif part.result is None:
                raise KdepsError(part.error)
            elif not is_whole:
                raise KdepsError(_nothing_built(part.name))
    if not builds:
        raise KdepsError(error or "no module was built there, so there is nothing to compare")
    return Builds(tuple(builds), is_whole)


def _nothing_built(name: str) -> str:
    return (
        f"{name}: no module was built there, so there is nothing to compare; run the same with `kdeps make`"
    )


def _find_build(words: tuple[str, ...], named: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Build:
    """Judge one module folder, or take its last answer if that was fresh and still holds, and read its modules."""
    from kdeps.kbuild.rule import Rules
    from kdeps.kbuild.tree import find_tree
    from kdeps.running.build import read_build
    from kdeps.staleness.answers import Question
    from kdeps.staleness.check import fresh_result

    question = Question(("loaded", "", By.CONTENT.value), words, cwd, environ)
    started, started_ns = time.perf_counter(), time.time_ns()
    if paths := question.recall():
        tree = find_tree(words, cwd, environ)
        return read_build(fresh_result(tree, Rules((), (), frozenset()), (), started), paths)
    from kdeps.cli.checking import judge, keep_value
    from kdeps.system.background import run_in_background

    answer = judge(question)
    build = read_build(answer.result)
    if not build.modules:
        raise KdepsError(_nothing_built(named[0].partition("=")[2]))
    if answer.keepable and all(module.sources is Status.FRESH for module in build.modules):
        found = [module.path for module in build.modules]
        run_in_background(lambda: keep_value(question, answer, found, started_ns), environ)
    return build


def _inspect(result: CheckResult) -> Inspection:
    """Read the artifacts of a whole tree; for one module, nothing of that is imported."""
    from kdeps.artifacts.inspect import inspect_artifacts

    return inspect_artifacts(result)


def read_facts(path: str) -> bytes:
    """Read a file of facts, or standard input for "-", up to the size that facts can have."""
    from kdeps.running.facts_text import MAX_BYTES
    from kdeps.running.unpacking import open_plain

    if path == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with open_plain(path) as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such file; `kdeps loaded --script` prints what to collect it with"
        ) from None
