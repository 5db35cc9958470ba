# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What was read of a whole object tree, kept: so that the next look reads what changed.

A whole kernel has thousands of records with hundreds of megabytes in them. The index has
two parts. The small one says which files the last answer rests on, and how each of them
looked (``stat``); when all of them still look like that, the answer still holds. The large
one has the rule that each record became, by the record's stamp; a record that changed is
read anew, the others are not.

Both are values of a ``Store``. Without one, or with a damaged one, the records are read.
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from array import array
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.snapshot import SOLID
from kdeps.system.cache import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from kdeps.kbuild.tree import Tree

_PART = struct.Struct("<QQc")
"""Of a part: bytes of what is told in JSON, bytes of the names, kind of the numbers that follow them."""
GONE = -1
"""Stamp of a file that is not there."""
_KEPT = 8
"""How many trees are remembered; the one not used for longest goes first."""
_RACY_NS = 1_000_000_000
"""A record that changed this recently could change again without its stamp telling."""


class Stamps(NamedTuple):
    """How files looked; two of the same paths are equal where nothing changed that an answer rests on."""

    records: array[int]
    """ctime in nanoseconds: their content counts. Records, and the artifacts that were read."""
    outputs: array[int]
    """mtime in nanoseconds, twice; one more for a file that is empty and must not be."""
    others: array[int]
    """mtime in nanoseconds: of what else rules read."""
    folders: array[int]
    """mtime in nanoseconds."""


class AnswerPaths(NamedTuple):
    """Which files an answer rests on."""

    records: list[str]
    outputs: list[str]
    others: list[str]
    folders: list[str]


class FreshAnswer(NamedTuple):
    """What is kept of an answer that found nothing wrong."""

    paths: AnswerPaths
    stamps: Stamps
    listings: list[int]
    """For each folder, a digest of the names in it that matter."""
    rules: int
    files: int
    names: list[str]
    """Of the rules that are looked up by name when a build as a whole is judged."""
    findings: tuple[Finding, ...]
    """What the artifacts said of themselves."""


class CachedRule(NamedTuple):
    """The rule that one record became, before anything was added to it that others know."""

    rule: Rule
    ctime_ns: int


def take_stamps(paths: AnswerPaths) -> Stamps | None:
    """Stat files. Returns None if one of them cannot be looked at."""
    try:
        return Stamps(
            array("q", map(_changed, paths.records)),
            array("q", map(_made, paths.outputs)),
            array("q", map(modified_ns, paths.others)),
            array("q", map(modified_ns, paths.folders)),
        )
    except (OSError, ValueError, OverflowError):
        return None


def still_holds(answer: FreshAnswer, digest: Callable[[str], int | None]) -> bool:
    """Whether all that an answer rests on still looks as it did.

    A make that has nothing to do makes and deletes files all the same; of a folder that changed
    the names are compared.

    Args:
        answer: As it was kept.
        digest: That of a folder's names now; ``None``: it cannot be listed.
    """
    now, then = take_stamps(answer.paths), answer.stamps
    if now is None or now[:3] != then[:3]:
        return False
    return all(
        seen == known or digest(folder) == listing
        for folder, seen, known, listing in zip(
            answer.paths.folders, now.folders, then.folders, answer.listings, strict=True
        )
    )


def output_stamp(mtime_ns: int, *, empty: bool) -> int:
    """The stamp of an output. An mtime beyond the year 2116 does not fit, and then nothing is kept."""
    return 2 * mtime_ns + empty


def modified_ns(path: str) -> int:
    """The mtime of a file or folder, or :data:`GONE`."""
    try:
        return os.stat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return GONE


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns
    except (FileNotFoundError, NotADirectoryError):
        return GONE


def _made(path: str) -> int:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return GONE
    return output_stamp(found.st_mtime_ns, empty=found.st_size == 0 and path.endswith(SOLID))


class Index:
    """The index of one object tree. Reading and writing it never fail; at worst nothing is kept."""

    def __init__(self, tree: Tree, environ: dict[str, str]) -> None:
        self._key = "\0".join((tree.srctree, tree.srcarch, str(tree.version), tree.objtree))
        self._answers = Store("trees", environ, keep=_KEPT)
        self._rules = Store("rules", environ, keep=_KEPT)

    def load_answer(self) -> FreshAnswer | None:
        """The last answer, if nothing was wrong then; whether it still holds the caller must look."""
        part = self._answers.load(self._key)
        if not part:
            return None
        try:
            about, names, stamps = _unpack(part)
            if not about:
                return None
            ends = [0, *accumulate(about["counts"])]
            if ends[-1] != len(stamps) or ends[-1] != len(names):
                return None
            looked = AnswerPaths(*(names[start:end] for start, end in pairwise(ends)))
            kept = Stamps(*(stamps[start:end] for start, end in pairwise(ends)))
            listings = about["listings"]
            if len(listings) != len(looked.folders):
                return None
            findings = tuple(
                Finding(ReasonKind(kind), path, message, help_text, Status(status), tuple(remove))
                for kind, path, message, help_text, status, remove in about["findings"]
            )
            return FreshAnswer(
                looked, kept, listings, about["rules"], about["files"], about["names"], findings
            )
        except (struct.error, zlib.error, ValueError, KeyError, TypeError, IndexError):
            return None

    def load_rules(self) -> dict[str, CachedRule]:
        """The rule of each record, by the record's path; empty where there is no index."""
        part = self._rules.load(self._key)
        if part is None:
            return {}
        try:
            return _load_rules(part)
        except (struct.error, zlib.error, ValueError, KeyError, TypeError, IndexError, MemoryError):
            return {}

    def store(self, answer: FreshAnswer | None, rules: dict[str, CachedRule]) -> None:
        """Save both parts. Each is right by itself: it says how the files looked that it rests on.

        Args:
            answer: ``None``: something was wrong, so that the next look judges again.
            rules: By the record's path.
        """
        try:
            self._answers.save(self._key, b"" if answer is None else _pack_answer(answer))
            self._rules.save(self._key, _pack_rules(rules))
        except (ValueError, OverflowError):
            return


