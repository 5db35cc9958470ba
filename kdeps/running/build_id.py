# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""GNU build ids: of a file, of what is loaded, and whether they differ.

Two small reads for each module, for commands that have no time; ``judge`` has the whole answer.

Source: the System V ABI, "Note Section"; linux ``kernel/ksysfs.c`` (``/sys/kernel/notes`` is the ``.notes`` section
of vmlinux, with Xen's notes in front) and ``kernel/module/sysfs.c``.
"""

from __future__ import annotations

import os
import struct

from kdeps.formats.elf import parse_elf
from kdeps.system.files import open_nonblocking, read_bytes

_MAX_NOTE = 4096
_GNU = b"GNU\0"
_BUILD_ID = 3
_MAX_ID = 64


def find_other_loaded(paths: list[str], sysfs: str = "/sys") -> list[str]:
    """Find the modules, by the kernel's names, that are loaded from another build than their uncompressed ``.ko``
    file.

    A module that is not loaded, and one of which the file or the kernel shows no build id, is left out.
    """
    found = []
    for path in paths:
        name = os.path.basename(path).removesuffix(".ko").replace("-", "_")
        loaded = parse_build_id(read_bytes(f"{sysfs}/module/{name}/notes/.note.gnu.build-id", _MAX_NOTE))
        if loaded is not None and (read_file_id(path) or loaded) != loaded:
            found.append(name)
    return found


def read_file_id(path: str) -> str | None:
    """Return the build id of an uncompressed module or of a ``vmlinux``; None if it cannot be read or has none."""
    try:
        descriptor = open_nonblocking(path, os.O_RDONLY)
    except (OSError, ValueError):
        return None
    try:
        elf = parse_elf(lambda at, size: os.pread(descriptor, size, at))
        if elf is None:
            return None
        return parse_build_id((elf.bytes_of(".note.gnu.build-id") or elf.bytes_of(".notes"))[:_MAX_NOTE])
    except (OSError, ValueError, OverflowError):
        return None
    finally:
        os.close(descriptor)


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
