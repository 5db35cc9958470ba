# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""File and line for a module without debug information: its objects are compiled again, with line tables.

The recorded command runs into a temporary folder. Its object is used only if the function has the same machine code as
in the ``.ko``, and only if nothing that it is made from has changed since.
"""

from __future__ import annotations

import contextlib
import os

from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.replay import ReplayError, recorded_command, replay
from kdeps.kbuild.rule import Owner, Rule
from kdeps.running.masked_code import is_same_code, read_masked_code
from kdeps.running.oops import Frame
from kdeps.running.source_lines import Call, find_lines
from kdeps.running.symbol_sizes import Place, SymbolSizes, read_symbol_sizes
from kdeps.running.unpacking import open_plain
from kdeps.staleness.check import CheckResult, check_build
from kdeps.system.errors import KdepsError
from kdeps.system.scratch import scratch_folder

_RUSTC_FLAGS = ("-Cdebuginfo=line-tables-only",)
_CLANG_FLAGS = ("-gline-tables-only",)


class ReplayedLines:
    """The objects of one build, compiled again when a frame needs them."""

    def __init__(self, words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> None:
        self._words, self._cwd, self._environ = words, cwd, environ
        self._stack = contextlib.ExitStack()
        self._result: CheckResult | None = None
        self._old: set[str] = set()
        self._objects: dict[str, str | None] = {}
        self._modules: dict[str, SymbolSizes] = {}
        self.problems: list[str] = []
        """Why there are no lines for some objects, one line each."""

    def __enter__(self) -> ReplayedLines:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, symbols: SymbolSizes, frame: Frame, place: Place) -> tuple[Call, ...]:
        """Find the source lines of a frame in a module; empty if they cannot be had."""
        if self._modules.get(symbols.path) is not symbols:  # it was built again
            self._modules[symbols.path] = symbols
            self._result, self._objects = None, {}
        try:
            for rule in self._find_rules(symbols.path):
                if _find_same(rule.target, frame.symbol, symbols.path, place) is None:
                    continue
                if rule.target in self._old:
                    self._note(f"{rule.name}: its sources have changed since it was built")
                    return ()
                path = self._compile(rule)
                again = path and _find_same(path, frame.symbol, symbols.path, place)
                if path and again:
                    section, value = again
                    address = value + frame.offset - (0 if frame.is_exact else 1)
                    return find_lines(path, section, [address])[0]
        except KdepsError as error:
            self._note(str(error))
        return ()

    def _find_rules(self, module: str) -> list[Rule]:
        """List the rules of the objects that are linked into one module."""
        if self._result is None:
            self._result = check_build(self._words, self._cwd, self._environ)
            verdict = self._result.verdict
            self._old = {state.rule.target for state in (*verdict.pending, *verdict.stale)}
        rules = {rule.target: rule for rule in self._result.graph.rules if rule.owner is Owner.MODULE}
        waiting, seen = [module], {module}
        while waiting:
            rule = rules.get(waiting.pop())
            inputs = (rule.source, *rule.prerequisites, *rule.optional_prerequisites) if rule else ()
            new = [path for path in inputs if path and path.endswith(".o") and path not in seen]
            seen.update(new)
            waiting += new
        complete = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
        return [
            rule
            for target, rule in rules.items()
            if target in seen and target.endswith(".o") and rule.source and rule.state in complete
        ]

    def _compile(self, rule: Rule) -> str | None:
        """Run the recorded command of an object again; None if that fails."""
        assert self._result is not None
        if rule.target not in self._objects:
            folder = self._stack.enter_context(scratch_folder("kdeps-decode-"))
            recorded = recorded_command(rule)
            self._objects[rule.target] = None
            try:
                outputs = replay(
                    recorded, folder, self._environ, rustc_flags=_RUSTC_FLAGS, clang_flags=_CLANG_FLAGS
                )
                self._objects[rule.target] = outputs.get(rule.target)
            except ReplayError as error:
                self._note(f"{rule.name}: {error}")
        return self._objects[rule.target]

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _find_same(path: str, symbol: str, module: str, place: Place) -> tuple[str, int] | None:
    """Find a function in an object, section and offset, if its machine code is that of a module's function."""
    if not os.path.isfile(path):
        return None
    try:
        with open_plain(path) as file:
            symbols = read_symbol_sizes(path, file)
        places = symbols.find(symbol)
        if not places:
            return None
        with open_plain(module) as file:
            wanted = read_masked_code(file, place)
        for other in places:
            with open_plain(path) as file:
                code = read_masked_code(file, other)
            if wanted and code and is_same_code(wanted, code):
                return symbols.section_names[other.section], other.value
    except (KdepsError, FileNotFoundError):
        return None
    return None
