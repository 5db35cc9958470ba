# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Splitting a command where the shell would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdeps.formats.shell import UNKNOWN, split_commands


def shown(text: str) -> list[str]:
    """Each simple command as a line: its words, then its redirections."""
    return [
        " ".join([*c.words, *(f"<{r}" for r in c.reads), *(f">{w}" for w in c.writes)])
        for c in split_commands(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b;c d", ["a b", "c d"]),
        ("a && b || c | d & e", ["a", "b", "c", "d", "e"]),
        ("a>x 2>&1 <y", ["a <y >x"]),
        ("a 2>err >>log >&2 'x y'", ["a x y >err >log"]),
        ("a12>x", ["a12 >x"]),
        ("(a; b) >x", ["a", "b", " >x"]),
        ("{ a; b; } > x", ["a", "b", " >x"]),
        ("if ! a; then b; else c; fi", ["a", "b", "c"]),
        ("a'b c'd\"e f\"\\ g", ["ab cde f g"]),
        ("a '' \"\" b", ["a   b"]),
        ("a $(b c) d", ["b c", f"a {UNKNOWN} d"]),
        ('a "x$(b | c "d e")y" f', ["b", "c d e", f"a x{UNKNOWN}y f"]),
        ("a `b c` d", ["b c", f"a {UNKNOWN} d"]),
        ("a ${x}/y $z $$ $", [f"a {UNKNOWN}/y {UNKNOWN} {UNKNOWN} $"]),
        ("a 'it''s' \"$x\"", [f"a its {UNKNOWN}"]),
        ("a; ;b;", ["a", "b"]),
        ("", []),
        ("a 'b", ["a b"]),
        ('a "b $(c', ["c", f"a b {UNKNOWN}"]),
        ("中\u3000文 b", ["中\u3000文 b"]),
    ],
)
def test_a_command_is_split_as_the_shell_splits_it(text: str, expected: list[str]) -> None:
    """Operators, groups, quotes, substitutions and redirections end up where the shell has them."""
    assert [line.strip() for line in shown(text)] == [line.strip() for line in expected]


def test_a_command_behind_a_pipe_knows_what_comes_through_it() -> None:
    """Only the words right before the pipe, at the same level."""
    assert [c.piped for c in split_commands("a b | c; d | (e) | f")] == [None, ["a", "b"], None, ["d"], ["e"]]


@given(st.text(alphabet="ab '\"\\$(){};|&<>`\n2", max_size=60))
def test_any_text_is_split(text: str) -> None:
    """Nothing raises, whatever is unclosed."""
    split_commands(text)


@pytest.mark.parametrize("piece", ["$(", "a'", '"$(', "`", "\\", "a>", "(", "a;", "x", "${", "2>&1", "a "])
def test_a_long_command_is_no_trap(piece: str) -> None:
    """Every piece of the text is looked at once: with more than one look this test would take an hour."""
    split_commands(piece * 100_000)
