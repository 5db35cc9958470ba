# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: inside the lab, it runs."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kdeps.watch.debounce import QUIET_S
from tests.campaigns.refresh.case import _metadata_first
from tests.lab.campaign import Campaign
from tests.lab.layout import read_layouts
from tests.lab.mutate import Planner
from tests.lab.overlay import Scratch
from tests.lab.real_build import _stand_in_env

from .coverage import find_uncovered
from .git_actions import make_repository
from .latency import measure_latency
from .sequences import Judge, Tally, run_sequence
from .soak import soak
from .storms import QUICK, STORMS, run_storms
from .watch_process import WatchProcess
from .world import Keeper, World, find_sources


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", default="out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--sequences", type=int, default=0)
    parser.add_argument("--storms", default="")
    parser.add_argument("--latency", type=int, default=0)
    parser.add_argument("--soak", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--pause", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--in-place", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--only", default="", metavar="SEED:INDEX")


def run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    layout = read_layouts()[options.layout]
    planner = Planner(layout)
    if not options.in_place:
        Scratch()
    private = Path(tempfile.mkdtemp(prefix="kdeps-watch-"))
    store = Scratch.below(layout.objtree)
    if options.in_place:
        store = str(private / "store")
        shutil.copytree(f"{layout.objtree}/rust", f"{store}/rust", symlinks=True)
    env = {**_stand_in_env(str(private)), "FAKE_CC": "all", "FAKE_STORE": store}
    _metadata_first(f"{private}/bin/fake_rustc")
    modules = tuple(module for module in layout.modules if len(module.make) == 2)
    world = World(layout, modules, planner, Keeper(), private, env, find_sources(layout, modules))
    failed = options.coverage and _check_coverage()
    try:
        make_repository(world)
        _heal(world)
        words = [*layout.make, *[module.make[0] for module in modules], *modules[0].make[1:]]
        if options.sequences or options.only:
            failed |= _run_sequences(options, world, words)
        if options.storms:
            named = {"all": list(STORMS), "quick": list(QUICK)}
            names = [storm for name in options.storms.split(",") for storm in named.get(name, [name])]
            failed |= run_storms(world, words, names)
        if options.latency:
            failed |= measure_latency(world, [*layout.make, *modules[0].make], options.latency, QUIET_S)
        if options.soak:
            failed |= _run_soak(options, world, words)
    finally:
        world.keeper.restore()
        if options.in_place:
            shutil.rmtree(f"{layout.srctree}/.git", ignore_errors=True)
        shutil.rmtree(private, ignore_errors=True)
    print(
        f"watch: {'FAILED' if failed else 'as it must be'} ({time.monotonic() - started:.0f} s)", flush=True
    )
    return int(failed)


def _check_coverage() -> bool:
    """Whether a survey of any layout looks at something that would not be watched."""
    failed = False
    count = 0
    for layout in read_layouts().values():
        for module in layout.modules:
            missing = find_uncovered((*layout.make, *module.make), layout.cwd, dict(os.environ))
            count += 1
            failed |= bool(missing)
            if missing:
                print(f"FAIL {layout.name}/{module.name}: not watched: {', '.join(missing[:8])}", flush=True)
    print(
        f"coverage: {count} builds, {'FAILED' if failed else 'whatever is looked at is watched'}", flush=True
    )
    return failed


def _heal(world: World) -> None:
    """Begin with fresh trees; making the repository has changed the kernel's release string."""
    for module in world.modules:
        subprocess.run(
            [sys.executable, "-m", "kdeps", "make", "-j2", *world.layout.make, *module.make],
            cwd=world.layout.cwd, env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip


def _run_sequences(options: argparse.Namespace, world: World, words: list[str]) -> bool:
    tally = Tally()
    log = Path("/tmp/kdeps-watch.log")
    watch = WatchProcess(words, world.layout.cwd, world.private / "run", log=log)
    try:
        watch.wait_current()
        judge = Judge(world, watch, tally)
        first, count, seed = options.first, options.sequences, options.seed
        if options.only:
            seed, first = map(int, options.only.split(":"))
            count = 1
        for index in range(first, first + count):
            run_sequence(world, judge, seed, index, verbose=options.verbose)
            if (index + 1) % 10 == 0:
                print(
                    f"... {tally.summary()}; {watch.memory_kb()} kB, {watch.descriptors()} descriptors",
                    flush=True,
                )
        missed = watch.missed
    finally:
        status = watch.close()
    for line in (*tally.missed, *tally.torn):
        print(f"FAIL {line}", flush=True)
    print(f"sequences: {tally.summary()}; {missed} found by the clock alone; the watch ended with {status}")
    return tally.failed or bool(missed) or status != 0


def _run_soak(options: argparse.Namespace, world: World, words: list[str]) -> bool:
    tally = Tally()
    watch = WatchProcess(
        words, world.layout.cwd, world.private / "run", log=Path("/tmp/kdeps-watch-soak.log")
    )
    try:
        watch.wait_current()
        soaked = soak(world, watch, tally, options.seed, options.soak, pause_s=options.pause)
        missed = watch.missed
    finally:
        status = watch.close()
    for line in (*tally.missed, *tally.torn, *soaked.wrong):
        print(f"FAIL {line}", flush=True)
    first, last = soaked.samples[0], soaked.samples[-1]
    print(
        f"soak: {options.soak:.0f} s: memory {first.memory_kb} -> {last.memory_kb} kB, descriptors "
        f"{first.descriptors} -> {last.descriptors}, idle {', '.join(f'{s:.2%}' for s in soaked.idle_shares)}; "
        f"{tally.summary()}; {missed} found by the clock alone; the watch ended with {status}",
        flush=True,
    )
    return tally.failed or bool(missed or soaked.wrong) or status != 0


CAMPAIGN = Campaign(add_options, run)
