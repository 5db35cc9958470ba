# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a shell has at one point of its text: where it stands, the values of its variables, its last status."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from kdeps.formats.recipe_words import NotShell, Piece, Word, read_tokens

UNKNOWN = "\x01"
"""Stands in a text for what only a shell that runs can know."""
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL | re.ASCII)
_SPLIT = "\x02"
"""Stands between the words that one expansion makes."""
_KEPT = "\x03"
"""Stands before text that is part of a word even if it is empty."""
_MAX_PATH = 4096
"""Nobody can stand in a folder with a longer name (``PATH_MAX``)."""
_MAX_VALUE = 1 << 17
"""No program is given a longer word (``MAX_ARG_STRLEN``)."""
_MAX_NESTING = 40
_MAX_VARIABLES = 256
"""Each state has all of them: with as many as fit into a line, the time would grow with the square of its length."""
_PATTERN = re.compile(r"[*?]|\[[^\]]+\]|\{[^{}]*(?:,|\.\.)[^{}]*\}")
"""What only a shell that runs can expand: names of files, and the braces of bash."""
_PARAMETER = re.compile(r"(\w+)(?:(:?)([-=])(.*))?", re.ASCII | re.DOTALL)
_KNOWN_COMMANDS = {"uname -r": "release", "uname -m": "machine"}

Status = Literal["ok", "failed", "lost"]
"""How a command ended; lost: a ``cd`` failed, and nothing in the text has looked at it yet."""


class State(NamedTuple):
    """One of the states that a shell may be in."""

    folders: tuple[str, ...]
    """Where it stands, behind the folders that ``popd`` goes back to."""
    variables: tuple[tuple[str, str], ...] = ()
    """What the text has assigned, by name."""
    exported: frozenset[str] = frozenset()
    """Which of them a program gets; ``*`` is all of them."""
    sourced: bool = False
    """A script was read into the shell: what the text has not assigned since then may be anything."""
    status: Status = "ok"
    """How the last command ended."""

    @property
    def folder(self) -> str:
        """Where the shell stands."""
        return self.folders[-1]

    def assign(self, values: dict[str, str], exported: Iterable[str] = ()) -> State:
        """Give variables their values.

        Raises:
            NotShell: There are more of them than people write.
        """
        kept = {**dict(self.variables), **values}
        if len(kept) > _MAX_VARIABLES:
            raise NotShell("it has too many variables")
        return self._replace(variables=tuple(sorted(kept.items())), exported=self.exported.union(exported))

    def move(self, folder: str) -> State:
        """Go to another folder."""
        moved = UNKNOWN if UNKNOWN in folder else os.path.normpath(os.path.join(self.folder, folder))
        if len(moved) >= _MAX_PATH:
            return self
        return self._replace(folders=(*self.folders[:-1], moved))


States = dict[State, None]


def any_status(states: Iterable[State]) -> States:
    """Return every state twice: after a command that ended well, and after one that failed."""
    states = list(states)
    return {state._replace(status=status): None for status in ("ok", "failed") for state in states}


def expand_joined(word: Word, state: State, environ: dict[str, str], unknown: list[str]) -> str:
    """Expand a word that stays one, as that of an assignment does.

    ``environ`` is without what the shell's text assigns; ``unknown`` gets what cannot be known, as it is written.
    """
    word = _expand_tilde(word, r"\w+=", state, environ)
    return "".join(_expand_piece(piece, state, environ, unknown) for piece in word)


def expand(word: Word, state: State, environ: dict[str, str], unknown: list[str]) -> list[str]:
    """Expand a word: to several where a value without quotes has blanks, to none where it is empty."""
    joined = plain = ""
    for piece in _expand_tilde(word, "", state, environ):
        value = _expand_piece(piece, state, environ, unknown)
        is_kept = piece.quoted or not piece.opening
        joined += _KEPT + value if is_kept else re.sub(r"\s+", _SPLIT, value)
        plain += _KEPT if piece.quoted else value
    if _PATTERN.search(plain):
        unknown.append("".join(piece.written if piece.opening else piece.text for piece in word))
        return [UNKNOWN]
    return [found.replace(_KEPT, "") for found in joined.split(_SPLIT) if found]


def _expand_tilde(word: Word, before: str, state: State, environ: dict[str, str]) -> Word:
    """Put the user's folder in the place of a tilde that stands behind a pattern, alone or with a slash."""
    first, *rest = word
    tilde = re.match(f"({before})~(?=/|$)", first.text, re.ASCII)
    if tilde is None or first.quoted or first.opening or (rest and tilde.end() == len(first.text)):
        return word
    home = find_value("HOME", state, environ) or UNKNOWN
    return (first._replace(text=tilde[1] + home + first.text[tilde.end() :]), *rest)


def _expand_piece(piece: Piece, state: State, environ: dict[str, str], unknown: list[str]) -> str:
    """Return what stands in the place of a piece of a word."""
    if not piece.opening:
        return piece.text
    if piece.opening == "(":
        command = " ".join(piece.text.replace("\\\n", "").split()).removeprefix("/usr").removeprefix("/bin/")
        if command in ("pwd", "pwd -L", "pwd -P"):
            return state.folder
        if command in _KNOWN_COMMANDS:
            return str(getattr(os.uname(), _KNOWN_COMMANDS[command]))
    elif piece.opening == "{" and (match := _PARAMETER.fullmatch(piece.text)):
        value = find_value(match[1], state, environ)
        if match[3] and (value is None or (match[2] and not value)):
            return (
                UNKNOWN
                if state.sourced and value is None
                else _expand_default(match[4], state, environ, unknown)
            )
        if value is not None and (UNKNOWN not in value or unknown):
            return value if len(value) < _MAX_VALUE else UNKNOWN
    unknown.append(piece.written)
    return UNKNOWN


def _expand_default(text: str, state: State, environ: dict[str, str], unknown: list[str]) -> str:
    """Return what stands for a variable that has no value."""
    words = read_tokens(text) if text.count("$") < _MAX_NESTING else [""]
    return " ".join(
        UNKNOWN if isinstance(word, str) else expand_joined(word, state, environ, unknown) for word in words
    )


def find_value(name: str, state: State, environ: dict[str, str]) -> str | None:
    """Find what a variable stands for; None if nothing has given it a value that is known."""
    if name == "PWD":
        return state.folder
    values = dict(state.variables)
    if name in values:
        return values[name]
    return None if state.sourced else environ.get(name)
