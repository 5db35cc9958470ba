# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The rules of ``make modules_prepare``: every record it leaves, and what Kbuild keeps only in Makefiles."""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING
from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.crates import add_kernel_crates
from kdeps.kbuild.expected import add_expected
from kdeps.kbuild.records import path_of_target
from kdeps.kbuild.rule import Action, Owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kdeps.formats.cmdfile import Record
    from kdeps.kbuild.records import RecordReader


def read_kernel(reader: RecordReader) -> None:
    """Read everything that ``make modules_prepare`` builds."""
    found: list[str] = []
    for folder, depth in makefile_rules.PREPARED_FOLDERS:
        # What is in rust/ without CONFIG_RUST is left over: no make comes there.
        if folder != "rust" or reader.is_set("RUST", unknown=True):
            found += reader.scan(reader.expand(folder), depth)
    found += [reader.expand(name) for name in makefile_rules.PREPARED_RECORDS]
    records: list[tuple[str, Record]] = []
    for path in sorted(found):
        if makefile_rules.NOT_PREPARED.fullmatch(path_of_target(path)[len(reader.tree.objtree) + 1 :]):
            continue
        record = reader.read(path)
        if record is not None:
            records.append((path, record))
    find_aliases(reader, records)
    add_kernel_records(reader, records)
    add_missing_records(reader, found, makefile_rules.RECORDED, makefile_rules.NOT_PREPARED)
    add_expected(reader)
    add_unrecorded(reader)
    drop_uncompared_tools(reader)
    drop_phony(reader)
    add_edges(reader)  # after the others, some of which they name
    add_kernel_crates(reader)


def add_kernel_records(reader: RecordReader, records: list[tuple[str, Record]]) -> None:
    """Turn the kernel's records into rules, those that lie under the names of other targets last."""
    misplaced: list[tuple[str, Record, str, str]] = []
    for path, record in records:
        base = kernel_base(reader, path, record)
        target = reader.recorded_target(path, record, base)
        if target == path_of_target(path):
            reader.add_recorded(path, record, Owner.KERNEL, base)
        elif os.path.lexists(path_of_target(path)) and makefile_rules.are_read_together(
            path_of_target(path), target
        ):
            # Otherwise make does not include it, or another make does.
            misplaced.append((path, record, base, target))
    for path, record, base, target in misplaced:
        if target not in reader.rules:
            reader.add_recorded(path, record, Owner.KERNEL, base, target)


def kernel_base(reader: RecordReader, record_path: str, record: Record) -> str:
    """The folder that names in a kernel record are relative to."""
    objtree, srctree = reader.tree.objtree, reader.tree.srctree
    relative = record_path[len(objtree) + 1 :]
    if not relative.startswith("tools/"):
        return objtree
    folders = [source for folder, source in makefile_rules.TOOLS if relative.startswith(folder + "/")]
    if record.source and record.source[:1] != "/":
        # Which sub-make it was follows from where the source is.
        for folder in (*folders, *makefile_rules.SHARED_TOOL_SOURCES):
            if os.path.exists(f"{srctree}/{folder}/{record.source}"):
                return f"{srctree}/{folder}"
    return f"{srctree}/{folders[0]}" if folders else objtree


def find_aliases(reader: RecordReader, records: list[tuple[str, Record]]) -> None:
    """Notice an object tree that was built under another spelling (a symbolic link)."""
    for _, record in records:
        at = record.command.find("OBJTREE=")
        if at >= 0:
            spelled = record.command[at + 8 :].partition(" ")[0]
            if spelled != reader.tree.objtree and os.path.realpath(spelled) == reader.tree.objtree:
                reader.add_alias(spelled + "/", reader.tree.objtree + "/")
            return


