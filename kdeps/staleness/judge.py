# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is stale, and why.

``judge`` is pure: a graph and a snapshot in, a verdict out. It asks of every
rule what make would ask, in nanoseconds and strictly, then what make does not
ask and should, then carries staleness along the edges.

Two kinds of truth stand side by side and are never mixed: a reason says whether
*Kbuild sees it* (``kbuild``). The rules with a direct reason that Kbuild sees are
what Kbuild itself would answer, neither more nor less.
"""

from __future__ import annotations

import os
from itertools import repeat
from stat import S_ISDIR

from kdeps.formats.cmdfile import RecordState, unescape
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.graph import Graph
from kdeps.kbuild.rule import Action, Owner, Problem, Rule
from kdeps.staleness.reasons import Certainty, Finding, Reason, ReasonKind, Source, Stale, Status, Verdict
from kdeps.staleness.snapshot import DANGLING, Snapshot, find_gone_source


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
    lacking: frozenset[str] = frozenset(),
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
        lacking: Files that are gone and that nothing here can make; a finding has them.
    """
    direct = [
        ()
        if prebuilt and rule.owner is Owner.KERNEL
        else tuple(
            reason
            for reason in judge_rule(
                rule,
                snapshot,
                objtree=objtree,
                version=version,
                notices_deleted=notices_deleted,
                leftovers=leftovers,
            )
            if reason.kbuild or reason.path not in lacking
        )
        for rule in graph.rules
    ]
    return conclude(graph, direct, Source.RECORD, findings, (*problems, *snapshot.problems))


def direct_reasons(verdict: Verdict) -> dict[str, tuple[Reason, ...]]:
    """Map each stale target to the reasons that are its own."""
    return {
        state.rule.target: tuple(r for r in state.reasons if r.kind is not ReasonKind.STALE_PREREQUISITE)
        for state in verdict.states.values()
    }


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
            reason.kbuild
            for reason in reasons
            if rule.action is not Action.FILECHK or reason.kind is ReasonKind.MISSING_TARGET
        }
        unsure = False
        moved = surely_moved = True in seen
        for feed in graph.feeds[at]:
            producer = states[feed.producer]
            if producer is None:
                continue
            compared = feed.path not in rule.uncompared_inputs
            visible = compared and any(reason.kbuild for reason in producer.reasons)
            reasons.append(Reason(ReasonKind.STALE_PREREQUISITE, visible, feed.path))
            replaces = (
                feed.path not in producer.rule.replaced_if_changed and rule.action is not Action.FILECHK
            )
            moves = compared and feed.producer in pending
            if replaces and producer.certainty is Certainty.CERTAIN:
                seen.add(visible)
                surely_moved = surely_moved or moves
            else:
                unsure = unsure or visible
            moved = moved or moves
        certain = True in seen or (bool(seen) and not unsure)
        if not reasons:
            continue
        unseen = any(
            not reason.kbuild and reason.kind is not ReasonKind.MISSING_PREREQUISITE for reason in direct[at]
        )
        if rule.owner is Owner.MODULE and (surely_moved if unseen else moved):
            pending.add(at)  # what modpost may write as it was cures nothing that make does not see
        states[at] = Stale(
            rule,
            tuple(reasons),
            silent=at in graph.used or (rule.owner is Owner.MODULE and at not in pending),
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


def add_findings(verdict: Verdict, findings: tuple[Finding, ...]) -> Verdict:
    """Add what was found about the build as a whole to a verdict."""
    findings = (*verdict.findings, *findings)
    return verdict._replace(status=_status(verdict.stale, findings, verdict.problems), findings=findings)


def add_problems(verdict: Verdict, problems: tuple[Problem, ...]) -> Verdict:
    """Add what could not be read to a verdict."""
    problems = (*verdict.problems, *problems)
    return verdict._replace(status=_status(verdict.stale, verdict.findings, problems), problems=problems)


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
            or any(path in stamps for path in rule.optional_prerequisites)
            or any(reason.kbuild for reason in judge_record(rule, 0, version))
        )
        return [Reason(ReasonKind.MISSING_TARGET, seen, rule.target)]
    if rule.action is Action.FILECHK:
        # Its step runs each time and mends it; until then a module is built with what is there.
        is_empty = rule.target in snapshot.empty
        detail = "it is empty"
        return (
            [Reason(ReasonKind.MISSING_OUTPUT, False, rule.target, target, target, detail)]
            if is_empty
            else []
        )
    gone = find_gone_source(rule, snapshot)
    if gone:
        other = snapshot.instead.get(gone)
        if other:
            words = ((other,), (gone,))
            return [Reason(ReasonKind.COMMAND_CHANGED, True, rule.target, target, target, "", *words)]
        # The pattern rule no longer matches, so make has no recipe for the target
        # and uses it as it is: kbuild-facts, "module root nova_core.rs deleted".
        return [Reason(ReasonKind.MISSING_PREREQUISITE, False, gone, None, target)]
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
            elif mtime > target and not (
                rule.state is RecordState.COMMAND_ONLY and _is_folder(path, snapshot)
            ):
                reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, True, path, mtime, target))
    for path in rule.optional_prerequisites:
        mtime = stamps.get(path)
        if mtime is not None and mtime > target:
            reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, True, path, mtime, target))
    if (
        rule.owner is Owner.MODULE
        and rule.name == "Module.symvers"
        and rule.state is RecordState.COMMAND_ONLY
    ):
        reasons += _judge_symvers(rule, f"{objtree}/Module.symvers", stamps, target)
    reasons += _judge_place(rule, objtree, target)
    reasons += _judge_config(rule, snapshot, target, objtree, sees_missing=sees_missing)
    reasons += _judge_unseen(rule, snapshot, target, leftovers)
    return reasons


