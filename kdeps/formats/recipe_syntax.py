# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The text of a shell as a tree: what is run, and what depends on which.

Nothing is expanded and nothing is run. What the text means is for ``recipe`` to say.

Source: POSIX.1-2024, Shell Command Language, "Shell Grammar"; of bash, ``&>``, ``|&`` and ``function``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kdeps.formats.recipe_words import Lexer, NotShell, Token, Word, plain_text

_MAX_DEPTH = 40
_KEYWORDS_THAT_END = frozenset(("then", "else", "elif", "fi", "do", "done", "esac", "}"))
_SEPARATORS = frozenset((";", "\n", "&"))


class Simple(NamedTuple):
    """Assignments, a program, its arguments; without redirections."""

    words: tuple[Word, ...]


class Sequence(NamedTuple):
    """One after the other."""

    items: tuple[Node, ...]


class AndOr(NamedTuple):
    """``a && b || c``: each but the first with its operator."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


class Pipeline(NamedTuple):
    """Commands of which each has a shell of its own."""

    items: tuple[Node, ...]


class Not(NamedTuple):
    """``! a``"""

    item: Node


class If(NamedTuple):
    """Conditions with what they lead to, and what no condition leads to."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node


class Case(NamedTuple):
    """What one of several patterns leads to."""

    bodies: tuple[Node, ...]
    takes_all: bool
    """One of the patterns is ``*``."""


class While(NamedTuple):
    """``while`` and ``until``."""

    condition: Node
    body: Node


class For(NamedTuple):
    """A loop over words; None: over the arguments of the script."""

    name: str
    words: tuple[Word, ...] | None
    body: Node


class Function(NamedTuple):
    """What a name stands for from here on."""

    name: str
    body: Node


Node = Simple | Sequence | AndOr | Pipeline | Not | If | Case | While | For | Function


def parse_shell(text: str) -> Node:
    """Parse the text that a shell is given.

    Raises:
        NotShell: It is cut off, or nested deeper than people write.
    """
    parser = _Parser(Lexer(text).tokens())
    node = parser.sequence(frozenset())
    if parser.at < len(parser.tokens):
        raise NotShell(f"`{parser.plain()}` has no beginning")
    return node


class _Parser:
    """Goes through the tokens once, from left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def plain(self) -> str:
        """The next token, if it is an operator or could be a keyword."""
        token = self.peek()
        return "" if token is None else token if isinstance(token, str) else plain_text(token)

    def expect(self, *wanted: str) -> str:
        token = self.plain()
        if token not in wanted:
            raise NotShell(f"`{wanted[0]}` is missing")
        self.at += 1
        return token

    def skip(self, unwanted: frozenset[str] = _SEPARATORS) -> None:
        while isinstance(token := self.peek(), str) and token in unwanted:
            self.at += 1

    def sequence(self, ends: frozenset[str]) -> Node:
        """Take commands up to one of the words or operators that end them, or one that must."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise NotShell("it is nested too deep")
        items: list[Node] = []
        while True:
            self.skip()
            token = self.plain()
            if self.peek() is None or token in ends or token in _KEYWORDS_THAT_END or token in (")", ";;"):
                self.depth -= 1
                return items[0] if len(items) == 1 else Sequence(tuple(items))
            item = self.and_or()
            items.append(Pipeline((item,)) if self.peek() == "&" else item)

    def and_or(self) -> Node:
        first = self.pipeline()
        rest: list[tuple[str, Node]] = []
        while self.peek() in ("&&", "||"):
            operator = self.expect("&&", "||")
            self.skip(frozenset("\n"))
            if self.peek() is None:
                break  # make ends `$(foreach …, … && )` so, and the shell would say that it is wrong
            rest.append((operator, self.pipeline()))
        return AndOr(first, tuple(rest)) if rest else first

    def pipeline(self) -> Node:
        if self.plain() == "!":
            self.at += 1
            return Not(self.pipeline())
        items = [self.command()]
        while self.peek() in ("|", "|&"):
            self.at += 1
            self.skip(frozenset("\n"))
            items.append(self.command())
        return Pipeline(tuple(items)) if len(items) > 1 else items[0]

    def command(self) -> Node:
        """Take a simple command or a compound one."""
        word = self.plain()
        compound = {
            "(": self.group, "{": self.group, "if": self.if_, "while": self.while_, "until": self.while_,
            "for": self.for_, "select": self.for_, "case": self.case,
        }.get(word)  # fmt: skip
        if compound is not None:
            return compound()
        words: list[Word] = []
        while (token := self.peek()) is not None and not isinstance(token, str):
            words.append(token)
            self.at += 1
        if token == "(" and len(words) == 1 and self.tokens[self.at + 1 : self.at + 2] == [")"]:
            self.at += 2
            self.skip(frozenset("\n"))
            return Function(plain_text(words[0]), self.command())
        if not words:
            raise NotShell(f"`{token}` has no command")
        return Simple(tuple(words))

    def group(self) -> Node:
        closing = ")" if self.expect("(", "{") == "(" else "}"
        body = self.sequence(frozenset((closing,)))
        self.expect(closing)
        return Pipeline((body,)) if closing == ")" else body

    def if_(self) -> Node:
        branches: list[tuple[Node, Node]] = []
        word = self.expect("if")
        while word in ("if", "elif"):
            condition = self.sequence(frozenset(("then",)))
            self.expect("then")
            branches.append((condition, self.sequence(frozenset(("elif", "else", "fi")))))
            word = self.expect("fi", "else", "elif")
        otherwise: Node = Sequence(())
        if word == "else":
            otherwise = self.sequence(frozenset(("fi",)))
            self.expect("fi")
        return If(tuple(branches), otherwise)

    def while_(self) -> Node:
        self.expect("while", "until")
        condition = self.sequence(frozenset(("do",)))
        return While(condition, self.body())

    def body(self) -> Node:
        self.skip()
        self.expect("do")
        body = self.sequence(frozenset(("done",)))
        self.expect("done")
        return body

    def for_(self) -> Node:
        self.expect("for", "select")
        name = self.plain()
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise NotShell("`for` has no name")
        self.at += 1
        words: list[Word] | None = None
        self.skip(frozenset("\n"))
        if self.plain() == "in":
            self.at += 1
            words = []
            while (token := self.peek()) is not None and not isinstance(token, str):
                words.append(token)
                self.at += 1
        return For(name, None if words is None else tuple(words), self.body())

    def case(self) -> Node:
        self.expect("case")
        self.at += 1
        self.skip(frozenset("\n"))
        self.expect("in")
        bodies: list[Node] = []
        takes_all = False
        self.skip()
        while self.plain() != "esac":
            while self.plain() != ")":
                if self.peek() is None:
                    raise NotShell("`esac` is missing")
                takes_all = takes_all or self.plain() == "*"
                self.at += 1
            self.at += 1
            bodies.append(self.sequence(frozenset((";;", "esac"))))
            self.skip(frozenset((";;", "\n", ";")))
        self.expect("esac")
        return Case(tuple(bodies), takes_all)
