# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The store of steps: what was built once need not be built again.

Each step that the memory of builds describes is kept: what it was made from, and copies of its outputs
and of Kbuild's record (``kdeps.system.blobs``). ``kdeps.contents.restore`` puts them back when a step is to
run again with all of its inputs the same.

Kept are steps that compile or generate. What links, and whatever follows from ``Module.symvers``, is left
to make: it is cheap, and its inputs are not all named. A step that once had other outputs from the same
inputs is never restored.
"""

from __future__ import annotations

import hashlib
import marshal
import os
from typing import TYPE_CHECKING, NamedTuple

from kdeps.contents.digest import Hasher, is_copied
from kdeps.contents.inputs import (
    Surroundings,
    built_ns,
    command_digest,
    configuration_target,
    is_remembered,
)
from kdeps.contents.memory import DOUBT, GONE, Entry, Memory, Table, unpack
from kdeps.contents.remember import remember
from kdeps.contents.shadows import searched_folders
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.system.blobs import Blobs
from kdeps.system.cache import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kdeps.staleness.check import CheckResult

VERSIONS = 32
"""How many builds of one target are kept; the one that was used longest ago goes first."""
KEPT_TREES = 32
_LINKED = (".ko", ".a", ".mod", ".mod.c", ".mod.o", "modules.order", "Module.symvers", "vmlinux", "vmlinux.o")


class Step(NamedTuple):
    """One build of one target."""

    target: str
    entry: Entry
    """What it was made from and what it made, in the rows of the index. Without outputs it is never restored."""
    record: tuple[str, bytes]
    """Path and hash of Kbuild's record; both empty where the step leaves none."""
    modes: tuple[int, ...]
    """Permissions of the outputs, in their order."""
    folders: tuple[str, ...]
    """Where its command looks for headers and crates."""
    commands: bytes
    """Hash of what commands were made from (``Surroundings.commands``); empty: it has changed since."""


class Index(Table):
    """The kept steps of one object tree."""

    def __init__(
        self,
        paths: list[str] | None = None,
        digests: list[bytes] | None = None,
        steps: dict[str, list[Step]] | None = None,
    ) -> None:
        super().__init__(paths, digests, [None] * len(paths or ()))
        self.steps = steps or {}
        """Target → its builds, the one that was used last at the end."""

    def contents(self, part: bytes) -> list[tuple[str, bytes]]:
        """List path and hash of some rows."""
        return [(self.paths[at], self.digests[at]) for at in unpack(part)]

    def use(self, step: Step) -> None:
        """Put a build at the end of those of its target."""
        builds = self.steps.setdefault(step.target, [])
        if step in builds:
            builds.remove(step)
        builds.append(step)
        del builds[:-VERSIONS]


def load_index(objtree: str, environ: dict[str, str]) -> Index | None:
    """Read the index of an object tree. Returns None if it does not exist, or if it is damaged."""
    value = _store(environ).load(objtree)
    return None if value is None else _decode(value)


def _decode(value: bytes) -> Index:
    paths, digests, builds = marshal.loads(value)
    steps: dict[str, list[Step]] = {}
    for target, entry, *rest in builds:
        steps.setdefault(target, []).append(Step(target, Entry(*entry), *rest))
    return Index(paths, digests, steps)


def save_index(index: Index, objtree: str, environ: dict[str, str]) -> None:
    """Write an index in one rename, without the rows that no step lists."""
    _store(environ).save(objtree, _encode(index))


def _encode(index: Index) -> bytes:
    listed, copied = Table(), dict[int, int]()
    builds = [
        tuple(step._replace(entry=tuple(index.copy_rows(step.entry, listed, copied))))  # type: ignore[arg-type]
        for steps in index.steps.values()
        for step in steps
    ]
    return marshal.dumps((listed.paths, listed.digests, builds))


def _store(environ: dict[str, str]) -> Store:
    return Store("steps", environ, version=marshal.version, keep=KEPT_TREES)


def is_kept(rule: Rule) -> bool:
    """Whether steps of this kind are kept."""
    if rule.action is Action.FILECHK:
        return is_remembered(rule) and rule.owner is Owner.KERNEL
    if rule.action is not Action.IF_CHANGED or rule.record is None or rule.target.endswith(_LINKED):
        return False
    return rule.owner is Owner.KERNEL or (rule.owner is Owner.MODULE and rule.source is not None)


