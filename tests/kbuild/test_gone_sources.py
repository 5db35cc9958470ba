# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Sources of a module that are renamed, removed or written anew in another language: what make then does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import Miniature
from tests.support.verdict import direct, judged

C = "int extra(void) {\n"
RUST = "//! A module.\nuse kernel::time;\n"
KBUILD = "obj-m := foo.o single.o\nfoo-y := main.o extra.o\n"
STALE = "stale"


@pytest.fixture
def folder(tree: Miniature) -> Path:
    """A module of two objects, and one of a single object, built."""
    folder = tree.root / "driver"
    for name, text in {"Kbuild": KBUILD, "main.c": C, "extra.c": C, "single.rs": RUST}.items():
        tree.edit(folder / name, text)
    tree.make(f"M={folder}")
    return folder


def _rename(tree: Miniature, folder: Path) -> None:
    (folder / "extra.c").rename(folder / "helper.c")
    tree.replace(folder / "Kbuild", "extra.o", "helper.o")


def _rename_and_clean(tree: Miniature, folder: Path) -> None:
    _rename(tree, folder)
    (folder / "extra.o").unlink()


def _remove(tree: Miniature, folder: Path) -> None:
    (folder / "extra.c").unlink()
    tree.replace(folder / "Kbuild", " extra.o", "")


def _rename_module(tree: Miniature, folder: Path) -> None:
    (folder / "single.rs").rename(folder / "other.rs")
    tree.replace(folder / "Kbuild", "single.o", "other.o")
    (folder / "single.o").unlink()


def _rewrite(suffix: str, text: str) -> Callable[[Miniature, Path], None]:
    def change(tree: Miniature, folder: Path) -> None:
        (folder / "extra.c").unlink()
        tree.edit(folder / f"extra{suffix}", text)

    return change


def _forget_the_line(_: Miniature, folder: Path) -> None:
    (folder / "extra.c").unlink()


def _put_together(tree: Miniature, folder: Path) -> None:
    tree.edit(folder / "Kbuild", "obj-m := foo.o single.o\np := ex\nfoo-y := main.o $(p)tra.o\n")
    (folder / "extra.c").unlink()


def _include(tree: Miniature, folder: Path) -> None:
    tree.edit(folder / "Kbuild", "obj-m := foo.o single.o\ninclude $(src)/list\n")
    tree.edit(folder / "list", "foo-y := main.o extra.o\n")
    (folder / "extra.c").unlink()


CASES: dict[str, tuple[Callable[[Miniature, Path], None], str]] = {
    "renamed": (_rename, "fresh"),
    "renamed, its object deleted": (_rename_and_clean, "fresh"),
    "removed": (_remove, "fresh"),
    "a module of one source, renamed": (_rename_module, "fresh"),
    "written anew in Rust": (_rewrite(".rs", RUST), "fresh"),
    "its line is still there": (_forget_the_line, STALE),
    "its name is put together": (_put_together, STALE),
    "its line is in a file that is included": (_include, STALE),
}


@pytest.mark.parametrize("case", CASES)
def test_a_source_that_is_gone(case: str, folder: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """make uses the old object only where a Makefile still names it, and nothing else could be compiled to it."""
    change, expected = CASES[case]
    change(tree, folder)
    assert judged(kdeps, tree, f"M={folder}")["verdict"] == expected
    if expected == STALE:
        tree.make(f"M={folder}")
        assert judged(kdeps, tree, f"M={folder}")["verdict"] == STALE
        return
    tree.touch("rust/kernel/io.rs")  # what was renamed reads the crates as well
    assert judged(kdeps, tree, f"M={folder}")["verdict"] == STALE
    assert kdeps(tree, "make", f"M={folder}").returncode == 0
    assert judged(kdeps, tree, f"M={folder}")["verdict"] == "fresh"
    assert tree.rebuilds(f"M={folder}") == set()


@pytest.mark.parametrize("age", ["new", "old"])
def test_a_source_in_another_language_is_compiled_by_the_next_build(
    age: str, folder: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """The command is another one, so the time of the new source does not matter."""
    _rewrite(".rs", RUST)(tree, folder)
    if age == "old":
        os.utime(folder / "extra.rs", (1, 1))
    verdict = judged(kdeps, tree, f"M={folder}")
    assert direct(verdict, "module") == {"extra.o"} == set(tree.kernel_answer(f"M={folder}")) & {"extra.o"}
    assert [rule["target"] for rule in verdict["pending"]][:1] == ["extra.o"]
