# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Hashes of files, each read once and only where its stamp is unknown.

A hash is kept with device, inode, size, mtime and ctime. A file that changed so shortly
before it was read that its stamp could stay the same after another change is racy: its
hash counts for this run only (git's rule for racily clean files).
"""

from __future__ import annotations

import errno
import os
import stat
import time

from kdeps import TYPE_CHECKING
from kdeps.contents.memory import GONE
from kdeps.system.files import open_unbuffered
from kdeps.system.stat import COARSE_NS, Stamp, is_racy, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BYTES = 4 << 30
"""The largest file that is hashed; a vmlinux.o with debug information has some hundred MB."""
_WRITTEN_NS = 100_000_000
"""How long it may take to write a record."""
_CHUNK = 1 << 20


def is_copied(record: str) -> bool:
    """Whether a record was copied, unpacked or given away since Kbuild wrote it.

    Kbuild writes a record at once, and nothing touches it later. If its ctime is later than its mtime,
    the ctimes around it are those of a copy, and do not tell when anything was made.
    """
    try:
        stamp = stamp_of(os.stat(record))
    except OSError:
        return False
    late_ns = stamp[4] - stamp[3]
    if late_ns > (COARSE_NS if stamp[4] % 1_000_000 == 0 else _WRITTEN_NS):
        return True
    if late_ns <= 0:
        return False
    # ``make && cp -a`` copies the last records at once; nothing is born after it was written.
    from kdeps.system.birth import birth_times

    times = birth_times(record)
    return times is not None and times.birth_ns > times.mtime_ns


def why_not_hashed(st: os.stat_result) -> str:
    """Say why no file like this is read; empty: it is."""
    if not stat.S_ISREG(st.st_mode):
        return "not a plain file"
    return f"too large to hash ({st.st_size >> 20} MB)" if st.st_size > MAX_BYTES else ""


def read_unchanged(path: str, take: Callable[[memoryview], object]) -> os.stat_result:
    """Read a whole file, piece by piece; return what stat says of it.

    Raises OSError: it cannot be read, or not as it was a moment before.
    """
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with open_unbuffered(path) as file:
        before = os.fstat(file.fileno())
        if why := why_not_hashed(before):
            raise OSError(errno.EINVAL, why, path)
        size_bytes = 0
        while (count := file.readinto(buffer)) and size_bytes <= MAX_BYTES:
            take(view[:count])
            size_bytes += count
        after = os.fstat(file.fileno())
    if stamp_of(before) != stamp_of(after) or size_bytes != after.st_size:
        raise OSError(errno.EIO, "it changed while it was read", path)
    return after


class Hasher:
    """Hashes files. One per run."""

    def __init__(self, known: Mapping[str, tuple[Stamp, bytes]]) -> None:
        self._known = known
        self._seen: dict[str, tuple[Stamp | None, bytes | None]] = {}
        self.racy: set[str] = set()
        """Paths whose hash must not be remembered."""

    def look(self, path: str, st: os.stat_result | None = None) -> tuple[Stamp | None, bytes | None]:
        """Return stamp and hash of a file; ``st`` is what stat said of it a moment ago, if the caller has it.

        ``(None, GONE)`` means that there is no such file, ``(None, None)`` that its content cannot be known.
        """
        seen = self._seen.get(path)
        if seen is None:
            seen = self._seen[path] = self._look(path, st)
        return seen

    def _look(self, path: str, st: os.stat_result | None) -> tuple[Stamp | None, bytes | None]:
        try:
            st = st or os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None, GONE
        except (OSError, ValueError):
            return None, None
        if why_not_hashed(st):
            return None, None
        stamp = stamp_of(st)
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known
        return self._hash(path, stamp)

    def _hash(self, path: str, stamp: Stamp) -> tuple[Stamp | None, bytes | None]:
        import hashlib

        digest = hashlib.sha256()
        started_ns = time.time_ns()
        try:
            after = stamp_of(read_unchanged(path, digest.update))
        except OSError:
            return None, None
        if after != stamp:
            return None, None  # it changed since it was judged
        if is_racy(stamp, started_ns):
            self.racy.add(path)
        return stamp, digest.digest()
