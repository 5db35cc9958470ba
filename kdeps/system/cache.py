# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Everything that kdeps remembers between two runs: its folder, who may write it, and the format of its files.

Deleting any of it costs time, never correctness. So nothing here fails: what cannot be written is not
remembered, and a damaged file is a miss.

A kept answer decides that nothing is checked, so no other user may write one. The folder belongs to the user,
others cannot write to it or to the folder around it, and no link is followed. Otherwise nothing is remembered,
and ``find_problem`` says why. One file is one value::

    kdeps-cache 1 KIND VERSION\\n
    16 bytes BLAKE2 over version of kdeps and Python, kind, its version, key and value
    the value

This module is on the way of every ``kdeps make``: it imports nothing that Python has not loaded already.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys

from kdeps import __version__

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import blake2b

LIMITS = {"blobs": 960 << 20, "rules": 256 << 20, "builds": 128 << 20, "steps": 128 << 20}
"""How many bytes are kept of the kinds that are large; with ``LIMIT`` for each other one it is 2 GB in all."""
LIMIT = 40 << 20
_MAGIC = b"kdeps-cache 1 "
_SUM_BYTES = 16
_MAX_FILE = 512 << 20
"""A larger file is a miss. The rules of an allyesconfig kernel take some 60 MB."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotPrivate(OSError):
    """A folder of the cache can be written by others, or is not the user's."""


def cache_directory(environ: dict[str, str]) -> str:
    """Return the folder for what kdeps remembers; never inside a kernel tree.

    Without a home it is a place that cannot exist: root could create the home, but it must not.
    """
    return os.path.join(_base(environ), "kdeps")


def _base(environ: dict[str, str]) -> str:
    base = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return base
    home = environ.get("HOME") or _home()
    return os.path.join(home, ".cache") if os.path.isdir(home) else os.devnull


