# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps doctor``: what kdeps found, and what it cannot see; the thing to paste into a bug report."""

from __future__ import annotations

import os
import textwrap

from kdeps.cli.check import Colour, Format
from kdeps.cli.query import make_pen, print_json, print_lines
from kdeps.cli.start import Exit, where
from kdeps.query.doctor import State, examine, is_blocked

_WIDTH = 110
_MARKS = {State.GOOD: "help", State.NOTE: "note", State.BAD: "error"}


def run_doctor(words: tuple[str, ...], *, output: Format = Format.TEXT, colour: Colour = Colour.AUTO) -> int:
    """Examine everything that an answer would rest on, print it, and return the exit status."""
    cwd = where()
    found = examine(words, cwd, dict(os.environ))
    blocked = is_blocked(found)
    if output is Format.JSON:
        print_json(
            {
                "schema": "kdeps.doctor/1",
                "able": not blocked,
                "observations": [
                    {"section": o.section, "state": o.state.value, "name": o.name, "text": o.text}
                    for o in found
                ],
            }
        )
        return Exit.ERROR if blocked else Exit.FRESH
    pen = make_pen(cwd, colour)
    section = ""
    for observation in found:
        if observation.section != section:
            section = observation.section
            pen.lines += [*([""] if pen.lines else []), pen.mark("bold", section)]
        name = observation.name.ljust(12)
        # A long word (a path) stays whole: it is there to be copied.
        wrapped = textwrap.wrap(
            f"{name}  {observation.text}", _WIDTH - 8, break_long_words=False, break_on_hyphens=False,
            drop_whitespace=True, subsequent_indent=" " * 14,
        )  # fmt: skip
        mark = pen.mark(_MARKS[observation.state], observation.state.value.ljust(4))
        pen.lines.append(f"  {mark}  {wrapped[0]}")
        pen.lines += [f"        {line}" for line in wrapped[1:]]
    answer = "kdeps cannot judge this build: see what is bad" if blocked else "kdeps can judge this build"
    pen.lines += ["", answer]
    print_lines(pen.lines, colour)
    return Exit.ERROR if blocked else Exit.FRESH
