# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The simple commands in a recipe that make has expanded.

No shell is run. Which way a shell would take (``a && b``, ``if``, ``case``) is not known, so both are followed:
what is behind them may be in several states. A command that differs between them has alternatives.
What only a shell can know (``$(cat file)``, a variable that a script sets) is unclear, and a command that
depends on it says so. Loops over words are unrolled, and ``cd`` is followed.

Source: POSIX.1-2024, Shell Command Language, "Shell Grammar"; of bash, ``&>``, ``|&`` and ``function``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kdeps.formats.recipe_command import Command, calls_make, find_key, follow_program
from kdeps.formats.recipe_state import (
    UNKNOWN,
    State,
    States,
    Status,
    any_status,
    expand,
    expand_joined,
    find_value,
)
from kdeps.formats.recipe_words import NotShell, Piece, Token, Word, plain_text, read_tokens

_ENDS = frozenset(("then", "else", "elif", "fi", "do", "done", "esac", "}", ")", ";;"))
_JUMPS = frozenset(("exit", "return", "break", "continue"))
_LINE = re.compile(r"(?:[^\\\n]|\\.)+", re.DOTALL)
"""A line, with those behind it that a backslash joins to it."""
_NAME = re.compile(r"[A-Za-z_]\w*")
_ASSIGNS = re.compile(r"[A-Za-z_]\w*\+?=", re.ASCII)
_OK: tuple[Status, ...] = ("ok",)
_NOT_OK: tuple[Status, ...] = ("failed", "lost")
_MAX_DEPTH = 40
_MAX_ROUNDS = 512
_MAX_STATES = 64
_MAX_STEPS = 20_000
_MAX_SHELL_LINE = 1 << 17
"""No shell is given a longer one (``MAX_ARG_STRLEN``): make can only run such a line if it needs no shell."""


def read_commands(
    recipe: str, folder: str, environ: dict[str, str], *, one_shell: bool = False
) -> list[Command]:
    """Find the commands of a recipe, the text after make's own expansion, that runs in a folder.

    With ``one_shell`` (``.ONESHELL``) all lines have one shell, else each has its own.
    """
    lines = [line.lstrip("@+- \t") for line in _LINE.findall(recipe)]
    found: list[Command] = []
    for text in ["\n".join(lines)] if one_shell else lines:
        shell = _Shell(environ)
        try:
            shell.run(text, {State((folder,)): None})
        except NotShell as error:
            if calls_make(text):
                shell.found = [Command(("make",), folder, (), f"`{text[:80]}` is not understood: {error}")]
        found += shell.found
    return found


