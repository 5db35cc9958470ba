# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Files beside the crates that rustc would take for one of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_json


def issues_of(kdeps: RunKdeps, tree: Miniature, *words: str) -> tuple[int, list[Any]]:
    done = kdeps(tree, "ci", "--format=json", *(words or (f"M={MODULE}",)))
    return done.returncode, read_json(done.stdout)["issues"]


def test_a_fresh_build_leaves_nothing(tree: Miniature, kdeps: RunKdeps) -> None:
    """Kernel, module, external module: every file has its record, or is a side output of one."""
    tree.make(f"M={tree.external}")
    for words in ((), (f"M={MODULE}",), (f"M={tree.external}",)):
        assert issues_of(kdeps, tree, *words) == (0, [])


def test_what_make_uses_is_stale_and_told_once(tree: Miniature, kdeps: RunKdeps) -> None:
    """A crate whose object is gone is the verdict's business, not a left-over record."""
    (tree.objtree / "rust/kernel.o").unlink()
    status, issues = issues_of(kdeps, tree)
    assert status == 1
    assert [issue["kind"] for issue in issues] == ["missing-target"]


@pytest.mark.parametrize("name", ["libkernel-2.rmeta", "libkernel.rlib", "libmacros-1.so"])
def test_a_stray_crate_is_what_rustc_may_take(tree: Miniature, kdeps: RunKdeps, name: str) -> None:
    """It looks at every file that begins with the crate's name: measured, error[E0464] with rustc 1.85. The cure removes it."""
    stray = tree.objtree / "rust" / name
    stray.write_bytes((tree.objtree / "rust/libcore.rmeta").read_bytes())
    status, issues = issues_of(kdeps, tree)
    assert status == 1
    (issue,) = issues
    assert (issue["kind"], issue["paths"][0]["path"]) == ("file-without-record", str(stray))
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    assert f"rm -f {stray}" in read_json(done.stdout)["cure"]
    # What only looks like it is another crate's.
    stray.rename(stray.with_name("liballoc.rmeta"))
    assert issues_of(kdeps, tree)[0] == 0
