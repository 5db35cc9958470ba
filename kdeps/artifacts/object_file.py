# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A relocatable object file: its sections, symbols and relocations.

An object that cannot be read for what the caller wants is one line for people: cut off, no ELF file,
LLVM bitcode, of another byte order. ``ObjectError`` carries it.

Source: the System V ABI, chapter "Object Files", and its supplements for x86-64 and AArch64.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from typing import Any, NamedTuple

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from kdeps.system.errors import KdepsError
from kdeps.system.files import open_to_read

DAMAGE = (
    ELFError, DWARFError, ConstructError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    struct.error, OverflowError, RecursionError, MemoryError, AssertionError, UnboundLocalError,
)  # fmt: skip
"""What pyelftools raises for a damaged file."""
_MAX_BYTES = 512 << 20
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_FUNCTION = 2
_SHF_EXECINSTR = 4
_RESERVED = 0xFF00
_MACHINES = {"EM_X86_64": "x86-64", "EM_AARCH64": "arm64"}


class ObjectError(KdepsError):
    """An object file cannot be read for what it should tell."""


class Symbol(NamedTuple):
    """One symbol."""

    name: str
    section: int
    """0 if the symbol is undefined."""
    value: int
    size: int
    is_function: bool
    is_weak: bool


class Relocation(NamedTuple):
    """One place that the linker fills in."""

    offset: int
    kind: int
    symbol: int
    """Position in ``ObjectFile.symbols``."""
    addend: int


class Section(NamedTuple):
    """One section, with its bytes."""

    name: str
    data: bytes
    is_code: bool


class ObjectFile(NamedTuple):
    """What the object file contains."""

    path: str
    machine: str
    """``x86-64`` or ``arm64``."""
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: dict[int, tuple[Relocation, ...]]
    """Section → its relocations by offset."""

    def functions(self, section: int) -> tuple[Symbol, ...]:
        """Return the functions of a section by their start."""
        found = [s for s in self.symbols if s.is_function and s.section == section and s.size]
        return tuple(sorted(found, key=lambda symbol: symbol.value))


def function_at(functions: tuple[Symbol, ...], offset: int) -> Symbol | None:
    """Find the function that an offset of the same section belongs to."""
    at = bisect_right(functions, offset, key=lambda symbol: symbol.value) - 1
    if at < 0 or offset >= functions[at].value + functions[at].size:
        return None
    return functions[at]


def read_bytes(path: str) -> bytes:
    """Read a whole object file. Raises ObjectError: it cannot be read, or is too large for an object."""
    try:
        with open_to_read(path) as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ObjectError(f"{path}: {error.strerror}; build it first") from error
    if len(data) > _MAX_BYTES:
        raise ObjectError(f"{path}: larger than {_MAX_BYTES >> 20} MB; this is no object of one source")
    return data


def read_object(path: str) -> ObjectFile:
    """Read an object file. Raises ObjectError: with what is wrong with it."""
    return parse_object(read_bytes(path), path)


def parse_object(data: bytes, path: str) -> ObjectFile:
    """Take the bytes of an object file apart. Raises ObjectError: with what is wrong with it."""
    if data[:4] in _BITCODE:
        raise ObjectError(f"{path}: LLVM bitcode (LTO); there is no machine code to read before the link")
    if data[:4] != b"\x7fELF":
        raise ObjectError(f"{path}: {'empty' if not data else 'not an ELF file'}; remove it and build again")
    try:
        elf = ELFFile(io.BytesIO(data))
        if elf.elfclass != 64 or not elf.little_endian or elf["e_machine"] not in _MACHINES:
            raise ObjectError(f"{path}: {_describe_machine(elf)}; only x86-64 and arm64 objects can be read")
        if elf["e_type"] != "ET_REL":
            raise ObjectError(f"{path}: already linked; relocations are only in an object")
        found = _read_parts(elf, path)
    except DAMAGE as error:
        raise ObjectError(f"{path}: cut off or damaged; remove it and build again") from error
    if not found.symbols:
        raise ObjectError(f"{path}: has no symbol table (stripped); remove it and build again")
    return found


def read_symbols(path: str) -> tuple[Symbol, ...]:
    """Read the symbols of an object of any size, and nothing else of it.

    Raises ObjectError: it cannot be read.
    """
    try:
        with open_to_read(path) as file:
            elf = ELFFile(file)
            table: Any = elf.get_section_by_name(".symtab")
            return _read_symbols(table.data(), elf.get_section(table["sh_link"]).data())
    except OSError as error:
        raise ObjectError(f"{path}: {error.strerror}; build it first") from error
    except DAMAGE as error:
        raise ObjectError(f"{path}: cut off or damaged; remove it and build again") from error


def _describe_machine(elf: ELFFile) -> str:
    order = "little" if elf.little_endian else "big"
    return f"{elf['e_machine']}, {elf.elfclass} bits, {order} endian"


def _read_parts(elf: ELFFile, path: str) -> ObjectFile:
    sections: list[Section] = []
    tables: list[tuple[int, bytes]] = []
    symbols: tuple[Symbol, ...] = ()
    for section in elf.iter_sections():
        kind = section["sh_type"]
        data = b"" if kind == "SHT_NOBITS" else section.data()
        if kind != "SHT_NOBITS" and not section.compressed and len(data) != section["sh_size"]:
            raise ValueError("cut off")
        if kind == "SHT_SYMTAB":
            names = elf.get_section(section["sh_link"])
            symbols = _read_symbols(data, names.data())
        elif kind == "SHT_RELA":
            tables.append((section["sh_info"], data))
        sections.append(Section(section.name, data, bool(section["sh_flags"] & _SHF_EXECINSTR)))
    relocations = {at: _read_relocations(data, len(symbols)) for at, data in tables if at < len(sections)}
    return ObjectFile(path, _MACHINES[elf["e_machine"]], tuple(sections), symbols, relocations)


def _read_symbols(table: bytes, names: bytes) -> tuple[Symbol, ...]:
    found: list[Symbol] = []
    for name, info, _, section, value, size in _SYMBOL.iter_unpack(table):
        end = names.index(b"\0", name)
        found.append(
            Symbol(
                names[name:end].decode("utf-8", "replace"),
                section if section < _RESERVED else -1,
                value,
                size,
                info & 15 == _FUNCTION,
                info >> 4 == 2,
            )
        )
    return tuple(found)


def _read_relocations(table: bytes, count: int) -> tuple[Relocation, ...]:
    found: list[Relocation] = []
    for offset, info, addend in _RELOCATION.iter_unpack(table):
        if info >> 32 >= count:
            raise ValueError("a relocation of a symbol that is not there")
        found.append(Relocation(offset, info & 0xFFFFFFFF, info >> 32, addend))
    return tuple(sorted(found))
