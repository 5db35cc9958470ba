# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci`` in words: each event once, as ``kdeps check`` says it, then a line for each module."""

from __future__ import annotations

from kdeps.kbuild.tree import Tree
from kdeps.report.issues import Issue, Report, module_stats
from kdeps.report.sentences import ResultText, TextOutput, sanitise_line
from kdeps.report.verdict_text import MAX_CAUSES, message_lines, write_event
from kdeps.staleness.events import Event, group_events
from kdeps.staleness.reasons import Finding, Status
from kdeps.staleness.root_causes import RootCause
from kdeps.staleness.scope import worst
from kdeps.system.text import break_line, counted, list_some

_MAX_MODULES = 6


def ci_text(report: Report, pen: TextOutput, *, unicode: bool, width: int = 0) -> str:
    """Render a report for a person, broken at a width other than 0; always ends in a newline."""
    told = _by_event(report.issues)
    for status in (Status.UNKNOWN, Status.STALE, Status.FRESH):
        messages = [message for message in told if worst(issue.status for issue in message[1]) is status]
        for event, issues in messages[:MAX_CAUSES]:
            _write_message(pen, event, issues, unicode=unicode)
        if len(messages) > MAX_CAUSES:
            pen.lines.append(f"… and {len(messages) - MAX_CAUSES} more; `--format=json` lists all\n")
    if report.refresh_commands:
        pen.lines.append(f"{pen.mark('help', 'help')}: to refresh, then build:")
        pen.lines += [f"    {line}" for line in " &&\n".join(report.refresh_commands).split("\n")]
        pen.lines.append("")
    pen.lines += _modules(report, pen)
    return "\n".join(break_line(sanitise_line(line, pen.style), width) for line in pen.lines) + "\n"


def _by_event(issues: tuple[Issue, ...]) -> list[tuple[Event | None, list[Issue]]]:
    """Put the issues that one event made together; each of the others stays by itself."""
    single: dict[int, Issue] = {}
    found: dict[int, Issue] = {}
    trees: dict[str, tuple[Tree, list[RootCause], dict[Finding, Issue]]] = {}
    for issue in issues:
        if issue.cause is None:
            single[id(issue)] = issue
        if issue.part.result is None:
            continue
        tree = issue.part.result.tree
        _, causes, findings = trees.setdefault(tree.objtree, (tree, [], {}))
        if issue.cause is not None:
            found[id(issue.cause)] = issue
            causes.append(issue.cause)
        elif issue.finding is not None:
            findings.setdefault(issue.finding, issue)
    events: list[tuple[Event | None, list[Issue]]] = []
    for tree, causes, findings in trees.values():
        for event in group_events(findings, causes, tree)[1]:
            belonging = [found[id(cause)] for cause in event.causes]
            belonging += [single.pop(id(findings[finding])) for finding in event.findings]
            events.append((event, belonging))
    return [*((None, [issue]) for issue in single.values()), *events]


def _write_message(pen: TextOutput, event: Event | None, issues: list[Issue], *, unicode: bool) -> None:
    first = issues[0]
    if event is not None and first.part.result is not None:
        writer = ResultText(first.part.result, pen.cwd, pen.style, unicode, pen.now_ns)
        write_event(writer, event, "--format=json")
        lines = writer.lines
        while lines and not lines[-1]:
            lines.pop()
    else:
        lines = message_lines(pen, first.status, first.kind, first.message, first.help)
    modules = list(dict.fromkeys(name for issue in issues for name in issue.modules))
    if len(modules) > 1:
        lines.append(f"   {pen.mark('file', '=')} modules: {list_some(modules, _MAX_MODULES)}")
    pen.lines += [*lines, ""]


def _modules(report: Report, pen: TextOutput) -> list[str]:
    """One line for each module, and one for all of them where there are several."""
    lines = []
    for part, status in zip(report.inspection.parts, report.statuses, strict=True):
        rules, files, kernel = module_stats(part)
        own = [i for i in report.issues if part.name in i.modules and i.status is status]
        if status is Status.FRESH:
            pending = len(part.result.verdict.pending) if part.result is not None else 0
            also = f", {pending} of its own to rebuild" if pending else ""
            text = f"consistent{also} ({rules} rules, {files} files)"
        elif status is Status.UNKNOWN:
            text = "cannot tell, see above"
        else:
            artifacts = f", {counted(kernel, 'stale kernel artifact')}" if kernel else ""
            text = f"{counted(len(own), 'cause')}{artifacts}"
        mark = "help" if status is Status.FRESH else "error"
        lines.append(f"{pen.mark(mark, status.value)}: {part.name}: {text}")
    if len(lines) > 1:
        numbers = [(status, report.statuses.count(status)) for status in (Status.STALE, Status.UNKNOWN, Status.FRESH)]  # fmt: skip
        counts = ", ".join(f"{count} {status.value}" for status, count in numbers if count)
        mark = "help" if report.status is Status.FRESH else "error"
        lines.append(f"{pen.mark(mark, report.status.value)}: {len(lines)} modules: {counts}")
    return lines
