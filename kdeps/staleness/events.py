# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Root causes that came about together: a pull, ``make clean``, a folder that was moved.

A person wants to hear of one event once. JSON and every report for machines keep
the single causes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum

from kdeps import NamedTuple
from kdeps.kbuild.tree import Tree, find_moved
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, ReasonKind, Remedy, Status
from kdeps.staleness.root_causes import RootCause, find_root_causes, is_config_stamp
from kdeps.staleness.snapshot import find_mtime_ns

MIN_CAUSES = 3
"""So many causes make an event; fewer are listed one by one, each with its chain."""
_GAP_NS = 10_000_000_000
"""An unpacker or git never pauses longer than this between two files that the build reads."""
_MADE = (".o", ".rmeta", ".so", ".rlib")
_ABSENT = (ReasonKind.MISSING_TARGET, ReasonKind.MISSING_OUTPUT, ReasonKind.MISSING_RECORD)


class EventKind(Enum):
    """What happened, as far as files show it."""

    ALONE = "alone"
    """One cause, as it is."""
    EDITED = "edited"
    """Sources that got new times one after the other: a pull, a checkout, an archive."""
    ABSENT = "absent"
    """What a build makes is missing: a clean, or no build yet."""
    FOLDER_GONE = "folder gone"
    """Everything that was read in one folder is gone with it: a move."""
    TOOLCHAIN = "toolchain"
    """Other compilers, and their libraries with them."""
    ALIKE = "alike"
    """Several of one kind, such as compiles that Ctrl-C ended."""


class Event(NamedTuple):
    """What a person reads as one message."""

    kind: EventKind
    causes: tuple[RootCause, ...]
    """Those that reach most first; may be empty if there are findings."""
    findings: tuple[Finding, ...] = ()
    folder: str = ""
    """``FOLDER_GONE``: the topmost folder that does not exist."""
    moved_to: str = ""
    """``FOLDER_GONE``: the tree that now has these files; empty if none has."""

    @property
    def cause(self) -> RootCause | None:
        """All causes as one, or None if there are only findings."""
        if len(self.causes) < 2:
            return self.causes[0] if self.causes else None
        latest = max(self.causes, key=lambda cause: cause.reason.mtime_ns or 0)
        direct = {state.rule.target: state for cause in self.causes for state in cause.direct}
        return RootCause(
            latest.reason if self.kind is EventKind.EDITED else self.causes[0].reason,
            tuple(dict.fromkeys(path for cause in self.causes for path in cause.paths)),
            tuple(direct.values()),
            frozenset().union(*(cause.reached for cause in self.causes)),
        )


def find_events(result: CheckResult) -> tuple[list[Finding], list[Event]]:
    """Group what is wrong by event: findings that belong to none, and the events, the one that reaches most first."""
    return group_events(result.verdict.findings, find_root_causes(result), result.tree)


def group_events(
    findings: Iterable[Finding], causes: list[RootCause], tree: Tree
) -> tuple[list[Finding], list[Event]]:
    """Group findings and causes of one tree; see ``find_events``."""
    left = list(findings)
    place = {id(cause): at for at, cause in enumerate(causes)}
    events: list[Event] = []
    for event in (
        *_toolchain(left, causes, tree),
        *_absent(left, causes, tree),
        *_gone_folders(left, causes, tree),
    ):
        events.append(event)
        left = [finding for finding in left if finding not in event.findings]
        causes = [cause for cause in causes if cause not in event.causes]
    for kind in dict.fromkeys(cause.reason.kind for cause in causes):
        alike = [cause for cause in causes if cause.reason.kind is kind]
        edited = kind is ReasonKind.NEWER_PREREQUISITE
        for group in _cluster(alike) if edited else [alike]:
            if len(group) >= MIN_CAUSES:
                event = Event(EventKind.EDITED if edited else EventKind.ALIKE, tuple(group))
                event = event._replace(findings=_find_kconfig(left, group) if edited else ())
                left = [finding for finding in left if finding not in event.findings]
                events.append(event)
            else:
                events += [Event(EventKind.ALONE, (cause,)) for cause in group]
    events.sort(key=lambda event: min((place[id(cause)] for cause in event.causes), default=-1))
    return left, events


