# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Make text from outside safe to show on a terminal, or to paste back into a shell.

A file name may hold any byte but NUL and ``/``: an escape sequence that sets the
window's title, a newline that forges a line of ours, a character that turns the
direction of writing. Whoever can create a file could otherwise write to the
terminal of whoever checks the tree.
"""

from __future__ import annotations

import os
import shlex

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    """Replace every character that is not visible by an escape; the rest stays as it is."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def shell_quoted(word: str) -> str:
    """Quote a word for the shell; one that is not printable as ``$'…'``, which bash, zsh and ksh read."""
    if word.isprintable():
        return shlex.quote(word)
    quoted = ""
    for char in word:
        if char in "\\'":
            quoted += f"\\{char}"
        elif char.isprintable():
            quoted += char
        else:
            quoted += "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
    return f"$'{quoted}'"


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte that is no UTF-8, as surrogateescape keeps it
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
