# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: mutations, the audit, or a benchmark."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from tests.lab.campaign import Campaign
from tests.lab.enter import read_revision
from tests.lab.operations import Step
from tests.lab.run import each_apart

from .aim import Planner, Tree, find_unnamed
from .case import Outcome, ask_kdeps, audit, run_case

_TREES = Path("/var/lib/kdeps-lab/trees")


def run(options: argparse.Namespace) -> int:
    tree = _read_tree(options.tree)
    if options.audit:
        return _audit(tree)
    if options.bench:
        from .bench import run_bench

        return run_bench(tree, rounds=options.rounds, records=options.records)
    return _run(tree, options)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", default="whole", help="small or whole (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200, help="number of mutations (default %(default)s)")
    parser.add_argument("--only", type=int, action="append", metavar="INDEX", help="this case, in full")
    parser.add_argument(
        "--unnamed", action="store_true", help="instead: delete each record that no suffix tells of"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--audit", action="store_true", help="compare the prerequisites of every rule, and stop"
    )
    parser.add_argument("--bench", action="store_true", help="measure, and stop")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the benchmark")
    parser.add_argument("--records", type=int, default=30000, help="size of the benchmark's largest tree")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every case")


def _read_tree(name: str) -> Tree:
    path = _TREES / f"{name}.json"
    if not path.exists():
        raise SystemExit(f"whole: error: no tree {name!r} in the lab; make it: tests/lab/make-lab.sh {name}")
    data = json.loads(path.read_text())
    return Tree(data["name"], data["cwd"], data["srctree"], data["objtree"], tuple(data["make"]))


def _audit(tree: Tree) -> int:
    rules, edges, lines = next(iter(each_apart(audit, [tree], 1)))
    print("\n".join(lines))
    print(f"audit {tree.name}: {rules} rules, {edges} edges in Kbuild; {len(lines)} lines differ")
    return int(any(line.startswith(("UNKNOWN", "MISSING")) for line in lines))


def _run(tree: Tree, options: argparse.Namespace) -> int:
    started = time.monotonic()
    planner = Planner(tree)
    status, answer, message = ask_kdeps(tree)  # also leaves an index behind
    if status != 0:
        print(f"whole: error: the tree is not fresh: {answer.get('issues', message)}", file=sys.stderr)
        return 2
    if options.unnamed:
        plans: list[tuple[Step, ...]] = [(step,) for step in find_unnamed(tree)]
        cases = [(tree, index, plans[index]) for index in options.only or range(len(plans))]
    else:
        wanted = options.only or range(options.count)
        cases = [(tree, index, planner.plan(options.seed, index)) for index in wanted]
    outcomes: list[Outcome] = []
    for outcome in each_apart(_run_one, cases, options.jobs):
        outcomes.append(outcome)
        if options.verbose or options.only or outcome.failed:
            print(_line(outcome), flush=True)
    fresh = next(iter(each_apart(_run_one, [(tree, -1, ())], 1)))
    if fresh.failed or fresh.stale or fresh.verdict != "fresh":
        print(f"NOT FRESH at the end: {_line(fresh)}")
    failed = [o for o in outcomes if o.failed]
    print(
        f"whole {tree.name}, seed {options.seed}, kdeps {read_revision()}: {len(outcomes)} mutations, "
        f"{sum(bool(o.stale) for o in outcomes)} stale by Kbuild; {sum(len(o.misses) for o in outcomes)} misses, "
        f"{sum(len(o.alarms) for o in outcomes)} false alarms, {sum(len(o.contract) for o in outcomes)} contract, "
        f"{sum(bool(o.broken) for o in outcomes)} broken; {time.monotonic() - started:.0f} s"
    )
    return int(bool(failed) or fresh.failed or bool(fresh.stale))


def _run_one(case: tuple[Tree, int, tuple[Step, ...]]) -> Outcome:
    return run_case(*case)


def _line(outcome: Outcome) -> str:
    text = (
        f"{'FAIL' if outcome.failed else 'ok  '} {outcome.index}  {'; '.join(outcome.steps)}  "
        f"{outcome.verdict}, kbuild {outcome.stale}; {outcome.kdeps_s:.1f} s, make {outcome.kbuild_s:.1f} s"
    )
    for word, lines in (("MISS", outcome.misses), ("ALARM", outcome.alarms), ("CONTRACT", outcome.contract)):
        text += "".join(f"\n     {word} {line}" for line in lines[:12])
        if len(lines) > 12:
            text += f"\n     {word} and {len(lines) - 12} more"
    return text + (f"\n{outcome.broken}" if outcome.broken else "")


CAMPAIGN = Campaign(add_options, run)
