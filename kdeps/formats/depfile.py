# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read a ``.d`` file: the dependency list as a compiler writes it.

Kbuild deletes these once fixdep has turned them into a record. One that is
still there belongs to a compile that was broken off, and is then the best
account of what that step read.

Writers, and what each does with a special character:

* gcc and clang (``-MD``, and bindgen, which is clang): a blank is ``\\ ``, ``#`` is
  ``\\#``, ``$`` is ``$$``; backslashes before a blank are doubled.
* clang writes every backslash of a name as ``/``, and a tab raw.
* rustc (``--emit=dep-info``): a blank is ``\\ ``; nothing else is escaped. One rule
  per output, then one ``FILE:`` per input, then comments (``# env-dep:NAME=value``,
  ``# checksum:…``).
* fixdep, for reference, undoes only ``\\#`` and ``\\:``.

An escape is undone as GNU make undoes it. What make would take for syntax in the
middle of a rule (``#``, ``$x``, ``:``, ``;``, ``|``) is kept: no compiler writes such
syntax there, so it is a name that rustc did not escape.

Source: GNU make ``src/read.c`` (``find_char_unquote``), linux ``scripts/basic/fixdep.c``,
rustc ``rustc_interface::passes::write_out_deps``.
"""

from __future__ import annotations

from kdeps.formats.makelines import logical_lines
from kdeps.formats.words import split_words


def parse_depfile(data: bytes) -> tuple[str, ...]:
    """Return what the rules of one ``.d`` file name behind their colons, each once, in file order.

    Decoded with ``surrogateescape``, because a path is bytes. Never raises: text that is no rule names nothing.
    """
    prerequisites: dict[str, None] = {}
    # A list that went through a Windows checkout has carriage returns.
    text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").removesuffix("\r")
    for line, _ in logical_lines(text):
        words, colon = ([], -1) if line.startswith("#") else _words(line)
        if colon > 0:
            prerequisites.update(dict.fromkeys(words[colon:]))
    return tuple(prerequisites)


def _words(line: str) -> tuple[list[str], int]:
    """Split a rule into words. Returns them and how many stand before the colon (-1: no colon)."""
    if "\\" not in line and "$" not in line and "\t" not in line:
        # Nearly every line: no escape in it, so the first ": " (or a colon at
        # the end) is the separator.
        before, colon, after = line.partition(": ")
        if not colon and line.endswith(":"):
            before, colon, after = line[:-1], ":", ""
        if not colon:
            return split_words(line), -1
        left = split_words(before)
        return left + split_words(after), len(left)
    words: list[str] = []
    word = ""
    colon_at = -1
    i = 0
    while i < len(line):
        char = line[i]
        if char == "\\":
            run = i
            while run < len(line) and line[run] == "\\":
                run += 1
            count = run - i
            following = line[run : run + 1]
            if following and following in " \t#:":
                # make: 2n+1 backslashes before a special character are n of
                # them and the character; 2n are n and its special meaning.
                word += "\\" * (count // 2)
                if count % 2:
                    word += following
                    run += 1
            else:
                word += "\\" * count
            i = run
            continue
        if char == "$":
            word += "$"
            i += 2 if line[i + 1 : i + 2] == "$" else 1
            continue
        if char in " \t":
            if word:
                words.append(word)
                word = ""
        elif char == ":" and colon_at < 0 and line[i + 1 : i + 2] in ("", " ", "\t"):
            if word:
                words.append(word)
                word = ""
            colon_at = len(words)
        else:
            word += char
        i += 1
    if word:
        words.append(word)
    return words, colon_at