def judge_record(rule: Rule, target: int, version: tuple[int, int]) -> list[Reason]:
    """What the state of its record means for a rule whose target exists; empty where it is whole."""
    if rule.action is not Action.IF_CHANGED or rule.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY):
        return []
    sees_command = makefile_rules.sees_command(rule.name, version)
    if rule.state is None:
        detail = rule.record_problem or "its .cmd file is gone"
        return [Reason(ReasonKind.MISSING_RECORD, sees_command, rule.target, None, target, detail)]
    record = rule.record or rule.target
    if rule.state is RecordState.BROKEN:
        return [Reason(ReasonKind.MISSING_RECORD, False, record, None, target, rule.record_problem)]
    # To cmd-check the recorded command is a pattern: cut off behind its first %, it matches any ending.
    matches_any = "%" in rule.command and rule.command.index("%") == len(rule.command) - 1
    seen = sees_command and rule.state in (RecordState.EMPTY, RecordState.CUT_COMMAND) and not matches_any
    return [Reason(ReasonKind.INTERRUPTED, seen, record, None, target, rule.record_problem)]


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


def _judge_place(rule: Rule, objtree: str, target: int) -> list[Reason]:
    """The commands of rustc name the object tree, so they change where a tree is copied or moved.

    Source: linux ``rust/Makefile`` and ``scripts/Makefile.build``, ``OBJTREE=$(abspath $(objtree))``.
    """
    _, named, rest = rule.command.partition("OBJTREE=/")
    place = "/" + unescape(rest.partition(" ")[0])
    if not named or place == objtree or os.path.realpath(place) == objtree:
        return []
    words = ((f"OBJTREE={objtree}",), (f"OBJTREE={place}",))
    return [Reason(ReasonKind.COMMAND_CHANGED, True, rule.target, target, target, "", *words)]


