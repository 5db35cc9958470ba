# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps loaded: damaged and hostile files."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
from pathlib import Path

import pytest

from kdeps.running.module_file import read_module
from kdeps.system.errors import Unreadable
from tests.conftest import RunKdeps
from tests.lab.qemu import pack_cpio
from tests.support.loaded import ask, build_id_of, initramfs
from tests.support.machine import Machine
from tests.support.miniature import Miniature

# -- damaged and hostile files ------------------------------------------------------


def damaged_files(machine: Machine, built: Path) -> dict[str, bytes]:
    """Files whose contents are not what their names promise."""
    whole = initramfs("gz", {f"lib/modules/{machine.release}/nova-core.ko": built.read_bytes()})
    return {
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "cut in a header": pack_cpio({"init": b"x"})[:60],
        "unknown": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "bad number": b"070701" + b"zzzzzzzz" * 13,
        "long name": b"070701" + b"00000000" * 11 + b"ffffffff" + b"00000000",
        "long file": b"070701" + b"00000000" + b"000081a4" + b"00000000" * 4 + b"ffffffff" + b"00000000" * 4 + b"00000002" + b"0" * 8 + b"a\0",
        "damaged gzip": whole[:-40] + b"\xff" * 40,
        "damaged zstd": b"\x28\xb5\x2f\xfd" + b"\xff" * 100,
        "damaged xz": b"\xfd7zXZ\0" + b"\xff" * 100,
        "damaged lz4": b"\x02\x21\x4c\x18" + b"\xff" * 100,
    }  # fmt: skip


def test_a_damaged_initramfs_is_unknown(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps
) -> None:
    """What cannot be read is never fresh, and is one line."""
    machine.load(build_id_of(built))
    for name, data in damaged_files(machine, built).items():
        machine.boot_files(data)
        answer = ask(kdeps, tree, machine, by_script=False)
        assert (name, answer.status, answer.kinds["initramfs"]) == (name, 2, "unreadable")


def test_an_initramfs_that_is_a_bomb(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks to more than the bound is given up, in bounded memory."""
    from kdeps.running import initramfs as subject

    monkeypatch.setattr(subject, "MAX_INITRAMFS_BYTES", 32 << 20)
    bomb = gzip.compress(gzip.compress(bytes(256 << 20), 1), 1)
    image = subject.read_initramfs(str(machine.boot_files(bomb)), {"nova_core": None}, machine.release, {})
    assert image.problem
    assert not image.modules
    heavy = gzip.compress(pack_cpio({"x": b""})[:-4] + bytes(64 << 20), 1)
    image = subject.read_initramfs(str(machine.boot_files(heavy)), {"nova_core": None}, machine.release, {})
    assert image.problem == "unpacks to more than can be right"


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF\2\1\1" + b"\xff" * 200, b"text" * 100])
def test_an_installed_file_that_is_no_module(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, data: bytes
) -> None:
    """A damaged installed file is unknown."""
    machine.install("updates/nova-core.ko", data)
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine, by_script=False)
    assert (answer.status, answer.kinds["installed"]) == (2, "unreadable")


def test_a_module_with_bytes_changed_is_never_a_bug(built: Path, tmp_path: Path) -> None:
    """Whatever is in the file, the answer is a value or one line."""
    data = built.read_bytes()
    numbers = random.Random(7)
    path = tmp_path / "changed.ko"
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(numbers.randrange(1, 6)):
            changed[numbers.randrange(len(changed)) if numbers.random() < 0.3 else numbers.randrange(64)] = (
                numbers.randrange(256)
            )
        path.write_bytes(changed[: numbers.randrange(40, len(changed) + 1)])
        with contextlib.suppress(Unreadable):
            read_module(str(path), with_code=True)


def test_a_fifo_in_the_place_of_a_file(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps
) -> None:
    machine.install("updates/nova-core.ko", b"").unlink()
    os.mkfifo(machine.modules / "updates/nova-core.ko")
    machine.load(build_id_of(built))
    assert ask(kdeps, tree, machine).kinds["installed"] == "unreadable"
