# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``make modules_prepare`` makes in this configuration, known without a record of it.

A target that is gone together with its record leaves no trace in the object tree. Kbuild
knows it from its Makefiles. So their ``always-y`` lists and the like are read here, with the
conditions on configuration symbols around them. A short table has the rest.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.rule import Action
from kdeps.system.files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kdeps.kbuild.records import RecordReader
    from kdeps.kbuild.tree import Tree

_MAX_BYTES = 1 << 22
_LINE = re.compile(
    r"^(?P<word>ifdef|ifndef|ifeq|ifneq|else|endif)\b(?P<rest>.*)$"
    r"|^(?P<list>always|hostprogs-always|syshdr|uapisyshdr)-(?P<when>y|\$\([^=\n]+\))[ \t]*[+:]?="
    r"(?P<names>(?:[^\\\n]|\\\n|\\.|\\\Z)*)$",
    re.MULTILINE,
)
_SYMBOL = re.compile(r"\$\(CONFIG_(\w+)\)")


def add_expected(reader: RecordReader) -> None:
    """Add a rule for each target of the preparation that has neither a record nor a file."""
    if reader.tree.prebuilt:
        return
    prepared = [row.target for row in makefile_rules.PREPARED if _holds(reader, row)]
    for name in (*prepared, *list_always(reader.tree)):
        target = os.path.normpath(reader.expand(name))
        if target not in reader.rules and not os.path.lexists(target):
            reader.add_unrecorded_rule(target, Action.IF_CHANGED, ())


def _holds(reader: RecordReader, row: makefile_rules.Prepared) -> bool:
    if not os.path.exists(reader.expand(f"$(srctree)/{row.source}")):
        return False
    beside = reader.expand(row.beside)
    return not row.beside or beside in reader.rules or os.path.lexists(beside)


def list_always(tree: Tree) -> list[str]:
    """What the Makefiles that every preparation reads always make, as the edge table writes names."""
    configuration = _read(f"{tree.objtree}/include/config/auto.conf")
    names = []
    for folder, lists in makefile_rules.ALWAYS.items():
        text = _read(f"{tree.srctree}/{folder.replace('$(srcarch)', tree.srcarch)}/Makefile")
        names += [f"{lists[of]}/{name}" for of, name in find_always(text, configuration) if of in lists]
    return names


class _Level(NamedTuple):
    """One open condition of a Makefile."""

    holds: bool
    known: bool
    """Whether it depends on nothing but a configuration symbol."""


def find_always(makefile: str, configuration: str) -> Iterator[tuple[str, str]]:
    """Yield what the lists of a Makefile name, each with its list, as far as the text of ``auto.conf`` decides it."""

    def is_set(symbol: str) -> bool:
        return symbol in _set_symbols(configuration)

    levels: list[_Level] = []
    in_doubt = 0  # how many of them are not known to hold
    for line in _LINE.finditer(makefile):
        word, rest = line["word"], (line["rest"] or "").strip()
        if word in ("else", "endif") and levels:
            in_doubt -= not (levels[-1].holds and levels[-1].known)
        if word in ("ifdef", "ifndef"):
            known = rest.startswith("CONFIG_")
            levels.append(_Level(is_set(rest[7:]) == (word == "ifdef"), known))
        elif word in ("ifeq", "ifneq"):
            levels.append(_Level(False, False))
        elif word == "else" and levels:
            levels[-1] = _Level(not levels[-1].holds, levels[-1].known and not rest)
        elif word == "endif" and levels:
            levels.pop()
        elif word is None and not in_doubt:
            symbols = _SYMBOL.findall(line["when"])
            if line["when"] == "y" or (symbols and all(map(is_set, symbols))):
                names = line["names"].replace("\\\n", " ").split()
                yield from ((line["list"], name) for name in names if "$" not in name)
        if word in ("ifdef", "ifndef", "ifeq", "ifneq", "else") and levels:
            in_doubt += not (levels[-1].holds and levels[-1].known)


@lru_cache(maxsize=1)
def _set_symbols(configuration: str) -> frozenset[str]:
    """Find the symbols that are built in."""
    return frozenset(re.findall(r"^CONFIG_(.*)=y$", configuration, re.MULTILINE))


def _read(path: str) -> str:
    """Read a text file, with a newline in front; empty if the file is missing."""
    text = read_text(path, _MAX_BYTES)
    return f"\n{text}" if text else ""
