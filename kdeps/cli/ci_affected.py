# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --since``: what a range of commits affects, before anything is built."""

from __future__ import annotations

import os
import re
import sys

from kdeps.ci.options import CiFormat
from kdeps.cli.affected import run_affected
from kdeps.cli.check import Colour, Format
from kdeps.cli.query import print_lines
from kdeps.cli.start import Exit, where
from kdeps.errors import UsageError
from kdeps.printable import printable


def run_ci_affected(
    words: tuple[str, ...],
    *,
    since: str | None,
    diff: str | None,
    shard: str | None,
    output: CiFormat,
    colour: Colour,
) -> int:
    """List the crates and modules that a range of commits affects, or one part of the modules.

    Args:
        words: make's arguments.
        since: A revision, or a range.
        diff: A range.
        shard: ``I/N``: print the folders of the I-th of N parts alone.
        output: Text or JSON.
        colour: When to use colour.

    Raises:
        UsageError: The options contradict each other.
    """
    if since is not None and diff is not None:
        raise UsageError("--since and --diff: give one of them")
    revision = since if since is not None else diff
    if revision is None:
        raise UsageError("--shard: of what? Give --since REV or --diff A..B")
    if diff is not None and ".." not in diff:
        raise UsageError(f"--diff {diff}: wants A..B; for all changes since a revision there is --since")
    if output not in (CiFormat.TEXT, CiFormat.JSON):
        raise UsageError(f"--format {output.value}: --since and --diff print text or json")
    if shard is None:
        chosen = Format.JSON if output is CiFormat.JSON else Format.TEXT
        return run_affected(words, output=chosen, colour=colour, since=revision)
    return _print_shard(words, revision, shard, colour)


def _print_shard(words: tuple[str, ...], revision: str, shard: str, colour: Colour) -> int:
    """Every N-th module, beginning with the I-th: all parts together are all modules, each once."""
    from kdeps.cli.affected import warn
    from kdeps.cli.query import make_pen
    from kdeps.query.affected import affected_modules, find_affected
    from kdeps.query.change import Kind, Origin, is_makefile, understand
    from kdeps.query.modules import read_whole
    from kdeps.query.names import Names
    from kdeps.query.revision import changed_since
    from kdeps.tree import module_argument

    numbers = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", shard)
    if numbers is None or int(numbers[1]) > int(numbers[2]):
        raise UsageError(f"--shard {shard}: wants I/N, as in 1/4 to 4/4")
    cwd, environ = where(), dict(os.environ)
    whole = read_whole(words, cwd, environ)
    names = Names(whole.tree, whole.graph, whole.folders)
    listed = changed_since(revision, whole.tree, cwd, environ, whole.folders)
    answer = find_affected(whole, tuple(understand(names, name, cwd, Origin.LIST) for name in listed))
    for change in answer.changes:
        if change.kind is Kind.CONFIGURATION or is_makefile(change.name):
            print(f"kdeps: warning: {printable(change.name)}: {printable(change.note)}", file=sys.stderr)
    warn(whole, make_pen(cwd, colour), answer.unknown)
    folders = [module_argument(tree, tree.module or "") for tree in affected_modules(answer)]
    print_lines(folders[int(numbers[1]) - 1 :: int(numbers[2])], colour)
    return Exit.FRESH
