# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Seeded sequences of deeds, and what the watch made of each."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .actions import choose
from .watch_process import Said, WatchProcess, check
from .world import World

ANSWER_S = 8.0
"""A verdict must be there by then; a look of the clock's comes once a minute, so it is none of its doing."""


@dataclass(slots=True)
class Tally:
    """What came of many deeds."""

    sequences: int = 0
    deeds: int = 0
    changed: int = 0
    """Deeds that changed a verdict."""
    missed: list[str] = field(default_factory=list)
    """The watch did not come to the verdict of a fresh check."""
    torn: list[str] = field(default_factory=list)
    """It published something that was neither the verdict before nor the one after."""
    verdicts: dict[str, int] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    """From the end of the deed to the verdict."""

    @property
    def failed(self) -> bool:
        return bool(self.missed or self.torn)

    def summary(self) -> str:
        took = sorted(self.took_s) or [0.0]
        verdicts = ", ".join(f"{count} {name}" for name, count in sorted(self.verdicts.items()))
        return (
            f"{self.sequences} sequences, {self.deeds} deeds ({self.changed} changed a verdict; {verdicts}): "
            f"{len(self.missed)} missed, {len(self.torn)} torn; answer after {took[len(took) // 2] * 1000:.0f} ms "
            f"(median), {took[-1] * 1000:.0f} ms (worst)"
        )


class Judge:
    """Does deeds and compares the watch with a fresh check."""

    def __init__(self, world: World, watch: WatchProcess, tally: Tally) -> None:
        self.world, self.watch, self.tally = world, watch, tally
        self.before = self.ask()

    def ask(self) -> dict[str, str]:
        """What a fresh check says of every module."""
        layout = self.world.layout
        return {m.make[0][2:]: check([*layout.make, *m.make], layout.cwd) for m in self.world.modules}

    def do(self, name: str, deed: Callable[[], str]) -> str:
        """Do something and compare; what was done."""
        self.world.unsure = False
        said_before = self.before
        self.watch.take_said()
        what = deed()
        done = time.monotonic()
        asked = time.monotonic()
        expected = self.ask()
        asked = time.monotonic() - asked
        took = self.watch.wait_for(expected, ANSWER_S)
        self.tally.deeds += 1
        self.tally.changed += expected != said_before
        said = self.watch.take_said()
        for module, answer in expected.items():
            verdict = "unknown" if answer == "unknown" else answer.split('"verdict": "')[1].split('"')[0]
            self.tally.verdicts[verdict] = self.tally.verdicts.get(verdict, 0) + 1
            if module not in took:
                document = self.watch.status(module) or {}
                state = document.get("watch", {}).get("state")
                self.tally.missed.append(
                    f"{name}: {what}: {module}: expected {verdict}, {state} with {document.get('verdict')}"
                )
                self._explain(expected[module], document)
        last = max((s.at for s in said if s.state == "current"), default=None)
        if last is not None and expected != said_before:
            self.tally.took_s.append(max(0.0, last - done))
        if not self.world.unsure:
            self._look_for_torn(name, what, said, (said_before, expected))
        self.before = expected
        return what

    def _explain(self, expected: str, document: dict[str, object]) -> None:
        """Print where two answers differ."""
        from .watch_process import answer_of

        if expected != "unknown" and document:
            print(f"  EXPECTED {expected[:3000]}\n  SAID     {answer_of(document)[:3000]}", flush=True)

    def _look_for_torn(
        self, name: str, what: str, said: list[Said], right: tuple[dict[str, str], ...]
    ) -> None:
        for one in said:
            if one.state == "current" and all(one.answer != answers.get(one.module) for answers in right):
                self.tally.torn.append(f"{name}: {what}: {one.module}: published what was never true")
                print(f"  TORN {one.answer[:2000]}", flush=True)


def run_sequence(
    world: World, judge: Judge, seed: int, index: int, *, verbose: bool, quick: bool = False
) -> None:
    """Run one sequence, undo it, and see whether the watch follows that, too."""
    rng = random.Random(f"{seed}:{index}")
    name = f"{seed}:{index}"
    for _ in range(rng.randint(2, 5)):
        deed = choose(rng, quick=quick)
        what = judge.do(name, lambda deed=deed: deed(world, rng))  # type: ignore[misc]
        if verbose:
            print(f"  {name} {what}", flush=True)

    def undo() -> str:
        world.keeper.restore()
        world.unsure = True
        return "everything undone"

    judge.do(name, undo)
    judge.tally.sequences += 1
    if any('"verdict": "fresh"' not in answer for answer in judge.before.values()) and not quick:
        heal(world, judge, name)


def heal(world: World, judge: Judge, name: str) -> None:
    """Make everything fresh again, for the next sequence, by ``kdeps make`` with the stand-ins."""

    def refresh() -> str:
        world.unsure = True
        layout = world.layout
        for module in world.modules:
            subprocess.run(
                [sys.executable, "-m", "kdeps", "make", "-j2", *layout.make, *module.make],
                cwd=layout.cwd, env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        return "everything refreshed"

    judge.do(name, refresh)
