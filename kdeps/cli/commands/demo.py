# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps demo``: the bug and its cure on a miniature tree."""

from __future__ import annotations

from pathlib import Path

import click

from kdeps.cli.choices import Colour
from kdeps.cli.options import cli, colour_option
from kdeps.cli.terminal import wants_colour


@cli.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Leave the miniature tree there, to play with.")
@colour_option
def demo(keep: Path | None, colour: Colour) -> int:
    """The bug and its cure in half a minute, on a miniature tree, without a kernel.

    Needs make and nothing else. Builds a miniature kernel tree in a temporary
    folder, edits its core code, lets `make M=…` miss that, and lets `kdeps check`
    name it.
    """
    from kdeps.demo.story import run as tell

    return tell(keep=keep, colour=wants_colour(colour))
