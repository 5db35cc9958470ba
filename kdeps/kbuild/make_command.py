# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a make command line asks for, before any record is looked at."""

from __future__ import annotations

import os

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.formats.makeargs import MAKEFILES, MakeArgs, parse_make_args, split_goals, working_directory
from kdeps.formats.makeflags import inherited_words, split_flags
from kdeps.kbuild.kernel_makefile import is_kernel_makefile, read_kernel_makefile
from kdeps.system.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from kdeps.kbuild.outer_make import OuterMake

_MODULE_NAMES = ("M", "KBUILD_EXTMOD")
_WITH_VALUE = "CfIWoEjlO"
_ASKS_ONLY = {
    "q": "--question", "t": "--touch", "h": "--help", "v": "--version", "p": "--print-data-base",
}  # fmt: skip
_ASKS_ONLY_LONG = frozenset(_ASKS_ONLY.values())
_PRINTS = {"n": "--dry-run"}
_PRINTS_LONG = frozenset(("--dry-run", "--just-print", "--recon"))
_BUILDS_NOTHING = frozenset(
    (
        "clean", "mrproper", "distclean", "help", "modules_install", "modules_sign", "kernelversion",
        "kernelrelease", "image_name", "rust-analyzer", "rustfmt", "rustfmtcheck", "tags", "TAGS", "cscope",
        "gtags", "dtbs_install", "headers_install",
    )
)  # fmt: skip
"""Goals of ``make M=…`` that compile nothing."""


INSTALL_GOAL = "modules_install"
_TAKES_BUILT = frozenset((INSTALL_GOAL, "modules_sign"))
"""Goals that take modules as they were built."""


class Request(NamedTuple):
    """A make that would compile a module."""

    words: tuple[str, ...]
    """The words of the kernel's make: the assignments that it inherits, then its own arguments."""
    args: MakeArgs
    in_job_server: bool
    """An outer make lends its job slots."""
    indirect: bool = False
    """make reads a Makefile of the user's own first, which calls the kernel's make."""
    by_ninja: bool = False
    """A refresh is ninja's work where it can be."""
    given: tuple[str, ...] = ()
    """make's own arguments, verbatim."""
    makefiles: tuple[str, ...] = ()
    """The user's own Makefiles that led to this request."""
    dry_run: bool = False
    """make only prints what it would do (``-n``)."""
    steady: bool = True
    """The same arguments lead to it as long as these Makefiles stay as they are."""


class Install(NamedTuple):
    """A make that takes modules as they are."""

    words: tuple[str, ...]
    """Of the kernel's make that builds or installs them, with those that it inherits."""
    verb: str
    """What is done with them: ``installs`` or ``loads``."""


class NotUnderstood(UsageError):
    """Which kernel make would use is known only once the user's own Makefile runs."""


