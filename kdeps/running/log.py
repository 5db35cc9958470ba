# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A kernel log as a stream: bytes go in, the same bytes with readable Rust names come out, and judged oopses between them.

Everything is bounded: a line without an end is passed on in pieces, an oops has a limited number of frames. Bytes that
are no mangled name stay as they are, so that colours, time stamps and binary noise come through.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from kdeps.running.oops import Oops, OopsReader
from kdeps.system.demangle import SYMBOL, Demangler

_NAME = re.compile(
    rb"(?:(?<![A-Za-z0-9_])|(?<=\x1b\[m)|(?<=\x1b\[[0-9]m)|(?<=[0-9;][0-9]m)|(?<=__pfx_)|(?<=__cfi_)|(?<=__pi_))"
    + SYMBOL.pattern
)
"""A mangled name where a word begins: behind a colour too, or behind the kernel's prefixes for padding and CFI."""
_MAX_PIECE = 1 << 16
_IN_NAMES = string.ascii_letters.encode() + string.digits.encode() + b"_.$@"


class LogStream:
    """One log, read piece by piece."""

    def __init__(self, demangler: Demangler, *, find_oopses: bool) -> None:
        self._demangler = demangler
        self._reader = OopsReader() if find_oopses else None
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes | Oops]:
        """Take what was read, and yield what is complete: text, and each oops behind its last line."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        yield from self._pass_on([line + b"\n" for line in lines])
        if len(self._rest) > _MAX_PIECE:
            # A name at the end may continue; it is kept unless it is longer than any name.
            # Not by a pattern that ends with \Z: it tries every place before the end.
            end = self._rest[-_MAX_PIECE // 2 :]
            kept = len(end) - len(end.rstrip(_IN_NAMES))
            at = len(self._rest) - (kept if kept < _MAX_PIECE // 2 else 0)
            piece, self._rest = self._rest[:at], self._rest[at:]
            yield self._readable(piece)

    def pause(self) -> Iterator[bytes | Oops]:
        """Yield the oops that is open: the log has been silent for a while."""
        if self._reader is not None:
            yield from self._reader.finish()

    def end(self) -> Iterator[bytes | Oops]:
        """Yield what is left at the end of the log."""
        rest, self._rest = self._rest, b""
        yield from self._pass_on([rest] if rest else [])
        yield from self.pause()

    def _pass_on(self, lines: list[bytes]) -> Iterator[bytes | Oops]:
        """Yield complete lines, as few pieces as there are oopses between them."""
        text = self._readable(b"".join(lines))
        if self._reader is None:
            if text:
                yield text
            return
        ready: list[bytes] = []
        for line, shown in zip(lines, _split(text), strict=True):
            completed = self._reader.read(line)
            if completed.before:
                yield b"".join(ready)
                yield from completed.before
                ready = []
            ready.append(shown)
            if completed.after:
                yield b"".join(ready)
                yield from completed.after
                ready = []
        if ready:
            yield b"".join(ready)

    def _readable(self, text: bytes) -> bytes:
        if b"_R" not in text:
            return text
        names = {name.decode("ascii") for name in _NAME.findall(text)}
        readable = self._demangler.readable(names)
        return _NAME.sub(lambda match: readable[match[0].decode("ascii")].encode(), text)


def _split(text: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in text.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
