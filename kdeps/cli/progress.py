# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How far a refresh is, on one line of the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from kdeps.refresh.make_run import ProgressCallbacks, Step
from kdeps.system.text import printable


def terminal_watch() -> ProgressCallbacks | None:
    """Show progress on a terminal; elsewhere leave make's own lines, which a log should have."""
    if not (is_terminal(sys.stdout) and is_terminal(sys.stderr)) or os.environ.get("TERM") == "dumb":
        return None

    def on_line(line: bytes) -> None:
        clear_progress()
        try:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
        except OSError:
            return

    def on_step(step: Step) -> None:
        count = f"{step.number} of {step.total}" if step.total else f"{step.number}"
        last = f", last time {step.last_s:.1f} s" if step.last_s is not None and step.last_s >= 0.1 else ""
        text = f"kdeps: refreshing {count}: {step.target or 'asking Kbuild'}{last} ({step.elapsed_s:.0f} s)"
        write_progress(text)

    def on_error(data: bytes) -> None:
        clear_progress()
        try:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
        except OSError:
            return

    return ProgressCallbacks(on_line, on_error, on_step)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that can show progress."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def write_progress(text: str) -> None:
    """Draw one line and go back to its start; ``clear_progress`` comes before anything else is written."""
    try:
        columns = os.get_terminal_size(2).columns or 80
    except OSError:
        columns = 80
    try:
        sys.stderr.write(f"\r\x1b[K{printable(text)[: max(columns - 1, 20)]}\r")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def clear_progress() -> None:
    try:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


_PATIENCE_S = 1.0
"""How long a step may take before progress is shown."""


@contextmanager
def progress_line() -> Iterator[Callable[[int], None] | None]:
    """A line on the terminal that says how many bytes were read; shown after a second, erased in the end."""
    if not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield None
        return
    started = time.monotonic()
    shown = started

    def show(done: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - started > _PATIENCE_S and now - shown > 0.1:
            shown = now
            write_progress(f"kdeps: hashing: {done >> 20} MB ({now - started:.0f} s)")

    try:
        yield show
    finally:
        if shown > started:
            clear_progress()
