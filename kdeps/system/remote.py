# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A place that several users or machines share: a folder, or a server that speaks Bazel's HTTP cache protocol.

Both have the same layout: ``ac/KEY`` is a description, ``cas/KEY`` a content under its SHA-256. A server
answers GET and takes PUT at these names: bazel-remote (with ``--disable_http_ac_validation``, because the
descriptions are not Bazel's), nginx with ``dav_methods PUT``, an artifact server.

Source: bazel.build, "Remote caching", HTTP caching protocol.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

from kdeps.system.errors import KdepsError, UsageError
from kdeps.system.files import open_unbuffered
from kdeps.system.stream import hash_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse
    from typing import IO
    from urllib.request import OpenerDirector

INSECURE = "KDEPS_STORE_INSECURE"
"""Set to allow plain HTTP to another machine. Other machines on the way can then put code into a build."""
MAX_DESCRIPTION = 64 << 20
"""The largest description; one of a module's closure has some 200 kB."""
WAIT_S = 5.0
TOTAL_S = 30.0
_CHUNK = 1 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Folder:
    """A folder. Each file gets its name when it is complete; descriptions are changed under a lock."""

    def __init__(self, name: str, *, writing: bool) -> None:
        self.name = name
        try:
            if writing:
                for kind in ("ac", "cas"):
                    os.makedirs(os.path.join(name, kind), exist_ok=True)
            mode = os.stat(name).st_mode
        except OSError as error:
            raise KdepsError(f"{name}: no store can be used there: {error.strerror}") from error
        if not stat.S_ISDIR(mode):
            raise KdepsError(f"{name}: no store can be used there: it is no folder")
        if mode & 0o002:
            raise KdepsError(
                f"{name}: all users can write to it, so they could put code into your build; `chmod o-w {name}`"
            )

    def _path(self, kind: str, key: str) -> str:
        return os.path.join(self.name, kind, key)

    def read(self, kind: str, key: str, limit: int) -> bytes | None:
        """Return what lies under a key; None if nothing does. A file that is larger than the limit cannot be read."""
        try:
            with open_unbuffered(self._path(kind, key)) as file:
                if os.fstat(file.fileno()).st_size > limit:
                    raise KdepsError(f"{file.name}: larger than {limit >> 20} MB")
                return file.read(limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure(error) from error

    def fetch(self, digest: bytes, target: int) -> bool:
        """Write a content into an open file; tell whether it is there, and is what its name says."""
        try:
            with open_unbuffered(self._path("cas", digest.hex())) as file:
                return hash_all(file.read, target) == digest
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failure(error) from error

    def has(self, digest: bytes) -> bool:
        """Whether there is such a content."""
        return os.path.isfile(self._path("cas", digest.hex()))

    def put(self, digest: bytes, source: IO[bytes]) -> None:
        """Add a content."""
        self._write("cas", digest.hex(), lambda target: hash_all(source.read, target))

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a description by one made from it; None keeps it."""
        folder = os.open(os.path.join(self.name, "ac"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(
                OSError
            ):  # NFS has no such locks: of two at once one may be lost, and is built again
                fcntl.flock(folder, fcntl.LOCK_EX)
            new = change(self.read("ac", key, MAX_DESCRIPTION))
            if new is not None:
                self._write("ac", key, lambda target: os.write(target, new))
        finally:
            os.close(folder)

    def _write(self, kind: str, key: str, fill: Callable[[int], object]) -> None:
        path = self._path(kind, key)
        temporary = f"{path}.{os.getpid()}.new"
        try:
            target = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o664
            )
            try:
                fill(target)
            finally:
                os.close(target)
            os.rename(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> KdepsError:
        return KdepsError(f"{error.filename or self.name}: {error.strerror or error}")


class _Server:
    """A server, with the same methods."""

    def __init__(self, name: str, environ: dict[str, str]) -> None:
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(name)
            host = parts.hostname or ""
        except ValueError as error:
            raise UsageError(f"{name}: no URL: {error}") from error
        self.name = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise UsageError(f"{self.name}: a store is a folder or https://HOST[:PORT]/PATH")
        if parts.scheme == "http" and host not in _LOOPBACK and not environ.get(INSECURE):
            raise UsageError(
                f"{self.name}: with plain http other machines on the way could put code into your build; use https, or set {INSECURE}=1"
            )
        self._headers = {"User-Agent": "kdeps"}
        if parts.username is not None:
            from base64 import b64encode
            from urllib.parse import unquote

            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        self._until = time.monotonic() + TOTAL_S
        self._opener = _make_opener()

    def read(self, kind: str, key: str, limit: int) -> bytes | None:
        with self._ask("GET", kind, key) as answer:
            if answer is None:
                return None
            found = bytearray()
            while data := self._next(answer, limit + 1 - len(found)):
                found += data
            if len(found) > limit:
                raise KdepsError(f"{self._url(kind, key)}: larger than {limit >> 20} MB")
            return bytes(found)

    def fetch(self, digest: bytes, target: int) -> bool:
        with self._ask("GET", "cas", digest.hex()) as answer:
            return answer is not None and hash_all(lambda size: self._next(answer, size), target) == digest

    def has(self, digest: bytes) -> bool:
        with self._ask("HEAD", "cas", digest.hex()) as answer:
            return answer is not None

    def put(self, digest: bytes, source: IO[bytes]) -> None:
        self._until = time.monotonic() + TOTAL_S  # the user waits for this
        with self._ask("PUT", "cas", digest.hex(), source, os.fstat(source.fileno()).st_size):
            pass

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        new = change(self.read("ac", key, MAX_DESCRIPTION))
        if new is not None:
            with self._ask("PUT", "ac", key, new, len(new)):
                pass

    def _url(self, kind: str, key: str) -> str:
        return f"{self.name.rstrip('/')}/{kind}/{key}"

    @contextlib.contextmanager
    def _ask(self, method: str, kind: str, key: str, data: IO[bytes] | bytes | None = None, size: int = 0):  # type: ignore[no-untyped-def]
        """Send one request; give the answer, or None where there is nothing."""
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import Request

        headers = {**self._headers, **({"Content-Length": str(size)} if data is not None else {})}
        url = self._url(kind, key)
        request = Request(url, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=self._left()) as answer:
                yield answer
        except HTTPError as error:
            error.close()
            if error.code in (404, 410) and method != "PUT":
                yield None
                return
            raise KdepsError(f"{url}: the server says {error.code} {error.reason}") from error
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise KdepsError(
                f"{url}: {'no answer in time' if isinstance(reason, TimeoutError) else reason}"
            ) from error

    def _left(self) -> float:
        """How long to wait for the next bytes. Raises TimeoutError: all answers have taken too long."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, WAIT_S)

    def _next(self, answer: HTTPResponse, size: int) -> bytes:
        self._left()
        return answer.read1(min(size, _CHUNK))


def _make_opener() -> OpenerDirector:
    """What follows no redirection: it could lead to plain HTTP, and would be given the password."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Refuse(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    return build_opener(Refuse)


SharedPlace = _Folder | _Server
"""A place with descriptions and contents. Its methods raise KdepsError; after the first one the caller must not use it again."""


def open_place(name: str, environ: dict[str, str], *, writing: bool = False) -> SharedPlace:
    """Open a server by its URL, or a folder, which is created when writing.

    ``environ`` may allow plain HTTP. Raises UsageError where the name can be no place, or is plain HTTP to another
    machine; KdepsError where the folder is not there, or all users can write to it.
    """
    if "://" in name:
        return _Server(name, environ)
    if not name:
        raise UsageError("an empty name of a store; is a variable in the command empty?")
    return _Folder(os.path.abspath(name), writing=writing)
