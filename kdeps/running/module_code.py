# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether two modules have the same code: a hash of what the kernel loads of a ``.ko``, and of what relocates it."""

from __future__ import annotations

import hashlib
import struct
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.construct.core import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Section, SymbolTableSection

DAMAGED = (
    ELFError, ConstructError, struct.error, ValueError, KeyError, IndexError, TypeError, AttributeError,
    OverflowError, MemoryError, RecursionError, AssertionError, UnboundLocalError,
)  # fmt: skip
"""What pyelftools raises for a file that is cut off or forged."""
_ALLOCATED = 0x2
_NOT_CODE = (".note.", ".BTF")
_MAX_SECTION = 256 << 20


def hash_code(file: BinaryIO) -> str:
    """Hash names, sizes, bytes and relocations of the allocated sections of a module.

    Raises one of ``DAMAGED``: it is no ELF file, or it is damaged.
    """
    elf = ELFFile(file)
    sections = list(elf.iter_sections())
    wanted = {
        at for at, s in enumerate(sections) if s["sh_flags"] & _ALLOCATED and not s.name.startswith(_NOT_CODE)
    }
    whole = hashlib.sha256()
    for at in sorted(wanted, key=lambda at: sections[at].name):
        section = sections[at]
        whole.update(f"\0{section.name}\0{section['sh_size']}\0{section['sh_flags']}\0".encode())
        whole.update(_data(section))
    relocations = [s for s in sections if isinstance(s, RelocationSection) and s["sh_info"] in wanted]
    for section in sorted(relocations, key=lambda section: str(section.name)):
        symbols = elf.get_section(section["sh_link"])
        assert isinstance(symbols, SymbolTableSection)
        whole.update(f"\0{section.name}\0".encode())
        names: dict[int, str] = {}
        for row in section.iter_relocations():
            number = row["r_info_sym"]
            if number not in names:
                names[number] = _symbol_name(symbols, number, sections)
            addend = row["r_addend"] if section.is_RELA() else 0
            whole.update(f"{row['r_offset']} {row['r_info_type']} {names[number]} {addend}\n".encode())
    return whole.hexdigest()


def _symbol_name(symbols: SymbolTableSection, number: int, sections: list[Section]) -> str:
    """A symbol as another link would name it: a local one by its section and place."""
    symbol = symbols.get_symbol(number)
    index = symbol["st_shndx"]
    where = sections[index].name if isinstance(index, int) and index < len(sections) else str(index)
    if symbol["st_info"]["type"] == "STT_SECTION":
        return f"section {where}"
    return f"{symbol.name} {where} {symbol['st_value']}"


def _data(section: Section) -> bytes:
    if section["sh_type"] == "SHT_NOBITS":
        return b""
    if section["sh_size"] > _MAX_SECTION:
        raise ValueError("a section is larger than any module")
    data: bytes = section.data()
    return data
