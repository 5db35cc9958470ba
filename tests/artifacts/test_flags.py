# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Rust objects whose flags do not fit those of the crate `kernel`, though every time is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunKdeps
from tests.support.elf_objects import put
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_json


def stale_of(kdeps: RunKdeps, tree: Miniature) -> tuple[int, list[Any], list[str]]:
    """Exit status, what is wrong, and what helps."""
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    report = read_json(done.stdout)
    return done.returncode, [i for i in report["issues"] if i["verdict"] == "stale"], report["cure"]


def reword(path: Path, pattern: str, new: str) -> None:
    """Change a record's command, and that only, behind its mtime."""
    head, line, rest = path.read_text().partition("\n")
    assert re.search(pattern, head), head
    put(path, (re.sub(pattern, new, head, count=1) + line + rest).encode())


@pytest.mark.parametrize("flag", ["-Zsanitizer=kcfi", "-Ctarget-feature=+soft-float", "-Zregparm=3"])
def test_rust_flags_that_make_an_abi(tree: Miniature, kdeps: RunKdeps, flag: str) -> None:
    """A module compiled with another ABI than the crate `kernel` is named; with the same one again it is fresh."""
    record = tree.module / ".nova_core.o.cmd"
    reword(record, "--emit=", f"{flag} --emit=")
    status, (issue,), cure = stale_of(kdeps, tree)
    assert status == 1
    assert issue["kind"] == "flags-differ"
    assert f"was compiled with {flag}, crate `kernel` with none of these flags" in issue["message"]
    assert cure[0] == f"rm -f {tree.module}/nova_core.o"
    for crate in (tree.objtree / "rust").glob(".*.o.cmd"):
        if "--target=" in crate.read_text() and "--emit=" in crate.read_text():
            reword(crate, "--emit=", f"{flag} --emit=")
    assert stale_of(kdeps, tree)[:2] == (0, [])


def test_the_flags_of_a_later_step_are_not_rustcs(tree: Miniature, kdeps: RunKdeps) -> None:
    """With inlined helpers a record goes on with llvm-link and clang, whose words are no flags of the crate."""
    record = tree.objtree / "rust/.kernel.o.cmd"
    reword(
        record,
        "$",
        "; llvm-link rust/kernel.bc -o rust/kernel.m.bc; clang --target=x86_64-linux-gnu -c rust/kernel.m.bc",
    )
    assert stale_of(kdeps, tree)[:2] == (0, [])


def test_flags_that_make_no_abi(tree: Miniature, kdeps: RunKdeps) -> None:
    """Optimisation and debug information may differ."""
    reword(tree.module / ".nova_core.o.cmd", "--emit=", "-Copt-level=3 -Cdebuginfo=2 --emit=")
    assert stale_of(kdeps, tree)[:2] == (0, [])
