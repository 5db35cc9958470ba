# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A command that a text names can be typed, and prints what the text promises."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kdeps.cli.options import COMMANDS, cli
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"
PACKAGE = CHECKOUT / "kdeps"


def _texts() -> list[tuple[str, str]]:
    """File and text of each string of the package and of each page, f-strings with `…` for their values."""
    found = [(path.name, path.read_text()) for path in sorted((PACKAGE / "report/pages").glob("*.txt"))]
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append((str(path.relative_to(PACKAGE)), node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                found.append((str(path.relative_to(PACKAGE)), "".join(map(str, parts))))
    return found


def test_every_command_that_is_named_exists() -> None:
    """Each `kdeps X --option` has that command, and that option."""
    checked = 0
    for origin, text in _texts():
        for shown in re.findall(r"`(kdeps [^`]+)`", text):
            words = shown.split()[1:]
            if words[0].startswith(("-", "…")):
                continue
            assert words[0] in COMMANDS, (origin, shown)
            command = cli.get_command(click.Context(cli), words[0])
            assert command is not None
            options = {name for parameter in command.params for name in parameter.opts}
            for word in words[1:]:
                if word.startswith("--"):
                    assert word.partition("=")[0] in options, (origin, shown)
            checked += 1
    assert checked > 20


def _type(tree: Miniature, command: str) -> str:
    """Type what was shown in the source tree; return what it prints."""
    words = shlex.split(command)
    assert words[0] == "kdeps"
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip


def _edit_apart(tree: Miniature, number: int) -> list[str]:
    """Edit files of different steps at times that are far apart, so that each is its own cause."""
    import os
    import time

    names = sorted(str(path.relative_to(tree.srctree)) for path in (tree.srctree / "rust").rglob("lib.rs"))[
        :number
    ]
    assert len(names) == number
    for at, name in enumerate(names):
        tree.path(name).write_text(tree.path(name).read_text() + "\n")
        os.utime(tree.path(name), ns=(time.time_ns() + at * 60 * 10**9,) * 2)
    return names


def test_and_more_causes_are_listed_where_it_says(tree: Miniature, kdeps: RunKdeps) -> None:
    """`kdeps make` shows three causes; the command that it names lists each of them."""
    names = _edit_apart(tree, 5)
    said = kdeps(tree, "make", "--on-stale=fail", M).stderr
    (more, command) = re.findall(r"and (\d+) more causes?; `(kdeps check .*)` lists them", said)[0]
    shown = _type(tree, command)
    assert int(more) == len(re.findall(r"^stale\[", shown, re.MULTILINE)) - 3
    assert all(f"older than {name}" in shown for name in names), shown


def test_a_changed_command_is_listed_where_make_points(tree: Miniature, kdeps: RunKdeps) -> None:
    """What only Kbuild itself sees is not in a plain check, so the command that is named asks Kbuild."""
    _edit_apart(tree, 5)
    kdeps(tree, "make", "--on-stale=warn", M)
    said = kdeps(tree, "make", "--on-stale=fail", "KRUSTFLAGS=-Copt-level=1", M).stderr
    commands = re.findall(r"`(kdeps check [^`]*)` lists", said)
    assert commands, said
    shown = _type(tree, commands[0])
    causes = shown.replace("note[command-changed]", "")
    assert ("command-changed" in causes) == ("--exact" in commands[0])


@pytest.mark.parametrize(
    ("command", "promise", "holds"),
    [
        (("doctor",), "`kdeps check` with the same arguments lists why", "stale[newer-prerequisite]"),
        (("affected", "Makefile"), "`kdeps check --exact`", "stale[newer-prerequisite]"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_another_command_points_at(
    command: tuple[str, ...], promise: str, holds: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """The command that stands there, with the user's own arguments, shows what was promised."""
    tree.touch("rust/kernel/io.rs")
    said = kdeps(tree, command[0], *command[1:], M).stdout
    assert promise in re.sub(r"\s+", " ", said), said
    shown = re.findall(r"`(kdeps [^`]*)`", promise)[0].split()
    assert holds in kdeps(tree, shown[1], *shown[2:], M).stdout


def test_a_folder_is_answered_by_the_command_it_names(tree: Miniature, kdeps: RunKdeps) -> None:
    """`why FOLDER` names `kdeps affected FOLDER`, and that answers."""
    said = kdeps(tree, "why", "rust/kernel", M).stderr
    (command,) = re.findall(r"`(kdeps affected [^`]*)`", said)
    assert "crate" in kdeps(tree, *command.split()[1:], M).stdout


def test_ci_lists_all_in_json_as_it_says(tree: Miniature, kdeps: RunKdeps) -> None:
    """`… and N more; --format=json lists all`."""
    names = _edit_apart(tree, 5)
    document = kdeps(tree, "ci", "--format=json", M).stdout
    assert all(str(Path(tree.srctree / name)) in document or name in document for name in names)
