# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``Module.symvers``: the exported symbols, their modules and versions; and the versions that a module records.

A line is ``CRC<TAB>SYMBOL<TAB>MODULE<TAB>EXPORT TYPE<TAB>NAMESPACE``; without MODVERSIONS every CRC is 0.

Source: linux ``scripts/mod/modpost.c`` (``write_dump``, ``add_versions``, ``add_extended_versions``),
``kernel/module/version.c``.
"""

from __future__ import annotations

import re
import struct

from kdeps import TYPE_CHECKING

if TYPE_CHECKING:
    from kdeps.formats.elf import Elf

_LINE = re.compile(
    rb"0x[0-9a-fA-F]{1,16}\t[^\t\0]+\t"
    rb"(?:[^\t\0]+(?:\tEXPORT_\w+(?:\t[^\t\0]*)?)?|[^\t\0]*\t[^\t\0]+\tEXPORT_\w+)"
)
"""Module, export and namespace behind the symbol; in 5.4 to 5.7 the namespace came first."""


def parse_symvers(text: str) -> dict[str, int]:
    """Read the CRC of each symbol in a line that is whole; if it stands there twice the last, as modpost does."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        columns = line.split("\t")
        if len(columns) < 3:
            continue
        try:
            found[columns[1]] = int(columns[0], 16)
        except ValueError:
            continue
    return found


def find_garbled_line(data: bytes) -> int | None:
    """Return the number of the first line that no list of symbols has, or None.

    modpost stops at most of them, and takes a NUL for the end of the list.
    """
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return next((at for at, line in enumerate(lines, start=1) if not _LINE.fullmatch(line)), None)


def has_garbled_end(head: bytes, tail: bytes) -> bool:
    """Whether the first or the last bytes of a file show that it is no list of symbols. Lines that they cut do not count."""
    whole = head == tail
    parts = [head] if whole else [head.rpartition(b"\n")[0], tail.partition(b"\n")[2]]
    return any(find_garbled_line(part) is not None for part in parts)


def parse_versions(elf: Elf) -> dict[str, int]:
    """The versions of the symbols that a module wants, as of when it was linked; none without MODVERSIONS."""
    found: dict[str, int] = {}
    word = "Q" if elf.wide else "I"
    size = 64
    table = elf.bytes_of("__versions")
    for at in range(0, len(table) - size + 1, size):
        (crc,) = struct.unpack_from(f"{elf.order}{word}", table, at)
        name = table[at + struct.calcsize(word) : at + size].partition(b"\0")[0]
        if name:
            found[name.decode("utf-8", "replace")] = crc
    crcs, names = elf.bytes_of("__version_ext_crcs"), elf.bytes_of("__version_ext_names").split(b"\0")
    for at, name in zip(range(0, len(crcs) - 3, 4), names, strict=False):
        if name:
            (found[name.decode("utf-8", "replace")],) = struct.unpack_from(f"{elf.order}I", crcs, at)
    return found