def add_missing_records(
    reader: RecordReader, found: list[str], recorded: re.Pattern[str], never: re.Pattern[str] | None
) -> None:
    """Add a rule for every target whose record is gone.

    Two ways to know of one: another rule reads it (and it is of a kind that is always recorded), or it lies where
    such files lie. ``recorded`` are the names, relative to the object tree, that always have a record; ``never``
    those among them that another build makes. ``found`` are the paths of all records.
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
    library = f"{inside}rust/lib"
    metadata = [path for path in read if path.endswith(".rmeta") and path.startswith(library)]
    candidates.update(
        {f"{inside}rust/{path[len(library) : -6]}.o" for path in metadata} - reader.rules.keys()
    )
    # A record that may not be read is another matter, and told already; so is a folder that may not be listed.
    untold = [p.path for p in reader.problems if not p.remove]
    candidates.difference_update(map(path_of_target, untold))
    unlisted = tuple(f"{path}/" for path in untold)
    for path in sorted(path for path in candidates if not path.startswith(unlisted)):
        name = path[len(inside) :]
        if not recorded.fullmatch(name) or (never is not None and never.fullmatch(name)):
            continue
        rule = reader.add_unrecorded_rule(path, Action.IF_CHANGED, ())
        crate = re.fullmatch(r"rust/([^/]+)\.o", name)
        if crate:
            reader.rules[path] = rule._replace(outputs=(path, f"{objtree}/rust/lib{crate[1]}.rmeta"))


def add_edges(reader: RecordReader) -> None:
    """Add what the edge table has, once every record is read."""
    for edge in makefile_rules.MAKEFILE_PREREQUISITES:
        rule = reader.rules.get(f"{reader.tree.objtree}/{edge.target}")
        if rule is None or edge.when not in rule.command:
            continue
        extra = [reader.expand(p) for p in edge.prerequisites]
        if edge.existing:
            extra = [p for p in extra if p in reader.rules or os.path.exists(p)]
        reader.rules[rule.target] = rule._replace(prerequisites=(*rule.prerequisites, *extra))
    for name, side in makefile_rules.SIDE_OUTPUTS.items():
        rule = reader.rules.get(f"{reader.tree.objtree}/{name}")
        if rule is not None:
            output = f"{reader.tree.objtree}/{side}"
            reader.rules[rule.target] = rule._replace(
                outputs=(*rule.outputs, output),
                prerequisites=tuple(path for path in rule.prerequisites if path != output),
                replaced_if_changed=frozenset((output,)),  # its time says nothing: it is written last
            )
    for name, symbols in makefile_rules.MAKEFILE_CONFIG.items():
        rule = reader.rules.get(f"{reader.tree.objtree}/{name}")
        if rule is not None:
            reader.rules[rule.target] = rule._replace(config=(*rule.config, *symbols))


def add_unrecorded(reader: RecordReader) -> None:
    """Add the steps of the kernel that leave no record."""
    read: set[str] = set().union(*(rule.prerequisites for rule in reader.rules.values()))
    for row in makefile_rules.UNRECORDED_RULES:
        target = reader.expand(row.target)
        paths = [reader.expand(p) for p in row.prerequisites]
        if target not in read and not os.path.exists(target) and not any(p in reader.rules for p in paths):
            continue  # this version or configuration does not build it
        other = reader.expand(row.unless)
        if row.unless and (other in reader.rules or os.path.exists(other)):
            continue
        # What neither is there nor was ever recorded belongs to another version.
        prerequisites = tuple(p for p in paths if p in reader.rules or os.path.exists(p))
        reader.add_unrecorded_rule(target, Action.FILECHK if row.filechk else Action.PLAIN, prerequisites)
    add_wrappers(reader, read)


def add_wrappers(reader: RecordReader, read: Iterable[str]) -> None:
    """Add the headers that only include one of ``asm-generic``, and that make writes again when that is newer.

    ``scripts/Makefile.asm-generic`` of older kernels names no prerequisite: there make only writes what is missing.
    Source: linux ``scripts/Makefile.asm-headers``, ``cmd_wrap`` (6.1, 6.12, 7.2).
    """
    tree = reader.tree
    if tree.prebuilt:
        return
    is_compared = not os.path.exists(f"{tree.srctree}/scripts/Makefile.asm-generic")
    inside = f"{tree.objtree}/arch/{tree.srcarch}/include/generated/"
    for path in read:
        if path.startswith(inside) and path not in reader.rules:
            kind, _, name = path[len(inside) :].rpartition("asm/")
            source = f"{tree.srctree}/include/{kind}asm-generic/{name}"
            if kind in ("", "uapi/") and os.path.exists(source):
                reader.add_unrecorded_rule(path, Action.PLAIN, (source,) if is_compared else ())


def drop_phony(reader: RecordReader) -> None:
    """Drop the rules of goals that make no file of their name; each run of such a goal leaves a record.

    The command of a file names it; that of ``rustdoc-core`` and ``rusttest-macros`` writes other things.
    Source: linux ``rust/Makefile``.
    """
    for target, rule in list(reader.rules.items()):
        is_named = rule.state is not RecordState.COMMAND_ONLY or os.path.basename(target) in rule.command
        if not is_named and not os.path.lexists(target):
            del reader.rules[target]


def drop_uncompared_tools(reader: RecordReader) -> None:
    """Take the tools that a command runs and a Makefile does not name out of what make compares."""
    for name, tool in makefile_rules.NAMED_NOT_COMPARED:
        rule = reader.rules.get(f"{reader.tree.objtree}/{name}")
        path = reader.expand(tool)
        if rule is not None and path in rule.prerequisites:
            reader.rules[rule.target] = rule._replace(
                prerequisites=tuple(p for p in rule.prerequisites if p != path),
                uncompared_inputs=(*rule.uncompared_inputs, path),
            )
