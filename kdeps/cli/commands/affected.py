# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps affected``: what a change would rebuild."""

from __future__ import annotations

import os
import sys

import click

from kdeps.cli.choices import Colour, Format
from kdeps.cli.completers import complete_revision
from kdeps.cli.exits import Exit
from kdeps.cli.options import colour_option, format_option, make_args_command, refuse_slips, words_argument
from kdeps.cli.output import make_text_output, print_json, print_lines, split_names
from kdeps.cli.terminal import current_folder
from kdeps.kbuild.modules import KernelWithModules, read_whole
from kdeps.kbuild.rule import Problem
from kdeps.kbuild.slips import Goals
from kdeps.query.affected import Affected, Estimate, affected_modules, estimate, find_affected
from kdeps.query.change import NameSource, resolve_change
from kdeps.query.git import changed_since, unquoted
from kdeps.query.names import NOT_BUILT, Names, is_built
from kdeps.refresh.make_run import load_durations
from kdeps.report.affected_text import write_affected
from kdeps.report.query_json import affected_json
from kdeps.report.sentences import TextOutput
from kdeps.staleness.reasons import Reason
from kdeps.system.errors import UnknownTarget, UsageError
from kdeps.system.text import printable

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
    """Say what some changes would rebuild, and return the exit status; the words are names and make's arguments."""
    given, make_words = split_names(words)
    if not given and since is None and not stdin:
        raise UsageError("affected: which files? Name them, or use --since REV or --stdin")
    cwd = current_folder()
    environ = dict(os.environ)
    whole = read_whole(make_words, cwd, environ)
    if not is_built(whole.graph):
        raise UnknownTarget(f"{whole.tree.objtree}: {NOT_BUILT}")
    names = Names(whole.tree, whole.graph, whole.folders)
    changes = [resolve_change(names, name, cwd) for name in given]
    listed: list[str] = []
    if since is not None:
        listed += changed_since(since, whole.tree, cwd, environ, whole.folders)
    if stdin:
        listed += _read_names()
    changes += [resolve_change(names, name, cwd, NameSource.LIST) for name in dict.fromkeys(listed)]
    answer = find_affected(whole, tuple(changes))
    cost = estimate(answer, load_durations(whole.tree.objtree, environ))
    # Of the longer answers the steps whose reading is not known are a part.
    warn(
        whole, make_text_output(cwd, colour), answer.unknown if modules_only and output is Format.TEXT else ()
    )
    _print(whole, answer, cost, cwd, output, colour, modules_only=modules_only, every=every)
    return Exit.ERROR if whole.rules.problems else Exit.FRESH


def warn(whole: KernelWithModules, pen: TextOutput, unread: tuple[Reason, ...]) -> None:
    """Print on standard error what could not be read, and the steps whose inputs are not known."""
    unknown = [Problem(reason.path, _UNKNOWN) for reason in unread]
    for problem in (*whole.rules.problems, *unknown):
        print(printable(f"kdeps: warning: {pen.path(problem.path)}: {problem.message}"), file=sys.stderr)


def _read_names() -> list[str]:
    """Read names from standard input: ended by NUL if there is one, else one a line and as git quotes them."""
    text = os.fsdecode(sys.stdin.buffer.read())
    if "\0" in text:
        return [name for name in text.split("\0") if name]
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [unquoted(line) for line in lines if line]


def _print(
    whole: KernelWithModules,
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
        print_json(affected_json(whole, answer, cost, modules_only=modules_only))
        return
    pen = make_text_output(cwd, colour)
    if modules_only:
        folders = [pen.path(tree.module or "") for tree in affected_modules(answer)]
        print_lines(folders, colour, folded=False)
        return
    write_affected(pen, whole, answer, cost, every=every)
    print_lines(pen.lines, colour)


@make_args_command
@click.option(
    "--since",
    shell_complete=complete_revision,
    metavar="REV",
    help="Take the files that differ from a revision, as in `git diff REV`.",
)
@click.option("--stdin", is_flag=True, help="Read names from standard input, one a line or ended by NUL.")
@click.option("--modules-only", is_flag=True, help="Print the folders to build with M=, one a line.")
@click.option("--all", "every", is_flag=True, help="Print long lists in full.")
@format_option("How to print the answer.")
@colour_option
@words_argument("words", "[FILE]... [MAKE_ARGS]...")
def affected(
    since: str | None, stdin: bool, modules_only: bool, every: bool, output: Format, colour: Colour, words: tuple[str, ...]
) -> int:  # fmt: skip
    """List what a change of these files would rebuild: crates first, then modules, then the rest.

    FILE is a file, a folder, a configuration symbol (CONFIG_PCI) or a crate (macros);
    for a file that does not exist yet it prints what is known. Without M= it looks at
    every module below the source tree that was built before; M= may be given several
    times. Durations are those of earlier refreshes by `kdeps make`.

    \b
    Exit status:
      0  done, whether or not anything would be rebuilt
      2  cannot tell, or no such file

    \b
    Examples:
      kdeps affected rust/macros/ LLVM=1 O=../build
      kdeps affected --since v7.2 M=drivers/gpu/nova-core M=~/src/my-module
      git diff --name-only | kdeps affected --stdin --modules-only
    """

    refuse_slips(words, Goals.NAMES)
    return run_affected(
        words, output=output, colour=colour, since=since, stdin=stdin,
        modules_only=modules_only, every=every,
    )  # fmt: skip
