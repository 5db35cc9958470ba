# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps check``: would this build use stale kernel artifacts?"""

from __future__ import annotations

import os
import sys
from enum import Enum

from kdeps.cli.start import Exit, where
from kdeps.survey import Survey, survey
from kdeps.verdict import Status

STATUS_EXITS = {Status.FRESH: Exit.FRESH, Status.STALE: Exit.STALE, Status.UNKNOWN: Exit.ERROR}


class Format(str, Enum):
    """How to print a verdict."""

    TEXT = "text"
    JSON = "json"


class Colour(str, Enum):
    """When to use colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Source(str, Enum):
    """Whom to ask."""

    RECORD = "record"
    KBUILD = "kbuild"


def run_check(
    words: tuple[str, ...],
    *,
    output: Format = Format.TEXT,
    source: Source = Source.RECORD,
    colour: Colour = Colour.AUTO,
) -> int:
    """Judge the build that ``make WORDS…`` would be, print the verdict, and return the exit status."""
    cwd = where()
    environ = dict(os.environ)
    found = survey(words, cwd, environ)
    if source is Source.KBUILD:
        from kdeps.exact import ask_kbuild

        found = ask_kbuild(found, environ)
    _print(found, cwd, output, colour)
    return STATUS_EXITS[found.verdict.status]


def _print(found: Survey, cwd: str, output: Format, colour: Colour) -> None:
    if output is Format.JSON:
        from kdeps.report.verdict_json import verdict_json

        sys.stdout.write(verdict_json(found) + "\n")
        return
    from kdeps.report.text import Style, render

    style = Style.COLOUR if wants_colour(colour) else Style.PLAIN
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = render(found, cwd=cwd, style=style, unicode=unicode)
    if not unicode:
        text = text.encode(sys.stdout.encoding or "ascii", "replace").decode(sys.stdout.encoding or "ascii")
    sys.stdout.write(text)


def wants_colour(colour: Colour) -> bool:
    """Decide whether standard output gets colour."""
    if colour is not Colour.AUTO:
        return colour is Colour.ALWAYS
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
