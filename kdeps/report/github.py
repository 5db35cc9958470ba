# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""GitHub workflow commands: lines that the runner turns into annotations.

Of each kind it shows ten to a step, so an issue is one line however many files are to blame,
the worst first.

Source: GitHub's "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from kdeps.report.issues import SUMMARIES, Issue, Report, relative_to
from kdeps.verdict import Status

_COMMANDS = {Status.STALE: "error", Status.UNKNOWN: "error", Status.FRESH: "notice"}


def github(report: Report) -> str:
    """Render a report as workflow commands, a line each, and a line for each module in a group."""
    lines = [_line(report, issue) for issue in report.issues]
    lines.append("::group::kdeps: modules")
    lines += [
        _safe(f"{status.value:8} {part.name}")
        for part, status in zip(report.inspection.parts, report.statuses, strict=True)
    ]
    lines.append("::endgroup::")
    return "\n".join(lines)


def _line(report: Report, issue: Issue) -> str:
    properties = {"title": f"kdeps: {SUMMARIES[issue.kind]}"}
    place = relative_to(issue.location, report.root)
    if place is not None and place != ".":
        properties = {"file": place, "line": "1", **properties}
    message = issue.message
    if len(issue.modules) > 1:
        message += f"\nmodules: {', '.join(issue.modules)}"
    if issue.help:
        message += f"\nhelp: {issue.help}"
    if issue.status is Status.STALE and report.cure:
        message += "\nto refresh, then build:\n" + "\n".join(report.cure)
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[issue.status]} {given}::{_data(message)}"


def _data(text: str) -> str:
    return _encodable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _safe(line: str) -> str:
    """Keep a name from being taken for a command."""
    return _encodable(line).replace("\n", " ").replace("\r", " ").replace("::", ": :")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
