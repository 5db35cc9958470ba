# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The GNU build id in a sequence of ELF notes.

Source: the System V ABI, "Note Section"; linux ``kernel/ksysfs.c`` (``/sys/kernel/notes`` is the ``.notes`` section
of vmlinux, with Xen's notes in front) and ``kernel/module/sysfs.c``.
"""

from __future__ import annotations

import struct

_GNU = b"GNU\0"
_BUILD_ID = 3
_MAX_ID = 64


def parse_build_id(notes: bytes) -> str | None:
    """Return the build id in hexadecimal, or None if no note has one or the sequence is damaged."""
    for order in ("<", ">"):
        found = _find(notes, order)
        if found is not None:
            return found
    return None


def _find(notes: bytes, order: str) -> str | None:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from(f"{order}III", notes, at)
        start = at + 12 + (name_size + 3) // 4 * 4
        end = start + size
        if end > len(notes):
            return None
        if kind == _BUILD_ID and notes[at + 12 : at + 12 + name_size] == _GNU and 0 < size <= _MAX_ID:
            return notes[start:end].hex()
        at = start + (size + 3) // 4 * 4
    return None
