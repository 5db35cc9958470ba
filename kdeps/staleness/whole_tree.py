# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The whole object tree, judged by the same ``judge`` as in ``kdeps check``, from an index.

Four ways, and all of them end in the same answer:

* the last answer was fresh and nothing that it rests on has changed: it still holds;
* few files changed, and the rules that they belong to are still fresh: so it holds as well;
* some records changed: those are read, the other rules come from the index, all are judged;
* there is no index: every record is read.
"""

from __future__ import annotations

import gc
import os
import time
from array import array
from collections import Counter
from functools import partial
from itertools import chain
from typing import NamedTuple

from kdeps.formats.cmdfile import Record, RecordState
from kdeps.kbuild.makefile_rules import MODULE_TOOLS
from kdeps.kbuild.prepared import find_aliases
from kdeps.kbuild.records import RecordReader
from kdeps.kbuild.rule import Action, Problem, Rule, Rules
from kdeps.kbuild.rules import as_rules
from kdeps.kbuild.tree import Tree, find_tree
from kdeps.kbuild.whole_tree import Listing, add_tree_wide_rules, add_whole_record, find_records, list_folder
from kdeps.staleness.build_checks import check_build_as_a_whole
from kdeps.staleness.changed_part import MANY, judge_changes, read_by
from kdeps.staleness.check import CheckResult, fresh_result, judge_tree
from kdeps.staleness.index import (
    GONE,
    UNTOLD,
    AnswerPaths,
    FreshAnswer,
    Index,
    Stamps,
    find_changes,
    is_settled,
    modified_ns,
    output_stamp,
)
from kdeps.staleness.inspection import Inspect
from kdeps.staleness.packed_rules import CachedRule, PackedRules, Row
from kdeps.staleness.reasons import Finding, Status
from kdeps.system.stat import status_of

_ASKED = frozenset(("rust/core.o", *MODULE_TOOLS))
"""Rules that are looked up by name when the build as a whole is judged."""
_LINKED = ("vmlinux", "vmlinux.o")
"""Where there is neither, there is no whole kernel."""
_READ = ("auto.conf", "kernel.release")
"""What every look reads of the configuration, besides the stamps."""


class TreeResult(NamedTuple):
    """A verdict on a whole tree."""

    result: CheckResult
    """Without rules and graph where the last answer still holds; then nothing is stale."""
    rules: int
    files: int
    findings: tuple[Finding, ...]
    """What the artifacts say of themselves."""
    problems: tuple[Problem, ...]
    """Artifacts that could not be read; then the answer is not kept."""
    kept: bool
    """The last answer still holds: at most a few records were read."""


def check_tree(
    words: tuple[str, ...], cwd: str, environ: dict[str, str], inspect: Inspect, *, rules_needed: bool = False
) -> TreeResult:
    """Judge what plain ``make`` builds, by words without ``M=``; what ``inspect`` finds in artifacts is kept with the
    answer.

    Raises KdepsError: there is nothing to judge, or it cannot be reached.
    """
    started = time.perf_counter()
    collecting = gc.isenabled()
    gc.disable()  # millions of names and nothing that refers to itself
    try:
        return _check_tree(
            find_tree(words, cwd, environ), environ, inspect, started, rules_needed=rules_needed
        )
    finally:
        if collecting:
            gc.enable()


def _check_tree(
    tree: Tree, environ: dict[str, str], inspect: Inspect, started: float, *, rules_needed: bool
) -> TreeResult:
    index = Index(tree, environ)
    if not rules_needed:
        answer = _recall(tree, index, inspect)
        result = _still_holds(tree, answer, environ, started) if answer is not None else None
        if answer is not None and result is not None:
            return TreeResult(result, answer.rules, answer.files, answer.findings, (), kept=True)
    reader = RecordReader(tree, whole=True)
    # Before anything is read: what changes during the read must look changed next time.
    configuration = f"{tree.objtree}/include/config"
    before = modified_ns(configuration), _digest(tree, configuration) or 0
    read = {path: _ctime_ns(path) for path in (f"{configuration}/{name}" for name in _READ)}
    known = index.load_rules()
    kept = read_records(reader, known)
    reader.folders[configuration] = before
    leftovers = {path: modified_ns(path) for path in reader.leftovers}
    if not any(f"{tree.objtree}/{name}" in reader.rules for name in _LINKED):
        reader.problems.append(
            Problem(f"{tree.objtree}/vmlinux", "never built: plain `make` first, or judge modules with M=")
        )
    rules = as_rules(reader)
    result = judge_tree(tree, rules, environ, started)
    files = len(result.snapshot.mtime_ns)
    beyond = inspect(result)
    if kept is not None and not tree.prebuilt:
        read.update((path, GONE if ctime is None else ctime) for path, ctime in beyond.ctimes.items())
        rows = _as_rows(rules.rules, kept)
        fresh = not beyond.problems
        answer = _answer(result, reader, rows, read, leftovers, beyond.findings) if fresh else None
        changed = sum(known.get(path, entry).ctime_ns != entry.ctime_ns for path, entry in kept.items())
        if answer is not None or changed > MANY or index.load_answer() is None:
            index.store(answer, rows)  # else the last answer will hold again once make has done its work
    return TreeResult(result, len(rules.rules), files, beyond.findings, beyond.problems, kept=False)


def read_records(reader: RecordReader, known: dict[str, CachedRule]) -> dict[str, CachedRule] | None:
    """Read what plain ``make`` builds, except the records that the index already has.

    Returns what the index may have of all of them; None if it cannot keep any.
    """
    found = sorted(find_records(reader))
    kept: dict[str, CachedRule] = {}
    changed: list[tuple[str, int, Record]] = []
    for path in found:
        ctime_ns = _ctime_ns(path)
        entry = known.get(path)
        if entry is not None and entry.ctime_ns == ctime_ns and _stands_alone(entry.rule):
            kept[path] = entry
            continue
        problems = len(reader.problems)
        record = reader.read(path)
        if record is not None:
            # What could not be read well is read and reported again next time.
            changed.append((path, ctime_ns if len(reader.problems) == problems else 0, record))
    find_aliases(reader, [(path, record) for path, _, record in changed])
    reader.rules.update((entry.rule.target, entry.rule) for entry in kept.values())
    for path, ctime_ns, record in changed:
        add_whole_record(reader, path, record)
        folder, _, file = path.rpartition("/")
        kept[path] = CachedRule(
            reader.rules[f"{folder}/{file[1:-4]}"], ctime_ns if is_settled(ctime_ns) else 0
        )
    add_tree_wide_rules(reader, found)
    return None if reader.aliases else kept


def _stands_alone(rule: Rule) -> bool:
    """Whether a rule follows from its own record alone."""
    if rule.state is RecordState.COMMAND_ONLY and "@" in rule.command:
        return False  # what it links another record lists
    return not rule.name.startswith("tools/") and rule.state is not None


def _ctime_ns(path: str) -> int:
    st = status_of(path)
    return st.st_ctime_ns if st else 0


def _digest(tree: Tree, folder: str) -> int | None:
    """The names in a folder that matter; of the configuration's stamps all of them."""
    try:
        if folder == f"{tree.objtree}/include/config":
            return Listing([], [], [], [], os.listdir(folder)).digest
        listing = list_folder(folder, own=folder == tree.objtree)
    except OSError:
        return None
    return None if listing is None else listing.digest


