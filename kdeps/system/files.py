# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Open files to read them, without waiting, and write the files that the user asks for.

Other modules open no files of a tree by themselves: in the place of a file there may be a FIFO, and
opening a FIFO waits for its writer.
"""

from __future__ import annotations

import errno
import io
import os
import stat

from kdeps.system.errors import KdepsError

_SYSTEM = ("/dev/", "/proc/")
"""Names here are ways to what is open already; a file put in their place would be a new one."""


def write_file(path: str, data: bytes) -> None:
    """Write a file whole or not at all, because another program may read it; a link to one stays a link.

    Where a file can be written and not replaced it is written in place.

    What is no plain file (a device, a pipe) is written into, and what is this program's own output
    (``/dev/stderr``, even where that is a log with the words of others in it) is written on.

    Raises KdepsError: it cannot be written.
    """
    if not path:
        raise KdepsError("an empty name of a file to write; is a variable in the command empty?")
    try:
        own = _own_output(path)
        if own is not None or not _is_replaceable(path) or not _replace(os.path.realpath(path), data):
            with open(path if own is None else own, "wb", closefd=own is None) as file:
                file.write(data)
    except OSError as error:
        raise KdepsError(f"{path}: cannot be written: {error.strerror}") from error


def list_names(folder: str) -> list[str]:
    """List the names in a folder, sorted; none if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _own_output(path: str) -> int | None:
    """Which of our own outputs a path leads to."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except OSError:
            continue
    return None


def _is_replaceable(path: str) -> bool:
    folder = os.path.realpath(os.path.dirname(path) or ".")
    if f"{folder}/".startswith(_SYSTEM):
        return False
    return os.path.isfile(path) or not os.path.exists(path)


def _replace(path: str, data: bytes) -> bool:
    """Put a new file in the place of another one; ``False`` where only the old one can be written into.

    Its folder may be read-only for this user, and a mounted file (``docker -v``) cannot be replaced.
    """
    import tempfile  # and what it imports: more than all the rest of a check

    folder, name = os.path.split(path)
    is_there = os.path.isfile(path)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    except OSError as error:
        if is_there and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return False
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException as error:
        os.unlink(temporary)
        if is_there and isinstance(error, OSError) and error.errno in (errno.EBUSY, errno.EXDEV, errno.EPERM):
            return False  # a mounted file; or another user's file in a folder like /tmp
        raise
    return True


def read_text(path: str, limit: int = 1 << 24) -> str:
    """Return the text of a file, or its first bytes; empty if it cannot be read."""
    return read_bytes(path, limit).decode("utf-8", "surrogateescape")


def read_bytes(path: str, limit: int = 1 << 24) -> bytes:
    """Return what is in a file, or its first bytes; empty if it cannot be read."""
    try:
        with open_to_read(path) as file:
            return file.read(limit) or b""
    except OSError:
        return b""


def open_to_read(path: str) -> io.BufferedReader:
    """Open a file that others may have put there, to read it. Never waits.

    Raises OSError: it cannot be opened, or it is a FIFO.
    """
    return io.BufferedReader(open_unbuffered(path))


def open_unbuffered(path: str) -> io.FileIO:
    """Open as ``open_to_read`` does, for who reads large pieces."""
    file = io.FileIO(path, "r", opener=open_nonblocking)
    if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.ENXIO, "not a file", path)
    return file


def read_ends(path: str, head: int, tail: int) -> tuple[bytes, bytes] | None:
    """Read the first and the last bytes of a file; None if it cannot be read."""
    try:
        descriptor = open_nonblocking(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, head, 0), os.pread(descriptor, tail, max(0, size - tail))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def open_nonblocking(path: str, flags: int) -> int:
    """Open without waiting: a fifo in the place of a file must not hang kdeps."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def discard_output(*descriptors: int) -> None:
    """Point descriptors at ``/dev/null``: what is written to them from now on goes nowhere and never waits."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


class AllowedRoots:
    """Tells what is below some roots, symbolic links resolved, and remembers what was read there."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = tuple(f"{root.rstrip('/')}/" for root in roots)
        self._folders: dict[str, str] = {}
        self.ctimes: dict[str, int | None] = {}
        """Path → its ctime before it was read first; None if it could not be opened."""
        self.errors: dict[str, str] = {}
        """Path → why what is there could not be read."""

    def contains(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(folder)
        real = f"{real}/{name}"
        if os.path.islink(real):
            real = os.path.realpath(real)
        return real.startswith(self._roots)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, perhaps by a link; no link that leads up again, where the same would follow."""
    if not entry.is_symlink():
        return entry.is_dir(follow_symlinks=False)
    try:
        here = os.path.realpath(os.path.dirname(entry.path))
        return entry.is_dir() and not f"{here}/".startswith(f"{os.path.realpath(entry.path)}/")
    except OSError:
        return False
