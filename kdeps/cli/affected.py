# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps affected``: what a change would rebuild."""

from __future__ import annotations

import os
import sys

from kdeps.cli.check import Colour, Format
from kdeps.cli.query import make_pen, print_json, print_lines, split_names
from kdeps.cli.start import Exit, where
from kdeps.errors import UsageError
from kdeps.printable import printable
from kdeps.query.affected import Affected, Estimate, affected_modules, estimate, find_affected
from kdeps.query.change import Origin, understand
from kdeps.query.modules import Whole, read_whole
from kdeps.query.names import Names
from kdeps.report.words import Pen
from kdeps.rules import Problem
from kdeps.verdict import Reason

_UNKNOWN = "no usable record, so what it reads is not known; it counts as affected"


def run_affected(
    words: tuple[str, ...],
    *,
    output: Format = Format.TEXT,
    colour: Colour = Colour.AUTO,
    since: str | None = None,
    stdin: bool = False,
    modules_only: bool = False,
    every: bool = False,
) -> int:
    """Say what some changes would rebuild, and return the exit status.

    Args:
        words: What changes, and make's arguments.
        output: How to print the answer.
        colour: When to use colour.
        since: Add what differs from this revision.
        stdin: Add the names on standard input.
        modules_only: Print the folders of the modules alone.
        every: Leave nothing out of long lists.
    """
    given, make_words = split_names(words)
    if not given and since is None and not stdin:
        raise UsageError("affected: which files? Name them, or use --since REV or --stdin")
    cwd = where()
    environ = dict(os.environ)
    whole = read_whole(make_words, cwd, environ)
    names = Names(whole.tree, whole.graph, whole.folders)
    changes = [understand(names, name, cwd) for name in given]
    listed: list[str] = []
    if since is not None:
        from kdeps.query.revision import changed_since

        listed += changed_since(since, whole.tree, cwd, environ, whole.folders)
    if stdin:
        listed += _read_names()
    changes += [understand(names, name, cwd, Origin.LIST) for name in dict.fromkeys(listed)]
    answer = find_affected(whole, tuple(changes))
    from kdeps.repair.refresh import load_durations

    cost = estimate(answer, load_durations(whole.tree.objtree, environ))
    # Of the longer answers the steps whose reading is not known are a part.
    warn(whole, make_pen(cwd, colour), answer.unknown if modules_only and output is Format.TEXT else ())
    _print(whole, answer, cost, cwd, output, colour, modules_only=modules_only, every=every)
    return Exit.FRESH


def warn(whole: Whole, pen: Pen, unread: tuple[Reason, ...]) -> None:
    """Say on standard error what could not be read, and of which steps it is not known what they read."""
    unknown = [Problem(reason.path, _UNKNOWN) for reason in unread]
    for problem in (*whole.rules.problems, *unknown):
        print(printable(f"kdeps: warning: {pen.path(problem.path)}: {problem.message}"), file=sys.stderr)


def _read_names() -> list[str]:
    """Read names from standard input: ended by NUL if there is one, else one a line and as git quotes them."""
    from kdeps.query.revision import unquoted

    text = os.fsdecode(sys.stdin.buffer.read())
    if "\0" in text:
        return [name for name in text.split("\0") if name]
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [unquoted(line) for line in lines if line]


def _print(
    whole: Whole,
    answer: Affected,
    cost: Estimate,
    cwd: str,
    output: Format,
    colour: Colour,
    *,
    modules_only: bool,
    every: bool,
) -> None:
    if output is Format.JSON:
        from kdeps.report.query_json import affected_json

        print_json(affected_json(whole, answer, cost, modules_only=modules_only))
        return
    from kdeps.report.affected import write_affected

    pen = make_pen(cwd, colour)
    if modules_only:
        folders = [pen.path(tree.module or "") for tree in affected_modules(answer)]
        print_lines(folders, colour)
        return
    write_affected(pen, whole, answer, cost, every=every)
    print_lines(pen.lines, colour)
