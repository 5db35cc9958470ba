# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the commands that read the graph share: names, make's arguments, and how to print."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from kdeps.cli.choices import Colour
from kdeps.cli.terminal import find_width, wants_colour
from kdeps.formats.makeargs import split_goals
from kdeps.report.sentences import ResultText, Style, TextOutput, sanitise_line
from kdeps.system.errors import UsageError
from kdeps.system.text import break_line, encodable

if TYPE_CHECKING:
    from kdeps.staleness.check import CheckResult


def split_names(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the names that the user asks about from make's arguments.

    Raises UsageError: a name is empty: a variable in a script was.
    """
    names, rest = split_goals(words)
    if not all(names):
        raise UsageError("an empty name means nothing; is a variable in the command empty?")
    return names, rest


def make_result_text(result: CheckResult, cwd: str, colour: Colour) -> ResultText:
    """A writer about a result, for standard output as it is."""
    return ResultText(result, cwd, _style(colour), is_unicode(), time.time_ns())


def make_text_output(cwd: str, colour: Colour) -> TextOutput:
    """A pen for standard output as it is."""
    pen = TextOutput(cwd, _style(colour), is_unicode(), time.time_ns())
    pen.width = find_width(sys.stdout) or pen.width
    return pen


def _style(colour: Colour) -> Style:
    return Style.COLOUR if wants_colour(colour) else Style.PLAIN


def is_unicode() -> bool:
    """Whether standard output understands arrows."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def print_lines(lines: list[str], colour: Colour, *, folded: bool = True) -> None:
    """Write lines to standard output, with nothing in them that a terminal would obey; fold what is wider than it."""
    width = find_width(sys.stdout) if folded else 0
    text = "".join(break_line(sanitise_line(line, _style(colour)), width) + "\n" for line in lines)
    sys.stdout.write(encodable(text, sys.stdout.encoding))


def print_json(document: dict[str, Any]) -> None:
    """Write one JSON object to standard output."""
    from kdeps.report.verdict_json import dump

    sys.stdout.write(dump(document) + "\n")
