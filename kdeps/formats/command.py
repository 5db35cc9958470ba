# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a recorded command reads and writes, as far as its words tell.

Two questions are asked of a command, and only these are answered:

* of every command: which files does it write besides the target it is recorded
  for (``--emit=metadata=rust/libkernel.rmeta``), and where does its compiler
  leave the dependency list?
* of a command whose record has no list (``if_changed``): which files does it
  name as input? The Makefile's own prerequisites are nowhere on disk, but these
  commands are built from ``$^``, ``$<`` and ``$(real-prereqs)``, so the words are there.

This is no shell: a command is split at blanks, which Kbuild's own file names
never contain (fixdep fails on them). Full shell parsing in Python costs some
300 ms for one tree, a hundred times the rest of the reading.

Source: linux ``scripts/Makefile.build``, ``scripts/Makefile.host``,
``scripts/Makefile.modpost``, ``rust/Makefile``, ``tools/build/Build.include``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kdeps.formats.words import split_words


class CommandFiles(NamedTuple):
    """The files that a command without a dependency list names."""

    inputs: tuple[str, ...]
    """In the order they stand, each once, as written."""
    responses: tuple[str, ...]
    """``@FILE`` arguments, without the ``@``. They are in ``inputs`` too."""
    program: str | None
    """The first program that is built by the tree itself (``scripts/mod/modpost``). Also in ``inputs``."""


_QUOTED = re.compile(r"'[^']*'")
_PRINTED = re.compile(r'print\("([^"]*)"\$+0\)')
_SEPARATORS = frozenset((";", "|", "||", "&&", "{", "}", ":;", "("))
_SHELLS = frozenset(("sh", "bash", "/bin/sh", "/bin/bash", "python3", "perl"))
_SUFFIXES = (
    ".o", ".a", ".c", ".h", ".S", ".s", ".rs", ".so", ".rlib", ".rmeta", ".bc", ".tbl", ".lds", ".ld", ".order",
    ".symvers", ".json", ".mod", ".objs", ".txt", ".pl", ".py", ".sh", ".tmp", ".cpio", ".dts", ".dtb", ".bin",
    ".elf", ".lst", ".map", ".ko",
)  # fmt: skip


def find_emitted(command: str) -> list[str]:
    """Find the files that rustc is told to write (``--emit=KIND=PATH``), dep-info apart."""
    found: list[str] = []
    for part in command.split("--emit=")[1:]:
        for output in part.partition(" ")[0].split(","):
            kind, equals, path = output.partition("=")
            if equals and kind != "dep-info":
                found.append(path)
    return found


def find_depfile(command: str) -> str | None:
    """Find the file the compiler writes its dependency list to; ``None``: it writes none."""
    for opening in ("--emit=dep-info=", "-Wp,-MMD,", "-Wp,-MD,"):
        at = command.find(opening)
        if at >= 0:
            start = at + len(opening)
            end = command.find(" ", start)
            return command[start : end if end >= 0 else len(command)].split(",")[0]
    return None


def find_externs(command: str) -> list[str]:
    """Find the crates that rustc is told to link (``--extern NAME`` or ``NAME=PATH``)."""
    found: list[str] = []
    for part in command.split("--extern ")[1:]:
        word = part.split(None, 1)[:1]
        # `noprelude:core=PATH`: options, then a name, then perhaps a path
        found += [w.partition("=")[0].rpartition(":")[2] for w in word]
    return found


def find_search_folders(command: str) -> list[str]:
    """Find the folders where rustc looks for crates (``-L FOLDER``)."""
    return [part.split(None, 1)[0] for part in command.split(" -L ")[1:] if part.strip()]


