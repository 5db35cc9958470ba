# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""For a long time: change after change, and what it costs to watch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .sequences import Judge, Tally, heal, run_sequence
from .watch_process import WatchProcess
from .world import World

IDLE_S = 150.0
"""Longer than two looks of the clock's."""
MAX_IDLE_SHARE = 0.005
MAX_GROWTH_KB = 4096
"""From the peak of the first half to that of the second: what an allocator may keep, not what leaks."""
EVERY_S = 120.0


@dataclass(slots=True)
class Sample:
    """The process at one moment, at rest."""

    at_s: float
    memory_kb: int
    descriptors: int
    deeds: int
    cpu_s: float


@dataclass(slots=True)
class Soaked:
    samples: list[Sample] = field(default_factory=list)
    idle_shares: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def measure_idle(watch: WatchProcess, seconds: float) -> float:
    """Leave it alone, and see which share of a processor it takes."""
    cpu_s, started = watch.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (watch.cpu_s() - cpu_s) / (time.monotonic() - started)


def soak(
    world: World, watch: WatchProcess, tally: Tally, seed: int, seconds: float, *, pause_s: float
) -> Soaked:
    """Change things for so many seconds, with a pause between two sequences, for the machine's sake."""
    soaked = Soaked()
    judge = Judge(world, watch, tally)
    started = time.monotonic()
    idle_s = min(IDLE_S, seconds / 8)
    soaked.idle_shares.append(measure_idle(watch, idle_s))
    print(f"soak: idle {soaked.idle_shares[0]:.2%} of a processor in {idle_s:.0f} s", flush=True)
    index, told_at = 0, 0.0
    while time.monotonic() - started < seconds - idle_s:
        run_sequence(world, judge, seed, index, verbose=False, quick=True)
        index += 1
        if index % 40 == 0:
            heal(world, judge, f"{seed}:{index}")
        time.sleep(pause_s)
        now = time.monotonic() - started
        if now - told_at > min(EVERY_S, seconds / 10):
            told_at = now
            sample = Sample(now, watch.memory_kb(), watch.descriptors(), tally.deeds, watch.cpu_s())
            soaked.samples.append(sample)
            print(
                f"soak: {now:6.0f} s  {sample.memory_kb} kB  {sample.descriptors} descriptors  {tally.summary()}",
                flush=True,
            )
    soaked.idle_shares.append(measure_idle(watch, idle_s))
    print(f"soak: idle {soaked.idle_shares[1]:.2%} of a processor in {idle_s:.0f} s", flush=True)
    _judge(soaked)
    return soaked


def _judge(soaked: Soaked) -> None:
    if max(soaked.idle_shares) > MAX_IDLE_SHARE:
        soaked.wrong.append(f"idle it took {max(soaked.idle_shares):.2%} of a processor")
    samples = soaked.samples
    if len(samples) < 4:
        return
    # How much a look needs depends on what there is to say, so compare the peaks: a leak raises them.
    half = len(samples) // 2
    growth = max(s.memory_kb for s in samples[half:]) - max(s.memory_kb for s in samples[:half])
    if growth > MAX_GROWTH_KB:
        soaked.wrong.append(f"memory grew by {growth} kB")
    # One more or less is the process descriptor of a make that was found.
    descriptors = [s.descriptors for s in samples]
    if max(descriptors[half:]) > max(descriptors[:half]):
        soaked.wrong.append(f"descriptors: {descriptors}")