def _answer(
    result: CheckResult,
    reader: RecordReader,
    rows: list[Row],
    contents: dict[str, int],
    more: dict[str, int],
    findings: tuple[Finding, ...],
) -> FreshAnswer | None:
    """What to keep of an answer in which nothing is wrong: the very stamps that were judged."""
    verdict, snapshot, rules = result.verdict, result.snapshot, result.rules.rules
    if verdict.stale or verdict.pending or verdict.problems or result.tree.prebuilt:
        return None
    # Not the records of rules that were dropped: a list has to change for make to come to them.
    stamps = {rule.record: row.ctime_ns for row, rule in rows if row and rule and rule.record is not None}
    stamps.update(contents)
    records = sorted(stamps)
    changed = [stamps[path] for path in records]
    if not all(ctime_ns == GONE or is_settled(ctime_ns) for ctime_ns in changed):
        return None  # one of them could change again without its stamp telling
    makers = _number_outputs(rules)
    outputs = sorted(makers)
    makers.update((rule.record, at) for at, rule in enumerate(rules) if rule.record is not None)
    readers = Counter(chain.from_iterable(map(read_by, rules)))
    others = dict.fromkeys(readers.keys() - makers.keys(), GONE)
    others.update((path, snapshot.mtime_ns[path]) for path in others.keys() & snapshot.mtime_ns.keys())
    for folder, stamps in snapshot.config.items():
        others.update((f"{folder}/include/config/{name}", mtime) for name, mtime in stamps.items())
    others.update(more)
    names, folders = sorted(others), sorted(reader.folders)
    try:
        made = [
            GONE if (mtime := snapshot.mtime_ns.get(path)) is None
            else output_stamp(mtime, empty=path in snapshot.empty)
            for path in outputs
        ]  # fmt: skip
        stamped = Stamps(
            array("q", changed),
            array("q", made),
            array("q", (others[name] for name in names)),
            array("q", (reader.folders[folder][0] for folder in folders)),
        )
    except OverflowError:
        return None
    asked = [rule.name for rule in rules if rule.name in _ASKED]
    looked = AnswerPaths(records, outputs, names, folders)
    listings = [reader.folders[folder][1] for folder in folders]
    files = len(snapshot.mtime_ns)
    return FreshAnswer(
        looked,
        stamped,
        listings,
        len(rules),
        files,
        asked,
        findings,
        time.time_ns(),
        array("q", (makers.get(path, UNTOLD) for path in chain(records, outputs))),
        array("q", chain((readers[path] for path in outputs), (readers.get(path, UNTOLD) for path in names))),
    )


