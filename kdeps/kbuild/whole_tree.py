# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The rules of plain ``make``: every record of an object tree that such a make still visits.

A module's records are found by following its modules.order. Those of a whole kernel are found
by listing every folder, because no record lists what a folder *always* builds (tools, generated
sources, images). An object that no built-in.a, lib.a or modules.order leads to any more was left
behind by another configuration, and make does not visit it.
"""

from __future__ import annotations

import os
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.crates import add_kernel_crates
from kdeps.kbuild.expected import add_expected
from kdeps.kbuild.generated import add_generated_sources
from kdeps.kbuild.prepared import (
    add_edges,
    add_missing_records,
    add_unrecorded,
    drop_phony,
    drop_uncompared_tools,
    kernel_base,
)
from kdeps.kbuild.records import path_of_target
from kdeps.kbuild.rule import Action, Owner, Problem, Rule

if TYPE_CHECKING:
    from kdeps.formats.cmdfile import Record
    from kdeps.kbuild.records import RecordReader

_LISTED = re.compile(r"\.(?:o|a|mod|ko)$|(?:^|/)modules\.order$")
"""What plain ``make`` makes only because a list names it."""
_TOOLS = tuple(folder for folder, _ in makefile_rules.PREPARED_FOLDERS if folder.startswith("tools/"))
_WHOLE = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
_STRAY = "its .cmd file was written by another build (make M=, or in another folder)"


class Listing(NamedTuple):
    """What of one folder matters: names, in no order."""

    records: list[str]
    leftovers: list[str]
    present: list[str]
    """Files of the kinds that have records."""
    below: list[str]
    """Folders."""
    others: list[str]
    """Everything else: what has no record may be a stray, or what a record without its file lacks."""

    @property
    def digest(self) -> int:
        """The same for the same names, whatever came and went."""
        files = (*self.records, *self.leftovers, *self.present, *self.others)
        names = sorted((*files, *(f"{name}/" for name in self.below)))
        return zlib.crc32("\0".join(names).encode(errors="surrogateescape"))


def find_records(reader: RecordReader) -> list[str]:
    """List every record below the object tree; notes every folder, with its mtime from before it was read.

    Under ``tools/`` only what the kernel itself uses; a folder with a configuration of its
    own is another object tree.
    """
    objtree = reader.tree.objtree
    inside = reader.tree.srctree == objtree

    def is_source(name: str, listing: Listing) -> bool:
        """Whether a linker script is a source: a generated one has its ``.S`` beside it."""
        return inside and name.endswith(".lds") and f"{name}.S" not in listing.others

    found: list[str] = []
    waiting = [objtree]
    while waiting:
        folder = waiting.pop()
        try:
            modified_ns = os.stat(folder).st_mtime_ns
            listing = list_folder(folder, own=folder == objtree)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reader.problems.append(Problem(folder, f"{error.strerror}: its records cannot be read"))
            continue
        if listing is None:
            continue
        reader.folders[folder] = (modified_ns, listing.digest)
        found += [f"{folder}/{name}" for name in listing.records]
        reader.present.update(f"{folder}/{name}" for name in listing.present if not is_source(name, listing))
        reader.leftovers.update(f"{folder}/{name}" for name in listing.leftovers)
        paths = [f"{folder}/{name}" for name in listing.below]
        waiting += [path for path in paths if _belongs(path[len(objtree) + 1 :])]
    return found


def list_folder(folder: str, *, own: bool = False) -> Listing | None:
    """List one folder. Returns None if it has a configuration of its own and is not the tree in question (``own``).

    Raises OSError: it cannot be read.
    """
    listing = Listing([], [], [], [], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name[0] == ".":
                if name.endswith(".cmd"):
                    listing.records.append(name)
                elif name.endswith(".d"):
                    listing.leftovers.append(name)
                elif name == ".config" and not own:
                    return None
                else:
                    listing.others.append(name)
            elif name.endswith(makefile_rules.WHOLE_SUFFIXES):
                listing.present.append(name)
            elif entry.is_dir(follow_symlinks=False):
                listing.below.append(name)
            else:
                listing.others.append(name)
    return listing


def _belongs(name: str) -> bool:
    """Whether plain ``make`` keeps records in a folder (relative to the object tree), or below it."""
    if name in makefile_rules.SKIPPED_FOLDERS or name in ("Documentation", "include/config"):
        return False
    if not name.startswith("tools"):
        return True
    return name == "tools" or any(
        f"{name}/".startswith(f"{tool}/") or f"{tool}/".startswith(f"{name}/") for tool in _TOOLS
    )


def add_whole_record(reader: RecordReader, path: str, record: Record) -> None:
    """Turn one record into a rule of plain ``make``."""
    base = kernel_base(reader, path, record)
    rule = reader.add_recorded(path, record, Owner.KERNEL, base)
    if (
        record.target
        and rule.state in _WHOLE
        and not rule.name.startswith("tools/")
        and reader.path(record.target, base) != rule.target
    ):
        # To make the variable of this target is unset, and so the command has changed. Its
        # other outputs are named from another folder, or are those of the step it was copied from.
        bare = reader.add_unrecorded_rule(rule.target, Action.IF_CHANGED, ())
        reader.rules[rule.target] = bare._replace(record_problem=_STRAY)


def add_tree_wide_rules(reader: RecordReader, found: list[str]) -> None:
    """Add what no single record contains, once all of them are read."""
    _believe_swapped(reader)
    _add_modpost_outputs(reader)
    _find_unnamed(reader)
    add_missing_records(reader, found, re.compile(makefile_rules.WHOLE_RECORDED), None)
    add_expected(reader)
    add_unrecorded(reader)
    add_generated_sources(reader)
    add_edges(reader)
    add_kernel_crates(reader)
    _add_side_outputs(reader)
    drop_uncompared_tools(reader)
    drop_phony(reader)
    _drop_unvisited(reader)


def _believe_swapped(reader: RecordReader) -> None:
    """Give a target without a record of its own the one that is named for a neighbour.

    make includes the records of all targets of a folder, and then asks for a command by the target's name.
    """
    strays = [target for target, rule in reader.rules.items() if rule.record_problem == _STRAY]
    for named in strays:
        folder, _, name = named.rpartition("/")
        path = f"{folder}/.{name}.cmd"
        record = reader.read(path) if os.path.lexists(named) else None
        if record is None or not record.target:
            continue
        base = kernel_base(reader, path, record)
        target = reader.path(record.target, base)
        known = reader.rules.get(target)
        is_stray = known is not None and known.record_problem == _STRAY
        if is_stray and os.path.dirname(target) == folder and makefile_rules.are_read_together(named, target):
            reader.add_recorded(path, record, Owner.KERNEL, base, target)


def _find_unnamed(reader: RecordReader) -> None:
    """Look for the files that have a record, and no suffix tells."""
    paths = [
        *map(reader.expand, makefile_rules.WHOLE_NAMES),
        *(path_of_target(reader.expand(name)) for name in makefile_rules.PREPARED_RECORDS),
    ]
    reader.present.update(path for path in paths if os.path.isfile(path))
    told = list(reader.problems)
    for folder, depth in makefile_rules.PREPARED_FOLDERS:
        reader.scan(reader.expand(folder), depth)
    reader.problems = told  # of folders that cannot be read, when the records were looked for


def _add_modpost_outputs(reader: RecordReader) -> None:
    """Modpost writes the ``.mod.c`` of every module and the export table of vmlinux, each only if it changes."""
    symvers = reader.rules.get(f"{reader.tree.objtree}/Module.symvers")
    if symvers is None:
        return
    inside = reader.tree.objtree + "/"
    generated = tuple(
        rule.source
        for rule in reader.rules.values()
        if rule.source is not None
        and rule.source.startswith(inside)
        and rule.source.endswith((".mod.c", "/.vmlinux.export.c"))
    )
    reader.rules[symvers.target] = symvers._replace(
        outputs=(*symvers.outputs, *generated), replaced_if_changed=frozenset(generated)
    )


def _add_side_outputs(reader: RecordReader) -> None:
    """Add the outputs that a command names besides its target, where another step reads them."""
    read: set[str] = set().union(*(rule.prerequisites for rule in reader.rules.values()))
    for target, paths in reader.written.items():
        written = tuple(path for path in paths if path in read and path not in reader.rules)
        rule = reader.rules.get(target)
        if rule is not None and written:
            reader.rules[target] = rule._replace(
                outputs=(*rule.outputs, *written), replaced_if_changed=rule.replaced_if_changed.union(written)
            )


def _drop_unvisited(reader: RecordReader) -> None:
    """Drop the rules that plain ``make`` does not come to any more.

    Where one of the lists that it comes to is damaged nothing is dropped: what it listed is not known.
    """
    objtree = reader.tree.objtree
    rules = reader.rules
    lists = [rule for rule in rules.values() if rule.name.endswith((".a", "modules.order"))]
    damaged = {r.target for r in lists if r.state not in _WHOLE and r.action is Action.IF_CHANGED}
    listing = {os.path.dirname(rule.target): rule for rule in lists if "/" in rule.name}
    top = [
        rule.target
        for rule in rules.values()
        if "/" not in rule.name or not _LISTED.search(rule.name) or rule.action is not Action.IF_CHANGED
    ]
    feeds = _find_feeds(rules)
    reached = _reach(rules, feeds, [target for target in top if "/" not in target[len(objtree) + 1 :]])
    reached_folders = {os.path.dirname(target) for target in reached if _is_list(target)}

    def is_live(target: str) -> bool:
        folder = os.path.dirname(target)
        while folder != objtree and folder not in listing:
            folder = os.path.dirname(folder)
        return folder == objtree or folder in reached_folders

    # Below arch/ lie folders that the image leads to, and only after it what they always build.
    roots = [target for target in top if is_live(target)]
    reached = _reach(rules, feeds, roots)
    if not damaged.isdisjoint(reached):
        return
    dropped = {rule.record for target, rule in rules.items() if target not in reached}
    reader.problems = [problem for problem in reader.problems if problem.path not in dropped]
    for target in list(rules):
        if target not in reached:
            del rules[target]


def _is_list(target: str) -> bool:
    return target.endswith((".a", "/modules.order"))


def _find_feeds(rules: dict[str, Rule]) -> dict[str, list[str]]:
    """For each target, the targets that it is made from."""
    made = {output: rule.target for rule in rules.values() for output in rule.outputs}
    known = made.keys()
    return {
        target: [made[path] for path in known & {*rule.prerequisites, *rule.optional_prerequisites}]
        for target, rule in rules.items()
    }


def _reach(rules: dict[str, Rule], feeds: dict[str, list[str]], wanted: list[str]) -> set[str]:
    reached: set[str] = set()
    while wanted:
        target = wanted.pop()
        if target in reached or target not in rules:
            continue
        reached.add(target)
        wanted += feeds[target]
        if target.endswith("/modules.order"):
            for path in rules[target].prerequisites:
                if path.endswith(".o"):
                    wanted += [f"{path[:-2]}{end}" for end in (".mod", ".mod.o", ".ko")]
    return reached
