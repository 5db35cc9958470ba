# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Is another build of a module loaded than its file? Two small reads, for commands that have no time.

``kdeps make`` and ``kdeps watch`` use this; ``judge`` has the whole answer.
"""

from __future__ import annotations

import os

from kdeps.formats.elf import parse_elf
from kdeps.running.notes import parse_build_id
from kdeps.system.files import open_nonblocking, read_bytes

_MAX_NOTE = 4096


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
