# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The files of one watched module, in a folder of the user's own under ``XDG_RUNTIME_DIR``.

* ``KEY.json``: the last verdict as one line of JSON, replaced in one rename
* ``KEY.line``: the same for a shell prompt, in words
* ``KEY.lock``: with the watch's pid, held while it lives (a POSIX lock, so that others can find who holds it)

KEY is made from the object tree and the module. A watch that was killed leaves files
behind, but no lock; so a reader of them must look at the lock.

The folder goes with the user's last session, and comes back with the next; a watch that runs on
in tmux meanwhile moves to where others now look for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import zlib

from kdeps.kbuild.tree import Tree
from kdeps.watch.status import find_holder, runtime_directory


class AlreadyWatched(Exception):
    """Another watch has this module."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"another kdeps watch (pid {pid}) has this module")
        self.pid = pid
        """0: not known."""


def module_key(tree: Tree) -> str:
    """Name the files of one module's watch."""
    name = os.path.basename(tree.module or tree.objtree) or "kernel"
    place = os.fsencode(f"{tree.objtree}\0{tree.module or ''}\0{tree.module_output or ''}")
    return f"{name}-{zlib.crc32(place):08x}"


class StatusFiles:
    """The files of one module. Without a folder for them they are not written, and nothing else is lost.

    Raises AlreadyWatched: another watch has them.
    """

    def __init__(self, key: str, environ: dict[str, str]) -> None:
        self._key, self._environ = key, environ
        self._base: str | None = None
        self._lock: int | None = None
        self._take()

    def _take(self) -> None:
        folder = runtime_directory(self._environ, create=True)
        if folder is None:
            return
        base = f"{folder}/{self._key}"
        try:
            lock = os.open(f"{base}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(lock)
            raise AlreadyWatched(max(find_holder(f"{base}.lock"), 0)) from None
        except OSError:
            os.close(lock)
            return
        with contextlib.suppress(OSError):  # a full disk; the kernel knows who holds it
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._base, self._lock = base, lock

    def write(self, line: str, document: str) -> None:
        """Replace both files. A full disk costs the outside view, never the watch itself.

        What cannot be replaced is deleted: no reader must take the last verdict for that of this moment.
        """
        if self._lock is not None and not self._holds(f"{runtime_directory(self._environ)}/{self._key}"):
            self.close()
            with contextlib.suppress(AlreadyWatched):
                self._take()
        if self._base is None:
            return
        for suffix, text in (("line", line), ("json", document)):
            path = f"{self._base}.{suffix}"
            try:
                with open(f"{path}.new", "w", encoding="utf-8", errors="replace", opener=_private) as file:
                    file.write(text + "\n")
                os.replace(f"{path}.new", path)
            except OSError:
                for name in (f"{path}.new", path):
                    with contextlib.suppress(OSError):
                        os.unlink(name)
                if os.path.lexists(path):
                    self._release()  # a reader believes no file whose lock is free
                    return

    def close(self) -> None:
        """Delete the files, but not the lock: two watches could then hold one of that name."""
        if self._base is None or self._lock is None:
            return
        if self._holds(self._base):  # else they are another watch's by now
            for suffix in ("line", "json"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._base}.{suffix}")
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        self._release()

    def _holds(self, base: str) -> bool:
        """Whether the lock that others find there is the one that is held."""
        try:
            return self._lock is not None and os.path.samestat(os.stat(f"{base}.lock"), os.fstat(self._lock))
        except OSError:
            return False

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._base = self._lock = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
