# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps affected`` and ``kdeps ci`` with ``--since``: git says what was changed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.conftest import RunKdeps
from tests.support.affected import NOVA, affected_json, affected_paths
from tests.support.miniature import MODULE, Miniature


def _git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=n@invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def test_since_a_revision(tree: Miniature, kdeps: RunKdeps) -> None:
    """What git says differs, deleted files too; another folder than the top is fine."""
    _git(tree.srctree, "init", "-q")
    (tree.srctree / "MAINTAINERS").write_text("all of us\n")
    _git(tree.srctree, "add", "rust", "MAINTAINERS")
    _git(tree.srctree, "commit", "-qm", "one")
    tree.append("rust/kernel/io.rs", "// edited\n")
    (tree.srctree / "rust/macros/module.rs").unlink()
    (tree.srctree / "MAINTAINERS").unlink()
    document = affected_json(kdeps, tree, "--since=HEAD", NOVA)
    assert {(c["kind"], os.path.basename(c["name"])) for c in document["changes"]} == {
        ("file", "io.rs"),
        ("file", "module.rs"),
        ("unread", "MAINTAINERS"),
    }
    assert [c["crate"] for c in document["crates"]] == ["macros", "pin_init", "bindings", "uapi", "kernel"]
    below = affected_json(kdeps, tree, "--since=HEAD", f"O={tree.objtree}", cwd=tree.srctree / "rust")
    assert affected_paths(document) <= affected_paths(below)
    for revision in ("nonsense", "--output=/tmp/x", "HEAD:MAINTAINERS"):
        done = kdeps(tree, "affected", f"--since={revision}", NOVA)
        assert done.returncode == 2
        assert done.stderr.startswith(f"kdeps: error: --since {revision}: ")
        assert "usage" not in done.stderr


def test_since_sees_a_submodule_that_git_is_told_to_ignore(tree: Miniature, kdeps: RunKdeps) -> None:
    """The sources of a module may be one: that it moved on is a change of the whole folder."""
    _git(tree.module, "init", "-q")
    _git(tree.module, "add", "gpu.rs")
    _git(tree.module, "commit", "-qm", "one")
    _git(tree.srctree, "init", "-q")
    settings = tree.srctree / ".gitmodules"
    settings.write_text(f'[submodule "nova"]\n\tpath = {MODULE}\n\turl = x\n\tignore = all\n')
    _git(tree.srctree, "add", ".gitmodules", MODULE)
    _git(tree.srctree, "commit", "-qm", "one")
    assert kdeps(tree, "ci", "--since=HEAD", "--shard=1/1").stdout == ""
    _git(tree.module, "commit", "-q", "--allow-empty", "-m", "two")
    assert kdeps(tree, "ci", "--since=HEAD", "--shard=1/1").stdout == f"{MODULE}\n"


def test_since_asks_the_repository_that_the_build_lies_in(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Not that of the pipeline which the user stands in; and in a hook git's own GIT_DIR misleads nobody."""
    _git(tree.srctree, "init", "-q")
    _git(tree.srctree, "add", "rust")
    _git(tree.srctree, "commit", "-qm", "one")
    tree.append("rust/kernel/io.rs", "// later\n")
    other = tmp_path / "pipeline"
    other.mkdir()
    _git(other, "init", "-q")
    _git(other, "commit", "-q", "--allow-empty", "-m", "one")
    words = ("--since=HEAD", "--shard=1/1", "-C", str(tree.srctree), *tree.tree_args)
    for place in (other, other / ".git"):
        assert kdeps(tree, "ci", *words, cwd=place).stdout == f"{MODULE}\n"
    hook = {"GIT_DIR": f"{tree.srctree}/.git"}
    assert kdeps(tree, "ci", *words, cwd=tree.srctree / "rust", env=hook).stdout == f"{MODULE}\n"
    # One that git will not read is an error, and no reason to ask another.
    (tree.srctree / "rust/.git").write_text("gitdir: /no/such\n")
    done = kdeps(tree, "ci", *words, cwd=tree.srctree / "rust")
    assert done.returncode == 2
    assert done.stderr.startswith(f"kdeps: error: {tree.srctree}/rust: not a git repository: /no/such")


def test_since_in_a_shallow_clone_says_so(tree: Miniature, kdeps: RunKdeps) -> None:
    """The revision is nowhere in it, which is what a pipeline sees first."""
    _git(tree.srctree, "init", "-q")
    _git(tree.srctree, "commit", "-q", "--allow-empty", "-m", "one")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree.srctree, check=True, capture_output=True)
    (tree.srctree / ".git/shallow").write_bytes(head.stdout)
    done = kdeps(tree, "ci", "--since=HEAD~1")
    assert done.returncode == 2
    assert "git fetch --unshallow" in done.stderr


def test_a_shard_says_what_no_record_tells(tree: Miniature, kdeps: RunKdeps) -> None:
    """What a Makefile changes shows in commands alone; a list without a word would promise too much."""
    _git(tree.srctree, "init", "-q")
    _git(tree.srctree, "add", "drivers")
    _git(tree.srctree, "commit", "-qm", "one")
    makefile = tree.module / "Makefile"
    makefile.write_text(makefile.read_text() + "# later\n")
    done = kdeps(tree, "ci", "--since=HEAD", "--shard=1/1")
    assert (done.returncode, done.stdout.split()) == (0, [MODULE])
    assert "nova-core/Makefile: make compares the commands" in done.stderr


def test_since_without_git(tree: Miniature, kdeps: RunKdeps) -> None:
    """A tree that is no work tree has no revisions."""
    done = kdeps(tree, "affected", "--since=HEAD", NOVA, env={"GIT_CEILING_DIRECTORIES": str(tree.root)})
    assert done.returncode == 2
    assert re.fullmatch(r"kdeps: error: .*/linux: not a git work tree, .*\n", done.stderr)


def test_since_in_a_work_tree_that_git_refuses(tree: Miniature, kdeps: RunKdeps) -> None:
    """A container's root is not who cloned: git says so, and that is not "no work tree"."""
    _git(tree.srctree, "init", "-q")
    elsewhere = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = kdeps(tree, "affected", "--since=HEAD", NOVA, env=elsewhere)
    assert done.returncode == 2
    assert "dubious ownership" in done.stderr