def _home() -> str:
    """The home of this user in the user database; cron and CI do not always set ``HOME``."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def fingerprint(data: bytes, size_bytes: int = 20) -> str:
    """Return a short name for some bytes; in practice no other bytes have the same one."""
    return _blake2b(size_bytes, data).hexdigest()


def _blake2b(size_bytes: int, data: bytes) -> blake2b:
    try:
        from _blake2 import blake2b  # hashlib loads OpenSSL: 2 ms
    except ImportError:
        from hashlib import blake2b
    return blake2b(data, digest_size=size_bytes)


def name_of(key: str) -> str:
    """Return a file name for a key. For a folder a person recognises it."""
    data = os.fsencode(key)
    readable = os.fsdecode(os.path.basename(data)[:80]).replace("\0", "")
    return f"{readable}-{fingerprint(data, 8)}"


def find_problem(environ: dict[str, str]) -> str:
    """Return why nothing is remembered, path first; empty if things are remembered."""
    try:
        os.close(open_folder(environ, ""))
    except FileNotFoundError:
        return ""  # it is created with the first thing to remember
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""


def open_folder(environ: dict[str, str], kind: str, *, create: bool = False) -> int:
    """Open one folder of the cache (no kind: the cache itself); every file in it was put there by this user.

    Returns a descriptor for the ``dir_fd`` of further calls. Raises NotPrivate if others can write there, OSError if
    it is not there, or cannot be opened or created.
    """
    base = _base(environ)
    _check_around(base)
    if create and not os.path.isdir(base):
        os.makedirs(base, 0o700, exist_ok=True)
        _check_around(base)
    top = _open_private(os.path.join(base, "kdeps"), None, create=create)
    if not kind:
        return top
    try:
        return _open_private(kind, top, create=create)
    finally:
        os.close(top)


def make_folder(environ: dict[str, str], kind: str, name: str) -> str:
    """Create a folder for files that a program of its own writes, and return its path.

    Raises:
        NotPrivate: Others could write there, or put links there.
        OSError: It cannot be created.
    """
    above = open_folder(environ, kind, create=True)
    try:
        os.close(_open_private(name, above, create=True))
    finally:
        os.close(above)
    return os.path.join(cache_directory(environ), kind, name)


def _check_around(folder: str) -> None:
    """Refuse a place in which others could exchange the cache's folder: a home under ``sudo -E``.

    A folder of root passes, because root can write everywhere anyway. The sticky bit of ``/tmp``
    keeps other users from exchanging a folder that is made there.

    Raises NotPrivate: it is such a place.
    """
    above = folder
    while not os.path.isdir(above) and len(above) > 1 and not os.path.lexists(above):
        above = os.path.dirname(above)
    found = os.stat(above)
    if above == folder or not found.st_mode & stat.S_ISVTX:
        _check(found, (os.geteuid(), 0), above)


def _open_private(path: str, parent: int | None, *, create: bool) -> int:
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700, dir_fd=parent)
    try:
        folder = os.open(path, _FOLDER, dir_fd=parent)
    except NotADirectoryError as error:
        raise NotPrivate(error.errno, "it is a link, or not a folder; move it away", path) from error
    try:
        found = os.fstat(folder)
        _check(found, (os.geteuid(),), path)
        if create and found.st_mode & 0o077:
            os.fchmod(folder, 0o700)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _check(folder: os.stat_result, owners: tuple[int, ...], path: str) -> None:
    mode = folder.st_mode
    if folder.st_uid not in owners:
        raise NotPrivate(1, f"it belongs to user {folder.st_uid}, not to you (user {os.geteuid()})", path)
    # Where each user has a group, a umask of 002 is usual.
    if mode & 0o002 or (mode & 0o020 and folder.st_gid != os.getegid()):
        raise NotPrivate(1, "others can write to it; let XDG_CACHE_HOME name a folder of your own", path)


def open_lock(environ: dict[str, str], name: str, *, create: bool) -> int:
    """Open a file to lock, in the folder of locks; what is no plain file of one name is refused.

    Raises OSError: there is no such file, or no private folder for it.
    """
    folder = open_folder(environ, "locks", create=create)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND if create else os.O_RDONLY
        common = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(name, flags | common, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
        os.close(file)
        raise NotPrivate(1, "it is not a file of kdeps", name)
    return file


class Store:
    """What is remembered of one kind: values by key. Neither loading nor saving ever fails."""

    def __init__(
        self,
        kind: str,
        environ: dict[str, str],
        *,
        version: int = 1,
        keep: int = 32,
    ) -> None:
        """Name the kind; nothing is opened yet.

        The version counts up when the meaning of the values changes. So many values are kept, within the limit of the
        kind; those that were saved longest ago go. The last value is kept, whatever its size.
        """
        self._kind, self._environ = kind, environ
        self._keep, self._keep_bytes = keep, LIMITS.get(kind, LIMIT)
        self._head = _MAGIC + f"{kind} {version}\n".encode()

    def load(self, key: str) -> bytes | None:
        """Return the value that was saved under a key; None if there is no such value, or if it is damaged."""
        try:
            folder = open_folder(self._environ, self._kind)
            try:
                file = os.open(name_of(key), _READ, dir_fd=folder)
            finally:
                os.close(folder)
            with open(file, "rb", buffering=0) as reader:
                found = os.fstat(file)
                if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_FILE:
                    return None
                head, digest = reader.read(len(self._head)), reader.read(_SUM_BYTES)
                value = reader.readall()
        except (OSError, ValueError, MemoryError):
            return None
        return value if head == self._head and digest == self._sum(key, value) else None

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bool:
        """Replace a value by one that is made from it; tell whether there was a new one.

        ``change`` gets what ``load`` returns, and returns None to keep the old one. It is called again where another
        process saved a value meanwhile: nothing of either is lost.
        """
        while True:
            old = self.load(key)
            new = change(old)
            if new is None:
                return False
            if self._save(key, new, (old,)):
                return True

    def save(self, key: str, value: bytes) -> None:
        """Save a value in one rename; then the oldest ones beyond the bounds go."""
        self._save(key, value)

    def _save(self, key: str, value: bytes, over: tuple[bytes | None, ...] = ()) -> bool:
        """Save a value, or fail to; where only some may be replaced, return False if there is another."""
        import fcntl

        name = name_of(key)
        temporary = f"{name}.{os.getpid()}.new"
        try:
            folder = open_folder(self._environ, self._kind, create=True)
        except (OSError, ValueError):
            return True
        try:
            self._write(folder, temporary, self._head, self._sum(key, value), value)
            with contextlib.suppress(OSError):  # NFS has no such locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            if over and self.load(key) not in over:
                _remove(folder, temporary)
                return False
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            self._drop_old(folder)
        except (OSError, ValueError):
            _remove(folder, temporary)
        finally:
            os.close(folder)
        return True

    def _write(self, folder: int, name: str, *parts: bytes) -> None:
        _remove(folder, name)  # left by a killed process that had our number
        with open(os.open(name, _CREATE, 0o600, dir_fd=folder), "wb") as file:
            file.writelines(parts)

    def _drop_old(self, folder: int) -> None:
        """Drop the oldest; what a killed process left behind ages and goes as well."""
        with os.scandir(folder) as entries:
            found = [(entry.stat(follow_symlinks=False), entry.name) for entry in entries]
        found.sort(key=lambda pair: (-pair[0].st_mtime_ns, pair[1]))
        total = 0
        for number, (each, name) in enumerate(found):
            total += each.st_size
            if number and (number >= self._keep or total > self._keep_bytes):
                _remove(folder, name)

    def _sum(self, key: str, value: bytes) -> bytes:
        about = f"{__version__}\0{sys.hexversion}\0{key}\0".encode("utf-8", "surrogateescape")
        digest = _blake2b(_SUM_BYTES, self._head)
        digest.update(len(about).to_bytes(8, "big") + about)
        digest.update(value)
        return digest.digest()


def _remove(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:
        return
