# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 4: what is stale, and why.

``judge`` is pure: a graph and a snapshot in, a verdict out. It asks of every
rule what make would ask, in nanoseconds and strictly, then what make does not
ask and should, then carries staleness along the edges.

Two kinds of truth stand side by side and are never mixed: a reason says whether
*Kbuild sees it* (``kbuild``). The rules with a direct reason that Kbuild sees are
what Kbuild itself would answer, neither more nor less.
"""

from __future__ import annotations

from enum import Enum
from itertools import repeat
from typing import NamedTuple

from kdeps import edges
from kdeps.formats.cmdfile import RecordState
from kdeps.graph import Graph
from kdeps.rules import Action, Problem, Rule, Scope
from kdeps.stamps import Snapshot


class ReasonKind(str, Enum):
    """Why a rule is stale, or what is wrong with the build as a whole. JSON carries these values.

    Kbuild's own come first, in the order its ``why`` asks (``scripts/Kbuild.include``).
    """

    MISSING_TARGET = "missing-target"
    NEWER_PREREQUISITE = "newer-prerequisite"
    MISSING_PREREQUISITE = "missing-prerequisite"
    MISSING_RECORD = "missing-record"
    COMMAND_CHANGED = "command-changed"
    STALE_PREREQUISITE = "stale-prerequisite"
    MISSING_OUTPUT = "missing-output"
    INTERRUPTED = "interrupted"
    CONTENT_CHANGED = "content-changed"
    """By a ledger only (``kdeps ci --against``): make sees nothing, for the file is no newer."""
    CONFIG_NOT_SYNCED = "config-not-synced"
    CONFIG_NOT_FOLLOWED = "config-not-followed"
    TOOLCHAIN_CHANGED = "toolchain-changed"
    NO_OBJECTS = "no-objects"
    OLD_KERNEL = "old-kernel"
    OLD_SYMVERS = "old-symvers"
    MISSING_SYMVERS = "missing-symvers"


class Certainty(str, Enum):
    """Whether Kbuild, once started, is bound to run the rule."""

    CERTAIN = "certain"
    POSSIBLE = "possible"
    """A step between replaces its output only when the content differs."""


class Reason(NamedTuple):
    """One ground for calling a rule stale, with its evidence."""

    kind: ReasonKind
    kbuild: bool
    """Whether Kbuild sees it, when it is asked to make the target."""
    path: str
    """The file that makes the difference; the target itself where that is missing."""
    mtime_ns: int | None = None
    target_mtime_ns: int | None = None
    detail: str = ""
    """For people: what is wrong with a record."""
    added: tuple[str, ...] = ()
    """``command-changed``: words of the command now that the recorded one does not have."""
    removed: tuple[str, ...] = ()
    """``command-changed``: words of the recorded command that are gone."""


class Stale(NamedTuple):
    """A rule that is stale, with all its reasons."""

    rule: Rule
    reasons: tuple[Reason, ...]
    """Direct ones first; never empty."""
    silent: bool
    """``make M=…`` would use what it made, without a word."""
    certainty: Certainty

    @property
    def direct(self) -> bool:
        """Stale by itself, not only through what feeds it."""
        return any(reason.kind is not ReasonKind.STALE_PREREQUISITE for reason in self.reasons)


class Cure(Enum):
    """What helps against a finding."""

    REFRESH = "refresh"
    """The usual refresh: Kbuild brings its own artifacts up to date."""
    CONFIGURE = "configure"
    """A refresh after new symbols got their defaults; syncconfig would ask about them on the terminal."""
    SYNC = "sync"
    """A refresh that begins with syncconfig, for Kbuild does not notice by itself."""
    BY_HAND = "by hand"
    """Only a person can; a refresh would fail, or do what nobody asked for."""


class Finding(NamedTuple):
    """A reason that concerns the build as a whole, not one rule."""

    kind: ReasonKind
    path: str
    message: str
    """One line: what is wrong."""
    help: str
    """What to do, a command where there is one; empty where the usual refresh cures it."""
    status: Status
    """What the verdict is if nothing else is wrong."""
    cure: Cure = Cure.REFRESH
    remove: tuple[str, ...] = ()
    """Files that have to go first, so that make sees that it must make them again."""


class Status(str, Enum):
    """The answer. Exit status 0, 1 and 2."""

    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


class Source(str, Enum):
    """Who gave the answer."""

    RECORD = "record"
    KBUILD = "kbuild"


class Verdict(NamedTuple):
    """What kdeps says of one build."""

    status: Status
    source: Source
    stale: tuple[Stale, ...]
    """What ``make M=…`` will not rebuild, in topological order."""
    pending: tuple[Stale, ...]
    """What ``make M=…`` will itself rebuild, in topological order."""
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]


def judge(
    graph: Graph,
    snapshot: Snapshot,
    *,
    objtree: str,
    version: tuple[int, int],
    prebuilt: bool = False,
    notices_deleted: bool = True,
    leftovers: frozenset[str] = frozenset(),
    findings: tuple[Finding, ...] = (),
    problems: tuple[Problem, ...] = (),
) -> Verdict:
    """Judge every rule of a graph.

    Args:
        graph: The build.
        snapshot: Every file's stamp, taken after the records were read.
        objtree: For the configuration that a module's records look for in the wrong place.
        version: Of the kernel: some of Kbuild's blind spots came with one.
        prebuilt: Installed headers; their sources were never there and nothing of them is judged by time.
        notices_deleted: Whether this Kbuild, with this make, sees that a prerequisite is gone.
        leftovers: ``.d`` files beside the records.
        findings: What was found about the build as a whole.
        problems: What could not be read, besides the snapshot's own.
    """
    direct = [
        ()
        if prebuilt and rule.scope is Scope.KERNEL
        else tuple(
            judge_rule(
                rule,
                snapshot,
                objtree=objtree,
                version=version,
                notices_deleted=notices_deleted,
                leftovers=leftovers,
            )
        )
        for rule in graph.rules
    ]
    return conclude(graph, direct, Source.RECORD, findings, (*problems, *snapshot.problems))


def conclude(
    graph: Graph,
    direct: list[tuple[Reason, ...]],
    source: Source,
    findings: tuple[Finding, ...],
    problems: tuple[Problem, ...],
) -> Verdict:
    """Carry direct staleness along the edges, and say what is silent.

    Args:
        graph: The build.
        direct: For each rule, by position, its direct reasons.
        source: Who gave the direct reasons.
        findings: About the build as a whole.
        problems: What could not be read.
    """
    states: list[Stale | None] = [None] * len(graph.rules)
    pending: set[int] = set()
    for at in graph.order:
        rule = graph.rules[at]
        reasons = list(direct[at])
        # What Kbuild sees decides how sure it is to run the rule; without any of that,
        # what only we see decides whether it is stale.
        seen = {
            reason.kbuild for reason in reasons if rule.action is not Action.FILECHK or _is_missing(reason)
        }
        unsure = False
        moved = True in seen
        for feed in graph.feeds[at]:
            producer = states[feed.producer]
            if producer is None:
                continue
            visible = any(reason.kbuild for reason in producer.reasons)
            reasons.append(Reason(ReasonKind.STALE_PREREQUISITE, visible, feed.path))
            replaces = (
                feed.path not in producer.rule.replaced_if_changed and rule.action is not Action.FILECHK
            )
            if replaces and producer.certainty is Certainty.CERTAIN:
                seen.add(visible)
            else:
                unsure = unsure or visible
            moved = moved or feed.producer in pending
        certain = True in seen or (bool(seen) and not unsure)
        if not reasons:
            continue
        if rule.scope is Scope.MODULE and moved:
            pending.add(at)
        states[at] = Stale(
            rule,
            tuple(reasons),
            silent=at in graph.used or (rule.scope is Scope.MODULE and at not in pending),
            certainty=Certainty.CERTAIN if certain else Certainty.POSSIBLE,
        )
    found = [(at, state) for at in graph.order if (state := states[at]) is not None]
    stale = tuple(state for at, state in found if at not in pending)
    everything = (*problems, *(_cycle(graph.rules[at]) for at in graph.cycles))
    return Verdict(
        _status(stale, findings, everything),
        source,
        stale,
        tuple(state for at, state in found if at in pending),
        findings,
        everything,
    )


def _is_missing(reason: Reason) -> bool:
    return reason.kind is ReasonKind.MISSING_TARGET


def _status(stale: tuple[Stale, ...], findings: tuple[Finding, ...], problems: tuple[Problem, ...]) -> Status:
    """Stale wins over unknown: what is known to be wrong is worth more than what is not known."""
    if any(state.silent for state in stale) or any(f.status is Status.STALE for f in findings):
        return Status.STALE
    if problems or any(f.status is Status.UNKNOWN for f in findings):
        return Status.UNKNOWN
    return Status.FRESH


def _cycle(rule: Rule) -> Problem:
    return Problem(
        rule.record or rule.target,
        "this record makes its target depend on itself; delete it and rebuild",
        remove=rule.record is not None,
    )


def judge_rule(
    rule: Rule,
    snapshot: Snapshot,
    *,
    objtree: str,
    version: tuple[int, int],
    notices_deleted: bool = True,
    leftovers: frozenset[str] = frozenset(),
) -> list[Reason]:
    """Find every direct reason for one rule; Kbuild's own first."""
    stamps = snapshot.mtime_ns
    target = stamps.get(rule.target)
    unreadable = snapshot.unreadable
    if rule.target in unreadable:
        return []
    if target is None:
        # Kbuild reads the record of a target that $(wildcard) lists, and a link to nowhere
        # is listed; with the same command and nothing to compare it sees nothing to do.
        seen = (
            rule.target not in snapshot.dangling
            or bool(rule.prerequisites)
            or any(path in stamps for path in rule.optional)
            or any(reason.kbuild for reason in judge_record(rule, 0, version))
        )
        return [Reason(ReasonKind.MISSING_TARGET, seen, rule.target)]
    if rule.action is Action.FILECHK:
        return []
    if (
        rule.source is not None
        and rule.source in rule.optional
        and rule.source not in stamps
        and rule.source not in unreadable
    ):
        # The pattern rule no longer matches, so make has no recipe for the target
        # and uses it as it is: kbuild-facts, "module root nova_core.rs deleted".
        return [Reason(ReasonKind.MISSING_PREREQUISITE, False, rule.source, None, target)]
    reasons = list(judge_record(rule, target, version))
    # tools/build looks for deleted files with $(wildcard), so it needs no help from make.
    sees_missing = notices_deleted or rule.name.startswith("tools/")
    # All at once first: of a thousand prerequisites mostly none is missing or newer.
    times = list(map(stamps.get, rule.prerequisites))
    if None in times or (times and max(times) > target):  # type: ignore[type-var, operator]
        for path, mtime in zip(rule.prerequisites, times, strict=True):
            if mtime is None:
                if path not in unreadable:
                    reasons.append(Reason(ReasonKind.MISSING_PREREQUISITE, sees_missing, path, None, target))
            elif mtime > target:
                reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, True, path, mtime, target))
    for path in rule.optional:
        mtime = stamps.get(path)
        if mtime is not None and mtime > target:
            reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, True, path, mtime, target))
    if (
        rule.scope is Scope.MODULE
        and rule.name == "Module.symvers"
        and rule.state is RecordState.COMMAND_ONLY
    ):
        reasons += _judge_symvers(rule, f"{objtree}/Module.symvers", stamps, target)
    reasons += _judge_config(rule, snapshot, target, objtree)
    reasons += _judge_unseen(rule, snapshot, target, leftovers)
    return reasons


