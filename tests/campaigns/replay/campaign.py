# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: inside the lab, it runs the edits."""

from __future__ import annotations

import argparse

from tests.lab.campaign import Campaign
from tests.lab.layout import read_layouts
from tests.lab.run import each_apart

from .case import Job, Result, judge, run_job, warm
from .edits import EDITS, MAKE, NINJA

PROGRAMS = {"ninja": "ninja", "samurai": "muon samu"}
"""Name → command, in the lab."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", default="out")
    parser.add_argument(
        "--only", action="append", default=[], choices=[edit.name for edit in EDITS], metavar="EDIT"
    )
    parser.add_argument(
        "--with", dest="program", default="ninja", choices=PROGRAMS, help="what runs the build.ninja"
    )
    parser.add_argument("--jobs", type=int, default=2, help="of make and of the program")


def run(options: argparse.Namespace) -> int:
    layout = read_layouts()[options.layout]
    module = layout.modules[0]
    program = PROGRAMS[options.program]
    edits = [edit for edit in EDITS if not options.only or edit.name in options.only]
    jobs = [
        Job(layout, module, edit.name, by, program, options.jobs) for edit in edits for by in (NINJA, MAKE)
    ]
    warm(layout, module)
    results: dict[tuple[str, str], Result] = {}
    failed = skipped = 0
    for result in each_apart(run_job, jobs, 1):
        results[result.name, result.by] = result
        pair = results.get((result.name, NINJA)), results.get((result.name, MAKE))
        if pair[0] and pair[1] and pair[0].skipped:
            skipped += 1
            print(f"skip {result.name}: {layout.srctree} has no {pair[0].skipped}", flush=True)
        elif pair[0] and pair[1]:
            edit = next(edit for edit in edits if edit.name == result.name)
            wrong = judge(edit, pair[0], pair[1])
            failed += bool(wrong)
            print(_as_text(pair[0], pair[1], wrong, options.program), flush=True)
    made = len(edits) - skipped
    print(f"{made} edits, {failed} FAILED" + (f", {skipped} not for this tree" if skipped else ""))
    return int(failed > 0 or made == 0)


def _as_text(ninja: Result, make: Result, wrong: list[str], program: str) -> str:
    notes = [line for line in ninja.said if "note:" in line]
    lines = [
        f"{'FAIL' if wrong else 'ok  '} {ninja.name}: crates {ninja.crates} of {make.crates}, "
        f"{len(ninja.digests)} files compared, {make.elapsed_s:.1f} s by make, {ninja.elapsed_s:.1f} s by {program}, "
        f"{make.elapsed_s / max(ninja.elapsed_s, 0.1):.1f} times as fast, "
        f"{make.cpu_s / max(ninja.cpu_s, 0.1):.1f} times less processor time"
    ]
    return "\n".join([*lines, *(f"     {line}" for line in notes), *(f"FAIL {line}" for line in wrong)])


CAMPAIGN = Campaign(add_options, run)
