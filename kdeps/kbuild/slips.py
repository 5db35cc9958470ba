# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Words for make that the user certainly meant in another way.

make takes nearly every word: ``m=…`` sets a variable that no Makefile reads, and a folder
without ``M=`` is a goal that is up to date. Such a build is not the one that the user meant,
so a verdict on it would mislead. Each such word gets one line: what was meant, and what to type.
"""

from __future__ import annotations

import os
import re
from enum import Enum

from kdeps.formats.makeargs import MakeArgs, find_unknown_option, parse_make_args, working_directory
from kdeps.kbuild.kernel_makefile import read_kernel_makefile
from kdeps.kbuild.make_command import touches_no_object
from kdeps.kbuild.makefile_words import VARIABLES, find_goal_meant, find_variable_meant
from kdeps.kbuild.module_folder import builds_objects, read_makefiles
from kdeps.kbuild.suggest import suggest_folder

_SHORT_OPTIONS = frozenset("bBCdeEfhiIjklLmnoOpqrRsStvwW")
_REPORT_FORMATS = frozenset(
    ("text", "json", "sarif", "junit", "github", "gitlab", "html", "dot", "svg", "mermaid", "graphml")
)
_WITH_VALUE = "o"
"""Of these, names that are also an option of make with a value: ``-o=FILE``."""
_NUMBER = re.compile(r"(-j\d*)(\D.*)", re.DOTALL)
"""A ``-j`` that has more than a number with it."""
_SYNCED = ("none", "line", "target", "recurse")
"""What ``--output-sync`` takes."""
_SOURCES = (".rs", ".c", ".h", ".S")
_OBJECTS = (".o", ".ko", ".mod", ".i", ".s", ".ll", ".rsi", ".lst", ".symtypes")
"""What ``make M=…`` makes of one source, asked for it by name."""
_QUOTES = "\"'\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_DASHES = ("\N{EN DASH}", "\N{EM DASH}", "\N{MINUS SIGN}")


_TOUCHES = (
    "-t: make reads this as --touch: stale files get a new date, nothing is built, and no make builds them later; "
    "did you mean `kdeps settle`, for what contents prove to be up to date?"
)


class Goals(Enum):
    """What a command takes the words for that are neither options nor assignments."""

    OF_MAKE = "make"
    NAMES = "names"
    """Names of the command's own: of files, targets, reasons."""


def find_slip(words: tuple[str, ...], cwd: str, goals: Goals = Goals.OF_MAKE) -> str | None:
    """Find a word that is no valid argument of a command that judges a build. Returns None if all are valid."""
    args = parse_make_args(words)
    slip = _find_option_slip(args, working_directory(args, cwd)) or find_variable_slip(args)
    if slip is not None or goals is Goals.NAMES:
        return slip
    folder = working_directory(args, cwd)
    return (
        _find_goal_slip(args, folder)
        or _find_folder_slip(args, folder)
        or _find_unread_variable(args, folder)
    )


def find_slip_of_make(words: tuple[str, ...], cwd: str) -> str | None:
    """Find a word by which make, called in a kernel tree, builds something else than was meant.

    ``make drivers/gpu/nova-core/`` is a build of that folder; without the slash make does nothing.
    """
    args = parse_make_args(words)
    folder = working_directory(args, cwd)
    unknown = find_unknown_option(words)
    if unknown is not None:
        return f"{unknown}: neither make nor kdeps has this option; its own are --on-stale and --with"
    slip = find_variable_slip(args)
    builds_module = _names_module(args) or builds_objects(folder)
    if "t" in args.letters and (builds_module or read_kernel_makefile(folder) is not None):
        return _TOUCHES
    if slip is None and read_kernel_makefile(folder) is not None:
        slip = _find_source_slip(args, folder)
    if slip is not None or _names_module(args):
        return slip or _find_unread_variable(args, folder)
    for goal in args.goals:
        is_folder = not goal.endswith("/") and os.path.isdir(os.path.join(folder, goal))
        if is_folder and ("/" in goal or _find_goal_meant(goal, folder) is not None):
            return f"{goal}: make does nothing for a folder; did you mean `M={goal}` or `{goal}/`?"
    return _find_unread_variable(args, folder)


