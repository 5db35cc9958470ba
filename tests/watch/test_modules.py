# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which modules a command line names."""

from __future__ import annotations

from kdeps.watch.modules import one_line_per_module


def test_several_modules_are_several_command_lines() -> None:
    """make itself would take the last; everything else stays."""
    assert one_line_per_module(("M=a", "O=b", "-j2", "M=c", "M=a")) == [
        ("O=b", "-j2", "M=a"),
        ("O=b", "-j2", "M=c"),
    ]
    assert one_line_per_module(("O=b", "M=a")) == [("O=b", "M=a")]
    assert one_line_per_module(()) == [()]
