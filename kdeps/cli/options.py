# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What every command shares: the group, and the rule which options are kdeps' own and which are make's."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import click

from kdeps import __version__
from kdeps.cli.choices import CiFormat, Colour, Format
from kdeps.cli.completers import complete_argument
from kdeps.cli.terminal import current_folder
from kdeps.formats.makeargs import find_unknown_option
from kdeps.kbuild.slips import Goals, find_slip
from kdeps.system.errors import UsageError

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MAKE_ARGS = {
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
    "help_option_names": ["-h", "--help"],
}
"""What is no option of ours, and everything behind it, belongs to make."""


def _as_member(kind: type[Enum]) -> Callable[[click.Context, click.Parameter, str | None], Enum | None]:
    """The callback that makes a member of what was chosen by its value."""
    return lambda _context, _parameter, value: None if value is None else kind(value)


colour_option = click.option(
    "--color", "colour", type=click.Choice([c.value for c in Colour]), default="auto", show_default=True,
    callback=_as_member(Colour), help="Colour; `auto` is a terminal without NO_COLOR.",
)  # fmt: skip


def format_option(help_text: str, *more: CiFormat) -> Callable[[_Command], _Command]:
    """The option ``--format`` of a command that answers by a ``Format``, or with ``more`` by a ``CiFormat``."""
    return click.option(
        "--format", "output", type=click.Choice([f.value for f in (*Format, *more)]), default="text", show_default=True,
        callback=_as_member(CiFormat if more else Format), help=help_text,
    )  # fmt: skip


def words_argument(name: str, metavar: str | None = None) -> Callable[[_Command], _Command]:
    """The words of make's command line, and names that the command takes besides; a parameter called ``name``."""
    return click.argument(
        name, nargs=-1, type=click.UNPROCESSED, shell_complete=complete_argument, metavar=metavar
    )


def ledger_option(command: _Command) -> _Command:
    """The option ``--ledger`` of a command that names a build by its build id."""
    return click.option(
        "--ledger", "ledgers", multiple=True, metavar="FILE",
        help="A ledger of `kdeps ci --record`, to name the build that it records; may be given several times.",
    )(command)  # fmt: skip


class _MakeCommand(click.Command):
    """A command with options of its own and, behind them, a command line of make.

    To click a word with one dash is a bundle of letters, and it would find our ``-h`` within
    make's ``-C/home/me/linux``. So what is make's is taken out of its sight. Our long options
    are taken before and behind make's words: none of them is also an option of make.
    """

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
            elif name in values:
                ours.append(word)
                waiting = 0 if equals else values[name]
            elif word == "-h" and not begun:
                ours.append(word)
            else:
                begun = begun or not word.startswith("-")
                rest.append(word)
        return super().parse_args(ctx, ours if waiting else [*ours, "--", *rest])


def refuse_slips(make_args: tuple[str, ...], goals: Goals = Goals.OF_MAKE) -> None:
    """Raise for make's words, and names that the command takes besides, that were surely meant in another way.

    For a long option that neither kdeps nor make has that is click.NoSuchOption, with neighbours; else UsageError.
    """
    slip = find_slip(make_args, current_folder(), Goals.NAMES)
    if slip is None:
        refuse_unknown_options(make_args)
        slip = find_slip(make_args, current_folder(), goals)
    if slip is not None:
        raise UsageError(slip)


def refuse_unknown_options(make_args: tuple[str, ...]) -> None:
    """Raise for a long option that neither kdeps nor make has; it is ours, mistyped.

    Raises click.NoSuchOption: with the neighbours suggested.
    """
    unknown = find_unknown_option(make_args)
    if unknown is None:
        return
    context = click.get_current_context()
    ours = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
    name = unknown.partition("=")[0]
    if name in ours:
        raise UsageError(
            f"{name}: behind `--` every word is make's, which has no such option; put it in front"
        )
    raise click.NoSuchOption(name, possibilities=difflib.get_close_matches(name, ours), ctx=context)


COMMANDS = (
    "check", "make", "watch", "ci", "why", "affected", "explain", "loaded", "decode",
    "graph", "ninja", "settle", "cache", "doctor", "snippet", "completion", "demo",
)  # fmt: skip
"""Every command, in the order of ``--help``; each is a module of ``kdeps.cli.commands``."""


class Commands(click.Group):
    """A group that imports the module of a command when the command is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return every name, without importing anything."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; its module registers it. For an unknown name import all, for click's suggestion."""
        for name in (cmd_name,) if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                importlib.import_module(f"kdeps.cli.commands.{name}")
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kdeps %(version)s")
def cli() -> None:
    """Tell when `make M=…` would silently use stale Rust crates, headers or configuration.

    Put `kdeps check` where you would put `make`:

    \b
        make        LLVM=1 O=../build M=drivers/gpu/nova-core
        kdeps check LLVM=1 O=../build M=drivers/gpu/nova-core
    """


make_args_command = cli.command(cls=_MakeCommand, context_settings=_MAKE_ARGS)
"""Registers a command whose words are make's."""
