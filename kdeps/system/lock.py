# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One refresh of an object tree at a time.

``flock`` on a file in the user's cache directory, named for the object tree's
real path; never in the tree. The kernel drops the lock with the last process
that holds the file open, so a killed kdeps leaves none behind. make inherits
it on purpose, and the compilers inherit it from make: when kdeps is killed and
they are not, the tree is still being written to. A process that never ends may inherit
it as well (a compiler cache's server). So the file names the processes that refresh, and
once all of them have ended, the wait is limited.

There is no lock without such a directory, if others can write to it, or if its file
system has no locks. Two refreshes at once then cost time, but make still judges every
file. A link in the place of the file is never followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.system.cache import name_of, open_lock
from kdeps.system.process import start_time

_POLL_S = 0.1
INHERITED_S = 60
"""How long to wait for a compiler that has outlived its make."""


class Lock(NamedTuple):
    """A lock that is held, or the lack of one."""

    descriptor: int | None
    waited: bool
    """Somebody else held it: the tree has changed since it was last looked at."""

    def note_holder(self, pid: int) -> None:
        """Write down a process that refreshes; it inherits the lock."""
        if self.descriptor is not None:
            try:
                os.write(self.descriptor, f"{pid} {start_time(pid)}\n".encode())
            except OSError:
                return

    def release(self) -> None:
        """Let the next one in."""
        if self.descriptor is not None:
            os.close(self.descriptor)


def take_lock(objtree: str, environ: dict[str, str], on_wait: Callable[[int], None]) -> Lock:
    """Wait until no other kdeps refreshes an object tree, given by its real path.

    ``on_wait`` is called once, with the process waited for, if there is one. It may raise, for a caller that would
    rather not wait.
    """
    try:
        descriptor = open_lock(environ, name_of(objtree), create=True)
    except OSError:
        return Lock(None, False)
    waited = False
    alone_since: float | None = None
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holders = _holders(descriptor)
            now = time.monotonic()
            alone_since = None if holders else alone_since or now
            if alone_since is not None and now - alone_since > INHERITED_S:
                return Lock(descriptor, waited)
            if not waited:
                waited = True
                try:
                    on_wait(holders[0] if holders else 0)
                except BaseException:
                    os.close(descriptor)
                    raise
            time.sleep(_POLL_S)
            continue
        except OSError:
            os.close(descriptor)
            return Lock(None, waited)
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
        lock = Lock(descriptor, waited)
        lock.note_holder(os.getpid())
        os.set_inheritable(descriptor, True)
        return lock


def find_refresher(objtree: str, environ: dict[str, str]) -> int:
    """Find the process that refreshes an object tree, without taking the lock. Returns 0 if no process does.

    Of several processes it is the one that was started last: kdeps waits for it.
    """
    try:
        descriptor = open_lock(environ, name_of(objtree), create=False)
    except OSError:
        return 0
    try:
        lock, holders = os.fstat(descriptor), _holders(descriptor)
    finally:
        os.close(descriptor)  # before looking who has it open: perhaps we had it ourselves
    return next((pid for pid in reversed(holders) if _has_open(pid, lock)), 0)


def _has_open(pid: int, file: os.stat_result) -> bool:
    """Whether a process has a file open; one that became make has closed it, and is still who it was."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), file):
                    return True
    return False


def _holders(descriptor: int) -> list[int]:
    """The processes in the file that still run and are what they were."""
    try:
        text = os.pread(descriptor, 4096, 0).decode("ascii", "replace")
    except OSError:
        return []
    found: list[int] = []
    for line in text.splitlines():
        pid, _, started = line.partition(" ")
        if pid.isdigit() and start_time(int(pid)) == started:
            found.append(int(pid))
    return found
