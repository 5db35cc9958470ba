# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: which plants, in which layouts, and how they are told."""

from __future__ import annotations

import argparse
import random

from tests.lab.campaign import Campaign
from tests.lab.layout import WHOLE_DIR, Layout, read_layouts
from tests.lab.run import each_apart

from .case import VARIANTS, Job, Outcome, run_job
from .frames import run_frames
from .in_tree import PLANTS, find_module
from .undefined import run_undefined


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="cases (default 10), or frames to compare (default 1000)")
    parser.add_argument("--only", action="append", default=[], choices=list(PLANTS), metavar="PLANT")
    parser.add_argument(
        "--layouts", nargs="*", default=["out", "in", "lts", "next", "inline", "arm64", "small"]
    )
    parser.add_argument("--frames", action="store_true", help="compare the sizes of stack frames instead")
    parser.add_argument("--undefined", action="store_true", help="plant undefined symbols instead")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")


def run(options: argparse.Namespace) -> int:
    built = {**read_layouts(), **read_layouts(WHOLE_DIR)}
    layouts = [built[name] for name in options.layouts if name in built]
    if options.frames:
        return run_frames(layouts, options.count or 1000)
    if options.undefined:
        return _undefined(layouts)
    jobs = draw_jobs(layouts, options.seed, options.count or 10, options.only or list(PLANTS))
    return _report([_told(outcome) for outcome in each_apart(run_job, jobs, options.jobs)])


def _undefined(layouts: list[Layout]) -> int:
    compared = 0
    wrong: list[str] = []
    for count, lines in each_apart(run_undefined, layouts, 1):
        compared += count
        wrong += lines
    for line in wrong:
        print(f"FAIL {line}")
    print(f"{compared} undefined symbols, {len(wrong)} with another cause than the planted one")
    return int(bool(wrong) or compared < 20)


def draw_jobs(layouts: list[Layout], seed: int, count: int, plants: list[str]) -> list[Job]:
    """Draw the cases. Each plant that some layout has a place for comes up in turn; the rest is chance."""
    rng = random.Random(seed)
    fitting = {plant: [layout for layout in layouts if _fits(layout, plant)] for plant in plants}
    turns = [plant for plant in plants if fitting[plant]]
    jobs = []
    for number in range(count):
        plant = turns[number % len(turns)]
        variant = () if plant in ("crate", "built_in") else rng.choice(VARIANTS)
        jobs.append(Job(number, rng.randrange(1 << 30), rng.choice(fitting[plant]), plant, variant))
    return jobs


def _fits(layout: Layout, plant: str) -> bool:
    """Whether a layout has what a plant is written into; what is built in needs a whole kernel."""
    if plant == "built_in":
        return not layout.modules
    if plant.startswith(("register", "sample")):
        return find_module(layout, plant) is not None
    return bool(layout.modules)


def _told(outcome: Outcome) -> Outcome:
    job = outcome.job
    name = f"{job.number:3} {job.plant} {job.layout.name} seed={job.seed} {' '.join(job.variant)}"
    if outcome.skipped:
        print(f"skip {name}: {outcome.skipped}", flush=True)
        return outcome
    good = outcome.is_found and outcome.has_text and not outcome.wrong
    ratio = outcome.explain_s / max(outcome.make_s, 0.1)
    print(f"{'ok  ' if good else 'FAIL'} {name}: {outcome.explain_s:.1f} s, {ratio:.1f} of make", flush=True)
    for line in (*outcome.notes, *outcome.wrong):
        print(f"       {line}", flush=True)
    return outcome


def _report(outcomes: list[Outcome]) -> int:
    run = [outcome for outcome in outcomes if not outcome.skipped]
    lines = sum(outcome.is_found for outcome in run)
    texts = sum(outcome.has_text for outcome in run)
    wrong = sum(bool(outcome.wrong) for outcome in run)
    print(
        f"{len(run)} planted failures: right line in {lines}, text in {texts}, {wrong} wrong, "
        f"{len(outcomes) - len(run)} skipped"
    )
    return int(
        wrong > 0 or texts < len(run) or lines * 100 < len(run) * 98 or len(run) * 10 < len(outcomes) * 8
    )


CAMPAIGN = Campaign(add_options, run, exclusive=False)
