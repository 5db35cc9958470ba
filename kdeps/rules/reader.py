# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From a record on disk to a rule: folders, files, names; the same for the kernel and for a module."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from kdeps import edges
from kdeps.formats.cmdfile import Entries, Record, RecordState, parse_record
from kdeps.formats.command import find_depfile, find_emitted, parse_command, parse_members
from kdeps.rules.model import Action, Problem, Rule, Scope
from kdeps.tree import open_nonblocking

if TYPE_CHECKING:
    from kdeps.tree import Tree

MAX_RECORD_BYTES = 32 << 20
"""The largest record seen is 0.3 MB; beyond this a ``.cmd`` file is not one."""


class Reader:
    """Reads records and makes their names canonical. One per call of ``read_rules``."""

    def __init__(self, tree: Tree, *, whole: bool = False) -> None:
        self.tree = tree
        self.whole = whole
        self.any_crate = False
        self.folders: dict[str, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.leftovers: set[str] = set()
        self.present: set[str] = set()
        self.rules: dict[str, Rule] = {}
        self.aliases: list[tuple[str, str]] = []
        self._names: dict[str, _Names] = {}
        self._entries = Entries()

    # -- names ---------------------------------------------------------------

    def path(self, name: str, base: str) -> str:
        """Make one recorded name canonical: absolute, and without ``./`` and ``..``."""
        if name[:1] != "/":
            name = f"{base}/{name[2:] if name[:2] == './' else name}"
        if "/." in name or "//" in name:
            name = os.path.normpath(name)
        for spelled, real in self.aliases:
            if name.startswith(spelled):
                return real + name[len(spelled) :]
        return name

    def paths(self, names: tuple[str, ...] | list[str], base: str) -> list[str]:
        """Make recorded names canonical; the same name is one string, however many records have it."""
        known = self._names.get(base)
        if known is None:
            known = self._names[base] = _Names(self, base)
        return list(map(known.__getitem__, names))

    def add_alias(self, spelled: str, real: str) -> None:
        """Take names that begin with ``spelled`` for names that begin with ``real``."""
        self.aliases.append((spelled, real))
        self._names.clear()

    def expand(self, name: str) -> str:
        """Expand a name of the edge table."""
        name = name.replace("$(srcarch)", self.tree.srcarch)
        if name.startswith("$(srctree)/"):
            return f"{self.tree.srctree}/{name[11:]}"
        return f"{self.tree.objtree}/{name}"

    def relative(self, path: str, scope: Scope) -> str:
        """Write a target as Kbuild does."""
        base = (
            self.tree.module_output
            if scope is Scope.MODULE and self.tree.module_output
            else self.tree.objtree
        )
        return path[len(base) + 1 :] if path.startswith(base + "/") else path

    # -- records -------------------------------------------------------------

    def scan(self, folder: str, depth: int) -> list[str]:
        """List the records of a folder and ``depth`` levels below it; notes left-over ``.d`` files."""
        records: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name[0] == ".":
                        if name.endswith(".cmd"):
                            records.append(entry.path)
                        elif name.endswith(".d"):
                            self.leftovers.add(entry.path)
                    elif name.endswith(edges.RECORDED_SUFFIXES) or name in edges.RECORDED_NAMES:
                        self.present.add(entry.path)
                    elif depth and entry.is_dir(follow_symlinks=False):
                        below = entry.path
                        if below[len(self.tree.objtree) + 1 :] not in edges.SKIPPED_FOLDERS:
                            records += self.scan(below, depth - 1)
        except (FileNotFoundError, NotADirectoryError):
            return records
        except OSError as error:
            self.problems.append(Problem(folder, f"{error.strerror}: its records cannot be read"))
        return records

    def read(self, path: str) -> Record | None:
        """Read one record; ``None`` where it cannot be (then there is a problem, or it just vanished)."""
        try:
            with open(path, "rb", opener=open_nonblocking) as file:
                found = os.fstat(file.fileno())
                size = found.st_size
                if not stat.S_ISREG(found.st_mode):
                    self.problems.append(
                        Problem(path, "not a file; delete it and rebuild its target", remove=True)
                    )
                    return None
                if size > MAX_RECORD_BYTES:
                    self.problems.append(
                        Problem(
                            path,
                            f"{size >> 20} MB is too large for a record; delete it and rebuild its target",
                            remove=True,
                        )
                    )
                    return None
                data = file.read(MAX_RECORD_BYTES)
        except FileNotFoundError:
            if os.path.islink(path):
                # Through such a link Kbuild cannot write a new record either.
                self.problems.append(
                    Problem(path, "a link to nowhere; delete it and rebuild its target", remove=True)
                )
            return None
        except OSError as error:
            # What may not be read may still be right; a fifo or a folder in its place never is.
            remove = error.errno not in (errno.EACCES, errno.EPERM, errno.EIO)
            self.problems.append(Problem(path, f"{error.strerror}: cannot read this record", remove))
            return None
        record = parse_record(data, self._entries)
        if record.state is RecordState.BROKEN:
            self.problems.append(
                Problem(
                    path,
                    f"not a record that make can read ({record.where}); delete it and rebuild its target",
                    remove=True,
                )
            )
        return record

    # -- rules ---------------------------------------------------------------

    def add_recorded(self, record_path: str, record: Record, scope: Scope, base: str) -> Rule:
        """Turn one record into a rule."""
        folder, _, file = record_path.rpartition("/")
        target = f"{folder}/{file[1:-4]}"
        name = self.relative(target, scope)
        prerequisites = self.paths(record.prerequisites, base)
        optional = self.paths(record.optional, base)
        unseen: list[str] = []
        # fixdep takes the first file of the list for the source; a step that compiles none loses one.
        source = (
            self.path(record.source, base) if record.source and name not in edges.WITHOUT_SOURCE else None
        )
        if source:
            named_there = (
                _names_source_whole(name, record.command) if self.whole else _names_source(name, scope)
            )
            (prerequisites if named_there else optional).append(source)
        state, where, depfile = record.state, record.where, find_depfile(record.command)
        if state is RecordState.COMMAND_ONLY:
            if depfile is not None:
                # Its compiler lists what it read, so fixdep wrote a list once.
                state, where = RecordState.CUT_LIST, "line 2: the list of prerequisites is cut off"
            named: list[str] = []
            self.add_named_inputs(record, target, name, scope, base, named, unseen)
            prerequisites += [p for p in named if p not in optional]
            if name.endswith(".ko") and f"{target[:-3]}.o" in prerequisites:
                # Makefile.modfinal finds the rule by its pattern, %.ko: %.o. Without the .o none
                # matches; in a real build an earlier make has made it by then.
                source = f"{target[:-3]}.o"
                prerequisites.remove(source)
                optional.append(source)
            if scope is Scope.MODULE and name == "Module.symvers":
                optional.append(f"{self.tree.objtree}/Module.symvers")
        outputs = [target]
        if state in (RecordState.EMPTY, RecordState.CUT_COMMAND, RecordState.BROKEN):
            # Its command names nothing one could rely on, but a crate's object has
            # its metadata beside it, and that is what modules read.
            if scope is Scope.KERNEL and folder == f"{self.tree.objtree}/rust" and target.endswith(".o"):
                outputs.append(f"{folder}/lib{file[1:-6]}.rmeta")
        else:
            outputs += self.paths(find_emitted(record.command), base)
        if depfile is not None:
            depfile = f"{folder}/.{file[1:-4]}.d"
        rule = Rule(
            target=target,
            name=name,
            scope=scope,
            action=Action.IF_CHANGED,
            outputs=tuple(dict.fromkeys(outputs)),
            prerequisites=tuple(prerequisites),
            source=source,
            optional=tuple(optional),
            config=record.config,
            config_dir=self.tree.objtree if scope is Scope.KERNEL else self.tree.config_base,
            unseen=tuple(unseen),
            replaced_if_changed=frozenset(),
            record=record_path,
            state=state,
            where=where,
            command=record.command,
            depfile=depfile,
        )
        self.rules[target] = rule
        return rule

    def add_named_inputs(
        self, record: Record, target: str, name: str, scope: Scope, base: str,
        prerequisites: list[str], unseen: list[str],
    ) -> None:  # fmt: skip
        """Add the inputs that only the command names."""
        if name.endswith(".mod"):
            return  # Makefile.build: $(obj)/%.mod: FORCE. It lists names; it reads nothing.
        files = parse_command(record.command, record.target)
        for item in files.inputs:
            path = self.path(item, base)
            if path == target:
                continue
            if name.endswith("Module.symvers") and item.endswith(".symvers"):
                # KBUILD_EXTRA_SYMBOLS is passed the same way and is no prerequisite;
                # the kernel's own is one while it exists (see add_recorded).
                if path != f"{self.tree.objtree}/Module.symvers":
                    unseen.append(path)
            else:
                prerequisites.append(path)
        for response in files.responses:
            listing = self.path(response, base)
            known = self.rules.get(listing)
            if known is None and scope is Scope.MODULE:
                known = self.read_module_record(listing)
            if known is not None:
                prerequisites += self.members(known)

    def members(self, listing: Rule) -> list[str]:
        """The objects that a ``.mod`` lists: by its command, or where that is cut off, by itself."""
        base = self.tree.module_records_base
        if listing.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY):
            return self.paths(parse_members(listing.command), base)
        try:
            with open(
                listing.target, encoding="utf-8", errors="surrogateescape", opener=open_nonblocking
            ) as file:
                return self.paths([name for name in file.read(1 << 20).split() if name.endswith(".o")], base)
        except OSError:
            return []

    def add_bare(
        self, target: str, action: Action, prerequisites: tuple[str, ...], scope: Scope = Scope.KERNEL
    ) -> Rule:
        """Add a rule that has no record."""
        rule = Rule(
            target=target,
            name=self.relative(target, scope),
            scope=scope,
            action=action,
            outputs=(target,),
            prerequisites=prerequisites,
            source=None,
            optional=(),
            config=(),
            config_dir=self.tree.objtree if scope is Scope.KERNEL else self.tree.config_base,
            unseen=(),
            replaced_if_changed=frozenset((target,)) if action is Action.FILECHK else frozenset(),
            record=None,
            state=None,
            where="",
            command="",
            depfile=None,
        )
        self.rules[target] = rule
        return rule

    def read_module_record(self, target: str) -> Rule | None:
        """Read the record of one target of the module, if there is one."""
        known = self.rules.get(target)
        if known is not None:
            return known
        output = self.tree.module_output
        if output is None or not target.startswith(output + "/"):
            return None
        folder, _, name = target.rpartition("/")
        path = f"{folder}/.{name}.cmd"
        record = self.read(path)
        if record is None or self._is_of_another_build(record, target):
            return None
        return self.add_recorded(path, record, Scope.MODULE, self.tree.module_records_base)

    def _is_of_another_build(self, record: Record, target: str) -> bool:
        """Whether a record was written by ``M=`` on a folder above: to this build it says nothing.

        From 6.13 on names are relative to the folder that M= named. Make looks for
        ``savedcmd_nova_core.o`` and finds ``savedcmd_nova-core/nova_core.o``.
        """
        return (
            self.tree.version >= (6, 13)
            and record.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
            and record.target[:1] != "/"
            and self.path(record.target, self.tree.module_records_base) != target
        )


