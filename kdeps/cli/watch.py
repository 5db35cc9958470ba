# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps watch``: the verdict, kept current while files change."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from enum import Enum

from kdeps.cli.check import Colour, Format, wants_colour
from kdeps.cli.start import Exit, where
from kdeps.errors import UsageError
from kdeps.watch.loop import Options, Watch
from kdeps.watch.modules import split_modules
from kdeps.watch.runtime import Taken
from kdeps.watch.service import unit_text
from kdeps.watch.show import JsonLines, Lines, Show, Terminal
from kdeps.watch.target import Target
from kdeps.watch.view import View, say

RETRY_S = 0.1
MAX_TRIES = 100
"""A watch that ends may have a compiler to wait for."""


class OnStale(str, Enum):
    """What to do when something becomes stale."""

    WARN = "warn"
    REBUILD = "rebuild"
    FAIL = "fail"


def run_watch(
    words: tuple[str, ...],
    *,
    output: Format,
    colour: Colour,
    on_stale: OnStale,
    command: str,
    quiet_ms: int,
    only_poll: bool,
    all_modules: bool,
    notify: bool,
) -> int:
    """Watch the builds that ``make WORDS…`` would be; return the exit status."""
    cwd = where()
    environ = dict(os.environ)
    lines = split_modules(words)
    options = Options(
        quiet_s=quiet_ms / 1000,
        only_poll=only_poll,
        rebuild=on_stale is OnStale.REBUILD,
        fail=on_stale is OnStale.FAIL,
        command=command,
        all_modules=all_modules,
        notify=_notifier(environ) if notify else None,
    )
    show = _show(output, colour)
    acts = on_stale is not OnStale.WARN or bool(command)
    try:
        tries = 0
        while True:
            try:
                watch = Watch(lines, cwd, environ, show, options)
            except Taken as taken:
                if _join(taken.pid, acts, [] if all_modules else lines, cwd, environ, show):
                    tries = 0
                elif tries == MAX_TRIES:
                    raise UsageError(
                        f"another kdeps watch (pid {taken.pid}) has this module, and cannot be joined"
                    ) from None
                else:
                    tries += 1
                    time.sleep(RETRY_S)
                continue
            return watch.run()
    finally:
        show.close()


def _join(
    pid: int, acts: bool, lines: list[tuple[str, ...]], cwd: str, environ: dict[str, str], show: Show
) -> bool:
    """Follow the watch that has this module already, until it ends."""
    if acts:
        raise UsageError(
            f"another kdeps watch (pid {pid}) has this module, and only one may act on it: end that one first"
        )
    from kdeps.watch.follow import follow

    return follow(pid, [Target(words, cwd, environ) for words in lines], environ, show)


def _show(output: Format, colour: Colour) -> Show:
    if output is Format.JSON:
        return JsonLines(sys.stdout, sys.stderr)
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return Terminal(sys.stdout, colour=wants_colour(colour))
    return Lines(sys.stdout, stamped="JOURNAL_STREAM" not in os.environ)


def _notifier(environ: dict[str, str]) -> Callable[[View], None] | None:
    import shutil

    program = shutil.which("notify-send", path=environ.get("PATH"))
    if program is None:
        print(
            "kdeps: warning: notify-send is not installed, so there will be no desktop notifications",
            file=sys.stderr,
        )
        return None

    def notify(view: View) -> None:
        urgency = "normal" if view.status == "fresh" else "critical"
        with contextlib.suppress(OSError):  # it is being replaced, or there is no process to be had
            subprocess.Popen(
                [program, "--app-name=kdeps", f"--urgency={urgency}", f"kdeps: {view.name}", say(view)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    return notify


def print_unit(options: list[str], words: tuple[str, ...]) -> int:
    """Print a systemd user unit that runs this watch."""
    sys.stdout.write(unit_text(options, words, where(), dict(os.environ)))
    return Exit.FRESH