def _judge_config(
    rule: Rule, snapshot: Snapshot, target: int, objtree: str, *, sees_missing: bool
) -> list[Reason]:
    """Compare the stamp files of configuration symbols, where make looks and where it should."""
    if not rule.config:
        return []
    looked = snapshot.config.get(rule.config_dir, {})
    if not sees_missing:
        # Then a stamp that is a link to nowhere is as good as none: the value of its symbol is in auto.conf.
        looked = {name: mtime for name, mtime in looked.items() if mtime != DANGLING}
    if max(map(looked.get, rule.config, repeat(0))) <= target and rule.config_dir == objtree:
        return []
    reasons: list[Reason] = []
    for name, mtime in _newer_stamps(rule, looked, target):
        path = f"{rule.config_dir}/include/config/{name}"
        if mtime == DANGLING:
            reasons.append(Reason(ReasonKind.MISSING_PREREQUISITE, True, path, None, target))
        else:
            reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, True, path, mtime, target))
    if rule.config_dir == objtree:
        return reasons
    for name, mtime in _newer_stamps(rule, snapshot.config.get(objtree, {}), target):
        if mtime == DANGLING and not sees_missing:
            continue
        path = f"{objtree}/include/config/{name}"
        known = None if mtime == DANGLING else mtime
        reasons.append(Reason(ReasonKind.CONFIG_NOT_FOLLOWED, False, path, known, target))
    return reasons


def _newer_stamps(rule: Rule, stamps: dict[str, int], target: int) -> list[tuple[str, int]]:
    """The configuration symbols of a rule whose stamp files are newer than its target, or links to nowhere."""
    named = ((name, stamps.get(name)) for name in dict.fromkeys(rule.config))
    return [(name, mtime) for name, mtime in named if mtime is not None and mtime > target]


def _judge_unseen(rule: Rule, snapshot: Snapshot, target: int, leftovers: frozenset[str]) -> list[Reason]:
    """What make does not look at: side outputs, left-over ``.d`` files, inputs that only the command names."""
    reasons: list[Reason] = []
    stamps = snapshot.mtime_ns
    if rule.target in snapshot.empty:
        detail = "it is damaged or cut off" if rule.target in snapshot.damaged else "it is empty"
        reasons.append(Reason(ReasonKind.MISSING_OUTPUT, False, rule.target, target, target, detail))
    for output in rule.outputs[1:]:
        mtime = stamps.get(output)
        if output in snapshot.unreadable:
            continue
        if mtime is None or output in snapshot.empty:
            detail = "it is gone" if mtime is None else "it is empty"
            if output in snapshot.damaged:
                detail = "it is damaged or cut off"
            reasons.append(Reason(ReasonKind.MISSING_OUTPUT, False, output, mtime, target, detail))
        elif mtime > target and output not in rule.replaced_if_changed:
            detail = "this part of it is newer than the object"
            reasons.append(Reason(ReasonKind.INTERRUPTED, False, output, mtime, target, detail))
        elif output.endswith(".rmeta"):
            # rustc has read everything by then: such an edit, or a touched object, is one that make never sees.
            between = [(stamps.get(path, 0), path) for path in rule.prerequisites if path != rule.target]
            newest, path = max(between, default=(0, ""))
            if mtime < newest <= target:
                reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, False, path, newest, mtime))
    if rule.depfile in leftovers and rule.depfile is not None and rule.record is not None:
        left, record = stamps.get(rule.depfile), stamps.get(rule.record)
        if left is not None and record is not None and left > record:
            detail = "its .d file is still there, newer than its record"
            reasons.append(Reason(ReasonKind.INTERRUPTED, False, rule.depfile, left, target, detail))
    for path in rule.uncompared_inputs:
        mtime = stamps.get(path)
        if path in snapshot.unreadable:
            continue
        if mtime is None:
            reasons.append(Reason(ReasonKind.MISSING_PREREQUISITE, False, path, None, target))
        elif mtime > target and not _is_folder(path, snapshot):
            reasons.append(Reason(ReasonKind.NEWER_PREREQUISITE, False, path, mtime, target))
    return reasons


def _is_folder(path: str, snapshot: Snapshot) -> bool:
    """Whether a folder is at a path: its time is that of its list of names, which nothing is made of."""
    return path in snapshot.stats and S_ISDIR(snapshot.stats[path].st_mode)
