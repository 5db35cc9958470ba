# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``kdeps make`` says on standard error, line by line."""

from __future__ import annotations

import os
import sys

from kdeps.cli.start import Exit

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from kdeps.survey import Survey

MAX_HEADLINES = 3


def find_headlines(found: Survey, cwd: str) -> list[str]:
    """Find the causes, the most important first, and how many more there are."""
    from kdeps.report import text

    lines = text.headlines(found, cwd=cwd)
    if len(lines) > MAX_HEADLINES:
        more = len(lines) - MAX_HEADLINES
        lines = [
            *lines[:MAX_HEADLINES],
            f"and {more} more cause{'s' if more > 1 else ''}; `kdeps check` lists them",
        ]
    return lines or ["something is stale; `kdeps check` says what"]


def find_notes(found: Survey, cwd: str) -> list[str]:
    """What a refresh leaves to say: the kernel that was linked has not these crates."""
    from kdeps.report import text

    return text.notes(found, cwd=cwd)


def find_advice(found: Survey, cwd: str) -> str:
    """The commands that cure it, but for the user's own; none where a person must do something first."""
    from kdeps.repair.plan import plan_repair
    from kdeps.report.commands import cure

    if plan_repair(found).by_hand:
        return ""
    lines = cure(found, cwd)
    return "; ".join(lines[:-1] if found.tree.module is not None else lines)


def say_helps(found: Survey) -> None:
    """Say what only a person can do."""
    from kdeps.verdict import Status

    for finding in found.verdict.findings:
        if finding.help and finding.status is not Status.FRESH:
            say(f"help: {finding.help}")


def say_left(found: Survey, cwd: str, *, refreshed: bool) -> None:
    """Say what a refresh has not cured, or cannot."""
    if refreshed:
        say_all("error: refreshed, but still stale", find_headlines(found, cwd))
    say_helps(found)
    what = (
        "the module was not built" if refreshed else "a refresh cannot help here, so the module was not built"
    )
    say(f"error: {what}; --on-stale=warn builds it all the same")


def say_waiting(pid: int, objtree: str) -> None:
    """Say why nothing happens yet."""
    who = f" (pid {pid})" if pid else ""
    say(f"waiting for another kdeps{who} to refresh {objtree}")


def refuse(why: str, advice: str = "") -> int:
    """Say why make does not run; the exit status."""
    say(f"error: {why}, so make was not run")
    if advice:
        say(f"help: {advice}")
    return Exit.STALE


def say_all(label: str, lines: list[str]) -> None:
    """Say several lines of one kind."""
    for line in lines:
        say(f"{label}: {line}")


def say(text: str) -> None:
    """Write one line to standard error; a terminal that is gone keeps nobody from building."""
    from kdeps.printable import printable

    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"kdeps: {printable(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def shown(command: list[str]) -> str:
    """Write a command as one could paste it."""
    from kdeps.printable import shell_quoted

    return " ".join(map(shell_quoted, command))


def describe_bug(error: Exception) -> str:
    """Say what happened in us, and where."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{where}"
