# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Run one command through click."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kdeps.cli.exits import Exit
from kdeps.cli.options import COMMANDS, cli
from kdeps.system.text import printable, shell_joined

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        if words and "=" in words[0]:
            print(f"kdeps: error: {_ask_for_command(words)}", file=sys.stderr)
            return Exit.ERROR
        message = " ".join(error.format_message().split()).rstrip(".")
        print(f"kdeps: error: {printable(message[:1].lower() + message[1:])}{hint}", file=sys.stderr)
        return Exit.ERROR
    except click.Abort:
        return Exit.INTERRUPTED
    return status if isinstance(status, int) else Exit.FRESH


def _ask_for_command(words: Sequence[str]) -> str:
    """Say what is missing where make's words stand alone."""
    given = shell_joined(words)
    return f"{printable(words[0])}: a command is missing; did you mean `kdeps check {given}` or `kdeps make {given}`?"


def all_commands() -> click.Group:
    """Return the group with every command imported: for manual pages and completion."""
    context = click.Context(cli)
    for name in COMMANDS:
        cli.get_command(context, name)
    return cli
