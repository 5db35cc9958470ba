# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The simple commands in a recipe that make has expanded.

No shell is run. Which way a shell would take (``a && b``, ``if``, ``case``) is not known, so both are followed:
what is behind them may be in several states. A command that differs between them has alternatives.
What only a shell can know (``$(cat file)``, a variable that a script sets) is unclear, and a command that
depends on it says so. Loops over words are unrolled, and ``cd`` is followed.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import NamedTuple

from kdeps.formats.recipe_command import (
    ASSIGNMENT,
    TALKERS,
    WRAPPERS,
    Command,
    calls_make,
    find_key,
    find_make,
    read_make,
    why_unclear,
)
from kdeps.formats.recipe_state import UNKNOWN, State, expand, expand_joined
from kdeps.formats.recipe_syntax import (
    AndOr,
    Case,
    For,
    Function,
    If,
    Node,
    Not,
    Pipeline,
    Sequence,
    Simple,
    While,
    parse_shell,
)
from kdeps.formats.recipe_words import NotShell, Piece, PieceKind, Word

_DECLARES = frozenset(("export", "readonly", "declare", "typeset", "local"))
_NAMES = re.compile(r"\b([A-Za-z_]\w*)=", re.ASCII)
_GLOB = re.compile(r"[*?\[]")
_MAX_ROUNDS = 512
_MAX_STATES = 64
_MAX_STEPS = 20_000
_MAX_SHELL_LINE = 1 << 17
"""No shell is given a longer one (``MAX_ARG_STRLEN``): make can only run such a line if it needs no shell."""

States = dict[State, None]


def read_commands(
    recipe: str, folder: str, environ: dict[str, str], *, one_shell: bool = False
) -> list[Command]:
    """Find the commands of a recipe, the text after make's own expansion, that runs in a folder.

    With ``one_shell`` (``.ONESHELL``) all lines have one shell, else each has its own.
    """
    lines = [line.lstrip("@+- \t") for line in recipe.replace("\\\n", " ").split("\n")]
    found: list[Command] = []
    for text in ["\n".join(lines)] if one_shell else lines:
        shell = _Shell(environ)
        try:
            shell.run(_parse(text), {State((folder,)): None})
        except (NotShell, _TooMuch) as error:
            if calls_make(text):
                shell.found = [Command(("make",), folder, (), f"`{text[:80]}` is not understood: {error}")]
        found += shell.found
    return found


class _TooMuch(Exception):
    """The ways through a text are too many to follow."""


class _Flow(NamedTuple):
    """In which states a command may leave the shell."""

    ok: States
    failed: States

    @property
    def all(self) -> States:
        return {**self.ok, **self.failed}


