# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An edited Makefile of the kernel gets a note, until Kbuild confirms that no command changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import Miniature
from tests.support.verdict import M, judged, kinds

Asked = Callable[..., dict[str, object]]


@pytest.fixture
def asked(tree: Miniature, kdeps: RunKdeps) -> Asked:
    """``kdeps check`` of the module."""
    return lambda *words: judged(kdeps, tree, M, *words)


@pytest.mark.parametrize("name", ["rust/Makefile", "Makefile", "scripts/Makefile.lib"])
def test_a_makefile_that_was_edited_is_noted_until_kbuild_says_that_no_command_changed(
    name: str, tree: Miniature, asked: Asked
) -> None:
    for comment in ("once", "again"):
        assert kinds(asked()) == []
        with (tree.srctree / name).open("a") as makefile:
            makefile.write(f"# {comment}\n")
        verdict = asked()
        assert (verdict["verdict"], kinds(verdict)) == ("fresh", ["command-changed"])
        assert f"'{name} was edited after the kernel's artifacts" in str(verdict["findings"]).replace(
            '"', "'"
        )
        assert kinds(asked("--exact")) == []


def test_an_edit_that_changes_a_command_is_noted_until_the_crates_are_built_by_it(
    tree: Miniature, asked: Asked
) -> None:
    with (tree.srctree / "rust/Makefile").open("a") as makefile:
        makefile.write("KBUILD_RUSTFLAGS += --cfg=edited\n")
    assert kinds(asked()) == ["command-changed"]
    assert asked("--exact")["verdict"] == "stale"
    assert kinds(asked()) == ["command-changed"]
    tree.make(M)
    assert kinds(asked()) == ["command-changed"], "make M= builds no crate of the kernel"
    tree.make("modules_prepare")
    tree.make(M)
    assert kinds(asked()) == []


def test_flags_that_kbuild_was_asked_about_are_not_doubted(tree: Miniature, asked: Asked) -> None:
    """The crates were built by these very flags: that is what Kbuild said."""
    flags = "KRUSTFLAGS=--cfg=given"
    tree.make("modules_prepare", flags)
    tree.make(M, flags)
    assert kinds(asked(flags)) == ["command-changed"]
    assert asked(flags, "--exact")["verdict"] == "fresh"
    assert kinds(asked(flags)) == []


def test_sources_that_were_all_checked_out_anew_are_no_edit(
    tree: Miniature, asked: Asked, kdeps: RunKdeps
) -> None:
    """As in CI, from a cache: contents prove the artifacts, and no Makefile came alone."""
    assert kdeps(tree, "ci", "--record=good", M).returncode == 0
    for path in tree.srctree.rglob("*"):
        if path.is_file() and tree.objtree not in path.parents:
            path.touch()
    assert kdeps(tree, "settle", M).returncode == 0
    for pattern in ("**/Makefile*", "scripts/*", "rust/bindgen_parameters"):
        for path in tree.srctree.glob(pattern):
            path.touch()
    assert kinds(asked()) == []
