# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci`` in words: each issue once, as ``kdeps check`` says it, then a line for each module."""

from __future__ import annotations

from kdeps.report.issues import Issue, Report, module_stats
from kdeps.report.text import MAX_CAUSES, write_cause
from kdeps.report.words import Pen, Writer, shown_line
from kdeps.verdict import Status

_LABELS = {
    Status.STALE: ("error", "stale"),
    Status.UNKNOWN: ("error", "unknown"),
    Status.FRESH: ("note", "note"),
}
_MAX_MODULES = 6


def ci_text(report: Report, pen: Pen, *, unicode: bool) -> str:
    """Render a report for a person; always ends in a newline.

    Args:
        report: What to say.
        pen: How this output is written to.
        unicode: Whether it understands arrows.
    """
    for status in (Status.UNKNOWN, Status.STALE, Status.FRESH):
        issues = [issue for issue in report.issues if issue.status is status]
        for issue in issues[:MAX_CAUSES]:
            _write_issue(pen, issue, unicode=unicode)
        if len(issues) > MAX_CAUSES:
            pen.lines.append(f"… and {len(issues) - MAX_CAUSES} more (--format json lists all)\n")
    if report.cure:
        pen.lines.append(f"{pen.mark('help', 'help')}: to refresh, then build:")
        pen.lines += [f"    {line}" for line in " &&\n".join(report.cure).split("\n")]
        pen.lines.append("")
    pen.lines += _modules(report, pen)
    return "\n".join(shown_line(line, pen.style) for line in pen.lines) + "\n"


def _write_issue(pen: Pen, issue: Issue, *, unicode: bool) -> None:
    if issue.cause is not None and issue.part.survey is not None:
        writer = Writer(issue.part.survey, pen.cwd, pen.style, unicode, pen.now_ns)
        write_cause(writer, issue.cause)
        lines = writer.lines
        while lines and not lines[-1]:
            lines.pop()
    else:
        kind, label = _LABELS[issue.status]
        lines = [f"{pen.mark(kind, label)}: {pen.mark('bold', issue.message)}"]
        if issue.help:
            lines.append(f"  {pen.mark('help', 'help')}: {issue.help}")
    if len(issue.modules) > 1:
        more = len(issue.modules) - _MAX_MODULES
        names = ", ".join(issue.modules[:_MAX_MODULES]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"   {pen.mark('file', '=')} modules: {names}")
    pen.lines += [*lines, ""]


def _modules(report: Report, pen: Pen) -> list[str]:
    """One line for each module, and one for all of them where there are several."""
    lines = []
    for part, status in zip(report.inspection.parts, report.statuses, strict=True):
        rules, files, kernel = module_stats(part)
        own = [i for i in report.issues if part.name in i.modules and i.status is status]
        if status is Status.FRESH:
            pending = len(part.survey.verdict.pending) if part.survey is not None else 0
            also = f", {pending} of its own to rebuild" if pending else ""
            text = f"consistent{also} ({rules} rules, {files} files)"
        elif status is Status.UNKNOWN:
            text = "cannot tell, see above"
        else:
            text = f"{len(own)} cause{'s' if len(own) != 1 else ''}"
            if kernel:
                text += f", {kernel} stale kernel artifact{'s' if kernel != 1 else ''}"
        mark = "help" if status is Status.FRESH else "error"
        lines.append(f"{pen.mark(mark, status.value)}: {part.name}: {text}")
    if len(lines) > 1:
        counted = [(status, report.statuses.count(status)) for status in (Status.STALE, Status.UNKNOWN, Status.FRESH)]  # fmt: skip
        counts = ", ".join(f"{count} {status.value}" for status, count in counted if count)
        mark = "help" if report.status is Status.FRESH else "error"
        lines.append(f"{pen.mark(mark, report.status.value)}: {len(lines)} modules: {counts}")
    return lines
