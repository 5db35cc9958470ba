# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: inside the lab, it asks."""

from __future__ import annotations

import argparse

from tests.lab.campaign import Campaign
from tests.lab.layout import Layout, read_layouts
from tests.lab.run import each_apart


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--edits", type=int, default=36)
    parser.add_argument("--real", type=int, default=2, help="edits that the real compilers are run for")
    parser.add_argument("--only", action="append", default=[], metavar="LAYOUT/MODULE/SEED:INDEX")


def run(options: argparse.Namespace) -> int:
    layouts = {name: layout for name, layout in read_layouts().items() if layout.prepare}
    if options.only:
        return _ask_again(layouts, options.only)
    status = _ask(layouts, options.seed, options.questions) if options.questions else 0
    if options.edits:
        from .edits import run_edits

        status = run_edits(layouts, options.seed, options.edits, options.real) or status
    return status


def _ask(layouts: dict[str, Layout], seed: int, count: int) -> int:
    """Share the questions out among all modules, ask, and print what is wrong."""
    from .ask import Plan, Series, ask_series

    places = [(layout, module) for layout in layouts.values() for module in layout.modules]
    plans = [
        Plan(layout, module, seed, tuple(range(count // len(places) + (at < count % len(places)))))
        for at, (layout, module) in enumerate(places)
    ]
    done: list[Series] = []
    for series in each_apart(ask_series, plans, 1):
        done.append(series)
        print(
            f"{series.name}: {series.asked} questions, {len(series.wrong)} wrong, {series.elapsed_s:.0f} s",
            flush=True,
        )
        for text in series.wrong:
            print(f"  WRONG {text}", flush=True)
    asked, wrong = sum(s.asked for s in done), sum(len(s.wrong) for s in done)
    kinds: dict[str, int] = {}
    for series in done:
        for kind, number in series.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + number
    shares = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    print(f"{asked} questions ({shares}), {sum(s.told for s in done)} with something to tell, {wrong} WRONG")
    return int(bool(wrong) or asked != count)


def _ask_again(layouts: dict[str, Layout], names: list[str]) -> int:
    from .ask import Plan, ask_series

    status = 0
    for name in names:
        layout_name, module_name, numbers = name.split("/")
        seed, index = map(int, numbers.split(":"))
        layout = layouts[layout_name]
        module = next(m for m in layout.modules if m.name == module_name)
        for series in each_apart(ask_series, [Plan(layout, module, seed, (index,))], 1):
            print("\n".join(series.wrong) or "ok")
            status = status or int(bool(series.wrong))
    return status


CAMPAIGN = Campaign(add_options, run)
