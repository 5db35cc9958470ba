# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The rules of ``make modules_prepare``: every record it leaves, and what Kbuild keeps only in Makefiles."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kdeps import edges
from kdeps.rules.crates import add_kernel_crates
from kdeps.rules.model import Action, Scope
from kdeps.rules.reader import path_of_target

if TYPE_CHECKING:
    from kdeps.formats.cmdfile import Record
    from kdeps.rules.reader import Reader


def read_kernel(reader: Reader) -> None:
    """Read everything that ``make modules_prepare`` builds."""
    found: list[str] = []
    for folder, depth in edges.PREPARED_FOLDERS:
        found += reader.scan(reader.expand(folder), depth)
    found += [reader.expand(name) for name in edges.PREPARED_RECORDS]
    records: list[tuple[str, Record]] = []
    for path in sorted(found):
        if edges.NOT_PREPARED.fullmatch(path_of_target(path)[len(reader.tree.objtree) + 1 :]):
            continue
        record = reader.read(path)
        if record is not None:
            records.append((path, record))
    find_aliases(reader, records)
    for path, record in records:
        reader.add_recorded(path, record, Scope.KERNEL, kernel_base(reader, path, record))
    add_missing_records(reader, found, edges.RECORDED, edges.NOT_PREPARED)
    add_unrecorded(reader)
    add_edges(reader)  # after the unrecorded ones, some of which they name
    add_kernel_crates(reader)


def kernel_base(reader: Reader, record_path: str, record: Record) -> str:
    """The folder that names in a kernel record are relative to."""
    objtree, srctree = reader.tree.objtree, reader.tree.srctree
    relative = record_path[len(objtree) + 1 :]
    if not relative.startswith("tools/"):
        return objtree
    folders = [source for folder, source in edges.TOOLS if relative.startswith(folder + "/")]
    if record.source and record.source[:1] != "/":
        # Which sub-make it was follows from where the source is.
        for folder in (*folders, *edges.SHARED_TOOL_SOURCES):
            if os.path.exists(f"{srctree}/{folder}/{record.source}"):
                return f"{srctree}/{folder}"
    return f"{srctree}/{folders[0]}" if folders else objtree


def find_aliases(reader: Reader, records: list[tuple[str, Record]]) -> None:
    """Notice an object tree that was built under another spelling (a symbolic link)."""
    for _, record in records:
        at = record.command.find("OBJTREE=")
        if at >= 0:
            spelled = record.command[at + 8 :].split(None, 1)[0]
            if spelled != reader.tree.objtree and os.path.realpath(spelled) == reader.tree.objtree:
                reader.add_alias(spelled + "/", reader.tree.objtree + "/")
            return


def add_missing_records(
    reader: Reader, found: list[str], recorded: re.Pattern[str], never: re.Pattern[str] | None
) -> None:
    """Add a rule for every target whose record is gone.

    Two ways to know of one: another rule reads it (and it is of a kind that is
    always recorded), or it lies where such files lie.

    Args:
        reader: With every rule that has a record.
        found: Paths of all records.
        recorded: The names, relative to the object tree, of targets that always have one.
        never: Names among them that another build makes.
    """
    objtree = reader.tree.objtree
    inside = objtree + "/"
    read: set[str] = set().union(*(rule.prerequisites for rule in reader.rules.values()))
    candidates = {path for path in read - reader.rules.keys() if path.startswith(inside)}
    for path in found:
        target = path_of_target(path)
        if target not in reader.rules and os.path.exists(target):
            candidates.add(target)
    candidates.update(path for path in reader.present if path not in reader.rules)
    # A record that is there and may not be read is another matter, and told already.
    candidates.difference_update(path_of_target(p.path) for p in reader.problems if not p.remove)
    for path in sorted(candidates):
        name = path[len(inside) :]
        if not recorded.fullmatch(name) or (never is not None and never.fullmatch(name)):
            continue
        rule = reader.add_bare(path, Action.IF_CHANGED, ())
        crate = re.fullmatch(r"rust/([^/]+)\.o", name)
        if crate:
            reader.rules[path] = rule._replace(outputs=(path, f"{objtree}/rust/lib{crate[1]}.rmeta"))


def add_edges(reader: Reader) -> None:
    """Add what the edge table has, once every record is read."""
    for edge in edges.EDGES:
        rule = reader.rules.get(f"{reader.tree.objtree}/{edge.target}")
        if rule is None or edge.when not in rule.command:
            continue
        extra = [reader.expand(p) for p in edge.prerequisites]
        if edge.existing:
            extra = [p for p in extra if p in reader.rules or os.path.exists(p)]
        reader.rules[rule.target] = rule._replace(prerequisites=(*rule.prerequisites, *extra))
    for name, symbols in edges.CONFIG_EDGES.items():
        rule = reader.rules.get(f"{reader.tree.objtree}/{name}")
        if rule is not None:
            reader.rules[rule.target] = rule._replace(config=(*rule.config, *symbols))


def add_unrecorded(reader: Reader) -> None:
    """Add the steps of the kernel that leave no record."""
    read: set[str] = set().union(*(rule.prerequisites for rule in reader.rules.values()))
    for row in edges.UNRECORDED:
        target = reader.expand(row.target)
        paths = [reader.expand(p) for p in row.prerequisites]
        if target not in read and not os.path.exists(target) and not any(p in reader.rules for p in paths):
            continue  # this version or configuration does not build it
        other = reader.expand(row.unless)
        if row.unless and (other in reader.rules or os.path.exists(other)):
            continue
        # What neither is there nor was ever recorded belongs to another version.
        prerequisites = tuple(p for p in paths if p in reader.rules or os.path.exists(p))
        reader.add_bare(target, Action.FILECHK if row.filechk else Action.PLAIN, prerequisites)