class _Shell:
    """Follows the text of one shell."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.found: list[Command] = []
        self.unknown: list[str] = []
        self.functions: dict[str, Node] = {}
        self.left: States = {}
        """States in which a loop was left, or its next round begun."""
        self.returned: States = {}
        """States in which a function was left."""
        self.steps = 0
        self.depth = 0

    def run(self, node: Node, states: States) -> _Flow:
        """Follow one command from each of the states that the shell may be in."""
        if not states:
            return _Flow({}, {})
        self.steps += len(states)
        if self.steps > _MAX_STEPS:
            raise _TooMuch("it runs too much")
        if len(states) > _MAX_STATES:
            raise _TooMuch("it has too many ways")
        if isinstance(node, Simple):
            return self._simple(node, states)
        if isinstance(node, Sequence):
            return self._sequence(node, states)
        if isinstance(node, AndOr):
            flow = self.run(node.first, states)
            for operator, item in node.rest:
                if operator == "&&":
                    after = self.run(item, flow.ok)
                    flow = _Flow(after.ok, {**flow.failed, **after.failed})
                else:
                    after = self.run(item, _noticed(flow.failed))
                    flow = _Flow({**flow.ok, **after.ok}, after.failed)
            return flow
        if isinstance(node, Pipeline):
            functions = dict(self.functions)
            for item in node.items:
                self.run(item, states)
            self.functions = functions
            return _Flow(states, states)
        if isinstance(node, Not):
            flow = self.run(node.item, states)
            return _Flow(_noticed(flow.failed), flow.ok)
        if isinstance(node, Function):
            self.functions[node.name] = node.body
            return _Flow(states, {})
        return self._compound(node, states)

    def _sequence(self, node: Sequence, states: States) -> _Flow:
        flow = _Flow(states, {})
        for item in node.items:
            flow = self.run(item, _expected(flow))
        return flow

    def _compound(self, node: If | Case | While | For, states: States) -> _Flow:
        """Follow what may be run, and what may be run several times."""
        if isinstance(node, If):
            ok: States = {}
            failed: States = {}
            for condition, body in node.branches:
                flow = self.run(condition, states)
                after = self.run(body, _expected(_Flow(flow.ok, {})))
                ok, failed = {**ok, **after.ok}, {**failed, **after.failed}
                states = _noticed(flow.failed)
            after = self.run(node.otherwise, states)
            return _Flow({**ok, **after.ok}, {**failed, **after.failed})
        if isinstance(node, Case):
            flows = [self.run(body, states) for body in node.bodies]
            passed = {} if node.takes_all else states
            return _Flow(
                {**passed, **{state: None for flow in flows for state in flow.ok}},
                {state: None for flow in flows for state in flow.failed},
            )
        outer, self.left = self.left, {}
        after_loop = self._for(node, states) if isinstance(node, For) else self._while(node, states)
        after_loop = {**after_loop, **self.left}
        self.left = outer
        return _Flow(after_loop, after_loop)

    def _while(self, node: While, states: States) -> States:
        """Follow a loop until it brings no new state."""
        seen: States = {}
        ended: States = {}
        while states:
            seen.update(states)
            flow = self.run(node.condition, states)
            ended.update(_noticed(flow.all))  # `until` ends where the condition holds
            after = {**_expected(self.run(node.body, _noticed(flow.all))), **self.left}
            states = {state: None for state in after if state not in seen}
        return ended

    def _for(self, node: For, states: States) -> States:
        """Follow each round of a loop over words. The list may differ from state to state."""
        lists: dict[tuple[str, ...], States] = {}
        for state in states:
            values = [UNKNOWN]
            if node.words is not None:
                values = [value for word in node.words for value in self._expand_names(word, state)]
            lists.setdefault(tuple(values), {})[state] = None
        ended: States = {}
        for values_, current in lists.items():
            if len(values_) > _MAX_ROUNDS:
                raise _TooMuch("a loop has too many rounds")
            for value in values_:
                started = {state.assign({node.name: value}): None for state in current}
                current = {**_expected(self.run(node.body, started)), **self.left}
            ended.update(current)
        return ended

    def _expand_names(self, word: Word, state: State) -> list[str]:
        """Expand a word of a list: the names that a pattern stands for are not known."""
        if any(part.kind is PieceKind.TEXT and not part.quoted and _GLOB.search(part.text) for part in word):
            self.unknown.append("".join(part.text for part in word))
            return [UNKNOWN]
        return expand(word, state, self.environ, self.unknown)

    # -- simple commands -------------------------------------------------------

    def _simple(self, node: Simple, states: States) -> _Flow:
        """Follow a simple command; what it runs in one state and in another are alternatives."""
        ok: States = {}
        failed: States = {}
        commands: dict[tuple[object, ...], Command] = {}
        for state in states:
            flow, command = self._simple_in(node, state)
            ok.update(flow.ok)
            failed.update(flow.failed)
            if command is not None:
                commands.setdefault(find_key(command), command)
        if commands:
            first, *others = commands.values()
            self.found.append(first._replace(alternatives=tuple(others)))
        return _Flow(ok, failed)

    def _simple_in(self, node: Simple, state: State) -> tuple[_Flow, Command | None]:
        """Follow a simple command in one state."""
        assignments: dict[str, str] = {}
        words: list[str] = []
        for word in node.words:
            self._run_substitutions(word, state)
            name = _find_assigned(word) if not words else ""
            if name:
                value = expand_joined(word, state.assign(assignments), self.environ, self.unknown)
                assignments[name] = value.partition("=")[2]
            else:
                words += expand(word, state, self.environ, self.unknown)
        if words:
            return self._command(words, assignments, state)
        after = {state.assign(assignments, self._known(assignments)): None}
        return _Flow(after, after if _has_substitution(node) else {}), None

    def _known(self, names: dict[str, str]) -> frozenset[str]:
        """Those names that the shell was given: it hands their new values on."""
        return frozenset(name for name in names if name in self.environ)

    def _run_substitutions(self, word: Word, state: State) -> None:
        """Follow what a word is made of by ``$(…)``, in a shell of its own."""
        for part in word:
            if part.kind is PieceKind.COMMAND and "make" in part.text:
                self._deeper()
                self.run(_parse(part.text), {state: None})
                self.depth -= 1

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > 8:
            raise _TooMuch("it is nested too deep")

    def _command(
        self, words: list[str], assignments: dict[str, str], state: State
    ) -> tuple[_Flow, Command | None]:
        """Follow a program or a built-in command of the shell, whose words are expanded."""
        if words[0] in self.functions:
            return self._call(self.functions[words[0]], state.assign(assignments)), None
        both = _Flow({state: None}, {state: None})
        at = find_make(words)
        before = words if at is None else words[:at]
        given = {name: value for name, value in state.variables if name in state.exported}
        given.update(assignments)
        if at is not None or words[0] in WRAPPERS:
            given.update({m[1]: m[2] for m in map(ASSIGNMENT.fullmatch, before) if m})
        run = (
            [word for word in before if not ASSIGNMENT.fullmatch(word)]
            if words[0] not in _DECLARES
            else words
        )
        if at is not None:
            rest = [word for word in words[at:] if not word.startswith(("--on-stale", "--with"))]
            return both, read_make(rest, given, state.folder, why_unclear(run, rest), self.unknown)
        run = list(itertools.dropwhile(lambda word: word in WRAPPERS or word[:1] == "-", run))
        if not run:
            return both, None
        if (changed := self._builtin(run, state)) is not None:
            is_read = run[0] in (".", "source") or (run[0] == "eval" and UNKNOWN in "".join(run))
            return changed, Command(tuple(run), state.folder) if is_read else None
        inner = next(filter(calls_make, run), "")
        if inner and os.path.basename(run[0]) not in TALKERS:
            why = f"`{run[0]}` is given `{inner[:200]}` to run"
            return both, Command(("make",), state.folder, (), why)
        shown = words[words.index(run[0]) :]
        kept = tuple(word for word in shown if UNKNOWN not in word) or (shown[0],)
        flow = _Flow({state: None}, {}) if run[0] in TALKERS else both
        return flow, Command(kept, state.folder, tuple(given.items()))

    def _call(self, body: Node, state: State) -> _Flow:
        """Follow a function of the shell."""
        self._deeper()
        outer, self.returned = self.returned, {}
        flow = self.run(body, {state: None})
        flow = _Flow({**flow.ok, **self.returned}, {**flow.failed, **self.returned})
        self.returned = outer
        self.depth -= 1
        return flow

    def _builtin(self, run: list[str], state: State) -> _Flow | None:
        """Follow a command that changes the shell itself; None if it is another one."""
        name, *arguments = run
        operands = [word for word in arguments if word[:1] != "-" or word == "-"]
        if name in _DECLARES:
            values = {m[1]: m[2] for m in map(ASSIGNMENT.fullmatch, operands) if m}
            named = frozenset((*values, *operands)) if name == "export" else self._known(values)
            return _Flow({state.assign(values, named): None}, {})
        if name in ("cd", "pushd"):
            folder = operands[0] if operands else self.environ.get("HOME", UNKNOWN)
            if name == "pushd":
                state = state._replace(folders=(*state.folders, state.folder))
            moved = state.move(UNKNOWN if folder == "-" else folder)
            return _Flow({moved: None}, {state._replace(lost=True): None})
        if name == "popd":
            folders = state.folders[:-1] or (UNKNOWN,)
            return _Flow({state._replace(folders=folders): None}, {})
        if name in ("read", "mapfile", "readarray", "getopts", "unset"):
            after = {state.assign(dict.fromkeys(operands, UNKNOWN)): None}
            return _Flow(after, after)
        if name in (".", "source"):
            after = {state._replace(variables=(), sourced=True): None}
            return _Flow(after, after)
        if name == "eval" and not calls_make(" ".join(arguments)):
            # The names of what it assigns can be seen, their values cannot.
            text = " ".join(arguments)
            after = {state.assign(dict.fromkeys(_NAMES.findall(text), UNKNOWN)): None}
            if UNKNOWN in text:
                after = {state._replace(variables=(), sourced=True): None}
            return _Flow(after, after)
        if name in ("exit", "return", "break", "continue"):
            left = {"return": self.returned, "exit": {}}.get(name, self.left)
            left[state] = None
            return _Flow({}, {})
        return _Flow({}, {state: None}) if name == "false" else None


def _parse(text: str) -> Node:
    """Parse what make hands to a shell, or runs itself if it is longer than a shell would take."""
    if len(text) > _MAX_SHELL_LINE:
        return Simple(tuple((Piece(PieceKind.TEXT, word, True),) for word in text.split()))
    return parse_shell(text)


def _expected(flow: _Flow) -> States:
    """The states in which the next command is run. A ``cd`` whose failure nothing looks at is taken to work."""
    return {state: None for state in flow.all if not state.lost}


def _noticed(states: States) -> States:
    """The states of those in which something is run because a command failed."""
    return {state._replace(lost=False): None for state in states}


def _find_assigned(word: Word) -> str:
    """Return the variable that a word assigns; empty if it assigns none."""
    match = ASSIGNMENT.match(word[0].text) if word[0].kind is PieceKind.TEXT and not word[0].quoted else None
    return match[1] if match else ""


def _has_substitution(node: Simple) -> bool:
    return any(part.kind is PieceKind.COMMAND for word in node.words for part in word)
