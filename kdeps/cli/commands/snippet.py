# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps snippet``: lines for the Makefile of a module."""

from __future__ import annotations

from pathlib import Path

import click

from kdeps.cli.options import cli


@cli.command()
def snippet() -> None:
    """Print the lines that make a module's own Makefile use kdeps.

    Keep them beside the Makefile, and include them; the comments say how. A copy
    of yours works where kdeps is not installed, too.

    \b
    Examples:
      kdeps snippet > Makefile.snippet
    """
    click.echo((Path(__file__).parent.parent / "Makefile.snippet").read_text(encoding="utf-8"), nl=False)
