# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: inside the lab, it runs the cases."""

from __future__ import annotations

import argparse
from functools import partial

from tests.lab.campaign import Campaign
from tests.lab.layout import Layout, read_layouts
from tests.lab.mutate import Case, Planner
from tests.lab.run import each_apart

from .case import Refreshed, as_text, refresh_case


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--real", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--with", dest="with_", choices=("make", "ninja"), default="make")


def run(options: argparse.Namespace) -> int:
    layouts = {
        name: layout for name, layout in read_layouts().items() if layout.prepare and _has_rust(layout)
    }
    planners = {name: Planner(layout) for name, layout in layouts.items()}
    if options.only:
        cases = []
        for name in options.only:
            layout, _, rest = name.partition("/")
            seed, _, index = rest.partition(":")
            cases.append(planners[layout].plan(int(seed), int(index)))
        return _run(cases, options.jobs, options.with_, real=bool(options.real))
    names = sorted(layouts, key=lambda name: name != "out")
    faked = [
        planners[names[i % len(names)]].plan(options.seed, i // len(names)) for i in range(options.count)
    ]
    status = _run(faked, options.jobs, options.with_, real=False)
    nova = [name for name in names if any(module.name == "nova" for module in layouts[name].modules)]
    real = [
        _on_nova(planners[nova[i % len(nova)]].plan(options.seed + 1, i // len(nova)))
        for i in range(options.real)
    ]
    return _run(real, 1, options.with_, real=True) or status


def _has_rust(layout: Layout) -> bool:
    return any("rust" in module.languages for module in layout.modules)


def _on_nova(case: Case) -> Case:
    """The same change, judged by the driver that shows new code of the crate ``kernel``."""
    modules = tuple(module for module in case.layout.modules if module.name == "nova")
    return Case(case.layout, modules, case.steps, case.seed, case.index, warm=False)


def _run(cases: list[Case], jobs: int, with_: str, *, real: bool) -> int:
    results: list[Refreshed] = []
    for result in each_apart(partial(refresh_case, real=real, with_=with_), cases, jobs):
        results.append(result)
        print(as_text(result), flush=True)
    if results:
        refreshed = sum(r.refreshed and not r.status for r in results)
        told = sum(bool(r.status) for r in results)
        failed = sum(r.failed for r in results)
        print(
            f"{len(results)} cases with the {'real compilers' if real else 'stand-in'}: {refreshed} refreshed, "
            f"{told} ended with an error that says why, {failed} FAILED",
            flush=True,
        )
    return int(any(r.failed for r in results))


CAMPAIGN = Campaign(add_options, run)
