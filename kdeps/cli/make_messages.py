# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``kdeps make`` says on standard error, line by line."""

from __future__ import annotations

import sys

from kdeps.cli.exits import Exit

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from kdeps.staleness.check import CheckResult

MAX_HEADLINES = 3


def find_headlines(result: CheckResult, cwd: str) -> list[str]:
    """Find the causes, the most important first, and how many more there are."""
    from kdeps.report import verdict_text as text
    from kdeps.report.refresh_commands import check_command
    from kdeps.system.text import counted

    lines = text.headlines(result, cwd=cwd)
    how = check_command(result, cwd)
    if len(lines) > MAX_HEADLINES:
        more = len(lines) - MAX_HEADLINES
        lines = [
            *lines[:MAX_HEADLINES],
            f"and {counted(more, 'more cause')}; `{how}` lists them",
        ]
    return lines or [f"something is stale; `{how}` lists it"]


def find_notes(result: CheckResult, cwd: str) -> list[str]:
    """What a refresh leaves to say: the kernel that was linked has not these crates."""
    from kdeps.report import verdict_text as text

    return text.notes(result, cwd=cwd)


def find_advice(result: CheckResult, cwd: str) -> str:
    """The commands that cure it, without the user's own make; empty if the user must do something first."""
    from kdeps.refresh.plan import plan_refresh
    from kdeps.report.refresh_commands import refresh_commands

    if plan_refresh(result).manual:
        return ""
    lines = refresh_commands(result, cwd)
    return "; ".join(lines[:-1] if result.tree.module is not None else lines)


def say_helps(result: CheckResult) -> None:
    """Say what only a person can do."""
    from kdeps.staleness.events import find_events
    from kdeps.staleness.reasons import Status

    for finding in find_events(result)[0]:
        if finding.help and finding.status is not Status.FRESH:
            say(f"help: {finding.help}")


def say_left(result: CheckResult, cwd: str, *, refreshed: bool) -> None:
    """Say what a refresh has not cured, or cannot."""
    from kdeps.refresh.plan import find_gone_sources

    if refreshed:
        say_all("error: refreshed, but still stale", find_headlines(result, cwd))
    say_helps(result)
    for path in find_gone_sources(result):
        say(f"help: put {path} back, or take it out of the Makefile")
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
        say(f"help: {advice}", folded=False)
    return Exit.STALE


def say_all(label: str, lines: list[str]) -> None:
    """Say several lines of one kind."""
    for line in lines:
        say(f"{label}: {line}")


def say(text: str, *, folded: bool = True) -> None:
    """Write one line to standard error; a terminal that is gone does not stop the build.

    The line is broken where the terminal ends, but not where it is a command to paste.
    """
    from kdeps.cli.terminal import find_width
    from kdeps.system.text import break_line, printable

    if sys.stderr is None:
        return
    try:
        width = find_width(sys.stderr) if folded else 0
        sys.stderr.write(f"{break_line(f'kdeps: {printable(text)}', width)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
