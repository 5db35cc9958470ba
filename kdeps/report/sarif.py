# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""SARIF 2.1.0: what code scanning reads.

One result for each file to blame. Paths are relative to the repository where they lie
in it (``%SRCROOT%``), else to the source or the object tree, which are named as roots
of their own; nothing outside is given a place it does not have. The fingerprint is that of the
issue, so that a result is recognised in the next run.

Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

from urllib.parse import quote

from kdeps import __version__
from kdeps.report.issues import NOT_JUDGED, SUMMARIES, UNREADABLE, Issue, Report, relative_to
from kdeps.report.verdict_json import Json, dump
from kdeps.verdict import Status

SCHEMA = "https://json.schemastore.org/sarif-2.1.0-rtm.5.json"
FINGERPRINT = "kdeps/v1"
_LEVELS = {Status.STALE: "error", Status.UNKNOWN: "error", Status.FRESH: "note"}
_REPOSITORY = "%SRCROOT%"
_HELP = "Run `kdeps check` with the arguments of your make: it says which commands refresh the build."


def sarif(report: Report) -> str:
    """Render a report as one SARIF log with one run."""
    kinds = list(SUMMARIES)
    results = [
        _result(report, issue, kinds, at)
        for issue in report.issues
        if issue.kind not in (NOT_JUDGED, UNREADABLE)
        for at in range(len(issue.paths))
    ]
    failures = [issue for issue in report.issues if issue.kind in (NOT_JUDGED, UNREADABLE)]
    return dump(
        {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "kdeps",
                            "semanticVersion": __version__,
                            "rules": [
                                {
                                    "id": kind,
                                    "name": "".join(word.capitalize() for word in kind.split("-")),
                                    "shortDescription": {"text": SUMMARIES[kind]},
                                    "help": {"text": _HELP},
                                }
                                for kind in kinds
                            ],
                        }
                    },
                    "invocations": [
                        {
                            "executionSuccessful": not failures,
                            "exitCode": {Status.FRESH: 0, Status.STALE: 1, Status.UNKNOWN: 2}[report.status],
                            "toolExecutionNotifications": [
                                {
                                    "level": "error",
                                    "message": {"text": issue.message},
                                    "associatedRule": {"id": issue.kind, "index": kinds.index(issue.kind)},
                                    "locations": [_location(report, issue.location)],
                                }
                                for issue in failures
                            ],
                        }
                    ],
                    "originalUriBaseIds": _bases(report),
                    "columnKind": "unicodeCodePoints",
                    "results": results,
                    "properties": {"verdict": report.status.value, "cure": list(report.cure)},
                }
            ],
        }
    )


def _result(report: Report, issue: Issue, kinds: list[str], at: int) -> Json:
    # The place of an issue is that of its first file; each further one has its own.
    location = issue.location if at == 0 else issue.paths[at]
    message = issue.message if at == 0 else f"{issue.message} ({issue.paths[at]} is another one)"
    if issue.help:
        message += f"; {issue.help}"
    return {
        "ruleId": issue.kind,
        "ruleIndex": kinds.index(issue.kind),
        "level": _LEVELS[issue.status],
        "message": {"text": message},
        "locations": [_location(report, location)],
        "partialFingerprints": {FINGERPRINT: issue.fingerprints[at]},
        "properties": {"modules": list(issue.modules), "target": issue.target, "status": issue.status.value},
    }


def _location(report: Report, path: str) -> Json:
    artifact: Json = {"uri": f"file://{quote(_bytes(path))}"}
    for name, root in _roots(report):
        relative = relative_to(path, root)
        if relative is not None:
            artifact = {"uri": quote(_bytes(relative)), "uriBaseId": name}
            break
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 1}}}


def _roots(report: Report) -> list[tuple[str, str]]:
    """The repository first, for that is what a viewer has before it; then the innermost."""
    others = sorted(report.roots.items(), key=lambda item: (-len(item[1]), item))
    return [(_REPOSITORY, report.root), *((name.upper(), path) for name, path in others)]


def _bases(report: Report) -> Json:
    return {name: {"uri": f"file://{quote(_bytes(path.rstrip('/')))}/"} for name, path in _roots(report)}


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
