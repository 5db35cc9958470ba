# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""GitHub workflow commands: lines that the runner turns into annotations.

The runner shows ten of each kind in a step. So an issue is one line, whatever the number of its
files, and the worst comes first.

Source: GitHub's "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from kdeps.report.explain_page import page_of
from kdeps.report.issues import Issue, Report, relative_to
from kdeps.staleness.reasons import Status
from kdeps.system.text import printable

_COMMANDS = {Status.STALE: "error", Status.UNKNOWN: "error", Status.FRESH: "notice"}


def github(report: Report) -> str:
    """Render a report as workflow commands, a line each, and a line for each module in a group."""
    lines = [_line(report, issue) for issue in report.issues]
    lines.append("::group::kdeps: modules")
    lines += [
        _not_a_command(f"{status.value:8} {part.name}")
        for part, status in zip(report.inspection.parts, report.statuses, strict=True)
    ]
    lines.append("::endgroup::")
    return "\n".join(lines)


def _line(report: Report, issue: Issue) -> str:
    properties = {"title": f"kdeps: {page_of(issue.kind).title}"}
    place = relative_to(issue.location, report.root)
    if place is not None and place != ".":
        properties = {"file": place, "line": "1", **properties}
    message = [issue.message]
    if len(issue.modules) > 1:
        message.append(f"modules: {', '.join(issue.modules)}")
    if issue.help:
        message.append(f"help: {issue.help}")
    if issue.status is Status.STALE and report.refresh_commands:
        message += ["to refresh, then build:", *report.refresh_commands]
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[issue.status]} {given}::{'%0A'.join(map(_data, message))}"


def _data(line: str) -> str:
    return printable(line).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _not_a_command(line: str) -> str:
    """Keep a name from being taken for a command: the runner knows the form ``##[…]`` as well, anywhere in a line.

    Source: ``src/Runner.Common/ActionCommand.cs`` of GitHub's runner.
    """
    return printable(line).replace("::", ": :").replace("##[", "## [")
