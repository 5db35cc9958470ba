# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One planted mistake: make fails, ``kdeps explain`` says where, and both are compared."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab.layout import Layout
from tests.lab.overlay import Scratch, differing

from .in_tree import PLANTS
from .plants import Planted

TIMEOUT_S = 900
VARIANTS: tuple[tuple[str, ...], ...] = (
    (),
    ("KRUSTFLAGS=-Cdebuginfo=2",),
    ("KRUSTFLAGS=-Copt-level=s",),
    ("CLIPPY=1",),
)
"""Further arguments of make: with debug information, with less inlining, with clippy in the place of rustc."""


class Job(NamedTuple):
    number: int
    seed: int
    layout: Layout
    plant: str
    variant: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    job: Job
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_found: bool = False
    """Whether every planted line was named, certain or not."""
    has_text: bool = False
    make_s: float = 0.0
    explain_s: float = 0.0
    skipped: str = ""


def run_job(job: Job) -> Outcome:
    """Plant, build, explain, compare. Call it in a process that ends afterwards: it enters an overlay."""
    outcome = Outcome(job)
    try:
        _run(job, outcome)
    except Exception:  # a case must never take the run with it
        outcome.wrong.append(traceback.format_exc())
    return outcome


def _run(job: Job, outcome: Outcome) -> None:
    layout = job.layout
    scratch = Scratch()
    planted = PLANTS[job.plant](random.Random(job.seed), layout)
    words = (*layout.make, *job.variant, *planted.make)
    target = planted.object
    started = time.monotonic()
    made = _call(["make", "-j2", *words, *planted.goals], layout)
    outcome.make_s = time.monotonic() - started
    if not os.path.exists(target) or b"rust_build_error" not in Path(target).read_bytes():
        outcome.skipped = f"rustc left no assertion: {_last(made.stdout)}"
        return
    before = scratch.written()
    started = time.monotonic()
    done = _call([sys.executable, "-m", "kdeps", "explain", "--format=json", *words], layout)
    outcome.explain_s = time.monotonic() - started
    changed = [p for p in differing(before, scratch.written()) if "/.cache/" not in p]
    if changed:
        outcome.wrong.append(f"changed by looking: {changed[:3]}")
    if done.returncode != 1:
        outcome.wrong.append(f"exit {done.returncode}: {done.stdout[:200]}{done.stderr[-400:]}")
        return
    _compare(json.loads(done.stdout)["assertions"], planted, outcome)


def _compare(found: list[dict[str, Any]], planted: Planted, outcome: Outcome) -> None:
    named = {(os.path.basename(a["driver"]["file"]), a["driver"]["line"]) for a in found if a["driver"]}
    certain = {
        (os.path.basename(a["driver"]["file"]), a["driver"]["line"])
        for a in found
        if a["certain"] and a["driver"]
    }
    chained = {(os.path.basename(f["file"]), f["line"]) for a in found for f in a["chain"]}
    outcome.is_found = planted.drivers <= named and planted.callers <= chained
    outcome.has_text = planted.texts <= {a["text"] for a in found}
    if certain - planted.drivers:
        outcome.wrong.append(f"called certain and not planted: {sorted(certain - planted.drivers)}")
    if not outcome.is_found:
        outcome.notes.append(
            f"planted {sorted(planted.drivers)} {sorted(planted.callers)}, named {sorted(named)}, chain {sorted(chained)}"
        )
    if not outcome.has_text:
        outcome.notes.append(f"texts {planted.texts}, found {[a['text'] for a in found]}")
    if not certain:
        outcome.notes.append("about here only")


def _call(command: list[str], layout: Layout) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=layout.cwd, env=dict(os.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def _last(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-3:])
