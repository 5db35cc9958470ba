# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ninja``: the refresh, or the whole build, as a ``build.ninja``."""

from __future__ import annotations

import os
import sys

import click

from kdeps.cli.exits import Exit
from kdeps.cli.options import make_args_command, refuse_slips, words_argument
from kdeps.cli.terminal import current_folder
from kdeps.refresh.ninja.manifest import Place, write_manifest
from kdeps.refresh.ninja.replay import plan_replay
from kdeps.refresh.ninja.run import build_folder, clear_folder, confirm_commands
from kdeps.refresh.plan import REFRESH_GOAL
from kdeps.report.refresh_commands import make_command
from kdeps.staleness.check import check_build
from kdeps.system.errors import UsageError
from kdeps.system.files import write_file
from kdeps.system.text import counted, printable

MAX_REASONS = 5
"""Beyond this it is one and the same reason again and again."""


@make_args_command
@click.option(
    "--all", "everything", is_flag=True,
    help="Write every step of the kernel's part and of the module, stale or not: a file to keep, which regenerates itself.",
)  # fmt: skip
@click.option("--output", metavar="FILE", help="Write there instead of standard output.")
@words_argument("make_args")
def ninja(everything: bool, output: str | None, make_args: tuple[str, ...]) -> int:
    """Write the steps to refresh as a build.ninja.

    Ninja runs the commands that Kbuild recorded, and the records stay correct. Make
    compares times only; ninja sees that an output came out byte for byte the same, and
    stops there: a touched header costs one bindgen, not every crate behind it.

    MAKE_ARGS is what you would give make, verbatim. What cannot be replayed from the
    record (changed commands, an unsynced configuration, tools/) is listed and left to
    make. `kdeps make --with=ninja` does both.

    \b
    Exit status:
      0  written; ninja can do all of it
      1  written, but make has to run first; one line says why
      2  cannot tell; one line says why and what to do

    \b
    Examples:
      kdeps ninja LLVM=1 M=drivers/gpu/nova-core > /tmp/build.ninja && ninja -f /tmp/build.ninja
      kdeps ninja --all --output=../build/build.ninja LLVM=1 O=../build M=drivers/gpu/nova-core
    """
    refuse_slips(make_args)
    cwd, environ = current_folder(), dict(os.environ)
    result = check_build(make_args, cwd, environ)
    if result.tree.prebuilt:
        raise UsageError(f"{result.tree.objtree}: installed headers; there is nothing to rebuild them from")
    result = confirm_commands(result, environ, module=everything)
    replay = plan_replay(result, everything=everything)
    folder = build_folder(result, environ, "all" if everything else "refresh")
    file = os.path.abspath(output) if output is not None else ""
    text = write_manifest(replay, result.tree, Place(folder, cwd, make_args, file if everything else ""))
    clear_folder(folder)
    data = text.encode("utf-8", "surrogateescape")
    if output is None:
        sys.stdout.buffer.write(data)  # the very bytes of every name, whatever the locale
    else:
        write_file(output, data)
    for reason in replay.for_make[:MAX_REASONS]:
        sys.stderr.write(f"kdeps: left to make: {printable(reason)}\n")
    if replay.for_make:
        more = len(replay.for_make) - MAX_REASONS
        if more > 0:
            sys.stderr.write(f"kdeps: left to make: {counted(more, 'more step')}\n")
        sys.stderr.write(
            f"kdeps: run make first: `kdeps make` does, or `{make_command(result.tree, cwd, REFRESH_GOAL)}`\n"
        )
        return Exit.STALE
    if not everything:
        sys.stderr.write(f"kdeps: {counted(len(replay.steps), 'step')} to refresh\n")
    return Exit.FRESH