def find_variable_slip(args: MakeArgs) -> str | None:
    """Find an assignment that sets nothing, or a variable that Kbuild does not read."""
    for word in args.words:
        if word.startswith(_DASHES):
            return f"{word}: this is no hyphen but a dash; did you mean `--{word.lstrip(''.join(_DASHES))}`?"
        if word[:1] in _QUOTES and word.strip(_QUOTES).partition("=")[0] in VARIABLES:
            return f"{word}: its quotes are part of the word; did you mean `{word.strip(_QUOTES)}`?"
    for at, goal in enumerate(args.goals):
        name, _, value = " ".join(args.goals[at : at + 3]).partition(" = ")
        if value and " " not in name + value:
            return f"{name} = {value}: make wants no blanks around `=`; did you mean `{name}={value}`?"
        if goal[:1] == "=" or goal.rstrip(":+?!") in VARIABLES:
            return f"{goal}: make wants no blanks around `=`; write NAME=VALUE as one word"
    for name, value in args.variables.items():
        if name == "SUBDIRS":
            return f"SUBDIRS={value}: Kbuild ignores it since 5.3; did you mean `M={value}`?"
        meant = "O" if name == "0" else name.upper()
        if name not in VARIABLES and meant in VARIABLES:
            return f"{name}={value}: Kbuild does not read `{name}`; did you mean `{meant}={value}`?"
        if name == "M" and not value and args.goals:
            return f"M=: it names no folder; did you mean `M={args.goals[0]}`?"
    return None


def _names_module(args: MakeArgs) -> bool:
    return bool(args.variables.get("M") or args.variables.get("KBUILD_EXTMOD"))


def _find_option_slip(args: MakeArgs, folder: str) -> str | None:
    """Find a short option that is make's, or no option at all, and was meant for kdeps."""
    for word in args.words:
        if "=" in word and word[:1] == "-" and word.lstrip("-").partition("=")[0].upper() in VARIABLES:
            meant = word.lstrip("-")
            if meant.partition("=")[0] not in _WITH_VALUE or word[:2] == "--":
                return f"{word}: variables have no hyphen; did you mean `{meant}`?"
        if word == "-M" and args.goals:
            return f"-M {args.goals[0]}: this is no option of make; did you mean `M={args.goals[0]}`?"
        if number := _NUMBER.fullmatch(word):
            meant = f"; did you mean `{number[1]} {number[2]}`?" if "=" in number[2] else ""
            return f"{word}: make wants a number behind -j{meant}"
        option, _, value = word.partition("=")
        if value and "--output-sync".startswith(option) and option > "--o" and value not in _SYNCED:
            return f"{word}: make reads this as --output-sync; did you mean `> {value}`?"
    if "v" in args.letters:
        return "-v: make reads this as --version; did you mean `kdeps --version`, or V=1?"
    if "t" in args.letters:
        return _TOUCHES
    if "q" in args.letters:
        return "-q: make reads this as --question; for the exit status alone, add `> /dev/null`"
    if args.old_files:
        name = args.old_files[0]
        return f"-o {name}: make reads this as --old-file; did you mean `> {name}` or `O={name}`?"
    for name in args.files:
        if name in _REPORT_FORMATS and not os.path.exists(os.path.join(folder, name)):
            return f"-f {name}: make reads this as a Makefile; did you mean `--format={name}`?"
        if name != "-" and not os.path.exists(os.path.join(folder, name)):
            return f"-f {name}: there is no such Makefile"
    unknown = next((letter for letter in args.letters if letter not in _SHORT_OPTIONS), None)
    return None if unknown is None else f"-{unknown}: neither make nor kdeps has this option"


def _find_goal_slip(args: MakeArgs, folder: str) -> str | None:
    """Find a goal that is a folder or a file: most likely the module, without its ``M=``."""
    slip = _find_source_slip(args, folder) if _names_module(args) else None
    is_kernel = _names_module(args) or read_kernel_makefile(folder) is not None
    if is_kernel and args.goals and all(map(touches_no_object, args.goals)):
        return f"{args.goals[0]}: it compiles nothing, so nothing is judged; leave it out to judge what was built"
    for goal in args.goals:
        path = os.path.normpath(os.path.join(folder, goal))
        if _names_module(args):
            is_name = "." not in os.path.basename(goal) and not (goal.endswith("/") or os.path.isdir(path))
            meant = _find_goal_meant(goal, folder) if is_name else None
            if meant is not None:
                did_you = f"; did you mean `{meant}`?" if meant else ""
                return f"{goal}: neither the kernel's Makefile nor kdeps knows such a goal{did_you}"
            if goal.endswith(_OBJECTS) and not _may_make(goal, args, folder):
                return f"{goal}: make cannot make it: nothing in the module's folder is compiled to it"
        elif os.path.isdir(path):
            return _no_module(goal, goal.rstrip("/"))
        elif "/" in goal:
            return _no_module(goal, _nearest_module(path, folder) or os.path.dirname(goal))
        elif _find_goal_meant(goal, folder) is not None:
            return _no_module(goal, "")
    return slip


