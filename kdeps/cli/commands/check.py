# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps check``: its options; ``kdeps.cli.check`` has the body."""

from __future__ import annotations

import click

from kdeps.cli.check import run_check
from kdeps.cli.choices import By, Colour, Format
from kdeps.cli.options import colour_option, format_option, make_args_command, refuse_slips, words_argument


@make_args_command
@format_option("How to print the verdict.")
@click.option(
    "--exact",
    is_flag=True,
    help="Ask Kbuild itself; adds changed commands. Executes nothing, takes a second or two.",
)
@click.option(
    "--by", type=click.Choice([choice.value for choice in By]), default="content", show_default=True,
    help="Judge newer files by content, if kdeps remembers it, or by time alone as make does.",
)  # fmt: skip
@click.option(
    "--all", "every", is_flag=True, help="List each cause by itself, even if one event explains several."
)
@colour_option
@words_argument("make_args")
def check(
    output: Format, exact: bool, by: str, every: bool, colour: Colour, make_args: tuple[str, ...]
) -> int:
    """Would this build use stale kernel artifacts? Changes nothing.

    MAKE_ARGS is what you would give make, verbatim. Without M=, in the folder of
    an external module, it is that module, built against KDIR=, KERNEL_SRC= or
    /lib/modules/$(uname -r)/build. Without a module at all it is what any Rust
    module would use.

    \b
    Exit status:
      0  fresh: nothing stale would be used
      1  stale: `make M=…` would silently use what is listed
      2  cannot tell; one line says why and what to do
      3  a bug in kdeps

    \b
    Examples:
      kdeps check M=drivers/gpu/nova-core
      kdeps check LLVM=1 O=../build M=~/src/my-module
      kdeps check --format json M=samples/rust | jq .verdict
    """
    refuse_slips(make_args)
    return run_check(make_args, output=output.value, exact=exact, colour=colour.value, by=by, every=every)
