# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The commands about kdeps itself: to set it up, to read about it, to see it."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from kdeps.cli.check import Colour, wants_colour
from kdeps.cli.group import cli, colour_option
from kdeps.cli.start import Exit


@cli.command()
def snippet() -> None:
    """Print the lines that make a module's own Makefile use kdeps.

    Keep them beside the Makefile, and include them; the comments say how. A copy
    of yours works where kdeps is not installed, too.

    \b
    Examples:
      kdeps snippet > Makefile.snippet
    """
    click.echo((Path(__file__).parent / "Makefile.snippet").read_text(encoding="utf-8"), nl=False)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
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
    from kdeps.cli.complete import script

    click.echo(script(shell), nl=False)
    return Exit.FRESH


@cli.command()
@click.option(
    "--install", type=click.Path(path_type=Path), metavar="DIR",
    help="Write every page below this folder of manuals, such as ~/.local/share/man.",
)  # fmt: skip
@click.argument("name", required=False)
def man(install: Path | None, name: str | None) -> int:
    """The manual page of kdeps, or of one of its commands.

    On a terminal it is shown by man; elsewhere it is printed as man(7) has it.

    \b
    Examples:
      kdeps man why
      kdeps man --install ~/.local/share/man && man kdeps-why
    """
    from kdeps.cli.man import install as write
    from kdeps.cli.man import pages, show

    if install is not None:
        if name is not None:
            raise click.UsageError("--install writes every page, it takes no name")
        for path in write(cli, install.expanduser()):
            click.echo(path)
        return Exit.FRESH
    known = pages(cli)
    title = f"kdeps-{name}" if name else "kdeps"
    if title not in known:
        close = difflib.get_close_matches(name or "", cli.commands, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise click.UsageError(f"{name}: no such command{hint}")
    return show(known[title])


@cli.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Leave the miniature tree there, to play with.",
)
@colour_option
def demo(keep: Path | None, color: str) -> int:
    """The bug and its cure in half a minute, on a miniature tree, without a kernel.

    Needs make and nothing else. Builds a miniature kernel tree in a temporary
    folder, edits its core code, lets `make M=…` miss that, and lets `kdeps check`
    name it.
    """
    from kdeps.demo.story import run as tell

    return tell(keep=keep, colour=wants_colour(Colour(color)))
