# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The whole way, once: from make's arguments to a verdict, from the record alone.

``survey`` is the one function that every command starts from; each of its steps
can be called from a Python prompt by itself.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

from kdeps.findings import find_findings
from kdeps.graph import Graph, build_graph
from kdeps.rules import Rules, read_rules
from kdeps.stamps import Snapshot, take_snapshot
from kdeps.toolchain import notices_deleted
from kdeps.tree import Tree, find_tree
from kdeps.verdict import ReasonKind, Verdict, judge


class Survey(NamedTuple):
    """A verdict and everything it rests on."""

    tree: Tree
    rules: Rules
    graph: Graph
    snapshot: Snapshot
    verdict: Verdict
    elapsed_ms: float


def survey(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Survey:
    """Judge the build that ``make WORDS…`` would be.

    Args:
        words: make's arguments, verbatim.
        cwd: The folder the user stands in.
        environ: The environment make would get.

    Raises:
        KdepsError: There is nothing to judge, or it cannot be reached.
    """
    started = time.perf_counter()
    tree = find_tree(words, cwd, environ)
    return judge_rules(tree, read_rules(tree), environ, started)


def judge_rules(tree: Tree, rules: Rules, environ: dict[str, str], started: float) -> Survey:
    """The second half of the way, for rules that came from wherever.

    Args:
        tree: Where they lie.
        rules: What was read.
        environ: The environment make would get.
        started: When the first half began, by ``time.perf_counter``.
    """
    graph = build_graph(rules, tree.objtree)
    snapshot = take_snapshot(rules, config_dirs=(tree.objtree,))
    conclude = partial(
        judge,
        graph,
        snapshot,
        objtree=tree.objtree,
        version=tree.version,
        prebuilt=tree.prebuilt,
        leftovers=rules.leftovers,
        findings=find_findings(tree, rules, environ),
        problems=rules.problems,
    )
    verdict = conclude()
    # Which make it is matters only where something is gone; do not ask before.
    if _misses_files(verdict) and not notices_deleted(tree.srctree, environ, tree.make_directory):
        verdict = conclude(notices_deleted=False)
    return Survey(tree, rules, graph, snapshot, verdict, (time.perf_counter() - started) * 1000)


def _misses_files(verdict: Verdict) -> bool:
    return any(
        reason.kind is ReasonKind.MISSING_PREREQUISITE
        for state in (*verdict.stale, *verdict.pending)
        for reason in state.reasons
    )
