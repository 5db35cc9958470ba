# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The rules of a whole tree, packed so that a few of them can be read alone.

A row has the rule that follows from one record, and the same rule as it was judged, with what other
files add to it. Mostly the two are equal. Rows are packed in blocks of 64. Every path is a number in
one table of names.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.rule import Action, Owner, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = struct.Struct("<QQQc")
"""Head of a pack: its generation, size of the table of block sizes, size of the names, type code of the numbers."""
_BLOCK = struct.Struct("<Q")
"""Head of a block: size of its JSON in bytes. The numbers follow the JSON."""
_ROWS = 64
"""How many rows are unpacked together."""


class CachedRule(NamedTuple):
    """The rule that one record became, before anything was added to it that others know."""

    rule: Rule
    ctime_ns: int
    """Of the record; 0 if it could change again without that telling."""


class Row(NamedTuple):
    """One step of the build."""

    recorded: CachedRule | None
    """None if it has no readable record."""
    judged: Rule | None
    """Complete; None if plain make does not visit it."""


def pack(rows: Sequence[Row], generation: int) -> bytes:
    """Pack rows; an answer belongs to the rows with its generation."""
    numbered = _Numbered()
    blocks = [_pack_block(rows[at : at + _ROWS], numbered) for at in range(0, len(rows), _ROWS)]
    kind = "H" if len(numbered) <= 1 << 16 else "I"
    packed = [_join(text, numbers, kind) for text, numbers in blocks]
    return _assemble(generation, kind, "\0".join(numbered).encode("utf-8", "surrogateescape"), packed)


