# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Records that Kbuild really wrote, for the tests of their parser."""

from __future__ import annotations

import pytest

from kdeps.formats.cmdfile import Record
from tests.conftest import CHECKOUT
from tests.support.gnu_make import MAKE, REASON

RECORDS = CHECKOUT / "tests/data" / "records"

needs_make = pytest.mark.skipif(MAKE is None, reason=REASON)


def captured(name: str) -> bytes:
    return (RECORDS / f"{name}.cmd").read_bytes()


def command_line(data: bytes) -> bytes:
    """The line with the command, found without the parser."""
    (line,) = [line for line in data.split(b"\n") if line.startswith((b"savedcmd_", b"cmd_"))]
    return line


def as_make_has_it(found: Record) -> tuple[str, ...]:
    """The prerequisites make would show: each once, the raw form's source among them."""
    raw = found.source if found.target.endswith("tools/objtool/fixdep.o") else None
    return tuple(dict.fromkeys((*((raw,) if raw else ()), *found.prerequisites)))
