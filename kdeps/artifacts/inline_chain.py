# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From a place in machine code to the source lines behind it, through every inlined call.

The debug information of an object file is not linked: an address in it is an offset in some section.
So every section first gets an address of its own, and offsets of different sections stay apart.

Source: DWARF 4 and 5, sections "Concrete Inlined Instances" and "Line Number Information".
"""

from __future__ import annotations

import io
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from kdeps.artifacts.object_file import DAMAGE, ObjectError
from kdeps.formats.elf import SYMTAB, parse_elf_file, read_symbols

_SHIFT = 36
_SHF_ALLOC = 2
_SYMBOL_BYTES, _VALUE_AT = 24, 8
"""Of a symbol of a 64-bit object, and where its ``st_value`` is."""
_SCOPES = ("DW_TAG_inlined_subroutine", "DW_TAG_lexical_block")


class Frame(NamedTuple):
    """One source line of an inline chain."""

    function: str
    """Mangled if the debug information has that name."""
    file: str
    """As the compiler wrote it; relative names start at the folder of the command or of the source tree."""
    line: int
    column: int


@contextmanager
def _damage_noted(path: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise ObjectError(f"{path}: its debug information is cut off or damaged") from error


class InlineChains:
    """The debug information of one object file."""

    def __init__(self, data: bytes, path: str) -> None:
        """Read the headers. Raises ObjectError: there is no debug information, or it is damaged."""
        self._path = path
        with _damage_noted(path):
            given = _with_addresses(data)
            elf = ELFFile(io.BytesIO(given))
            if elf.get_section_by_name(".debug_info") is None:
                raise ObjectError(f"{path}: has no debug information")
            self._dwarf = elf.get_dwarf_info()
            symbols = read_symbols(parsed) if (parsed := parse_elf_file(io.BytesIO(given))) else ()
            self._starts = {(s.name, s.section): s.value for s in symbols if s.is_function and s.section}
            self._units = list(self._dwarf.iter_CUs())
        self._lines: dict[int, list[tuple[int, int, str, int, int]]] = {}

    def find_chain(self, function: str, section: int, offset: int) -> tuple[Frame, ...]:
        """Find the frames of one instruction, innermost first; the offset is from the start of the function.

        Returns an empty chain if the debug information does not cover the instruction, and raises ObjectError if it
        is damaged.
        """
        start = self._starts.get((function, section))
        if start is None:
            return ()
        with _damage_noted(self._path):
            for unit in self._units:
                scopes = self._find_scopes(unit, start + offset)
                if scopes:
                    return self._frames(unit, scopes, start + offset)
            # With line tables only, LLVM leaves out a function into which nothing was inlined.
            found = (Frame(function, *self._line_at(unit, start + offset)) for unit in self._units)
            return next(((frame,) for frame in found if frame.file), ())

    def find_declaration(self, function: str, section: int) -> Frame | None:
        """Find the line where a function of the machine code begins; None if the debug information has none.

        Raises ObjectError: the debug information is damaged.
        """
        start = self._starts.get((function, section))
        if start is None:
            return None
        with _damage_noted(self._path):
            found = (Frame(function, *self._line_at(unit, start)) for unit in self._units)
            return next((frame for frame in found if frame.line), None)

    def _find_scopes(self, unit: Any, address: int) -> list[Any]:
        """Find the subprogram that has an address and every inlined subroutine around it, outermost first."""
        waiting = [unit.get_top_DIE()]
        while waiting:
            for die in waiting.pop().iter_children():
                if die.tag == "DW_TAG_subprogram" and self._covers(unit, die, address):
                    return [die, *self._find_inlined(unit, die, address)]
                if die.tag in ("DW_TAG_namespace", "DW_TAG_structure_type"):
                    waiting.append(die)
        return []

    def _find_inlined(self, unit: Any, die: Any, address: int) -> Iterator[Any]:
        for child in die.iter_children():
            if child.tag in _SCOPES and self._covers(unit, child, address):
                if child.tag == "DW_TAG_inlined_subroutine":
                    yield child
                yield from self._find_inlined(unit, child, address)
                return

    def _covers(self, unit: Any, die: Any, address: int) -> bool:
        attributes = die.attributes
        if "DW_AT_ranges" in attributes:
            return any(low <= address < high for low, high in self._ranges(unit, die))
        if "DW_AT_low_pc" not in attributes or "DW_AT_high_pc" not in attributes:
            return False
        low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
        end = high.value if high.form == "DW_FORM_addr" else low + high.value
        return bool(low <= address < end)

    def _ranges(self, unit: Any, die: Any) -> Iterator[tuple[int, int]]:
        lists: Any = self._dwarf.range_lists()
        top = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = top.value if top is not None else 0
        for entry in lists.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, unit):
            if isinstance(entry, BaseAddressEntry):
                base = entry.base_address
            elif getattr(entry, "is_absolute", False):
                yield entry.begin_offset, entry.end_offset
            else:
                yield base + entry.begin_offset, base + entry.end_offset

    def _frames(self, unit: Any, scopes: list[Any], address: int) -> tuple[Frame, ...]:
        file, line, column = self._line_at(unit, address)
        frames: list[Frame] = []
        for die in reversed(scopes):
            frames.append(Frame(_name_of(die), file, line, column))
            if die.tag == "DW_TAG_inlined_subroutine":
                file = self._file(unit, _number(die, "DW_AT_call_file"))
                line, column = _number(die, "DW_AT_call_line"), _number(die, "DW_AT_call_column")
        return tuple(frames)

    def _line_at(self, unit: Any, address: int) -> tuple[str, int, int]:
        """Find the line of an instruction; line 0 if the compiler gave it none."""
        if unit.cu_offset not in self._lines:
            self._lines[unit.cu_offset] = sorted(self._read_lines(unit))
        rows = self._lines[unit.cu_offset]
        at = bisect_right(rows, address, key=lambda row: row[0]) - 1
        if at < 0 or address >= rows[at][1]:
            return "", 0, 0
        return rows[at][2:]

    def _read_lines(self, unit: Any) -> Iterator[tuple[int, int, str, int, int]]:
        program = self._dwarf.line_program_for_CU(unit)
        previous = None
        for entry in program.get_entries() if program is not None else ():
            state = entry.state
            if state is None:
                continue
            if previous is not None and state.address > previous.address:
                file = self._file(unit, previous.file)
                yield previous.address, state.address, file, previous.line, previous.column
            previous = None if state.end_sequence else state

    def _file(self, unit: Any, number: int) -> str:
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return ""
        version = program["version"]
        entries = program["file_entry"]
        at = number if version >= 5 else number - 1
        if not 0 <= at < len(entries):
            return ""
        entry = entries[at]
        folders = program["include_directory"]
        folder_at = entry.dir_index if version >= 5 else entry.dir_index - 1
        folder = folders[folder_at] if 0 <= folder_at < len(folders) else b""
        unit_folder = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
        above = unit_folder.value if unit_folder is not None else b""
        joined = os.path.join(_bytes(above), _bytes(folder), _bytes(entry.name))
        return os.path.normpath(joined.decode("utf-8", "surrogateescape"))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _with_addresses(data: bytes) -> bytes:
    """Give every allocated section an address of its own, through the symbols in it."""
    elf = parse_elf_file(io.BytesIO(data))
    table = next((s for s in elf.sections if s.kind == SYMTAB), None) if elf is not None else None
    if elf is None or table is None:
        return data
    changed = bytearray(data)
    for at in range(table.offset, table.offset + table.size, _SYMBOL_BYTES):
        (section,) = struct.unpack_from("<H", changed, at + 6)
        if section < len(elf.sections) and elf.sections[section].flags & _SHF_ALLOC:
            (value,) = struct.unpack_from("<Q", changed, at + _VALUE_AT)
            struct.pack_into("<Q", changed, at + _VALUE_AT, value + _address(section))
    return bytes(changed)


def _address(section: int) -> int:
    return (section + 1) << _SHIFT


def _number(die: Any, name: str) -> int:
    attribute = die.attributes.get(name)
    return int(attribute.value) if attribute is not None else 0


def _name_of(die: Any) -> str:
    for _ in range(8):  # an origin of an origin; a damaged file could name itself
        for name in ("DW_AT_linkage_name", "DW_AT_MIPS_linkage_name", "DW_AT_name"):
            if name in die.attributes:
                return _bytes(die.attributes[name].value).decode("utf-8", "replace")
        origin = next(
            (n for n in ("DW_AT_abstract_origin", "DW_AT_specification") if n in die.attributes), ""
        )
        if not origin:
            break
        die = die.get_DIE_from_attribute(origin)
    return ""
