# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The text of a shell as words and operators, which ``recipe_syntax`` makes a tree of.

Nothing is expanded: a word has the text of its variables and substitutions. Redirections and here documents
are left out, because they decide nothing about what is run.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<blank>(?:[ \t\r]|\\\n)+)
  | (?P<plain>[^ \t\r\n'"\\$`;|&()<>#]+)
  | '(?P<single>[^']*)'
  | \\(?P<escaped>.)
  | (?P<quote>")
  | (?P<here><<-?(?!<))
  | (?P<redirection>&>>?|>>|>\||>&|<<<|<>|<&|>|<)
  | (?P<operator>;;|&&|\|\||\|&|[;|&()\n])
  | (?P<comment>\#[^\n]*)""",
    re.VERBOSE | re.DOTALL,
)
_IN_QUOTES = re.compile(r'(?P<plain>[^"\\$`]+)|\\(?P<escaped>.)|(?P<quote>")', re.DOTALL)
_NAME = re.compile(r"\$(\w+|[@*#?$!-])")
_NESTING = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[(){}]""", re.DOTALL)
_BACKQUOTED = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)


class NotShell(Exception):
    """The text is not one that this grammar has."""


class PieceKind(Enum):
    """What a piece of a word is."""

    TEXT = "text"
    VARIABLE = "the inside of ${…}"
    COMMAND = "the inside of $(…)"
    ARITHMETIC = "the inside of $((…))"


class Piece(NamedTuple):
    """A piece of a word."""

    kind: PieceKind
    text: str
    quoted: bool = False


Word = tuple[Piece, ...]
Token = Word | str


def plain_text(word: Token) -> str:
    """Return a word that has no quote and no expansion; empty for any other."""
    if isinstance(word, str) or len(word) != 1 or word[0].quoted or word[0].kind is not PieceKind.TEXT:
        return ""
    return word[0].text


class Lexer:
    """Goes through a text once, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.word: list[Piece] = []
        self.skipped = ""
        """The redirection whose file comes next."""
        self.delimiters: list[str] = []

    def tokens(self) -> list[Token]:
        """Split the text.

        Raises:
            NotShell: A quote or a substitution has no end.
        """
        found: list[Token] = []
        while self.at < len(self.text):
            if self.text[self.at] in "$`":
                self._expansion(quoted=False)
                continue
            match = _TOKEN.match(self.text, self.at)
            if match is None:
                raise NotShell("a quote is open")
            self.at = match.end()
            self._take(match, found)
        self._end_word(found)
        return found

    def _take(self, match: re.Match[str], found: list[Token]) -> None:
        """Take one token that is no expansion."""
        kind, text = match.lastgroup, match[match.lastgroup or 0]
        if kind == "quote":
            self._quoted()
        elif kind in ("single", "escaped"):
            self.word.append(Piece(PieceKind.TEXT, text, True))
        elif kind == "plain" or (kind == "comment" and self.word):
            self.word.append(Piece(PieceKind.TEXT, text[:1] if kind == "comment" else text))
            self.at = match.start() + len(self.word[-1].text)
        elif kind in ("redirection", "here"):
            if self.word and plain_text(tuple(self.word)).isdigit():
                self.word = []
            self._end_word(found)
            self.skipped = text
        else:
            self._end_word(found)
            if kind == "operator":
                found.append(text)
            if text == "\n":
                self._skip_documents()

    def _end_word(self, found: list[Token]) -> None:
        if not self.word:
            return
        word, self.word = tuple(self.word), []
        if self.skipped.startswith("<<") and self.skipped != "<<<":
            self.delimiters.append("".join(part.text for part in word))
        elif not self.skipped:
            found.append(word)
        self.skipped = ""

    def _skip_documents(self) -> None:
        """Leave out the here documents that begin behind this line."""
        for delimiter in self.delimiters:
            end = re.compile(rf"^\t*{re.escape(delimiter)}$", re.MULTILINE).search(self.text, self.at)
            self.at = end.end() if end else len(self.text)
        self.delimiters = []

    def _quoted(self) -> None:
        self.word.append(Piece(PieceKind.TEXT, "", True))
        while True:
            if self.text[self.at : self.at + 1] in ("$", "`"):
                self._expansion(quoted=True)
                continue
            match = _IN_QUOTES.match(self.text, self.at)
            if match is None:
                raise NotShell("a quote is open")
            self.at = match.end()
            if match["quote"]:
                return
            escaped = match["escaped"]
            kept = match["plain"] or ("" if escaped == "\n" else escaped if escaped in '$`"\\' else match[0])
            self.word.append(Piece(PieceKind.TEXT, kept, True))

    def _expansion(self, *, quoted: bool) -> None:
        """Take what begins with ``$`` or a backquote."""
        text, start = self.text, self.at
        if text[start] == "`":
            match = _BACKQUOTED.match(text, start)
            if match is None:
                raise NotShell("a backquote is open")
            self.word.append(Piece(PieceKind.COMMAND, match[1], quoted))
            self.at = match.end()
        elif text.startswith(("$(", "${"), start):
            self.at = _find_end(text, start + 1)
            inside = text[start + 2 : self.at - 1]
            kind = PieceKind.VARIABLE if text[start + 1] == "{" else PieceKind.COMMAND
            if text.startswith("$((", start):
                kind = PieceKind.ARITHMETIC
            self.word.append(Piece(kind, inside, quoted))
        elif name := _NAME.match(text, start):
            self.word.append(Piece(PieceKind.VARIABLE, name[1], quoted))
            self.at = name.end()
        else:
            self.word.append(Piece(PieceKind.TEXT, "$", True))
            self.at += 1


def _find_end(text: str, at: int) -> int:
    """Find the end of what the parenthesis or brace at a place opens."""
    opening = text[at]
    closing = ")" if opening == "(" else "}"
    depth = 0
    for match in _NESTING.finditer(text, at):
        depth += (match[0] == opening) - (match[0] == closing)
        if depth == 0 and match[0] == closing:
            return match.end()
    raise NotShell(f"`{opening}` is open")
