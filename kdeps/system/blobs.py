# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Copies of files in the cache, each under the SHA-256 of its content.

A copy is verified whenever it is read; a damaged one is deleted. Two processes may keep the same content at
once, because a copy gets its name when it is complete. Deleting any of
them costs time, never correctness.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from kdeps.system.cache import LIMITS, open_folder
from kdeps.system.files import open_unbuffered
from kdeps.system.stream import hash_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import IO

KIND = "blobs"
SPARE_BYTES = 1 << 30
"""How much of the disk is left to others."""
_FICLONE = 0x40049409
"""Source: Linux ``include/uapi/linux/fs.h``."""
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Blobs:
    """The copies that this user has. Keeping one never fails; it may be left out."""

    def __init__(self, environ: dict[str, str], *, create: bool = False) -> None:
        """Open the folder. Raises OSError: there is no such folder, or it is not private."""
        self._folder = open_folder(environ, KIND, create=create)

    def close(self) -> None:
        os.close(self._folder)

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has_all(self, digests: Iterable[bytes]) -> bool:
        """Whether there is a copy of each content."""
        try:
            return all(os.access(digest.hex(), os.R_OK, dir_fd=self._folder) for digest in digests)
        except OSError:
            return False

    def keep(self, path: str, digest: bytes) -> bool:
        """Copy a file whose content has a hash; tell whether a copy of that content is there now."""
        if self.has_all((digest,)):
            return True
        try:
            with open_unbuffered(path) as source:
                size_bytes = os.fstat(source.fileno()).st_size
                return self.receive(
                    digest, lambda target: _copy(source.fileno(), target) == digest, size_bytes
                )
        except OSError:
            return False

    def receive(self, digest: bytes, fill: Callable[[int], bool], size_bytes: int = 0) -> bool:
        """Let a copy be written; tell whether it is there now.

        ``fill`` writes it into a descriptor, and tells whether it was this content. What it raises is raised, but for
        an OSError.
        """
        name = digest.hex()
        temporary = f"{name}.{os.getpid()}.new"
        try:
            room = os.statvfs(self._folder)
            if room.f_bavail * room.f_frsize < SPARE_BYTES + size_bytes:
                return False
            _remove(temporary, self._folder)  # left by a killed process that had our number
            target = os.open(temporary, _CREATE, 0o600, dir_fd=self._folder)
            try:
                same = fill(target)
            finally:
                os.close(target)
            if same:
                os.rename(temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                return True
        except OSError:
            return False
        finally:
            _remove(temporary, self._folder)
        return False

    def open_copy(self, digest: bytes) -> IO[bytes]:
        """Open a copy to read it. The caller compares the hash. Raises OSError: there is no such copy."""
        return os.fdopen(os.open(digest.hex(), _READ, dir_fd=self._folder), "rb")

    def copy_out(self, digest: bytes, path: str, mode: int) -> None:
        """Write a content to a new file.

        Raises OSError: there is no such copy, it was damaged, or the file is there or cannot be written.
        """
        name = digest.hex()
        source = os.open(name, _READ, dir_fd=self._folder)
        try:
            target = os.open(path, _CREATE, mode)
            try:
                if not stat.S_ISREG(os.fstat(source).st_mode) or _copy(source, target) != digest:
                    _remove(name, self._folder)
                    raise OSError(5, "the copy in the cache is damaged", name)
                os.fchmod(target, mode)
            except BaseException:
                os.unlink(path)
                raise
            finally:
                os.close(target)
            os.utime(source)  # used now; the oldest go first
        finally:
            os.close(source)

    def drop_old(self, keep_bytes: int = LIMITS[KIND]) -> None:
        """Delete what was used longest ago, until the rest has the size that is allowed."""
        found: list[tuple[int, int, str]] = []
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                about = entry.stat(follow_symlinks=False)
                found.append((about.st_mtime_ns, about.st_size, entry.name))
        total = 0
        for _, size_bytes, name in sorted(found, reverse=True):
            total += size_bytes
            if total > keep_bytes:
                _remove(name, self._folder)


def _copy(source: int, target: int) -> bytes:
    """Copy what one descriptor has to another, sharing blocks where the file system can; return the hash."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return hash_all(partial(os.read, source), target)
    return hash_all(partial(os.read, target))


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)
