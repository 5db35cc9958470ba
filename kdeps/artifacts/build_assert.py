# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every ``build_assert!`` that the optimiser left in an object file.

``build_assert!(CONDITION)`` calls ``rust_build_error`` where the condition does not hold, and the
symbol is exported by no kernel. So each call that is still in the machine code fails at modpost. The function is
``#[track_caller]``: the caller passes the text and a ``core::panic::Location`` {file, length, line, column}.
Both are constants, and the relocations before the call name them.

That location is the line of the assertion, often in an abstraction of the ``kernel`` crate. The line
of the driver is in the inline chain (``inline_chain``), for which the object needs debug information.

Source: linux ``rust/build_error.rs``, ``rust/kernel/build_assert.rs``; rust ``library/core/src/panic/location.rs``;
the relocation types of the x86-64 and AArch64 ABIs.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from kdeps.artifacts.object_file import ObjectFile, function_at
from kdeps.formats.elf import Relocation, Symbol

SYMBOL = "rust_build_error"
_PC_RELATIVE = {"x86-64": frozenset((2, 4, 9, 41, 42))}
"""Relocations whose addend counts from the end of the field: PC32, PLT32, GOTPCREL, GOTPCRELX, REX_GOTPCRELX."""
_CALLS = {"x86-64": frozenset((4,)), "arm64": frozenset((282, 283))}
"""PLT32; JUMP26 and CALL26."""
_LOCATION = struct.Struct("<QII")
_MAX_TEXT = 4096
_MAX_ARGUMENTS = 8
"""Relocations before the call that may be its arguments; arm64 has two for each."""
_WINDOW = 96
"""Bytes before the call in which the length of the text is loaded."""


class Location(NamedTuple):
    """Where an assertion is written."""

    file: str
    """As rustc wrote it."""
    line: int
    column: int


class Site(NamedTuple):
    """One call of ``rust_build_error``."""

    function: str
    """The mangled name of the function that has the call."""
    section: int
    offset: int
    """Of the call, from the start of the function."""
    text: str
    """The message; empty if the call passes none that could be read."""
    location: Location | None
    """None if the call passes none that could be read."""
    is_ambiguous: bool
    """Whether several assertions share this call."""


def find_sites(found: ObjectFile) -> tuple[Site, ...]:
    """Find every call of ``rust_build_error`` in an object file, by section and offset.

    A call that several assertions share comes once for each of them.
    """
    symbols = {at for at, symbol in enumerate(found.symbols) if symbol.name == SYMBOL and symbol.section == 0}
    if not symbols:
        return ()
    sites: list[Site] = []
    for section, relocations in sorted(found.relocations.items()):
        if not found.sections[section].is_code:
            continue
        functions = found.functions(section)
        for at, relocation in enumerate(relocations):
            if relocation.symbol in symbols:
                function = function_at(functions, relocation.offset)
                arguments = _arguments(found, relocations, at, function)
                sites += _sites(found, section, relocation, function, arguments)
    return tuple(sites)


def find_locations(found: ObjectFile, functions: frozenset[str]) -> frozenset[tuple[str, Location]]:
    """Find every location that some functions refer to, with the function.

    LLVM merges calls of one function into one call with several locations, so the call alone does not show all of them.
    """
    pairs: set[tuple[str, Location]] = set()
    for section, relocations in found.relocations.items():
        if not found.sections[section].is_code:
            continue
        inside = found.functions(section)
        for relocation in relocations:
            function = function_at(inside, relocation.offset)
            if function is None or function.name not in functions:
                continue
            place = _resolve(found, relocation)
            location = _location_at(found, *place) if place is not None else None
            if location is not None:
                pairs.add((function.name, location))
    return frozenset(pairs)


def _arguments(
    found: ObjectFile, relocations: tuple[Relocation, ...], at: int, function: Symbol | None
) -> list[Relocation]:
    """The relocations that may load an argument of a call, the nearest first.

    They end at the call before this one, because its arguments are its own.
    """
    start = function.value if function is not None else 0
    found_before: list[Relocation] = []
    for relocation in reversed(relocations[max(0, at - _MAX_ARGUMENTS) : at]):
        if relocation.offset < start or relocation.kind in _CALLS[found.machine]:
            break
        found_before.append(relocation)
    return found_before


