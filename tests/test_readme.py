# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the README shows is what the program does, and a stranger can read it in five minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.cli.exits import Exit
from kdeps.cli.options import COMMANDS
from kdeps.staleness.reasons import ReasonKind
from tests.conftest import CHECKOUT

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
MAX_LINES = 230
MAX_BYTES = 12_288


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_table(command: str) -> None:
    """No command ships without a line in the README."""
    assert f"| `kdeps {command}` |" in README


def test_every_reason_is_in_the_table() -> None:
    """No reason ships without a line in the README."""
    assert [kind.value for kind in ReasonKind if f"| `{kind.value}` |" not in README] == []


def test_every_exit_status_is_in_the_table() -> None:
    """No exit status ships without a line in the README."""
    assert [int(code) for code in Exit if f"| {int(code)} |" not in README] == []


def test_it_stays_short() -> None:
    """Details belong into ``--help``, examples/README.md and tests/README.md."""
    assert README.count("\n") <= MAX_LINES
    assert len(README.encode()) <= MAX_BYTES


def test_every_file_that_it_names_is_there() -> None:
    """No link or path leads nowhere."""
    for name in ("examples/session.svg", "examples/README.md", "tests/README.md", ".ci/vendor-page.py"):
        assert name in README
        assert (CHECKOUT / name).is_file()


def test_the_session_can_be_recorded_again(tmp_path: Path) -> None:
    """The picture comes from real commands: the edit, a silent make, the check, the refresh."""
    picture = tmp_path / "session.svg"
    script = CHECKOUT / "examples/record-session.py"
    subprocess.run([sys.executable, script, picture], check=True, capture_output=True, cwd=CHECKOUT)
    text = picture.read_text(encoding="utf-8").replace("&#160;", " ")
    for shown in ("vim rust/kernel/io.rs", "kdeps check", "is older than rust/kernel/io.rs", "refreshed in"):
        assert shown in text
    assert "Traceback" not in text
    assert str(tmp_path) not in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("https://www.textualize.io", "")
