# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A simple command of a recipe: whether it is a make, by whatever program it is run, and what make is given."""

from __future__ import annotations

import itertools
import os
import re
from typing import NamedTuple

from kdeps.formats.makeargs import parse_make_args, working_directory
from kdeps.formats.recipe_state import UNKNOWN

WRAPPERS = frozenset(
    ("sudo", "doas", "env", "nice", "exec", "command", "builtin", "ionice", "nohup", "time", "timeout", "stdbuf", "setsid",
     "flock", "taskset", "chrt", "numactl", "fakeroot", "strace", "bear", "intercept-build", "scan-build", "xargs", "kdeps")
)  # fmt: skip
"""They run the command behind their own words, in the same folder."""
_MOVES = re.compile(r"-[CDR]|--(?:chdir|chroot)\b.*")
"""Options with which some of them run it in another folder."""
_REPLACES = re.compile(r"-I(.*)|--replace(?:=(.*))?|-i(.*)", re.DOTALL)
"""The options of xargs that put what it reads in the place of a word."""
TALKERS = frozenset(("echo", "printf", ":", "true"))
_INNER_MAKE = re.compile(r"(?:^|[\s;&|(/`\"'])g?make\s")
_INNER_KERNEL = re.compile(r"-C|\bM=|\bKBUILD_EXTMOD=")
_MAKES = frozenset(("make", "gmake"))
_LOADERS = frozenset(("insmod", "modprobe"))
_UNLOADS = frozenset(("-r", "--remove", "-n", "--dry-run"))
_MODULE = re.compile(r"(?:M|KBUILD_EXTMOD|SUBDIRS)=")
_MATTERS = re.compile(r"-C|-f|-[A-Za-z]*C$|(?:M|O|MO|ARCH|LLVM|CROSS_COMPILE|CC|RUSTC|SUBDIRS|KBUILD_\w+)=")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL | re.ASCII)


class Command(NamedTuple):
    """One simple command."""

    words: tuple[str, ...]
    folder: str
    """Where it is run."""
    assignments: tuple[tuple[str, str], ...] = ()
    """What stands before it, or was exported by the line: ``ARCH=arm64 make``."""
    unclear: str = ""
    """Why it is not known what it does; empty if it is known."""
    alternatives: tuple[Command, ...] = ()
    """What it may be instead, as only the shell decides."""

    @property
    def is_make(self) -> bool:
        """Whether make is called, by whatever path."""
        return os.path.basename(self.words[0]) in _MAKES

    @property
    def loads_module(self) -> bool:
        """Whether a module is put into the running kernel."""
        return os.path.basename(self.words[0]) in _LOADERS and _UNLOADS.isdisjoint(self.words)


def read_make(
    words: list[str], assignments: dict[str, str], folder: str, unclear: str, unknown: list[str]
) -> Command:
    """Say what a make is given.

    Args:
        words: make and its arguments, expanded.
        unclear: Why the words before make leave open what it does.
        unknown: What could not be expanded, as it is written.
    """
    place = working_directory(parse_make_args(tuple(words[1:])), folder)
    matter = [word for word in words[1:] if _MATTERS.match(word)]
    matter += [b for a, b in itertools.pairwise(words) if a in ("-C", "-f")]
    matter += [value for name, value in assignments.items() if _MATTERS.match(f"{name}=")]
    found = next((word for word in (*matter, place) if UNKNOWN in word), "")
    kept = tuple(word for word in words if UNKNOWN not in word) or (words[0],)
    if found:
        shown = found.replace(UNKNOWN, unknown[-1] if unknown else "$…")
        unclear = f"only the shell knows `{shown}` in `{' '.join(('make', *kept[1:]))}`"
    return Command(kept, folder, tuple(assignments.items()), unclear)


def find_key(command: Command) -> tuple[object, ...]:
    """What makes a command another one: of a make, only what decides which kernel and which module it builds."""
    if not command.is_make or command.unclear:
        return command.words, command.unclear
    args = parse_make_args(command.words[1:])
    variables = {**dict(command.assignments), **args.variables}
    matter = tuple((name, value) for name, value in variables.items() if _MATTERS.match(f"{name}="))
    return working_directory(args, command.folder), args.files, args.goals, matter


def find_make(words: list[str]) -> int | None:
    """Find the word that is make, as the command or behind words of a program that runs it."""
    for at, word in enumerate(words):
        if os.path.basename(word) in _MAKES and word[:1] != "-" and not ASSIGNMENT.fullmatch(word):
            program = next((w for w in words[:at] if not ASSIGNMENT.fullmatch(w)), "env")
            is_run = os.path.basename(program) in WRAPPERS or any(map(_MATTERS.match, words[at + 1 :]))
            return at if is_run and program not in TALKERS else None
    return None


def calls_make(text: str) -> bool:
    """Whether a text that another program is given has a call of a kernel's make."""
    found = _INNER_MAKE.search(text)
    return found is not None and _INNER_KERNEL.search(text, found.end()) is not None


def why_unclear(run: list[str], make: list[str]) -> str:
    """Say why it is not known what the words before make let it do."""
    if run and os.path.basename(run[0]) not in WRAPPERS:
        return f"it runs make by `{run[0]}`, perhaps elsewhere"
    if "xargs" in map(os.path.basename, run):
        option = next(filter(None, map(_REPLACES.fullmatch, run)), None)
        mark = next(filter(None, option.groups()), "{}") if option else "{}"
        if option and option[0] == "-I":
            mark = run[run.index("-I") + 1] if run[-1] != "-I" else mark
        if not any(map(_MODULE.match, make)) or any(mark in word for word in make):
            return "`xargs` gives make words that only the shell knows"
    moving = next((word for word in run if _MOVES.fullmatch(word)), "")
    return f"it runs make by `{run[0]} {moving}`, in another place" if moving else ""