def _may_make(goal: str, args: MakeArgs, folder: str) -> bool:
    """Whether an object has a source of its name, or a Makefile or a variable names it."""
    module = os.path.join(folder, args.variables.get("M") or args.variables.get("KBUILD_EXTMOD", ""))
    where, stem = os.path.split(os.path.splitext(os.path.join(module, goal))[0])
    names = [f"{stem}{end}" for end in (*_SOURCES, ".o_shipped")]
    word = re.compile(rf"(?<![\w-]){re.escape(stem)}(?![\w-])")
    texts = (*args.variables.values(), *read_makefiles(where), *read_makefiles(module))
    return (
        not os.path.isdir(module)
        or any(os.path.exists(os.path.join(where, name)) for name in names)
        or any(map(word.search, texts))
    )


def _find_folder_slip(args: MakeArgs, folder: str) -> str | None:
    """Find a module that no ``M=`` names: a variable that Kbuild does not read has it, or it stands beside ``M=``."""
    if _names_module(args):
        module = os.path.join(folder, args.variables.get("M", ""))
        for goal in args.goals:
            if builds_objects(os.path.join(folder, goal)) and not os.path.exists(os.path.join(module, goal)):
                return f"{goal}: make builds no second module; ask for it by itself, with `M={goal}`"
        return None
    if args.variables.get("M") is not None:
        return "M=: it names no folder; name the module's, or leave it out for the kernel's own crates"
    if read_kernel_makefile(folder) is None:
        return None  # a module's own Makefile may read any variable
    if "MO" in args.variables:
        return f"MO={args.variables['MO']}: this is where a module's objects go, and no `M=FOLDER` names the module"
    for name, value in args.variables.items():
        path = os.path.join(folder, value)
        if name not in VARIABLES and builds_objects(path) and read_kernel_makefile(path) is None:
            return f"{name}={value}: Kbuild does not read `{name}`; did you mean `M={value}`?"
    return None


def _no_module(goal: str, wanted: str) -> str:
    meant = f"did you mean `M={wanted}`?" if wanted else "a module is named with `M=FOLDER`"
    return f"{goal}: this names no module; {meant} (all of the kernel: `kdeps ci --scope=tree`)"


def _find_source_slip(args: MakeArgs, folder: str) -> str | None:
    """Find a goal that is a source: make makes nothing of it, whatever was changed."""
    module = os.path.join(folder, args.variables.get("M", ""))
    for goal in args.goals:
        if goal.endswith(_SOURCES) and any(os.path.isfile(os.path.join(d, goal)) for d in (folder, module)):
            return f"{goal}: make does nothing for a source; did you mean `kdeps why {goal}`?"
    return None


def _find_goal_meant(word: str, folder: str) -> str | None:
    """Find which goal of a kernel was meant by a word. Returns None for a goal, and in a folder of any other Makefile."""
    kernel = read_kernel_makefile(folder)
    return None if kernel is None else find_goal_meant(word, kernel.srctree)


def _find_unread_variable(args: MakeArgs, folder: str) -> str | None:
    """Find a variable that no Makefile of the kernel or the module reads, and that is spelled nearly as one that counts."""
    kernel = read_kernel_makefile(folder)
    if kernel is None:
        return None
    module = os.path.join(folder, args.variables.get("M", ""))
    for name, value in args.variables.items():
        if meant := find_variable_meant(name, kernel.srctree, module):
            return f"{name}={value}: Kbuild does not read `{name}`; did you mean `{meant}={value}`?"
    return None


def _nearest_module(path: str, folder: str) -> str | None:
    """Name the folder that was meant by a path: one that is spelled nearly so, or the one a file is in."""
    found = suggest_folder(path)
    if found is None:
        found = os.path.dirname(path)
        while found != folder and len(found) > 1 and not builds_objects(found):
            found = os.path.dirname(found)
        if not builds_objects(found) or found == folder:
            return None
    return os.path.relpath(found, folder)
