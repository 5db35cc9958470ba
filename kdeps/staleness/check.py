# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The whole way, once: from make's arguments to a verdict, from the record alone.

``check_build`` is the one function that every command starts from; each of its steps
can be called from a Python prompt by itself.
"""

from __future__ import annotations

import time
from functools import partial

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.kbuild.graph import Graph, build_graph
from kdeps.kbuild.rule import Rules
from kdeps.kbuild.rules import read_rules
from kdeps.kbuild.toolchain import notices_deleted
from kdeps.kbuild.tree import Tree, find_tree
from kdeps.staleness.build_checks import check_build_as_a_whole
from kdeps.staleness.judge import add_findings, judge
from kdeps.staleness.module_checks import check_clock, check_compilers, check_constants, check_release
from kdeps.staleness.needs import add_generated, drop_unnamed, find_lacking
from kdeps.staleness.reasons import Finding, ReasonKind, Source, Status, Verdict
from kdeps.staleness.snapshot import Snapshot, take_snapshot

if TYPE_CHECKING:
    from kdeps.kbuild.modules import KernelWithModules


class CheckResult(NamedTuple):
    """A verdict and everything it rests on."""

    tree: Tree
    rules: Rules
    graph: Graph
    snapshot: Snapshot
    verdict: Verdict
    elapsed_ms: float


def check_build(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> CheckResult:
    """Judge the build that ``make WORDS…`` would be. Raises KdepsError: nothing to judge, or it cannot be reached."""
    started = time.perf_counter()
    tree = find_tree(words, cwd, environ)
    return judge_tree(tree, read_rules(tree), environ, started)


def judge_tree(tree: Tree, rules: Rules, environ: dict[str, str], started: float) -> CheckResult:
    """The second half of the way, for rules that came from wherever; the first began at ``started``
    (``perf_counter``).
    """
    snapshot = take_snapshot(rules, config_dirs=(tree.objtree,))
    rules = add_generated(tree, drop_unnamed(tree, rules, snapshot), snapshot)
    graph = build_graph(rules, tree.objtree)
    findings = (
        *check_build_as_a_whole(tree, rules, environ, snapshot.stats),
        *check_clock(graph, snapshot.mtime_ns, f"{tree.objtree}/include/config/auto.conf"),
    )
    lacking = find_lacking(tree, graph, snapshot)
    if not any(finding.status is Status.UNKNOWN for finding in findings):
        findings += lacking.findings
    judge_all = partial(
        judge,
        graph,
        snapshot,
        objtree=tree.objtree,
        version=tree.version,
        prebuilt=tree.prebuilt,
        leftovers=rules.leftovers,
        problems=rules.problems,
        findings=findings,
        lacking=lacking.paths,
    )
    verdict = judge_all()
    # Which make it is matters only where something is gone; do not ask before.
    if _misses_files(verdict) and not notices_deleted(tree.srctree, environ, tree.make_directory):
        verdict = judge_all(notices_deleted=False)
    if not rules.whole:
        verdict = add_findings(verdict, check_compilers(tree, verdict, graph, snapshot))
        verdict = add_findings(verdict, check_constants(tree, verdict, graph, snapshot))
        verdict = add_findings(verdict, check_release(tree, verdict, graph))
    return CheckResult(tree, rules, graph, snapshot, verdict, (time.perf_counter() - started) * 1000)


def fresh_result(tree: Tree, rules: Rules, findings: tuple[Finding, ...], started: float) -> CheckResult:
    """Return the result of a check whose fresh answer was kept and still holds: nothing that it was made from.

    ``rules`` are those that are asked for by name; it was asked for at ``started`` (``perf_counter``).
    """
    graph = Graph((), {}, (), (), (), frozenset())
    snapshot = Snapshot({}, frozenset(), {}, ())
    verdict = Verdict(Status.FRESH, Source.RECORD, (), (), findings, ())
    return CheckResult(tree, rules, graph, snapshot, verdict, (time.perf_counter() - started) * 1000)


def _misses_files(verdict: Verdict) -> bool:
    return any(
        reason.kind is ReasonKind.MISSING_PREREQUISITE
        for state in verdict.states.values()
        for reason in state.reasons
    )


def check_modules(whole: KernelWithModules, environ: dict[str, str]) -> CheckResult:
    """Judge a kernel with all its modules, as ``check_build`` judges one of them."""
    started = time.perf_counter()
    tree = whole.tree
    snapshot = take_snapshot(whole.rules, config_dirs=(tree.objtree,))
    verdict = judge(
        whole.graph,
        snapshot,
        objtree=tree.objtree,
        version=tree.version,
        prebuilt=tree.prebuilt,
        notices_deleted=notices_deleted(tree.srctree, environ, tree.make_directory),
        leftovers=whole.rules.leftovers,
        findings=(
            *check_build_as_a_whole(tree, whole.rules, environ, snapshot.stats),
            *check_clock(whole.graph, snapshot.mtime_ns, f"{tree.objtree}/include/config/auto.conf"),
        ),
        problems=whole.rules.problems,
    )
    return CheckResult(
        tree, whole.rules, whole.graph, snapshot, verdict, (time.perf_counter() - started) * 1000
    )
