# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: inside the lab, it runs the cases."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from tests.lab.campaign import Campaign
from tests.lab.layout import read_layouts
from tests.lab.run import each_apart, share_out

from .case import Base, Held, hold_case, prepare

bases: dict[str, Base] = {}
"""Filled before the first fork, by name."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], metavar="LAYOUT/MODULE:INDEX")


def run(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="kdeps-ledger-") as caches:
        # A fork has these already; to pickle them would take long, and lose what is known by identity.
        bases.update(_bases(caches, {name.partition(":")[0] for name in options.only}))
        if options.only:
            chosen = [(name.partition(":")[0], int(name.partition(":")[2])) for name in options.only]
        else:
            chosen = _plan(options.count)
        work = partial(_one, options.seed)
        return _report(list(_shown(each_apart(work, chosen, options.jobs))))


def _bases(caches: str, only: set[str]) -> dict[str, Base]:
    found = {}
    for layout in read_layouts().values():
        for module in layout.modules:
            name = f"{layout.name}/{module.name}"
            if not only or name in only:
                found[name] = prepare(layout, module, f"{caches}/{layout.name}-{module.name}")
    return found


def _plan(count: int) -> list[tuple[str, int]]:
    """Share the cases out among the layouts, and those of a layout among its modules."""
    layouts = list({base.layout.name: base.layout for base in bases.values()}.values())
    chosen = []
    for name, share in share_out(count, layouts).items():
        own = [base.name for base in bases.values() if base.layout.name == name]
        chosen += [(own[i % len(own)], i) for i in range(share)]
    return chosen


def _one(seed: int, which: tuple[str, int]) -> Held:
    return hold_case(bases[which[0]], seed, which[1])


def _shown(results: Iterable[Held]) -> Iterator[Held]:
    for result in results:
        mark = "WRONG" if result.wrong else "ok"
        changed, touched, unknown = result.counts
        counts = f"{changed} changed, {touched} touched only, {unknown} unknown"
        print(f"{mark:5} {result.name}: {result.status}, {counts} ({result.elapsed_s:.1f} s)", flush=True)
        if result.wrong:
            print("      " + "\n      ".join([*result.happened, *result.wrong]), flush=True)
        yield result


def _report(results: list[Held]) -> int:
    wrong = sum(bool(result.wrong) for result in results)
    kinds = Counter(happened.rpartition(" ")[2] for result in results for happened in result.happened)
    statuses = Counter(result.status for result in results)
    print(f"happened: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}")
    print(f"judged: {', '.join(f'{count} {status}' for status, count in statuses.most_common())}")
    print(f"{len(results)} cases, {wrong} wrong")
    return 1 if wrong or not results else 0


CAMPAIGN = Campaign(add_options, run)
