# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""SARIF 2.1.0: what code scanning reads.

One result for each file to blame. Paths are relative to the repository where they lie
in it (``%SRCROOT%``), else to the source or the object tree, which are named as roots
of their own; nothing outside is given a place it does not have. The fingerprint is that of the
issue, so that a result is recognised in the next run. The words of a rule are those of its page of
`kdeps explain`; its address is that page where kdeps is installed.

Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from kdeps import __version__
from kdeps.report.explain_page import page_of
from kdeps.report.issues import KINDS, NOT_JUDGED, UNREADABLE, Issue, Report, relative_to
from kdeps.report.verdict_json import Json, dump
from kdeps.staleness.reasons import Status
from kdeps.system.text import printable

if TYPE_CHECKING:
    from kdeps.artifacts.failure import Measured
    from kdeps.artifacts.stack_frames import StackFrame

SCHEMA = "https://json.schemastore.org/sarif-2.1.0-rtm.5.json"
FINGERPRINT = "kdeps/v1"
LARGE_FRAME = "large-frame"
_LEVELS = {Status.STALE: "error", Status.UNKNOWN: "error", Status.FRESH: "note"}
_REPOSITORY = "%SRCROOT%"


class Place(NamedTuple):
    """Where a viewer can find files."""

    repository: str
    roots: dict[str, str]
    """Name → absolute path, as in `Report.roots`."""


def sarif(report: Report) -> str:
    """Render a report as one SARIF log with one run."""
    place = Place(report.root, report.roots)
    results = [
        _result(place, issue, at)
        for issue in report.issues
        if issue.kind not in (NOT_JUDGED, UNREADABLE)
        for at in range(len(issue.paths))
    ]
    failures: list[Json] = [
        {
            "level": "error",
            "message": {"text": issue.message},
            "associatedRule": {"id": issue.kind, "index": KINDS.index(issue.kind)},
            "locations": [_location(place, issue.location)],
        }
        for issue in report.issues
        if issue.kind in (NOT_JUDGED, UNREADABLE)
    ]
    return _log(
        place, KINDS, results, failures, report.status, {"cure": [*map(printable, report.refresh_commands)]}
    )


def frames_sarif(measured: Measured, names: dict[str, str], place: Place) -> str:
    """Render the stack frames above the limit as one SARIF log with one run."""
    results: list[Json] = [
        {
            "ruleId": LARGE_FRAME,
            "ruleIndex": 0,
            "level": "warning",
            "message": {
                "text": f"the stack frame of {printable(names.get(frame.function, frame.function))} has {frame.size} bytes,"
                f" above CONFIG_FRAME_WARN={measured.limit}"
            },
            "locations": [_location(place, frame.file or frame.path, frame.line or 1)],
            "partialFingerprints": {FINGERPRINT: _fingerprint(frame)},
            "properties": {"size": frame.size, "symbol": frame.function},
        }
        for frame in measured.too_large
    ]
    failures: list[Json] = [
        {"level": "error", "message": {"text": printable(problem)}} for problem in measured.problems
    ]
    status = Status.UNKNOWN if failures else Status.STALE if results else Status.FRESH
    return _log(place, (LARGE_FRAME,), results, failures, status, {"limit": measured.limit})


def _fingerprint(frame: StackFrame) -> str:
    text = f"{LARGE_FRAME}\0{os.path.basename(frame.path)}\0{frame.function}"
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:40]


def _log(
    place: Place, kinds: tuple[str, ...], results: list[Json], failures: list[Json], status: Status, properties: Json
) -> str:  # fmt: skip
    """Write one run: results with the kinds of their rules in the order of `ruleIndex`, and what could not be judged."""
    driver = {"name": "kdeps", "semanticVersion": __version__, "rules": [_rule(kind) for kind in kinds]}
    invocation = {
        "executionSuccessful": not failures,
        "exitCode": {Status.FRESH: 0, Status.STALE: 1, Status.UNKNOWN: 2}[status],
        "toolExecutionNotifications": failures,
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "originalUriBaseIds": _bases(place),
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"verdict": status.value, **properties},
    }
    return dump({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(kind: str) -> Json:
    page = page_of(kind)
    return {
        "id": kind,
        "name": "".join(word.capitalize() for word in kind.split("-")),
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": page.description},
        "help": {"text": page.text, "markdown": page.markdown},
        "helpUri": page.uri,
    }


def _result(place: Place, issue: Issue, at: int) -> Json:
    # The place of an issue is that of its first file; each further one has its own.
    location = issue.location if at == 0 else issue.paths[at]
    message = issue.message if at == 0 else f"{issue.message} ({printable(issue.paths[at])} is another one)"
    if issue.help:
        message += f"; {issue.help}"
    return {
        "ruleId": issue.kind,
        "ruleIndex": KINDS.index(issue.kind),
        "level": _LEVELS[issue.status],
        "message": {"text": message},
        "locations": [_location(place, location)],
        "partialFingerprints": {FINGERPRINT: issue.fingerprints[at]},
        "properties": {
            "modules": [*map(printable, issue.modules)],
            "target": printable(issue.target),
            "status": issue.status.value,
        },
    }


def _location(place: Place, path: str, line: int = 1) -> Json:
    artifact: Json = {"uri": f"file://{quote(_bytes(path))}"}
    for name, root in _roots(place):
        relative = relative_to(path, root)
        if relative is not None:
            artifact = {"uri": quote(_bytes(relative)), "uriBaseId": name}
            break
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line}}}


def _roots(place: Place) -> list[tuple[str, str]]:
    """The repository first, because a viewer has it open; then the innermost."""
    others = sorted(place.roots.items(), key=lambda item: (-len(item[1]), item))
    return [(_REPOSITORY, place.repository), *((name.upper(), path) for name, path in others)]


def _bases(place: Place) -> Json:
    return {name: {"uri": f"file://{quote(_bytes(path.rstrip('/')))}/"} for name, path in _roots(place)}


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
