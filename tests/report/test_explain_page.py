# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps explain REASON``: every reason has a page, and each page's reproduction does what the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.report.explain_page import page_names, read_page
from kdeps.report.formats.sarif import LARGE_FRAME
from kdeps.report.issues import KINDS
from kdeps.system.birth import birth_times
from tests.conftest import CHECKOUT
from tests.support.miniature import MODULE, Miniature, create
from tests.support.program import run_text


def _parts(name: str) -> tuple[list[str], list[str]]:
    """The commands of a page, and what they show."""
    page = read_page(name)
    assert page is not None
    text = page.text
    _, found, rest = text.partition("leaves:\n")
    commands, _, shown = rest.partition("It shows:\n") if found else ("", "", "")
    shown = shown.partition("\n\n")[0]
    return [line[4:] for line in commands.splitlines()], [line[4:] for line in shown.splitlines()]


REPRODUCED = [name for name in page_names() if _parts(name)[0]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The tree that ``kdeps demo --keep`` leaves: built, in its own source tree."""
    tree = create(tmp_path_factory.mktemp("demo"))
    tree.make("defconfig")
    tree.make()
    tree.make(f"M={MODULE}")
    return tree


def test_every_reason_has_a_page() -> None:
    """A kind that a message or a report names can be explained."""
    assert {*KINDS, LARGE_FRAME} <= set(page_names())


def test_every_page_can_be_tried() -> None:
    """All but two: the demo has no headers of the kernel that runs, and its objects have no machine code."""
    assert set(page_names()) - set(REPRODUCED) == {"kernel-guessed", LARGE_FRAME}


@pytest.mark.parametrize("name", page_names())
def test_a_page_says_what_it_is_and_what_to_do(name: str) -> None:
    """The first line names it; no line is wider than a terminal likes."""
    page = read_page(name)
    assert page is not None
    text = page.text
    assert text.startswith(f"{name}: ")
    assert "\nWhat to do: " in text
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("name", REPRODUCED)
def test_the_reproduction_does_what_the_page_says(name: str, demo: Miniature, tmp_path: Path) -> None:
    """The commands run as they stand, and the last one prints what the page has."""
    tree = demo.copy_to(tmp_path / "tree")
    commands, shown = _parts(name)
    if shutil.which("cc") is None and any(" | cc " in line or line.startswith("cc ") for line in commands):
        pytest.skip("needs a C compiler")
    if name == "changed-meanwhile" and birth_times(str(tree.srctree)) is None:
        pytest.skip("this file system, or this C library, knows no births")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "kdeps").write_text(f'#!/bin/sh\nexec {sys.executable} -m kdeps "$@"\n')
    (tools / "kdeps").chmod(0o755)
    environ = tree.environment({"PYTHONPATH": str(CHECKOUT), "XDG_CACHE_HOME": str(tmp_path / "cache")})
    environ["PATH"] = f"{tools}:{environ['PATH']}"
    before = subprocess.run(
        ["kdeps", "check", "M=drivers/gpu/nova-core"], cwd=tree.srctree, env=environ, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert before.returncode == 0, before.stdout

    done = subprocess.run(
        ["sh", "-c", "\n".join(commands)],
        cwd=tree.srctree,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown
    for line in shown:
        assert line in done.stdout + done.stderr


@pytest.mark.parametrize("word", ["newer-prerequisite", "E0463", "e0463"])
def test_a_page_is_printed(word: str) -> None:
    """The one word is a name, not an argument of make."""
    done = run_text(("explain", word), cwd=CHECKOUT, env={**os.environ})
    page = read_page(word)
    assert page is not None
    assert (done.returncode, done.stdout) == (0, page.text)


def test_a_code_without_a_page_names_the_pages() -> None:
    """It is no goal of make, so the mistake is said at once."""
    done = run_text(("explain", "E9999"), cwd=CHECKOUT, env={**os.environ})
    assert done.returncode == 2
    assert done.stderr.startswith("kdeps: error: E9999: no page has that name; there are E0460, ")
