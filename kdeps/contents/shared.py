# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Steps that others have run: the store of steps, shared through a folder or a server.

One description has the steps of one object tree at one place in the file system, because rustc writes places
into what it makes. It is JSON, packed by gzip, and trusted with the code of artifacts, as a compiler cache is, but not with
paths: it may write what this build writes, and new artifacts in the folders of the build; never a source. A step is taken only where compilers
of the same version, from files of the same content, would run it here.

Two who add at once: in a folder nothing is lost; on a server the later description replaces the earlier one,
whose steps will be built once more.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from kdeps.contents.inputs import TOOLS, Surroundings, built_ns, configuration_outputs, configuration_target
from kdeps.contents.memory import Entry, pack
from kdeps.contents.steps import VERSIONS, Index, Step, load_index
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.blobs import Blobs
from kdeps.system.errors import KdepsError
from kdeps.system.remote import MAX_DESCRIPTION, SharedPlace, open_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from kdeps.kbuild.tree import Tree
    from kdeps.staleness.check import CheckResult

_FORMAT = "kdeps steps 2"
_MAX_UNPACKED = 512 << 20
_ARTIFACTS = (".o", ".rmeta", ".so", ".cmd")
"""Suffixes of new files that a shared step may write where the build has no step, as in a module that was cleaned."""


class SharedSteps:
    """The shared steps of one object tree, as one run of kdeps uses them."""

    def __init__(self, place: SharedPlace, result: CheckResult, environ: dict[str, str]) -> None:
        self._place, self._tree = place, result.tree
        self._around = Surroundings(result.tree, environ)
        self._may_write = _Writable(result)
        self.problem = ""
        """Why the place failed; empty as long as it works."""

    def add_to(self, index: Index) -> list[Step]:
        """Add the shared steps to an index, behind those that are kept here; return them."""
        try:
            data = self._place.read("ac", _key(self._tree), MAX_DESCRIPTION)
            steps = [] if data is None else _read_description(data, index, self._may_write)
        except KdepsError as error:
            self.problem = str(error)
            return []
        if not steps:
            return []
        here, identity = self._around.tools.identity(), self._around.tools.portable()
        added = []
        for step, tools in steps:
            if tools != identity:
                continue
            also = [*step.also, index.add(TOOLS, here, None)]
            found = step.step._replace(entry=step.step.entry._replace(also=pack(also)))
            index.steps.setdefault(found.target, []).insert(0, found)
            added.append(found)
        return added

    def fetch(self, digests: set[bytes], blobs: Blobs) -> None:
        """Copy contents that are not here from there; what cannot be had stays away."""
        for digest in sorted(digests):
            if self.problem or blobs.has_all((digest,)):
                continue
            try:
                blobs.receive(digest, lambda target, digest=digest: self._place.fetch(digest, target))  # type: ignore[misc]
            except KdepsError as error:
                self.problem = str(error)


class _Writable:
    """Which paths a step of others may write."""

    def __init__(self, result: CheckResult) -> None:
        tree = result.tree
        self._folders = tuple(
            f"{place}/" for place in (tree.objtree, tree.module_output, tree.module) if place
        )
        self._written = {
            *result.graph.producers,
            *(rule.record for rule in result.graph.rules if rule.record is not None),
            *configuration_outputs(tree),
        }

    def __call__(self, path: str) -> bool:
        folder = os.path.dirname(path)
        if (
            not path.startswith(self._folders)
            or os.path.realpath(folder) != folder
            or os.path.normpath(path) != path
        ):
            return False  # Kbuild's `source` is a link out of the object tree
        return path in self._written or (path.endswith(_ARTIFACTS) and not os.path.lexists(path))


class Published(NamedTuple):
    """What was added to a shared place."""

    steps: int
    new_bytes: int


def open_shared(name: str, result: CheckResult, environ: dict[str, str]) -> SharedSteps:
    """Open the shared steps of an object tree. Raises KdepsError: the place cannot be used."""
    return SharedSteps(open_place(name, environ), result, environ)


def publish_steps(result: CheckResult, place: SharedPlace, environ: dict[str, str]) -> Published:
    """Add the steps of a build, as it is now, that ``keep_steps`` has kept here to a shared place that is open to
    write.

    Raises KdepsError if it cannot be written.
    """
    tree = result.tree
    index = load_index(tree.objtree, environ)
    if index is None:
        return Published(0, 0)
    around = Surroundings(tree, environ)
    steps = _current_steps(index, result, around.tools.identity())
    new_bytes = 0
    with Blobs(environ) as blobs:
        wanted = {digest for step in steps for _, digest in _contents(index, step)}
        for digest in sorted(wanted):
            if place.has(digest):
                continue
            try:
                copy = blobs.open_copy(digest)
            except OSError as error:
                raise KdepsError(f"{error.filename}: {error.strerror}") from error
            with copy:
                place.put(digest, copy)
                new_bytes += os.fstat(copy.fileno()).st_size
    identity = around.tools.portable()
    mine = [_describe(index, step, identity) for step in steps]
    place.update(_key(tree), lambda old: _merge(old, mine))
    return Published(len(steps), new_bytes)


