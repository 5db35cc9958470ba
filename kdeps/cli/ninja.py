# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ninja``: the refresh, or the whole build, as a ``build.ninja``."""

from __future__ import annotations

import os
import sys

from kdeps.cli.start import Exit, where
from kdeps.errors import UsageError
from kdeps.ninja.manifest import Place, write_manifest
from kdeps.ninja.replay import plan_replay
from kdeps.ninja.run import build_folder, clear_folder, confirm_commands
from kdeps.outfile import write_file
from kdeps.printable import printable
from kdeps.survey import survey

MAX_REASONS = 5
"""Beyond this it is one and the same reason again and again."""


def run_ninja(words: tuple[str, ...], *, everything: bool = False, output: str | None = None) -> int:
    """Write the steps of a build for ninja, and return the exit status.

    Args:
        words: make's arguments, verbatim.
        everything: All steps of the kernel and of the module, not only the stale ones of the kernel.
        output: Where to write; ``None``: standard output.
    """
    cwd = where()
    environ = dict(os.environ)
    found = survey(words, cwd, environ)
    if found.tree.prebuilt:
        raise UsageError(f"{found.tree.objtree}: installed headers; there is nothing to rebuild them from")
    found = confirm_commands(found, environ, module=everything)
    replay = plan_replay(found, everything=everything)
    folder = build_folder(found, environ, "all" if everything else "refresh")
    file = os.path.abspath(output) if output is not None else ""
    text = write_manifest(replay, found.tree, Place(folder, cwd, words, file if everything else ""))
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
            sys.stderr.write(f"kdeps: left to make: {more} more step{'s' if more > 1 else ''}\n")
        sys.stderr.write("kdeps: let make go first: `kdeps make` does, or `make … modules_prepare`\n")
        return Exit.STALE
    if not everything:
        count = len(replay.steps)
        sys.stderr.write(f"kdeps: {count} step{'s' if count != 1 else ''} to refresh\n")
    return Exit.FRESH
