# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Sizes of functions as a running kernel prints them, from the local ``vmlinux`` or ``.ko``.

In ``symbol+0x18c/0x200`` the size is the distance to the next symbol in memory; the size in the symbol table
(``st_size``) leaves out the padding. So the symbols are put into the order that they have in memory.

Source: linux ``kernel/kallsyms.c`` (``get_symbol_pos``), ``scripts/mksysmap``, ``kernel/module/kallsyms.c``
(``find_kallsyms_symbol``), ``kernel/module/main.c`` (``__layout_sections``).
"""

from __future__ import annotations

import bisect
import re
from typing import BinaryIO, NamedTuple

from kdeps.formats.elf import Elf, Symbol, parse_elf_file, read_symbols
from kdeps.running.build_id import parse_build_id
from kdeps.system.errors import Unreadable

_EXECUTABLE = 0x4
_ALLOCATED = 0x2
_SECTION_SYMBOL, _FILE_SYMBOL = 3, 4
_X86_64 = 62
_X86_PAGE = 4096
_NOT_IN_MODULE = re.compile(r"\.L|L0|\$")
"""Source: ``is_mapping_symbol`` in linux ``include/linux/module_symbol.h``."""
_NOT_IN_KERNEL = re.compile(
    r"\$|\.L|__efistub_|__pi_\$|__pi_\.L|__kvm_nvhe_\$|__kvm_nvhe_\.L|__[A-Za-z0-9]*Thunk_|__crc_|__kstrtab"
    r"|(?:__kvm_nvhe_|__pi_)?__kcfi_typeid_|__mod_device_table__|L0$|_SDA2?_BASE_$|__UNIQUE_ID_modinfo_[0-9]*$"
    r"|.*(?:_from_arm|_from_thumb|_veneer)$|.*\.(?:long|plt)_branch\."
)
_CLEANED = re.compile(r"\.llvm\.[0-9]+$")
"""What the kernel takes off in its own table. Source: ``cleanup_symbol_name`` in linux ``scripts/kallsyms.c``."""


class Place(NamedTuple):
    """Where one symbol is in a file."""

    section: int
    value: int
    """As in the symbol table: an address in vmlinux, an offset in the section in a module."""
    size: int | None
    """As the kernel would print it; None if that depends on the machine that loads the file."""


class SymbolSizes(NamedTuple):
    """The functions of one ``vmlinux`` or ``.ko``."""

    path: str
    build_id: str | None
    places: dict[str, tuple[Place, ...]]
    """Several static functions can have one name."""
    section_names: tuple[str, ...]
    is_linked: bool
    """A kernel with addresses; a module has offsets in its sections."""
    has_lines: bool
    """The file has DWARF line tables."""
    banner: str
    """The line ``Linux version …``; empty for a module."""

    def find(self, name: str) -> tuple[Place, ...]:
        """Return every place of a symbol; empty if the file has no such symbol."""
        return self.places.get(name, ())


def read_symbol_sizes(path: str, file: BinaryIO) -> SymbolSizes:
    """Read the functions of a linked kernel or of a module.

    Raises Unreadable: it is not an ELF file with a symbol table, or it is damaged.
    """
    elf = parse_elf_file(file)
    ignored = _NOT_IN_MODULE if elf and elf.is_relocatable else _NOT_IN_KERNEL
    rows = _find_kernel_symbols(elf, ignored) if elf else []
    if elf is None or not rows:
        why = "" if elf is None else ": it has no symbols"
        raise Unreadable(f"{path}: not an ELF file with symbols, or it is damaged{why}")
    notes = [s for s in elf.sections if s.name in (".notes", ".note.gnu.build-id")]
    return SymbolSizes(
        path=path,
        build_id=next((found for s in notes if (found := parse_build_id(elf.data(s)))), None),
        places=_measure(rows, _lay_out(elf)) if elf.is_relocatable else _measure_kernel(rows),
        section_names=tuple(s.name for s in elf.sections),
        is_linked=not elf.is_relocatable,
        has_lines=any(s.name == ".debug_line" and s.size for s in elf.sections),
        banner="" if elf.is_relocatable else _read_banner(rows, elf),
    )


class _Region(NamedTuple):
    """Where one section of a module is in the memory that the kernel gives it."""

    name: str
    start: int
    end: int | None
    """Of the region: the last symbol's size reaches to it. None if another architecture decides."""


def _find_kernel_symbols(elf: Elf, ignored: re.Pattern[str]) -> list[Symbol]:
    """Find the symbols that the kernel's table would have, in the file's order."""
    return [
        symbol
        for symbol in read_symbols(elf)
        if symbol.name
        and 0 < symbol.section < len(elf.sections)
        and symbol.info & 15 not in (_SECTION_SYMBOL, _FILE_SYMBOL)
        and not ignored.match(symbol.name)
    ]


def _measure_kernel(rows: list[Symbol]) -> dict[str, tuple[Place, ...]]:
    addresses = sorted({row.value for row in rows})
    places: dict[str, tuple[Place, ...]] = {}
    for name, _, section, value, _ in rows:
        after = bisect.bisect_right(addresses, value)
        size = addresses[after] - value if after < len(addresses) else None
        place = Place(section, value, size)
        for known in {name, _CLEANED.sub("", name)}:
            places[known] = (*places.get(known, ()), place)
    return places


def _measure(rows: list[Symbol], regions: dict[int, _Region]) -> dict[str, tuple[Place, ...]]:
    """Measure the functions of a module, whose sections the kernel puts one behind the other."""
    at: dict[str, set[int]] = {}
    for row in rows:
        if region := regions.get(row.section):
            at.setdefault(region.name, set()).add(region.start + row.value)
    addresses = {name: sorted(values) for name, values in at.items()}
    places: dict[str, tuple[Place, ...]] = {}
    for name, _, section, value, _ in rows:
        region = regions.get(section)
        if region is None:
            continue
        near = addresses[region.name]
        address = region.start + value
        after = bisect.bisect_right(near, address)
        end = near[after] if after < len(near) else region.end
        place = Place(section, value, None if end is None else end - address)
        places[name] = (*places.get(name, ()), place)
    return places


def _lay_out(elf: Elf) -> dict[int, _Region]:
    """Put the executable sections of a module where the kernel will: in their order, aligned, in two regions."""
    ends = {"init": 0, "core": 0}
    starts: dict[int, tuple[str, int]] = {}
    for index, section in enumerate(elf.sections):
        if section.flags & (_EXECUTABLE | _ALLOCATED) != _EXECUTABLE | _ALLOCATED:
            continue
        region = "init" if section.name.startswith(".init") else "core"
        align = section.align or 1
        start = (ends[region] + align - 1) // align * align
        starts[index] = region, start
        ends[region] = start + section.size
    is_x86 = elf.machine == _X86_64
    whole = {name: -(-end // _X86_PAGE) * _X86_PAGE if is_x86 else None for name, end in ends.items()}
    if is_x86:
        return {index: _Region(name, start, whole[name]) for index, (name, start) in starts.items()}
    # Elsewhere the loader adds trampolines to some sections, so that only distances within one are known.
    return {index: _Region(f"{name} {index}", start, None) for index, (name, start) in starts.items()}


def _read_banner(rows: list[Symbol], elf: Elf) -> str:
    """Return what the kernel prints first of all, from ``linux_banner``."""
    for symbol in rows:
        if symbol.name == "linux_banner":
            section = elf.sections[symbol.section]
            data = elf.read(section.offset + symbol.value - section.address, 4096)
            return data.partition(b"\0")[0].decode("utf-8", "replace").strip()
    return ""
