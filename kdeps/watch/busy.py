# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Who is still writing: a make that builds in these trees, another kdeps, a git that checks out.

An answer in the middle of either would be true of no state that anybody wanted.
The kernel tells when a process ends (``pidfd``) and when a lock file goes (an
event), so nothing is polled for longer than one moment.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.repair.lock import find_refresher
from kdeps.tree import Tree
from kdeps.watch.settle import Busy

_MAKES = frozenset(("make", "gmake", "gnumake"))
_TALKS = ("menuconfig", "nconfig", "xconfig", "gconfig", "config", "oldconfig", "help")
"""Goals of a make that waits for a person: meanwhile it writes nothing."""
_OTHER_MAKEFILE = ("-f", "--file", "--makefile")
STALE_LOCK_S = 10.0
"""An ``index.lock`` older than this, with no git at work, was left behind by one that crashed."""

FolderId = tuple[int, int]
"""Device and inode: the same folder, whatever it is called."""


class Make(NamedTuple):
    """A make that builds in one of our folders, or what does its work."""

    pid: int
    name: str
    """It and its arguments, for people."""


class Repository(NamedTuple):
    """The git repository a source tree belongs to."""

    folder: str
    """``.git``; of a linked worktree the folder that its ``.git`` file names."""
    worktree: str

    @property
    def lock(self) -> str:
        """What git holds while it changes files."""
        return f"{self.folder}/index.lock"


class Writers:
    """Who writes to some trees, asked from time to time."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self.repository: Repository | None = None
        self.make: Make | None = None
        """The make that was found last; it may have ended since."""
        self.descriptor: int | None = None
        """Readable when that make has ended."""

    def find(self, trees: Iterable[Tree]) -> Busy:
        """Tell who writes to these trees at this moment."""
        self.forget()
        if self.repository is not None and is_checking_out(self.repository):
            return Busy.GIT
        trees = tuple(trees)
        objtrees = identify(tree.objtree for tree in trees)
        modules = identify(path for tree in trees for path in (tree.module, tree.module_output) if path)
        self.make = find_make(objtrees, modules) or self._find_refresher(trees)
        if self.make is None:
            return Busy.NOBODY
        with contextlib.suppress(OSError):  # it has just ended, or this kernel is older than 5.3
            self.descriptor = os.pidfd_open(self.make.pid)
        return Busy.MAKE

    def _find_refresher(self, trees: Iterable[Tree]) -> Make | None:
        """Find another kdeps that refreshes one of the trees: by ninja, which stands anywhere."""
        for objtree in {tree.objtree for tree in trees}:
            if pid := find_refresher(objtree, self._environ):
                return Make(pid, "kdeps make")
        return None

    def forget(self) -> None:
        """Give the descriptor back."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def identify(folders: Iterable[str]) -> frozenset[FolderId]:
    """Identify folders; those that do not exist are left out."""
    found = set()
    for folder in folders:
        with contextlib.suppress(OSError):
            status = os.stat(folder)
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def find_make(
    objtrees: frozenset[FolderId], modules: frozenset[FolderId] = frozenset(), *, proc: str = "/proc"
) -> Make | None:
    """Find a make that stands in one of the folders; make stands where it builds.

    The make that was called stands where the user did, and starts one that stands
    in the object tree, or (``M=``, from 6.13 on) in the module's output; the latter with
    ``-f KERNEL/Makefile``. One that runs the module's own Makefile builds by such
    another one, or does not build: ``make run`` may boot a machine that runs for hours.

    Args:
        objtrees: Where any make counts.
        modules: Where one counts that was told its Makefile.
        proc: Where to look.
    """
    try:
        numbers = [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return None
    for number in numbers:
        try:
            with open(f"{proc}/{number}/comm", encoding="utf-8", errors="replace") as file:
                if file.read(16).rstrip("\n") not in _MAKES:
                    continue
            stands = os.stat(f"{proc}/{number}/cwd")
            where = (stands.st_dev, stands.st_ino)
            if where not in objtrees | modules or not _is_at_work(f"{proc}/{number}/stat"):
                continue
            with open(f"{proc}/{number}/cmdline", encoding="utf-8", errors="replace") as file:
                words = file.read(1 << 16).rstrip("\0").split("\0")
        except (OSError, ValueError):
            continue  # ended meanwhile, or somebody else's
        is_kernels = where in objtrees or any(word.startswith(_OTHER_MAKEFILE) for word in words[1:])
        if is_kernels and not any(word in _TALKS for word in words[1:]):
            return Make(int(number), " ".join(("make", *words[1:])))
    return None


def _is_at_work(path: str) -> bool:
    """Whether a process has neither ended nor been stopped (Ctrl-Z), which it may stay for days."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(4096).rpartition(")")[2].split()[0] not in "ZXTt"


def find_repository(folder: str) -> Repository | None:
    """Find the git repository a folder lies in."""
    here = folder
    while True:
        path = os.path.join(here, ".git")
        if os.path.isdir(path):
            return Repository(os.path.realpath(path), here)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read(4096)
        except OSError:
            text = ""
        if text.startswith("gitdir: "):
            return Repository(os.path.realpath(os.path.join(here, text[8:].strip())), here)
        if here == os.path.dirname(here):
            return None
        here = os.path.dirname(here)


def is_checking_out(repository: Repository, *, now_s: float | None = None, proc: str = "/proc") -> bool:
    """Tell whether git is changing the files of a worktree."""
    try:
        age_s = (time.time() if now_s is None else now_s) - os.stat(repository.lock).st_mtime
    except OSError:
        return False
    # Before it was made: the clock was set back, and says nothing.
    return -STALE_LOCK_S < age_s < STALE_LOCK_S or _has_git(repository, proc)


def _has_git(repository: Repository, proc: str) -> bool:
    for number in os.listdir(proc):
        if not number.isdigit():
            continue
        try:
            with open(f"{proc}/{number}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read(16).rstrip("\n")
            if not name.startswith("git"):
                continue
            where = os.readlink(f"{proc}/{number}/cwd")
        except OSError:
            continue
        if where == repository.worktree or where.startswith((repository.worktree + "/", repository.folder)):
            return True
    return False
