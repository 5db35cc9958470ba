# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How far a refresh is, on one line of the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from kdeps.repair.refresh import Watch


def terminal_watch() -> Watch | None:
    """Show progress where somebody looks; elsewhere make's own lines are what a log should have."""
    from kdeps.repair.refresh import Step, Watch

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

    return Watch(on_line, on_step)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at a stream."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def write_progress(text: str) -> None:
    """Draw one line and go back to its start, so that a compiler's message overwrites it."""
    from kdeps.printable import printable

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
