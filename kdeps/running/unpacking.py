# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read compressed files, with a bound on what comes out.

gzip, xz and bzip2 are in Python's library. For zstd and lz4 the system's own programs are started, which every
machine that has such files has.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import os
import stat
import subprocess
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, Protocol

from kdeps.running.compressed_stream import compressed_stream
from kdeps.running.reader import Packed, Reader
from kdeps.system.errors import Unreadable
from kdeps.system.files import open_nonblocking

MAX_MODULE_BYTES = 512 << 20
MAX_INITRAMFS_BYTES = 4 << 30
_PIECE = 1 << 18
_TOOLS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21\x4c\x18": "lz4", b"\x04\x22\x4d\x18": "lz4"}
_MAGICS = (b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x5d\0\0", *_TOOLS)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def is_compressed(head: bytes) -> bool:
    """Whether the first bytes are those of a compression that is known here."""
    return head.startswith(_MAGICS)


def unpack(source: Reader, limit: int) -> Reader:
    """Unpack what comes next in a source; what follows the compressed stream stays in the source."""
    head = source.peek(6)
    for magic, tool in _TOOLS.items():
        if head.startswith(magic):
            return Reader(_by_tool(tool, source), limit)
    return Reader(_by_library(_decompressor(head), source), limit)


def _decompressor(head: bytes) -> _Decompressor:
    if head.startswith(b"\x1f\x8b"):
        return _Gzip()
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ)
    if head.startswith(b"\x5d\0\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    raise Packed(f"is compressed in a way that is not known here (it begins with {head.hex()})")


class _Gzip:
    """zlib's decompressor with the interface of the other two."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self._zlib.unconsumed_tail
        return out


def _by_library(unpacker: _Decompressor, source: Reader) -> Iterator[bytes]:
    try:
        while not unpacker.eof:
            data = b""
            if getattr(unpacker, "needs_input", True):
                data = source.peek(_PIECE)
                source.skip(len(data))
                if not data:
                    raise Packed("is cut off")
            piece = unpacker.decompress(data, _PIECE)
            if piece:
                yield piece
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise Packed(f"is damaged: {error}") from error
    source.put_back(unpacker.unused_data)


def _by_tool(tool: str, source: Reader) -> Iterator[bytes]:
    """Unpack through a program; what it gets is copied to memory first, so that no thread has to feed it."""
    memory = os.memfd_create("kdeps")
    try:
        with open(memory, "wb", closefd=False) as file:
            for piece in compressed_stream(source):
                file.write(piece)
        os.lseek(memory, 0, os.SEEK_SET)
        try:
            process = subprocess.Popen(
                [tool, "-dc", "-q"], stdin=memory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise Packed(f"is compressed with {tool}, which cannot be started: {error.strerror}") from error
        yield from _drain(tool, process)
    finally:
        os.close(memory)


def _drain(tool: str, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    out: IO[bytes] | None = process.stdout
    assert out is not None
    try:
        while piece := out.read(_PIECE):
            yield piece
        if process.wait():
            raise Packed(f"is damaged: {tool} cannot unpack it")
    finally:
        process.kill()
        out.close()
        process.wait()


def open_plain(path: str) -> BinaryIO:
    """Open a plain file.

    Raises:
        FileNotFoundError: It is not there.
        Unreadable: It cannot be opened, or is not a plain file.
    """
    try:
        descriptor = open_nonblocking(path, os.O_RDONLY)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable(f"{path}: not a plain file")
    return os.fdopen(descriptor, "rb")


def read_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file piece by piece; what cannot be read ends it."""
    with contextlib.suppress(OSError):
        while piece := file.read(_PIECE):
            yield piece
