# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which folders a watch needs: whatever a survey looks at, and the way to it."""

from __future__ import annotations

import shutil
from pathlib import Path

from kdeps.staleness.check import check_build
from kdeps.staleness.dependencies import Dependencies, list_dependencies, list_places_searched
from kdeps.watch.interest import find_interest
from tests.campaigns.watch.coverage import find_uncovered
from tests.support.miniature import MODULE, Miniature


def test_whatever_a_survey_looks_at_is_watched(tree: Miniature) -> None:
    """Fresh, stale, with records gone and without a module: every stat, open and listing is covered."""
    environ = tree.environment()
    words = (*tree.tree_args, f"M={MODULE}")
    assert find_uncovered(words, str(tree.srctree), environ) == []
    for name in ("vmlinux", "Module.symvers"):
        (tree.objtree / name).touch()
    assert find_uncovered(words, str(tree.srctree), environ) == []
    tree.append("rust/kernel/io.rs", "// edited\n")
    (tree.objtree / "rust/libkernel.rmeta").unlink()
    (tree.objtree / "rust/.bindings.o.cmd").unlink()
    (tree.srctree / "include/linux/pci.h").unlink()
    assert find_uncovered(words, str(tree.srctree), environ) == []
    assert find_uncovered(tree.tree_args, str(tree.srctree), environ) == []


def test_the_folder_of_a_module_that_is_built_elsewhere_is_watched(tree: Miniature, tmp_path: Path) -> None:
    """A new Rust file there may bring a first crate into a module of C (in, ext3)."""
    words = (f"M={tree.external}", f"MO={tmp_path / 'mo'}")
    tree.make(*words)
    assert find_uncovered((*tree.tree_args, *words), str(tree.srctree), tree.environment()) == []


def test_what_lies_beside_a_compiler_that_is_named_by_path_is_watched(
    tree: Miniature, tmp_path: Path
) -> None:
    """A rustup that comes there makes the compiler a switch; PATH does not lead there."""
    shutil.copytree(tree.toolchain, tmp_path / "elsewhere")
    words = (*tree.tree_args, f"M={MODULE}", f"RUSTC={tmp_path}/elsewhere/bin/rustc")
    assert find_uncovered(words, str(tree.srctree), tree.environment()) == []


def test_the_compiler_behind_another_program_is_watched(tree: Miniature, tmp_path: Path) -> None:
    """Of ``CC="ccache clang"`` an upgrade of clang changes the answer, and ccache stays as it is."""
    environ = tree.environment()
    behind = tmp_path / "behind"
    behind.mkdir()
    for name in ("ccache", "clang-99"):
        (behind / name).write_text('#!/bin/sh\nexec "$@"\n')
    words = (
        *tree.tree_args,
        f"M={MODULE}",
        f"CC={behind}/ccache -v X=y {behind}/clang-99",
        "RUSTC=sccache rustc",
    )
    result = check_build(words, str(tree.srctree), environ)
    files = list_dependencies(result, words, str(tree.srctree), environ).files
    assert {f"{behind}/ccache", f"{behind}/clang-99", str(tree.toolchain / "bin/rustc")} <= files


def test_the_way_to_a_file_is_watched_by_name(tmp_path: Path) -> None:
    """Every folder above is passed through: of interest for one name, and for no file."""
    path = tmp_path / "a/b/file"
    path.parent.mkdir(parents=True)
    path.touch()
    interest = find_interest(Dependencies(frozenset((str(path),)), frozenset()))
    assert set(interest.names[str(tmp_path / "a/b")] or ()) == {"file"}
    assert set(interest.names[str(tmp_path / "a")] or ()) == {"b"}
    assert set(interest.names["/"] or ()) == {str(tmp_path).split("/")[1]}
    assert str(tmp_path / "a") in interest.passages
    assert str(tmp_path / "a/b") not in interest.passages


def test_what_is_not_there_is_waited_for_in_the_nearest_folder(tmp_path: Path) -> None:
    """A folder that does not exist is a name in the one above it."""
    interest = find_interest(Dependencies(frozenset((str(tmp_path / "x/y/z"),)), frozenset()))
    assert set(interest.names[str(tmp_path)] or ()) == {"x"}
    assert str(tmp_path / "x") not in interest.names


def test_links_are_followed_and_watched_themselves(tmp_path: Path) -> None:
    """A link to a folder, a link to a file behind it, and `..` after a link: each step is of interest."""
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "real/target").touch()
    (tmp_path / "real/deep/link").symlink_to("../target")
    (tmp_path / "way").symlink_to("real/deep")
    interest = find_interest(Dependencies(frozenset((str(tmp_path / "way/link"),)), frozenset()))
    assert set(interest.names[str(tmp_path)] or ()) == {"way", "real"}
    assert set(interest.names[str(tmp_path / "real")] or ()) == {"deep", "target"}
    assert set(interest.names[str(tmp_path / "real/deep")] or ()) == {"link"}
    assert str(tmp_path / "way") not in interest.names


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    """Two links that lead to each other, as files and as folders, are watched and not followed for ever."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    paths = frozenset((str(tmp_path / "a"), str(tmp_path / "a/below")))
    interest = find_interest(Dependencies(paths, frozenset((str(tmp_path / "b"),))))
    assert set(interest.names[str(tmp_path)] or ()) == {"a", "b"}


def test_a_tree_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """``O=`` names a folder that somebody will make."""
    paths = list_places_searched((f"O={tmp_path}/build", "M=m"), str(tmp_path), {})
    assert "build" in (find_interest(paths).names[str(tmp_path)] or ())
