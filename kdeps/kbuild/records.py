# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From a record on disk to a rule: folders, files, names; the same for the kernel and for a module."""

from __future__ import annotations

import errno
import os
import stat

from kdeps import TYPE_CHECKING
from kdeps.formats.cmdfile import Entries, Record, RecordState, parse_record
from kdeps.formats.command import (
    CommandFiles,
    find_depfile,
    find_emitted,
    find_option_files,
    names_more,
    parse_command,
    parse_members,
)
from kdeps.formats.kconfig import parse_value
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.configuration import list_tools_behind
from kdeps.kbuild.rule import Action, Owner, Problem, Rule
from kdeps.system.errors import Unreadable
from kdeps.system.files import is_folder, open_to_read, read_text

if TYPE_CHECKING:
    from kdeps.kbuild.tree import Tree

MAX_RECORD_BYTES = 8 << 20
"""The largest record seen is 0.3 MB; beyond this a ``.cmd`` file is not one."""
MAX_NAMES = 1_000_000
"""How many different files and symbols the records of one tree may name; an allyesconfig kernel has some 100,000."""


class RecordReader:
    """Reads records and makes their names canonical. One per call of ``read_rules``."""

    def __init__(self, tree: Tree, *, whole: bool = False) -> None:
        self.tree = tree
        self.whole = whole
        self.reads_any: set[str] = set()
        self.folders: dict[str, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.leftovers: set[str] = set()
        self.present: set[str] = set()
        self.rules: dict[str, Rule] = {}
        self.written: dict[str, list[str]] = {}
        self.others: list[tuple[str, str]] = []
        self.aliases: list[tuple[str, str]] = []
        self.strays: dict[str, str] = {}
        self._names: dict[str, _Names] = {}
        self._symbols: dict[str, bool] = {}
        self._misplaced: dict[str, dict[str, str]] = {}
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

    def relative(self, path: str, scope: Owner) -> str:
        """Write a target as Kbuild does."""
        base = self.tree.module_output if scope is Owner.MODULE else None
        return path.removeprefix(f"{base or self.tree.objtree}/")

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
                    elif not depth or not is_folder(entry):
                        if (
                            name.endswith(makefile_rules.RECORDED_SUFFIXES)
                            or name in makefile_rules.RECORDED_NAMES
                        ):
                            self.present.add(entry.path)
                    elif entry.path[len(self.tree.objtree) + 1 :] not in makefile_rules.SKIPPED_FOLDERS:
                        records += self.scan(entry.path, depth - 1)
        except (FileNotFoundError, NotADirectoryError):
            return records
        except OSError as error:
            self.problems.append(Problem(folder, f"{error.strerror}: its records cannot be read"))
        return records

    def read(self, path: str) -> Record | None:
        """Read one record. Returns None if it cannot be read, with a problem, or if it just vanished."""
        problem, data = "", b""
        try:
            with open_to_read(path) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    problem = "not a file"
                elif status.st_size > MAX_RECORD_BYTES:
                    problem = f"{status.st_size >> 20} MB is too large for a record"
                else:
                    data = file.read(MAX_RECORD_BYTES)
        except FileNotFoundError:
            if not os.path.islink(path):
                return None
            problem = "a link to nowhere"  # through which Kbuild cannot write a new record either
        except OSError as error:
            # What may not be read may still be right; a fifo or a folder in its place never is.
            remove = error.errno not in (errno.EACCES, errno.EPERM, errno.EIO)
            self.problems.append(Problem(path, f"{error.strerror}: cannot read this record", remove))
            return None
        record = None if problem else parse_record(data, self._entries)
        self._bound_names(path)
        if record is not None and record.state is RecordState.BROKEN:
            problem = f"not a record that make can read ({record.record_problem})"
        if problem:
            message = f"{problem}; delete it and rebuild its target"
            self.problems.append(Problem(path, message, remove=True))
        return record

    def _bound_names(self, path: str) -> None:
        """Stop before the records of a tree fill the memory.

        Raises Unreadable: they name more files than any kernel has.
        """
        names = sum(map(len, self._names.values()))
        if max(len(self._entries), names) > MAX_NAMES:
            raise Unreadable(
                f"{path}: with this record the tree's records name more than {MAX_NAMES} files, which no build does; "
                "delete the .cmd files that Kbuild did not write"
            )

    # -- rules ---------------------------------------------------------------

    def recorded_target(self, record_path: str, record: Record, base: str) -> str:
        """The target whose command a record holds, which need not be the one it is named for.

        make includes ``.T.cmd`` of every T that exists, and then asks for the command of T by
        name. A record of another target leaves T without a command: Kbuild runs its rule again.
        """
        named = path_of_target(record_path)
        if record.state not in _NAMES_TARGET or not record.target:
            return named
        if self.relative(named, Owner.KERNEL).startswith("tools/") and record.target[0] != "/":
            return named  # the first program of tools/ is built before there is a fixdep, by another macro
        target = self.path(record.target, base)
        if target == named or os.path.realpath(target) == os.path.realpath(named):
            return named
        self.strays[named] = f"its .cmd file records {record.target}"
        return target

    def add_recorded(
        self, record_path: str, record: Record, scope: Owner, base: str, target: str = ""
    ) -> Rule:
        """Turn one record into a rule; names in it are relative to ``base``. ``target`` replaces that of its name."""
        target = target or path_of_target(record_path)
        folder, _, file = target.rpartition("/")
        name = self.relative(target, scope)
        prerequisites = self.paths(record.prerequisites, base)
        optional = self.paths(record.optional, base)
        uncompared: list[str] = []
        # fixdep takes the first file of the list for the source; a step that compiles none loses one.
        source = None
        if record.source and name not in makefile_rules.WITHOUT_SOURCE:
            source = self.path(record.source, base)
            is_named = (
                makefile_rules.names_source_whole(name, record.command)
                if self.whole
                else _names_source(name, scope)
            )
            (prerequisites if is_named else optional).append(source)
        state, where, depfile = record.state, record.record_problem, find_depfile(record.command)
        files = CommandFiles((), (), (), (), ())
        # The list names all that a compiler reads, except what its options name.
        if state is RecordState.COMMAND_ONLY or (scope is Owner.MODULE and names_more(record.command)):
            files = parse_command(record.command, record.target)
        if state is RecordState.COMMAND_ONLY:
            if depfile is not None:
                # Its compiler lists what it read, so fixdep wrote a list once.
                state, where = RecordState.CUT_LIST, "line 2: the list of prerequisites is cut off"
            named: list[str] = []
            self.written[target] = self.paths(files.outputs, base)
            self.add_named_inputs(files, target, name, scope, base, named, uncompared)
            prerequisites += [p for p in named if p not in optional]
            if name.endswith(".ko") and f"{target[:-3]}.o" in prerequisites:
                # Makefile.modfinal finds the rule by its pattern, %.ko: %.o. Without the .o none
                # matches; in a real build an earlier make has made it by then.
                source = f"{target[:-3]}.o"
                prerequisites.remove(source)
                optional.append(source)
            if scope is Owner.MODULE and name.endswith(".ko") and self.is_set("DEBUG_INFO_BTF_MODULES"):
                # The type information counts on from vmlinux's; a kernel refuses it with another one's.
                names = ("vmlinux", makefile_rules.RESOLVE_BTFIDS)
                uncompared += filter(os.path.exists, [f"{self.tree.objtree}/{name}" for name in names])
            if scope is Owner.MODULE and name == "Module.symvers":
                optional.append(f"{self.tree.objtree}/Module.symvers")
        outputs = [target]
        if state in (RecordState.EMPTY, RecordState.CUT_COMMAND, RecordState.BROKEN):
            # Its command names nothing one could rely on, but a crate's object has
            # its metadata beside it, and that is what modules read.
            if scope is Owner.KERNEL and folder == f"{self.tree.objtree}/rust" and target.endswith(".o"):
                outputs.append(f"{folder}/lib{file[:-2]}.rmeta")
        else:
            outputs += self.paths(find_emitted(record.command), base)
        if depfile is not None:
            depfile = f"{folder}/.{file}.d"
        needed: list[str] = []
        if scope is Owner.MODULE and state is RecordState.COMPLETE:
            listed = {*outputs, *prerequisites, *optional}
            # Kbuild knows what the compiler has listed. Of the other steps it knows nothing: the bitcode
            # of the helpers that llvm-link adds, the tools that are run on the object.
            uncompared += [path for path in self.paths(files.unlisted, base) if path not in listed]
            tools = list_tools_behind(record.source, self.is_set, versioned=record.versioned)
            uncompared += [f"{self.tree.objtree}/{tool}" for tool in tools]
            listed.update(uncompared)
            needed = [path for path in self.paths(files.inputs, base) if path not in listed]
            uncompared += set(self.paths(find_option_files(record.command), base)) - listed
        rule = self.rules[target] = Rule(
            target=target,
            name=name,
            owner=scope,
            action=Action.IF_CHANGED,
            outputs=tuple(dict.fromkeys(outputs)),
            prerequisites=tuple(prerequisites),
            source=source,
            optional_prerequisites=tuple(optional),
            config=record.config,
            config_dir=self.tree.objtree if scope is Owner.KERNEL else self.tree.module_records_base,
            uncompared_inputs=tuple(uncompared),
            record=record_path,
            state=state,
            record_problem=where,
            command=record.command,
            depfile=depfile,
            needed=tuple(needed),
        )
        return rule

    def is_set(self, symbol: str, *, unknown: bool = False) -> bool:
        """Whether a configuration symbol is ``y``; ``unknown`` where nothing is configured."""
        if symbol not in self._symbols:
            auto_conf = read_text(f"{self.tree.objtree}/include/config/auto.conf")
            self._symbols[symbol] = parse_value(auto_conf, symbol) == "y" if auto_conf else unknown
        return self._symbols[symbol]

    def add_named_inputs(
        self, files: CommandFiles, target: str, name: str, scope: Owner, base: str,
        prerequisites: list[str], uncompared: list[str],
    ) -> None:  # fmt: skip
        """Add the inputs that only the command names."""
        for item in files.inputs:
            path = self.path(item, base)
            if path == target:
                continue
            if name.endswith("Module.symvers") and item.endswith(".symvers"):
                # KBUILD_EXTRA_SYMBOLS is passed the same way and is no prerequisite;
                # the kernel's own is one while it exists (see add_recorded).
                if path != f"{self.tree.objtree}/Module.symvers":
                    uncompared.append(path)
            else:
                prerequisites.append(path)
        for response in files.responses:
            listing = self.path(response, base)
            known = self.rules.get(listing)
            if known is None and scope is Owner.MODULE:
                known = self.read_module_record(listing)
            if known is not None:
                prerequisites += self.members(known)

    def members(self, listing: Rule) -> list[str]:
        """The objects that a ``.mod`` lists: by its command, or where that is cut off, by itself."""
        base = self.tree.module_records_base
        if listing.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY):
            return self.paths(parse_members(listing.command), base)
        names = read_text(listing.target, 1 << 20).split()
        return self.paths([name for name in names if name.endswith(".o")], base)

    def add_unrecorded_rule(
        self, target: str, action: Action, prerequisites: tuple[str, ...], scope: Owner = Owner.KERNEL
    ) -> Rule:
        """Add a rule that has no record."""
        rule = self.rules[target] = Rule(
            target=target,
            name=self.relative(target, scope),
            owner=scope,
            action=action,
            outputs=(target,),
            prerequisites=prerequisites,
            config_dir=self.tree.objtree if scope is Owner.KERNEL else self.tree.module_records_base,
            replaced_if_changed=frozenset((target,)) if action is Action.FILECHK else frozenset(),
            record_problem=self.strays.get(target, ""),
        )
        return rule

    def read_module_record(self, target: str) -> Rule | None:
        """Read the record of one target of the module, if there is one.

        Its objects may be outside its folder: ``foo-y := main.o ../common/util.o``.
        """
        known = self.rules.get(target)
        if known is not None:
            return known
        inside = f"{self.tree.module_output or ''}/"
        if inside == "/" or not (target.startswith(inside) or target.endswith(_LISTED)):
            return None
        folder, _, name = target.rpartition("/")
        path = f"{folder}/.{name}.cmd"
        record = self.read(path)
        if record is None:
            return None
        base = self.tree.module_records_base
        if self.recorded_target(path, record, base) != target:
            # Up to 7.2 that is how a build by M= on a folder above leaves its records.
            misplaced = self._find_misplaced(folder, target, base)
            if misplaced is None:
                return None
            path, record = misplaced
        return self.add_recorded(path, record, Owner.MODULE, base, target)

    def _find_misplaced(self, folder: str, target: str, base: str) -> tuple[str, Record] | None:
        """Find the record of a target among those named for its neighbours that the same make includes."""
        places = self._misplaced.get(folder)
        if places is None:
            places = self._misplaced[folder] = {}
            for path in sorted(self.scan(folder, 0)):
                record = self.read(path) if os.path.lexists(path_of_target(path)) else None
                if record is not None:
                    recorded = self.recorded_target(path, record, base)
                    if makefile_rules.are_read_together(path_of_target(path), recorded):
                        places.setdefault(recorded, path)
        path = places.get(target, "")
        record = self.read(path) if path else None
        return None if record is None else (path, record)


_NAMES_TARGET = (RecordState.COMPLETE, RecordState.COMMAND_ONLY, RecordState.CUT_LIST)
"""States in which the line of the command is whole."""


_LISTED = (".o", ".mod", ".ko", "/modules.order")  # wherever it lies


class _Names(dict[str, str]):
    """Recorded name → canonical path, for names that are relative to one folder."""

    def __init__(self, reader: RecordReader, base: str) -> None:
        self._reader = reader
        self._base = base

    def __missing__(self, name: str) -> str:
        path = self[name] = self._reader.path(name, self._base)
        return path


def _names_source(name: str, scope: Owner) -> bool:
    """Whether a Makefile names the source of a target, so that make stops where it is missing."""
    if scope is Owner.MODULE:
        return name == ".module-common.o"
    return name.startswith(makefile_rules.EXPLICIT_SOURCES) and not name.endswith(
        makefile_rules.MADE_BY_PATTERN
    )


def path_of_target(record_path: str) -> str:
    """Turn a record's path (``…/.T.cmd``) into its target's (``…/T``)."""
    folder, _, name = record_path.rpartition("/")
    return f"{folder}/{name[1:-4]}"
