# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Split text where make and the shell split it.

``str.split`` also splits at U+00A0, U+3000 and their like, which are ordinary
characters of a file name to make and the shell.
"""

from __future__ import annotations

import re

BLANKS = " \t\n"
_WORD = re.compile(rf"[^{BLANKS}]+")


def split_words(text: str) -> list[str]:
    """Split at blanks, tabs and newlines (in pure ASCII at other control characters too: that is much faster)."""
    return text.split() if text.isascii() else _WORD.findall(text)
