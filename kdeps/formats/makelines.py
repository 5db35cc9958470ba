# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read text as make reads a Makefile: logical lines, comments, references, lists of names.

Source: experiments with make 4.4.1.
"""

from __future__ import annotations

import re

from kdeps import NamedTuple
from kdeps.formats.words import BLANKS, split_words

_PARENTHESES = {"(": re.compile(r"[()]"), "{": re.compile(r"[{}]")}
_HASH = re.compile(r"(?<!\\)(\\*)#")


class Words(NamedTuple):
    """A list of names, expanded."""

    names: list[str]
    config: list[str]
    """Symbols whose stamps a ``$(wildcard include/config/…)`` names."""
    optional: list[str]
    """Other files that a ``$(wildcard …)`` names."""


def logical_lines(text: str) -> list[tuple[str, int]]:
    """Join lines that end in a backslash; with each, how many lines of the file it is."""
    lines: list[tuple[str, int]] = []
    pending: list[str] = []
    for line in text.split("\n"):
        if (len(line) - len(line.rstrip("\\"))) % 2:
            pending.append(line[:-1])
            continue
        lines.append((" ".join([*pending, line]), len(pending) + 1))
        pending = []
    if pending:
        # A backslash alone in the last line is no blank line to make, but a mistake.
        lines.append(
            (" ".join(pending) if any(part.strip(BLANKS) for part in pending) else "\\", len(pending))
        )
    return lines


def without_comment(line: str) -> str:
    """Drop a comment, which begins at the first ``#`` without a backslash."""
    if "#" not in line:
        return line
    kept: list[str] = []
    start = 0
    for found in _HASH.finditer(line):
        is_escaped = len(found[1]) % 2
        kept.append(line[start : found.end() - 1 - is_escaped])
        if not is_escaped:
            return "".join(kept)
        start = found.end() - 1
    return "".join(kept) + line[start:]


def is_open(text: str) -> bool:
    """Whether a function call or variable reference has no closing parenthesis."""
    at = text.find("$")
    while at >= 0:
        following = text[at + 1 : at + 2]
        at += 2
        if following in ("(", "{"):
            at = find_closing(text, at)
            if at < 0:
                return True
        at = text.find("$", at)
    return False


def find_closing(text: str, at: int) -> int:
    """Find the end of the reference whose inside begins at ``at``: the position behind it, or -1."""
    opening = text[at - 1]
    depth = 1
    for found in _PARENTHESES[opening].finditer(text, at):
        depth += 1 if found[0] == opening else -1
        if depth == 0:
            return found.end()
    return -1


def expand(text: str) -> Words:
    """Expand a list as make would where no variable is set.

    fixdep writes the ``$`` of a name raw: make takes it for a reference, so the
    file it then looks for does not exist, and the target is rebuilt every time.
    """
    words = Words([], [], [])
    plain: list[str] = []
    at = 0
    while True:
        dollar = text.find("$", at)
        plain.append(text[at : dollar if dollar >= 0 else len(text)])
        if dollar < 0:
            break
        following = text[dollar + 1 : dollar + 2]
        at = dollar + 2
        if following == "$" or not following:
            plain.append("$")
        elif following in ("(", "{"):
            at = find_closing(text, at)
            reference = text[dollar + 2 : at - 1]
            if reference == "pound":
                plain.append("#")
            for name in _wildcard_names(reference):
                if name.startswith("include/config/") and name[15:]:
                    words.config.append(name[15:])
                else:
                    words.optional.append(name)
    words.names.extend(split_words("".join(plain)))
    return words


def _wildcard_names(call: str) -> list[str]:
    function, _, names = call.partition(" ")
    return split_words(names) if function == "wildcard" and "$" not in names else []
