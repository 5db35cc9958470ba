# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is in a file, by its hash: read only where stat cannot tell, and only below known roots.

The hash of a file is remembered with what stat said: inode, size, mtime and ctime. The
ctime is what counts, for nobody can set it: ``touch -d``, ``cp -p`` and ``rsync -t`` give a file
any mtime they like. A file that changed so shortly before it was read that it
could change again within the same tick of its stamps is not remembered (git's
rule for racily clean files, with a tick of two seconds, the coarsest there is).

A path comes from a record, and a record may name anything. Nothing outside the
roots is opened, symbolic links resolved; nothing that is not a plain file is read, and
nothing huge; a fifo or a device in the place of a file keeps nobody waiting.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.cache import cache_directory, store
from kdeps.tree import open_nonblocking

MAX_BYTES = 2 << 30
"""The largest file that is hashed. libcore.rmeta has 63 MB, a vmlinux.o with debug information some hundred."""
RACY_NS = 2_100_000_000
"""FAT stamps in steps of two seconds; a container layer may have cut the nanoseconds off."""
_HEAD = b"kdeps-hashes 1 "
_CHUNK = 1 << 20
_MAX_REMEMBERED = 100_000

Progress = Callable[[int], None]
"""Called with the number of bytes read so far."""


class Content(NamedTuple):
    """What is in one file."""

    digest: str
    """BLAKE2b, 160 bits, in hex; empty where the content is not known."""
    size: int = 0
    why: str = ""
    """Why the content is not known, for people; ``GONE`` and ``OUTSIDE`` have none."""


GONE = Content("gone")
"""There is no such file."""
OUTSIDE = Content("outside")
"""It lies outside the roots, and nobody asked to look there."""


class Fence:
    """Tells what lies below some roots, symbolic links resolved, and remembers what was read there."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = tuple(f"{root.rstrip('/')}/" for root in roots)
        self._folders: dict[str, str] = {}
        self.looked: dict[str, int | None] = {}
        """Path → its ctime before it was read first; ``None``: it could not be opened."""
        self.unread: dict[str, str] = {}
        """Path → why what is there could not be read."""

    def encloses(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(folder)
        real = f"{real}/{name}"
        if os.path.islink(real):
            real = os.path.realpath(real)
        return real.startswith(self._roots)


class Contents:
    """Hashes files, each once. One per run."""

    def __init__(
        self, roots: tuple[str, ...], environ: dict[str, str], key: str, progress: Progress | None = None
    ) -> None:
        """Remember what an earlier run knew.

        Args:
            roots: Folders below which files may be read; symbolic links resolved.
            environ: For the user's cache directory.
            key: What the memory is kept for: the object tree.
            progress: Whom to tell how far it is.
        """
        self._fence = Fence(roots)
        self._known: dict[str, Content] = {}
        self._progress = progress
        self.bytes_read = 0
        self.files_read = 0
        name = hashlib.blake2b(os.fsencode(key), digest_size=12).hexdigest()
        self._cache = os.path.join(cache_directory(environ), f"hashes-{name}")
        self._remembered = _load(self._cache)
        self._new: dict[str, list[int | str]] = {}

    def read(self, path: str) -> Content:
        """What is in a file now, or was when it was first asked for."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._look(path)
        return known

    def _look(self, path: str) -> Content:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return GONE
        except (OSError, ValueError) as error:
            return Content("", 0, _why(error))
        if not self._fence.encloses(path):
            return OUTSIDE
        if not stat.S_ISREG(found.st_mode):
            return Content("", 0, "not a plain file")
        if found.st_size > MAX_BYTES:
            return Content("", found.st_size, f"too large to hash ({found.st_size >> 20} MB)")
        remembered = self._remembered.get(path)
        if remembered is not None and remembered[1:] == _stamp(found):
            self._new[path] = remembered
            return Content(str(remembered[0]), found.st_size)
        return self._hash(path)

    def _hash(self, path: str) -> Content:
        started = time.time_ns()
        digest = hashlib.blake2b(digest_size=20)
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        try:
            with open(path, "rb", buffering=0, opener=open_nonblocking) as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    return Content("", 0, "not a plain file")
                size = 0
                while count := file.readinto(buffer):
                    digest.update(view[:count])
                    size += count
                    self.bytes_read += count
                    if size > MAX_BYTES:
                        return Content("", size, "too large to hash")
                    if self._progress is not None:
                        self._progress(self.bytes_read)
                after = os.fstat(file.fileno())
        except OSError as error:
            return Content("", 0, _why(error))
        self.files_read += 1
        if _stamp(before) != _stamp(after) or size != after.st_size:
            return Content("", size, "it changed while it was read")
        text = digest.hexdigest()
        if max(after.st_mtime_ns, after.st_ctime_ns) < started - RACY_NS:
            self._new[path] = [text, *_stamp(after)]
        return Content(text, size)

    def store(self) -> None:
        """Remember what was read, in one rename; not being able to costs time, never correctness."""
        kept = {**self._remembered, **self._new}
        if kept == self._remembered:
            return
        if len(kept) > _MAX_REMEMBERED:
            kept = self._new
        payload = json.dumps(kept, separators=(",", ":")).encode()
        store(self._cache, _HEAD + _checksum(payload) + b"\n" + payload)


def _stamp(found: os.stat_result) -> list[int | str]:
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=20).hexdigest().encode()


def _load(path: str) -> dict[str, list[int | str]]:
    """Read the memory; a foreign, cut off or damaged one is none."""
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            head, _, payload = file.read(64 << 20).partition(b"\n")
        if head != _HEAD + _checksum(payload):
            return {}
        loaded = json.loads(payload)
    except (OSError, ValueError):
        return {}
    if not isinstance(loaded, dict):
        return {}
    return {
        path: entry
        for path, entry in loaded.items()
        if isinstance(entry, list) and len(entry) == 5 and isinstance(entry[0], str)
    }


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
