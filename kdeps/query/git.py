# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which files differ from a revision: git's answer."""

from __future__ import annotations

import os
import re
import subprocess

from kdeps.kbuild.tree import Tree
from kdeps.system.errors import UsageError

_QUOTED = re.compile(rb"\\([0-7]{3}|.)")
_LETTERS = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13}


def unquoted(name: str) -> str:
    """The name behind one that git printed: ``"rust/\\303\\274.rs"`` is how it writes what is not ASCII."""
    if len(name) < 2 or not name[0] == name[-1] == '"':
        return name
    raw = _QUOTED.sub(lambda found: _byte(found[1]), os.fsencode(name[1:-1]))
    return os.fsdecode(raw)


def _byte(escape: bytes) -> bytes:
    if len(escape) == 3:
        return bytes([int(escape, 8) & 0xFF])
    return bytes([_LETTERS[escape]]) if escape in _LETTERS else escape


def changed_since(
    revision: str, tree: Tree, cwd: str, environ: dict[str, str], folders: tuple[str, ...] = ()
) -> list[str]:
    """List the files that differ from a revision, deleted ones as well, as absolute paths.

    Where the user stands in a work tree that has something of the build in it, it is that one (a module may have its
    own), else the kernel's. Of what git does not track nothing is listed: a new file takes part through a line in a
    tracked one. Raises UsageError: no git, no work tree, or no such revision.
    """
    if revision.startswith("-"):
        raise UsageError(f"--since {revision}: not a revision")
    top = _top_level(cwd, environ)
    # One of the folders has to be in the work tree, or the other way round.
    places = [f"{folder}/" for folder in (tree.srctree, *folders)]
    if top is None or not any(p.startswith(f"{top}/") or f"{top}/".startswith(p) for p in places):
        top = _top_level(tree.srctree, environ)
    if top is None:
        raise UsageError(f"{tree.srctree}: not a git work tree, so --since cannot tell what changed there")
    # A submodule is a folder of sources, whatever its configuration says of it.
    words = ("diff", "--name-only", "--no-renames", "--ignore-submodules=untracked", "-z", revision, "--")
    done = _git(words, top, environ)
    if done.returncode != 0:
        shallow = _git(("rev-parse", "--is-shallow-repository"), top, environ).stdout.strip() == b"true"
        hint = "; this clone is shallow: `git fetch --unshallow` first" if shallow else ""
        raise UsageError(f"--since {revision}: {_said(done)}{hint}")
    names = os.fsdecode(done.stdout).split("\0")
    return [os.path.join(top, name) for name in names if name]


def _top_level(folder: str, environ: dict[str, str]) -> str | None:
    """Return the work tree that a folder is in; None if it is in none.

    Raises UsageError: it is in one, but git refuses to read it (it belongs to another user).
    """
    done = _git(("rev-parse", "--show-toplevel"), folder, environ)
    if done.returncode == 0:
        return os.path.realpath(os.fsdecode(done.stdout).rstrip("\n"))
    if b"must be run in a work tree" in done.stderr:
        return None  # in a .git folder, or in a bare repository
    above = os.path.realpath(folder)
    while not os.path.lexists(f"{above}/.git"):
        if above == os.path.dirname(above):
            return None
        above = os.path.dirname(above)
    raise UsageError(f"{above}: {_said(done)}")


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = os.fsdecode(done.stderr).strip().split("\n")[0]
    if said.startswith("usage: "):
        return "that is a file or a folder of a revision"
    return said.removeprefix("fatal: ") or "git failed"


def _git(words: tuple[str, ...], folder: str, environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    # Looking changes nothing: git would otherwise refresh its index on the way.
    quiet = {**environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    if "GIT_WORK_TREE" not in quiet:
        # A hook has it, and then git takes whatever folder it is called in for the top.
        quiet.pop("GIT_DIR", None)
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
    """List the branches and tags of a work tree, newest first; empty outside of a work tree."""
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
