# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: inside the lab, it makes one move after the other."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

from kdeps.system.cache import cache_directory
from tests.campaigns.replay.case import take_digests
from tests.lab.campaign import Campaign
from tests.lab.layout import Layout, read_layouts
from tests.lab.overlay import Scratch

from .cached import replay_cached, restore_whole
from .moves import MOVES, Repository
from .running import call, cpu_s, kdeps, list_steps, make

WHOLE = "/root/small-7.2"
"""The object tree of a whole kernel in the lab."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", default="out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=9)
    parser.add_argument("--both", action="store_true", help="build the second branch as well, in two ways")
    parser.add_argument("--cached", type=int, default=0, metavar="N", help="only: build N states from caches")
    parser.add_argument(
        "--spoilt", type=int, default=10, metavar="N", help="with --cached: one cache of N is"
    )
    parser.add_argument("--whole", action="store_true", help="settle and restore a whole kernel as well")


def run(options: argparse.Namespace) -> int:
    layout = read_layouts()[options.layout]
    if options.cached:
        failed = replay_cached(layout, options.seed, options.cached, options.spoilt)
        print(f"{failed} FAILED")
        return int(failed > 0)
    failed = _move(layout, random.Random(options.seed), options.count)
    if options.whole:
        failed += _settle_whole() + restore_whole(WHOLE)
    if options.both:
        failed += _compare(layout)
    print(f"{failed} FAILED")
    return int(failed > 0)


def _move(layout: Layout, chance: random.Random, count: int) -> int:
    """Make some moves in an overlay; return after how many of them make had something to do."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_move_here, (layout, chance, count))


def _move_here(layout: Layout, chance: random.Random, count: int) -> int:
    repository = _enter(layout)
    before = take_digests(layout, layout.modules[0])
    failed = 0
    moves = list(MOVES)
    for at in range(count):
        if at % len(moves) == 0:
            chance.shuffle(moves)
        move = moves[at % len(moves)]
        move(repository)
        started = cpu_s()
        said = kdeps(layout, "settle")
        settled_s = cpu_s() - started
        ran = list_steps(make(layout))
        after = take_digests(layout, layout.modules[0])
        differing = [path for path in after.keys() | before.keys() if after.get(path) != before.get(path)]
        failed += bool(ran or differing)
        print(f"{'FAIL' if ran or differing else 'ok  '} {move.__name__}: {said.splitlines()[-1]}, "
              f"{settled_s:.2f} s of processor time to settle, {cpu_s() - started - settled_s:.2f} s for make to find nothing")  # fmt: skip
        for line in (*ran[:5], *differing[:5]):
            print(f"     {line}")
        sys.stdout.flush()
    return failed


def _settle_whole() -> int:
    """Touch what a whole kernel is built from, settle it, and let plain make find nothing to do."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_settle_whole_here)


def _settle_whole_here() -> int:
    scratch = Scratch()
    own = [sys.executable, "-m", "kdeps"]
    call([*own, "ci", "--scope=tree", f"--record={scratch.private}/ledger", "LLVM=1"], WHOLE)
    source = os.path.realpath(f"{WHOLE}/source")
    for name in ("include/linux/mm.h", "include/linux/device.h", "kernel/fork.c", "init/Kconfig"):
        os.utime(f"{source}/{name}")
    started = cpu_s()
    said = call([*own, "settle", "--scope=tree", "LLVM=1"], WHOLE).splitlines()
    settled_s = cpu_s() - started
    ran = list_steps(call(["make", "LLVM=1", "-j2"], WHOLE))
    print(
        f"{'FAIL' if ran else 'ok  '} whole kernel: {said[-1]}, {settled_s:.2f} s, {len(ran)} steps by make"
    )
    return int(bool(ran))


def _compare(layout: Layout) -> int:
    """Build the other branch by kdeps and by make alone, then come back to both; return how many files differ."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        ours, failed = pool.apply(_build_both, (layout,))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        theirs = pool.apply(_build_by_make, (layout,))
    differing = [path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)]
    for path in differing[:10]:
        print(f"FAIL {path} differs from what make made")
    print(f"the other branch: {len(ours)} files compared, {len(differing)} differ")
    return len(differing) + failed


def _build_both(layout: Layout) -> tuple[dict[str, str], int]:
    """Build both branches by kdeps, then come back to each, and to a cleaned module.

    Returns the files of the other branch; how many times something was compiled again, or came out different.
    """
    repository = _enter(layout)
    module = layout.modules[0]
    built = {"main": take_digests(layout, module)}
    failed = 0
    for branch in ("other", "main", "other", "main", "cleaned"):
        since_ns = time.time_ns()
        if branch == "cleaned":
            call(["make", *layout.make, *module.make, "clean"], layout.cwd)
        else:
            repository.git("checkout", "-q", branch)
        started = cpu_s()
        output = kdeps(layout, "make")
        used_s = cpu_s() - started
        found = take_digests(layout, module)
        wanted = built.get("main" if branch == "cleaned" else branch)
        if wanted is None:
            built[branch] = found
            _remembered(layout, since_ns, "steps")
            print(f"{branch}, for the first time: {len(list_steps(output))} steps, {used_s:.1f} s")
            continue
        again = [line for line in list_steps(output) if line.split()[0] in ("RUSTC", "CC", "BINDGEN", "SYNC")]
        again = [line for line in again if not line.endswith(".mod.o")]
        differing = [path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path)]
        failed += bool(again or differing)
        print(
            f"{'FAIL' if again or differing else 'ok  '} {branch}: {len(again)} compiled again, "
            f"{len(differing)} of {len(found)} files differ, {used_s:.1f} s"
        )
        for line in (*again[:5], *differing[:5]):
            print(f"     {line}")
        sys.stdout.flush()
    return built["other"], failed


def _build_by_make(layout: Layout) -> dict[str, str]:
    repository = _enter(layout)
    repository.git("checkout", "-q", "other")
    started = cpu_s()
    print(f"the other branch by make: {len(list_steps(make(layout)))} steps, {cpu_s() - started:.1f} s")
    return take_digests(layout, layout.modules[0])


def _enter(layout: Layout) -> Repository:
    scratch = Scratch()
    repository = Repository(layout.srctree, f"{scratch.private}/git")
    repository.create()
    since_ns = time.time_ns()
    kdeps(layout, "make")
    _remembered(layout, since_ns, "steps")
    return repository


def _remembered(layout: Layout, since_ns: int, kind: str = "builds") -> None:
    """Wait for the child that remembers the build, and then keeps its steps."""
    folder = Path(cache_directory(dict(os.environ)), kind)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(path.stat().st_mtime_ns > since_ns for path in folder.glob("[!.]*")):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{layout.objtree}: nothing was remembered")


CAMPAIGN = Campaign(add_options, run)
