# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps completion``: the script for the shell."""

from __future__ import annotations

import click

from kdeps.cli.completion import SCRIPTS
from kdeps.cli.exits import Exit
from kdeps.cli.options import cli


@cli.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> int:
    """Print the script that completes commands, targets, crates and make's arguments.

    \b
    bash: in ~/.bashrc                      eval "$(kdeps completion bash)"
    zsh:  in ~/.zshrc, after compinit       eval "$(kdeps completion zsh)"
    fish: in ~/.config/fish/config.fish     kdeps completion fish | source

    M= completes to the modules that were built before, names to what the tree's
    records know. The options come from the kdeps that is asked, so the script
    need not be printed again after an upgrade.
    """
    click.echo(SCRIPTS[shell], nl=False)
    return Exit.FRESH
