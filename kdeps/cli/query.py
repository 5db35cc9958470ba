# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the commands that ask the graph have in common: where, with which make arguments, in which words."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from kdeps.cli.check import Colour, wants_colour
from kdeps.errors import UsageError
from kdeps.makeargs import split_goals

if TYPE_CHECKING:
    from kdeps.report.words import Pen, Style, Writer
    from kdeps.survey import Survey


class QueryCommand(click.Command):
    """A command whose own options may also stand behind its names and make arguments.

    Names, unlike a make command line, are typed one after the other while the
    question takes shape. Nothing collides: an exact long option of ours is none of
    make's.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put our own options in front, then parse."""
        values = {
            name: 0 if isinstance(parameter, click.Option) and parameter.is_flag else parameter.nargs
            for parameter in self.get_params(ctx)
            for name in parameter.opts
            if name.startswith("--")
        }
        ours: list[str] = []
        rest: list[str] = []
        waiting = 0
        for at, word in enumerate(args):
            name, equals, _ = word.partition("=")
            if waiting:
                ours.append(word)
                waiting -= 1
            elif word == "--":
                rest += args[at:]
                break
            elif name in values:
                ours.append(word)
                waiting = 0 if equals else values[name]
            else:
                rest.append(word)
        return super().parse_args(ctx, [*ours, *rest])


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
