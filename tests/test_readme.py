# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the README shows is what the program does.

After a change of the options: ``KDEPS_UPDATE_README=1 pytest tests/test_readme.py``.
"""

from __future__ import annotations

import os
import re

import pytest
from click.testing import CliRunner

from kdeps.cli.commands import cli
from kdeps.cli.start import Exit
from kdeps.verdict import ReasonKind
from tests.conftest import CHECKOUT

README = CHECKOUT / "README.md"
HELP = re.compile(r"<!-- (kdeps [\w -]*--help) -->\n```\n(.*?)```\n", re.DOTALL)


def _help(command: str) -> str:
    words = command.split()[1:]
    return CliRunner().invoke(cli, words, prog_name="kdeps", terminal_width=100).output


def test_the_help_texts_are_those_of_the_program() -> None:
    """Each ``--help`` in the README is printed by the command it names."""
    text = README.read_text()
    now = HELP.sub(lambda found: f"<!-- {found[1]} -->\n```\n{_help(found[1])}```\n", text)
    if os.environ.get("KDEPS_UPDATE_README"):
        README.write_text(now)
    assert text == now


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_is_documented(command: str) -> None:
    """No command ships without its help in the README."""
    assert f"<!-- kdeps {command} --help -->" in README.read_text()


def test_every_reason_is_documented() -> None:
    """No reason ships without a line in the README's table."""
    text = README.read_text()
    assert [kind.value for kind in ReasonKind if f"| `{kind.value}` |" not in text] == []


def test_every_exit_status_is_documented() -> None:
    """No exit status ships without a line in the README's table."""
    text = README.read_text()
    assert [int(code) for code in Exit if f"| {int(code)} |" not in text] == []
