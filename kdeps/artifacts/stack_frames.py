# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How much stack each function of a Rust object takes.

C has ``-Wframe-larger-than`` with ``CONFIG_FRAME_WARN``; rustc has no such warning. But LLVM writes the size of each
frame into ``.stack_sizes`` if it is asked, so the recorded command runs again with that, and once more with line tables.

Source: LLVM ``AsmPrinter::emitStackSizeSection``; linux ``scripts/Makefile.warn`` (C only).
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple

from kdeps.artifacts.inline_chain import InlineChains
from kdeps.artifacts.object_file import ObjectError, ObjectFile, function_at, parse_object
from kdeps.artifacts.rust_object import RustObject, find_source, rebuild

_SIZES = ("-Zemit-stack-sizes",)
_LINES = ("-Cdebuginfo=line-tables-only",)
_CLANG_FLAGS = ("-fstack-size-section",)
_SECTION = ".stack_sizes"
_LIMIT = re.compile(r"^CONFIG_FRAME_WARN=(\d+)$", re.MULTILINE)


class StackFrame(NamedTuple):
    """The frame of one function."""

    size: int
    """In bytes, with the saved registers and without the return address."""
    function: str
    """Mangled."""
    path: str
    """The object."""
    file: str
    """Where the function is written; empty if the debug information does not have it."""
    line: int


def parse_limit(auto_conf: str) -> int:
    """Read ``CONFIG_FRAME_WARN``; 0 if the configuration sets no limit."""
    match = _LIMIT.search(auto_conf)
    return int(match[1]) if match else 0


def measure_frames(rust: RustObject, environ: dict[str, str]) -> tuple[StackFrame, ...]:
    """Measure every function of an object, the largest frame first.

    Raises:
        ReplayError: The recorded command cannot run again.
        ObjectError: The new object cannot be read.
    """
    found = parse_object(rebuild(rust, environ, _SIZES, _CLANG_FLAGS), rust.path)
    lines = _find_lines(rust, environ)
    frames = []
    for _, function, size in read_stack_sizes(found):
        file, line = lines.get(function, ("", 0))
        frames.append(StackFrame(size, function, rust.path, file, line))
    return tuple(sorted(frames, key=lambda frame: (-frame.size, frame.function)))


def _find_lines(rust: RustObject, environ: dict[str, str]) -> dict[str, tuple[str, int]]:
    """Find where each function is written.

    With line tables LLVM merges other functions than without, so the sizes are not taken from this object.
    """
    data = rebuild(rust, environ, _LINES)
    lines: dict[str, tuple[str, int]] = {}
    with suppress(ObjectError):  # an object without any code has no line tables
        chains = InlineChains(data, rust.path)
        for symbol in parse_object(data, rust.path).symbols:
            place = chains.find_declaration(symbol.name, symbol.section) if symbol.is_function else None
            if place is not None:
                lines[symbol.name] = (find_source(rust, place.file), place.line)
    return lines


def read_stack_sizes(found: ObjectFile) -> list[tuple[int, str, int]]:
    """Read the sections ``.stack_sizes``: section, function and size of each frame.

    Raises ObjectError: a section is cut off.
    """
    frames: list[tuple[int, str, int]] = []
    for at, section in enumerate(found.sections):
        if section.name != _SECTION:
            continue
        for relocation in found.relocations.get(at, ()):
            symbol = found.symbols[relocation.symbol]
            start = symbol.value + relocation.addend
            function = function_at(found.functions(symbol.section), start)
            if function is not None:
                size = _uleb128(section.data, relocation.offset + 8, found.path)
                frames.append((symbol.section, function.name, size))
    return frames


def _uleb128(data: bytes, at: int, path: str) -> int:
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if not byte & 0x80:
            return value
    raise ObjectError(f"{path}: its section {_SECTION} is cut off; remove it and build again")