def _current_steps(index: Index, result: CheckResult, tools: bytes) -> list[Step]:
    """The builds whose outputs are in the tree now, made by the compilers of now."""
    made = {rule.target: built_ns(rule, result.snapshot.mtime_ns) for rule in result.graph.rules}
    synced = configuration_target(result.tree)
    made[synced] = find_mtime_ns(synced)
    return [
        step
        for target, builds in index.steps.items()
        for step in builds
        if step.entry.outputs
        and (TOOLS, tools) in index.contents(step.entry.also)
        and step.entry.built_ns == made.get(target)
    ]


def _contents(index: Index, step: Step) -> list[tuple[str, bytes]]:
    outputs = index.contents(step.entry.outputs)
    return [*outputs, step.record] if step.record[0] else outputs


def _key(tree: Tree) -> str:
    return hashlib.sha256(
        "\0".join((_FORMAT, tree.srctree, tree.objtree)).encode("utf-8", "surrogateescape")
    ).hexdigest()


# -- the description ---------------------------------------------------------------------


class _Read(NamedTuple):
    step: Step
    also: list[int]


def _describe(index: Index, step: Step, tools: str) -> dict[str, Any]:
    entry = step.entry

    def rows(part: bytes) -> list[list[str]]:
        return [[path, digest.hex()] for path, digest in index.contents(part) if path != TOOLS]

    return {
        "target": step.target, "command": entry.command.hex(), "shadows": entry.shadows.hex(), "tools": tools,
        "decides": rows(entry.decides), "also": rows(entry.also), "outputs": rows(entry.outputs),
        "record": [step.record[0], step.record[1].hex()], "modes": step.modes, "folders": step.folders,
        "commands": step.commands.hex(),
    }  # fmt: skip


def _merge(old: bytes | None, mine: list[dict[str, Any]]) -> bytes:
    """Put steps in front of those that are there; of each target the latest stay."""
    there = _unpack(old)["steps"] if old is not None else []
    kept: dict[str, list[dict[str, Any]]] = {}
    for step in (*mine, *there):
        builds = kept.setdefault(step["target"], [])
        if step not in builds and len(builds) < VERSIONS:
            builds.append(step)
    paths: dict[tuple[str, str], int] = {}
    steps = [_number(step, paths) for builds in kept.values() for step in builds]
    text = json.dumps({"format": _FORMAT, "contents": list(paths), "steps": steps}, separators=(",", ":"))
    return gzip.compress(text.encode("utf-8", "surrogatepass"), mtime=0)


_PARTS = ("decides", "also", "outputs")


def _number(step: dict[str, Any], paths: dict[tuple[str, str], int]) -> dict[str, Any]:
    return {
        **step,
        **{
            part: [paths.setdefault((path, digest), len(paths)) for path, digest in step[part]]
            for part in _PARTS
        },
    }


def _unpack(data: bytes) -> dict[str, Any]:
    """Unpack a description, its contents in place. Raises KdepsError: the data are no description."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(data, _MAX_UNPACKED)
        if not unpacker.eof:
            raise ValueError("it is cut off or too large")
        document = json.loads(text)
        if document["format"] != _FORMAT:
            raise ValueError("it has another format")
        contents = document["contents"]
        for step in document["steps"]:
            for part in _PARTS:
                step[part] = [contents[at] for at in step[part]]
    except (ValueError, KeyError, TypeError, IndexError, zlib.error, RecursionError) as error:
        raise KdepsError(f"the description of shared steps is damaged: {error}") from error
    return document  # type: ignore[no-any-return]


def _read_description(data: bytes, index: Index, may_write: Callable[[str], bool]) -> list[tuple[_Read, str]]:
    """Read the steps of a description; their contents become rows of the index.

    Raises KdepsError: the data are no description.
    """
    found = []
    try:
        for said in _unpack(data)["steps"]:
            step = _read_step(said, index)
            written = [path for path, _ in _contents(index, step.step)]
            if all(map(may_write, (step.step.target, *written))):
                found.append((step, said["tools"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KdepsError(f"the description of shared steps is damaged: {error!r}") from error
    return found


def _read_step(said: dict[str, Any], index: Index) -> _Read:
    def rows(part: str) -> list[int]:
        return [index.add(_text(path), bytes.fromhex(digest), None) for path, digest in said[part]]

    outputs = rows("outputs")
    modes = tuple(int(mode) & 0o777 for mode in said["modes"])
    if len(modes) != len(outputs):
        raise ValueError("not every output has permissions")
    decides, also = rows("decides"), rows("also")
    entry = Entry(
        bytes.fromhex(said["command"]), 0, pack(decides), b"", pack(outputs), bytes.fromhex(said["shadows"])
    )
    path, digest = said["record"]
    step = Step(
        _text(said["target"]), entry, (_text(path), bytes.fromhex(digest)), modes,
        tuple(map(_text, said["folders"])), bytes.fromhex(said["commands"]),
    )  # fmt: skip
    return _Read(step, also)


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("no path")
    return value
