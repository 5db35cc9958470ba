# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The release that a build would have now."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import RunKdeps, paste_help
from tests.support.elf_objects import put
from tests.support.miniature import Miniature
from tests.support.verdict import M, judged, kinds


@pytest.mark.parametrize("how", ["file", "file emptied", "word"])
def test_the_release_would_be_another(how: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """A localversion file or LOCALVERSION= gives the kernel another name, and M= builds keep the old one."""
    words: tuple[str, ...] = (M,)
    if how == "file emptied":
        tree.edit(tree.objtree / "localversion-mine", "-mine\n")
        tree.make("modules_prepare")
        tree.make(M)
        assert judged(kdeps, tree, M)["verdict"] == "fresh"
        tree.edit(tree.objtree / "localversion-mine", "")
    elif how == "file":
        tree.edit(tree.objtree / "localversion-mine", "-mine\n")
    else:
        words = (M, "LOCALVERSION=-mine")
    assert tree.kernel_answer(M) == []
    verdict = judged(kdeps, tree, *words)
    assert kinds(verdict) == ["config-not-synced"]
    # What was more than its parts may have come from a LOCALVERSION= that is not given now.
    assert verdict["verdict"] == ("unknown" if how == "file emptied" else "stale")
    if how == "file":
        paste_help(tree, kdeps(tree, "check", M).stdout)
        assert judged(kdeps, tree, M)["verdict"] == "fresh"


@pytest.mark.parametrize("word", ["EXTRAVERSION=-mine", "SUBLEVEL=99", "PATCHLEVEL=3"])
def test_a_part_of_the_version_is_given_to_make(word: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """make takes it instead of the Makefile's: stale where the tree was built without, fresh where with."""
    verdict = judged(kdeps, tree, M, word)
    assert (verdict["verdict"], kinds(verdict)) == ("stale", ["config-not-synced"])
    paste_help(tree, kdeps(tree, "check", M, word).stdout)
    assert tree.rebuilds(word, "modules_prepare") == set()
    for command in (("check",), ("check", "--exact"), ("ci",), ("make", "--on-stale=fail")):
        assert kdeps(tree, *command, M, word).returncode == 0, command
    assert judged(kdeps, tree, M)["verdict"] == "stale"


def commit(path: Path, number: int) -> str:
    """Write what git writes when a commit is checked out on a branch."""
    name = f"{number:040x}"
    (path / "refs/heads").mkdir(parents=True, exist_ok=True)
    (path / "HEAD").write_text("ref: refs/heads/main\n")
    (path / "refs/heads/main").write_text(f"{name}\n")
    return name


def test_another_commit_is_checked_out(tree: Miniature, kdeps: RunKdeps) -> None:
    """A release with a commit in it is that commit's; packed refs and worktrees are read too."""
    git = tree.srctree / ".git"
    name = commit(git, 0xABCDEF << 128)
    release = tree.objtree / "include/config/kernel.release"
    before, now = release.read_text().strip(), f"{release.read_text().strip()}-00012-g{name[:12]}"
    put(release, f"{now}\n".encode())
    header = tree.objtree / "include/generated/utsrelease.h"
    put(header, header.read_text().replace(f'"{before}"', f'"{now}"').encode())
    assert kinds(judged(kdeps, tree, M)) == []
    commit(git, 0x123456 << 128)
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "stale"
    assert f"names commit {name[:12]}" in verdict["findings"][0]["message"]
    (git / "refs/heads/main").unlink()
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{name} refs/heads/main\n")
    assert kinds(judged(kdeps, tree, M)) == []
    git.rename(tree.root / "elsewhere")
    git.write_text(f"gitdir: {tree.root}/elsewhere\n")
    assert kinds(judged(kdeps, tree, M)) == []
