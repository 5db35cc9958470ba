# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The memory of builds: what each artifact of an object tree was built from.

One file per object tree in the user's cache directory. It has one table of contents
(path, hash, stamp) and one entry per step, which lists positions in that table. Two
steps that read the same header share a row; two contents of one path are two rows.

Deleting the memory costs time, never correctness. A damaged one counts as none.
"""

from __future__ import annotations

import marshal
import os
from array import array

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.system.cache import Store, cache_directory, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kdeps.system.stat import Stamp

_KIND = "builds"
KEPT = 32
"""How many trees are remembered; the one that was written longest ago goes first."""
GONE = b""
"""The hash of a file that is not there."""
DOUBT = b"?"
"""In place of the hash of what is not known, such as an input that was changed while its step ran: no file has it."""
CONFIGURATION = "include/config/auto.conf"
"""The name of the step that syncs the configuration, which leaves no record."""


class Entry(NamedTuple):
    """What one step was made from."""

    command: bytes
    """Hash of the recorded command."""
    built_ns: int
    """mtime of the record; of the target where the step leaves no record."""
    decides: bytes
    """Positions of what make compares the target with."""
    also: bytes
    """Positions of what else the outputs follow from: tools, scripts, symbols."""
    outputs: bytes
    """Positions of every file that the step wrote."""
    shadows: bytes
    """Hash of the names that could stand in for an input (``kdeps.contents.shadows``)."""

    def is_doubtful(self) -> bool:
        """Whether sources were changed while the step ran; only they, and the outputs, are known then."""
        return not self.also


class Table:
    """Contents of paths, a row each. Entries list rows by their positions."""

    def __init__(
        self,
        paths: list[str] | None = None,
        digests: list[bytes] | None = None,
        stamps: list[Stamp | None] | None = None,
    ) -> None:
        self.paths = paths or []
        self.digests = digests or []
        self.stamps = stamps or []
        """When a row was last seen on disk with its hash; None where the path is no file."""
        self._positions: dict[tuple[str, bytes], int] | None = None

    def add(self, path: str, digest: bytes, stamp: Stamp | None) -> int:
        """Return the row of a content; its stamp becomes the given one."""
        if self._positions is None:
            pairs = zip(self.paths, self.digests, strict=True)
            self._positions = {pair: at for at, pair in enumerate(pairs)}
        at = self._positions.setdefault((path, digest), len(self.paths))
        if at == len(self.paths):
            self.paths.append(path)
            self.digests.append(digest)
            self.stamps.append(stamp)
        else:
            self.stamps[at] = stamp
        return at

    def known_hashes(self) -> dict[str, tuple[Stamp, bytes]]:
        """Map each path to the last stamp and hash that were seen together."""
        known: dict[str, tuple[Stamp, bytes]] = {}
        for path, stamp, digest in zip(self.paths, self.stamps, self.digests, strict=True):
            if stamp is not None and (path not in known or known[path][0][4] < stamp[4]):
                known[path] = (stamp, digest)
        return known

    def copy_rows(self, entry: Entry, other: Table, copied: dict[int, int]) -> Entry:
        """Add the rows of an entry to another table, and return the entry that it has there.

        ``copied`` says which row is which there; it is one for all calls with the same tables.
        """

        def row(at: int) -> int:
            there = copied.get(at)
            if there is None:
                there = copied[at] = other.add(self.paths[at], self.digests[at], self.stamps[at])
            return there

        return entry._replace(
            decides=pack(map(row, unpack(entry.decides))),
            also=pack(map(row, unpack(entry.also))),
            outputs=pack(map(row, unpack(entry.outputs))),
        )


class Memory(Table):
    """The memory of one object tree."""

    def __init__(
        self,
        paths: list[str] | None = None,
        digests: list[bytes] | None = None,
        stamps: list[Stamp | None] | None = None,
        entries: dict[str, Entry] | None = None,
    ) -> None:
        super().__init__(paths, digests, stamps)
        self.entries = entries or {}


def find_built_from(memory: Memory, target: str) -> dict[str, bytes] | None:
    """Find every file that an artifact was built from, through all steps between, and its hash.

    Only files that no step writes are in it. Returns None if a step is not remembered.
    """
    writers = {
        memory.paths[at]: name for name, entry in memory.entries.items() for at in unpack(entry.outputs)
    }
    found: dict[str, bytes] = {}
    waiting, seen = [target], {target}
    while waiting:
        entry = memory.entries.get(waiting.pop())
        if entry is None or entry.is_doubtful():
            return None
        for at in unpack(entry.decides):
            path = memory.paths[at]
            writer = writers.get(path)
            if writer is None:
                found[path] = memory.digests[at]
            elif writer not in seen:
                seen.add(writer)
                waiting.append(writer)
    return {path: digest for path, digest in found.items() if digest != GONE}


def pack(positions: Iterable[int]) -> bytes:
    """Write positions as bytes."""
    return array("I", positions).tobytes()


def unpack(data: bytes) -> array[int]:
    """Read positions."""
    positions = array("I")
    positions.frombytes(data)
    return positions


def memory_key(objtree: str, *, whole: bool = False) -> str:
    """The key of a memory in the store; plain ``make`` of the whole kernel has its own."""
    return f"//{objtree}" if whole else objtree


def load_memory(objtree: str, environ: dict[str, str], *, whole: bool = False) -> Memory | None:
    """Read a memory. Returns None if it does not exist, or if it is damaged."""
    value = _store(environ).load(memory_key(objtree, whole=whole))
    return None if value is None else _decode(value)


def memory_file(objtree: str, environ: dict[str, str]) -> str:
    """The path of a memory, be there one or not."""
    return os.path.join(cache_directory(environ), _KIND, name_of(memory_key(objtree)))


def _store(environ: dict[str, str]) -> Store:
    return Store(_KIND, environ, version=marshal.version, keep=KEPT)


def save_memory(memory: Memory, objtree: str, environ: dict[str, str], *, whole: bool = False) -> None:
    """Write a memory in one rename, without the rows that no entry lists."""
    _store(environ).save(memory_key(objtree, whole=whole), _encode(memory))


def update_memory(
    change: Callable[[Memory], bool], objtree: str, environ: dict[str, str], *, whole: bool = False
) -> None:
    """Change the memory of an object tree (``whole``: that of plain ``make``).

    ``change`` tells whether it changed the memory that it was given. It is called again, with another memory, where
    another process saved one meanwhile.
    """

    def change_value(value: bytes | None) -> bytes | None:
        memory = Memory() if value is None else _decode(value)
        return _encode(memory) if change(memory) else None

    _store(environ).update(memory_key(objtree, whole=whole), change_value)


def _decode(value: bytes) -> Memory:
    paths, digests, stamps, entries = marshal.loads(value)
    return Memory(paths, digests, stamps, {target: Entry(*entry) for target, entry in entries.items()})


def _encode(memory: Memory) -> bytes:
    listed, copied = Table(), dict[int, int]()
    entries = {
        target: tuple(memory.copy_rows(entry, listed, copied)) for target, entry in memory.entries.items()
    }
    return marshal.dumps((listed.paths, listed.digests, listed.stamps, entries))