def parse_command(command: str, target: str) -> CommandFiles:
    """Find the input files in a command whose record has no list.

    Args:
        command: As recorded, still escaped for make.
        target: The name it is recorded for; never an input of itself.
    """
    inputs: dict[str, None] = {}
    responses: list[str] = []
    program: str | None = None
    segment: list[str] = []
    prefixed: list[str] = []
    # What stands in single quotes is a program for awk or sed, never a file name.
    for word in [*split_words(_QUOTED.sub("''", command)), ";"]:
        bare = word.rstrip(";")
        if bare and bare not in _SEPARATORS:
            segment.append(bare)
        if word not in _SEPARATORS and not word.endswith(";"):
            continue
        if segment:
            if segment[0] == "printf":
                prefixed = _printf_words(segment)
            elif segment[0] == "xargs":
                inputs.update(dict.fromkeys(prefixed))
            elif segment[0] in ("echo", "cat"):
                inputs.update(dict.fromkeys(_listed(segment)))
            else:
                program = _read_segment(segment, inputs, responses) or program
        segment = []
    inputs.pop(target, None)
    return CommandFiles(tuple(inputs), tuple(responses), program)


def parse_members(command: str) -> tuple[str, ...]:
    """Find the objects that a ``.mod`` file's command lists.

    ``printf '%s\\n' a.o b.o | awk '!x[$$0]++ { print("sub/"$$0) }' > sub/m.mod`` (6.1: ``echo`` for ``printf``).
    """
    listing, pipe, awk = command.partition("|")
    words = split_words(listing)
    if not pipe or words[:1] not in (["printf"], ["echo"]):
        return ()
    names = _printf_words(words) if words[0] == "printf" else words[1:]
    printed = _PRINTED.search(awk)
    prefix = printed[1] if printed else ""
    return tuple(prefix + name for name in names)


def _read_segment(segment: list[str], inputs: dict[str, None], responses: list[str]) -> str | None:
    """Collect the inputs of one simple command; the program, if the tree builds it."""
    at = 0
    while at < len(segment) and "=" in segment[at] and not segment[at].startswith("-"):
        at += 1  # an environment assignment
    if at == len(segment):
        return None
    program: str | None = None
    first, words = segment[at], segment[at + 1 :]
    if first in _SHELLS:
        script = next((word for word in words if not word.startswith("-")), "")
        if "/" in script and script[0] not in "'\"":
            inputs[script] = None
    elif "/" in first and not first.rpartition("/")[0].endswith("bin") and "/libexec/" not in first:
        # Not by what the path begins with: a kernel tree may lie in /usr/src.
        program = first
        inputs[first] = None
    previous = ""
    for word in words:
        if word.startswith("@") and len(word) > 1:
            responses.append(word[1:])
            inputs[word[1:]] = None
        elif word.startswith(("-", "'", '"', ">", "2>")) or previous in (">", ">>", "-o", "-MF"):
            pass
        elif word.startswith(("if=", "of=")):
            if word[0] == "i":
                inputs[word[3:]] = None  # dd
        elif previous == "<" or word.endswith(_SUFFIXES):
            inputs[word.lstrip("<")] = None
        previous = word
    return program


def _printf_words(segment: list[str]) -> list[str]:
    """Expand ``printf "PREFIX%s " a b`` to the names it prints."""
    if len(segment) < 2:
        return []
    words = segment[1:]
    form = words.pop(0).strip("'\"")
    if words and words[0] in ('"', "'"):
        words.pop(0)  # `"%s "` was split at its blank
    prefix = form.partition("%s")[0]
    return [prefix + word for word in words if not word.startswith(("-", ">"))]


def _listed(segment: list[str]) -> list[str]:
    """The file names of ``echo a.o`` and ``cat sub/modules.order``, which is how modules.order is written."""
    names: list[str] = []
    for word in segment[1:]:
        if word.startswith(">"):
            break
        if word.startswith(('"', "'")):
            continue
        if word.endswith(".ko"):
            names.append(f"{word[:-3]}.o")  # up to 6.2 modules.order names the .ko, and is made from the .o
        elif word.endswith((".o", "modules.order")):
            names.append(word)
    return names
