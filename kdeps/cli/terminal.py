# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where the user stands, and what the outputs are: colour, width. On the way of every check: it imports next to nothing."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from typing import TextIO


def current_folder() -> str:
    """The folder the user stands in. Raises NoTree: it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        from kdeps.system.errors import NoTree

        raise NoTree("the folder you stand in was deleted; go to one that exists") from None


def wants_colour(colour: str) -> bool:
    """Decide by a value of ``Colour`` whether standard output gets colour."""
    if colour != "auto":
        return colour == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def find_width(stream: TextIO | None) -> int:
    """How many columns a terminal has, or COLUMNS; 0 where a program reads the lines, which then stay whole."""
    try:
        if stream is None or not stream.isatty():
            return 0
        given = os.environ.get("COLUMNS", "")
        if given.isascii() and given.isdigit() and int(given) > 0:
            return int(given)
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def write_answer(text: str, output: str) -> None:
    """Write an answer to standard output, broken where the terminal ends."""
    width = find_width(sys.stdout) if output == "text" else 0
    if width:
        from kdeps.system.text import break_line

        text = "\n".join(break_line(line, width) for line in text.split("\n"))
    sys.stdout.write(text)
