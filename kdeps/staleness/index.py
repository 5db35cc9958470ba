# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What was read of a whole object tree, kept: so that the next look reads what changed.

A whole kernel has thousands of records with hundreds of megabytes in them. The index has
two parts. The small one says which files the last answer rests on, and how each of them
looked (``stat``); when all of them still look like that, the answer still holds. The large
one has the rules, by what the records said; ``packed_rules`` is its format.

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

from kdeps.staleness.packed_rules import CachedRule, PackedRules, Row, pack
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.snapshot import SOLID
from kdeps.system.cache import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kdeps.kbuild.tree import Tree

_PART = struct.Struct("<QQ")
"""Head of a packed answer: size of its JSON in bytes, size of the names in bytes. The numbers follow the names."""
GONE = -1
"""Stamp of a file that is not there."""
UNTOLD = -1
"""In place of a row or a number of readers: if this file changes, the whole tree is judged."""
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
    generation: int
    """Of the packed rules that go with it."""
    makers: array[int]
    """For each of the records, then each of the outputs, the row of its rule, or :data:`UNTOLD`."""
    readers: array[int]
    """For each of the outputs, then each of the others, how many rules read it, or :data:`UNTOLD`."""


class Changes(NamedTuple):
    """Which files of an answer have another stamp now, by position in its lists."""

    stamps: Stamps
    """Of all of them, now."""
    records: list[int]
    outputs: list[int]
    others: list[int]

    def __bool__(self) -> bool:
        return bool(self.records or self.outputs or self.others)


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


def find_changes(answer: FreshAnswer, digest: Callable[[str], int | None]) -> Changes | None:
    """Find the files that changed since an answer. Returns None if a file was added or deleted, or cannot be looked
    at.

    A make that has nothing to do makes and deletes files all the same; of a folder that changed the names are
    compared, by their ``digest`` now (None: it cannot be listed).
    """
    now, then = take_stamps(answer.paths), answer.stamps
    if now is None:
        return None
    same_names = all(
        seen == known or digest(folder) == listing
        for folder, seen, known, listing in zip(
            answer.paths.folders, now.folders, then.folders, answer.listings, strict=True
        )
    )
    if not same_names:
        return None
    return Changes(now, *(_differing(new, old) for new, old in zip(now[:3], then[:3], strict=True)))


def _differing(new: array[int], old: array[int]) -> list[int]:
    if new == old:
        return []
    return [at for at, (a, b) in enumerate(zip(new, old, strict=True)) if a != b]


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
        self._objtree = tree.objtree
        self._key = "\0".join((tree.srctree, tree.srcarch, str(tree.version), tree.objtree))
        self._answers = Store("trees", environ, version=2, keep=_KEPT)
        self._rules = Store("rules", environ, version=2, keep=_KEPT)

    def load_answer(self) -> FreshAnswer | None:
        """The last answer in which nothing was wrong; whether it still holds the caller must look."""
        part = self._answers.load(self._key)
        try:
            return _unpack_answer(part) if part else None
        except PackedRules.DAMAGED:
            return None

    def load_packed(self) -> PackedRules | None:
        """The rules as they were kept; reading one of them may still fail."""
        part = self._rules.load(self._key)
        try:
            return None if part is None else PackedRules(part, self._objtree)
        except PackedRules.DAMAGED:
            return None

    def load_rules(self) -> dict[str, CachedRule]:
        """The rule of each record, by the record's path; empty where there is no index."""
        try:
            recorded = (row.recorded for row in self.load_packed() or ())
            return {kept.rule.record: kept for kept in recorded if kept and kept.rule.record}
        except PackedRules.DAMAGED:
            return {}

    def store(self, answer: FreshAnswer | None, rows: Sequence[Row]) -> None:
        """Save both parts. Each is right by itself: it says how the files looked that it rests on.

        Without an answer something was wrong, so that the next look judges again. The rows are as the answer numbers
        them.
        """
        generation = time.time_ns() if answer is None else answer.generation
        try:
            self._answers.save(self._key, b"" if answer is None else _pack_answer(answer))
            self._rules.save(self._key, pack(rows, generation))
        except (ValueError, OverflowError):
            return

    def store_again(self, answer: FreshAnswer, rules: bytes | None) -> None:
        """Save an answer after a part of it was judged again, and the packed rules if some of them changed."""
        try:
            packed = _pack_answer(answer)
        except (ValueError, OverflowError):
            return
        if rules is not None:
            self._rules.save(self._key, rules)
        self._answers.save(self._key, packed)


def is_settled(ctime_ns: int) -> bool:
    """Whether a record's stamp tells the next change."""
    return 0 < ctime_ns < time.time_ns() - _RACY_NS


# -- the small part -----------------------------------------------------------


def _pack_answer(answer: FreshAnswer) -> bytes:
    looked = answer.paths
    about = {
        "counts": list(map(len, looked)),
        "listings": answer.listings,
        "rules": answer.rules,
        "files": answer.files,
        "names": answer.names,
        "findings": [
            (d.kind.value, d.path, d.message, d.help, d.status.value, d.remove) for d in answer.findings
        ],
        "generation": answer.generation,
    }
    text = zlib.compress(json.dumps(about, separators=(",", ":")).encode(), 1)
    listed = "\0".join(name for names in looked for name in names).encode("utf-8", "surrogateescape")
    numbers = (*answer.stamps, answer.makers, answer.readers)
    return b"".join((_PART.pack(len(text), len(listed)), text, listed, *(part.tobytes() for part in numbers)))


def _unpack_answer(part: bytes) -> FreshAnswer | None:
    size, listed = _PART.unpack_from(part)
    at = _PART.size + size
    about: dict[str, Any] = json.loads(zlib.decompress(part[_PART.size : at]))
    names = part[at : at + listed].decode("utf-8", "surrogateescape").split("\0")
    numbers = array("q")
    numbers.frombytes(part[at + listed :])
    counts, listings = about["counts"], about["listings"]
    records, outputs, others, folders = counts
    ends = [0, *accumulate((*counts, records + outputs, outputs + others))]
    if ends[-1] != len(numbers) or ends[4] != len(names) or len(listings) != folders:
        return None
    parts = [numbers[start:end] for start, end in pairwise(ends)]
    findings = tuple(
        Finding(ReasonKind(kind), path, message, help_text, Status(status), tuple(remove))
        for kind, path, message, help_text, status, remove in about["findings"]
    )
    return FreshAnswer(
        AnswerPaths(*(names[start:end] for start, end in pairwise(ends[:5]))),
        Stamps(*parts[:4]),
        listings,
        about["rules"],
        about["files"],
        about["names"],
        findings,
        about["generation"],
        *parts[4:],
    )
