# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Builds that are only known in part: kdeps compares their sources by content, and reuses none of their outputs."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.conftest import RunKdeps
from tests.contents.test_steps import build
from tests.support.memory import SOURCE, M, edit_behind_mtime, stale_of, take
from tests.support.miniature import Miniature
from tests.support.verdict import judged


def _sync(tree: Miniature) -> None:
    """Change a symbol that no crate reads."""
    tree.append("Kconfig", "\nconfig LATER\n\tbool\n\tdefault y\n")
    tree.make("modules_prepare")


def _upgrade(tree: Miniature) -> None:
    """Install a tool again, the same one."""
    os.chmod(tree.toolchain / "bin/ld", 0o755)


@pytest.mark.parametrize("change", [_sync, _upgrade])
def test_a_tree_that_something_happened_to_before_it_is_remembered(
    change: Callable[[Miniature], None],
    tree: Miniature,
    kdeps: RunKdeps,
    tmp_path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An edit with an old time is seen, and what was only touched make builds again."""
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/cache")
    tree.touch("rust/ffi.rs")  # the records of a copied tree do not tell when they were made
    tree.make("modules_prepare")
    tree.make(M)
    change(tree)
    take(tree)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
    edit_behind_mtime(tree.path(SOURCE))
    assert stale_of(kdeps, tree) == {"rust/kernel.o": ["content-changed"]}
    tree.touch("rust/ffi.rs")
    assert {"  RUSTC L rust/ffi.o", "  RUSTC L rust/kernel.o"} <= set(build(tree, kdeps))
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
