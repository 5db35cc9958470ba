# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What every command of the program has in common: the group, and the rule whose option is whose."""

from __future__ import annotations

import difflib

import click

from kdeps import __version__
from kdeps.makeargs import find_unknown_option

MAKE_ARGS = {
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
    "help_option_names": ["-h", "--help"],
}
"""What is no option of ours, and everything behind it, belongs to make."""


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
