# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps watch``: the verdict, kept current while files change."""

from __future__ import annotations

import os
import shutil
import sys
import time

import click

from kdeps.cli.choices import Colour, Format
from kdeps.cli.exits import Exit
from kdeps.cli.options import colour_option, format_option, make_args_command, refuse_slips, words_argument
from kdeps.cli.terminal import current_folder, wants_colour
from kdeps.kbuild.named_kernel import GUESSED
from kdeps.kbuild.tree import find_tree
from kdeps.report.verdict_json import dump, unknown_document, verdict_document
from kdeps.report.verdict_text import headlines
from kdeps.system.errors import UsageError
from kdeps.system.text import printable
from kdeps.watch.loop import Options, Watch
from kdeps.watch.module import Describe
from kdeps.watch.modules import one_line_per_module
from kdeps.watch.service import unit_text
from kdeps.watch.status_files import AlreadyWatched, module_key
from kdeps.watch.terminal import JsonLines, Lines, Show, Terminal

DESCRIBE = Describe(
    headlines=lambda result, cwd: headlines(result, cwd=cwd, clock=True),
    document=verdict_document,
    unknown=unknown_document,
    dump=lambda document: dump(document, indent=None),
)
RETRY_S = 0.1
MAX_TRIES = 100
"""A watch that ends may have a compiler to wait for."""


def run_watch(
    lines: list[tuple[str, ...]], options: Options, cwd: str, environ: dict[str, str], show: Show
) -> int:
    """Watch the build of each make command line, or show what another watch of them finds; return the exit status."""
    acts = options.rebuild or options.fail or bool(options.command or options.on_fresh)
    for _ in range(MAX_TRIES):
        try:
            return Watch(lines, cwd, environ, show, options, DESCRIBE).run()
        except AlreadyWatched as taken:
            if acts:
                raise UsageError(f"{taken}, and only one may act on it: end that one first") from None
            from kdeps.watch.follow import follow

            follow(taken.pid, [] if options.all_modules else lines, cwd, environ, show)
            other = taken
            time.sleep(RETRY_S)
    raise UsageError(f"{other}, and does not answer")


def _show(output: Format, colour: Colour) -> Show:
    if output is Format.JSON:
        return JsonLines(sys.stdout, sys.stderr)
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return Terminal(sys.stdout, colour=wants_colour(colour))
    return Lines(sys.stdout, stamped="JOURNAL_STREAM" not in os.environ)


def _find_notifier() -> str:
    program = shutil.which("notify-send")
    if program is None:
        click.echo(
            "kdeps: warning: notify-send is not installed, so there will be no desktop notifications",
            err=True,
        )
    return program or ""


def print_unit(options: list[str], words: tuple[str, ...]) -> int:
    """Print a systemd user unit that runs this watch.

    Raises KdepsError: there is nothing to watch: systemd would start such a unit again and again.
    """
    cwd, environ = current_folder(), dict(os.environ)
    trees = [find_tree(line, cwd, environ) for line in one_line_per_module(words)]
    sys.stdout.write(unit_text(module_key(trees[0]), options, words, cwd, environ))
    return Exit.FRESH


@make_args_command
@click.option(
    "--on-stale", type=click.Choice(["warn", "rebuild", "fail"]), default="warn", show_default=True,
    help="When something is stale: warn, refresh it once the tree is quiet, or exit with status 1.",
)  # fmt: skip
@click.option(
    "--exec",
    "command",
    default="",
    metavar="CMD",
    help="Run CMD with each new verdict (JSON on its standard input).",
)
@click.option(
    "--on-fresh",
    default="",
    metavar="CMD",
    help="Run CMD after each refresh or build that ends fresh. A refresh makes the kernel's part, not the module.",
)
@click.option("--all-modules", is_flag=True, help="Watch every module of this tree that was built with M=.")
@format_option("How to print a verdict; json is one object a line.")
@click.option("--notify", is_flag=True, help="Send a desktop notification when the verdict changes.")
@click.option(
    "--quiet-ms", type=click.IntRange(0, 60000), default=100, show_default=True,
    help="How long the tree must be quiet before it is checked.",
)  # fmt: skip
@click.option("--poll", is_flag=True, help="Use no file events: check at intervals.")
@click.option("--status", is_flag=True, help="Print what the running watches have found, and exit.")
@click.option("--systemd", is_flag=True, help="Print a systemd user unit that runs this watch, and exit.")
@colour_option
@words_argument("make_args")
def watch(
    on_stale: str,
    command: str,
    on_fresh: str,
    all_modules: bool,
    output: Format,
    notify: bool,
    quiet_ms: int,
    poll: bool,
    status: bool,
    systemd: bool,
    colour: Colour,
    make_args: tuple[str, ...],
) -> int:
    """Keep the verdict of `kdeps check` current while files change.

    MAKE_ARGS is what you would give make, verbatim; several M= watch several
    modules of one tree. File events only wake it; it then checks as
    `kdeps check` does. While make or git writes to the tree, it waits.

    \b
    Exit status:
      0    ended by SIGTERM or SIGHUP
      1    something is stale and --on-stale=fail
      2    cannot watch; one line says why
      130  interrupted
      With --status: that of the worst verdict; 2 if no watch runs, or if one is stopped.

    \b
    Examples:
      kdeps watch LLVM=1 M=drivers/gpu/nova-core
      kdeps watch --on-stale=rebuild M=drivers/gpu/nova-core M=samples/rust
      kdeps watch --status
    """
    refuse_slips(make_args)
    if status:
        from kdeps.watch.status import print_status

        return print_status(list(make_args), json=output is Format.JSON)
    if systemd:
        given_options = [f"--on-stale={on_stale}", f"--quiet-ms={quiet_ms}"]
        given_options += [f"--exec={command}"] if command else []
        given_options += [f"--on-fresh={on_fresh}"] if on_fresh else []
        given_options += [
            name
            for name, given in (("--all-modules", all_modules), ("--poll", poll), ("--notify", notify))
            if given
        ]
        return print_unit(given_options, make_args)
    options = Options(
        quiet_s=quiet_ms / 1000,
        only_poll=poll,
        rebuild=on_stale == "rebuild",
        fail=on_stale == "fail",
        command=command,
        on_fresh=on_fresh,
        all_modules=all_modules,
        notifier=_find_notifier() if notify else "",
    )
    cwd, environ, lines = current_folder(), dict(os.environ), one_line_per_module(make_args)
    tree = find_tree(lines[0], cwd, environ)
    if tree.guessed:
        click.echo(f"kdeps: note: {printable(tree.make_directory)} {GUESSED}", err=True)
    show = _show(output, colour)
    try:
        return run_watch(lines, options, cwd, environ, show)
    finally:
        show.close()
