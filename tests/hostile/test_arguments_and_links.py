# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Absurd arguments, and links and folders in the place of files, through the real program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.watch.writers import find_repository
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.bad_input import Done, M, check, unchanged
from tests.support.miniature import MODULE, Miniature, create

# -- absurd arguments --------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("M=/nonexistent",), "/nonexistent: M= names no folder"),
        (("M=/etc/passwd",), "/etc/passwd: M= names no folder"),
        (("M=Makefile",), "Makefile: M= names no folder"),
        (("M=a b",), "make builds one external module folder at a time"),
        (("M=a\x1b[31m\nb",), r"M=a\x1b[31m\nb: make builds one external module folder at a time"),
        (("M=a:b",), "M=a:b: Kbuild builds in no folder whose path has a `:`"),
        (("M=a%b",), "M=a%b: Kbuild builds in no folder whose path has a `%`"),
        (("M=drivers",), "there is no Kbuild and no Makefile"),
        (("O=/nonexistent", M), "/nonexistent: no such object tree"),
        (("O=Makefile", M), "Makefile: no such object tree"),
        (("-C", "/nonexistent", M), "/nonexistent: No such file or directory"),
        (("-C", "Makefile", M), "Makefile: Not a directory"),
        (("-C", "rust/kernel", "-C", "../../..", "-C", "/", M), "/: not a kernel tree"),
        (("-C",), "-C: make wants a value behind it"),
        ((M, "-kC"), "-kC: make wants a value behind it"),
        (("--format=yaml", M), "'yaml' is not one of"),
        (("--format=\x1b[31m", M), r"'\x1b[31m' is not one of"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    tree: Miniature, words: tuple[str, ...], says: str
) -> None:
    """One line says what is wrong, the exit status is 2."""
    with unchanged(tree):
        done = check(tree, *words)
    assert done.returncode == 2
    assert says in done.stdout + done.stderr
    if done.stderr:
        assert done.stdout == ""
        assert re.fullmatch(r"kdeps: error: [^\n]+[^.\n]\n", done.stderr)


def test_where_there_is_no_tree_there_is_one_line(tree: Miniature, tmp_path: Path) -> None:
    """In a folder that is neither kernel nor module kdeps says so, and what to type."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = check(tree, cwd=empty)
    expected = f"kdeps: error: {empty}: not a kernel tree and not a module folder; go to one, or name it with -C DIR\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


@pytest.mark.parametrize(
    "command",
    ["check", "ci", "why kernel", "affected rust", "graph", "ninja", "doctor", "watch", "watch --systemd"],
)
def test_a_folder_that_was_deleted_under_the_user(tree: Miniature, tmp_path: Path, command: str) -> None:
    """Standing in a folder that is gone is a mistake a person can fix."""
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", f"cd {gone} && rmdir {gone} && exec {sys.executable} -m kdeps {command}"],
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("kdeps: error: ")


def test_an_unconfigured_tree_is_told_from_a_configured_one(tmp_path: Path) -> None:
    """Sources nobody configured, then a configuration nobody synced: two different lines."""
    tree = create(tmp_path / "tree")
    done = check(tree, M)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no .config, so nothing was ever built here; built elsewhere? name it with O=DIR" in done.stderr
    (tree.objtree / ".config").write_text("CONFIG_RUST=y\n")
    done = check(tree, M)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "include/config/auto.conf: missing, M= builds stop there; run the same make with the goal modules_prepare"
        in done.stderr
    )


# -- links -------------------------------------------------------------------------


def answer(done: Done) -> tuple[object, ...]:
    """What is stale and why, wherever it lies."""
    document = json.loads(done.stdout)
    stale = [
        (
            state["target"],
            state["silent"],
            [(reason["kind"], Path(reason["path"]).name) for reason in state["reasons"]],
        )
        for state in document["stale"]
    ]
    return done.returncode, document["verdict"], stale, [state["target"] for state in document["pending"]]


@pytest.mark.parametrize("change", ["nothing", "io.rs"])
def test_links_on_the_way_change_nothing(tree: Miniature, change: str) -> None:
    """Source tree, object tree and module through symbolic links: the same answer as without."""
    if change != "nothing":
        tree.touch("rust/kernel/io.rs")
    expected = answer(check(tree, "--format=json", M))
    assert expected[0] == (0 if change == "nothing" else 1)
    links = tree.root / "links"
    links.mkdir()
    (links / "linux").symlink_to(tree.srctree)
    (links / "build").symlink_to(tree.objtree)
    (links / "module").symlink_to(tree.module)
    (links / "twice").symlink_to("linux")
    for cwd, words in (
        (links / "linux", (f"O={tree.objtree}", M)),
        (links / "twice", (f"O={tree.objtree}", M)),
        (tree.srctree, (f"O={links / 'build'}", M)),
        (tree.srctree, (f"O={tree.objtree}", f"M={links / 'module'}")),
        (links, ("-C", "linux", "O=../links/build", f"M={links / 'module'}")),
        (links / "build", (f"M={links / 'module'}",)),
        (links, ("-C", "build", f"M={tree.module}")),
        (links / "module", ("-C", str(links / "build"), f"M={links / 'module'}")),
    ):
        assert answer(check(tree, "--format=json", *words, cwd=cwd)) == expected, (cwd, words)


def test_a_tree_that_was_built_through_links_is_the_same_tree(tree: Miniature) -> None:
    """Records that spell the object tree by a link are understood, whichever way one looks."""
    links = tree.root / "links"
    links.mkdir()
    (links / "build").symlink_to(tree.objtree)
    tree.make(f"O={links / 'build'}", "modules_prepare")
    tree.make(f"O={links / 'build'}", M)
    for spelled in (tree.objtree, links / "build"):
        assert check(tree, f"O={spelled}", M).returncode == 0
    tree.touch("rust/kernel/io.rs")
    first = answer(check(tree, "--format=json", M))
    assert first == answer(check(tree, "--format=json", f"O={links / 'build'}", M))
    assert first[0] == 1


def test_a_folder_in_place_of_an_artifact_is_named(tree: Miniature, kdeps: RunKdeps) -> None:
    """To make the file is there; the compiler that has to replace it fails, so a person must move the folder first."""
    path = tree.objtree / "rust/libkernel.rmeta"
    path.unlink()
    path.mkdir()

    done = kdeps(tree, "check", f"M={MODULE}")

    assert done.returncode == 1
    assert done.stdout.startswith(
        "unknown: ../build/rust/libkernel.rmeta: there is a folder where this file belongs; move it away\n"
    )


@pytest.mark.parametrize("held", [False, True], ids=["alone", "a writer has it open"])
def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(
    tree: Miniature, kdeps: RunKdeps, held: bool
) -> None:
    """``.git``, scripts/Kbuild.include, a compiler, a record, a Makefile: others can put it there."""
    places = [
        tree.path(".git"),
        tree.path("scripts/Kbuild.include"),
        tree.path(f"{MODULE}/Makefile"),
        tree.objtree / "include/config/kernel.release",
        tree.objtree / "rust/.kernel.o.cmd",
        tree.module / "modules.order",
    ]
    writers = []
    for path in places:
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        if held:
            writers.append(os.open(path, os.O_RDWR))
    try:
        for command in ("check", "doctor", "ci", "why"):
            done = kdeps(tree, command, *(["rust/kernel.o"] if command == "why" else []), M)
            assert done.returncode in (0, 1, 2), done.stderr
            assert "bug in kdeps" not in done.stderr
        assert find_repository(str(tree.srctree)) is None
    finally:
        for writer in writers:
            os.close(writer)
