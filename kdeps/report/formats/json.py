# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The JSON contract of ``kdeps ci``: schema ``kdeps.ci/1``, in ``ci.schema.json``.

As with ``kdeps.verdict/1``: fields are added freely; one is renamed or dropped only
with a new schema number.
"""

from __future__ import annotations

from kdeps import __version__
from kdeps.report.issues import Issue, Report, module_stats, relative_to
from kdeps.report.verdict_json import Json, dump
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import ReasonKind, Status
from kdeps.staleness.scope import ScopedResult

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
            "cure": list(report.refresh_commands),
        }
    )


def _part(part: ScopedResult, status: Status) -> Json:
    result = part.result
    rules, files, kernel = module_stats(part)
    return {
        "name": part.name,
        "verdict": status.value,
        "module": None if result is None else result.tree.module,
        "module_output": None if result is None else result.tree.module_output,
        "kernelrelease": None if result is None else result.tree.release,
        "built": part.built,
        "source": None if result is None else result.verdict.source.value,
        "error": part.error or None,
        "direct": _direct(result, seen=True),
        "unseen": _direct(result, seen=False),
        "pending": [] if result is None else [state.rule.name for state in result.verdict.pending],
        "stats": {
            "rules": rules,
            "files": files,
            "stale_kernel_artifacts": kernel,
            "elapsed_ms": 0 if result is None else round(result.elapsed_ms, 1),
        },
    }


def _direct(result: CheckResult | None, *, seen: bool) -> list[str]:
    """Names of what is stale by itself, as Kbuild sees it or as only we do."""
    if result is None:
        return []
    return [
        state.rule.name
        for state in result.verdict.states.values()
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
