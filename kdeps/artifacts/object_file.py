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
from typing import NamedTuple

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.elf.enums import ENUM_E_MACHINE

from kdeps.formats.elf import RELA, Relocation, Symbol, parse_elf_file, read_relocations, read_symbols
from kdeps.system.errors import KdepsError
from kdeps.system.files import open_to_read

DAMAGE = (
    ELFError, DWARFError, ConstructError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    struct.error, OverflowError, RecursionError, MemoryError, AssertionError, UnboundLocalError,
)  # fmt: skip
"""What pyelftools raises for a damaged file."""
_MAX_BYTES = 512 << 20
_HEADER = 64
_BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_SHF_EXECINSTR = 4
_RELOCATABLE = 1
_MACHINES = {62: "x86-64", 183: "arm64"}


class ObjectError(KdepsError):
    """An object file cannot be read for what it should tell."""


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
    if len(data) < _HEADER:
        raise _damaged(path)
    wide, little = data[4] == 2, data[5] == 1
    kind, machine = struct.unpack_from("<HH" if little else ">HH", data, 16)
    if not wide or not little or machine not in _MACHINES:
        name = next((name for name, number in ENUM_E_MACHINE.items() if number == machine), machine)
        shape = f"{name}, {64 if wide else 32} bits, {'little' if little else 'big'} endian"
        raise ObjectError(f"{path}: {shape}; only x86-64 and arm64 objects can be read")
    if kind != _RELOCATABLE:
        raise ObjectError(f"{path}: already linked; relocations are only in an object")
    elf = parse_elf_file(io.BytesIO(data))
    if elf is None:
        raise _damaged(path)
    symbols = tuple(read_symbols(elf))
    if not symbols:
        raise ObjectError(f"{path}: has no symbol table (stripped); remove it and build again")
    parts = [elf.data(section) for section in elf.sections]
    sections = [
        Section(s.name, part, bool(s.flags & _SHF_EXECINSTR))
        for s, part in zip(elf.sections, parts, strict=True)
    ]
    relocations = {
        s.info: tuple(sorted(read_relocations(elf, s)))
        for s in elf.sections
        if s.kind == RELA and s.info < len(parts)
    }
    if any(row.symbol >= len(symbols) for rows in relocations.values() for row in rows):
        raise _damaged(path)
    return ObjectFile(path, _MACHINES[machine], tuple(sections), symbols, relocations)


def list_symbols(path: str) -> tuple[Symbol, ...]:
    """Read the symbols of an object of any size, and nothing else of it. Raises ObjectError: it cannot be read."""
    try:
        with open_to_read(path) as file:
            elf = parse_elf_file(file)
            if elf is None:
                raise _damaged(path)
            return tuple(read_symbols(elf))
    except OSError as error:
        raise ObjectError(f"{path}: {error.strerror}; build it first") from error


def _damaged(path: str) -> ObjectError:
    return ObjectError(f"{path}: cut off or damaged; remove it and build again")
