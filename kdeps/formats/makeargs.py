# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Understand a make command line, verbatim as the user typed it.

Only the words that decide *where* make works and *what* it builds are taken apart. The
words themselves are kept, so that the command that cures a stale tree is the user's own.

Source: GNU make 4.4 ``src/main.c`` (``switches``), linux ``Makefile`` (``M=``, ``O=``, ``MO=``).
"""

from __future__ import annotations

import os
import re

from kdeps import NamedTuple

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""In this order; make reads the first that exists."""
_WITH_VALUE = "CfIWoE"
"""Short options whose value may be the next word (``-C DIR``)."""
_LETTERS = {"--environment-overrides": "e", "--touch": "t", "--question": "q"}
"""Long options that matter here → their letters."""
_LONG_WITH_VALUE = {
    "--directory": "-C", "--file": "-f", "--makefile": "-f", "--include-dir": "-I", "--what-if": "-W", "--new-file": "-W",
    "--assume-new": "-W", "--old-file": "-o", "--assume-old": "-o", "--eval": "-E", "--jobs": "-j", "--load-average": "-l",
    "--max-load": "-l",
}  # fmt: skip
_LOOKS_AHEAD = {"-j": re.compile(r"[0-9]*"), "-l": re.compile(r"[0-9.].*", re.DOTALL)}
"""Options that take the next word only if it looks like a number: ``-j 8``."""
LONG_OPTIONS = (
    "--always-make", "--directory", "--debug", "--environment-overrides", "--eval", "--file", "--makefile", "--help",
    "--ignore-errors", "--include-dir", "--jobs", "--jobserver-style", "--keep-going", "--load-average", "--max-load",
    "--check-symlink-times", "--just-print", "--dry-run", "--recon", "--old-file", "--assume-old", "--output-sync",
    "--print-data-base", "--question", "--no-builtin-rules", "--no-builtin-variables", "--shuffle", "--silent", "--quiet",
    "--no-silent", "--no-keep-going", "--stop", "--touch", "--trace", "--version", "--print-directory",
    "--no-print-directory", "--what-if", "--new-file", "--assume-new", "--warn-undefined-variables", "--warn",
)  # fmt: skip
"""Every long option of make (4.4); make accepts any unambiguous beginning of one."""
_ASSIGNMENT = re.compile(r"([^\s:=+?!#]+)\s*(:{1,3}|\+|\?|!)?=(.*)", re.DOTALL)
MODULE_LINKING = frozenset(("KBUILD_MODPOST_WARN", "KBUILD_EXTRA_SYMBOLS", "KBUILD_MODPOST_NOFINAL"))
"""Variables that say how modules are linked, whichever they are."""
MODULE_ONLY = MODULE_LINKING | frozenset(
    (
        "M", "MO", "KBUILD_EXTMOD", "KBUILD_EXTMOD_OUTPUT", "KDIR", "KERNEL_SRC", "KERNELDIR", "KSRC", "SUBDIRS",
    )
)  # fmt: skip
"""Variables that mean a module, not the kernel: they do not belong on a build of the kernel's own artifacts."""
LINT_ONLY = frozenset(("CLIPPY", "C", "W"))
"""Variables that ask to look more closely at what is compiled, and change the commands."""
RUNS_NOTHING = frozenset(("-n", "--just-print", "--dry-run", "--recon", "-q", "--question", "-t", "--touch"))
"""Options with which make runs no recipe."""
_NOT_FOR_THE_KERNEL = RUNS_NOTHING | {"-B", "--always-make"}


class MakeArgs(NamedTuple):
    """A make command line, taken apart."""

    words: tuple[str, ...]
    """Verbatim."""
    directories: tuple[str, ...]
    """Values of ``-C``, in order; each is relative to the one before."""
    variables: dict[str, str]
    """Assignments on the command line; the last one of a name wins, as with make."""
    goals: tuple[str, ...]
    kept: tuple[str, ...]
    """The options and assignments that also belong on a build of the kernel's own artifacts."""
    incomplete: str = ""
    """An option at the end that lacks its value: make would refuse it."""
    files: tuple[str, ...] = ()
    """Values of ``-f``, in order: what make reads instead of the folder's own Makefile."""
    old_files: tuple[str, ...] = ()
    """Values of ``-o``: files that make must not remake."""
    letters: str = ""
    """Every short option that was given."""
    modules: tuple[str, ...] = ()
    """Every value that ``M`` is given, in order; make takes the last."""
    evaluated: tuple[str, ...] = ()
    """Values of ``--eval``: text of a Makefile, read before all others."""

    @property
    def prefers_environment(self) -> bool:
        """Whether the environment's variables win over those of Makefiles (``-e``)."""
        return "e" in self.letters

    @property
    def for_kernel(self) -> tuple[str, ...]:
        """The user's words that also belong on a build of the kernel's own artifacts.

        ``CLIPPY=1`` and its like do not: they ask to lint the module, and would compile
        every crate again by another command, now and at the next build without them.
        """
        return tuple(
            word
            for word in self.kept
            if word not in _NOT_FOR_THE_KERNEL and word.partition("=")[0] not in LINT_ONLY
        )


