# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which modules are watched: those that were named, or every one of the tree that has a record."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kdeps.errors import KdepsError
from kdeps.tree import Tree, builds_objects, find_tree
from kdeps.watch.runtime import Post, Taken, module_key
from kdeps.watch.target import Target
from kdeps.watch.watched import Watched

SCAN_PAUSE_S = 600.0
"""How often to look for modules in new folders; a walk over a whole tree."""
_MODULE = re.compile(r"(?:M|KBUILD_EXTMOD)=(.*)", re.DOTALL)
RECORD_OF_MODULE = ".Module.symvers.cmd"
"""The record that ``make M=…`` leaves in every folder it was called for, and a kernel build nowhere."""


class Watchlist:
    """The modules of one tree that are watched; each is ours alone while it is in here.

    Raises:
        KdepsError: There is nothing to watch.
        Taken: Another watch has one of the modules.
    """

    def __init__(
        self,
        lines: list[tuple[str, ...]],
        cwd: str,
        environ: dict[str, str],
        *,
        all_modules: bool,
        log: Callable[[str], None],
    ) -> None:
        self.cwd, self.environ, self.log = cwd, environ, log
        self.words = lines[0]
        self.marks: frozenset[str] = frozenset()
        """What a build of another module would leave, where all are to be watched."""
        self._all = all_modules
        self._watched: list[Watched] = []
        self._scan_at = time.monotonic() + SCAN_PAUSE_S
        try:
            for words in self._find_lines() if all_modules else lines:
                self._add(words)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Watched]:
        """Iterate over the modules, in the order they were named."""
        return iter(self._watched)

    @property
    def first(self) -> Watched:
        """One of them; there is always one."""
        return self._watched[0]

    def close(self) -> None:
        """Let others have them."""
        for one in self._watched:
            one.post.close()

    def note_change(self, paths: list[str]) -> None:
        """A module may have been built, or cleaned: do not wait with the next walk."""
        if not self.marks.isdisjoint(paths):
            self._scan_at = 0.0

    def is_due(self, now: float) -> bool:
        """Whether it is time to look for modules that came or went."""
        return self._all and now >= self._scan_at

    def scan(self) -> None:
        """Find modules that were built, or cleaned, since the last time."""
        self._scan_at = time.monotonic() + SCAN_PAUSE_S
        try:
            lines = self._find_lines()
        except KdepsError:
            return  # the tree is gone: what is watched says so, and comes back with it
        for words in lines:
            if all(one.target.words != words for one in self._watched):
                try:
                    self._add(words)
                except (KdepsError, Taken) as error:
                    self.log(f"{' '.join(words)} is not watched: {error}")
        gone = [one for one in self._watched if one.target.words not in lines]
        if len(gone) == len(self._watched):
            gone = gone[1:]  # nothing else can be watched, and what comes back does so where these were
        for one in gone:
            self.log(f"{one.target.name}: cleaned, and not watched any more")
            one.post.close()
            self._watched.remove(one)

    def _add(self, words: tuple[str, ...]) -> None:
        target = Target(words, self.cwd, self.environ)
        self._watched.append(Watched(target, Post(module_key(target.tree), self.environ)))

    def _find_lines(self) -> list[tuple[str, ...]]:
        """One make command line for each module of the tree that has a record."""
        tree = find_tree(self.words, self.cwd, self.environ)
        modules = find_modules(tree)
        self.marks = modules.marks
        return name_modules(self.words, tree, modules.built) or [self.words]


def split_modules(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Make one command line of ``M=a M=b`` for each module; make itself would take the last."""
    at = [i for i, word in enumerate(words) if _MODULE.fullmatch(word)]
    named = list(dict.fromkeys(words[i] for i in at))
    if len(named) < 2:
        return [words]
    rest = [word for i, word in enumerate(words) if i not in at]
    return [(*rest, word) for word in named]


class Modules(NamedTuple):
    """The module folders of a tree."""

    built: tuple[str, ...]
    """Real paths of those that ``make M=…`` was called for, sorted."""
    marks: frozenset[str]
    """The file that such a call would leave, in every folder that has a Makefile."""


def find_modules(tree: Tree) -> Modules:
    """Find every folder below the source tree or the object tree that ``make M=…`` was, or might be, called for."""
    found: set[str] = set()
    marks: set[str] = set()
    for top in {tree.srctree, tree.objtree}:
        for where, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name[0] != "."]
            if "Makefile" not in files and "Kbuild" not in files:
                continue  # also what MO= builds into, which is no module's own folder
            marks.add(f"{where}/{RECORD_OF_MODULE}")
            if (
                RECORD_OF_MODULE in files
                and where not in (tree.srctree, tree.objtree)
                and builds_objects(where)
            ):
                found.add(os.path.realpath(where))
    return Modules(tuple(sorted(found)), frozenset(marks))


def name_modules(words: tuple[str, ...], tree: Tree, folders: Iterable[str]) -> list[tuple[str, ...]]:
    """Make one command line for each module folder, named as a user would name it."""
    rest = tuple(word for word in words if not _MODULE.fullmatch(word))
    base = tree.make_directory if tree.version >= (6, 13) else tree.objtree
    named = []
    for folder in folders:
        inside = folder.startswith(base + "/")
        named.append((*rest, f"M={os.path.relpath(folder, base) if inside else folder}"))
    return named
