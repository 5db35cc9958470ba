# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps doctor``: what kdeps found, and what it cannot see; the thing to paste into a bug report."""

from __future__ import annotations

import os
import textwrap

from kdeps.cli.choices import Colour, Format
from kdeps.cli.exits import Exit
from kdeps.cli.options import colour_option, format_option, make_args_command, refuse_slips, words_argument
from kdeps.cli.output import make_text_output, print_json, print_lines
from kdeps.cli.terminal import current_folder
from kdeps.contents.recall import judge_contents
from kdeps.query.doctor import Observation, State, examine, is_blocked
from kdeps.running.build_id import find_other_loaded

SYSFS = "/sys"
_MARKS = {State.GOOD: "help", State.NOTE: "note", State.BAD: "error"}


def _print(found: list[Observation], cwd: str, colour: Colour, *, blocked: bool) -> None:
    pen = make_text_output(cwd, colour)
    section = ""
    for observation in found:
        if observation.section != section:
            section = observation.section
            pen.lines += [*([""] if pen.lines else []), pen.mark("bold", section)]
        name = observation.name.ljust(12)
        # A long word (a path) stays whole: it is there to be copied.
        wrapped = textwrap.wrap(
            f"{name}  {observation.text}", pen.width - 8, break_long_words=False, break_on_hyphens=False,
            drop_whitespace=True, subsequent_indent=" " * 14,
        )  # fmt: skip
        mark = pen.mark(_MARKS[observation.state], observation.state.value.ljust(4))
        pen.lines.append(f"  {mark}  {wrapped[0]}")
        pen.lines += [f"        {line}" for line in wrapped[1:]]
    answer = "kdeps cannot judge this build: see what is bad" if blocked else "kdeps can judge this build"
    pen.lines += ["", answer]
    print_lines(pen.lines, colour)


@make_args_command
@format_option("How to print what was found.")
@colour_option
@words_argument("make_args")
def doctor(output: Format, colour: Colour, make_args: tuple[str, ...]) -> int:
    """What kdeps finds here, and what it cannot see. Paste it into a bug report.

    The trees, the tools and whether they are those the kernel was built with, the
    records, the caches, and the limits of an answer in this layout. Changes
    nothing. MAKE_ARGS is what you would give make.

    \b
    Exit status:
      0  kdeps can judge this build, whether it is fresh or stale
      2  it cannot; what is marked `bad` says why

    \b
    Examples:
      kdeps doctor LLVM=1 O=../build M=drivers/gpu/nova-core
    """
    refuse_slips(make_args)
    cwd, environ = current_folder(), dict(os.environ)
    found = examine(
        make_args,
        cwd,
        environ,
        lambda result: judge_contents(result, environ).result,
        lambda paths: find_other_loaded(paths, SYSFS),
    )
    blocked = is_blocked(found)
    if output is Format.JSON:
        listed = [
            {"section": o.section, "state": o.state.value, "name": o.name, "text": o.text} for o in found
        ]
        print_json({"schema": "kdeps.doctor/1", "able": not blocked, "observations": listed})
    else:
        _print(found, cwd, colour, blocked=blocked)
    return Exit.ERROR if blocked else Exit.FRESH
