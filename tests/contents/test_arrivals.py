# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Links that lead elsewhere, and files that would be read instead of others, where no time of an input shows it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import Miniature, create


@pytest.fixture
def user(tmp_path: Path) -> Miniature:
    """A tree, built here, with a module that reads a link, a module of Rust in a file, and a header of a second folder."""
    tree = create(tmp_path / "tree", objtree=tmp_path / "tree/build")
    tree.build()
    folder = tree.external
    for name in ("first", "second", "old", "older"):
        (folder / name).mkdir()
    (folder / "Kbuild").write_text("obj-m := hello.o c.o\nccflags-y := -I$(src)/first -I$(src)/second\n")
    (folder / "hello.rs").write_text("mod part;\nmod linked;\npub fn hello() {}\n")
    (folder / "part.rs").write_text("pub fn part() {}\n")
    (folder / "c.c").write_text("#include <x.h>\nint c(void) {\n")
    (folder / "second/x.h").write_text("#define X 2\n")
    for name in ("old", "older"):
        (folder / name / "linked.rs").write_text(f"pub fn {name}() {{}}\n")
    (folder / "linked.rs").symlink_to("old/linked.rs")
    for path in (*folder.rglob("*.rs"), *folder.rglob("*.[ch]")):
        os.utime(path, (time.time() - 100,) * 2)
    tree.make(f"M={folder}")
    time.sleep(0.02)
    return tree


def notes(kdeps: RunKdeps, tree: Miniature, tmp_path: Path) -> list[str]:
    """The files that a check without any memory has a note about."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    done = kdeps(tree, "check", "--format=json", f"M={tree.external}", env=cache)
    document = json.loads(done.stdout)
    assert document["verdict"] == "fresh", done.stdout
    found = [f["path"] for f in document["findings"] if f["kind"] == "old-mtime"]
    return sorted(os.path.relpath(path, tree.external) for path in found)


def old(path: Path, text: str) -> None:
    """Write a file, and date it before the build."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - 1000,) * 2)


def retarget(folder: Path) -> None:
    (folder / "new").symlink_to("older/linked.rs")
    (folder / "new").rename(folder / "linked.rs")


CHANGES: dict[str, Callable[[Path], object]] = {
    "linked.rs": retarget,
    "first/x.h": lambda folder: old(folder / "first/x.h", "#define X 1\n"),
    "part/mod.rs": lambda folder: old(folder / "part/mod.rs", "pub fn other() {}\n"),
}
COMMANDS = (
    ("chmod", "-R", "u+w", "."), ("cp", "-al", ".", "../../linked"), ("touch", "first", "second", "."), ("cp", "-a", ".", "../../copy"),
)  # fmt: skip


def test_what_came_later_is_told(user: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """make does nothing; a note names what came. A kept answer does not hide it."""
    expected: list[str] = []
    for noted, change in CHANGES.items():
        assert notes(kdeps, user, tmp_path) == expected
        assert notes(kdeps, user, tmp_path) == expected
        change(user.external)
        expected = sorted([*expected, noted])
        assert user.rebuilds(f"M={user.external}") == set()
        assert notes(kdeps, user, tmp_path) == expected


def test_what_was_there_is_not_told(user: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """A header that is earlier on the path and was not read: another one stood beside the file that included it."""
    shutil.copy2(user.external / "second/x.h", user.external / "first/other.h")
    user.make(f"M={user.external}")
    time.sleep(0.02)
    for command in COMMANDS:
        subprocess.run(command, cwd=user.external, check=True)
        assert (command, notes(kdeps, user, tmp_path)) == (command, [])
