# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Make text from outside safe to show on a terminal, or to paste back into a shell.

A file name may hold any byte but NUL and ``/``: an escape sequence that sets the
window's title, a newline that forges a line of ours, a character that turns the
direction of writing. Otherwise a user who can create a file could write to the
terminal of another user who checks the tree.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    """Replace every character that is not visible by an escape; the rest stays as it is."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def shell_quoted(word: str) -> str:
    """Quote a word for the shell; one that is not printable as ``$'…'``, which bash, zsh and ksh read."""
    if word.isprintable():
        import shlex  # and what it imports

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


def shell_joined(words: Iterable[str]) -> str:
    """Write a command as one could paste it."""
    return " ".join(map(shell_quoted, words))


def encodable(text: str, encoding: str | None) -> str:
    """Replace what an output of this encoding cannot hold."""
    encoding = encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def short_path(path: str, cwd: str) -> str:
    """Write a path as the user would type it from where they stand."""
    relative = os.path.relpath(path, cwd)
    return relative if len(relative) < len(path) else path


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte that is no UTF-8, as surrogateescape keeps it
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def counted(number: int, noun: str) -> str:
    """Say how many: ``1 file``, ``2 files``."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def list_some(items: Sequence[str], shown: int = 3, as_text: Callable[[str], str] = str) -> str:
    """List the first few of some names and count the others: ``a, b, c and 3 more``."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(map(as_text, items[:shown])) + more


def time_ago(mtime_ns: int, now_ns: int) -> str:
    """Say how long ago a time was, or how far it is in the future."""
    lag = now_ns - mtime_ns
    return f"{duration(lag)} ago" if lag >= 0 else f"{duration(-lag)} in the future"


def duration(ns: int) -> str:
    """Say how long, in the one unit a person would use."""
    seconds = ns / 1e9
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, size, up_to in (
        ("s", 1, 120),
        ("min", 60, 120 * 60),
        ("h", 3600, 48 * 3600),
        ("days", 86400, 1e18),
    ):
        if seconds < up_to:
            return f"{round(seconds / size)} {unit}"
    return "ages"


def break_line(line: str, width: int) -> str:
    """Break a line that is wider than the terminal, between words; what continues it is indented. 0 columns: leave
    it.

    Commands in backquotes, paths and other words stay whole, however long they are, and so does a line that is
    indented by four blanks: a command to paste. Colours are counted as nothing.
    """
    import re

    if not width or len(line) <= width or (line[:4] == "    " and line[4:5] != " "):
        return line
    start = line[: len(line) - len(line.lstrip(" "))]
    indent = start + "  "
    for bullet in ("= ", "--> ", "kdeps: "):
        if re.sub(r"\x1b\[[0-9;]*m", "", line).startswith(start + bullet):
            indent = start + " " * len(bullet)
    lines: list[str] = []
    current, columns = "", 0
    for gap, word in re.findall(r"( *)((?:`[^`]*`|[^ `]|`)+)", line):
        length = len(re.sub(r"\x1b\[[0-9;]*m", "", word))
        if columns > len(indent) and columns + len(gap) + length > width >= len(indent) + length:
            lines.append(current)
            current, columns = indent + word, len(indent) + length
        else:
            current, columns = current + gap + word, columns + len(gap) + length
    return "\n".join([*lines, current])
