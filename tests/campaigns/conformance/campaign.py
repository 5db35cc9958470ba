# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: which cases, how many, and how they are told."""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tests.lab.campaign import SHARED, Campaign
from tests.lab.enter import read_revision
from tests.lab.layout import Layout, Module, read_layouts
from tests.lab.mutate import Case, Planner
from tests.lab.real_build import rebuild_case, rebuilt_text
from tests.lab.run import each_apart, fresh_case, list_trees, plan_case, plan_cases, run_cases, warm_caches

from .audit import Audit, audit_lines, audit_module
from .case import Outcome
from .chain import Chain, run_chain
from .opened import Opened, opened_line, trace_build
from .report import Tally, as_json, case_line, disagreement_lines, full_text
from .scenarios import STORIES, Story, Told, tell


def run(options: argparse.Namespace) -> int:
    layouts = _pick_layouts(options.layouts)
    if options.list:
        return _list(layouts)
    if options.audit:
        return _run_audit(layouts, options.jobs)
    if options.opened:
        return _run_opened(layouts, options.jobs, prepare=options.opened == "all")
    if options.field:
        return _run_field(layouts, options.jobs)
    if options.chains:
        return _run_chains(layouts, options)
    if options.only:
        return _run_only(layouts, options)
    return _run_many(layouts, options)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layouts", default="", help="comma-separated (default: all that are built)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000, help="number of mutations (default %(default)s)")
    parser.add_argument(
        "--exact",
        type=int,
        default=0,
        metavar="N",
        help="N more cases against kdeps check --exact, commands included",
    )
    parser.add_argument(
        "--really",
        type=int,
        default=0,
        metavar="N",
        help="N more cases by a real build, stand-ins for the compilers",
    )
    parser.add_argument(
        "--audit", action="store_true", help="compare the prerequisites of every rule, and stop"
    )
    parser.add_argument(
        "--opened",
        choices=("modules", "all"),
        help="build every module, or modules_prepare as well, under strace, compare what was read, and stop",
    )
    parser.add_argument(
        "--field",
        action="store_true",
        help="tell the cases from the field with the real compilers, on the first Rust module, and stop",
    )
    parser.add_argument(
        "--chains",
        type=int,
        default=0,
        metavar="N",
        help="run N chains of real incremental builds, every command asked after each, and stop",
    )
    parser.add_argument("--length", type=int, default=30, help="builds in a chain (default %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="cases at a time (default: CPUs)"
    )
    parser.add_argument("--only", action="append", metavar="LAYOUT/SEED:INDEX", help="this case, in full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a report there")
    parser.add_argument(
        "--list", action="store_true", help="show layouts, modules and kinds of files, and stop"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every case")


def _pick_layouts(names: str) -> dict[str, Layout]:
    built = read_layouts()
    wanted = [name for name in names.split(",") if name] or list(built)
    for name in wanted:
        if name not in built:
            raise SystemExit(
                f"conformance: error: layout {name!r} is not built; there are: {', '.join(built)}"
            )
    return {name: built[name] for name in wanted}


def _list(layouts: dict[str, Layout]) -> int:
    for layout in layouts.values():
        print(f"{layout.name}: {layout.about}: make {' '.join(layout.make)} in {layout.cwd}")
        for module in layout.modules:
            print(f"  module {module.name} ({', '.join(module.languages)}): {' '.join(module.make)}")
        for kind, count in Planner(layout).kinds.items():
            print(f"  {count:6} {kind}")
    return 0


def _run_audit(layouts: dict[str, Layout], jobs: int) -> int:
    pairs = [(layout, module) for layout in layouts.values() for module in layout.modules]
    bad = False
    for audit in each_apart(_audit, pairs, jobs):
        print("\n".join(audit_lines(audit)), flush=True)
        bad |= bool(audit.missing or audit.unknown)
    return int(bad)


def _audit(pair: tuple[Layout, Module]) -> Audit:
    return audit_module(*pair)


def _run_opened(layouts: dict[str, Layout], jobs: int, *, prepare: bool) -> int:
    builds = [(layout, module, False) for layout in layouts.values() for module in layout.modules]
    builds += [(layout, layout.modules[0], True) for layout in layouts.values() if prepare and layout.prepare]
    bad = False
    for opened in each_apart(_trace, builds, jobs):
        print(opened_line(opened), flush=True)
        bad |= bool(opened.unknown or opened.error or not opened.files)
    return int(bad)


def _trace(build: tuple[Layout, Module, bool]) -> Opened:
    layout, module, prepare = build
    return trace_build(layout, module, prepare=prepare)


def _run_field(layouts: dict[str, Layout], jobs: int) -> int:
    """Edit, see M= say nothing, see kdeps name it, follow its help; every layout that has Rust and can be prepared."""
    tales = [
        (layout, next(m for m in layout.modules if "rust" in m.languages), story)
        for layout in layouts.values()
        if layout.prepare and any("rust" in m.languages for m in layout.modules)
        for story in STORIES
    ]
    warm_caches({layout.name: layout for layout, _, _ in tales}.values())
    wrong = 0
    for (layout, module, _), told in each_apart(_tell, tales, jobs):
        wrong += bool(told.wrong)
        print(
            f"field {layout.name}/{module.name} {told.name}: {'; '.join(told.wrong) or 'as it must be'}",
            flush=True,
        )
        if told.wrong:
            print(told.said, flush=True)
    print(f"field: {len(tales)} stories, {wrong} went wrong")
    return int(bool(wrong))


def _run_chains(layouts: dict[str, Layout], options: argparse.Namespace) -> int:
    """Run chains of real builds, the modules of all layouts in turn."""
    places = [(layout, module) for layout in layouts.values() for module in layout.modules]
    random.Random(options.seed).shuffle(places)
    chains = [Chain(*place, options.seed, options.length) for place in islice(cycle(places), options.chains)]
    results = []
    for result in each_apart(run_chain, chains, options.jobs):
        results.append(result)
        mark = "FAIL" if result.wrong else "ok  "
        print(
            f"{mark} {result.name}: {result.builds} builds, {result.ran} steps ran  {result.elapsed_s:.0f} s",
            flush=True,
        )
        print("\n".join(f"  {line}" for line in result.wrong), end="\n" if result.wrong else "", flush=True)
    wrong = sum(bool(result.wrong) for result in results)
    print(f"chains: {len(results)}, {sum(r.builds for r in results)} builds, {wrong} went wrong")
    return int(bool(wrong))


def _tell(tale: tuple[Layout, Module, Story]) -> tuple[tuple[Layout, Module, Story], Told]:
    return tale, tell(*tale)


def _run_only(layouts: dict[str, Layout], options: argparse.Namespace) -> int:
    cases = []
    for name in options.only:
        layout, _, rest = name.partition("/")
        seed, _, index = rest.partition(":")
        if layout not in layouts or not seed.isdigit() or not index.isdigit():
            raise SystemExit(
                f"conformance: error: --only {name}: want LAYOUT/SEED:INDEX of a layout that is built"
            )
        cases.append(plan_case(Planner(layouts[layout]), int(seed), int(index), exact=bool(options.exact)))
    warm_caches({case.layout.name: case.layout for case in cases}.values())
    if options.really:
        return int(not _run_really(cases, jobs=1, verbose=True))
    failed = False
    for outcome in run_cases(cases, jobs=1, exact=bool(options.exact)):
        print(full_text(outcome), flush=True)
        failed |= outcome.disagrees
    return int(failed)


def _run_many(layouts: dict[str, Layout], options: argparse.Namespace) -> int:
    started = time.monotonic()
    before = list_trees(layouts.values())
    warm_caches(layouts.values())
    planners = {name: Planner(layout) for name, layout in layouts.items()}
    tally, exact_tally = Tally(), Tally()
    agree = _run_fresh(layouts, options.jobs, "at the start")
    outcomes = _run_stream(plan_cases(planners, options.seed, options.count), tally, options, exact=False)
    exact_cases = plan_cases(planners, options.seed, options.exact, exact=True)
    outcomes += _run_stream(exact_cases, exact_tally, options, exact=True)
    really = [p for p in planners.values() if p.layout.prepare]
    if options.really and really:
        cases = plan_cases({p.layout.name: p for p in really}, options.seed, options.really)
        agree &= _run_really(cases, jobs=1, verbose=options.verbose)
    agree &= _run_fresh(layouts, options.jobs, "at the end")
    after = list_trees(layouts.values())
    changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    for path in changed[:20]:
        print(f"CHANGED {path}: the run left a trace in the lab")
    elapsed_s = time.monotonic() - started
    if options.json:
        about: dict[str, Any] = {
            "kdeps": read_revision(),
            "seed": options.seed,
            "elapsed_s": round(elapsed_s, 1),
            "trees_unchanged": not changed,
            "kernels": {layout.name: layout.about for layout in layouts.values()},
            "exact": dict(exact_tally.counts),
        }
        path = SHARED / options.json.name
        path.write_text(json.dumps(as_json(outcomes, tally, about), indent=1) + "\n")
    if options.exact:
        print(f"exact: {exact_tally.summary(options.seed, elapsed_s)}")
    print(tally.summary(options.seed, elapsed_s))
    return int(bool(tally.failed or exact_tally.failed or changed or not agree))


def _run_stream(
    cases: list[Case], tally: Tally, options: argparse.Namespace, *, exact: bool
) -> list[Outcome]:
    outcomes = []
    for outcome in run_cases(cases, options.jobs, exact=exact):
        tally.add(outcome)
        outcomes.append(outcome)
        if options.verbose:
            print(case_line(outcome), flush=True)
        for line in disagreement_lines(outcome):
            print(line + (" (--exact 1)" if exact else ""), flush=True)
    return outcomes


def _run_really(cases: list[Case], *, jobs: int, verbose: bool) -> bool:
    """Have make build after each mutation; return whether it did what kdeps foretold."""
    results = []
    for result in each_apart(rebuild_case, cases, jobs):
        results.append(result)
        if verbose or result.disagrees:
            print(rebuilt_text(result), flush=True)
    failed = [r for r in results if r.disagrees]
    print(
        f"really: {len(results)} rebuilds ({sum(r.compiler == 'real' for r in results)} with the real compilers), "
        f"{sum(r.ran for r in results)} rules ran, {sum(r.foretold for r in results)} foretold; "
        f"{sum(bool(r.error) for r in results)} failed in make, {len(failed)} disagree"
    )
    return not failed


def _run_fresh(layouts: dict[str, Layout], jobs: int, when: str) -> bool:
    """Judge the unmutated trees; return whether both find all of them fresh."""
    fit = True
    for outcome in run_cases(map(fresh_case, layouts.values()), jobs):
        listed = {t for a in (outcome.prepare, *(j.kbuild for j in outcome.judged)) for t in a.recorded}
        stale = [j.module for j in outcome.judged if j.kdeps.verdict != "fresh" or j.kdeps.entries]
        layout = layouts[outcome.name.partition("/")[0]]
        rusty = {m.name for m in layout.modules if layout.prepare and "rust" in m.languages}
        lost = [j.module for j in outcome.judged if j.module in rusty and not j.kdeps.kept]
        if lost:
            print(f"NOT KEPT {when}: {layout.name}: {', '.join(lost)}")
        if listed or outcome.kbuild_errors or outcome.disagrees or stale or lost:
            fit = False
            print(f"NOT FRESH {when}:\n{full_text(outcome)}", flush=True)
    return fit


CAMPAIGN = Campaign(add_options, run, shared=lambda options: options.json and options.json.resolve().parent)
