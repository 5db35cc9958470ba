# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the commands that ask the graph have in common: where, with which make arguments, in which words."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from kdeps.cli.check import Colour, wants_colour
from kdeps.cli.group import MakeCommand
from kdeps.errors import UsageError
from kdeps.makeargs import split_goals

if TYPE_CHECKING:
    from kdeps.report.words import Pen, Style, Writer
    from kdeps.survey import Survey


class QueryCommand(MakeCommand):
    """A command whose own options may also stand behind its names and make arguments.

    Names, unlike a make command line, are typed one after the other while the
    question takes shape.
    """

    anywhere = True


def split_names(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part the names somebody asks about from make's arguments.

    Raises:
        UsageError: A name is empty: a variable in a script was.
    """
    names, rest = split_goals(words)
    if not all(names):
        raise UsageError("an empty name means nothing; is a variable of yours empty?")
    return names, rest


def make_writer(survey: Survey, cwd: str, colour: Colour) -> Writer:
    """A writer about a survey, for standard output as it is."""
    from kdeps.report.words import Writer

    return Writer(survey, cwd, _style(colour), is_unicode(), time.time_ns())


def make_pen(cwd: str, colour: Colour) -> Pen:
    """A pen for standard output as it is."""
    from kdeps.report.words import Pen

    return Pen(cwd, _style(colour), is_unicode(), time.time_ns())


def _style(colour: Colour) -> Style:
    from kdeps.report.words import Style

    return Style.COLOUR if wants_colour(colour) else Style.PLAIN


def is_unicode() -> bool:
    """Whether standard output understands arrows."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def print_lines(lines: list[str], colour: Colour) -> None:
    """Write lines to standard output, with nothing in them that a terminal would obey."""
    from kdeps.report.words import shown_line

    text = "".join(shown_line(line, _style(colour)) + "\n" for line in lines)
    if not is_unicode():
        encoding = sys.stdout.encoding or "ascii"
        text = text.encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text)


def print_json(document: dict[str, Any]) -> None:
    """Write one JSON object to standard output."""
    from kdeps.report.verdict_json import dump

    sys.stdout.write(dump(document) + "\n")
