# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Reading artifacts that other users may have put there: plain files below the trees only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from kdeps.formats.elf import Elf, parse_elf
from kdeps.formats.symvers import find_garbled_line, parse_symvers
from kdeps.system.files import AllowedRoots, open_nonblocking

_MAX_SYMVERS = 64 << 20


@contextmanager
def opened(path: str, fence: AllowedRoots) -> Iterator[int | None]:
    """Open a plain file below the trees. Returns None if it does not exist.

    Returns None, too, if it cannot be read; the reason is then in the errors of ``fence``.
    """
    descriptor = None
    try:
        if fence.contains(path):
            descriptor = open_nonblocking(path, os.O_RDONLY)
            found = os.fstat(descriptor)
            fence.ctimes.setdefault(path, found.st_ctime_ns)
            if not stat.S_ISREG(found.st_mode):
                os.close(descriptor)
                descriptor = None
                fence.errors[path] = "not a plain file"
    except (FileNotFoundError, NotADirectoryError, ValueError):
        descriptor = None
    except OSError as error:
        fence.errors[path] = error.strerror or str(error)
    fence.ctimes.setdefault(path, None)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def opened_elf(path: str, fence: AllowedRoots) -> Iterator[Elf | None]:
    """Open an object file. Returns None if it is not an object file, or damaged."""
    with opened(path, fence) as descriptor:
        yield None if descriptor is None else parse_elf(lambda at, size: pread(descriptor, at, size))


def pread(descriptor: int, at: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, at)
    except (OSError, ValueError, OverflowError):
        return b""


def read_symvers(path: str, fence: AllowedRoots) -> dict[str, int]:
    """Read a ``Module.symvers`` by symbol; empty if the file is missing."""
    with opened(path, fence) as descriptor:
        data = pread(descriptor, 0, _MAX_SYMVERS) if descriptor is not None else b""
    garbled = find_garbled_line(data)
    if garbled is not None:
        fence.errors[path] = f"line {garbled} is none of a list of symbols"
    return parse_symvers(data.decode("utf-8", "replace"))
