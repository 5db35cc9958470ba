# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bytes in order, with a bound on how many they are."""

from __future__ import annotations

from collections.abc import Iterator


class Packed(Exception):
    """The bytes are damaged, of an unknown kind, or more than the bound. The message completes "it …"."""


class Reader:
    """Read bytes in order through a small buffer, up to a bound in all."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._left = limit
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        """Return exactly this many bytes, fewer only at the end.

        Raises Packed: the bytes are damaged, or more than the bound.
        """
        while len(self._buffer) < size and self._fill():
            pass
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def skip(self, size: int) -> bool:
        """Pass over bytes; return False if there are not as many."""
        while size > len(self._buffer):
            size -= len(self._buffer)
            self._buffer.clear()
            if not self._fill():
                return False
        del self._buffer[:size]
        return True

    def peek(self, size: int) -> bytes:
        """Return the next bytes and leave them there."""
        while len(self._buffer) < size and self._fill():
            pass
        return bytes(self._buffer[:size])

    def put_back(self, data: bytes) -> None:
        """Let bytes be read again."""
        self._buffer[:0] = data

    def rest(self) -> Iterator[bytes]:
        """Yield everything that was not read, piece by piece."""
        while self._buffer or self._fill():
            data = bytes(self._buffer)
            self._buffer.clear()
            yield data

    def _fill(self) -> bool:
        piece = next(self._pieces, b"")
        self._left -= len(piece)
        if self._left < 0:
            raise Packed("unpacks to more than can be right")
        self._buffer += piece
        return bool(piece)
