# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What other programs can read: a status file for each module, and a socket.

All of it lies in a folder of the user's own under ``XDG_RUNTIME_DIR``:

* ``KEY.json``: the last verdict as one line of JSON, replaced in one rename
* ``KEY.line``: the same for a shell prompt, in words
* ``KEY.lock``: held (a POSIX lock, so that others can ask who holds it) by the watch of this module while it lives; with its pid
* ``PID.socket``: who connects is sent the state of every module, then every change, a line each

KEY is made from the object tree and the module. A watch that was killed leaves files
behind, but no lock; so who reads them asks for the lock.

The folder goes with the user's last session, and comes back with the next; what runs on
in tmux meanwhile moves to where it is looked for now.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import zlib
from collections.abc import Callable

from kdeps.tree import Tree
from kdeps.watch.status import find_holder
from kdeps.watch.where import runtime_directory

_CREDENTIALS = struct.Struct("3i")
"""``struct ucred``: process, user, group."""
MAX_CLIENTS = 32
MAX_BACKLOG_BYTES = 4 << 20
"""A client that has not read this much is dropped; it may come again."""


class Taken(Exception):
    """Another watch has this module."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid
        """0: it did not say."""


def module_key(tree: Tree) -> str:
    """Name the files of one module's watch."""
    name = os.path.basename(tree.module or tree.objtree) or "kernel"
    place = os.fsencode(f"{tree.objtree}\0{tree.module or ''}\0{tree.module_output or ''}")
    return f"{name}-{zlib.crc32(place):08x}"


class Post:
    """The files of one module. Without a folder for them there are none, and nothing else is lost.

    Raises:
        Taken: Another watch has them.
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
            raise Taken(max(find_holder(f"{base}.lock"), 0)) from None
        except OSError:
            os.close(lock)
            return
        with contextlib.suppress(OSError):  # a full disk; the kernel knows who holds it
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._base, self._lock = base, lock

    def write(self, line: str, document: str) -> None:
        """Replace both files. A full disk costs the outside view, never the watch itself.

        What cannot be replaced goes: nobody shall take the last verdict for that of this moment.
        """
        if self._lock is not None and not self._holds(f"{runtime_directory(self._environ)}/{self._key}"):
            self.close()
            with contextlib.suppress(Taken):
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
                    self._let_go()  # nobody believes a file whose lock is free
                    return

    def _holds(self, base: str) -> bool:
        """Whether the lock that others find there is the one that is held."""
        try:
            return self._lock is not None and os.path.samestat(os.stat(f"{base}.lock"), os.fstat(self._lock))
        except OSError:
            return False

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._base = self._lock = None

    def close(self) -> None:
        """Take the files away, but for the lock: two could then hold one of that name."""
        if self._base is None or self._lock is None:
            return
        if self._holds(self._base):  # else they are another's by now
            for suffix in ("line", "json"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._base}.{suffix}")
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        self._let_go()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


class Server:
    """The socket. Never waits for a client."""

    def __init__(self, environ: dict[str, str], greeting: Callable[[], list[str]]) -> None:
        self._environ, self._greeting = environ, greeting
        self._listener: socket.socket | None = None
        self.clients: dict[int, _Client] = {}
        self.path = ""
        self._listen()

    def _listen(self) -> None:
        folder = runtime_directory(self._environ, create=True)
        if folder is None:
            return
        _drop_orphans(folder)
        path = f"{folder}/{os.getpid()}.socket"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    os.unlink(path)  # left behind by a process that had our number
            mask = os.umask(0o177)
            try:
                listener.bind(path)
            finally:
                os.umask(mask)
            listener.listen(8)
            listener.setblocking(False)
        except OSError:
            listener.close()
            return
        self._listener, self.path = listener, path

    def fileno(self) -> int:
        """Readable when somebody wants in; -1: there is no socket."""
        return -1 if self._listener is None else self._listener.fileno()

    def accept(self) -> int | None:
        """Let a client in and greet it; its descriptor."""
        if self._listener is None:
            return None
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.close()  # or it would stay readable for ever
            return None
        if len(self.clients) >= MAX_CLIENTS or not _is_ours(connection):
            connection.close()
            return None
        connection.setblocking(False)
        client = _Client(connection)
        self.clients[connection.fileno()] = client
        for line in self._greeting():
            client.queue(line)
        return connection.fileno()

    def tell(self, line: str) -> None:
        """Send a line to everybody."""
        if self._listener is not None and not self._is_seen():
            self._stop_listening()
            self._listen()
        for client in self.clients.values():
            client.queue(line)

    def serve(self, descriptor: int) -> bool:
        """Send to and read from one client; ``False``: it has gone."""
        client = self.clients.get(descriptor)
        if client is None or not client.exchange():
            self.drop(descriptor)
            return False
        return True

    def drop(self, descriptor: int) -> None:
        """Let one client go."""
        client = self.clients.pop(descriptor, None)
        if client is not None:
            client.connection.close()

    def close(self) -> None:
        """Say nothing any more, to nobody."""
        for descriptor in list(self.clients):
            self.drop(descriptor)
        self._stop_listening()

    def _is_seen(self) -> bool:
        """Whether the socket is where others look for it."""
        return os.path.dirname(self.path) == runtime_directory(self._environ) and os.path.lexists(self.path)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def _drop_orphans(folder: str) -> None:
    """Delete the sockets of watches that were killed.

    Nobody listening is not enough: one that is about to start has bound its socket and does not listen yet.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            owner, _, suffix = entry.name.partition(".")
            if suffix != "socket" or not owner.isdigit() or _is_alive(int(owner)):
                continue
            if not stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                continue
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                asking.setblocking(False)
                if asking.connect_ex(entry.path) == errno.ECONNREFUSED:
                    os.unlink(entry.path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


class _Client:
    """One connection, and what it has yet to be sent."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.waiting = b""

    def queue(self, line: str) -> None:
        if len(self.waiting) <= MAX_BACKLOG_BYTES:
            self.waiting += line.encode("utf-8", "replace") + b"\n"

    def exchange(self) -> bool:
        """Send what can be sent; what it says is not listened to. ``False``: it has gone, or does not read."""
        if len(self.waiting) > MAX_BACKLOG_BYTES:
            return False
        try:
            while self.waiting:
                sent = self.connection.send(self.waiting)
                self.waiting = self.waiting[sent:]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            return False
        try:
            return self.connection.recv(4096) != b""
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False


def _is_ours(connection: socket.socket) -> bool:
    """Whether the other end is the same user (or root); the folder's mode says so as well."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(raw)[1] in (os.geteuid(), 0)
