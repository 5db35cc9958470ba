# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One sentence for each event, whatever the number of its causes."""

from __future__ import annotations

import os

from kdeps.report.sentences import ResultText, cause_sentence, describe, finding_sentence
from kdeps.staleness.events import Event, EventKind
from kdeps.staleness.reasons import ReasonKind, Status
from kdeps.staleness.root_causes import RootCause
from kdeps.system.text import counted, list_some

_ALIKE: dict[ReasonKind, str] = {
    ReasonKind.MISSING_PREREQUISITE: "{files} are gone, and {artifacts} were built from them",
    ReasonKind.COMMAND_CHANGED: "{artifacts} would be built by other commands now: {names}",
    ReasonKind.INTERRUPTED: "the compiles of {artifacts} failed or were stopped: {names}",
    ReasonKind.CONTENT_CHANGED: "{files} differ from what {artifacts} were built from, although they are no newer",
    ReasonKind.CONFIG_NOT_FOLLOWED: "{artifacts} were built before the configuration changed: {names}",
}
_OTHERWISE = "{artifacts} are stale in the same way: {names}"


def event_sentence(writer: ResultText, event: Event) -> str:
    """Say in one sentence what happened."""
    cause = event.cause
    if event.kind is EventKind.TOOLCHAIN:
        if len(event.findings) == 1:
            return finding_sentence(writer, event.findings[0])
        return f"the toolchain changed: {len(event.findings)} compilers are not those of the last build"
    if event.kind is EventKind.ABSENT:
        paths = absent_files(event)
        shown = list_some(paths, 3, writer.path)
        if any(finding.status is Status.UNKNOWN for finding in event.findings):  # which stands for several
            shown = f"{', '.join(map(writer.path, paths[:3]))} and others"
        return f"built files are missing, as after `make clean` or before the first build: {shown}"
    assert cause is not None
    files = counted(len(cause.paths), "file")
    if event.kind is EventKind.EDITED:
        when = writer.ago(cause.reason.mtime_ns)
        return f"{files} were changed in one go, {when}, and {_artifacts(cause)} are older"
    if event.kind is EventKind.FOLDER_GONE:
        if event.moved_to:
            return f"this tree was moved: {files} that it was built from are recorded in {event.folder}, which is gone"
        return f"{event.folder} is gone, and with it {files} that {_artifacts(cause)} were built from"
    if event.kind is EventKind.ALIKE:
        names = list_some([describe(state.rule) for state in cause.direct])
        words = _ALIKE.get(cause.reason.kind, _OTHERWISE)
        return words.format(files=files, artifacts=_artifacts(cause), names=names)
    return cause_sentence(writer, cause)


def event_label(event: Event) -> str:
    """The kind that stands before the sentence: that of the first cause, as JSON has it."""
    if event.kind is EventKind.TOOLCHAIN or not event.causes:
        return event.findings[0].kind.value
    return event.causes[0].reason.kind.value


def absent_files(event: Event) -> list[str]:
    """Every file that is missing; for a record it is the record."""
    paths = [finding.path for finding in event.findings]
    for cause in event.causes:
        for path in cause.paths:
            folder, name = os.path.split(path)
            gone = cause.reason.kind is not ReasonKind.MISSING_RECORD
            paths.append(path if gone else f"{folder}/.{name}.cmd")
    return list(dict.fromkeys(paths))


def _artifacts(cause: RootCause) -> str:
    return counted(len(cause.direct), "artifact")
