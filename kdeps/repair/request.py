# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a make command line asks for, before any record is looked at."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kdeps.makeargs import MakeArgs, parse_make_args, working_directory
from kdeps.makeenv import inherited_words, split_flags
from kdeps.tree import builds_objects, is_kernel_makefile, open_nonblocking

_KERNEL = re.compile(
    r"^[ \t]*(KDIR|KERNEL_SRC|KERNELDIR|KSRC|KERNEL_DIR)[ \t]*(\?=|:=|::=|=)[ \t]*([^#\n]*)", re.MULTILINE
)
_READ_BY_MAKE = ("GNUmakefile", "makefile", "Makefile")
"""In this order, the first that exists."""
_TOOLS = re.compile(r"(?<![\w$({])(LLVM|ARCH|CROSS_COMPILE)[ \t]*(\?|:{1,3}|)=[ \t]*([^\s$;\\]+)(?![^\s;\\])")
"""In an assignment of its own, or given to a make in a recipe; of a value that is spelled out."""
_MODULE_NAMES = ("M", "KBUILD_EXTMOD")
_WITH_VALUE = "CfIWoEjlO"
_ASKS_ONLY = {
    "n": "--dry-run", "q": "--question", "t": "--touch", "h": "--help", "v": "--version", "p": "--print-data-base",
}  # fmt: skip
_ASKS_ONLY_LONG = frozenset((*_ASKS_ONLY.values(), "--just-print", "--recon"))
_BUILDS_NOTHING = frozenset(
    (
        "clean", "mrproper", "distclean", "help", "modules_install", "modules_sign", "kernelversion",
        "kernelrelease", "image_name", "rust-analyzer", "rustfmt", "rustfmtcheck", "tags", "TAGS", "cscope",
        "gtags", "dtbs_install", "headers_install",
    )
)  # fmt: skip
"""Goals of ``make M=…`` that compile nothing."""


class Request(NamedTuple):
    """A make that would compile a module."""

    words: tuple[str, ...]
    """What make is told: the assignments it inherits, then its own arguments."""
    args: MakeArgs
    """Of ``words``."""
    in_job_server: bool
    """An outer make lends its job slots."""
    indirect: bool = False
    """make reads a Makefile of the user's own first, which may tell the kernel's make more than is known here."""
    by_ninja: bool = False
    """A refresh shall be ninja's work where it can be."""
    given: tuple[str, ...] = ()
    """make's own arguments, verbatim."""


def read_request(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Request | None:
    """Tell whether make would compile a module.

    Args:
        words: make's arguments, verbatim.
        cwd: Where it is called.
        environ: The environment it gets.

    Returns:
        The request; ``None`` for a make that builds no module, or that only
        asks (``-n``, ``-q``), where everything is to be left alone.
    """
    flags = split_flags(f"{environ.get('GNUMAKEFLAGS', '')} {environ.get('MAKEFLAGS', '')}")
    told = (*inherited_words(words, environ), *words)
    args = parse_make_args(told)
    named = any(name in args.variables for name in _MODULE_NAMES) or environ.get("KBUILD_EXTMOD")
    if _only_asks((*flags, *words)):
        return None
    folder = working_directory(args, cwd)
    own = _read_own_makefile(args, cwd)
    if not named:
        kernel = _named_kernel(folder, own, args, environ)
        if kernel is None:
            return None
        told = (*told, f"KDIR={kernel}")
    told = (*told, *_written_tools(own, args, environ))
    args = parse_make_args(told)
    if args.goals and all(goal in _BUILDS_NOTHING for goal in args.goals):
        return None
    in_job_server = any(flag.startswith("--jobserver") for flag in flags)
    return Request(told, args, in_job_server, indirect=bool(own), given=words)


def find_own_makefiles(args: MakeArgs, cwd: str) -> list[str]:
    """The files of which make reads the first that exists."""
    folder = working_directory(args, cwd)
    return [os.path.join(folder, name) for name in args.files[-1:] or _READ_BY_MAKE]


def _read_own_makefile(args: MakeArgs, cwd: str) -> str:
    """What make reads before the kernel's Makefile, without comments; empty where it reads that at once."""
    for path in find_own_makefiles(args, cwd):
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", opener=open_nonblocking) as file:
                text = file.read(1 << 16)
        except OSError:
            continue
        return "" if is_kernel_makefile(path) else re.sub(r"#.*", "", text)
    return ""


def _written_tools(own: str, args: MakeArgs, environ: dict[str, str]) -> list[str]:
    """The assignments by which the user's own Makefile chooses the kernel's tools, where it says just one thing."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name, operator, value in _TOOLS.findall(own):
        found.setdefault(name, set()).add((operator, value))
    return [
        f"{name}={value}"
        for name, written in found.items()
        for operator, value in written
        if len(written) == 1 and name not in args.variables and not (operator == "?" and name in environ)
    ]


def _named_kernel(folder: str, text: str, args: MakeArgs, environ: dict[str, str]) -> str | None:
    """The kernel that the Makefile of a module's own folder builds against; ``None``: it does not say so plainly.

    Only an assignment whose value is a path, or is given from outside, is understood.
    Judging (and refreshing) another kernel than make will use would be worse than none.
    """
    found = _KERNEL.search(text)
    if found is None or not builds_objects(folder):
        return None
    name, operator, value = found.groups()
    if name in args.variables:
        value = args.variables[name]
    elif operator == "?=" and environ.get(name):
        value = environ[name]
    value = value.strip().replace("$(shell uname -r)", os.uname().release)
    return None if "$" in value or not value else value


def _only_asks(words: tuple[str, ...]) -> bool:
    """Whether an option keeps make from building anything."""
    waiting = False
    for word in words:
        if waiting:
            waiting = False
        elif word == "--":
            return False
        elif word in _ASKS_ONLY_LONG:
            return True
        elif word.startswith("-") and not word.startswith("--"):
            for at, letter in enumerate(word[1:], start=1):
                if letter in _WITH_VALUE:
                    waiting = letter not in "jlO" and at == len(word) - 1
                    break
                if letter in _ASKS_ONLY:
                    return True
    return False
