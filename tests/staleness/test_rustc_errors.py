# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What rustc will say of stale crates is told before it is run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.staleness.test_fidelity import empty
from tests.support.miniature import MODULE, Miniature
from tests.support.verdict import judged

M = f"M={MODULE}"


def newer(path: Path) -> None:
    os.utime(path)


def rebuilt(path: Path) -> None:
    """The crate alone was made again, as by a refresh that was stopped there."""
    os.utime(path)
    os.utime(path.with_name(f"{path.stem[3:]}.o"))


@pytest.mark.parametrize(
    ("name", "change", "code", "certain", "says"),
    [
        ("rust/libkernel.rmeta", Path.unlink, "E0463", True, "can't find crate for `kernel`"),
        ("rust/libkernel.rmeta", empty, "E0463", True, "can't find crate for `kernel`"),
        ("rust/libbindings.rmeta", Path.unlink, "E0463", True, "`kernel`, which needs `bindings`"),
        ("rust/libmacros.so", Path.unlink, "E0463", True, "`kernel`, which needs `macros`"),
        ("rust/libcore.rmeta", Path.unlink, "E0463", True, "can't find crate for `core`"),
        ("scripts/target.json", newer, "E0461", False, "`core` with the expected target"),
        ("rust/libbindings.rmeta", rebuilt, "E0463", False, "against another `bindings`"),
    ],
)
def test_the_error_is_foretold(
    name: str, change: Callable[[Path], None], code: str, certain: bool, says: str,
    tree: Miniature, kdeps: RunKdeps,
) -> None:  # fmt: skip
    """Each was seen with rustc 1.85 on Linux 7.2, in this very state."""
    change(tree.objtree / name)

    verdict = judged(kdeps, tree, M)
    text = kdeps(tree, "check", M).stdout

    foretold = [r["rustc_error"] for s in verdict["stale"] for r in s["reasons"] if "rustc_error" in r]
    assert {"code": code, "certain": certain} in foretold
    assert says in text
    assert code in text


def test_old_code_is_no_error(tree: Miniature, kdeps: RunKdeps) -> None:
    """A crate that is merely older than its source compiles: that is the trouble with it."""
    tree.touch("rust/kernel/io.rs")
    assert "rustc " not in kdeps(tree, "check", M).stdout


def test_another_rustc_is_told_with_its_error(tree: Miniature, kdeps: RunKdeps) -> None:
    tree.set_version("rustc", "1.98.0")
    assert "(E0514)" in kdeps(tree, "check", M).stdout
