# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Contents, hashed and remembered by their stamps."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from kdeps.contents.hashes import GONE, OUTSIDE, FileHasher
from kdeps.contents.ledger import take_ledger
from tests.campaigns.ledger.file_events import edited_in_place
from tests.support.ledger import contents_of, look, record
from tests.support.miniature import Miniature

# -- hashing -------------------------------------------------------------------------


def test_only_what_stat_cannot_decide_is_read_again(
    tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run reads nothing; a file that was written to is read."""
    monkeypatch.setattr("kdeps.contents.hashes.time.time_ns", lambda: 2**62)
    record(tree, tmp_path)
    found = look(tree)
    again = contents_of(found, tmp_path)
    take_ledger((found,), again, tree.environment())
    assert again.bytes_read == 0
    edited_in_place(tree.path("rust/kernel/io.rs"), random.Random(3))
    third = contents_of(found, tmp_path)
    take_ledger((found,), third, tree.environment())
    assert third.bytes_read == tree.path("rust/kernel/io.rs").stat().st_size


def test_a_racily_clean_file_is_read_again(tmp_path: Path) -> None:
    """Written a moment before it was hashed, it could change within the same tick of its stamps."""
    path = tmp_path / "file"
    path.write_text("one")
    for _ in range(2):
        contents = FileHasher((str(tmp_path),), {"XDG_CACHE_HOME": str(tmp_path / "cache")}, "key")
        contents.read(str(path))
        contents.store()
        assert contents.bytes_read == 3


@pytest.mark.parametrize("harm", ["cut", "flip", "foreign", "fifo", "folder", "unwritable"])
def test_a_broken_memory_costs_time_only(tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off, a flipped bit, another version, something else in its place: the file is read."""
    monkeypatch.setattr("kdeps.contents.hashes.time.time_ns", lambda: 2**62)
    path = tmp_path / "tree" / "file"
    path.parent.mkdir()
    path.write_text("one")
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def read() -> tuple[str, int]:
        contents = FileHasher((str(path.parent),), environ, "key")
        digest = contents.read(str(path)).digest
        contents.store()
        return digest, contents.bytes_read

    digest = read()[0]
    assert read() == (digest, 0)
    (memory,) = (tmp_path / "cache/kdeps/hashes").iterdir()
    data = bytearray(memory.read_bytes())
    memory.unlink()
    if harm == "cut":
        memory.write_bytes(bytes(data[:-9]))
    elif harm == "flip":
        at = data.index(digest.encode())
        data[at] ^= 1
        memory.write_bytes(bytes(data))
    elif harm == "foreign":
        memory.write_bytes(bytes(data).replace(b"kdeps-cache 1", b"kdeps-cache 9"))
    elif harm == "fifo":
        os.mkfifo(memory)
    elif harm == "folder":
        memory.mkdir()
    else:
        shutil.rmtree(tmp_path / "cache")
        (tmp_path / "cache").write_text("")
    assert read() == (digest, 3)


def test_nothing_outside_the_roots_is_read(tmp_path: Path) -> None:
    """By name, by ``..``, through a link in the tree, through a linked folder."""
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (other / "secret").write_text("secret")
    (root / "link").symlink_to(other / "secret")
    (root / "folder").symlink_to(other)
    (root / "loop").symlink_to(root / "loop")
    (root / "inside").symlink_to(root / "real")
    (root / "real").write_text("real")
    contents = FileHasher((str(root),), {}, "key")
    for name in ("link", "folder/secret", "../other/secret"):
        assert contents.read(f"{root}/{name}") is OUTSIDE
    assert contents.read("/etc/passwd") is OUTSIDE
    assert contents.read(f"{root}/nothing") is GONE
    assert not contents.read(f"{root}/loop").digest
    assert contents.bytes_read == 0
    assert contents.read(f"{root}/inside").size == 4


def test_what_is_no_plain_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A fifo without a writer, a device without an end, ten gigabytes of nothing."""
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(10 << 30)
    (tmp_path / "folder").mkdir()
    contents = FileHasher(("/",), {}, "key")
    for path in (tmp_path / "fifo", tmp_path / "huge", tmp_path / "folder", Path("/dev/zero")):
        found = contents.read(str(path))
        assert not found.digest
        assert found.why
    assert contents.bytes_read == 0
