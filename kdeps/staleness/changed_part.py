# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Check the last answer for a whole tree again, where few files changed since.

The last answer was fresh, so a rule without a changed file is still fresh. The answer holds if

* no file was added or deleted,
* each changed record has the same content as before; it may add or drop a source that other rules read,
* every rule that reads or writes a changed file is judged again and is fresh.

Otherwise the whole tree is judged.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from kdeps.formats.command import parse_command
from kdeps.kbuild.graph import build_graph
from kdeps.kbuild.prepared import find_aliases
from kdeps.kbuild.records import RecordReader
from kdeps.kbuild.rule import Rule, Rules
from kdeps.kbuild.whole_tree import add_whole_record
from kdeps.staleness.check import CheckResult
from kdeps.staleness.index import GONE, UNTOLD, AnswerPaths, Changes, FreshAnswer, is_settled, output_stamp
from kdeps.staleness.judge import judge
from kdeps.staleness.module_checks import check_clock
from kdeps.staleness.packed_rules import CachedRule, PackedRules, Row
from kdeps.staleness.reasons import Status
from kdeps.staleness.snapshot import Snapshot, take_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kdeps.kbuild.tree import Tree
    from kdeps.staleness.inspection import Inspect

MANY = 1000
"""With more rules to judge than this, or records to read, judging everything costs little more."""


class Update(NamedTuple):
    """The same answer with the new stamps."""

    answer: FreshAnswer
    rules: bytes | None
    """The packed rules, if the content of a record changed."""
    settled: bool
    """It may be kept: each later change will change a stamp."""


def judge_changes(
    tree: Tree, answer: FreshAnswer, changes: Changes, packed: PackedRules, inspect: Inspect
) -> Update | None:
    """Judge the rules that changed files belong to. Returns None if everything has to be judged."""
    started = time.perf_counter()
    if packed.generation != answer.generation or _came_or_went(answer, changes):
        return None
    numbers = {answer.makers[at] for at in changes.records} - {UNTOLD}
    numbers.update(answer.makers[len(answer.paths.records) + at] for at in changes.outputs)
    if UNTOLD in numbers or len(numbers) > MANY:
        return None
    old = {at: packed.row(at) for at in sorted(numbers)}
    changed = {answer.paths.records[at]: changes.stamps.records[at] for at in changes.records}
    new = _read_again(tree, answer, changed, old, packed)
    if new is None:
        return None
    rules = tuple(row.judged for row in new.values() if row.judged is not None)
    readers = _count_readers(answer, old, new)
    if len(rules) < len(new) or not _are_all_readers(answer.paths, changes, readers, rules):
        return None
    result = _judge(tree, rules, started)
    if result is None or not _same_stamps(answer.paths, changes, result.snapshot):
        return None
    beyond = inspect(result)
    contents = [at for at in changes.records if answer.makers[at] == UNTOLD]
    if beyond.findings or beyond.problems or (contents and answer.findings):
        return None
    records = changes.stamps.records[:]
    for at in contents:
        ctime = beyond.ctimes.get(answer.paths.records[at])
        if ctime is None:
            return None  # only a look at everything reads it
        records[at] = ctime
    differing = {at: row for at, row in new.items() if row != old[at]}
    generation = time.time_ns() if differing else answer.generation
    return Update(
        answer._replace(
            stamps=changes.stamps._replace(records=records), readers=readers, generation=generation
        ),
        packed.replaced(differing, generation) if differing else None,
        all(is_settled(records[at]) for at in changes.records),
    )


def _came_or_went(answer: FreshAnswer, changes: Changes) -> bool:
    pairs = zip(changes[1:], changes.stamps, answer.stamps, strict=False)
    return any(GONE in (now[at], then[at]) for changed, now, then in pairs for at in changed)


