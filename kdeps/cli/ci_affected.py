# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --since``: what a range of commits affects, before anything is built."""

from __future__ import annotations

import os
import re
import sys

from kdeps.cli.choices import CiFormat, Colour, Format
from kdeps.cli.commands.affected import run_affected, warn
from kdeps.cli.exits import Exit
from kdeps.cli.output import make_text_output, print_lines
from kdeps.cli.terminal import current_folder
from kdeps.kbuild.modules import read_whole
from kdeps.kbuild.tree import module_argument
from kdeps.query.affected import affected_modules, find_affected
from kdeps.query.change import ChangeKind, NameSource, is_makefile, resolve_change
from kdeps.query.git import changed_since
from kdeps.query.names import Names
from kdeps.system.errors import UsageError
from kdeps.system.text import printable


def run_ci_affected(
    words: tuple[str, ...],
    *,
    since: str | None,
    shard: str | None,
    output: CiFormat,
    colour: Colour,
) -> int:
    """List the crates and modules that a range of commits affects, or the folders of one part of the modules
    (``I/N``).

    Raises UsageError if the options contradict each other.
    """
    if since is None:
        raise UsageError("--shard: needs --since REV or --since A..B beside it")
    if output not in (CiFormat.TEXT, CiFormat.JSON):
        raise UsageError(f"--format {output.value}: --since prints text or json")
    if shard is None:
        chosen = Format.JSON if output is CiFormat.JSON else Format.TEXT
        return run_affected(words, output=chosen, colour=colour, since=since)
    return _print_shard(words, since, shard, colour)


def _print_shard(words: tuple[str, ...], revision: str, shard: str, colour: Colour) -> int:
    """Every N-th module, beginning with the I-th: all parts together are all modules, each once."""
    numbers = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", shard)
    if numbers is None or int(numbers[1]) > int(numbers[2]):
        raise UsageError(f"--shard {shard}: wants I/N, as in 1/4 to 4/4")
    cwd, environ = current_folder(), dict(os.environ)
    whole = read_whole(words, cwd, environ)
    names = Names(whole.tree, whole.graph, whole.folders)
    listed = changed_since(revision, whole.tree, cwd, environ, whole.folders)
    answer = find_affected(whole, tuple(resolve_change(names, name, cwd, NameSource.LIST) for name in listed))
    for change in answer.changes:
        if change.kind is ChangeKind.CONFIGURATION or is_makefile(change.name):
            print(f"kdeps: warning: {printable(change.name)}: {printable(change.note)}", file=sys.stderr)
    warn(whole, make_text_output(cwd, colour), answer.unknown)
    folders = [module_argument(tree, tree.module or "") for tree in affected_modules(answer)]
    print_lines(folders[int(numbers[1]) - 1 :: int(numbers[2])], colour, folded=False)
    return Exit.FRESH
