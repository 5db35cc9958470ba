# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --record``, ``--against`` and ``--compare``."""

from __future__ import annotations

import time
from collections.abc import Callable

from kdeps.cli.exits import Exit
from kdeps.cli.progress import progress_line
from kdeps.cli.remembering import remember_modules
from kdeps.contents.compare import compare_ledgers
from kdeps.contents.hashes import FileHasher
from kdeps.contents.judge import judge_by_content
from kdeps.contents.ledger import Build, Ledger, LedgerError, take_ledger, unsynced_inputs
from kdeps.contents.ledger_file import read_ledger, write_ledger
from kdeps.contents.remember import remember
from kdeps.contents.roots import Roots
from kdeps.kbuild.rule import Owner, Problem
from kdeps.kbuild.tree import roots_of
from kdeps.running.build_id import read_file_id
from kdeps.running.provenance import describe_commit
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Status
from kdeps.staleness.scope import ScopeResults, with_problems
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.errors import KdepsError
from kdeps.system.text import printable


def use_ledgers(
    inspection: ScopeResults,
    record: str | None,
    against: str | None,
    environ: dict[str, str],
    *,
    outside: bool,
) -> tuple[ScopeResults, list[str]]:
    """Judge every part against a ledger, and write a new one of what is fresh then.

    Returns what is known then, and why a ledger could not be read or written. Without the one that was to decide
    nothing is fresh.
    """
    failures: list[str] = []
    ledger = None
    if against is not None:
        try:
            ledger = read_ledger(against)
        except LedgerError as error:
            failures.append(str(error))
            unread = Problem(against, str(error).removeprefix(f"{against}: "))
            inspection = ScopeResults(tuple(with_problems(part, (unread,)) for part in inspection.parts))
    if not inspection.results:
        return inspection, failures
    with progress_line() as show:
        return _compare_contents(
            inspection, ledger, record, environ, failures, show, outside=outside
        ), failures


def _compare_contents(
    inspection: ScopeResults,
    ledger: Ledger | None,
    record: str | None,
    environ: dict[str, str],
    failures: list[str],
    show: Callable[[int], None] | None,
    *,
    outside: bool,
) -> ScopeResults:
    """Hash what the verdicts rest on, judge by a ledger, and write another one; add to ``failures`` what went wrong."""
    trees = tuple(result.tree for result in inspection.results)
    roots = ("/",) if outside else roots_of(trees)
    contents = FileHasher(roots, environ, trees[0].objtree, show)
    unsynced = frozenset(
        path for result in inspection.results for path in unsynced_inputs(result.verdict.findings)
    )
    parts = []
    for part in inspection.parts:
        if ledger is not None and part.result is not None:
            judged = judge_by_content(part.result, ledger, contents, environ, trees, part.findings)
            part = part._replace(result=judged.result, findings=judged.findings)
        parts.append(part)
    inspection = ScopeResults(tuple(parts))
    if record is not None:
        suspect = frozenset(
            path for part in inspection.parts for found in part.findings if found.status is Status.STALE for path in found.remove
        )  # fmt: skip
        written, problems = take_ledger(inspection.results, contents, environ, suspect, unsynced)
        written = written._replace(builds=_read_builds(written, inspection.results, environ))
        parts = [with_problems(part, problems) for part in inspection.parts]
        inspection = ScopeResults(tuple(parts))
        try:
            write_ledger(record, written)
        except KdepsError as error:
            failures.append(str(error))
        _remember(inspection, environ, suspect)
    contents.store()
    return inspection


def _read_builds(
    ledger: Ledger, results: tuple[CheckResult, ...], environ: dict[str, str]
) -> dict[str, Build]:
    """Read the build ids of the modules and of the vmlinux that a ledger describes: id → file, and commit of its
    sources.
    """
    roots = Roots(tuple(result.tree for result in results))
    commits: dict[str, str] = {}
    builds: dict[str, Build] = {}
    for result in results:
        for rule in result.graph.rules:
            path, name = rule.target, roots.name(rule.target)
            if name not in ledger.rules or not (path.endswith(".ko") or name == "$(objtree)/vmlinux"):
                continue
            build_id = read_file_id(path)
            if build_id is None or find_mtime_ns(path) != result.snapshot.mtime_ns.get(path):
                continue  # it changed since it was hashed
            module = result.tree.module if rule.owner is Owner.MODULE else None
            folder = module or result.tree.srctree
            if folder not in commits:
                commits[folder] = describe_commit(folder, environ)
            builds[build_id] = Build(name, commits[folder])
    return builds


def _remember(inspection: ScopeResults, environ: dict[str, str], but: frozenset[str]) -> None:
    """What is written into a ledger is remembered here as well."""
    for result in inspection.results:
        if not result.tree.prebuilt:
            remember_modules(result, remember(result, environ, time.time_ns(), but), environ)


def run_compare(old: str, new: str) -> int:
    """Say in words how two ledgers differ; 0 where they do not, 1 where they do."""
    lines = compare_ledgers(read_ledger(old), read_ledger(new))
    for line in lines:
        print(printable(line))
    if not lines:
        print("the ledgers are of the same contents")
    return Exit.STALE if lines else Exit.FRESH
