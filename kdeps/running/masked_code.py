# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The machine code of one function of a module, without the bytes that the kernel changes when it loads or patches it.

An oops prints the bytes around the faulting instruction. What the loader relocates, and what the kernel patches
(alternatives, ftrace, static calls and keys, locks, return thunks), differs from the file and is left out: the tables
of such places are sections of the module whose relocations point into the code.

Source: linux ``arch/x86/kernel/module.c`` (``module_finalize``), ``arch/x86/kernel/alternative.c``,
``arch/arm64/kernel/module.c``, ``arch/arm64/kernel/alternative.c``, ``arch/arm64/kernel/pi/patch-scs.c``.
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from kdeps.formats.elf import (
    RELA,
    Elf,
    Relocation,
    Section,
    Symbol,
    parse_elf_file,
    read_relocations,
    read_symbols,
)
from kdeps.running.symbol_sizes import Place

_ALLOCATED = 0x2
_X86_64, _ARM64 = 62, 183
_ABSOLUTE_64 = {_X86_64: 1, _ARM64: 257}
"""``R_X86_64_64``, ``R_AARCH64_ABS64``; every other relocation in code is four bytes long."""
_ALTERNATIVE = ".altinstructions"
_ALTERNATIVES = {_X86_64: (14, 12), _ARM64: (12, 10)}
"""Size, and where the length of the instructions is. Source: ``struct alt_instr`` in linux ``arch/*/include/asm``."""
_NOT_PATCHED = ("__bug_table", "__ex_table", ".orc_", ".eh_frame", ".debug")
"""These point into the code and nothing is changed there."""
_PATCHED_BYTES = 8
_CALL_TABLES = ("__mcount_loc", ".call_sites")
"""Where these point to, the kernel changes one call. Source: ``patch_call`` in linux ``arch/x86/kernel/callthunks.c``."""
_CALL, _CALL_BYTES = 0xE8, 5
_INDIRECT_CALL, _INDIRECT_LENGTHS = 0xFF, (2, 3, 4, 6, 7)
"""``call *%rax``, ``call *8(%rax)``, ``call *(%rax,%rcx)``, with a displacement of four bytes, and so on."""
_WORD = 4
_ARM64_CALLS = ((0xFC000000, 0x94000000), (0xFEFFF800, 0xD63F0800), (0xFFFFFC1F, 0xD63F0000))
"""Mask and value of ``bl``, ``blraa`` and its kin, and ``blr``."""
_SIGNS_RETURN = (0xD503233F, 0xD50323BF)
"""``paciasp`` and ``autiasp``: the kernel can put a shadow stack in their place."""
_MAX_BYTES = 64 << 20


class MaskedCode(NamedTuple):
    """The bytes of one function."""

    data: bytes
    is_fixed: tuple[bool, ...]
    """For each byte whether the running kernel has it as it is in the file."""
    is_arm64: bool = False
    """Instructions are words, and a relocation leaves a call a call."""
    patched: frozenset[int] = frozenset()
    """Where the kernel puts another instruction."""


def read_masked_code(file: BinaryIO, place: Place) -> MaskedCode | None:
    """Read the code of one function; None on other architectures than x86-64 and arm64, and for a damaged file."""
    elf = parse_elf_file(file)
    if elf is None or elf.machine not in _ALTERNATIVES or not elf.is_relocatable or elf.order != "<":
        return None
    try:
        return _mask(elf, place)
    except IndexError:
        return None


def differs(code: MaskedCode, logged: bytes, start: int) -> bool:
    """Whether bytes of a log, from ``start`` in the function (negative: in front of it), are not those of the
    function.
    """
    return any(
        code.is_fixed[at] and code.data[at] != byte
        for at, byte in enumerate(logged, start)
        if 0 <= at < len(code.data)
    )


def is_same_code(one: MaskedCode, other: MaskedCode) -> bool:
    """Whether two functions are the same, except where either is relocated; padding at the end of one may be missing."""
    length = min(len(one.data), len(other.data))
    return length > 0 and all(
        one.data[at] == other.data[at] for at in range(length) if one.is_fixed[at] and other.is_fixed[at]
    )