class _Names(dict[str, str]):
    """Recorded name → canonical path, for names that are relative to one folder."""

    def __init__(self, reader: Reader, base: str) -> None:
        self._reader = reader
        self._base = base

    def __missing__(self, name: str) -> str:
        path = self[name] = self._reader.path(name, self._base)
        return path


def _names_source(name: str, scope: Scope) -> bool:
    """Whether a Makefile names the source of a target, so that make stops where it is missing."""
    if scope is Scope.MODULE:
        return name == ".module-common.o"
    return name.startswith(edges.EXPLICIT_SOURCES) and not name.endswith(edges.MADE_BY_PATTERN)


def _names_source_whole(name: str, command: str) -> bool:
    """The same for plain ``make``: the kernel's own objects are made by pattern rules, host programs are not."""
    if name.startswith(("rust/", ".", "tools/")):
        return not name.startswith("tools/") and not name.endswith(edges.MADE_BY_PATTERN)
    if "--crate-name " in command or "--emit=" in command:
        return name.startswith("scripts/")
    return "-D__KERNEL__" not in command


def path_of_target(record_path: str) -> str:
    """Turn a record's path (``…/.T.cmd``) into its target's (``…/T``)."""
    folder, _, name = record_path.rpartition("/")
    return f"{folder}/{name[1:-4]}"
