# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a shell has at one point of its text: where it stands, and the values of its variables."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kdeps.formats.recipe_words import Piece, PieceKind, Word

UNKNOWN = "\x01"
"""Stands in a text for what only a shell that runs can know."""
_MAX_PATH = 4096
"""Nobody can stand in a folder with a longer name (``PATH_MAX``)."""
_MAX_VALUE = 1 << 17
"""No program is given a longer word (``MAX_ARG_STRLEN``)."""
_PARAMETER = re.compile(r"(\w+)(?:(:?)([-=])([\w./+-]*))?", re.ASCII)
_KNOWN_COMMANDS = {"uname -r": "release", "uname -m": "machine"}


class State(NamedTuple):
    """One of the states that a shell may be in."""

    folders: tuple[str, ...]
    """Where it stands, behind the folders that ``popd`` goes back to."""
    variables: tuple[tuple[str, str], ...] = ()
    """What the text has assigned, by name."""
    exported: frozenset[str] = frozenset()
    """Which of them a program gets."""
    sourced: bool = False
    """A script was read into the shell: what the text has not assigned since then may be anything."""
    lost: bool = False
    """A ``cd`` failed, and nothing in the text has looked at it."""

    @property
    def folder(self) -> str:
        """Where the shell stands."""
        return self.folders[-1]

    def assign(self, values: dict[str, str], exported: frozenset[str] = frozenset()) -> State:
        """Give variables their values."""
        kept = {**dict(self.variables), **values}
        return self._replace(variables=tuple(sorted(kept.items())), exported=self.exported | exported)

    def move(self, folder: str) -> State:
        """Go to another folder."""
        moved = UNKNOWN if UNKNOWN in folder else os.path.normpath(os.path.join(self.folder, folder))
        if len(moved) >= _MAX_PATH:
            return self
        return self._replace(folders=(*self.folders[:-1], moved), lost=False)


def expand_joined(word: Word, state: State, environ: dict[str, str], unknown: list[str]) -> str:
    """Expand a word that stays one, as that of an assignment does."""
    return "".join(
        part.text if part.kind is PieceKind.TEXT else _expand_part(part, state, environ, unknown)
        for part in word
    )


def expand(word: Word, state: State, environ: dict[str, str], unknown: list[str]) -> list[str]:
    """Expand a word: to several where a value without quotes has blanks.

    ``environ`` is without what the shell's text assigns; ``unknown`` gets what cannot be known, as it is written.
    """
    found: list[str] = []
    current: str | None = None
    for part in word:
        is_text = part.kind is PieceKind.TEXT
        value = part.text if is_text else _expand_part(part, state, environ, unknown)
        if is_text or part.quoted:
            current = (current or "") + value
            continue
        pieces = value.split()
        if not pieces or value[0].isspace():
            found += [] if current is None else [current]
            current = None
        for piece in pieces[:-1]:
            found.append((current or "") + piece)
            current = None
        if pieces:
            current = (current or "") + pieces[-1]
            if value[-1].isspace():
                found.append(current)
                current = None
    return found if current is None else [*found, current]


def _expand_part(part: Piece, state: State, environ: dict[str, str], unknown: list[str]) -> str:
    """Return the value of one expansion."""
    if part.kind is PieceKind.COMMAND:
        command = " ".join(part.text.split())
        if command == "pwd":
            return state.folder
        if command in _KNOWN_COMMANDS:
            return str(getattr(os.uname(), _KNOWN_COMMANDS[command]))
        unknown.append(f"$({part.text})")
        return UNKNOWN
    if part.kind is PieceKind.VARIABLE and (match := _PARAMETER.fullmatch(part.text)):
        value = _find_value(match[1], state, environ)
        if match[3] and (value is None or (match[2] and not value)):
            return UNKNOWN if state.sourced and value is None else match[4]
        if value is not None and (UNKNOWN not in value or unknown):
            return value if len(value) < _MAX_VALUE else UNKNOWN
    unknown.append(f"$(({part.text[1:-1]}))" if part.kind is PieceKind.ARITHMETIC else _written(part))
    return UNKNOWN


def _find_value(name: str, state: State, environ: dict[str, str]) -> str | None:
    """Find what a variable stands for; None if nothing has given it a value that is known."""
    if name == "PWD":
        return state.folder
    values = dict(state.variables)
    if name in values:
        return values[name]
    return None if state.sourced else environ.get(name)


def _written(part: Piece) -> str:
    """Write a variable as one does."""
    return f"${part.text}" if re.fullmatch(r"\w+|\W", part.text) else f"${{{part.text}}}"
