# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Text fits the terminal; words, paths and commands stay whole."""

from __future__ import annotations

import re
import sys

import pytest

from kdeps.system.text import break_line
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.terminal import run_on_terminal

M = f"M={MODULE}"


def _on_terminal(tree: Miniature, words: tuple[str, ...], columns: int, env: dict[str, str]) -> list[str]:
    """Run kdeps on a terminal of that width; its lines without colours."""
    environ = tree.environment({"PYTHONPATH": str(CHECKOUT), "TERM": "xterm", **env})
    if "COLUMNS" not in env:
        environ.pop("COLUMNS", None)
    command = [sys.executable, "-m", "kdeps", *words]
    written, _ = run_on_terminal(command, cwd=tree.srctree, env=environ, columns=columns)
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", written).replace("\r", "").split("\n")


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("check",),
    ("check", "--all"),
    ("why", "nova_core.o"),
    ("why", "rust/kernel/io.rs"),
    ("affected", "rust/kernel/io.rs"),
    ("make", "--on-stale=fail"),
    ("ci",),
    ("doctor",),
    ("explain", "newer-prerequisite"),
    ("loaded",),
    ("settle", "--dry-run"),
    ("cache",),
)


@pytest.mark.parametrize("columns", [60, 140])
def test_lines_fit_the_terminal(columns: int, tree: Miniature, kdeps: RunKdeps) -> None:
    """Only one word, or a command to paste, is wider than the terminal; the words are those of a pipe."""
    tree.touch("rust/kernel/io.rs")
    tree.touch("include/linux/pci.h")
    longest = 0
    for command in COMMANDS:
        words = command if command[0] in ("explain", "cache") else (*command, *tree.tree_args, M)
        lines = _on_terminal(tree, words, columns, {})
        for line in lines:
            text = line.strip()
            pasted = re.match(r"    \S|kdeps: help: ", line)
            rest = re.sub(r"`[^`]*`", "x", text.removeprefix("= ").removeprefix("--> "))
            whole = max(map(len, re.findall(r"(?:`[^`]*`|[^ `]|`)+", line)), default=0) + 20 > columns
            assert len(line) <= columns or pasted or " " not in rest or whole, (command, line)
        longest = max([longest, *(len(line) for line in lines if not line.startswith("    "))])
        piped = kdeps(tree, words[0], *words[1:], cwd=tree.srctree)
        if command[0] in ("check", "ci", "why"):
            assert _words("\n".join(lines)) == _words(piped.stdout + piped.stderr), command
    assert longest > min(columns, 110) - 20


def _words(text: str) -> list[str]:
    """All words but times, and the lines that are drawn as wide as a terminal is."""
    return re.sub(r"\d[\d.]* (?:ms|s|min|h|days)\b", "T", " ".join(text.split())).split()


def test_columns_of_the_environment_count(tree: Miniature) -> None:
    """COLUMNS decides where it is set; a pipe keeps each message on one line, for programs to read."""
    tree.touch("rust/kernel/io.rs")
    lines = _on_terminal(tree, ("check", *tree.tree_args, M), 200, {"COLUMNS": "50"})
    assert "stale[newer-prerequisite]: crate `kernel` is older" in lines
    assert all(
        len(line) <= 50 for line in lines if not line.startswith(("    ", "help: ")) and "`make" not in line
    )


@pytest.mark.parametrize(
    ("line", "width", "folded"),
    [
        ("short", 80, "short"),
        ("stale: aaa bbb ccc", 12, "stale: aaa\n  bbb ccc"),
        ("   = note: run `make M=x y` now", 20, "   = note: run\n     `make M=x y`\n     now"),
        ("    make aaaa bbbb cccc dddd", 12, "    make aaaa bbbb cccc dddd"),
        ("see /a/very/long/path/of/a/file now", 12, "see /a/very/long/path/of/a/file\n  now"),
        ("\x1b[1mstale\x1b[0m: aaa bbb", 11, "\x1b[1mstale\x1b[0m: aaa\n  bbb"),
        ("aaa bbb ccc", 0, "aaa bbb ccc"),
    ],
)  # fmt: skip
def test_a_line_is_broken_between_words(line: str, width: int, folded: str) -> None:
    """Commands in backquotes and paths stay whole; colours take no room."""
    assert break_line(line, width) == folded
