# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps loaded: copies in an initramfs."""

from __future__ import annotations

import gzip
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.running import initramfs as initramfs_reader
from kdeps.running.facts import Initramfs
from kdeps.running.facts_text import parse_facts
from kdeps.running.reader import Reader
from tests.conftest import RunKdeps
from tests.lab.qemu import pack_cpio
from tests.support.loaded import COMPRESSORS, SHELLS, ask, build_id_of, collect, initramfs, packed
from tests.support.machine import Machine
from tests.support.miniature import Miniature


@pytest.mark.parametrize("kind", list(COMPRESSORS))
@pytest.mark.parametrize("which", ["new", "old"])
def test_a_copy_in_the_initramfs(
    tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps, kind: str, which: str
) -> None:
    """A module in the initramfs is loaded before the root file system's."""
    data = (built if which == "new" else old).read_bytes()
    name = f"usr/lib/modules/{machine.release}/updates/nova-core.ko"
    machine.boot_files(initramfs(kind, {"init": b"#!", name: data}))
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine)
    expected = (0, "same-link") if which == "new" else (1, "other-link")
    assert (answer.status, answer.kinds["initramfs"]) == expected
    if which == "old":
        assert answer.help == "sudo update-initramfs -u -k 7.2.13"
        links = answer.document["modules"][0]["links"]
        message = next(link["message"] for link in links if link["stage"] == "initramfs")
        assert message.endswith(", which is loaded before the root file system's")


def test_a_compressed_copy_in_the_initramfs(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """A compressed module in a compressed archive is read as well."""
    data = packed(built.read_bytes(), "xz", tmp_path)
    machine.boot_files(initramfs("gz", {f"lib/modules/{machine.release}/nova-core.ko.xz": data}))
    machine.load(build_id_of(built))
    assert ask(kdeps, tree, machine).kinds["initramfs"] == "same-link"


def test_no_copy_in_the_initramfs(tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps) -> None:
    """Copies for another release do not count."""
    machine.boot_files(initramfs("gz", {"lib/modules/5.0/nova-core.ko": b"x", "lib/nova-core.ko": b"x"}))
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["initramfs"]) == (0, "not-in-initramfs")


def test_the_last_of_several_archives_counts(
    tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps
) -> None:
    """A later file of the same name replaces the earlier one."""
    name = f"lib/modules/{machine.release}/nova-core.ko"
    machine.boot_files(
        initramfs("gz", {name: old.read_bytes()})
        + bytes(8)
        + initramfs("xz", {name: built.read_bytes()}, early=False)
    )
    machine.load(build_id_of(built))
    assert ask(kdeps, tree, machine).status == 0


def test_an_archive_behind_another_one(machine: Machine, built: Path) -> None:
    """Wherever a compressed archive ends, the one behind it is read, here and by every shell: each behind each."""
    kinds = list(COMPRESSORS)
    image, expected = b"", []
    pairs = itertools.chain.from_iterable(
        [(a,), *((a, b) for b in kinds[at + 1 :])] for at, a in enumerate(kinds)
    )
    following = [kind for pair in pairs for kind in pair] + kinds[:1]
    assert len(set(itertools.pairwise(following))) == len(kinds) ** 2
    for number, kind in enumerate(following):
        name = f"lib/modules/{machine.release}/{number:02}/nova-core.ko"
        files = {name: built.read_bytes(), "noise": random.Random(number).randbytes(70_000)}
        image += bytes(-len(image) % 512) + initramfs(kind, files, early=number == 0)
        expected.append((name, build_id_of(built)))
    machine.boot_files(image)
    found = [read_image(machine), *(read_collected(machine, shell) for shell in SHELLS)]
    assert found == [tuple(expected)] * len(found)


def test_the_last_copy_of_a_name_counts_here_and_in_every_shell(
    machine: Machine, built: Path, old: Path
) -> None:
    """In another archive that is packed with the first as one, and in one behind it."""
    name = f"lib/modules/{machine.release}/nova-core.ko"
    first, last = ({name: path.read_bytes()} for path in (old, built))
    behind = initramfs("gz", first) + bytes(8) + initramfs("xz", last, early=False)
    for image in (gzip.compress(pack_cpio(first) + pack_cpio(last)), behind):
        machine.boot_files(image)
        found = [read_image(machine), *(read_collected(machine, shell) for shell in SHELLS)]
        assert found == [((name, build_id_of(built)),)] * len(found)


def read_image(machine: Machine) -> tuple[tuple[str, str | None], ...]:
    """Return path and build id of the copies in the initramfs, as they are read here."""
    path = str(machine.root / f"boot/initrd.img-{machine.release}")
    return _copies(initramfs_reader.read_initramfs(path, {"nova_core": None}, machine.release, {}))


def read_collected(machine: Machine, shell: tuple[str, ...]) -> tuple[tuple[str, str | None], ...]:
    """Return the same as a shell collects it."""
    return _copies(parse_facts(collect(machine, shell), "facts").initramfs[0])


def _copies(image: Initramfs) -> tuple[tuple[str, str | None], ...]:
    assert image.problem == ""
    return tuple((copy.path, copy.build_id) for copy in image.modules.get("nova_core", ()))


@pytest.mark.parametrize("tail", [b"\x89PNG\r\n", b"\x1f\x8b\x08\0damaged", b"070701damaged"])
def test_what_is_behind_an_archive_and_no_archive(machine: Machine, built: Path, tail: bytes) -> None:
    """Where the place is known, what cannot be read there is a problem; nothing is passed over."""
    machine.boot_files(initramfs("plain", {"init": b"x"}) + tail)
    for shell in SHELLS:
        assert parse_facts(collect(machine, shell), "facts").initramfs[0].problem
    path = str(machine.root / f"boot/initrd.img-{machine.release}")
    assert initramfs_reader.read_initramfs(path, {"nova_core": None}, machine.release, {}).problem
    assert built


def test_an_initramfs_is_unpacked_once(
    machine: Machine, built: Path, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has is remembered until the file changes, also for a copy with another id, whose code is known then."""
    unpacked: list[Reader] = []
    whole = initramfs_reader.iterate_files

    def count(source: Reader) -> Iterator[tuple[str, Reader]]:
        unpacked.append(source)
        return whole(source)

    monkeypatch.setattr(initramfs_reader, "iterate_files", count)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    name, other = (f"lib/modules/{machine.release}/{stem}.ko" for stem in ("nova-core", "other"))
    path = machine.boot_files(initramfs("gz", {name: old.read_bytes(), other: built.read_bytes()}))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    monkeypatch.setattr(initramfs_reader, "is_racy", lambda *_: False)

    def read(**ids: str | None) -> tuple[int, Initramfs]:
        unpacked.clear()
        image = initramfs_reader.read_initramfs(str(path), ids, machine.release, environ)
        return min(1, len(unpacked)), image  # an archive in another one counts once

    first = read(nova_core=build_id_of(old))
    assert (first[0], _copies(first[1])) == (1, ((name, build_id_of(old)),))
    assert read(nova_core=build_id_of(old)) == (0, first[1])
    assert read(absent=None)[0] == 0
    times, image = read(nova_core=build_id_of(built))
    assert (times, bool(image.modules["nova_core"][0].code)) == (1, True)
    assert read(nova_core=build_id_of(built)) == (0, image)
    assert read(other=build_id_of(built), nova_core=build_id_of(old))[0] == 1
    machine.boot_files(initramfs("gz", {"init": b"x"}))
    assert read(nova_core=None) == (1, Initramfs(str(path)))
    assert read(nova_core=None) == (0, Initramfs(str(path)))
