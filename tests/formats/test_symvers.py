# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which lines a list of symbols has."""

from __future__ import annotations

import pytest

from kdeps.formats.symvers import find_garbled_line, has_garbled_end

NEW = b"0x7e2b1f3c\trust_helper\tvmlinux\tEXPORT_SYMBOL_GPL\t\n"
SPACED = b"0x7e2b1f3c\tdma_buf_put\tvmlinux\tEXPORT_SYMBOL_GPL\tDMA_BUF\n"
FROM_5_4 = b"0x7e2b1f3c\tkfree\t\tvmlinux\tEXPORT_SYMBOL\n"
NAMESPACE_FIRST = b"0x7e2b1f3c\tdma_buf_put\tDMA_BUF\tvmlinux\tEXPORT_SYMBOL_GPL\n"


@pytest.mark.parametrize("line", [NEW, SPACED, FROM_5_4, NAMESPACE_FIRST])
def test_a_line_of_each_kernel_is_known(line: bytes) -> None:
    assert find_garbled_line(NEW + line) is None


@pytest.mark.parametrize(
    "end", [b"\0" * 40, b"0x7e2b1f3c\trust_he", b"0x7e2b1f3c\t\tvmlinux\tEXPORT_SYMBOL\t\n", b"\n"]
)
def test_what_modpost_stops_at_or_takes_for_the_end_is_told(end: bytes) -> None:
    assert find_garbled_line(NEW + SPACED + end) == 3


def test_lines_that_the_two_ends_cut_do_not_count() -> None:
    lines = NEW * 200
    assert not has_garbled_end(lines[:4096], lines[-4096:])
    assert has_garbled_end(lines[:4096], lines[-4096:] + b"0x1")
