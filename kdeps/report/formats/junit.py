# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""JUnit XML, as Jenkins, GitLab and most others read it: one test case for each module.

A stale module is a failure, one that cannot be judged an error; notes are its output.

Source: ``junit-10.xsd`` of Jenkins' xUnit plugin.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from kdeps.report.issues import Issue, Report, module_stats
from kdeps.staleness.reasons import Status
from kdeps.staleness.scope import ScopedResult
from kdeps.system.text import printable


def junit(report: Report) -> str:
    """Render a report as one test suite."""
    parts = list(zip(report.inspection.parts, report.statuses, strict=True))
    counts = {
        "tests": str(len(parts)),
        "failures": str(sum(status is Status.STALE for _, status in parts)),
        "errors": str(sum(status is Status.UNKNOWN for _, status in parts)),
    }
    elapsed = f"{sum(_seconds(part) for part, _ in parts):.3f}"
    top = ElementTree.Element("testsuites", {"name": "kdeps", "time": elapsed, **counts})
    suite = ElementTree.SubElement(top, "testsuite", {"name": "kdeps", "time": elapsed, **counts})
    for part, status in parts:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": "kdeps", "name": printable(part.name), "time": f"{_seconds(part):.3f}"},
        )
        own = [issue for issue in report.issues if part.name in issue.modules]
        bad = [issue for issue in own if issue.status is not Status.FRESH]
        if status is not Status.FRESH:
            name = "failure" if status is Status.STALE else "error"
            first = bad[0] if bad else None
            attributes = {"type": first.kind if first else status.value, "message": first.message if first else ""}  # fmt: skip
            ElementTree.SubElement(case, name, attributes).text = _text(bad, report.refresh_commands)
        notes = [f"note: {issue.message}" for issue in own if issue.status is Status.FRESH]
        rules, files, _ = module_stats(part)
        ElementTree.SubElement(case, "system-out").text = "\n".join([*notes, f"{rules} rules, {files} files"])
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=False)


def _seconds(part: ScopedResult) -> float:
    return part.result.elapsed_ms / 1000 if part.result is not None else 0.0


def _text(issues: list[Issue], cure: tuple[str, ...]) -> str:
    lines: list[str] = []
    for issue in issues:
        lines.append(f"{issue.status.value}: {issue.message}")
        lines += [f"  --> {path}" for path in issue.paths[:20]]
        if len(issue.paths) > 20:
            lines.append(f"  … and {len(issue.paths) - 20} more")
        if issue.help:
            lines.append(f"  help: {issue.help}")
    if cure and any(issue.status is Status.STALE for issue in issues):
        lines += ["", "to refresh, then build:", *(f"    {line}" for line in cure)]
    return "\n".join(map(printable, lines))
