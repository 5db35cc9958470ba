# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Reading artifacts that somebody else may have put there: plain files below the trees, and no byte beyond."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from kdeps.ci.contents import Fence
from kdeps.formats.elf import Elf, parse_elf
from kdeps.formats.metadata import Metadata, parse_library_metadata, parse_metadata
from kdeps.formats.symvers import Export, parse_symvers
from kdeps.tree import open_nonblocking

_MAX_SYMVERS = 64 << 20


@contextmanager
def opened(path: str, fence: Fence) -> Iterator[int | None]:
    """Open a plain file below the trees; ``None``: there is none, or it cannot be read, which the fence then knows."""
    descriptor = None
    try:
        if fence.encloses(path):
            descriptor = open_nonblocking(path, os.O_RDONLY)
            found = os.fstat(descriptor)
            fence.looked.setdefault(path, found.st_ctime_ns)
            if not stat.S_ISREG(found.st_mode):
                os.close(descriptor)
                descriptor = None
                fence.unread[path] = "not a plain file"
    except (FileNotFoundError, NotADirectoryError, ValueError):
        descriptor = None
    except OSError as error:
        fence.unread[path] = error.strerror or str(error)
    fence.looked.setdefault(path, None)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def opened_elf(path: str, fence: Fence) -> Iterator[Elf | None]:
    """Open an object file; ``None``: it is none, or damaged."""
    with opened(path, fence) as descriptor:
        yield None if descriptor is None else parse_elf(lambda at, size: pread(descriptor, at, size))


def pread(descriptor: int, at: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, at)
    except (OSError, ValueError, OverflowError):
        return b""


def read_metadata(path: str, fence: Fence) -> Metadata | None:
    """What a crate says of itself; ``None``: it is none, or in a layout that is not known."""
    if path.endswith(".so"):
        with opened_elf(path, fence) as elf:
            return None if elf is None else parse_library_metadata(elf)
    with opened(path, fence) as descriptor:
        return None if descriptor is None else parse_metadata(lambda at, size: pread(descriptor, at, size))


def read_symvers(path: str, fence: Fence) -> dict[str, Export]:
    """A ``Module.symvers`` by symbol; nothing where there is none."""
    with opened(path, fence) as descriptor:
        data = pread(descriptor, 0, _MAX_SYMVERS) if descriptor is not None else b""
    return parse_symvers(data.decode("utf-8", "replace"))
