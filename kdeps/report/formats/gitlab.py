# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""GitLab's code quality report: a list of issues at places in the repository.

An issue must have a place there. What lies in a kernel tree beside the repository is shown
at the module's own Kbuild or Makefile, with the path in the text.

Source: GitLab's "Code Quality", "Code Quality report format".
"""

from __future__ import annotations

import hashlib
import os

from kdeps.report.issues import Issue, Report, relative_to
from kdeps.report.verdict_json import Json, dump
from kdeps.staleness.reasons import Status
from kdeps.system.text import printable

_SEVERITIES = {Status.STALE: "major", Status.UNKNOWN: "critical", Status.FRESH: "info"}


def gitlab(report: Report) -> str:
    """Render a report as a JSON list."""
    return dump([_entry(report, issue, at) for issue in report.issues for at in range(len(issue.paths))])


def _entry(report: Report, issue: Issue, at: int) -> Json:
    path = issue.location if at == 0 else issue.paths[at]
    place = relative_to(path, report.root)
    message = issue.message if at == 0 else f"{issue.message} ({path} is another one)"
    if place is None:
        place = _module_file(report, issue) or relative_to(path, report.roots.get("srctree", "/")) or path
        if at == 0:
            message += f" [{path}]"
    if issue.help:
        message += f"; {issue.help}"
    return {
        "description": printable(message),
        "check_name": f"kdeps/{issue.kind}",
        # The same file may be to blame twice, in one place: what tells them apart is in the fingerprint.
        "fingerprint": hashlib.sha256(f"gitlab\0{issue.fingerprints[at]}".encode()).hexdigest()[:40],
        "severity": _SEVERITIES[issue.status],
        "location": {"path": printable(place.lstrip("/")) or ".", "lines": {"begin": 1}},
    }


def _module_file(report: Report, issue: Issue) -> str | None:
    """The Kbuild or Makefile of the issue's first module, if it is in the repository."""
    for part in report.inspection.parts:
        if part.name in issue.modules and part.result is not None and part.result.tree.module:
            for name in ("Kbuild", "Makefile"):
                path = os.path.join(part.result.tree.module, name)
                if os.path.exists(path):
                    return relative_to(path, report.root)
    return None
