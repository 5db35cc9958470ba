# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Split a recorded command into the simple commands that the shell would run.

``;``, ``&&``, ``||``, pipes, subshells, groups, substitutions, quotes and
redirections, in one pass over the text: long stretches without a special
character, which is most of a compiler's command, are split at their blanks.

Nothing is expanded. A word that contains a variable or a substitution contains
``UNKNOWN`` in its place, and so cannot be the name of a file.
"""

from __future__ import annotations

import os
import re

from kdeps import NamedTuple
from kdeps.formats.words import split_words

UNKNOWN = "\0"
"""Stands in a word for text that only the shell could supply."""

_MAX_FOLDER = 4096
"""A longer path names nothing. Source: Linux ``PATH_MAX``."""
_KEYWORDS = frozenset(("if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}"))
_PLAIN_RUN = re.compile(r"[^'\"\\$`;|&()<>]*[ \t\n]")
_EXPANSION = r"""
  | (?P<substitution>\$\()
  | (?P<variable>\$(?:\{[^}]*\}?|\w+|[^(\w{])?)
  | (?P<tick>`)
"""
_PIECE = re.compile(
    r"""(?P<plain>[^ \t\n'"\\$`;|&()<>]+)
  | '(?P<single>[^']*)'?
  | \\(?P<escaped>.?)
  | (?P<quote>")
  | (?P<redirection>>>|>\||>&|<<<|<<|<>|<&|>|<)
  | (?P<operator>\|\||&&|;;|\|&|[;|&()])
  | (?P<blank>[ \t\n]+)"""
    + _EXPANSION,
    re.VERBOSE | re.DOTALL,
)
_IN_QUOTES = re.compile(
    r"""(?P<plain>[^"\\$`]+)
  | \\(?P<escaped>.?)
  | (?P<quote>")"""
    + _EXPANSION,
    re.VERBOSE | re.DOTALL,
)


class SimpleCommand(NamedTuple):
    """One program with its arguments and redirections."""

    words: list[str]
    """Environment assignments, the program, its arguments; empty where a group is redirected."""
    reads: list[str]
    """Files behind ``<``."""
    writes: list[str]
    """Files behind ``>`` and ``>>``."""
    piped: list[str] | None
    """The words of the command whose output it reads; None if it is not behind a pipe."""
    folder: str = ""
    """Where it runs, if a ``cd`` came before in its shell or in one around it."""


class _Scope:
    """The top level of the text, or the inside of one substitution."""

    def __init__(self, opener: str, folder: str = "") -> None:
        self.opener = opener
        self.in_quotes = False
        self.depth = 0
        self.words: list[str] = []
        self.word: list[str] | None = None
        self.redirection = ""
        self.reads: list[str] = []
        self.writes: list[str] = []
        self.last: list[str] | None = None
        self.piped = False
        self.folders = [folder]
        """Where each of the subshells that are open here is."""

    def add(self, text: str) -> None:
        """Append to the word that is being read."""
        if self.word is None:
            self.word = []
        self.word.append(text)

    def end_word(self) -> None:
        """Put the word that was read where it belongs."""
        if self.word is None:
            return
        word = "".join(self.word)
        self.word = None
        if not self.redirection:
            self.words.append(word)
        elif self.redirection.endswith("&"):
            if not word.isdigit() and word != "-":
                self.writes.append(word)
        elif self.redirection in ("<", "<>"):
            self.reads.append(word)
        elif self.redirection[0] == ">":
            self.writes.append(word)
        self.redirection = ""

    def redirect(self, operator: str) -> None:
        """Begin a redirection; digits right before it are the number of a file descriptor."""
        if self.word is not None and "".join(self.word).isdigit():
            self.word = None
        self.end_word()
        self.redirection = operator

    def end_command(self, operator: str) -> list[SimpleCommand]:
        """Take the simple command that ends here, if there is one."""
        self.end_word()
        start = 0
        while start < len(self.words) and self.words[start] in _KEYWORDS:
            start += 1
        words = self.words[start:]
        found = []
        if words or self.reads or self.writes:
            piped = self.last if self.piped else None
            found = [SimpleCommand(words, self.reads, self.writes, piped, self.folders[-1])]
            self.last = words
        if words[:1] == ["cd"]:
            folder = os.path.join(self.folders[-1], "".join(words[1:2]) or UNKNOWN)
            self.folders[-1] = folder if len(folder) <= _MAX_FOLDER else UNKNOWN
        if found or operator != "(":
            self.piped = operator in ("|", "|&")
        self.words, self.reads, self.writes, self.redirection = [], [], [], ""
        return found


def split_commands(text: str) -> list[SimpleCommand]:
    """Split a command, as the shell was given it, into simple commands in the order they end.

    Never raises: an unclosed quote or substitution ends with the text.
    """
    found: list[SimpleCommand] = []
    scopes = [_Scope("")]
    at = 0
    while at < len(text):
        scope = scopes[-1]
        if not scope.in_quotes and scope.word is None and not scope.redirection:
            run = _PLAIN_RUN.match(text, at)
            if run:
                scope.words += split_words(run[0])
                at = run.end()
                continue
        piece = (_IN_QUOTES if scope.in_quotes else _PIECE).match(text, at)
        if piece is None:  # pragma: no cover - every character begins a piece
            break
        at = piece.end()
        _take(piece.lastgroup or "", piece, scopes, found)
    while scopes:
        found += scopes.pop().end_command("")
    return found


def _take(kind: str, piece: re.Match[str], scopes: list[_Scope], found: list[SimpleCommand]) -> None:
    """Take one piece of the text."""
    scope = scopes[-1]
    if kind in ("plain", "single", "escaped"):
        scope.add(piece[kind])
    elif kind == "blank":
        scope.end_word()
    elif kind == "quote":
        scope.add("")
        scope.in_quotes = not scope.in_quotes
    elif kind == "variable":
        scope.add(UNKNOWN if len(piece[0]) > 1 else "$")
    elif kind == "substitution" or (kind == "tick" and scope.opener != "`"):
        scope.add(UNKNOWN)
        scopes.append(_Scope("`" if kind == "tick" else "(", scope.folders[-1]))
    elif kind == "tick":
        found += scopes.pop().end_command("")
    elif kind == "redirection":
        scope.redirect(piece[0])
    else:
        found += scope.end_command(piece[0])
        if piece[0] == "(":
            scope.depth += 1
            scope.folders.append(scope.folders[-1])
        elif piece[0] == ")" and scope.depth:
            scope.depth -= 1
            scope.folders.pop()
        elif piece[0] == ")" and scope.opener == "(":
            scopes.pop()
