# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Run many cases, each in a process and an overlay of its own."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from tests.campaigns.conformance.case import CACHE, Outcome, run_case

from .answer import ask_kdeps, keep_fresh
from .layout import Layout
from .mutate import Case, Planner

WEIGHTS = {"out": 8, "in": 5, "lts": 4, "next": 3, "headers": 1, "c61": 1}
"""How the cases are shared out among the layouts."""

Listing = dict[str, tuple[int, int, int]]
"""Path to size, mtime in nanoseconds and mode."""

Input = TypeVar("Input")
Result = TypeVar("Result")


def share_out(count: int, layouts: Sequence[Layout]) -> dict[str, int]:
    """Say how many of ``count`` cases each layout gets: its share, those that lost most by rounding one more."""
    total = sum(WEIGHTS.get(layout.name, 1) for layout in layouts)
    shares = {layout.name: divmod(count * WEIGHTS.get(layout.name, 1), total) for layout in layouts}
    left = count - sum(share for share, _ in shares.values())
    more = sorted(shares, key=lambda name: -shares[name][1])[:left]
    return {name: share + (name in more) for name, (share, _) in shares.items()}


def plan_cases(planners: dict[str, Planner], seed: int, count: int, *, exact: bool = False) -> list[Case]:
    """Return the cases of a run, the layouts interleaved."""
    shares = share_out(count, [p.layout for p in planners.values()])
    slots = sorted((index / share, name, index) for name, share in shares.items() for index in range(share))
    return [plan_case(planners[name], seed, index, exact=exact) for _, name, index in slots]


def plan_case(planner: Planner, seed: int, index: int, *, exact: bool) -> Case:
    """Return one case of the one stream or the other."""
    return planner.plan_exact(seed, index) if exact else planner.plan(seed, index)


def fresh_case(layout: Layout) -> Case:
    """Return the case in which nothing is done: both must say fresh."""
    return Case(layout, layout.modules, (), seed=0, index=-1, warm=False)


def each_apart(work: Callable[[Input], Result], inputs: Iterable[Input], jobs: int) -> Iterator[Result]:
    """Call ``work`` on each input in a process of its own; yield results as they come."""
    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(work, inputs, chunksize=1)


def run_cases(cases: Iterable[Case], jobs: int, *, exact: bool = False) -> Iterator[Outcome]:
    return each_apart(partial(run_case, exact=exact), cases, jobs)


def warm_caches(layouts: Iterable[Layout]) -> None:
    """Let kdeps see every fresh tree once, so that warm cases find what it remembers."""
    shutil.rmtree(f"{CACHE}/kdeps", ignore_errors=True)
    for layout in layouts:
        for module in layout.modules:
            ask_kdeps(layout, module.make)
            keep_fresh(layout, module.make)


def list_trees(layouts: Iterable[Layout]) -> Listing:
    """List all trees of the layouts, to see afterwards that nothing has changed."""
    roots = {layout.srctree for layout in layouts} | {layout.objtree for layout in layouts}
    roots |= {folder for layout in layouts for m in layout.modules for folder in (m.folder, m.output)}
    found: Listing = {}
    for root in sorted(roots):
        for where, _, files in os.walk(root):
            for name in files:
                path = os.path.join(where, name)
                s = os.lstat(path)
                found[path] = (s.st_size, s.st_mtime_ns, s.st_mode)
    return found
