# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The release that a build would have now."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps, paste_help
from tests.support.elf_objects import put
from tests.support.miniature import Miniature, create
from tests.support.verdict import M, judged, kinds

VERSION = "7.2.13"


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


def test_the_release_is_given_to_make(tree: Miniature, kdeps: RunKdeps) -> None:
    """DKMS passes KERNELRELEASE= always; utsrelease.h follows it, and the file kernel.release does not."""
    release = (tree.objtree / "include/config/kernel.release").read_text().strip()
    assert judged(kdeps, tree, M, f"KERNELRELEASE={release}")["verdict"] == "fresh"
    verdict = judged(kdeps, tree, M, "KERNELRELEASE=other")
    assert (verdict["verdict"], kinds(verdict)) == ("stale", ["config-not-synced"])
    tree.make("modules_prepare", "KERNELRELEASE=other")
    assert judged(kdeps, tree, M, "KERNELRELEASE=other")["verdict"] == "fresh"
    assert judged(kdeps, tree, M)["verdict"] == "stale"


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


SETLOCALVERSION = """\
#!/bin/sh
# What Linux 7.2 has, without -dirty and the tags of linux-next.
name=$KERNELVERSION$(cat localversion* 2>/dev/null)$LOCALVERSION
cd "$1" || exit
head=$(git rev-parse -q --verify HEAD) || { echo "$name"; exit; }
tag=v$KERNELVERSION count=
[ "$(git cat-file -t "$tag" 2>/dev/null)" = tag ] && count=$(git rev-list --count "$tag..HEAD")
if [ "$count" = 0 ]; then echo "$name"
elif grep -q LOCALVERSION_AUTO=y include/config/auto.conf; then
  echo "$name${count:+$(printf -- -%05d "$count")}-g$(echo "$head" | cut -c1-12)"
else echo "$name${LOCALVERSION-+}"; fi
"""


def git(tree: Miniature, *words: str) -> None:
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {**tree.environment(), **who, "GIT_CONFIG_GLOBAL": "/dev/null"}
    subprocess.run(["git", *words], cwd=tree.srctree, env=environ, check=True, capture_output=True)


@pytest.fixture
def versioned(tmp_path: Path) -> Miniature:
    """An in-source tree in git, whose release comes from a script as in the kernel; not built."""
    tree = create(tmp_path / "tree")
    makefile = tree.srctree / "Makefile"
    text = makefile.read_text()
    line = 'echo "$(KERNELVERSION)$(shell cat localversion* 2>/dev/null)"'
    assert line in text
    makefile.write_text(text.replace(line, "sh $(srctree)/scripts/setlocalversion $(srctree)"))
    tree.edit(tree.srctree / "scripts/setlocalversion", SETLOCALVERSION)
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "one")
    return tree


def _commit(tree: Miniature) -> None:
    git(tree, "commit", "-q", "--allow-empty", "-m", "two")


def _tag(tree: Miniature) -> None:
    git(tree, "tag", "-a", f"v{VERSION}", "-m", "tagged")


def _delete_tag(tree: Miniature) -> None:
    git(tree, "tag", "-d", f"v{VERSION}")


def _pack(tree: Miniature) -> None:
    git(tree, "gc", "-q")


def _nothing(_: Miniature) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "words", "change", "then"),
    [
        ([_tag], (), _commit, ()),
        ([_tag, _pack], (), _commit, ()),
        ([_tag], (), _pack, ()),
        ([_tag, _commit], (), _commit, ()),
        ([], (), _tag, ()),
        ([], (), _commit, ()),
        ([], ("LOCALVERSION=",), _nothing, ()),
        ([], (), _nothing, ("LOCALVERSION=",)),
        ([], ("LOCALVERSION=",), _commit, ("LOCALVERSION=",)),
        ([_tag, _commit], ("auto",), _delete_tag, ("auto",)),
        ([_tag], ("auto",), _commit, ("auto",)),
        ([_tag, _commit], ("auto",), _pack, ("auto",)),
    ],
)
def test_the_release_follows_git_as_the_script_has_it(
    before: list[Callable[[Miniature], None]],
    words: tuple[str, ...],
    change: Callable[[Miniature], None],
    then: tuple[str, ...],
    versioned: Miniature,
    kdeps: RunKdeps,
) -> None:
    """A commit behind the tag, a tag that comes or goes, LOCALVERSION= set or not: stale where make writes another name."""
    tree = versioned
    if "auto" in words:
        kconfig = tree.srctree / "Kconfig"
        kconfig.write_text(f'{kconfig.read_text()}\nconfig LOCALVERSION_AUTO\n\tbool "auto"\n\tdefault y\n')
        words = then = ()
    for step in before:
        step(tree)
    tree.make("defconfig", *words)
    for goal in ("modules_prepare", M):
        tree.make(goal, *words)
    assert kinds(judged(kdeps, tree, M, *words)) == []
    change(tree)
    verdict = judged(kdeps, tree, M, *then)
    release = tree.objtree / "include/config/kernel.release"
    name = release.read_text()
    tree.make("modules_prepare", *then)
    now = release.read_text()
    assert kinds(verdict) == ([] if now == name else ["config-not-synced"])
    assert verdict["verdict"] == ("fresh" if now == name else "stale")
    assert now.strip() in "".join(finding["message"] for finding in verdict["findings"]) or now == name
    tree.make(M, *then)
    assert kinds(judged(kdeps, tree, M, *then)) == []
