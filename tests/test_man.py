# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The manual pages say what ``--help`` says, and man and mandoc can show them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kdeps.cli.commands import cli
from kdeps.cli.man import ENVIRONMENT, pages

PAGES = pages(cli)


def _words(text: str) -> list[str]:
    """The words of a formatted text: no bold, no hyphenation, no blanks of justified lines."""
    text = re.sub(r".\x08", "", text)
    text = re.sub(r"[\u2010\u00ad]\n\s*", "", text)
    return (
        text.replace("\u2010", "-")
        .replace("\u2212", "-")
        .replace("`", "")
        .replace("[", "")
        .replace("]", "")
        .split()
    )


def _man(page: str) -> str:
    done = subprocess.run(
        ["man", "--warnings", "-l", "-"], input=page, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANROFFOPT": "-c"},
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def _mandoc(page: str) -> str:
    done = subprocess.run(["mandoc", "-Tutf8"], input=page, capture_output=True, text=True, check=True)
    return done.stdout


FORMATTERS = [
    pytest.param(_man, marks=pytest.mark.skipif(shutil.which("man") is None, reason="no man here")),
    pytest.param(_mandoc, marks=pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc here")),
]


@pytest.mark.parametrize("name", sorted(cli.commands))
@pytest.mark.parametrize("formatted", FORMATTERS)
def test_every_word_of_the_help_is_in_the_page(name: str, formatted: object) -> None:
    """Whatever ``--help`` says of a command, its page says; and it has a name, options and neighbours."""
    assert callable(formatted)
    page = formatted(PAGES[f"kdeps-{name}"])
    said = CliRunner().invoke(cli, [name, "--help"], prog_name="kdeps", terminal_width=100).output
    told = set(_words(page))
    lost = [
        word
        for word in _words(said)
        if word not in told and word not in ("Usage:", "status:", "Examples:", "Options:", "Exit")
    ]
    assert lost == []
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"):
        assert re.search(rf"^{heading}$", re.sub(r".\x08", "", page), re.MULTILINE)


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc here")
@pytest.mark.parametrize("name", sorted(PAGES))
def test_mandoc_finds_nothing_wrong(name: str) -> None:
    """No warning but for the date, which a page made from a program does not have, and for long lines."""
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning"], input=PAGES[name], capture_output=True, text=True, check=False
    )
    left = [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]
    assert left == []


def test_there_is_a_page_for_every_command() -> None:
    """None is forgotten, and the first page names them all."""
    assert set(PAGES) == {"kdeps", *(f"kdeps-{name}" for name in cli.commands)}
    assert [
        f".BR kdeps\\-{name} (1)" for name in cli.commands if f".BR kdeps\\-{name} (1)" not in PAGES["kdeps"]
    ] == []


def test_the_environment_is_told() -> None:
    """What steers kdeps from outside stands in the first page."""
    for name in ENVIRONMENT:
        assert f".B {name}" in PAGES["kdeps"].replace("\\-", "-")


def test_text_cannot_be_taken_for_requests() -> None:
    """A line that begins with a dot or a quote, a backslash, a dash: all arrive as they are."""

    @click.group()
    def group() -> None:
        """Group."""

    @group.command()
    def odd() -> None:
        """Odd one.

        \b
        .SH NOT A HEADING
        'quoted' and C:\\path -- `code` ~ ^
        """

    page = pages(group)["kdeps-odd"]
    assert "\n.SH NOT" not in page
    if shutil.which("mandoc"):
        shown = re.sub(r".\x08", "", _mandoc(page))
        assert ".SH NOT A HEADING" in shown
        assert "'quoted' and C:\\path -- code ~ ^" in shown


def test_pages_are_installed_where_man_finds_them(tmp_path: Path) -> None:
    """``kdeps man --install`` writes a folder that man can be pointed at."""
    done = CliRunner().invoke(cli, ["man", "--install", str(tmp_path / "man")], prog_name="kdeps")
    assert done.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "man/man1").iterdir()) == sorted(f"{name}.1" for name in PAGES)
    if shutil.which("man"):
        found = subprocess.run(
            ["man", "-M", str(tmp_path / "man"), "-w", "kdeps-why"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stdout.strip() == str(tmp_path / "man/man1/kdeps-why.1")


def test_an_unknown_page() -> None:
    """A mistyped command suggests its neighbour."""
    done = CliRunner().invoke(cli, ["man", "wy"], prog_name="kdeps")
    assert done.exit_code == 2
    assert "wy: no such command; did you mean why?" in done.output
