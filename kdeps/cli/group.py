# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What every command of the program has in common: the group, and the rule whose option is whose."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from kdeps import __version__
from kdeps.cli.check import Colour, Format
from kdeps.makeargs import find_unknown_option

_Command = TypeVar("_Command", bound=Callable[..., Any])

MAKE_ARGS = {
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
    "help_option_names": ["-h", "--help"],
}
"""What is no option of ours, and everything behind it, belongs to make."""
colour_option = click.option(
    "--color", type=click.Choice([c.value for c in Colour]), default="auto", show_default=True,
    help="Colour; `auto` is a terminal without NO_COLOR.",
)  # fmt: skip


def format_option(help_text: str) -> Callable[[_Command], _Command]:
    """The option ``--format`` of a command that answers in text or JSON."""
    return click.option(
        "--format", "output", type=click.Choice([f.value for f in Format]), default="text", show_default=True,
        help=help_text,
    )  # fmt: skip


class MakeCommand(click.Command):
    """A command with options of its own and, behind them, a command line of make.

    To click a word with one dash is a bundle of letters, and it would find our ``-h`` within
    make's ``-C/home/me/linux``. So what is make's is taken out of its sight.
    """

    anywhere = False
    """Whether our options may also stand behind make's words; nothing collides, for no long one of ours is make's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put our own options in front of the rest, then parse."""
        values = {
            name: 0 if isinstance(parameter, click.Option) and parameter.is_flag else parameter.nargs
            for parameter in self.get_params(ctx)
            for name in parameter.opts
            if name.startswith("--")
        }
        ours: list[str] = []
        rest: list[str] = []
        waiting = 0
        begun = False  # the words that are no options
        for at, word in enumerate(args):
            name, equals, _ = word.partition("=")
            if waiting:
                ours.append(word)
                waiting -= 1
            elif word == "--":
                rest += args[at + 1 :]
                break
            elif name in values and (self.anywhere or not begun):
                ours.append(word)
                waiting = 0 if equals else values[name]
            elif word == "-h" and not begun:
                ours.append(word)
            else:
                begun = begun or not word.startswith("-")
                rest.append(word)
        return super().parse_args(ctx, ours if waiting else [*ours, "--", *rest])


def refuse_unknown_options(make_args: tuple[str, ...]) -> None:
    """Raise for a long option that neither kdeps nor make has; it is ours, mistyped.

    Raises:
        click.NoSuchOption: With the neighbours suggested.
    """
    unknown = find_unknown_option(make_args)
    if unknown is None:
        return
    context = click.get_current_context()
    ours = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
    name = unknown.partition("=")[0]
    if name in ours:
        raise click.UsageError(f"{name}: options of kdeps stand before the make arguments", ctx=context)
    raise click.NoSuchOption(name, possibilities=difflib.get_close_matches(name, ours), ctx=context)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kdeps %(version)s")
def cli() -> None:
    """Tell when `make M=…` would silently use stale Rust crates, headers or configuration.

    Put `kdeps check` where you would put `make`:

    \b
        make        LLVM=1 O=../build M=drivers/gpu/nova-core
        kdeps check LLVM=1 O=../build M=drivers/gpu/nova-core
    """
