# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The JSON contract of ``kdeps ci``: schema ``kdeps.ci/1``, in ``ci.schema.json``.

As with ``kdeps.verdict/1``: fields are added freely; one is renamed or dropped only
with a new schema number.
"""

from __future__ import annotations

from kdeps import __version__
from kdeps.ci.inspection import Part
from kdeps.report.issues import Issue, Report, module_stats, relative_to
from kdeps.report.verdict_json import Json, dump
from kdeps.survey import Survey
from kdeps.verdict import ReasonKind, Status

SCHEMA = "kdeps.ci/1"


def ci_json(report: Report) -> str:
    """Render a report as one JSON object (no newline at the end)."""
    parts = zip(report.inspection.parts, report.statuses, strict=True)
    return dump(
        {
            "schema": SCHEMA,
            "kdeps": __version__,
            "verdict": report.status.value,
            "repository": report.root,
            "roots": dict(report.roots),
            "modules": [_part(part, status) for part, status in parts],
            "issues": [_issue(report, issue) for issue in report.issues],
            "cure": list(report.cure),
        }
    )


def _part(part: Part, status: Status) -> Json:
    survey = part.survey
    rules, files, kernel = module_stats(part)
    return {
        "name": part.name,
        "verdict": status.value,
        "module": None if survey is None else survey.tree.module,
        "module_output": None if survey is None else survey.tree.module_output,
        "kernelrelease": None if survey is None else survey.tree.release,
        "built": part.built,
        "source": None if survey is None else survey.verdict.source.value,
        "error": part.error or None,
        "direct": _direct(survey, seen=True),
        "unseen": _direct(survey, seen=False),
        "pending": [] if survey is None else [state.rule.name for state in survey.verdict.pending],
        "stats": {
            "rules": rules,
            "files": files,
            "stale_kernel_artifacts": kernel,
            "elapsed_ms": 0 if survey is None else round(survey.elapsed_ms, 1),
        },
    }


def _direct(survey: Survey | None, *, seen: bool) -> list[str]:
    """Names of what is stale by itself, as Kbuild sees it or as only we do."""
    if survey is None:
        return []
    return [
        state.rule.name
        for state in (*survey.verdict.stale, *survey.verdict.pending)
        if state.direct
        and seen == any(r.kbuild and r.kind is not ReasonKind.STALE_PREREQUISITE for r in state.reasons)
    ]


def _issue(report: Report, issue: Issue) -> Json:
    return {
        "kind": issue.kind,
        "verdict": issue.status.value,
        "message": issue.message,
        "help": issue.help,
        "target": issue.target or None,
        "paths": [
            {"path": path, "in_repository": relative_to(path, report.root), "fingerprint": fingerprint}
            for path, fingerprint in zip(issue.paths, issue.fingerprints, strict=True)
        ],
        "modules": list(issue.modules),
    }
