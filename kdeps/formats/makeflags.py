# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What make takes from its environment as if it were on the command line.

Inside a recipe part of the command line is in ``MAKEFLAGS``: ``make LLVM=1`` in a
module's folder passes ``LLVM=1`` in that way to the make that its Makefile calls, and Kbuild
takes it for an argument.

Source: GNU make 4.4 ``src/main.c`` (``decode_env_switches``, ``define_makeflags``).
"""

from __future__ import annotations

import re

from kdeps.formats.makeargs import LINT_ONLY, MODULE_ONLY, parse_make_args

_NOT_FOR_THE_KERNEL = MODULE_ONLY | LINT_ONLY


def inherited_words(words: tuple[str, ...], environ: dict[str, str]) -> tuple[str, ...]:
    """The assignments that make inherits; without those that ``words`` has already."""
    flags = split_flags(f"{environ.get('GNUMAKEFLAGS', '')} {environ.get('MAKEFLAGS', '')}")
    variables = parse_make_args(tuple(flags)).variables
    return tuple(word for word in (f"{n}={v}" for n, v in variables.items()) if word not in words)


def split_flags(text: str) -> list[str]:
    """Split the value of ``MAKEFLAGS`` into words as they would stand on a command line."""
    words = [
        re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL).replace("$$", "$")
        for word in re.findall(r"(?:\\.|[^\s\\])+", text, flags=re.DOTALL)
    ]
    if words and not words[0].startswith("-") and "=" not in words[0]:
        words[0] = f"-{words[0]}"  # make writes its one-letter options first and without a dash
    return words


def kernel_environment(environ: dict[str, str]) -> dict[str, str]:
    """The environment for a make of the kernel itself: nothing in it says that a module is built.

    ``MAKEFLAGS`` keeps everything but assignments meant for the module; above all
    its job server. ``-B`` goes as well: it asks to remake the module, not the kernel.
    """
    changed = {name: value for name, value in environ.items() if name not in _NOT_FOR_THE_KERNEL}
    changed.pop("MAKEOVERRIDES", None)
    for name in ("MAKEFLAGS", "GNUMAKEFLAGS"):
        if name in changed:
            changed[name] = _without_module(changed[name])
    return changed


def _without_module(flags: str) -> str:
    kept: list[str] = []
    for at, word in enumerate(re.findall(r"(?:\\.|[^\s\\])+", flags, flags=re.DOTALL)):
        name = word.partition("=")[0].rstrip(":+?!")
        if "=" in word and name in _NOT_FOR_THE_KERNEL:
            continue
        if at == 0 and word.isalpha() and not flags[:1].isspace():
            word = word.replace("B", "")
        kept.append(word)
    if kept[-1:] == ["--"]:
        kept.pop()
    # A leading blank tells make that there are no one-letter options.
    return f" {' '.join(kept)}" if flags[:1].isspace() else " ".join(kept)
