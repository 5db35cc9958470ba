# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where a stream of zstd or lz4 ends: their programs do not say it, and another archive may come behind.

Source: RFC 8878, "Frames"; lz4 ``doc/lz4_Frame_format.md``; linux ``lib/decompress_unlz4.c``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kdeps.running.reader import Packed, Reader

_ZSTD, _LZ4, _LZ4_LEGACY = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"
_SKIPPABLE = tuple(bytes((0x50 + n, 0x2A, 0x4D, 0x18)) for n in range(16))
_RUN = 1
"""A block of zstd that is one byte, many times."""
_MAX_LEGACY_BLOCK = (8 << 20) + (8 << 20) // 255 + 16
"""A larger size is no block of 8 MB: the stream has ended."""
_UNCOMPRESSED = 0x80000000


def compressed_stream(source: Reader) -> Iterator[bytes]:
    """Yield the bytes of one zstd or lz4 stream, which may have several frames; what follows stays in the source.

    Raises Packed: it is cut off, or damaged.
    """
    frames: dict[bytes, Callable[[Reader], Iterator[bytes]]] = {_ZSTD: _zstd_frame}
    if source.peek(4) != _ZSTD:
        frames = {_LZ4: _lz4_frame, _LZ4_LEGACY: _legacy_blocks}
    while (magic := source.peek(4)) in frames or magic in _SKIPPABLE:
        yield _take(source, 4)
        if magic in _SKIPPABLE:
            size = _take(source, 4)
            yield size
            yield _take(source, _number(size))
        else:
            yield from frames[magic](source)


def _zstd_frame(source: Reader) -> Iterator[bytes]:
    flags = _take(source, 1)
    yield flags
    single = flags[0] >> 5 & 1
    window = 0 if single else 1
    dictionary = (0, 1, 2, 4)[flags[0] & 3]
    content = (single, 2, 4, 8)[flags[0] >> 6]
    yield _take(source, window + dictionary + content)
    is_last = False
    while not is_last:
        header = _take(source, 3)
        yield header
        number = _number(header)
        is_last = bool(number & 1)
        yield _take(source, 1 if number >> 1 & 3 == _RUN else number >> 3)
    if flags[0] & 4:
        yield _take(source, 4)


def _lz4_frame(source: Reader) -> Iterator[bytes]:
    flags = _take(source, 2)
    yield flags
    yield _take(source, 8 * (flags[0] >> 3 & 1) + 4 * (flags[0] & 1) + 1)
    while size := _number(header := _take(source, 4)):
        yield header
        yield _take(source, (size & ~_UNCOMPRESSED) + 4 * (flags[0] >> 4 & 1))
    yield header
    yield _take(source, 4 * (flags[0] >> 2 & 1))


def _legacy_blocks(source: Reader) -> Iterator[bytes]:
    """Yield blocks up to what cannot be the size of one, as the kernel reads them: zeros, or a magic number."""
    while len(header := source.peek(4)) == 4 and 0 < _number(header) <= _MAX_LEGACY_BLOCK:
        yield _take(source, 4)
        yield _take(source, _number(header))


def _take(source: Reader, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise Packed("is cut off")
    return data


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
