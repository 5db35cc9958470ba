# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a ``.ko`` file is: its build id, what kernel it is for, and whether two have the same code.

The build id survives strip, a later ``.BTF`` section, signing (which appends) and compression; so equal ids are the
same link. Other debug information or another source path gives another id to the same code. Then the sections that
the kernel loads are compared, with what relocates them.

Source: linux ``scripts/Makefile.modfinal``, ``scripts/Makefile.modinst``, ``kernel/module/main.c``.
"""

from __future__ import annotations

import hashlib
import io
import re
from typing import BinaryIO, NamedTuple

from kdeps.formats.elf import (
    REL,
    RELA,
    Elf,
    Symbol,
    parse_elf_file,
    parse_modinfo,
    read_relocations,
    read_symbols,
)
from kdeps.running.build_id import parse_build_id
from kdeps.running.reader import Packed, Reader
from kdeps.running.unpacking import MAX_MODULE_BYTES, is_compressed, open_plain, read_pieces, unpack
from kdeps.system.errors import Unreadable

_BANNER = re.compile(rb"Linux version [0-9][^\0\n]{0,1000}(?=\n)")
"""Source: ``linux_banner`` in linux ``init/version-timestamp.c``."""
_ALLOCATED = 0x2
_NOT_CODE = (".note.", ".BTF")
SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


class ModuleFile(NamedTuple):
    """What one ``.ko`` says of itself."""

    build_id: str | None
    """In hexadecimal; None if it was linked without one."""
    vermagic: str
    """Release, SMP and so on; empty where it has none."""
    code: str
    """A hash over everything that the kernel loads, notes and debug information left out; empty unless wanted."""

    @property
    def release(self) -> str:
        """The kernel release that it was built for."""
        return self.vermagic.split(" ")[0]


def module_name(path: str) -> str | None:
    """The name that the kernel gives a module, from its file's name; None if the file is not a module's."""
    name = path.rpartition("/")[2]
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix).replace("-", "_")
    return None


def read_module(path: str, *, with_code: bool = False) -> ModuleFile:
    """Read a ``.ko`` file, compressed or not.

    Raises:
        FileNotFoundError: It is not there.
        Unreadable: It cannot be read, or is not a module.
    """
    with open_plain(path) as file:
        head = file.read(8)
        file.seek(0)
        try:
            if is_compressed(head):
                unpacked = unpack(Reader(read_pieces(file), MAX_MODULE_BYTES), MAX_MODULE_BYTES)
                return parse_module(io.BytesIO(b"".join(unpacked.rest())), with_code=with_code)
            return parse_module(file, with_code=with_code)
        except Packed as error:
            raise Unreadable(f"{path}: {error}") from error


def parse_module(file: BinaryIO, *, with_code: bool = False) -> ModuleFile:
    """Read an uncompressed module. Raises Packed: it is not an ELF file, or it is damaged."""
    elf = parse_elf_file(file)
    if elf is None:
        raise Packed("is not a module, or it is damaged")
    try:
        code = _hash_code(elf) if with_code else ""
    except IndexError as error:
        raise Packed("is not a module, or it is damaged: a relocation has no symbol") from error
    build_id = parse_build_id(elf.bytes_of(".note.gnu.build-id"))
    return ModuleFile(build_id, parse_modinfo(elf).get("vermagic", ""), code)


def _hash_code(elf: Elf) -> str:
    """Hash names, sizes, bytes and relocations of the allocated sections. Raises IndexError: it is damaged."""
    wanted = {
        at
        for at, section in enumerate(elf.sections)
        if section.flags & _ALLOCATED and not section.name.startswith(_NOT_CODE)
    }
    whole = hashlib.sha256()
    for section in sorted((elf.sections[at] for at in sorted(wanted)), key=lambda section: section.name):
        whole.update(f"\0{section.name}\0{section.size}\0{section.flags}\0".encode())
        whole.update(elf.data(section))
    names = [_symbol_name(elf, symbol) for symbol in read_symbols(elf)]
    tables = [s for s in elf.sections if s.kind in (RELA, REL) and s.info in wanted]
    for table in sorted(tables, key=lambda section: section.name):
        whole.update(f"\0{table.name}\0".encode())
        for row in read_relocations(elf, table):
            whole.update(f"{row.offset} {row.kind} {names[row.symbol]} {row.addend}\n".encode())
    return whole.hexdigest()


def _symbol_name(elf: Elf, symbol: Symbol) -> str:
    """A symbol as another link would name it: a local one by its section and place."""
    index = symbol.section
    where = elf.sections[index].name if 0 < index < len(elf.sections) else str(index)
    return f"section {where}" if symbol.is_section else f"{symbol.name} {where} {symbol.value}"


def read_kernel_id(path: str) -> str | None:
    """Return the build id of a ``vmlinux``, or None if there is no such file or it has none.

    Raises Unreadable: it cannot be read, or is not an ELF file.
    """
    try:
        with open_plain(path) as file:
            elf = parse_elf_file(file)
            if elf is None:
                raise Unreadable(f"{path}: not an ELF file, or it is damaged")
            return parse_build_id(elf.bytes_of(".notes") or elf.bytes_of(".note.gnu.build-id"))
    except FileNotFoundError:
        return None


def read_banner(path: str) -> str:
    """Return the line ``Linux version …`` of a ``vmlinux``; empty if it has none, or cannot be read."""
    try:
        with open_plain(path) as file:
            elf = parse_elf_file(file)
            banner = _BANNER.search(elf.bytes_of(".rodata")) if elf is not None else None
    except (FileNotFoundError, Unreadable):
        return ""
    return banner[0].decode("utf-8", "replace") if banner else ""
