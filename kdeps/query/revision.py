# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which files differ from a revision: git's answer."""

from __future__ import annotations

import os
import subprocess

from kdeps.errors import UsageError
from kdeps.tree import Tree


def changed_since(revision: str, tree: Tree, cwd: str, environ: dict[str, str]) -> list[str]:
    """List the files that differ from a revision, deleted ones as well, as absolute paths.

    Where the user stands in a work tree it is that one (a module may have its own),
    else the kernel's. Of what git does not track nothing is listed: a new file takes part
    through a line in a tracked one.

    Args:
        revision: What ``git diff`` takes: ``HEAD~3``, ``v7.2``, ``a..b``.
        tree: Where the kernel lies.
        cwd: The folder the user stands in.
        environ: For git.

    Raises:
        UsageError: No git, no work tree, or no such revision.
    """
    if revision.startswith("-"):
        raise UsageError(f"--since {revision}: not a revision")
    top = next((top for folder in (cwd, tree.srctree) if (top := _top_level(folder, environ))), None)
    if top is None:
        raise UsageError(f"{tree.srctree}: not a git work tree, so --since cannot tell what changed there")
    done = _git(("diff", "--name-only", "--no-renames", "-z", revision, "--"), top, environ)
    if done.returncode != 0:
        said = os.fsdecode(done.stderr).strip().split("\n")[0]
        raise UsageError(f"--since {revision}: {said.removeprefix('fatal: ') or 'git failed'}")
    names = os.fsdecode(done.stdout).split("\0")
    return [os.path.join(top, name) for name in names if name]


def _top_level(folder: str, environ: dict[str, str]) -> str | None:
    done = _git(("rev-parse", "--show-toplevel"), folder, environ)
    return os.path.realpath(os.fsdecode(done.stdout).rstrip("\n")) if done.returncode == 0 else None


def _git(words: tuple[str, ...], folder: str, environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    # Looking changes nothing: git would otherwise refresh its index on the way.
    quiet = {**environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", "-C", folder, "--no-pager", *words],
            env=quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise UsageError(f"git: {error.strerror}; --since needs it") from error


def list_revisions(folder: str, environ: dict[str, str]) -> list[str]:
    """The branches and tags of a work tree, newest first; empty where there is none."""
    words = (
        "for-each-ref",
        "--sort=-creatordate",
        "--count=200",
        "--format=%(refname:short)",
        "refs/heads",
        "refs/tags",
    )
    try:
        done = _git(words, folder, environ)
    except UsageError:
        return []
    return ["HEAD", *os.fsdecode(done.stdout).split()] if done.returncode == 0 else []