def read_requests(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> tuple[Request, ...]:
    """Tell which modules make would compile: a request for each make of a kernel that would.

    There is none for a make that builds no module, or that only asks (``-q``): everything is to be left alone then.
    Raises NotUnderstood where make reads a Makefile first that does not say what it would do.
    """
    flags = split_flags(f"{environ.get('GNUMAKEFLAGS', '')} {environ.get('MAKEFLAGS', '')}")
    if _has_option((*flags, *words), _ASKS_ONLY, _ASKS_ONLY_LONG):
        return ()
    dry_run = _has_option((*flags, *words), _PRINTS, _PRINTS_LONG)
    in_job_server = any(flag.startswith("--jobserver") for flag in flags)
    inherited = inherited_words(words, environ)
    args = parse_make_args((*inherited, *words))
    candidates = find_own_makefiles(args, cwd)
    kernel = _find_kernel_makefile(args, cwd)
    if kernel is not None:
        named = _names_module(args, kernel, environ)
        if not named or not builds_something(args):
            return ()
        return (
            Request(
                args.words, args, in_job_server, given=words, makefiles=tuple(candidates), dry_run=dry_run
            ),
        )
    outer = understand_makefile(words, cwd, environ)
    makes = [(*inherited, *make) for make in outer.kernel_makes if builds_something(parse_make_args(make))]
    known = (*candidates, *outer.makefiles)
    return tuple(
        Request(
            make, parse_make_args(make), in_job_server, indirect=True, given=words,
            makefiles=known, dry_run=dry_run, steady=outer.steady and len(makes) == 1,
        )
        for make in makes
    )  # fmt: skip


def read_request(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Request | None:
    """Return the request of a make that would compile one module; None if it compiles none, or several."""
    requests = read_requests(words, cwd, environ)
    return requests[0] if len(requests) == 1 else None


def read_kernel_make(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> tuple[str, ...] | None:
    """Return the words of the kernel's make, with those that it inherits, if it would build the kernel; else None."""
    if _has_option(words, _ASKS_ONLY, _ASKS_ONLY_LONG) or _has_option(words, _PRINTS, _PRINTS_LONG):
        return None
    args = parse_make_args((*inherited_words(words, environ), *words))
    kernel = _find_kernel_makefile(args, cwd)
    if not kernel or _names_module(args, kernel, environ) or not builds_something(args):
        return None
    return None if any(goal.endswith("config") for goal in args.goals) else args.words


def read_install(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Install | None:
    """Tell whether make would install a module, or a recipe of the user's own Makefile load one; else None."""
    if _has_option(words, _ASKS_ONLY, _ASKS_ONLY_LONG) or _has_option(words, _PRINTS, _PRINTS_LONG):
        return None
    inherited = inherited_words(words, environ)
    args = parse_make_args((*inherited, *words))
    kernel = _find_kernel_makefile(args, cwd)
    if kernel is not None:
        named = _names_module(args, kernel, environ)
        return Install(args.words, "installs") if named and INSTALL_GOAL in args.goals else None
    from kdeps.kbuild.outer_make import ask_make

    outer = ask_make(words, cwd, environ)
    for make in outer.kernel_makes:
        if INSTALL_GOAL in parse_make_args(make).goals:
            return Install((*inherited, *make), "installs")
    if not outer.loads:
        return None
    # Which kernel the module is for, the goal that builds it tells.
    makes = ask_make(split_goals(words)[1], cwd, environ).kernel_makes
    return Install((*inherited, *makes[0]), "loads") if makes else None


def understand_makefile(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> OuterMake:
    """Ask make for the makes of a kernel that build a module, each once; if none does, for those that install or clean one.

    Raises NotUnderstood: the Makefile there does not say it, or names several kernels for a module.
    """
    from kdeps.kbuild.outer_make import (
        ask_make,
    )  # with all that starts a process; most builds name the kernel

    outer = ask_make(words, cwd, environ)
    if outer.unclear:
        raise NotUnderstood(f"{outer.makefiles[0] if outer.makefiles else cwd}: {outer.unclear}")
    named = []
    for make in outer.kernel_makes:
        args = parse_make_args(make)
        if _names_module(args, _find_kernel_makefile(args, cwd) or "", environ):
            named.append((make, args))
    makes: dict[str, tuple[str, ...]] = {}
    kernels: dict[str, tuple[str, ...]] = {}
    for make, args in [each for each in named if builds_something(each[1])] or named:
        stand, variables = working_directory(args, cwd), args.variables
        module = os.path.join(stand, variables.get("M") or variables.get("KBUILD_EXTMOD") or "")
        output = variables.get("KBUILD_OUTPUT") or variables.get("O") or ""
        kernel = tuple(os.path.realpath(os.path.join(stand, name)) for name in (output, *args.files))
        if kernels.setdefault(module, kernel) != kernel:
            several = " and ".join((kernels[module][0], kernel[0]))
            raise NotUnderstood(f"{outer.makefiles[0]}: it builds {module} for several kernels, {several}")
        makes.setdefault(module, make)
    return outer._replace(kernel_makes=tuple(makes.values()))


def _names_module(args: MakeArgs, makefile: str, environ: dict[str, str]) -> bool:
    """Whether a make of the kernel builds a module: one that is named, or whose folder of ``MO=`` it is called in."""
    if any(name in args.variables for name in _MODULE_NAMES) or environ.get("KBUILD_EXTMOD"):
        return True
    kernel = read_kernel_makefile(os.path.dirname(makefile)) if makefile else None
    return kernel is not None and "KBUILD_EXTMOD" in kernel.settings


def builds_something(args: MakeArgs) -> bool:
    """Whether a make of the kernel has a goal for which something is compiled."""
    return not (args.goals and all(goal in _BUILDS_NOTHING for goal in args.goals))


def touches_no_object(goal: str) -> bool:
    """Whether a goal of the kernel neither compiles anything nor takes what was compiled."""
    return goal.endswith("config") or (goal in _BUILDS_NOTHING and goal not in _TAKES_BUILT)


def find_own_makefiles(args: MakeArgs, cwd: str) -> list[str]:
    """The files that make looks for: all that ``-f`` names are read, of the others the first that exists."""
    folder = working_directory(args, cwd)
    return [os.path.join(folder, name) for name in args.files or MAKEFILES]


def find_read_makefiles(args: MakeArgs, cwd: str) -> list[str]:
    """Those of them that make reads."""
    found = [p for p in find_own_makefiles(args, cwd) if os.path.exists(p) or os.path.basename(p) == "-"]
    return found if args.files else found[:1]


def _find_kernel_makefile(args: MakeArgs, cwd: str) -> str | None:
    """Find the kernel's own Makefile among those that make reads; empty if it reads none, None if only others."""
    read = find_read_makefiles(args, cwd)
    return next(filter(is_kernel_makefile, reversed(read)), None) if read else ""


def _has_option(words: tuple[str, ...], letters: Collection[str], names: Collection[str]) -> bool:
    """Whether one of these options stands among make's words."""
    waiting = False
    for word in words:
        if waiting:
            waiting = False
        elif word == "--":
            return False
        elif word in names:
            return True
        elif word.startswith("-") and not word.startswith("--"):
            for at, letter in enumerate(word[1:], start=1):
                if letter in _WITH_VALUE:
                    waiting = letter not in "jlO" and at == len(word) - 1
                    break
                if letter in letters:
                    return True
    return False
