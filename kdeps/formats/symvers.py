# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``Module.symvers``: the exported symbols, their modules and versions; and the versions that a module records.

A line is ``CRC<TAB>SYMBOL<TAB>MODULE<TAB>EXPORT TYPE<TAB>NAMESPACE``; without MODVERSIONS every CRC is 0.

Source: linux ``scripts/mod/modpost.c`` (``write_dump``, ``add_versions``, ``add_extended_versions``),
``kernel/module/version.c``.
"""

from __future__ import annotations

import struct

from kdeps.formats.elf import Elf


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
