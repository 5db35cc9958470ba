# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every command with its options and its help: click's part."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kdeps.cli import build_commands, own_commands, question_commands
from kdeps.cli.group import cli
from kdeps.cli.start import Exit
from kdeps.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build_commands", "cli", "own_commands", "question_commands", "run"]
"""The modules are here for their commands: what is defined in them belongs to ``cli``."""


def run(words: Sequence[str]) -> int:
    """Parse the command line, run its command, and return the exit status."""
    try:
        # Not ``main``: for a reader that has gone it exits with 1, which means stale here.
        with cli.make_context("kdeps", list(words)) as context:
            status = cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # by name: click 8.1 does not have it
            click.echo(error.format_message())
            return Exit.ERROR
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f" (try `{error.ctx.command_path} --help`)"
        message = " ".join(error.format_message().split()).rstrip(".")
        print(f"kdeps: error: {printable(message[:1].lower() + message[1:])}{hint}", file=sys.stderr)
        return Exit.ERROR
    except click.Abort:
        return Exit.INTERRUPTED
    return status if isinstance(status, int) else Exit.FRESH
