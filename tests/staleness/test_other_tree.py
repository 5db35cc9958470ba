# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A module whose records are of another object tree, or of this one before it was moved or copied."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature, Snapshot
from tests.support.schemas import read_json
from tests.support.verdict import direct, judged

M = f"M={MODULE}"


@pytest.fixture(scope="module")
def both(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    tree = snapshot.put(tmp_path_factory.mktemp("both"))
    other = dataclasses.replace(tree, objtree=tree.root / "second")
    other.make("defconfig")
    other.make("modules_prepare")
    other.make(M)
    tree.touch(f"{MODULE}/gpu.rs")
    tree.make(M)
    return Snapshot(other)


@pytest.fixture
def second(both: Snapshot, tmp_path: Path) -> Miniature:
    """The same sources with an object tree of its own; the module was last built against the first one."""
    return both.put(tmp_path / "tree")


def test_a_fresh_tree_is_fresh_whatever_the_module_was_built_against(
    second: Miniature, kdeps: RunKdeps
) -> None:
    done = kdeps(second, "check", M)
    assert done.returncode == 0, done.stdout


def test_the_crates_of_the_tree_that_is_asked_about_count(second: Miniature, kdeps: RunKdeps) -> None:
    """make would compile the module anew, with crates that no record of the module names."""
    second.touch("rust/kernel/io.rs")
    for words in (("check", M), ("ci", M)):
        done = kdeps(second, *words)
        assert done.returncode == 1, done.stdout
        assert "rust/kernel/io.rs" in done.stdout


def test_ci_asks_for_a_module_of_this_tree(second: Miniature, kdeps: RunKdeps) -> None:
    """A tree is fresh before its module is built against it, but with --built that is asked for."""
    assert kdeps(second, "ci", M).returncode == 0
    done = kdeps(second, "ci", "--built", M)
    assert done.returncode == 1
    assert "last built against another object tree" in done.stdout
    second.make(M)
    assert kdeps(second, "ci", "--built", M).returncode == 0


def test_the_wrapper_refreshes_them(second: Miniature, kdeps: RunKdeps) -> None:
    io = second.srctree / "rust/kernel/io.rs"
    second.edit(io, io.read_text().replace("100", "500"))
    done = kdeps(second, "make", *second.tree_args, M)
    assert done.returncode == 0, done.stderr
    assert "500" in (second.srctree / MODULE / "nova-core.ko").read_text()


def test_a_tree_that_was_copied(tmp_path: Path, in_source: Snapshot, kdeps: RunKdeps) -> None:
    """The copy's records still name the original's crates."""
    original = in_source.put(tmp_path / "one")
    shutil.copytree(original.root, tmp_path / "two", symlinks=True)
    copy = dataclasses.replace(original, root=tmp_path / "two", objtree=tmp_path / "two/linux")
    copy.touch("rust/kernel/io.rs")
    done = kdeps(copy, "check", M)
    assert done.returncode == 1, done.stdout
    assert "io.rs" in done.stdout


def test_what_rustc_is_told_of_the_place_of_a_copied_tree(
    tmp_path: Path, in_source: Snapshot, kdeps: RunKdeps
) -> None:
    """Its commands name the object tree, so Kbuild compiles the copy's crates again; a link to the tree is no copy."""
    original = in_source.put(tmp_path / "one")
    shutil.copytree(original.root, tmp_path / "two", symlinks=True)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    copy = dataclasses.replace(original, root=tmp_path / "two", objtree=tmp_path / "two/linux")
    linked = dataclasses.replace(original, root=tmp_path / "link", objtree=tmp_path / "link/linux")
    verdict = judged(kdeps, copy, M)
    assert direct(verdict, "kernel") == set(copy.kernel_answer("modules_prepare")) != set()
    assert judged(kdeps, linked, M)["verdict"] == "fresh"
    copy.make("modules_prepare")
    assert judged(kdeps, copy, M)["verdict"] == "fresh"


def test_a_ledger_of_a_tree_that_was_moved(tmp_path: Path, in_source: Snapshot, kdeps: RunKdeps) -> None:
    """It holds for the moved tree, and so does what it says of that tree's crates."""
    tree = in_source.put(tmp_path / "one")
    ledger = tmp_path / "ledger"
    assert kdeps(tree, "ci", f"--record={ledger}", M).returncode == 0
    (tmp_path / "one/linux").rename(tmp_path / "one/moved")
    moved = dataclasses.replace(tree, objtree=tmp_path / "one/moved")
    io = tmp_path / "one/moved/rust/kernel/io.rs"
    io.write_text(io.read_text().replace("100", "500"))
    done = kdeps(moved, "ci", f"--against={ledger}", "--format=json", M, cwd=tmp_path / "one/moved")
    assert done.returncode == 1, done.stdout
    assert any("io.rs" in issue["message"] for issue in read_json(done.stdout)["issues"])
