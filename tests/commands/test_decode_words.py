# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps decode``: which log is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.support.decode import NAME, READABLE, decode


def test_a_log_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "oops.txt").write_bytes(NAME)
    assert decode(str(tmp_path / "oops.txt")).stdout == READABLE
    assert decode("oops.txt", cwd=tmp_path).stdout == READABLE
    assert decode("-", log=NAME).stdout == READABLE


@pytest.mark.parametrize("name", ["nothing", ".", "a\nb"])
def test_a_log_that_cannot_be_read_is_one_line(name: str, tmp_path: Path) -> None:
    done = decode(name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"kdeps: error: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [("M=drivers", "gone.log"), ("a.log", "b.log"), ("-", "logs/b")])
def test_no_log_is_passed_over(words: tuple[str, ...], tmp_path: Path) -> None:
    """A log that is not there, behind make's arguments, or a second one: never standard input in its place."""
    (tmp_path / "a.log").write_bytes(NAME)
    done = decode(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words[1] in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_closed_standard_input_is_one_line() -> None:
    command = f"{sys.executable} -m kdeps decode <&-"
    done = subprocess.run(["sh", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("kdeps: error: standard input: Bad file descriptor; name a log")
    assert done.stderr.count("\n") == 1
