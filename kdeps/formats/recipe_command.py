# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A simple command of a recipe: what it does to the shell, and whether it is a make, and what make is given."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.formats.makeargs import parse_make_args, working_directory
from kdeps.formats.recipe_state import ASSIGNMENT, UNKNOWN, State, any_status, find_value

_WRAPPERS = frozenset(
    ("sudo", "doas", "env", "nice", "exec", "command", "builtin", "ionice", "nohup", "time", "timeout", "stdbuf", "setsid",
     "flock", "taskset", "chrt", "numactl", "fakeroot", "strace", "bear", "intercept-build", "scan-build", "xargs", "kdeps")
)  # fmt: skip
"""They run the command behind their own words, in the same folder."""
_MOVES = re.compile(r"-[CDR]|--(?:chdir|chroot)\b.*")
"""Options with which some of them run it in another folder."""
_REPLACES = re.compile(r"-I(.*)|--replace(?:=(.*))?|-i(.*)", re.DOTALL)
"""The options of xargs that put what it reads in the place of a word."""
_TALKERS = frozenset(("echo", "printf", ":", "true"))
_INNER_MAKE = re.compile(r"(?:^|[\s;&|(/`\"'])g?make\s")
_INNER_KERNEL = re.compile(r"-C|\bM=|\bKBUILD_EXTMOD=")
_MAKES = frozenset(("make", "gmake"))
_LOADERS = frozenset(("insmod", "modprobe"))
_UNLOADS = frozenset(("-r", "--remove", "-n", "--dry-run"))
_MODULE = re.compile(r"(?:M|KBUILD_EXTMOD|SUBDIRS)=")
_MATTERS = re.compile(r"-C|-f|-[A-Za-z]*C$|(?:M|O|MO|ARCH|LLVM|CROSS_COMPILE|CC|RUSTC|SUBDIRS|KBUILD_\w+)=")
_DECLARES = frozenset(("export", "readonly", "declare", "typeset", "local"))
_SEARCHED = re.compile(r"(?!\.{0,2}(?:/|$))")
"""A folder that the shell looks for where CDPATH says."""
_SEARCHES = re.compile(r"(?!\.?/?(?::|$))")
"""A CDPATH whose first folder is not the current one."""
_ANY_MAKE = re.compile(r"\bg?make\b")
_NAMES = re.compile(r"\b([A-Za-z_]\w*)=", re.ASCII)


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


def follow_program(
    words: list[str], assignments: dict[str, str], state: State, environ: dict[str, str], unknown: list[str]
) -> tuple[Iterable[State], Command | None]:
    """Say in which states a program, or a built-in command of the shell, may leave the shell, and what it is.

    Args:
        words: What is run, expanded.
        assignments: What stands before it.
        environ: What the shell was given.
        unknown: What could not be expanded, as it is written.
    """
    after: Iterable[State] = any_status((state,))
    if words[:2] in (["command", "-v"], ["command", "-V"]):
        return after, None
    at = _find_make(words)
    before = words[:at]
    given = {name: value for name, value in state.variables if not state.exported.isdisjoint((name, "*"))}
    given.update(assignments)
    if at is not None or words[0] in _WRAPPERS:
        given.update({m[1]: m[2] for m in map(ASSIGNMENT.fullmatch, before) if m})
        given = {**dict.fromkeys(_find_removed(before, environ), UNKNOWN), **given}
    is_wrapped = words[0] not in (*_DECLARES, "let", "alias")
    run = [word for word in before if not (is_wrapped and ASSIGNMENT.fullmatch(word))]
    if at is not None:
        rest = [word for word in words[at:] if not word.startswith(("--on-stale", "--with"))]
        return after, _read_make(rest, given, state, _why_unclear(run, rest), unknown)
    run = list(itertools.dropwhile(lambda word: word in _WRAPPERS or word[:1] == "-", run))
    if not run:
        return after, None
    if (changed := _follow_builtin(run, state, {**environ, **assignments}, unknown)) is not None:
        is_read = run[0] in (".", "source") or (run[0] == "eval" and UNKNOWN in "".join(run))
        return changed, Command(tuple(run), state.folder) if is_read else None
    talks = os.path.basename(run[0]) in _TALKERS
    inner = next(filter(calls_make if run[0] != "alias" else _ANY_MAKE.search, run), "")
    if inner and not talks:
        why = f"`{run[0]}` is given `{inner[:200]}` to run"
        return after, Command(("make",), state.folder, (), why)
    shown = words[words.index(run[0]) :]
    kept = tuple(word for word in shown if UNKNOWN not in word) or (shown[0],)
    return (state,) if talks else after, Command(kept, state.folder, tuple(given.items()))


def _find_removed(run: list[str], environ: dict[str, str]) -> set[str]:
    """Find the variables of the environment that ``env`` takes away from the program behind it."""
    options = run[next((at for at, word in enumerate(run) if os.path.basename(word) == "env"), len(run)) :]
    if not {"-", "-i", "--ignore-environment"}.isdisjoint(options):
        return set(environ)
    return environ.keys() & {re.sub("-u|--unset=", "", word, count=1) for word in options}