def _sites(
    found: ObjectFile,
    section: int,
    call: Relocation,
    function: Symbol | None,
    arguments: list[Relocation],
) -> list[Site]:
    locations: list[Location] = []
    texts: list[tuple[int, int]] = []
    for relocation in arguments:
        place = _resolve(found, relocation)
        if place is None:
            continue
        location = _location_at(found, *place)
        if location is not None:
            locations.append(location)
        elif place not in texts:
            texts.append(place)
    distinct = list(dict.fromkeys(locations))
    start = function.value if function is not None else 0
    site = Site(
        function.name if function is not None else "",
        section,
        call.offset - start,
        _text_at(found, section, call.offset, texts),
        None,
        len(distinct) > 1 or len(texts) > 1,
    )
    return [site._replace(location=location) for location in distinct] or [site]


def _resolve(found: ObjectFile, relocation: Relocation) -> tuple[int, int] | None:
    """Find the section and offset that a relocation of code points to, if that is data of this object."""
    symbol = found.symbols[relocation.symbol]
    if not 0 < symbol.section < len(found.sections) or found.sections[symbol.section].is_code:
        return None
    addend = relocation.addend
    if relocation.kind in _PC_RELATIVE.get(found.machine, ()):
        addend += 4
    return symbol.section, symbol.value + addend


def _location_at(found: ObjectFile, section: int, offset: int) -> Location | None:
    """Read a ``core::panic::Location``; None if there is something else."""
    pointer = next((r for r in found.relocations.get(section, ()) if r.offset == offset), None)
    raw = found.sections[section].data[offset + 8 : offset + 24]
    if pointer is None or len(raw) != _LOCATION.size:
        return None
    length, line, column = _LOCATION.unpack(raw)
    symbol = found.symbols[pointer.symbol]
    if not 0 < symbol.section < len(found.sections) or not (0 < length < _MAX_TEXT and line and column):
        return None
    start = symbol.value + pointer.addend
    name = _decode(found.sections[symbol.section].data[start : start + length])
    if name is None or len(name.encode()) != length:
        return None
    return Location(name, line, column)


def _decode(raw: bytes) -> str | None:
    """Decode a text for people. Returns None if the bytes are no such text."""
    try:
        text = raw.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\n\t" for char in text) else None


def _text_at(found: ObjectFile, section: int, call: int, places: list[tuple[int, int]]) -> str:
    """Read the message. Its length is loaded into the second argument's register before the call."""
    code = found.sections[section].data[max(0, call - _WINDOW) : call]
    lengths = _arm64_lengths(code) if found.machine == "arm64" else _x86_lengths(code)
    for text_section, offset in places:
        data = found.sections[text_section].data
        for length in lengths:
            text = _decode(data[offset : offset + length])
            if text is not None and len(text.encode()) == length:
                return text
        text = _decode(data[offset : offset + _MAX_TEXT].partition(b"\0")[0][:200])
        if text:
            return text
    return ""


def _x86_lengths(code: bytes) -> list[int]:
    """The constants that ``mov esi, imm32`` loads, the nearest first."""
    found = []
    for at in range(len(code) - 5, -1, -1):
        opcode = 1 if code[at] == 0xBE else 3 if code[at : at + 3] == b"\x48\xc7\xc6" else 0
        if opcode and at + opcode + 4 <= len(code):
            found.append(int.from_bytes(code[at + opcode : at + opcode + 4], "little"))
    return [length for length in found if 0 < length < _MAX_TEXT]


def _arm64_lengths(code: bytes) -> list[int]:
    """The constants that ``mov w1, #imm`` or ``mov x1, #imm`` loads, the nearest first."""
    words = [word for (word,) in struct.iter_unpack("<I", code[len(code) % 4 :])]
    found = [word >> 5 & 0xFFFF for word in reversed(words) if word & 0x7FE0001F == 0x52800001]
    return [length for length in found if 0 < length < _MAX_TEXT]
