# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find the names, in which folders, that a check depends on.

``find_interest`` turns the paths that a check rests on (``kdeps.staleness.dependencies``) into
folders to watch: symbolic links are followed by hand, and every folder *on the way*
to a path is of interest for the one name that leads on. So a tree that is moved,
deleted, created or linked to elsewhere is noticed as well, and a path that does not
exist yet is waited for in the nearest folder that does.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from kdeps.staleness.dependencies import Dependencies

MAX_LINKS = 40
"""As the kernel has it: beyond this a path is a loop."""


class Interest(NamedTuple):
    """What to watch. The keys are real folders: they exist, and their paths contain no link."""

    names: dict[str, frozenset[str] | None]
    """Folder → the names in it that matter; None if all do."""
    passages: frozenset[str]
    """Folders that are only passed through: no file in them is read."""


def find_interest(paths: Dependencies) -> Interest:
    """Find the folders to watch for some paths, as the file system is now."""
    walker = _Walker()
    for path in paths.folders:
        walker.add_folder(path)
    for path in paths.files:
        walker.add_file(path)
    names: dict[str, frozenset[str] | None] = {
        folder: None if folder in walker.whole else frozenset(found) for folder, found in walker.names.items()
    }
    return Interest(names, frozenset(names.keys() - walker.read - walker.whole))


class _Walker:
    """Walks paths as the kernel does, and notes every name it passes."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.whole: set[str] = set()
        self.read: set[str] = set()
        """Folders in which a file is read, not only passed through."""
        self.known: dict[str, str | None] = {"/": "/"}
        """Folder as written → its real path; None if it does not exist for now."""

    def add_file(self, path: str) -> None:
        """Note one path that is looked at."""
        for _ in range(MAX_LINKS):
            folder, _, name = path.rpartition("/")
            real = self.find_folder(folder or "/")
            if real is None or name in ("", ".", ".."):
                return
            self.names.setdefault(real, set()).add(name)
            self.read.add(real)
            path = f"{real}/{name}" if real != "/" else f"/{name}"
            target = _read_link(path)
            if target is None:
                return
            path = _join(real, target)

    def add_folder(self, path: str) -> None:
        """Note one folder that is listed."""
        real = self.find_folder(path)
        if real is not None:
            self.names.setdefault(real, set())
            self.whole.add(real)

    def find_folder(self, path: str, links: int = 0) -> str | None:
        """Find where a folder really is, and note the way to it."""
        if path in self.known:
            return self.known[path]
        above, _, name = path.rpartition("/")
        real = self.find_folder(above or "/", links)
        found = self._step(real, name, links) if real is not None else None
        self.known[path] = found
        return found

    def _step(self, real: str, name: str, links: int) -> str | None:
        if name in ("", "."):
            return real
        if name == "..":
            return os.path.dirname(real)
        self.names.setdefault(real, set()).add(name)
        path = f"{real}/{name}" if real != "/" else f"/{name}"
        try:
            mode = os.lstat(path).st_mode
        except (OSError, ValueError):
            return None
        if stat.S_ISDIR(mode):
            return path
        target = _read_link(path) if stat.S_ISLNK(mode) and links < MAX_LINKS else None
        return None if target is None else self.find_folder(_join(real, target), links + 1)


def _read_link(path: str) -> str | None:
    """Where a symbolic link leads; ``None`` for anything else."""
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None


def _join(folder: str, target: str) -> str:
    """A link's target as seen from its folder. Not normalised: ``..`` of a link is for the walker."""
    joined = target if target.startswith("/") else f"{folder}/{target}"
    return joined.rstrip("/") or "/"