def _toolchain(findings: list[Finding], causes: list[RootCause], tree: Tree) -> list[Event]:
    changed = tuple(
        f for f in findings if f.kind is ReasonKind.TOOLCHAIN_CHANGED and f.remedy is not Remedy.MANUAL
    )
    if not changed:
        return []
    ours = tuple(
        f"{folder}/" for folder in (tree.srctree, tree.objtree, tree.module, tree.module_output) if folder
    )
    libraries = tuple(
        cause
        for cause in causes
        if cause.reason.kind in (ReasonKind.NEWER_PREREQUISITE, ReasonKind.MISSING_PREREQUISITE)
        and not cause.reason.path.startswith(ours)
    )
    return [Event(EventKind.TOOLCHAIN, libraries, changed)] if len(changed) + len(libraries) > 1 else []


def _absent(findings: list[Finding], causes: list[RootCause], tree: Tree) -> list[Event]:
    def is_absent(kind: ReasonKind, path: str) -> bool:
        made = path.startswith(f"{tree.objtree}/") and path.endswith(_MADE)
        return kind in _ABSENT or (kind is ReasonKind.MISSING_PREREQUISITE and made)

    if tree.prebuilt:
        return []
    never = tuple(f for f in findings if f.status is not Status.FRESH and is_absent(f.kind, f.path))
    absent = tuple(cause for cause in causes if is_absent(cause.reason.kind, cause.reason.path))
    if not absent and all(f.status is Status.UNKNOWN for f in never):
        return []
    number = len(absent) + sum(
        2 if f.status is Status.UNKNOWN else 1 for f in never
    )  # that has several files
    return [Event(EventKind.ABSENT, absent, never)] if number >= MIN_CAUSES else []


def _find_kconfig(findings: list[Finding], edited: list[RootCause]) -> tuple[Finding, ...]:
    """Findings about Kconfig files that got their times in the same event."""
    times = [cause.reason.mtime_ns or 0 for cause in edited]
    first, last = min(times) - _GAP_NS, max(times) + _GAP_NS
    return tuple(
        finding
        for finding in findings
        if finding.kind is ReasonKind.CONFIG_NOT_SYNCED
        and os.path.basename(finding.path).startswith("Kconfig")
        and first <= (find_mtime_ns(finding.path) or 0) <= last
    )


def _gone_folders(findings: list[Finding], causes: list[RootCause], tree: Tree) -> list[Event]:
    groups: dict[str, list[RootCause]] = {}
    for cause in causes:
        if cause.reason.kind is ReasonKind.MISSING_PREREQUISITE:
            folder = _topmost_gone(cause.reason.path)
            if folder:
                groups.setdefault(folder, []).append(cause)
    for cause in causes:
        # The commands of rustc name the object tree.
        place = next((w[8:] for w in cause.reason.removed if w.startswith("OBJTREE=")), "")
        for folder, group in groups.items() if place else ():
            if f"{place}/".startswith(f"{folder}/"):
                group.append(cause)
    return [_gone_folder(folder, group, findings, tree) for folder, group in groups.items() if len(group) > 1]


def _gone_folder(folder: str, group: list[RootCause], findings: list[Finding], tree: Tree) -> Event:
    moved_to = find_moved([path for cause in group for path in cause.paths], tree)
    same = tuple(
        finding
        for finding in findings
        if (finding.kind is ReasonKind.MISSING_PREREQUISITE and finding.path.startswith(f"{folder}/"))
        # The synced configuration names the source tree, and its other variables do not move.
        or (moved_to and finding.path.endswith("/auto.conf") and finding.remedy is Remedy.REFRESH)
    )
    return Event(EventKind.FOLDER_GONE, tuple(group), same, folder, moved_to)


def _topmost_gone(path: str) -> str:
    """The topmost folder above a path that does not exist, or "" if the path's own folder exists."""
    gone = ""
    folder = os.path.dirname(path)
    while len(folder) > 1 and not os.path.lexists(folder):
        gone, folder = folder, os.path.dirname(folder)
    return gone


def _cluster(causes: list[RootCause]) -> list[list[RootCause]]:
    """Part causes where more time lies between two edits; stamps of symbols are written by make and stay alone."""
    groups: list[list[RootCause]] = []
    last = 0
    for cause in sorted(causes, key=lambda cause: cause.reason.mtime_ns or 0):
        mtime_ns = cause.reason.mtime_ns or 0
        if groups and mtime_ns - last <= _GAP_NS and not is_config_stamp(cause.reason.path):
            groups[-1].append(cause)
        else:
            groups.append([cause])
        last = mtime_ns if not is_config_stamp(cause.reason.path) else 0
    order = {id(cause): at for at, cause in enumerate(causes)}
    return [sorted(group, key=lambda cause: order[id(cause)]) for group in groups]