class PackedRules:
    """Packed rows. Damaged data raises one of the errors in ``DAMAGED``."""

    DAMAGED = (struct.error, zlib.error, ValueError, KeyError, TypeError, IndexError, MemoryError)

    def __init__(self, data: bytes, objtree: str) -> None:
        self.generation, sizes, names, kind = _HEAD.unpack_from(data)
        self._objtree, self._kind = objtree, kind.decode()
        start = _HEAD.size + sizes
        self._names = data[start : start + names]
        self._table = self._names.decode("utf-8", "surrogateescape").split("\0")
        self._data = memoryview(data)
        self._ends = [start + names]
        for size in struct.unpack_from(f"<{sizes // 8}Q", data, _HEAD.size):
            self._ends.append(self._ends[-1] + size)
        self._unpacked: dict[int, list[Row]] = {}

    def row(self, at: int) -> Row:
        """The row of a number."""
        return self._block(at // _ROWS)[at % _ROWS]

    def __iter__(self) -> Iterator[Row]:
        for number in range(len(self._ends) - 1):
            yield from self._unpack(number)

    def replaced(self, rows: dict[int, Row], generation: int) -> bytes:
        """The pack with some rows replaced by others, which name no file that is new to it."""
        numbered = _Numbered(zip(self._table, range(len(self._table)), strict=True))
        packed: list[bytes | memoryview] = [
            self._data[start:end] for start, end in zip(self._ends, self._ends[1:], strict=False)
        ]
        for number in {at // _ROWS for at in rows}:
            block = [rows.get(number * _ROWS + at, row) for at, row in enumerate(self._block(number))]
            packed[number] = _join(*_pack_block(block, numbered), self._kind)
        if len(numbered) != len(self._table):
            raise ValueError("a new name")
        return _assemble(generation, self._kind, self._names, packed)

    def _block(self, number: int) -> list[Row]:
        if number not in self._unpacked:
            self._unpacked[number] = self._unpack(number)
        return self._unpacked[number]

    def _unpack(self, number: int) -> list[Row]:
        data = self._data[self._ends[number] : self._ends[number + 1]]
        (size,) = _BLOCK.unpack_from(data)
        numbers = array(self._kind)
        numbers.frombytes(data[_BLOCK.size + size :])
        unpacker = _Unpacker(self._table, numbers, self._objtree)
        return [
            unpacker.row(*told)
            for told in json.loads(zlib.decompress(data[_BLOCK.size : _BLOCK.size + size]))
        ]


# -- the parts ----------------------------------------------------------------


class _Numbered(dict[str, int]):
    """Each name its number, in the order they come."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def _pack_block(rows: Sequence[Row], numbered: _Numbered) -> tuple[bytes, array[int]]:
    numbers = array("I")
    told = []
    for recorded, judged in rows:
        rule = None if recorded is None else recorded.rule
        told.append(
            (
                recorded.ctime_ns if recorded else 0,
                None if rule is None else _tell(rule, numbered, numbers),
                judged is not None,
                None if judged is None or judged == rule else _tell(judged, numbered, numbers),
            )
        )
    # Commands are much alike, and few bytes of numbers are saved for the time it takes.
    return zlib.compress(json.dumps(told, separators=(",", ":")).encode(), 1), numbers


def _join(text: bytes, numbers: array[int], kind: str) -> bytes:
    return b"".join((_BLOCK.pack(len(text)), text, array(kind, numbers).tobytes()))


def _assemble(generation: int, kind: str, names: bytes, blocks: Sequence[bytes | memoryview]) -> bytes:
    sizes = struct.pack(f"<{len(blocks)}Q", *map(len, blocks))
    return b"".join((_HEAD.pack(generation, len(sizes), len(names), kind.encode()), sizes, names, *blocks))


def _tell(rule: Rule, numbered: _Numbered, numbers: array[int]) -> list[Any]:
    """One rule for JSON; its long lists are appended to the numbers."""
    number = numbered.__getitem__
    lists = (rule.prerequisites, rule.optional_prerequisites, rule.config)
    for listed in lists:
        numbers.extend(map(number, listed))
    return [
        number(rule.target), rule.action.name, list(map(number, rule.outputs)),
        None if rule.source is None else number(rule.source),
        list(map(number, rule.uncompared_inputs)), sorted(map(number, rule.replaced_if_changed)),
        None if rule.record is None else number(rule.record), None if rule.state is None else rule.state.name,
        rule.record_problem, rule.command, rule.depfile, *map(len, lists),
    ]  # fmt: skip


class _Unpacker:
    """Reads the rows of one block, from the first to the last."""

    def __init__(self, names: list[str], numbers: array[int], objtree: str) -> None:
        self._take, self._numbers, self._objtree = names.__getitem__, numbers, objtree
        self._at = 0

    def row(self, ctime_ns: int, recorded: list[Any] | None, visited: bool, judged: list[Any] | None) -> Row:
        rule = None if recorded is None else self._rule(*recorded)
        other = None if judged is None else self._rule(*judged)
        return Row(None if rule is None else CachedRule(rule, ctime_ns), (other or rule) if visited else None)

    def _rule(
        self, target: int, action: str, outputs: list[int], source: int | None, uncompared: list[int],
        replaced: list[int], record: int | None, state: str | None, problem: str, command: str,
        depfile: str | None, *counts: int,
    ) -> Rule:  # fmt: skip
        take = self._take
        prerequisites, optional, config = (self._names(count) for count in counts)
        path = take(target)
        return Rule(
            target=path,
            name=path.removeprefix(f"{self._objtree}/"),
            owner=Owner.KERNEL,
            action=Action[action],
            outputs=tuple(map(take, outputs)),
            prerequisites=prerequisites,
            config_dir=self._objtree,
            source=None if source is None else take(source),
            optional_prerequisites=optional,
            config=config,
            uncompared_inputs=tuple(map(take, uncompared)),
            replaced_if_changed=frozenset(map(take, replaced)),
            record=None if record is None else take(record),
            state=None if state is None else RecordState[state],
            record_problem=problem,
            command=command,
            depfile=depfile,
        )

    def _names(self, count: int) -> tuple[str, ...]:
        start, self._at = self._at, self._at + count
        return tuple(map(self._take, self._numbers[start : self._at]))