def is_settled(ctime_ns: int) -> bool:
    """Whether a record's stamp tells the next change."""
    return 0 < ctime_ns < time.time_ns() - _RACY_NS


# -- the parts ----------------------------------------------------------------


def _pack(about: Any, names: list[str], numbers: array[int]) -> bytes:
    # Commands are much alike, and few bytes of numbers are saved for the time it takes.
    text = zlib.compress(json.dumps(about, separators=(",", ":")).encode(), 1)
    listed = "\0".join(names).encode("utf-8", "surrogateescape")
    head = _PART.pack(len(text), len(listed), numbers.typecode.encode())
    return head + text + listed + numbers.tobytes()


def _unpack(part: bytes) -> tuple[Any, list[str], array[int]]:
    text, listed, kind = _PART.unpack_from(part)
    at = _PART.size + text
    numbers = array(kind.decode())
    numbers.frombytes(part[at + listed :])
    names = part[at : at + listed].decode("utf-8", "surrogateescape").split("\0")
    return json.loads(zlib.decompress(part[_PART.size : at])), names, numbers


def _pack_answer(answer: FreshAnswer) -> bytes:
    looked, stamps = answer.paths, answer.stamps
    about = {
        "counts": list(map(len, looked)),
        "listings": answer.listings,
        "rules": answer.rules,
        "files": answer.files,
        "names": answer.names,
        "findings": [
            (d.kind.value, d.path, d.message, d.help, d.status.value, d.remove) for d in answer.findings
        ],
    }
    numbers = array("q")
    for part in stamps:
        numbers.extend(part)
    return _pack(about, [name for names in looked for name in names], numbers)


class _Numbered(dict[str, int]):
    """Each name its number, in the order they come."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def _pack_rules(rules: dict[str, CachedRule]) -> bytes:
    """Pack with small numbers, and with large ones where there are more names than that."""
    try:
        return _pack_rules_as("H", rules)
    except OverflowError:
        return _pack_rules_as("I", rules)


def _pack_rules_as(kind: str, rules: dict[str, CachedRule]) -> bytes:
    numbered = _Numbered()
    number = numbered.__getitem__
    rows: list[list[Any]] = []
    numbers = array(kind)
    for path, kept in rules.items():
        rule = kept.rule
        lists = (rule.prerequisites, rule.optional_prerequisites, rule.config)
        rows.append(
            [
                number(path), kept.ctime_ns, number(rule.target), rule.name, list(map(number, rule.outputs)),
                -1 if rule.source is None else number(rule.source), list(map(number, rule.uncompared_inputs)),
                None if rule.state is None else rule.state.name, rule.record_problem, rule.command, rule.depfile,
                *map(len, lists),
            ]
        )  # fmt: skip
        for listed in lists:
            numbers.extend(map(number, listed))
    return _pack(rows, list(numbered), numbers)


def _load_rules(part: bytes) -> dict[str, CachedRule]:
    rows, names, numbers = _unpack(part)
    found: dict[str, CachedRule] = {}
    take = names.__getitem__
    at = 0
    for row in rows:
        path, ctime_ns, target, name, outputs, source, uncompared, state, where, command, depfile, *counts = (
            row
        )
        lists: list[tuple[str, ...]] = []
        for count in counts:
            lists.append(tuple(map(take, numbers[at : at + count])))
            at += count
        found[names[path]] = CachedRule(
            Rule(
                target=names[target],
                name=name,
                owner=Owner.KERNEL,
                action=Action.IF_CHANGED,
                outputs=tuple(map(take, outputs)),
                prerequisites=lists[0],
                source=None if source < 0 else names[source],
                optional_prerequisites=lists[1],
                config=lists[2],
                config_dir="",
                uncompared_inputs=tuple(map(take, uncompared)),
                replaced_if_changed=frozenset(),
                record=names[path] if state is not None else None,
                state=None if state is None else RecordState[state],
                record_problem=where,
                command=command,
                depfile=depfile,
            ),
            ctime_ns,
        )
    return found
