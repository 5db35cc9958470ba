# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps settle``: give outputs that are proven up to date a time that make accepts."""

from __future__ import annotations

import os
import sys
import time

import click

from kdeps.cli.exits import Exit
from kdeps.cli.options import make_args_command, refuse_slips, words_argument
from kdeps.cli.remembering import remember_later
from kdeps.cli.settling import check_module_or_tree
from kdeps.cli.settling import settle as settle_build
from kdeps.cli.terminal import current_folder
from kdeps.contents.recall import recall
from kdeps.contents.settle import plan_settling
from kdeps.system.errors import KdepsError
from kdeps.system.text import counted, printable


@make_args_command
@click.option("--dry-run", is_flag=True, help="List the steps that would be settled, and change nothing.")
@click.option(
    "--scope", type=click.Choice(["module", "tree"]), default="module", show_default=True,
    help="What `make M=…` uses, or the whole kernel that plain `make` builds.",
)  # fmt: skip
@words_argument("make_args")
def settle(dry_run: bool, scope: str, make_args: tuple[str, ...]) -> int:
    """Give outputs that are proven up to date a time that make accepts.

    After `git checkout other && git checkout -` many sources are newer but unchanged,
    and make would compile everything again. If the command, inputs and outputs of a
    step have the hashes that kdeps remembers, its outputs get the time of their newest
    input. Sources are never touched. Steps that are not proven are left to make.

    `kdeps make` does this by itself. kdeps remembers what a tree was built from after
    `kdeps make` and after `kdeps ci --record`.

    \b
    Exit status:
      0  done, or nothing to do
      2  cannot: no tree, nothing remembered; one line says why and what to do

    \b
    Examples:
      kdeps settle LLVM=1 M=drivers/gpu/nova-core
      kdeps settle --dry-run --scope=tree O=../build
    """
    refuse_slips(make_args)
    whole = scope == "tree"
    since_ns = time.time_ns()
    cwd, environ = current_folder(), dict(os.environ)
    result = check_module_or_tree(make_args, cwd, environ, whole=whole)
    recalled = recall(result, environ)
    if recalled is None:
        how = "`kdeps ci --scope=tree --record=FILE`" if whole else "`kdeps make`"
        raise KdepsError(f"{result.tree.objtree}: nothing is remembered of it; run {how} once after a build")
    settled = plan_settling(result, recalled, environ) if dry_run else settle_build(result, environ)
    for one in settled:
        sys.stdout.write(f"{printable(one.name)}\n")
    left = len(recalled.result.verdict.stale) + len(recalled.result.verdict.pending)
    verb = "would be settled" if dry_run else "settled"
    sys.stdout.write(f"{counted(len(settled), 'step')} {verb}, {left} left to make\n")
    if settled and not dry_run:
        sys.stdout.flush()
        remember_later(make_args, cwd, environ, since_ns, whole=whole)
    return Exit.FRESH