def parse_make_args(words: tuple[str, ...]) -> MakeArgs:
    """Take a make command line apart. Never raises: make itself must refuse what it does not take."""
    values: dict[str, list[str]] = {"-C": [], "-f": [], "-o": [], "letters": [], "M": [], "-E": []}
    variables: dict[str, str] = {}
    goals: list[str] = []
    kept: list[str] = []
    waiting = ""
    only_goals = False
    for word in words:
        if waiting in _LOOKS_AHEAD:
            taken, waiting = _LOOKS_AHEAD[waiting].fullmatch(word), ""
            if taken:
                kept.append(word)
                continue
        if waiting:
            if waiting in values:
                values[waiting].append(word)
            kept.append(word)
            waiting = ""
        elif only_goals or not word.startswith("-") or word == "-":
            assignment = _ASSIGNMENT.fullmatch(word.lstrip())  # as make reads " M=folder"
            if assignment is None:
                goals.append(word)
                continue
            name, operator, value = assignment.groups()
            if name == "M":
                values["M"].append(value)
            if operator == "+" and name in variables:
                variables[name] += f" {value}"
            elif operator != "?" or name not in variables:
                variables[name] = value
            if name not in MODULE_ONLY:
                kept.append(word)
        elif word == "--":
            only_goals = True
        elif word.startswith("--"):
            kept.append(word)
            given, equals, value = word.partition("=")
            values["letters"].append(_LETTERS.get(_whole_option(given), ""))
            name = _LONG_WITH_VALUE.get(_whole_option(given), "")
            if not equals:
                waiting = name
            elif name in values:
                values[name].append(value)
        else:
            kept.append(word)
            waiting = _short_options(word, values)
    incomplete = words[-1] if waiting and waiting not in _LOOKS_AHEAD else ""
    directories, files, old_files, letters, modules, evaluated = (tuple(given) for given in values.values())
    return MakeArgs(
        words,
        directories,
        variables,
        tuple(goals),
        tuple(kept),
        incomplete,
        files,
        old_files,
        "".join(letters),
        modules,
        evaluated,
    )


def _short_options(word: str, values: dict[str, list[str]]) -> str:
    """Read one word of short options (``-sC dir``, ``-j8``); the option that takes the next word, or empty."""
    for at, letter in enumerate(word[1:], start=1):
        values["letters"].append(letter)
        if letter in _WITH_VALUE:
            value = word[at + 1 :]
            if not value:
                return f"-{letter}"
            if f"-{letter}" in values:
                values[f"-{letter}"].append(value)
            return ""
        if letter in "jlO":
            return f"-{letter}" if letter != "O" and at + 1 == len(word) else ""
    return ""


def _whole_option(given: str) -> str:
    """Complete a long option as getopt does, if it is the beginning of just one."""
    if given in LONG_OPTIONS:
        return given
    found = [option for option in LONG_OPTIONS if option.startswith(given)]
    return found[0] if len(found) == 1 else given


def split_goals(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part what make would take for goals from the rest, each in its order."""
    goals: list[str] = []
    rest: list[str] = []
    for at, word in enumerate(words):
        is_goal = len(parse_make_args(words[: at + 1]).goals) > len(goals)
        (goals if is_goal else rest).append(word)
    return tuple(goals), tuple(rest)


def find_unknown_option(words: tuple[str, ...]) -> str | None:
    """Find a long option that make does not have: one of ours, mistyped."""
    for word in words:
        if word == "--":
            return None
        name = word.partition("=")[0]
        if name.startswith("--") and not any(option.startswith(name) for option in LONG_OPTIONS):
            return word
    return None


def working_directory(args: MakeArgs, cwd: str) -> str:
    """Tell where make would stand: ``cwd``, then every ``-C``."""
    for directory in args.directories:
        cwd = os.path.join(cwd, directory)
    if ".." in cwd.split("/"):
        return os.path.realpath(cwd)  # `..` of a link is where the link leads to
    return os.path.normpath(cwd) if args.directories else cwd


def without_place(words: tuple[str, ...]) -> tuple[str, ...]:
    """make's words without those that say where it stands and what Makefile it reads."""
    kept: list[str] = []
    before = parse_make_args(())
    for at, word in enumerate(words):
        args = parse_make_args(words[: at + 1])
        if (args.directories, args.files) == (before.directories, before.files):
            kept.append(word)
        elif before.incomplete:
            kept.pop()  # the option; this was its value
        before = args
    return tuple(kept)