def judge_record(rule: Rule, target: int, version: tuple[int, int]) -> list[Reason]:
    """What the state of its record means for a rule whose target exists; empty where it is whole."""
    if rule.action is not Action.IF_CHANGED or rule.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY):
        return []
    blind_since = edges.COMMAND_BLIND.get(rule.name)
    sees_command = blind_since is None or version < blind_since
    if rule.state is None:
        detail = rule.where or "its .cmd file is gone"
        return [Reason(ReasonKind.MISSING_RECORD, sees_command, rule.target, None, target, detail)]
    record = rule.record or rule.target
    if rule.state is RecordState.BROKEN:
        return [Reason(ReasonKind.MISSING_RECORD, False, record, None, target, rule.where)]
    # To cmd-check the recorded command is a pattern: cut off behind its first %, it matches any ending.
    matches_any = "%" in rule.command and rule.command.index("%") == len(rule.command) - 1
    seen = sees_command and rule.state in (RecordState.EMPTY, RecordState.CUT_COMMAND) and not matches_any
    return [Reason(ReasonKind.INTERRUPTED, seen, record, None, target, rule.where)]


def _judge_symvers(rule: Rule, symvers: str, stamps: dict[str, int], target: int) -> list[Reason]:
    """The kernel's Module.symvers is passed to modpost while it exists, so its coming and going changes the command."""
    named = (
        f"-i {symvers}" in rule.command or "-i Module.symvers" in rule.command
    )  # 6.12 stands in the object tree
    if (symvers in stamps) == named:
        return []
    words = ("-i", symvers)
    if symvers in stamps:
        return [Reason(ReasonKind.COMMAND_CHANGED, True, rule.target, target, target, "", words, ())]
    return [Reason(ReasonKind.COMMAND_CHANGED, True, rule.target, target, target, "", (), words)]