class _Shell:
    """Follows the text of one shell from left to right, in each of the states that it may be in.

    What is never run is followed in no state, and so are a loop and a function once, to find where they end.
    """

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.found: list[Command] = []
        self.unknown: list[str] = []
        self.tokens: list[Token] = []
        self.at = 0
        self.functions: dict[str, tuple[list[Token], int]] = {}
        """The name of each → where its body begins."""
        self.left: States = {}
        """States in which a loop was left, or its next round begun."""
        self.returned: States = {}
        """States in which a function was left."""
        self.steps = 0
        self.depth = 0

    def run(self, text: str, states: States) -> None:
        """Follow a text of its own.

        Raises:
            NotShell: It is cut off, or there is more to follow than people write.
        """
        outer = self.tokens, self.at
        self.tokens, self.at = _read_line(text), 0
        self.sequence(states)
        if self.at < len(self.tokens):
            raise NotShell(f"`{self.plain()}` has no beginning")
        self.tokens, self.at = outer

    # -- the grammar -----------------------------------------------------------

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

    def skip(self, *unwanted: str) -> None:
        while self.peek() in unwanted:
            self.at += 1

    def words(self) -> list[Word]:
        found: list[Word] = []
        while (token := self.peek()) is not None and not isinstance(token, str):
            found.append(token)
            self.at += 1
        return found

    def sequence(self, states: States) -> States:
        """Follow one command after the other. A ``cd`` whose failure nothing looks at is taken to work."""
        while True:
            self.skip(";", "\n", "&")
            if self.peek() is None or self.plain() in _ENDS:
                return states
            before, functions = _ended(states, "ok", "failed"), self.functions
            states = self.and_or(before)
            if self.peek() == "&":
                states, self.functions = any_status(before), functions

    def and_or(self, states: States) -> States:
        states = self.pipeline(states)
        while self.peek() in ("&&", "||"):
            operator = self.expect("&&", "||")
            self.skip("\n")
            if self.peek() is None:
                break  # make ends `$(foreach …, … && )` so, and the shell would say that it is wrong
            wanted = _OK if operator == "&&" else _NOT_OK
            passed = {state: None for state in states if state.status not in wanted}
            states = passed | self.pipeline(_ended(states, *wanted))
        return states

    def pipeline(self, states: States) -> States:
        """Follow the commands of one pipeline; where there are several, each gets a shell of its own."""
        is_negated = False
        while self.plain() == "!":
            self.at += 1
            is_negated = not is_negated
        functions = self.functions
        after = self.command(states)
        while self.peek() in ("|", "|&"):
            self.at += 1
            self.skip("\n")
            self.command(states)
            after, self.functions = any_status(states), functions
        if is_negated:
            return {
                state._replace(status="failed" if state.status == "ok" else "ok"): None for state in after
            }
        return after

    def command(self, states: States) -> States:
        """Follow a simple command or a compound one."""
        self.depth += 1
        self.steps += max(1, len(states))
        if self.depth > _MAX_DEPTH:
            raise NotShell("it is nested too deep")
        if self.steps > _MAX_STEPS:
            raise NotShell("it runs too much")
        if len(states) > _MAX_STATES:
            raise NotShell("it has too many ways")
        compound = {
            "(": self.subshell, "{": self.group, "if": self.if_, "case": self.case,
            "while": self.while_, "until": self.while_, "for": self.for_, "select": self.for_,
        }.get(self.plain())  # fmt: skip
        if compound is not None:
            self.at += 1
            after = compound(states)
        else:
            after = self.simple(states)
        self.depth -= 1
        return after

    def subshell(self, states: States) -> States:
        functions = self.functions
        self.sequence(states)
        self.expect(")")
        self.functions = functions
        return any_status(states)

    def group(self, states: States) -> States:
        states = self.sequence(states)
        self.expect("}")
        return states

    def if_(self, states: States) -> States:
        after: States = {}
        word = "if"
        while word in ("if", "elif"):
            tested = self.sequence(states)
            self.expect("then")
            after |= self.sequence(_ended(tested, *_OK))
            states = _ended(tested, *_NOT_OK)
            word = self.expect("fi", "else", "elif")
        if word == "else":
            states = self.sequence(states)
            self.expect("fi")
        return after | states

    def case(self, states: States) -> States:
        self.at += 1
        self.skip("\n")
        self.expect("in")
        after: States = {}
        takes_all = False
        self.skip(";", "\n", "&")
        while self.plain() != "esac":
            while self.plain() != ")":
                if self.peek() is None:
                    raise NotShell("`esac` is missing")
                takes_all = takes_all or self.plain() == "*"
                self.at += 1
            self.at += 1
            after |= self.sequence(states)
            self.skip(";;", "\n", ";")
        self.expect("esac")
        return after if takes_all else states | after

    def while_(self, states: States) -> States:
        """Follow a loop until it brings no new state."""
        start, outer, self.left = self.at, self.left, {}
        seen: States = {}
        ended: States = {}
        while True:
            self.at = start
            seen |= states
            tested = _ended(self.sequence(states), "ok", *_NOT_OK)
            ended |= tested  # `until` ends where the condition holds
            states = {state: None for state in self.body(tested) if state not in seen}
            if not states:
                break
        ended, self.left = ended | self.left, outer
        return any_status(ended)

    def for_(self, states: States) -> States:
        """Follow each round of a loop over words. The list may differ from state to state."""
        name = self.plain()
        if not _NAME.fullmatch(name):
            raise NotShell("`for` has no name")
        self.at += 1
        self.skip("\n")
        words = None
        if self.plain() == "in":
            self.at += 1
            words = self.words()
        self.skip(";", "\n", "&")
        lists: dict[tuple[str, ...], States] = {}
        for state in states:
            values = [UNKNOWN]  # of the arguments of the script
            if words is not None:
                values = [
                    value for word in words for value in expand(word, state, self.environ, self.unknown)
                ]
            lists.setdefault(tuple(values), {})[state] = None
        start, outer, self.left = self.at, self.left, {}
        after = self.body({})
        for values_, current in lists.items():
            if len(values_) > _MAX_ROUNDS:
                raise NotShell("a loop has too many rounds")
            for value in values_:
                self.at = start
                current = self.body({state.assign({name: value}): None for state in current})
            after |= current
        after, self.left = after | self.left, outer
        return any_status(after)

    def body(self, states: States) -> States:
        """Follow one round of a loop."""
        self.skip(";", "\n", "&")
        self.expect("do")
        states = self.sequence(states)
        self.expect("done")
        return _ended(states, "ok", "failed") | self.left

    # -- simple commands -------------------------------------------------------

    def simple(self, states: States) -> States:
        """Follow a simple command, or note a function; what a command runs in one state and in another are
        alternatives.
        """
        words = self.words()
        if self.peek() == "(" and len(words) == 1 and self.tokens[self.at + 1 : self.at + 2] == [")"]:
            self.at += 2
            self.skip("\n")
            if states:
                self.functions = {**self.functions, plain_text(words[0]): (self.tokens, self.at)}
            self.command({})
            return states
        if not words:
            raise NotShell(f"`{self.peek()}` has no command")
        after: States = {}
        commands: dict[tuple[object, ...], Command] = {}
        for state in states:
            reached, command = self._simple_in(words, state)
            after |= dict.fromkeys(reached)
            if command is not None:
                commands.setdefault(find_key(command), command)
        if commands:
            first, *others = commands.values()
            self.found.append(first._replace(alternatives=tuple(others)))
        return after

    def _simple_in(self, words: list[Word], state: State) -> tuple[Iterable[State], Command | None]:
        """Follow a simple command in one state."""
        assignments: dict[str, str] = {}
        expanded: list[str] = []
        for word in words:
            for piece in word:
                if piece.opening == "(" and "make" in piece.text:
                    self.run(piece.text, {state: None})
            if not expanded and _assigns(word):
                given = state.assign(assignments)
                name, _, value = expand_joined(word, given, self.environ, self.unknown).partition("=")
                if name.endswith("+"):
                    name = name[:-1]
                    value = (find_value(name, given, self.environ) or "") + value
                assignments[name] = value
            else:
                expanded += expand(word, state, self.environ, self.unknown)
        if not expanded:
            may_fail = any(piece.opening == "(" for word in words for piece in word)
            after = (state.assign(assignments, self.environ.keys() & assignments),)
            return any_status(after) if may_fail else after, None
        program = expanded[0]
        if program in self.functions:
            return self._call(program, state.assign(assignments)), None
        if program in _JUMPS:
            left = {"return": self.returned, "exit": {}}.get(program, self.left)
            left[state] = None
            return (), None
        return follow_program(expanded, assignments, state, self.environ, self.unknown)

    def _call(self, name: str, state: State) -> States:
        """Follow a function of the shell."""
        outer = self.tokens, self.at, self.returned
        (self.tokens, self.at), self.returned = self.functions[name], {}
        after = self.command({state: None}) | any_status(self.returned)
        self.tokens, self.at, self.returned = outer
        return after


def _ended(states: States, *statuses: Status) -> States:
    """Those states in which the last command ended so, as the next finds them: first those in which it worked."""
    ended = [state for state in states if state.status in statuses]
    return {
        state._replace(status="ok"): None for state in sorted(ended, key=lambda state: state.status != "ok")
    }


def _read_line(text: str) -> list[Token]:
    """Split what make hands to a shell, or runs itself if it is longer than a shell would take."""
    if len(text) > _MAX_SHELL_LINE:
        return [(Piece(word, quoted=True),) for word in text.replace("\\\n", " ").split()]
    return read_tokens(text)


def _assigns(word: Word) -> bool:
    """Whether a word assigns a variable, if it stands before the program."""
    return not word[0].opening and not word[0].quoted and _ASSIGNS.match(word[0].text) is not None
