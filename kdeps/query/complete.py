# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What can stand at the cursor of a command line: crates, targets, symbols, modules, make's variables, paths.

Candidates begin with what was typed so far. If they cannot be found out, there are none and
no message. Names with characters that are special to a shell are left out.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kdeps.formats.makeargs import split_goals
from kdeps.kbuild.modules import find_modules, read_whole
from kdeps.kbuild.rule import Owner
from kdeps.kbuild.tree import find_tree, module_argument
from kdeps.query.names import Names
from kdeps.system.errors import KdepsError

_PLAIN = re.compile(r"[\w./+,:=@%^~-]+")
MAX_ENTRIES = 500
"""How many entries of a folder are offered; a longer list is not read."""

VARIABLES: dict[str, str] = {
    "M=": "the module's folder",
    "O=": "the object tree",
    "LLVM=": "build with clang and lld",
    "ARCH=": "the architecture",
    "CROSS_COMPILE=": "prefix of the GNU tools",
    "MO=": "where the module's objects go",
    "KDIR=": "the kernel of an external module",
    "V=": "how much make prints",
    "W=": "more warnings",
    "C=": "check with sparse",
    "CLIPPY=": "lint with clippy",
    "KBUILD_MODPOST_WARN=": "undefined symbols are warnings",
    "KRUSTFLAGS=": "more flags for rustc",
    "KCFLAGS=": "more flags for the C compiler",
}
_FOLDERS = frozenset(("M", "O", "MO", "KDIR", "KERNEL_SRC", "KBUILD_OUTPUT", "KBUILD_EXTMOD"))
_VALUES = {
    "LLVM": ("1",), "V": ("0", "1", "2"), "W": ("1", "2", "3", "c", "e"), "C": ("1", "2"), "CLIPPY": ("1",),
    "KBUILD_MODPOST_WARN": ("1",),
}  # fmt: skip
GOALS = ("modules", "modules_prepare", "modules_install", "clean")


class Candidate(NamedTuple):
    """One thing that can stand at the cursor."""

    value: str
    """The whole word. One that ends in ``/`` or ``=`` goes on."""
    help: str = ""


def complete_make(words: tuple[str, ...], typed: str, cwd: str, environ: dict[str, str]) -> list[Candidate]:
    """Complete one of make's arguments, after the words that were typed already."""
    name, equals, value = typed.partition("=")
    if equals:
        return _complete_value(words, name, value, cwd, environ)
    found = [Candidate(variable, text) for variable, text in VARIABLES.items() if variable.startswith(typed)]
    return found + [Candidate(goal, "goal of make") for goal in GOALS if goal.startswith(typed)]


def _complete_value(
    words: tuple[str, ...], name: str, value: str, cwd: str, environ: dict[str, str]
) -> list[Candidate]:
    found: list[Candidate] = []
    if name in ("M", "KBUILD_EXTMOD"):
        found += [Candidate(folder, "was built before") for folder in _modules(words, cwd, environ)]
    if name == "ARCH":
        found += [Candidate(arch) for arch in _architectures(words, cwd, environ)]
    found += [Candidate(known) for known in _VALUES.get(name, ())]
    found = [candidate for candidate in found if candidate.value.startswith(value)]
    if name in _FOLDERS:
        known = {candidate.value.rstrip("/") for candidate in found}
        found += [c for c in complete_path(value, cwd, folders_only=True) if c.value.rstrip("/") not in known]
    return [candidate._replace(value=f"{name}={candidate.value}") for candidate in found]


def _modules(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> list[str]:
    """The modules below the source tree that were built before, as ``M=`` takes them from where the user stands."""
    try:
        tree = find_tree(words, cwd, environ)
    except KdepsError:
        return []
    return [module_argument(tree, folder) for folder in find_modules(tree)]


def _architectures(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> list[str]:
    try:
        tree = find_tree(words, cwd, environ)
        with os.scandir(f"{tree.srctree}/arch") as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except (KdepsError, OSError):
        return []


def complete_name(words: tuple[str, ...], typed: str, cwd: str, environ: dict[str, str]) -> list[Candidate]:
    """Complete the name of a crate, a target, a symbol or a file, after names and make arguments."""
    found: list[Candidate] = []
    try:
        whole = read_whole(split_goals(words)[1], cwd, environ)
        names = Names(whole.tree, whole.graph, whole.folders)
    except KdepsError:
        return complete_path(typed, cwd)
    if typed.startswith("CONFIG_"):
        return [Candidate(f"CONFIG_{s}", "symbol") for s in sorted(names.symbols) if s.startswith(typed[7:])]
    for short, paths in names.short_names.items():
        if short.startswith(typed) and not (short.startswith("lib") and short[3:] in names.short_names):
            found.append(Candidate(short, "module" if paths[0].endswith(".ko") else "crate"))
    if typed:
        # Some hundred targets are too many to read; a user who wants one types its first letters.
        for rule in whole.graph.rules:
            for name in (rule.name, *(os.path.basename(output) for output in rule.outputs)):
                if name.startswith(typed):
                    found.append(
                        Candidate(name, "of the module" if rule.owner is Owner.MODULE else "of the kernel")
                    )
    return _once([*found, *complete_path(typed, cwd)])


def complete_path(typed: str, cwd: str, *, folders_only: bool = False) -> list[Candidate]:
    """Complete a path the way shells do: one level, folders with a slash at the end."""
    folder, slash, start = typed.rpartition("/")
    where = os.path.join(cwd, os.path.expanduser(folder + slash) or ".")
    found: list[Candidate] = []
    try:
        with os.scandir(where) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") and not start.startswith(".")
                if hidden or not entry.name.startswith(start):
                    continue
                is_folder = entry.is_dir()
                if is_folder or not folders_only:
                    found.append(Candidate(f"{folder}{slash}{entry.name}{'/' if is_folder else ''}"))
    except OSError:
        return []
    return sorted(found)[:MAX_ENTRIES]


def _once(candidates: list[Candidate]) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        found.setdefault(candidate.value, candidate)
    return list(found.values())


def shown(candidates: list[Candidate]) -> list[Candidate]:
    """Leave out what a shell would read as something else."""
    return [candidate for candidate in _once(candidates) if _PLAIN.fullmatch(candidate.value)]