def can_return_to(code: MaskedCode, offset: int) -> bool:
    """Whether an offset can be a return address: a call has to be in front of it. True where the kernel changes it."""
    if code.is_arm64:
        return _is_arm64_call(code, offset - _WORD)
    if not _CALL_BYTES <= offset <= len(code.data):
        return offset <= _CALL_BYTES
    if not code.is_fixed[offset - _CALL_BYTES]:
        return True
    if code.data[offset - _CALL_BYTES] == _CALL:
        return True
    return any(
        code.data[offset - length] == _INDIRECT_CALL
        and (not code.is_fixed[offset - length] or _indirect_length(code.data, offset - length) == length)
        for length in _INDIRECT_LENGTHS
        if length <= offset
    )


def _indirect_length(data: bytes, at: int) -> int:
    """The length of an indirect call of x86; 0 if it is another instruction."""
    mode, kind, base = data[at + 1] >> 6, data[at + 1] >> 3 & 7, data[at + 1] & 7
    if kind != 2:
        return 0
    has_sib = mode != 3 and base == 4
    if has_sib:
        base = data[at + 2] & 7
    return 2 + has_sib + (4 if mode == 2 or (mode == 0 and base == 5) else mode == 1)


def _is_arm64_call(code: MaskedCode, at: int) -> bool:
    if at < 0 or at + _WORD > len(code.data):
        return False
    word = int.from_bytes(code.data[at : at + _WORD], "little")
    return at in code.patched or any(word & mask == value for mask, value in _ARM64_CALLS)


def _mask(elf: Elf, place: Place) -> MaskedCode | None:
    section, machine = elf.sections[place.section], elf.machine
    if section.size > _MAX_BYTES or (place.size is None and machine == _X86_64):
        return None
    # On arm64 the size of the last function is not known; what is in the section is compared.
    begin = place.value
    end = section.size if place.size is None else min(begin + place.size, section.size)
    data = elf.data(section)[begin:end]
    fixed = [True] * len(data)
    relocated, patched = _changed_places(elf, place.section)
    if machine == _ARM64:
        words = (int.from_bytes(data[at : at + _WORD], "little") for at in range(0, len(data), _WORD))
        patched += [(begin + _WORD * n, _WORD) for n, word in enumerate(words) if word in _SIGNS_RETURN]
    for at, length in (*relocated, *patched):
        for byte in range(max(at - begin, 0), min(at - begin + length, len(data))):
            fixed[byte] = False
    starts = frozenset(byte for at, length in patched for byte in range(at - begin, at - begin + length))
    return MaskedCode(data, tuple(fixed), machine == _ARM64, starts)


def _changed_places(elf: Elf, code: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """List what is relocated in a section and what is patched: offset and length."""
    relocated: list[tuple[int, int]] = []
    patched: list[tuple[int, int]] = []
    symbols = list(read_symbols(elf))
    for table in elf.sections:
        if table.kind != RELA or table.size > _MAX_BYTES:
            continue
        target = elf.sections[table.info]
        if not target.flags & _ALLOCATED or target.name.startswith(_NOT_PATCHED):
            continue
        rows = list(read_relocations(elf, table))
        if table.info == code:
            wide = _ABSOLUTE_64[elf.machine]
            relocated += [(row.offset, 8 if row.kind == wide else 4) for row in rows]
        else:
            patched += _pointed_at(elf, rows, symbols, target, code)
    return relocated, patched


def _pointed_at(
    elf: Elf, rows: list[Relocation], symbols: list[Symbol], table: Section, code: int
) -> list[tuple[int, int]]:
    """List where the entries of a table point to in the code."""
    size, length_at = _ALTERNATIVES[elf.machine]
    data = elf.data(table) if table.name == _ALTERNATIVE else b""
    places: list[tuple[int, int]] = []
    for offset, _, number, addend in rows:
        symbol = symbols[number]
        if symbol.section != code:
            continue
        length = _CALL_BYTES if table.name in _CALL_TABLES else _PATCHED_BYTES
        if data and offset % size == 0:
            length = max(data[offset + length_at], _PATCHED_BYTES)
        places.append((symbol.value + addend, length))
    return places
