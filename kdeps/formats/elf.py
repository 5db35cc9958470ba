# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read from an object file its sections, compilers, ``.modinfo`` and symbols, and from a crate's metadata its compiler.

This takes a fifth of the time that pyelftools takes; ``make`` and ``check`` may not import that. What needs debug
information uses pyelftools.

Source: the System V ABI, chapter "Object Files"; linux ``include/linux/moduleparam.h``;
rustc ``compiler/rustc_metadata/src/locator.rs`` (the header holds the version before all else,
so that any rustc can tell that it cannot read the rest).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

Read = Callable[[int, int], bytes]
"""Offset and length → bytes; fewer at the end of the file."""

GIVEN_BY_LINKER = frozenset(("_GLOBAL_OFFSET_TABLE_", "__this_module", ".TOC."))
"""Symbols that nothing has to export. Source: ``ignore_undef_symbol`` in linux ``scripts/mod/modpost.c``."""
_MAX_SECTIONS = 65_536
_MAX_BYTES = 64 << 20
_MAX_TABLE = 512 << 20
_RMETA = b"rust\0\0\0"
_RUSTC = re.compile(rb"rustc (\d[\x20-\x7e]*)")
SYMTAB, RELA, NOBITS, REL = 2, 4, 8, 9
"""Kinds of sections."""
_ADDENDS_BESIDE = frozenset((62, 183, 243, 258))
"""x86-64, AArch64, RISC-V, LoongArch. Source: linux ``include/uapi/linux/elf-em.h``."""
_GLOBAL = 1


class Section(NamedTuple):
    """One section of an object file."""

    name: str
    offset: int
    size: int
    link: int
    kind: int
    flags: int = 0
    info: int = 0
    address: int = 0
    align: int = 0


class Elf(NamedTuple):
    """An object file, its sections found and nothing else read."""

    sections: tuple[Section, ...]
    wide: bool
    """64 bits."""
    order: str
    """Of bytes, as ``struct`` has it."""
    read: Read
    machine: int = 0
    is_relocatable: bool = False

    @property
    def keeps_code(self) -> bool:
        """Whether ``ld -r`` leaves code as it is: relocations have their addends beside it, not in it."""
        return self.wide and self.machine in _ADDENDS_BESIDE

    def data(self, section: Section) -> bytes:
        """Return the content of a section."""
        return b"" if section.kind == NOBITS else self.read(section.offset, min(section.size, _MAX_TABLE))

    def bytes_of(self, name: str) -> bytes:
        """Return the content of the first section of a name; empty without such a section."""
        for section in self.sections:
            if section.name == name and section.kind != NOBITS:
                return self.read(section.offset, min(section.size, _MAX_BYTES))
        return b""


def parse_elf(read: Read) -> Elf | None:
    """Find the sections of an object file. Returns None if it is not an object file, or damaged."""
    head = read(0, 64)
    if len(head) < 52 or head[:4] != b"\x7fELF" or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    try:
        if wide:
            (at,) = struct.unpack_from(f"{order}Q", head, 40)
            size, count, names = struct.unpack_from(f"{order}HHH", head, 58)
        else:
            (at,) = struct.unpack_from(f"{order}I", head, 32)
            size, count, names = struct.unpack_from(f"{order}HHH", head, 46)
        layout = f"{order}IIQQQQIIQQ" if wide else f"{order}10I"
        if size < struct.calcsize(layout) or count > _MAX_SECTIONS or names >= count:
            return None
        table = read(at, size * count)
        rows = [struct.unpack_from(layout, table, size * i) for i in range(count)]
    except struct.error:
        return None
    texts = read(rows[names][4], min(rows[names][5], _MAX_BYTES))
    sections = tuple(
        Section(_text(texts, row[0]), row[4], row[5], row[6], row[1], row[2], row[7], row[3], row[8])
        for row in rows
    )
    kind, machine = struct.unpack_from(f"{order}HH", head, 16)
    return Elf(sections, wide, order, read, machine, kind == 1)


