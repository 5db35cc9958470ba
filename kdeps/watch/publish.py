# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Publish a verdict to the terminal, the status files, the socket, systemd and the user's commands.

The socket is ``PID.socket`` beside the status files. A client is sent the state of every
module, then every change, one line of JSON each.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct

from kdeps.watch.debounce import Activity
from kdeps.watch.hooks import Hook, notify
from kdeps.watch.module import Change, Check, Json, WatchedModule
from kdeps.watch.modules import WatchedModules
from kdeps.watch.service import Service
from kdeps.watch.status import runtime_directory
from kdeps.watch.terminal import Show

_CREDENTIALS = struct.Struct("3i")
"""``struct ucred``: process, user, group."""
MAX_CLIENTS = 32
MAX_BACKLOG_BYTES = 4 << 20
"""A client that has not read this much is dropped; it may come again."""


class Publisher:
    """Publishes the status of each module."""

    def __init__(
        self, modules: WatchedModules, environ: dict[str, str], show: Show, exec_: Hook, on_fresh: Hook, notifier: str
    ) -> None:  # fmt: skip
        self.modules, self.show, self.exec, self.on_fresh = modules, show, exec_, on_fresh
        self.notifier = notifier
        self.service = Service(environ)
        self.socket = StatusSocket(environ)
        self.about: Json = {}
        """What the documents say of the watch as a whole."""

    def publish(
        self, module: WatchedModule, check: Check, state: Activity, change: Change, note: str
    ) -> None:
        """Let a check count: bring everything up to date, and announce what is new."""
        before = module.check
        is_new = module.take(check, state, change, note)
        document = module.document(self.about)
        if is_new:
            self.show.tell(module.status, document)  # first: a person may wait for it
        module.write(document)
        if before is not None and check.has_become_fresh(before):
            self.on_fresh.run(document, module.status)
        self.socket.send(document)  # also that the verdict is what it was: it had been called in question
        if not is_new:
            return
        self.exec.run(document, module.status)
        if self.notifier and before is not None and before.status is not check.status:
            notify(self.notifier, module.status)

    def publish_note(self, module: WatchedModule, note: str) -> None:
        """Publish another note about the refresh of a module."""
        if note != module.status.note:
            module.status = module.status._replace(note=note)
            module.write(module.document(self.about))

    def publish_activity(self, state: Activity, detail: str) -> None:
        """Publish at once that the verdicts are no longer those of this moment."""
        for module in self.modules:
            module.status = module.status._replace(state=state, detail=detail)
            document = module.document(self.about)
            module.write(document)
            self.socket.send(document)

    def publish_ready(self) -> None:
        """Publish that every verdict is that of this moment."""
        self.service.ready("; ".join(f"{each.name}: {each.status.sentence}" for each in self.modules))

    def draw(self, state: Activity, detail: str, note: str) -> None:
        """Draw every module as it is now; a module's own note goes before that about the watch as a whole."""
        now = [each.status for each in self.modules]
        self.show.draw([s._replace(state=state, detail=detail, note=s.note or note) for s in now])

    def accept(self) -> None:
        """Let a client in."""
        self.socket.accept([each.document(self.about) for each in self.modules])

    def close(self) -> None:
        """Hang up, after the modules were unlocked for the next watch."""
        self.modules.close()
        self.socket.close()
        self.service.close()


class StatusSocket:
    """The socket. Never waits for a client."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._listener: socket.socket | None = None
        self.clients: dict[int, _Client] = {}
        self._path = ""
        self._listen()

    @property
    def descriptor(self) -> int | None:
        """Readable when a client wants in."""
        return None if self._listener is None else self._listener.fileno()

    def _listen(self) -> None:
        folder = runtime_directory(self._environ, create=True)
        if folder is None:
            return
        _delete_orphans(folder)
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
        self._listener, self._path = listener, path

    def accept(self, greeting: list[str]) -> None:
        """Let a client in, and send it these lines first."""
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.close()  # or it would stay readable
            return
        if len(self.clients) >= MAX_CLIENTS or not _is_ours(connection):
            connection.close()
            return
        connection.setblocking(False)
        client = self.clients[connection.fileno()] = _Client(connection)
        for line in greeting:
            client.queue(line)

    def send(self, line: str) -> None:
        """Send a line to every client."""
        if self._listener is not None and not self._is_seen():
            self._stop_listening()
            self._listen()
        for client in self.clients.values():
            client.queue(line)

    def serve(self, descriptor: int) -> None:
        """Send to and read from one client; drop it if it has gone."""
        client = self.clients.get(descriptor)
        if client is not None and not client.exchange():
            self.clients.pop(descriptor).connection.close()

    def close(self) -> None:
        """Drop all clients, and stop listening."""
        for client in self.clients.values():
            client.connection.close()
        self.clients.clear()
        self._stop_listening()

    def _is_seen(self) -> bool:
        """Whether the socket is where others look for it."""
        return os.path.dirname(self._path) == runtime_directory(self._environ) and os.path.lexists(self._path)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def _delete_orphans(folder: str) -> None:
    """Delete the sockets of watches that were killed.

    That a socket refuses connections is not enough: a watch that is about to start has bound its socket and does
    not listen yet.
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
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
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
        """Send what can be sent, and ignore what comes. Returns False if it has gone, or does not read."""
        if len(self.waiting) > MAX_BACKLOG_BYTES:
            return False
        try:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                while self.waiting:
                    sent = self.connection.send(self.waiting)
                    self.waiting = self.waiting[sent:]
            return self.connection.recv(4096) != b""
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False


def _is_ours(connection: socket.socket) -> bool:
    """Whether the other end is the same user (or root); the folder's mode ensures it as well."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(raw)[1] in (os.geteuid(), 0)