def _number_outputs(rules: tuple[Rule, ...]) -> dict[str, int]:
    """Each output with the position of its rule; what several rules write belongs to none."""
    numbers: dict[str, int] = {}
    for at, rule in enumerate(rules):
        for output in rule.outputs:
            numbers[output] = at if output not in numbers else UNTOLD
    return numbers


def _recall(tree: Tree, index: Index, inspect: Inspect) -> FreshAnswer | None:
    """The last answer, if it holds for the files as they are now."""
    answer = index.load_answer()
    changes = None if answer is None else find_changes(answer, partial(_digest, tree))
    if answer is None or changes is None:
        return None
    if not changes:
        return answer
    packed = index.load_packed()
    try:
        update = packed and judge_changes(tree, answer, changes, packed, inspect)
    except (*PackedRules.DAMAGED, OSError):
        return None
    if not update:
        return None
    if update.settled:
        index.store_again(update.answer, update.rules)
    return update.answer


def _as_rows(rules: tuple[Rule, ...], kept: dict[str, CachedRule]) -> list[Row]:
    """Every rule with what its record became, then the records of rules that make does not come to."""
    visited = {rule.record for rule in rules}
    rows = [Row(kept.get(rule.record or ""), rule) for rule in rules]
    return rows + [Row(entry, None) for path, entry in kept.items() if path not in visited]


def _still_holds(
    tree: Tree, answer: FreshAnswer, environ: dict[str, str], started: float
) -> CheckResult | None:
    """The last answer again, if the build as a whole is as it was: configuration, compilers."""
    rules = Rules(tuple(_named(tree, name) for name in answer.names), (), frozenset(), whole=True)
    findings = check_build_as_a_whole(tree, rules, environ)
    if any(finding.status is not Status.FRESH for finding in findings):
        return None
    return fresh_result(tree, rules, findings, started)


def _named(tree: Tree, name: str) -> Rule:
    return RecordReader(tree, whole=True).add_unrecorded_rule(f"{tree.objtree}/{name}", Action.IF_CHANGED, ())
