# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Rust names made readable by a child process: both tools give one text, and no child can hold kdeps up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kdeps.system.demangle import TOOLS, Demangler
from kdeps.system.process import list_descendants
from tests.conftest import CHECKOUT

SYMBOLS = CHECKOUT / "tests/data/symbols/v0.tsv"
"""Of the objects of real kernels and of rustc itself, with what ``llvm-cxxfilt`` 19 made of them."""
NAME = "_RNvC9oops_demo7trigger"
READABLE = "oops_demo::trigger"


def rows() -> list[tuple[str, str]]:
    lines = SYMBOLS.read_text(encoding="utf-8").splitlines()
    return [(name, text) for name, _, text in (line.partition("\t") for line in lines)]


def fake_tool(folder: Path, script: str) -> str:
    path = folder / "fake-cxxfilt"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_gives_the_text_of_llvm(tool: str) -> None:
    """Hashes of crates and types of constants, which only c++filt prints, are taken out."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    demangler = Demangler([tool])
    assert demangler.readable(name for name, _ in rows()) == dict(rows())
    assert demangler.problem is None


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, READABLE),
        (f"{NAME}.cold", f"{READABLE} (.cold)"),
        (f"{NAME}.llvm.9D1C9369", f"{READABLE} (.llvm.9D1C9369)"),
        ("_RINvC1a1bSfE", "a::b::<[f32]>"),  # a slice, and no hash
        ("mutex_lock", "mutex_lock"),
        ("_RET_IP_", "_RET_IP_"),
        ("_RNvC1a", "_RNvC1a"),
        ("_R", "_R"),
        ("", ""),
        ("_RNvC1a1b\n_RNvC1a1c", "_RNvC1a1b\n_RNvC1a1c"),
        ("_RNvC1a1b\0", "_RNvC1a1b\0"),
        ("_RNvC1aé", "_RNvC1aé"),
        (f"_RNvC1a{'1b' * 3000}", f"_RNvC1a{'1b' * 3000}"),
    ],
)  # fmt: skip
def test_suffixes_and_what_is_no_rust_name(tool: str, name: str, text: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    demangler = Demangler([tool])
    assert demangler.readable([name, NAME]) == {name: text, NAME: READABLE}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_name_without_measure_costs_only_itself(tool: str) -> None:
    """Nested or doubling names: the answer is the name or a text that fits on a page, and the next name is answered."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    letters = "345678abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
    hostile = [
        "_RIC1aTThhE" + "".join(f"TB{at}_B{at}_E" for at in letters) + "EE",
        "_RIC1a" + "S" * 3900 + "hE",
        "_R" + "NvB_" * 900,
        "_RIC1aFG" + "z" * 12 + "_E",
        "_RIC1aF" + "G0_" * 1200,
        "_RNvC1au3000___" + "z" * 3000,
    ]
    demangler = Demangler([tool])
    for name in hostile:
        answer = demangler.readable([name])[name]
        assert answer == name or (len(answer) < 1 << 20 and answer.isprintable())
    assert demangler.readable([NAME]) == {NAME: READABLE}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exec sleep 1000", "silent"),
        ("exit 1", "ends at once"),
        ("read line; echo a::b; exit 0", "ends after the first answer"),
        ("exec 1>&-; exec sleep 1000", "closes its output"),
        ("exec cat", "knows no Rust"),
        ("exec yes", "answers without end"),
        ("read line; echo a::b; exec cat /dev/zero", "one answer without end"),
        ("read line; printf 'a::b'; exec sleep 1000", "an answer without its end"),
        ("while read line; do printf 'a::b\\n\\033]0;x\\007\\n'; done", "two answers for each name"),
    ],
)
def test_a_child_that_does_not_behave_leaves_names_mangled(tmp_path: Path, script: str, why: str) -> None:
    demangler = Demangler([fake_tool(tmp_path, script)], timeout_s=0.5)
    for number in range(6):
        name = f"{NAME}{number}"
        assert demangler.readable([name]) == {name: name}, why
    assert demangler.problem is not None


def test_the_next_tool_is_taken_if_the_first_does_not_work(tmp_path: Path) -> None:
    demangler = Demangler([fake_tool(tmp_path, "exec cat"), *TOOLS])
    assert demangler.readable([NAME]) == {NAME: READABLE}
    assert demangler.problem is None


def test_no_tool_leaves_names_mangled_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    demangler = Demangler()
    assert demangler.readable([NAME]) == {NAME: NAME}
    assert demangler.problem == "no llvm-cxxfilt or c++filt found: Rust names stay mangled"


def test_no_child_outlives_a_question() -> None:
    before = list_descendants(os.getpid())
    Demangler().readable([NAME])
    assert list_descendants(os.getpid()) == before