def _follow_builtin(
    run: list[str], state: State, environ: dict[str, str], unknown: list[str]
) -> Iterable[State] | None:
    """Follow a command that changes the shell itself; None if it is another one."""
    name, *arguments = run
    options = "".join(word for word in arguments if word[:1] in "-+")
    operands = [word for word in arguments if word[:1] not in "-+" or word == "-"]
    text = " ".join(arguments)
    if name in _DECLARES:
        values = {m[1]: m[2] for m in map(ASSIGNMENT.fullmatch, operands) if m}
        if "+x" in options or (name == "export" and "n" in options):
            names = [word.partition("=")[0] for word in operands]
            unknown += (f"${name}" for name in names)
            return (state.assign(dict.fromkeys(names, UNKNOWN), names),)
        is_export = name == "export" or "x" in options
        return (state.assign(values, (*values, *operands) if is_export else environ.keys() & values),)
    if name == "set" and re.search("-[a-z]*a|allexport", text):
        return (state.assign({}, "*"),)
    if name in ("cd", "pushd"):
        folder = operands[0] if operands else environ.get("HOME", UNKNOWN)
        if _SEARCHED.match(folder) and _SEARCHES.match(find_value("CDPATH", state, environ) or ""):
            unknown.append(f"cd {folder}")
            folder = UNKNOWN
        if name == "pushd":
            state = state._replace(folders=(*state.folders, state.folder))
        return state.move(UNKNOWN if folder == "-" else folder), state._replace(status="lost")
    if name == "popd":
        return (state._replace(folders=state.folders[:-1] or (UNKNOWN,)),)
    if name == "let" or (name == "printf" and "-v" in arguments):
        name, operands = "read", re.findall(r"[A-Za-z_]\w*", text)
    if name in ("read", "mapfile", "readarray", "getopts", "unset"):
        return any_status((state.assign(dict.fromkeys(operands, UNKNOWN), environ.keys() & operands),))
    if name == "eval" and calls_make(text):
        return None
    if name in (".", "source") or (name == "eval" and UNKNOWN in text):
        return any_status((state._replace(variables=(), sourced=True),))
    if name == "eval":  # the names of what it assigns can be seen, their values cannot
        return any_status((state.assign(dict.fromkeys(_NAMES.findall(text), UNKNOWN)),))
    if name in ("[", "test"):
        operands = arguments[:-1] if name == "[" else arguments
        holds = _decide_test(operands)
        return None if holds is None else (state._replace(status="ok" if holds else "failed"),)
    return (state._replace(status="failed"),) if name == "false" else None


def _decide_test(operands: list[str]) -> bool | None:
    """Decide a test of texts; None if it asks about files or numbers, or about what only the shell knows."""
    if UNKNOWN in "".join(operands):
        return None
    match operands:
        case ["!", *others]:
            holds = _decide_test(others)
            return None if holds is None else not holds
        case ["-z", text]:
            return not text
        case ["-n", text] | [text]:
            return bool(text)
        case [a, "=" | "==", b]:
            return a == b
        case [a, "!=", b]:
            return a != b
    return None


def _read_make(
    words: list[str], assignments: dict[str, str], state: State, unclear: str, unknown: list[str]
) -> Command:
    """Say what a make is given.

    Args:
        words: make and its arguments, expanded.
        unclear: Why the words before make leave open what it does.
        unknown: What could not be expanded, as it is written.
    """
    place = working_directory(parse_make_args(tuple(words[1:])), state.folder)
    matter = [word for word in words[1:] if _MATTERS.match(word)]
    matter += [b for a, b in itertools.pairwise(words) if a in ("-C", "-f")]
    matter += [value for name, value in assignments.items() if _MATTERS.match(f"{name}=")]
    found = next((word for word in (*matter, place) if UNKNOWN in word), "")
    kept = tuple(word for word in words if UNKNOWN not in word) or (words[0],)
    if found:
        shown = found.replace(UNKNOWN, unknown[-1] if unknown else "$…")
        unclear = f"only the shell knows `{shown}` in `{' '.join(('make', *kept[1:]))}`"
    if state.sourced and not unclear:
        unclear = "a script that its shell reads before make may export anything"
    return Command(kept, state.folder, tuple(assignments.items()), unclear)


def find_key(command: Command) -> tuple[object, ...]:
    """What makes a command another one: of a make, only what decides which kernel and which module it builds."""
    if not command.is_make or command.unclear:
        return command.words, command.unclear
    args = parse_make_args(command.words[1:])
    variables = {**dict(command.assignments), **args.variables}
    matter = tuple((name, value) for name, value in variables.items() if _MATTERS.match(f"{name}="))
    return working_directory(args, command.folder), args.files, args.goals, matter


def _find_make(words: list[str]) -> int | None:
    """Find the word that is make, as the command or behind words of a program that runs it."""
    for at, word in enumerate(words):
        if os.path.basename(word) in _MAKES and word[:1] != "-" and not ASSIGNMENT.fullmatch(word):
            program = next((w for w in words[:at] if not ASSIGNMENT.fullmatch(w)), "env")
            is_run = os.path.basename(program) in _WRAPPERS or any(map(_MATTERS.match, words[at + 1 :]))
            return at if is_run and program not in _TALKERS else None
    return None


def calls_make(text: str) -> bool:
    """Whether a text that another program is given has a call of a kernel's make."""
    found = _INNER_MAKE.search(text)
    return found is not None and _INNER_KERNEL.search(text, found.end()) is not None


def _why_unclear(run: list[str], make: list[str]) -> str:
    """Say why it is not known what the words before make let it do."""
    if run and os.path.basename(run[0]) not in _WRAPPERS:
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