def remember_build(result: CheckResult, environ: dict[str, str], since_ns: int) -> Memory | None:
    """Remember a build by its verdict by time, and keep its steps; return the memory, or None where nothing is
    remembered.

    What changed after ``since_ns``, when kdeps began, is not remembered.
    """
    if result.tree.prebuilt:
        return None
    memory = remember(result, environ, since_ns)
    if not result.rules.whole:
        keep_steps(result, memory, environ)
    return memory


def keep_steps(result: CheckResult, memory: Memory, environ: dict[str, str]) -> None:
    """Keep every step that the memory, taken from this verdict by time, describes and that is not kept yet."""
    try:
        blobs = Blobs(environ, create=True)
    except OSError:
        return

    def keep(value: bytes | None) -> bytes | None:
        index = Index() if value is None else _decode(value)
        return _encode(index) if _keep_in(index, result, memory, blobs, environ) else None

    with blobs:
        if _store(environ).update(result.tree.objtree, keep):
            blobs.drop_old()


def _keep_in(
    index: Index, result: CheckResult, memory: Memory, blobs: Blobs, environ: dict[str, str]
) -> bool:
    """Keep the steps in an index; tell whether one was new."""
    hasher = Hasher(memory.known_hashes())
    keeper = _Keeper(memory, index, blobs, hasher, *Surroundings(result.tree, environ).commands(hasher))
    keeper.keep(configuration_target(result.tree), "", ())
    for rule in result.graph.rules:
        entry = memory.entries.get(rule.target)
        if (
            entry is not None
            and not entry.is_doubtful()
            and all(memory.digests[at] != DOUBT for at in unpack(entry.also))
            and is_kept(rule)
            and entry.command == command_digest(rule)
            and entry.built_ns == built_ns(rule, result.snapshot.mtime_ns)
        ):
            folders = searched_folders(rule.command, rule.config_dir)
            keeper.keep(rule.target, rule.record or "", folders)
    return keeper.changed


class _Keeper:
    def __init__(
        self, memory: Memory, index: Index, blobs: Blobs, hasher: Hasher, commands: bytes, changed_ns: int
    ) -> None:
        self.memory, self.index, self.blobs = memory, index, blobs
        self.changed = False
        self._hasher, self._commands, self._changed_ns = hasher, commands, changed_ns
        self._copied: dict[int, int] = {}

    def keep(self, target: str, record: str, folders: tuple[str, ...]) -> None:
        """Keep one step as it is on disk now, unless it is kept or cannot be."""
        known = self.memory.entries.get(target)
        builds = self.index.steps.get(target, [])
        if known is None or any(step.entry.built_ns == known.built_ns for step in builds):
            return
        entry = self.memory.copy_rows(known, self.index, self._copied)
        is_theirs = self._changed_ns <= known.built_ns or (record and is_copied(record))
        commands = self._commands if is_theirs else b""
        step = self._describe(Step(target, entry, (record, GONE), (), folders, commands))
        if step is None:
            return
        self.changed = True
        inputs = identity(self.index, entry)
        for other in builds:
            if identity(self.index, other.entry) == inputs:
                builds.remove(other)
                if self.index.contents(other.entry.outputs) != self.index.contents(entry.outputs):
                    step = step._replace(entry=entry._replace(outputs=b""))
                break
        self.index.use(step)

    def _describe(self, step: Step) -> Step | None:
        outputs = self.index.contents(step.entry.outputs)
        record = step.record[0]
        if record:
            digest = self._hasher.look(record)[1]
            if not digest:
                return None
            step = step._replace(record=(record, digest))
            outputs = [*outputs, (record, digest)]
        if not all(digest and self.blobs.keep(path, digest) for path, digest in outputs):
            return None
        try:
            return step._replace(
                modes=tuple(
                    os.stat(self.index.paths[at]).st_mode & 0o777 for at in unpack(step.entry.outputs)
                )
            )
        except OSError:
            return None


def identity(index: Index, entry: Entry) -> bytes:
    """Hash of all that a step was made from."""
    parts: Iterable[tuple[str, bytes]] = (*index.contents(entry.decides), *index.contents(entry.also))
    digest = hashlib.sha256(entry.command + entry.shadows)
    for path, content in sorted(parts):
        digest.update(path.encode("utf-8", "surrogateescape") + b"\0" + content + b"\0")
    return digest.digest()
