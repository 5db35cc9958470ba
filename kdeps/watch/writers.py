# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which program is still writing: a make that builds in these trees, another kdeps, a git that checks out.

An answer in the middle of that would describe a state that the user never wanted.
The kernel announces when a process ends (``pidfd``) and when a lock file goes (an
event), so nothing is polled for longer than a moment.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kdeps.kbuild.tree import Tree
from kdeps.system.files import read_text
from kdeps.system.lock import find_refresher
from kdeps.system.stat import status_of
from kdeps.watch.debounce import Activity

_MAKES = ("make", "gmake", "gnumake")
_TALKS = ("menuconfig", "nconfig", "xconfig", "gconfig", "config", "oldconfig", "help")
"""Goals of a make that waits for a person: meanwhile it writes nothing."""
_OTHER_MAKEFILE = ("-f", "--file", "--makefile")
STALE_LOCK_S = 10.0
"""An ``index.lock`` older than this, while no git runs, was left behind by a git that crashed."""

FolderId = tuple[int, int]
"""Device and inode: the same folder, whatever its path."""


class Make(NamedTuple):
    """A make that builds in one of the folders, or what does its work."""

    pid: int
    name: str
    """It and its arguments, for people."""


class Repository(NamedTuple):
    """The git repository that a source tree belongs to."""

    folder: str
    """``.git``; of a linked worktree the folder that its ``.git`` file names."""
    worktree: str

    @property
    def lock(self) -> str:
        """What git holds while it changes files."""
        return f"{self.folder}/index.lock"


class Writers:
    """Finds what writes to some trees."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._make: Make | None = None
        self.repository: Repository | None = None
        self.descriptor: int | None = None
        """Readable when the make that was found last has ended."""

    @property
    def detail(self) -> str:
        """The make that was found last, for people."""
        return f"{self._make.name} (pid {self._make.pid})" if self._make is not None else ""

    def find(self, trees: Iterable[Tree]) -> Activity | None:
        """Find what writes to these trees at this moment."""
        self.forget()
        if self.repository is not None and is_checking_out(self.repository):
            return Activity.GIT
        trees = tuple(trees)
        objtrees = identify(tree.objtree for tree in trees)
        modules = identify(path for tree in trees for path in (tree.module, tree.module_output) if path)
        self._make = find_make(objtrees, modules) or self._find_refresher(trees)
        if self._make is None:
            return None
        with contextlib.suppress(OSError):  # it has just ended, or this kernel is older than 5.3
            self.descriptor = os.pidfd_open(self._make.pid)
        return Activity.MAKE

    def _find_refresher(self, trees: Iterable[Tree]) -> Make | None:
        """Find another kdeps that refreshes one of the trees: by ninja, whose working directory may be any."""
        for objtree in {tree.objtree for tree in trees}:
            if pid := find_refresher(objtree, self._environ):
                return Make(pid, "kdeps make")
        return None

    def forget(self) -> None:
        """Give the descriptor back."""
        self._make = None
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def identify(folders: Iterable[str]) -> frozenset[FolderId]:
    """Identify folders; those that do not exist are left out."""
    found = set()
    for folder in folders:
        st = status_of(folder)
        if st is not None:
            found.add((st.st_dev, st.st_ino))
    return frozenset(found)


def find_make(objtrees: frozenset[FolderId], modules: frozenset[FolderId] = frozenset()) -> Make | None:
    """Find a make whose working directory is one of the folders: make works where it builds.

    The make that the user calls has the user's folder, and starts one that works in the object tree, where any
    counts, or (``M=``, from 6.13 on) in the module's output; the latter with ``-f KERNEL/Makefile``. A make that runs
    the module's own Makefile builds by such another make, or does not build: ``make run`` may boot a machine that
    runs for hours.
    """
    for process in _list_processes(_MAKES):
        try:
            folder = os.stat(f"{process}/cwd")
            place = (folder.st_dev, folder.st_ino)
            if place not in objtrees | modules or not _is_at_work(f"{process}/stat"):
                continue
            words = read_text(f"{process}/cmdline", 1 << 16).rstrip("\0").split("\0")
        except (OSError, ValueError):
            continue  # it has ended meanwhile, or is another user's
        is_kernels = place in objtrees or any(word.startswith(_OTHER_MAKEFILE) for word in words[1:])
        if is_kernels and not any(word in _TALKS for word in words[1:]):
            return Make(int(os.path.basename(process)), " ".join(("make", *words[1:])))
    return None


def _list_processes(names: tuple[str, ...], *, prefix: bool = False) -> Iterator[str]:
    """List the folders below ``/proc`` of the programs with these names, or with names that begin so."""
    numbers: list[str] = []
    with contextlib.suppress(OSError):  # there is no /proc here
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]
    for number in numbers:
        name = read_text(f"/proc/{number}/comm", 16).rstrip("\n")
        if name.startswith(names) if prefix else name in names:
            yield f"/proc/{number}"


def _is_at_work(path: str) -> bool:
    """Whether a process has neither ended nor been stopped (Ctrl-Z), as it may be for days."""
    fields = read_text(path, 4096).rpartition(")")[2].split()
    return bool(fields) and fields[0] not in "ZXTt"


def find_repository(folder: str) -> Repository | None:
    """Find the git repository that a folder belongs to."""
    here = folder
    while True:
        path = os.path.join(here, ".git")
        if os.path.isdir(path):
            return Repository(os.path.realpath(path), here)
        text = read_text(path, 4096)
        if text.startswith("gitdir: "):
            return Repository(os.path.realpath(os.path.join(here, text[8:].strip())), here)
        if here == os.path.dirname(here):
            return None
        here = os.path.dirname(here)


def is_checking_out(repository: Repository, *, now_s: float | None = None) -> bool:
    """Whether git is changing the files of a worktree."""
    st = status_of(repository.lock)
    if st is None:
        return False
    age_s = (time.time() if now_s is None else now_s) - st.st_mtime
    # A lock from the future: the clock was set back, and its age means nothing.
    return -STALE_LOCK_S < age_s < STALE_LOCK_S or _has_git(repository)


def _has_git(repository: Repository) -> bool:
    inside = (repository.worktree + "/", repository.folder)
    for process in _list_processes(("git",), prefix=True):
        with contextlib.suppress(OSError):
            folder = os.readlink(f"{process}/cwd")
            if folder == repository.worktree or folder.startswith(inside):
                return True
    return False
