# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Files of a whole kernel that a Makefile generates by time alone, and that leave no record.

A record that reads such a file names it, and nothing else does: ``consolemap_deftbl.c`` is made from
``cp437.uni``, which only drivers/tty/vt/Makefile says. So the Makefile of its folder is read, for the rule
that has the file for its target. Variables that are assigned there once are expanded; what cannot be
expanded is left out. Two kinds of rules are for all folders: copies of ``_shipped`` files, and ASN.1.
"""

from __future__ import annotations

import glob
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from kdeps.kbuild.rule import Action
from kdeps.system.files import read_text

if TYPE_CHECKING:
    from kdeps.kbuild.records import RecordReader

_SUFFIXES = (".c", ".h", ".S", ".s", ".lds", ".rs", ".inc", ".bin")
_MAX_BYTES = 1 << 20
_MAX_DEPTH = 8
_ABSOLUTE_SRC = (6, 10)
"""Since when ``$(src)`` is a path; before it is relative to both trees."""
_REFERENCE = re.compile(r"\$\((?:wildcard )?([^()$ ]+)\)")
_RULE = re.compile(r"^(\$\(obj\)/[^\n:=#]+?)[ \t]*:(?![:=])([^\n=]*)$", re.MULTILINE)
_VARIABLE = re.compile(r"^[ \t]*([\w-]+)[ \t]*[:?]?=[ \t]*([^\n#]*)", re.MULTILINE)


def add_generated_sources(reader: RecordReader) -> None:
    """Add a rule for each file that others read, that no rule makes, and that a Makefile generates."""
    tree = reader.tree
    rules = list(reader.rules.values())
    made = {output for rule in rules for output in rule.outputs}
    read = set().union(*(r.prerequisites for r in rules), *(r.optional_prerequisites for r in rules))
    inside = f"{tree.objtree}/"
    for path in sorted(read - made):
        if not path.startswith(inside) or not path.endswith(_SUFFIXES):
            continue
        folder, _, file = path[len(inside) :].rpartition("/")
        if tree.srctree != tree.objtree and os.path.exists(f"{tree.srctree}/{folder}/{file}"):
            continue
        found = _find_prerequisites(reader, folder, file)
        if found:
            reader.add_unrecorded_rule(path, Action.PLAIN, tuple(dict.fromkeys(found)))


def _find_prerequisites(reader: RecordReader, folder: str, file: str) -> list[str]:
    """The prerequisites of a generated file; none if no rule for it is found, or if it leaves a record."""
    tree = reader.tree
    source = os.path.normpath(f"{tree.srctree}/{folder}")
    if os.path.exists(f"{source}/{file}_shipped"):
        return [f"{source}/{file}_shipped"]
    asn1 = re.fullmatch(r"(.+)\.asn1\.[ch]", file)
    if asn1:
        return [f"{source}/{asn1[1]}.asn1", f"{tree.objtree}/scripts/asn1_compiler"]
    places = {"obj": folder, "srctree": tree.srctree, "objtree": tree.objtree, "SRCARCH": tree.srcarch}
    places["src"] = source if tree.version >= _ABSOLUTE_SRC else folder
    for targets, needed in _read_rules(source):
        if f"$(obj)/{file}" not in targets.split():
            continue
        _, colon, static = needed.partition(":")
        words = (static if colon else needed).partition("|")[0]
        if "FORCE" in words.split():
            return []
        if colon:
            words = words.replace("%", _stem(needed.partition(":")[0].strip(), f"$(obj)/{file}"))
        names = _expand(words, {**_read_variables(source), **places})
        return [path for name in names for path in _find(reader, name)]
    return []


def _stem(pattern: str, target: str) -> str:
    before, _, behind = pattern.partition("%")
    return target[len(before) : len(target) - len(behind)]


@lru_cache(maxsize=64)
def _read_makefile(folder: str) -> str:
    """The Makefile of a folder, each of its lines whole."""
    text = read_text(f"{folder}/Kbuild", _MAX_BYTES) or read_text(f"{folder}/Makefile", _MAX_BYTES)
    return text.replace("\\\n", " ")


@lru_cache(maxsize=64)
def _read_rules(folder: str) -> list[tuple[str, str]]:
    return _RULE.findall(_read_makefile(folder))


@lru_cache(maxsize=64)
def _read_variables(folder: str) -> dict[str, str]:
    """The variables that are assigned exactly once."""
    found: dict[str, list[str]] = {}
    for name, value in _VARIABLE.findall(_read_makefile(folder)):
        found.setdefault(name, []).append(value.strip())
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _expand(text: str, variables: dict[str, str]) -> list[str]:
    """The words of a list of prerequisites, as far as its variables are known."""
    for _ in range(_MAX_DEPTH):
        expanded = _REFERENCE.sub(lambda reference: variables.get(reference[1], reference[0]), text)
        if expanded == text:
            break
        text = expanded
    words = (word.removesuffix(")") for word in text.replace("$(wildcard ", "").split())
    return [word for word in words if "$" not in word]


def _find(reader: RecordReader, name: str) -> list[str]:
    """The files of a name, where make looks for it: in the object tree, then among the sources."""
    for top in (reader.tree.objtree, reader.tree.srctree):
        path = os.path.normpath(os.path.join(top, name))
        found = sorted(glob.glob(path)) if "*" in name else [path]
        if any(path in reader.rules or os.path.exists(path) for path in found):
            return found
    return []
