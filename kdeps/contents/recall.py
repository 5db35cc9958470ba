# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Judge a build by what its artifacts are remembered to be made from.

The verdict by time asks what make asks: is a prerequisite newer? While an artifact is the
one that the memory describes (its record and its outputs are the same), contents decide:

* A prerequisite is newer and has the same content: it was only touched.
* A prerequisite has another content and is no newer: the artifact is stale, and make does
  not see it (``content-changed``).

Whatever was built since, or is not in the memory, is judged by time. A step counts as
*proven* if nothing at all differs of what its outputs follow from. Only the reasons of a
step whose tools, scripts and symbols are the same are taken back.
"""

from __future__ import annotations

import os
import time

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.contents.arrivals import find_arrivals
from kdeps.contents.digest import Hasher
from kdeps.contents.inputs import (
    CONSTANTS,
    TOOLS,
    Surroundings,
    built_ns,
    command_digest,
    configuration_target,
    deciding_inputs,
)
from kdeps.contents.late import find_late, list_made, note_arrivals, note_late
from kdeps.contents.memory import DOUBT, GONE, Entry, Memory, load_memory, unpack
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.staleness.edited_makefiles import note_commands
from kdeps.staleness.judge import conclude, direct_reasons
from kdeps.staleness.reasons import Finding, Reason, ReasonKind, Remedy, Status
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.stat import stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kdeps.contents.shadows import Shadows
    from kdeps.kbuild.rule import Problem
    from kdeps.staleness.check import CheckResult

BY_TIME = (ReasonKind.NEWER_PREREQUISITE, ReasonKind.CONFIG_NOT_FOLLOWED, ReasonKind.INTERRUPTED)


class Recollection(NamedTuple):
    """What the memory says of one build."""

    result: CheckResult
    """With the verdict by content."""
    touched: tuple[str, ...]
    """Inputs that are newer than what was made from them, and the same."""
    proven: frozenset[str]
    """Targets that time calls stale, and contents prove to be up to date."""
    changed: frozenset[str]
    """Targets with an input, or an output, of another content: no time is given to these."""
    configuration_proven: bool
    """Time calls the configuration out of sync, and contents prove that it is synced."""
    memory: Memory
    listed: frozenset[str]
    """Folders whose names it went by, there or not."""
    places: tuple[str, ...]
    """Every path at which a tool was looked for."""


def recall(
    result: CheckResult, environ: dict[str, str], *, without_memory: bool = False
) -> Recollection | None:
    """Judge by content, after the verdict by time.

    Where nothing is remembered of this object tree it returns None, or without memory answers as the times do.
    """
    memory = load_memory(result.tree.objtree, environ, whole=result.rules.whole) or Memory()
    if result.tree.prebuilt or not (memory.entries or without_memory):
        return None
    return _Recall(result, environ, memory).judge()


def is_synced(findings: Iterable[Finding]) -> bool:
    """Whether make would leave the configuration as it is."""
    return all(finding.kind is not ReasonKind.CONFIG_NOT_SYNCED for finding in findings)


class ContentVerdict(NamedTuple):
    """The verdict by content that users see."""

    result: CheckResult
    """With notes on files that came late, and on edited Makefiles."""
    recalled: Recollection | None
    late: dict[str, Rule]
    """What came late: path → a step that was made without it."""
    listed: frozenset[str]
    """Folders whose names it goes by, there or not."""


def judge_contents(result: CheckResult, environ: dict[str, str]) -> ContentVerdict:
    """Let contents decide where they are known."""
    recalled = recall(result, environ)
    by_content = result if recalled is None else recalled.result
    known = recalled.memory.entries if recalled is not None else {}

    def is_known(rule: Rule) -> bool:
        entry = known.get(rule.target)
        return entry is not None and entry.built_ns == built_ns(rule, result.snapshot.mtime_ns)

    # Not for a whole tree: an answer that is kept for one has no notes, and must say the same.
    listed = frozenset[str]() if recalled is None else recalled.listed
    if result.rules.whole:
        return ContentVerdict(by_content, recalled, {}, listed)
    late = find_late(by_content, is_known)
    arrivals = find_arrivals(list_made(by_content), result.tree, result.graph.producers, is_known)
    noted = note_arrivals(note_late(by_content, late), arrivals.found)
    noted = note_commands(noted, environ)
    return ContentVerdict(
        noted,
        recalled,
        {**late, **{path: each.rule for path, each in arrivals.found.items()}},
        listed | arrivals.folders,
    )


def list_recalled(recalled: Recollection | None) -> list[str]:
    """List the files that a verdict by content rests on, beside the memory and those that the one by time rests on."""
    if recalled is None:
        return []
    paths = [path for path in recalled.memory.paths if path[:1] == "/"]
    return [*paths, *recalled.places]


def add_changed(result: CheckResult, recalled: Recollection) -> CheckResult:
    """Add what contents show to be stale to a verdict by time, and take nothing back."""
    known = set(result.verdict.findings)
    more = tuple(finding for finding in recalled.result.verdict.findings if finding not in known)
    if not (recalled.changed or more or result.verdict.stale):
        return result
    by_time = direct_reasons(result.verdict)
    by_content = direct_reasons(recalled.result.verdict)
    # Contents name the cause better: settling gives outputs new times, and such an output is no cause.
    direct = [by_content.get(rule.target) or by_time.get(rule.target, ()) for rule in result.graph.rules]
    return conclude_again(result, direct, (*result.verdict.findings, *more))


def conclude_again(
    result: CheckResult,
    direct: list[tuple[Reason, ...]],
    findings: tuple[Finding, ...],
    problems: Iterable[Problem] = (),
) -> CheckResult:
    """Draw the conclusion of other reasons, findings and further problems about a build that was judged by time."""
    cycles = {rule.record or rule.target for rule in (result.graph.rules[at] for at in result.graph.cycles)}
    known = (p for p in result.verdict.problems if p.path not in cycles)
    verdict = conclude(result.graph, direct, result.verdict.source, findings, (*known, *problems))
    return result._replace(verdict=verdict)


class _Recall:
    def __init__(self, result: CheckResult, environ: dict[str, str], memory: Memory) -> None:
        self.result = result
        self.memory = memory
        self._hasher: Hasher | None = None
        self.around = Surroundings(result.tree, environ)
        self.touched: dict[str, None] = {}
        self.proven: set[str] = set()
        self.changed: set[str] = set()
        self._same: dict[int, bool] = {}
        self._shadows: Shadows | None = None
        self._now_ns = time.time_ns()
        self._other_values = self._find_other_values()
        self._is_synced = True

    # -- one row -------------------------------------------------------------------

    def is_same(self, at: int) -> bool:
        """Whether a path has the content of a row."""
        same = self._same.get(at)
        if same is None:
            same = self._same[at] = self._compare(at)
        return same

    def _compare(self, at: int) -> bool:
        path, digest, stamp = self.memory.paths[at], self.memory.digests[at], self.memory.stamps[at]
        if digest == DOUBT:
            return False
        if path == TOOLS:
            return self.around.tools.identity() == digest
        if path.startswith("CONFIG_"):
            return self.around.symbol(path[7:]) == digest
        st = self.result.snapshot.stats.get(path)
        if st is None:
            try:
                st = os.stat(path)
            except (OSError, ValueError):
                return digest == GONE and not os.path.lexists(path)
        if stamp == stamp_of(st):
            return True
        self._hasher = self._hasher or Hasher(self.memory.known_hashes())
        return self._hasher.look(path, st)[1] == digest

    def moved_rows(self) -> frozenset[int]:
        """Rows of files that do not look as they did; what the snapshot does not have counts as one."""
        stats = self.result.snapshot.stats
        memory = self.memory
        moved = []
        for at, path in enumerate(memory.paths):
            stamp = memory.stamps[at]
            st = stats.get(path)
            if st is None:
                if stamp is not None and path[:1] == "/":
                    moved.append(at)
            elif stamp is None or stamp_of(st) != stamp:
                moved.append(at)
        return frozenset(moved)

    def _find_other_values(self) -> frozenset[int]:
        """Rows of configuration symbols that have another value now."""
        symbols = (at for at, name in enumerate(self.memory.paths) if name.startswith("CONFIG_"))
        return frozenset(at for at in symbols if not self.is_same(at))

    # -- one rule ------------------------------------------------------------------

    def covers(self, entry: Entry, rule: Rule) -> bool:
        """Whether an entry describes the step that ran last."""
        return entry.built_ns == built_ns(
            rule, self.result.snapshot.mtime_ns
        ) and entry.command == command_digest(rule)

    def is_firm(self, entry: Entry, rule: Rule, inputs: list[str]) -> bool:
        """Whether tools, scripts and symbols are the same, and no other file stands in for an input."""
        from kdeps.contents.shadows import Shadows, searched_folders

        self._shadows = self._shadows or Shadows()
        folders = searched_folders(rule.command, rule.config_dir)
        return (
            (self._is_synced or rule.name not in CONSTANTS)
            and all(map(self.is_same, unpack(entry.also)))
            and self._shadows.digest(folders, inputs) == entry.shadows
        )

    def judge_rule(
        self, rule: Rule, reasons: tuple[Reason, ...], moved: frozenset[int]
    ) -> tuple[Reason, ...]:
        """Replace what time says of a rule by what contents say, where the memory knows."""
        entry = self.memory.entries.get(rule.target)
        if entry is None or rule.action is Action.FILECHK:
            return reasons  # a filechk step runs each time, and leaves what is right as it is
        rows, outputs = unpack(entry.decides), unpack(entry.outputs)
        values = self._other_values.intersection(unpack(entry.also)) if self._other_values else ()
        if not (reasons or values) and moved.isdisjoint(rows) and moved.isdisjoint(outputs):
            return reasons
        unreadable = self.result.snapshot.unreadable
        changed = [
            at
            for at in rows
            if at in moved and self.memory.paths[at] not in unreadable and not self.is_same(at)
        ]
        edited = [at for at in outputs if at in moved and not self.is_same(at)]
        if not (reasons or changed or edited or values) or not self.covers(entry, rule):
            return reasons
        if edited:
            found = self._judge_edited(edited, rule)
            return reasons or found
        inputs = deciding_inputs(rule)
        known = {self.memory.paths[at] for at in rows}
        kept = list(reasons)
        if (
            reasons
            and self.is_firm(entry, rule, [self.memory.paths[at] for at in rows])
            and known.issuperset(inputs)
        ):
            differs = {self.memory.paths[at] for at in changed}
            kept = [reason for reason in reasons if not self.is_refuted(reason, rule, known - differs)]
            if not kept and not changed:
                self.proven.add(rule.target)
        target = self.result.snapshot.mtime_ns.get(rule.target)
        named = {reason.path for reason in kept}
        for at in changed:
            path = self.memory.paths[at]
            if path not in named and path in inputs:
                self.changed.add(rule.target)
                kept.append(self._content_changed(at, path, target))
        for at in sorted(values):
            name = self.memory.paths[at].removeprefix("CONFIG_")
            path = f"{rule.config_dir}/include/config/{name}"
            if path not in named:
                self.changed.add(rule.target)
                then, now = (
                    value.decode("utf-8", "replace")
                    for value in (self.memory.digests[at], self.around.symbol(name))
                )
                detail = f"was {then} when it was built, and is {now}"
                kept.append(
                    Reason(ReasonKind.CONTENT_CHANGED, False, path, find_mtime_ns(path), target, detail)
                )
        return tuple(kept)

    def _judge_edited(self, edited: list[int], rule: Rule) -> tuple[Reason, ...]:
        """What was generated for the kernel and has another content since would be used as it is."""
        self.changed.add(rule.target)
        if rule.owner is not Owner.KERNEL or self.result.rules.whole:
            return ()  # a module may be stripped or signed, and a later step of the whole kernel may add to an output
        times = self.result.snapshot.mtime_ns
        paths = [path for at in edited if (path := self.memory.paths[at]) in times]
        detail = "has other content than its step wrote"
        return tuple(
            Reason(ReasonKind.CONTENT_CHANGED, False, path, times[path], times.get(rule.target), detail)
            for path in paths
        )

    def _content_changed(self, at: int, path: str, target: int | None) -> Reason:
        mtime = self.result.snapshot.mtime_ns.get(path)
        if self.memory.digests[at] == DOUBT:
            detail = "was changed while it was compiled"
        elif self.memory.digests[at] == GONE:
            detail = "was not there when it was built"
        elif mtime is None:
            detail = "is gone"
        else:
            detail = "has other content than when it was built"
        return Reason(ReasonKind.CONTENT_CHANGED, False, path, mtime, target, detail)

    def is_refuted(self, reason: Reason, rule: Rule, same: set[str]) -> bool:
        """Whether contents take back a reason that time gave."""
        if reason.kind not in BY_TIME or (reason.mtime_ns or 0) > self._now_ns:
            return False  # no output gets a time of the future, so make would run the step all the same
        if reason.kind is ReasonKind.INTERRUPTED:
            return reason.path in rule.outputs[1:]  # all outputs have the content they had together
        symbol = reason.path.rpartition("/include/config/")[2]
        if symbol in rule.config or reason.path in same or reason.path in rule.outputs:
            # The values of all symbols are the same, or the step would not be firm.
            self.touched[reason.path] = None
            return True
        return False

    # -- the build -------------------------------------------------------------------

    def judge(self) -> Recollection:
        result = self.result
        by_time = direct_reasons(result.verdict)
        moved = self.moved_rows()
        findings, configured = self.judge_configuration(moved)
        self._is_synced = is_synced(findings)
        direct = [self.judge_rule(rule, by_time.get(rule.target, ()), moved) for rule in result.graph.rules]
        return Recollection(
            conclude_again(result, direct, findings),
            tuple(self.touched),
            frozenset(self.proven),
            frozenset(self.changed),
            configured,
            self.memory,
            frozenset(self.around.tools.listed).union(
                self._shadows.listed() if self._shadows is not None else ()
            ),
            tuple(self.around.tools.places()),
        )

    def judge_configuration(self, moved: frozenset[int]) -> tuple[tuple[Finding, ...], bool]:
        """Judge by content whether the configuration is synced; tell whether time alone thought otherwise."""
        findings = self.result.verdict.findings
        auto_conf = configuration_target(self.result.tree)
        entry = self.memory.entries.get(auto_conf)
        if entry is None or not all(map(self.is_same, unpack(entry.outputs))):
            return findings, False
        rows = unpack(entry.decides)
        differs = [self.memory.paths[at] for at in rows if at in moved and not self.is_same(at)]
        paths = {self.memory.paths[at] for at in rows}
        late = [f for f in findings if f.kind is ReasonKind.CONFIG_NOT_SYNCED and f.path in paths]
        if late and not differs and all(map(self.is_same, unpack(entry.also))):
            self.touched.update(dict.fromkeys(f.path for f in late))
            return tuple(f for f in findings if f not in late), True
        # The same values may have been synced again since, from what the inputs have now.
        is_that_sync = entry.built_ns == find_mtime_ns(auto_conf)
        if differs and not late and is_that_sync and os.path.exists(differs[0]):
            return (*findings, self._unsynced(differs)), False
        return findings, False

    def _unsynced(self, differs: list[str]) -> Finding:
        more = f" (and {len(differs) - 1} more)" if len(differs) > 1 else ""
        message = f"has other content than when the configuration was synced{more}, and an older time: no make syncs it"
        return Finding(
            ReasonKind.CONFIG_NOT_SYNCED, differs[0], message, "", Status.STALE, remedy=Remedy.SYNC
        )
