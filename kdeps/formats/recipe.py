# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The simple commands in a recipe that make has expanded.

No shell is run. What only a shell can know (``$(cat file)``, a variable that a script sets) is unclear,
and a command that depends on it says so. Loops over words are unrolled, and ``cd`` is followed.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
from typing import NamedTuple

_KEYWORDS = frozenset(
    ("if", "then", "else", "elif", "fi", "do", "done", "while", "until", "!", "{", "}", "time")
)
_WRAPPERS = frozenset(
    ("sudo", "doas", "env", "nice", "exec", "command", "ionice", "nohup", "time", "timeout", "stdbuf", "setsid", "flock",
     "taskset", "chrt", "numactl", "fakeroot", "strace", "bear", "intercept-build", "scan-build", "xargs", "kdeps")
)  # fmt: skip
"""They run the command behind their own words, in the same folder."""
_MOVES = re.compile(r"-[CDR]|--(?:chdir|chroot)\b.*")
"""Options with which some of them run it in another folder."""
_TALKERS = frozenset(("echo", "printf", ":", "true"))
_INNER_MAKE = re.compile(r"(?:^|[\s;&|(/])g?make\s")
_INNER_KERNEL = re.compile(r"-C|\bM=|\bKBUILD_EXTMOD=")
_MAKES = frozenset(("make", "gmake"))
_LOADERS = frozenset(("insmod", "modprobe"))
_UNLOADS = frozenset(("-r", "--remove", "-n", "--dry-run"))
_UNKNOWN = "\x01"
_SUBSTITUTION = re.compile(r"`([^`]*)`|\$\(([^()]*)\)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ASSIGNMENT = re.compile(r"(\w+)=(.*)", re.DOTALL)
_MATTERS = re.compile(r"-C|-f|-[A-Za-z]*C$|(?:M|O|MO|ARCH|LLVM|CROSS_COMPILE|CC|SUBDIRS|KBUILD_\w+)=")
_MAX_ROUNDS = 64
_MAX_SHELL_LINE = 1 << 17
"""No shell is given a longer one (``MAX_ARG_STRLEN``): make can only run such a line if it needs no shell."""
_MAX_PATH = 4096
"""Nobody can stand in a folder with a longer name (``PATH_MAX``)."""


class Command(NamedTuple):
    """One simple command."""

    words: tuple[str, ...]
    folder: str
    """Where it is run."""
    assignments: tuple[tuple[str, str], ...] = ()
    """What stands before it, or was exported by the line: ``ARCH=arm64 make``."""
    unclear: str = ""
    """Why it is not known what it does; empty if it is known."""

    @property
    def is_make(self) -> bool:
        """Whether make is called, by whatever path."""
        return os.path.basename(self.words[0]) in _MAKES

    @property
    def loads_module(self) -> bool:
        """Whether a module is put into the running kernel."""
        return os.path.basename(self.words[0]) in _LOADERS and _UNLOADS.isdisjoint(self.words)


def read_commands(
    recipe: str, folder: str, environ: dict[str, str], *, one_shell: bool = False
) -> list[Command]:
    """Find the commands of a recipe, the text after make's own expansion, that runs in a folder.

    With ``one_shell`` (``.ONESHELL``) all lines have one shell, else each has its own.
    """
    found: list[Command] = []
    shell = _Shell(folder, environ)
    for line in recipe.replace("\\\n", " ").split("\n"):
        text = line.lstrip("@+- \t")
        if not one_shell:
            shell = _Shell(folder, environ)
        if one_shell or re.search("make|MAKE|\\./|sh|mod", text):
            found += shell.read(text)
    return found


class _Shell:
    """The state of the shell that a line of a recipe has."""

    def __init__(self, folder: str, environ: dict[str, str]) -> None:
        self.folders = [folder]
        self.environ = environ
        self.variables: dict[str, list[str]] = {}
        self.exported: dict[str, str] = {}
        self.unknown: list[str] = []

    def read(self, text: str) -> list[Command]:
        """Find the line's commands, in their order."""
        tokens = self._split(text)
        found: list[Command] = []
        words: list[str] = []
        redirected = False
        for token in (*tokens, ";"):
            if redirected:
                redirected = False
            elif set(token) <= set("<>&") and set(token) & set("<>"):
                redirected = True
                if words and words[-1].isdigit():
                    words.pop()
            elif set(token) <= set(";&|()"):
                found += self._finish(words)
                words = []
                self._scope(token)
            elif token[:1] == "#":
                break
            else:
                words.append(token)
        return found + self._finish(words)

    def _split(self, text: str) -> list[str]:
        if len(text) > _MAX_SHELL_LINE:
            return text.split()
        lexer = shlex.shlex(_SUBSTITUTION.sub(self._substitute, text), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            return list(lexer)
        except ValueError:
            return text.split()

    def _scope(self, operator: str) -> None:
        for char in operator:
            if char == "(":
                self.folders.append(self.folders[-1])
            elif char == ")" and len(self.folders) > 1:
                self.folders.pop()

    def _substitute(self, match: re.Match[str]) -> str:
        """Replace the common command substitutions; keep a mark for the others."""
        command = (match[1] or match[2] or "").strip()
        if command == "uname -r":
            return os.uname().release
        if command == "uname -m":
            return os.uname().machine
        if command == "pwd":
            return "$PWD"
        self.unknown.append(match[0])
        return _UNKNOWN

    def _finish(self, words: list[str]) -> list[Command]:
        """Take one simple command: follow ``cd``, ``for`` and assignments; return what is run."""
        words = list(itertools.dropwhile(_KEYWORDS.__contains__, words))
        if words[:1] == ["for"] and words[2:3] == ["in"]:
            self.variables[words[1]] = [v for word in words[3:] for v in self._expand(word)]
            return []
        at = _find_make(words)
        before = words if at is None else words[:at]
        assignments = {
            match[1]: self._expand(match[2])[0] for match in map(_ASSIGNMENT.fullmatch, before) if match
        }
        run = [word for word in before if not _ASSIGNMENT.fullmatch(word)]
        if at is not None:
            rest = [word for word in words[at:] if not word.startswith(("--on-stale", "--with"))]
            return self._unroll(rest, {**self.exported, **assignments}, _why_unclear(run))
        run = list(itertools.dropwhile(lambda word: word in _WRAPPERS or word[:1] == "-", run))
        if not run:
            self.variables.update({name: [value] for name, value in assignments.items()})
            return []
        if run[0] == "export":
            self.exported.update(assignments)
            return []
        if run[0] == "cd" and len(run) > 1:
            folder = os.path.normpath(os.path.join(self.folders[-1], self._expand(run[1])[0]))
            if len(folder) < _MAX_PATH:
                self.folders[-1] = folder
            return []
        inner = next(filter(_calls_make, run), "")
        if inner and os.path.basename(run[0]) not in _TALKERS:
            return [Command(("make",), self.folders[-1], (), f"`{run[0]}` is given `{inner[:200]}` to run")]
        return self._unroll(words[words.index(run[0]) :], {**self.exported, **assignments})

    def _unroll(self, words: list[str], assignments: dict[str, str], unclear: str = "") -> list[Command]:
        """One command for each round of the loops whose variables it has."""
        rounds = [self._expand(word) for word in words]
        count = min(max(map(len, rounds)), _MAX_ROUNDS)
        found: list[Command] = []
        for at in range(count):
            chosen = [values[min(at, len(values) - 1)] for values in rounds]
            matter = [word for word in chosen[1:] if _MATTERS.match(word)]
            matter += [b for a, b in itertools.pairwise(chosen) if a in ("-C", "-f")]
            unknown = next((word for word in (*matter, self.folders[-1]) if _UNKNOWN in word), "")
            kept = tuple(word for word in chosen if _UNKNOWN not in word) or (chosen[0],)
            if unknown:
                shown = unknown.replace(_UNKNOWN, self.unknown[-1] if self.unknown else "$…")
                unclear = f"only the shell knows `{shown}` in `{' '.join(('make', *kept[1:]))}`"
            found.append(Command(kept, self.folders[-1], tuple(assignments.items()), unclear))
        return found

    def _expand(self, word: str) -> list[str]:
        """Expand the variables in a word: to one word, or to one for each round of a loop."""
        values: dict[str, list[str]] = {}
        for match in _VARIABLE.finditer(word):
            name = match[1] or match[2]
            if name not in values:
                values[name] = self._values(name, match[0])[:_MAX_ROUNDS]
        rounds = itertools.islice(itertools.product(*values.values()), _MAX_ROUNDS)
        return [_replace(word, dict(zip(values, each, strict=True))) for each in rounds]

    def _values(self, name: str, written: str) -> list[str]:
        """Return what a variable may stand for."""
        if name == "PWD":
            return [self.folders[-1]]
        if name in self.variables:
            return self.variables[name] or [""]
        if name in self.environ:
            return [self.environ[name]]
        self.unknown.append(written)
        return [_UNKNOWN]


def _find_make(words: list[str]) -> int | None:
    """Find the word that is make, as the command or behind words of a program that runs it."""
    for at, word in enumerate(words):
        if os.path.basename(word) in _MAKES and word[:1] != "-" and not _ASSIGNMENT.fullmatch(word):
            program = next((w for w in words[:at] if not _ASSIGNMENT.fullmatch(w)), "env")
            is_run = os.path.basename(program) in _WRAPPERS or any(map(_MATTERS.match, words[at + 1 :]))
            return at if is_run and program not in _TALKERS else None
    return None


def _calls_make(text: str) -> bool:
    """Whether a text that another program is given has a call of a kernel's make."""
    found = _INNER_MAKE.search(text)
    return found is not None and _INNER_KERNEL.search(text, found.end()) is not None


def _why_unclear(run: list[str]) -> str:
    """Say why it is not known where the words before make run it."""
    if run and os.path.basename(run[0]) not in _WRAPPERS:
        return f"it runs make by `{run[0]}`, perhaps elsewhere"
    moving = next((word for word in run if _MOVES.fullmatch(word)), "")
    return f"it runs make by `{run[0]} {moving}`, in another place" if moving else ""


def _replace(word: str, values: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], word)
