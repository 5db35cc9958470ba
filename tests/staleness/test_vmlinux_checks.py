# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The kernel that was linked, and the symbols modpost knows of it: told, and never in the way."""

from __future__ import annotations

import os

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.verdict import judged, kinds

M = f"M={MODULE}"


@pytest.fixture
def linked(tree: Miniature) -> Miniature:
    """A tree whose whole kernel was built after its crates."""
    for name in ("vmlinux.o", "vmlinux"):
        tree.edit(tree.objtree / name, "\n")
    tree.edit(tree.objtree / "Module.symvers", "0x00000000\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n")
    tree.make(M)
    return tree


def age(tree: Miniature, name: str) -> None:
    """Let a file be older than everything else."""
    os.utime(tree.objtree / name, ns=(0, 10**18))


def test_a_kernel_linked_after_its_crates_needs_no_word(linked: Miniature, kdeps: RunKdeps) -> None:
    verdict = judged(kdeps, linked, M)
    assert (verdict["verdict"], kinds(verdict)) == ("fresh", [])


def test_crates_newer_than_vmlinux_are_a_note(linked: Miniature, kdeps: RunKdeps) -> None:
    """The module is built for crates that the kernel does not have; a refresh cannot cure that."""
    age(linked, "vmlinux")

    verdict = judged(kdeps, linked, M)
    text = kdeps(linked, "check", M).stdout

    assert (verdict["verdict"], kinds(verdict)) == ("fresh", ["old-kernel"])
    assert "rust/bindings.o" in verdict["findings"][0]["message"]
    assert text.startswith("note[old-kernel]: ")
    assert "stale: " not in text


def test_a_dump_older_than_the_objects_it_describes_is_a_note(linked: Miniature, kdeps: RunKdeps) -> None:
    age(linked, "Module.symvers")
    verdict = judged(kdeps, linked, M)
    assert kinds(verdict) == ["old-symvers"]


@pytest.mark.parametrize(("words", "expected"), [((), ["missing-symvers"]), (("KBUILD_MODPOST_WARN=1",), [])])
def test_without_a_dump_who_has_no_module_yet_is_told(
    words: tuple[str, ...], expected: list[str], tree: Miniature, kdeps: RunKdeps
) -> None:
    """modpost fails for want of Module.symvers; whoever got past that knows how."""
    assert kinds(judged(kdeps, tree, M, *words)) == []
    (tree.module / "nova-core.ko").unlink()
    (tree.module / ".nova-core.ko.cmd").unlink()

    verdict = judged(kdeps, tree, M, *words)

    assert kinds(verdict) == expected
    assert verdict["verdict"] == "fresh"


def test_a_dump_that_the_module_was_linked_with_is_missed(linked: Miniature, kdeps: RunKdeps) -> None:
    """Its author never lived without."""
    (linked.objtree / "Module.symvers").unlink()
    assert kinds(judged(kdeps, linked, M)) == ["missing-symvers"]
