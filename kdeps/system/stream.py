# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read one stream and write another: as a filter in a pipe does, never longer than its reader lives; or with its hash."""

from __future__ import annotations

import errno
import hashlib
import os
import select
from collections.abc import Callable, Iterator

_PIECE = 1 << 16
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


def read_available(source: int, sink: int, pause_s: float) -> Iterator[bytes]:
    """Yield what can be read, as soon as it can be; one empty piece when the source has been silent for ``pause_s``.

    A reader of the sink that has gone is noticed while the source is silent too. Raises BrokenPipeError then, OSError
    if the source cannot be read.
    """
    poller = select.poll()
    poller.register(source, select.POLLIN)
    poller.register(sink, 0)
    is_silent = False
    while True:
        events = dict(poller.poll(None if is_silent else pause_s * 1000))
        if events.get(sink, 0) & _GONE:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if not events:
            is_silent = True
            yield b""
            continue
        if source in events:
            data = _read(source)
            if data == b"":
                return
            if data:
                is_silent = False
                yield data


def write_all(sink: int, data: bytes) -> None:
    """Write everything, waiting for a slow reader. Raises OSError: it cannot be written."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(sink, view) :]
        except BlockingIOError:
            poller = select.poll()
            poller.register(sink, select.POLLOUT)
            poller.poll()


def hash_all(read: Callable[[int], bytes | None], sink: int | None = None) -> bytes:
    """Return the SHA-256 of all there is to read, which is written to ``sink`` on the way."""
    digest = hashlib.sha256()
    while data := read(1 << 20):
        digest.update(data)
        if sink is not None:
            write_all(sink, data)
    return digest.digest()


def _read(source: int) -> bytes | None:
    """Return None if there is nothing to read yet, and no bytes at the end."""
    try:
        return os.read(source, _PIECE)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EIO and os.isatty(source):
            return b""  # the terminal has gone
        raise
