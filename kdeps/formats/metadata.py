# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The beginning of a crate's metadata: which build of the crate it is, for which target, and built upon which.

A ``.rmeta`` begins ``rust\\0\\0\\0``, a version, the place of the *root*, and the compiler. Then, with a rustc
of the last years, come the crates it was compiled against, each with its name and its *strict
version hash* (SVH): a hash of everything in a crate that another one can see. The root, near the end,
begins with the target and the crate's own SVH. rustc refuses a crate whose SVH is not the one that was
compiled against (E0460); nothing but the SVH tells two builds apart, for times do not.

The layout is rustc's own affair. So nothing here is taken apart that does not have to be, every
part is checked for what it must look like, and whatever looks otherwise says nothing.

Source: rustc ``compiler/rustc_metadata/src/rmeta/{mod,encoder}.rs`` (``METADATA_HEADER``, ``CrateHeader``,
``CrateDep``), ``compiler/rustc_span/src/def_id.rs``; seen with 1.85.1 (version 9).
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from kdeps.formats.elf import Elf, Read, find_metadata_compiler

_MAGIC = b"rust\0\0\0"
_OLDEST, _NEWEST = 9, 10
"""Before 9 the place of the root was written in another way."""
_SENTINEL = 0xC1
_SVH_BYTES = 16
_HEAD_BYTES = 64 << 10
"""Where the crates it was built upon stand; a crate has a dozen of them, of some 30 bytes each."""
_MAX_TARGET = 16 << 10
_TRIPLE = re.compile(rb"[A-Za-z0-9_.-]{1,100}")


class Metadata(NamedTuple):
    """What the metadata of one crate says of itself."""

    compiler: str
    """As ``rustc --version`` has it, without the first word."""
    svh: bytes
    """Which build of the crate it is."""
    target: str
    """The name of the target."""
    specification: str
    """What the target's JSON file held; empty for a target that rustc knows itself."""
    upon: tuple[tuple[str, bytes], ...]
    """Name and SVH of every crate that it was compiled against. The name is empty where rustc has a number for it."""

    def was_built_upon(self, crate: str, svh: bytes) -> bool | None:
        """Whether a crate was compiled against this build of another one; ``None``: it does not name it."""
        if any(known == svh for _, known in self.upon):
            return True
        return False if any(name == crate for name, _ in self.upon) else None


def parse_metadata(read: Read) -> Metadata | None:
    """Read the beginning of a crate's metadata; ``None``: it is none, or of a layout that is not known."""
    head = read(0, _HEAD_BYTES)
    compiler = find_metadata_compiler(head)
    if compiler is None or len(head) < 16 or not _OLDEST <= head[len(_MAGIC)] <= _NEWEST:
        return None
    (root,) = struct.unpack_from("<Q", head, 8)
    if not 16 <= root < 1 << 40:
        return None
    try:
        return _root(read(root, _MAX_TARGET), compiler, _crates(head))
    except (IndexError, ValueError):
        return None


def _crates(head: bytes) -> tuple[tuple[str, bytes], ...]:
    """Read the crates behind the compiler's name, as long as they look like crates."""
    _, at = _string(head, 16)
    found: list[tuple[str, bytes]] = []
    try:
        while True:
            name, at = _symbol(head, at)
            svh = head[at : at + _SVH_BYTES]
            at += _SVH_BYTES
            if head[at] > 1:  # the hash of the same crate for the host, seldom there
                break
            at += 1 + (_SVH_BYTES if head[at] else 0)
            kind, at = head[at], at + 1
            _, at = _string(head, at)  # what the file's name has besides
            private, at = head[at], at + 1
            if kind > 2 or private > 1 or len(svh) < _SVH_BYTES:
                break
            found.append((name, svh))
    except (IndexError, ValueError):
        pass
    return tuple(found)


def _symbol(data: bytes, at: int) -> tuple[str, int]:
    """An identifier: itself, where it stands, or the number of one that rustc knows (``core``, ``ffi``)."""
    kind = data[at]
    if kind == 0:
        text, at = _string(data, at + 1)
        return text.decode("utf-8"), at
    if kind > 2:
        raise ValueError("symbol")
    place, at = _number(data, at + 1)
    return (_string(data, place)[0].decode("utf-8") if kind == 1 else ""), at


def _root(text: bytes, compiler: str, upon: tuple[tuple[str, bytes], ...]) -> Metadata | None:
    kind = text[0]
    triple, at = _string(text, 1)
    specification = b""
    if kind == 1:
        specification, at = _string(text, at)
        if not specification.lstrip().startswith(b"{"):
            return None
    if kind > 1 or not _TRIPLE.fullmatch(triple):
        return None
    svh = text[at : at + _SVH_BYTES]
    # Zeros would be found anywhere.
    if len(svh) < _SVH_BYTES or len(set(svh)) < 4:
        return None
    return Metadata(compiler, svh, triple.decode("ascii"), specification.decode("utf-8"), upon)


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """One string: its length (LEB128), its bytes, and a byte that no text can have."""
    length, at = _number(data, at)
    if data[at + length] != _SENTINEL:
        raise ValueError("string")
    return data[at : at + length], at + length + 1


def _number(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift <= 28:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("number")


def parse_library_metadata(elf: Elf) -> Metadata | None:
    """The same, of a procedural macro: its metadata is a section of the shared library.

    Source: rustc ``compiler/rustc_codegen_ssa/src/back/metadata.rs``: the same eight bytes and a length go before it.
    """
    section = next((section for section in elf.sections if section.name == ".rustc"), None)
    if section is None or elf.read(section.offset, len(_MAGIC)) != _MAGIC:
        return None
    start, end = section.offset + 16, section.offset + section.size
    return parse_metadata(lambda at, size: elf.read(start + at, max(0, min(size, end - start - at))))