def _read_again(
    tree: Tree, answer: FreshAnswer, changed: dict[str, int], rows: dict[int, Row], packed: PackedRules
) -> dict[int, Row] | None:
    """Read the changed records. Returns None if the new content of one may concern other rules."""
    reader = RecordReader(tree, whole=True)
    records = answer.paths.records
    for row in rows.values():
        if row.recorded is None:
            continue
        for listing in _find_listings(reader, row.recorded.rule):
            folder, _, file = listing.rpartition("/")
            at = bisect_left(records, f"{folder}/.{file}.cmd")
            if at < len(records) and records[at] == f"{folder}/.{file}.cmd":
                listed = packed.row(answer.makers[at]).recorded
                if listed is not None:
                    reader.rules[listing] = listed.rule
    found: dict[int, Row] = {}
    for number, row in sorted(rows.items(), key=lambda pair: _record_of(pair[1])):
        found[number] = row
        path = _record_of(row)
        if path not in changed:
            continue
        record = reader.read(path)
        if record is None or row.recorded is None:
            return None
        find_aliases(reader, [(path, record)])
        add_whole_record(reader, path, record)
        folder, _, file = path.rpartition("/")
        rule = reader.rules[f"{folder}/{file[1:-4]}"]
        if reader.problems or reader.aliases or not _differs_in_sources(answer, row, rule):
            return None
        if rule != row.recorded.rule:
            kept = CachedRule(rule, changed[path] if is_settled(changed[path]) else 0)
            found[number] = Row(kept, rule)
    return found


def _record_of(row: Row) -> str:
    return (row.recorded.rule.record or "") if row.recorded else ""


def _find_listings(reader: RecordReader, rule: Rule) -> Iterator[str]:
    """Find the lists from which a command reads its objects (``@foo.mod``)."""
    if "@" in rule.command:
        for name in parse_command(rule.command, rule.name).responses:
            yield reader.path(name, reader.tree.objtree)


def _differs_in_sources(answer: FreshAnswer, row: Row, rule: Rule) -> bool:
    """Whether a rule equals the kept one, apart from sources that other rules read as well."""
    old = row.recorded.rule if row.recorded else None
    if old is None or old.record is None:
        return False  # its record has the command of another target
    if rule == old:
        return True
    if row.judged != old or rule._replace(prerequisites=()) != old._replace(prerequisites=()):
        return False
    others = answer.paths.others
    outputs = len(answer.paths.outputs)
    for path in {*rule.prerequisites} ^ {*old.prerequisites}:
        at = bisect_left(others, path)
        if at == len(others) or others[at] != path or answer.readers[outputs + at] == UNTOLD:
            return False
    return True


def _count_readers(answer: FreshAnswer, old: dict[int, Row], new: dict[int, Row]) -> array[int]:
    """Count the rules that read each file, by the new records."""
    readers = answer.readers[:]
    others, outputs = answer.paths.others, len(answer.paths.outputs)
    for number, row in new.items():
        before = old[number].judged
        if row.judged != before and row.judged is not None and before is not None:
            counts = Counter(read_by(row.judged))
            counts.subtract(Counter(read_by(before)))
            for path, more in counts.items():
                if more:
                    readers[outputs + bisect_left(others, path)] += more
    return readers


def read_by(rule: Rule) -> Iterator[str]:
    """List the files that a rule compares its target with; one that it names twice comes twice."""
    return chain(rule.prerequisites, rule.optional_prerequisites, rule.uncompared_inputs)


def _are_all_readers(
    paths: AnswerPaths, changes: Changes, readers: array[int], rules: tuple[Rule, ...]
) -> bool:
    """Whether no other rule reads a file that changed."""
    known = {paths.outputs[at]: readers[at] for at in changes.outputs}
    known.update((paths.others[at], readers[len(paths.outputs) + at]) for at in changes.others)
    counted = Counter(path for rule in rules for path in read_by(rule) if path in known)
    return all(counted[path] == number for path, number in known.items())


def _judge(tree: Tree, rules: tuple[Rule, ...], started: float) -> CheckResult | None:
    part = Rules(rules, (), frozenset(), whole=True)
    snapshot = take_snapshot(part, config_dirs=(tree.objtree,))
    graph = build_graph(part, tree.objtree)
    clock = check_clock(graph, snapshot.mtime_ns, f"{tree.objtree}/include/config/auto.conf")
    verdict = judge(graph, snapshot, objtree=tree.objtree, version=tree.version, findings=clock)
    if verdict.status is not Status.FRESH or verdict.stale or verdict.pending or clock:
        return None
    return CheckResult(tree, part, graph, snapshot, verdict, (time.perf_counter() - started) * 1000)


def _same_stamps(paths: AnswerPaths, changes: Changes, snapshot: Snapshot) -> bool:
    """Whether each changed file had the same stamp when it was judged as when the change was found."""
    times = snapshot.mtime_ns
    return all(changes.stamps.others[at] == times.get(paths.others[at]) for at in changes.others) and all(
        changes.stamps.outputs[at] == output_stamp(times.get(path, GONE), empty=path in snapshot.empty)
        for at in changes.outputs
        for path in (paths.outputs[at],)
    )