def _judge_config(rule: Rule, snapshot: Snapshot, target: int, objtree: str) -> list[Reason]:
    """Compare the stamp files of configuration symbols, where make looks and where it should."""
    reasons: list[Reason] = []
    if not rule.config:
        return reasons
    looked = snapshot.config.get(rule.config_dir, {})
    if max(map(looked.get, rule.config, repeat(0))) <= target and rule.config_dir == objtree:
        return reasons
    for name in dict.fromkeys(rule.config):
        mtime = looked.get(name)
        if mtime is not None and mtime > target:
            path = f"{rule.config_dir}/include/config/{name}"
            reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, True, path, mtime, target))
    if rule.config_dir == objtree:
        return reasons
    actual = snapshot.config.get(objtree, {})
    for name in dict.fromkeys(rule.config):
        mtime = actual.get(name)
        if mtime is not None and mtime > target:
            path = f"{objtree}/include/config/{name}"
            reasons.append(Reason(ReasonKind.CONFIG_NOT_FOLLOWED, False, path, mtime, target))
    return reasons


def _judge_unseen(rule: Rule, snapshot: Snapshot, target: int, leftovers: frozenset[str]) -> list[Reason]:
    """What make does not look at: side outputs, left-over ``.d`` files, inputs that only the command names."""
    reasons: list[Reason] = []
    stamps = snapshot.mtime_ns
    if rule.target in snapshot.empty:
        reasons.append(Reason(ReasonKind.MISSING_OUTPUT, False, rule.target, target, target, "it is empty"))
    for output in rule.outputs[1:]:
        mtime = stamps.get(output)
        if output in snapshot.unreadable:
            continue
        if mtime is None or output in snapshot.empty:
            detail = "it is gone" if mtime is None else "it is empty"
            reasons.append(Reason(ReasonKind.MISSING_OUTPUT, False, output, mtime, target, detail))
        elif mtime > target and output not in rule.replaced_if_changed:
            detail = "this part of it is newer than the object"
            reasons.append(Reason(ReasonKind.INTERRUPTED, False, output, mtime, target, detail))
    if rule.depfile in leftovers and rule.depfile is not None and rule.record is not None:
        left, record = stamps.get(rule.depfile), stamps.get(rule.record)
        if left is not None and record is not None and left > record:
            detail = "its .d file is still there, newer than its record"
            reasons.append(Reason(ReasonKind.INTERRUPTED, False, rule.depfile, left, target, detail))
    for path in rule.unseen:
        mtime = stamps.get(path)
        if path in snapshot.unreadable:
            continue
        if mtime is None:
            reasons.append(Reason(ReasonKind.MISSING_PREREQUISITE, False, path, None, target))
        elif mtime > target:
            reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, False, path, mtime, target))
    return reasons
