# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The text of a shell as words and operators.

Nothing is expanded: a word has the text of its variables and substitutions. Redirections and here documents
are left out, because they decide nothing about what is run.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_EXPANSION = r"""
  | \$(?P<opening>\(\(?|\{)
  | \$(?P<name>\w+|[@*#?$!-])
  | (?P<dollar>\$)
  | `(?P<backquoted>(?:[^`\\]|\\.)*)`
"""
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+)
  | (?P<removed>\\\n)
  | (?P<plain>[^ \t\r\n'"\\$`;|&()<>#]+)
  | '(?P<single>[^']*)'
  | \\(?P<escaped>.)
  | (?P<quote>")
  | (?P<here><<-?(?!<))
  | (?P<redirection>&>>?|>>|>\||>&|<<<|<>|<&|>|<)
  | (?P<operator>;;|&&|\|\||\|&|[;|&()\n])
  | (?P<comment>\#[^\n]*)
  | \$(?P<ansi>'(?:[^'\\]|\\.)*'|(?="))"""
    + _EXPANSION,
    re.VERBOSE | re.DOTALL,
)
_IN_QUOTES = re.compile(
    r"""(?P<plain>[^"\\$`]+) | \\(?P<removed>\n) | \\(?P<escaped>[$`"\\]) | (?P<kept>\\.) | (?P<quote>")"""
    + _EXPANSION,
    re.VERBOSE | re.DOTALL,
)
_NESTING = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[(){}]""", re.DOTALL)


class NotShell(Exception):
    """The text is not one that this grammar has."""


class Piece(NamedTuple):
    """A piece of a word: text, or the inside of ``${…}``, ``$(…)`` or ``$((…))``."""

    text: str
    opening: str = ""
    """The braces or parentheses that it is inside of; empty for text."""
    quoted: bool = False

    @property
    def written(self) -> str:
        """An expansion as one writes it."""
        if self.opening == "{":
            return f"${self.text}" if re.fullmatch(r"\w+|\W", self.text) else f"${{{self.text}}}"
        return f"$({self.text})" if self.opening == "(" else f"${self.text}"


Word = tuple[Piece, ...]
Token = Word | str


def plain_text(word: Token) -> str:
    """Return a word that has no quote and no expansion; empty for any other."""
    if isinstance(word, str) or len(word) != 1 or word[0].quoted or word[0].opening:
        return ""
    return word[0].text


def read_tokens(text: str) -> list[Token]:
    """Split a text, once from left to right.

    Raises:
        NotShell: A quote or a substitution has no end.
    """
    lexer = _Lexer(text)
    while lexer.at < len(text) or lexer.in_quotes:
        lexer.step()
    lexer.end_word()
    return lexer.found


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[Token] = []
        self.word: list[Piece] = []
        self.in_quotes = False
        self.redirection = ""
        """The one whose file comes next."""
        self.delimiters: list[str] = []

    def step(self) -> None:
        """Take one piece of a word, or what is between words."""
        match = (_IN_QUOTES if self.in_quotes else _TOKEN).match(self.text, self.at)
        if match is None:
            back = "back" if self.text.startswith("`", self.at) else ""
            raise NotShell(f"a {back}quote is open")
        kind, text = match.lastgroup or "", match[match.lastgroup or 0]
        self.at = match.end()
        if kind == "quote":
            self.in_quotes = not self.in_quotes
            self.word.append(Piece("", quoted=True))
        elif kind == "opening":
            self.at = _find_end(self.text, match.start(kind))
            inside = self.text[match.start(kind) + 1 : self.at - 1]  # of `$((1))` it is `(1)`
            self.word.append(Piece(inside, text, self.in_quotes))
        elif kind == "ansi":
            self.word.append(Piece(text, "'", quoted=True))
        elif kind in ("name", "backquoted"):
            self.word.append(Piece(text, "{" if kind == "name" else "(", self.in_quotes))
        elif kind == "comment" and self.word:
            self.word.append(Piece("#"))
            self.at = match.start() + 1
        elif kind == "plain":
            self.word.append(Piece(text, quoted=self.in_quotes))
        elif kind in ("single", "escaped", "kept", "dollar"):
            self.word.append(Piece(text, quoted=True))
        elif kind in ("redirection", "here"):
            if self.word and plain_text(tuple(self.word)).isdigit():
                self.word = []
            self.end_word()
            self.redirection = kind
        elif kind != "removed":
            self.end_word()
            if kind == "operator":
                self.found.append(text)
            if text == "\n":
                self.skip_documents()

    def end_word(self) -> None:
        """Take the word that ends here, if there is one."""
        if not self.word:
            return
        if self.redirection == "here":
            self.delimiters.append("".join(part.text for part in self.word))
        elif not self.redirection:
            self.found.append(tuple(self.word))
        self.word, self.redirection = [], ""

    def skip_documents(self) -> None:
        """Leave out the here documents that begin behind this line."""
        for delimiter in self.delimiters:
            end = re.compile(rf"^\t*{re.escape(delimiter)}$", re.MULTILINE).search(self.text, self.at)
            self.at = end.end() if end else len(self.text)
        self.delimiters = []


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
