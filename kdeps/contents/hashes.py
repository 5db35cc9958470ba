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
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.contents.digest import read_unchanged, why_not_hashed
from kdeps.system.cache import Store
from kdeps.system.files import AllowedRoots
from kdeps.system.stat import is_racy, stamp_of

_MAX_REMEMBERED = 100_000
_KEPT = 16
"""Of how many object trees the hashes are remembered; the one not used for longest goes first."""

Progress = Callable[[int], None]
"""Called with the number of bytes read so far."""


class FileHash(NamedTuple):
    """What is in one file."""

    digest: str
    """BLAKE2b, 160 bits, in hex; empty where the content is not known."""
    size: int = 0
    why: str = ""
    """Why the content is not known, for people; ``GONE`` and ``OUTSIDE`` have none."""


GONE = FileHash("gone")
"""There is no such file."""
OUTSIDE = FileHash("outside")
"""It is outside the roots, and the caller did not ask for files there."""


class FileHasher:
    """Hashes files, each once. One per run."""

    def __init__(
        self, roots: tuple[str, ...], environ: dict[str, str], key: str, progress: Progress | None = None
    ) -> None:
        """Remember what an earlier run knew of the object tree ``key``; files are read below the real folders
        ``roots`` alone.
        """
        self._fence = AllowedRoots(roots)
        self._known: dict[str, FileHash] = {}
        self._progress = progress
        self.bytes_read = 0
        self._key = key
        self._store = Store("hashes", environ, keep=_KEPT)
        saved = self._store.load(key)
        self._remembered: dict[str, list[int | str]] = {} if saved is None else json.loads(saved)
        self._new: dict[str, list[int | str]] = {}

    def read(self, path: str) -> FileHash:
        """What is in a file now, or was when it was first asked for."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._look(path)
        return known

    def _look(self, path: str) -> FileHash:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return GONE
        except (OSError, ValueError) as error:
            return FileHash("", 0, _why(error))
        if not self._fence.contains(path):
            return OUTSIDE
        if why := why_not_hashed(found):
            return FileHash("", found.st_size, why)
        remembered = self._remembered.get(path)
        if remembered is not None and remembered[1:] == list(stamp_of(found)):
            self._new[path] = remembered
            return FileHash(str(remembered[0]), found.st_size)
        started = time.time_ns()
        digest = hashlib.blake2b(digest_size=20)

        def take(piece: memoryview) -> None:
            digest.update(piece)
            self.bytes_read += len(piece)
            if self._progress is not None:
                self._progress(self.bytes_read)

        try:
            after = read_unchanged(path, take)
        except OSError as error:
            return FileHash("", 0, _why(error))
        if not is_racy(stamp_of(after), started):
            self._new[path] = [digest.hexdigest(), *stamp_of(after)]
        return FileHash(digest.hexdigest(), after.st_size)

    def store(self) -> None:
        """Remember what was read, in one rename; not being able to costs time, never correctness."""
        kept = {**self._remembered, **self._new}
        if kept == self._remembered:
            return
        if len(kept) > _MAX_REMEMBERED:
            kept = self._new
        self._store.save(self._key, json.dumps(kept, separators=(",", ":")).encode())


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