def parse_elf_file(file: BinaryIO) -> Elf | None:
    """Find the sections of an open object file. Returns None if it is not an object file, cut off or damaged."""
    size = file.seek(0, os.SEEK_END)

    def read(at: int, count: int) -> bytes:
        if not 0 <= at < size:
            return b""
        file.seek(at)
        return file.read(min(count, size - at))

    elf = parse_elf(read)
    is_whole = elf and all(s.kind == NOBITS or s.offset + s.size <= size for s in elf.sections)
    return elf if is_whole else None


def find_compilers(elf: Elf) -> tuple[str, ...]:
    """What ``.comment`` says, each once; the linker's own line left out."""
    lines = (line.decode("utf-8", "replace").strip() for line in elf.bytes_of(".comment").split(b"\0"))
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("Linker:")))


def find_metadata_compiler(head: bytes) -> str | None:
    """The version of the rustc that wrote a ``.rmeta``, from its first bytes; None if they do not have it."""
    if not head.startswith(_RMETA):
        return None
    found = _RUSTC.search(head[:512])
    return found[1].decode("ascii").strip() if found else None


def parse_modinfo(elf: Elf) -> dict[str, str]:
    """The ``name=value`` pairs of ``.modinfo``; of one that stands there twice the first."""
    pairs: dict[str, str] = {}
    for entry in elf.bytes_of(".modinfo").split(b"\0"):
        name, equals, value = entry.decode("utf-8", "replace").partition("=")
        if equals:
            pairs.setdefault(name, value)
    return pairs


class Symbol(NamedTuple):
    """One symbol of an object file."""

    name: str
    info: int
    section: int
    """0 if the symbol is undefined; beyond all sections if it has a fixed value."""
    value: int
    size: int

    @property
    def is_function(self) -> bool:
        return self.info & 15 == 2

    @property
    def is_section(self) -> bool:
        return self.info & 15 == 3

    @property
    def is_weak(self) -> bool:
        return self.info >> 4 == 2


def read_symbols(elf: Elf) -> Iterator[Symbol]:
    """Read every symbol, in the order of the file."""
    layout = struct.Struct(f"{elf.order}IBBHQQ" if elf.wide else f"{elf.order}IIIBBH")
    for section in elf.sections:
        if section.kind != SYMTAB or section.link >= len(elf.sections):
            continue
        table, texts = elf.data(section), elf.data(elf.sections[section.link])
        for row in layout.iter_unpack(table[: len(table) // layout.size * layout.size]):
            fields = row[1], row[3], row[4], row[5]
            if not elf.wide:
                fields = row[3], row[5], row[1], row[2]
            yield Symbol(_text(texts, row[0]), *fields)


class Relocation(NamedTuple):
    """One place that the linker or the loader fills in."""

    offset: int
    kind: int
    symbol: int
    """Position among all symbols."""
    addend: int
    """0 where it is in the place itself."""


def read_relocations(elf: Elf, table: Section) -> Iterator[Relocation]:
    """Read a section of relocations, in its order."""
    layout = struct.Struct(elf.order + ("QQq" if elf.wide else "IIi")[: 3 if table.kind == RELA else 2])
    data = elf.data(table)
    for offset, info, *addend in layout.iter_unpack(data[: len(data) // layout.size * layout.size]):
        shift = 32 if elf.wide else 8
        yield Relocation(offset, info & (1 << shift) - 1, info >> shift, *(addend or (0,)))


def find_undefined(elf: Elf) -> tuple[str, ...]:
    """The global symbols that an object wants from elsewhere, weak ones left out, in their order."""
    wanted = (s.name for s in read_symbols(elf) if s.name and not s.section and s.info >> 4 == _GLOBAL)
    return tuple(name for name in wanted if name not in GIVEN_BY_LINKER)


def find_functions(elf: Elf) -> frozenset[tuple[str, int]]:
    """Name and size of every function that an object defines."""
    return frozenset((s.name, s.size) for s in read_symbols(elf) if s.is_function and s.section and s.size)


def _text(texts: bytes, at: int) -> str:
    end = texts.find(b"\0", at)
    return texts[at : end if end >= 0 else len(texts)].decode("utf-8", "replace")
