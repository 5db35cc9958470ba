# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The modules that are watched: those that were named, or every one of the tree that has a record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kdeps.kbuild import modules as kbuild_modules
from kdeps.kbuild.module_folder import builds_objects
from kdeps.kbuild.tree import Tree, find_tree
from kdeps.staleness.dependencies import Dependencies
from kdeps.system.errors import KdepsError
from kdeps.watch.module import Check, Describe, WatchedModule
from kdeps.watch.status_files import AlreadyWatched

SCAN_PAUSE_S = 600.0
"""How often to look for modules in new folders; a walk over a whole tree."""
RECORD_OF_MODULE = ".Module.symvers.cmd"
"""The record that ``make M=…`` leaves in every folder it was called for, and a kernel build nowhere."""


class Checks(NamedTuple):
    """One check of each module."""

    all: tuple[tuple[WatchedModule, Check], ...]
    changes: int
    """The count of changes (``Debounce.changes``) when they began."""


class WatchedModules:
    """The modules of one tree that are watched; each is locked while it is in here.

    Raises:
        KdepsError: There is nothing to watch.
        AlreadyWatched: Another watch has one of the modules.
    """

    def __init__(
        self,
        lines: list[tuple[str, ...]],
        cwd: str,
        environ: dict[str, str],
        describe: Describe,
        log: Callable[[str], None],
        *,
        all_modules: bool,
    ) -> None:
        self.cwd, self.environ, self.log, self.describe = cwd, environ, log, describe
        self.words = lines[0]
        self.took_s = 0.0
        """How long the last check of all took."""
        self.count = 0
        """How often all were checked."""
        self._all = all_modules
        self._marks: frozenset[str] = frozenset()
        """What a build of another module would leave, where all are to be watched."""
        self._modules: list[WatchedModule] = []
        self._scan_at = time.monotonic() + SCAN_PAUSE_S
        self._fingerprints: dict[str, int] = {}
        """Module → what its last check read."""
        try:
            for words in self._find_lines() if all_modules else lines:
                self._add(words)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[WatchedModule]:
        """Iterate over the modules, in the order they were named. There is always one."""
        return iter(self._modules)

    @property
    def trees(self) -> tuple[Tree, ...]:
        """One for each module."""
        return tuple(module.tree for module in self)

    def close(self) -> None:
        """Let others have them."""
        for module in self:
            module.files.close()

    def check(self, changes: int) -> Checks:
        """Check every module, at a count of changes that has everything that has happened."""
        began = time.monotonic()
        checks = Checks(tuple((module, module.run_check()) for module in self), changes)
        self.took_s = time.monotonic() - began
        self.count += 1
        return checks

    def is_same(self, checks: Checks) -> bool:
        """Whether the checks read what the last ones did, to the nanosecond."""
        before = self._fingerprints
        self._fingerprints = {module.name: check.fingerprint for module, check in checks.all}
        return before == self._fingerprints

    def find_paths(self) -> Dependencies:
        """Find what all verdicts depend on."""
        paths = [module.find_paths() for module in self]
        return Dependencies(
            self._marks.union(*(each.files for each in paths)),
            frozenset[str]().union(*(each.folders for each in paths)),
        )

    def note_change(self, paths: list[str]) -> None:
        """A module may have been built, or cleaned: do not wait for the next walk."""
        if not self._marks.isdisjoint(paths):
            self._scan_at = 0.0

    def is_scan_due(self, now: float) -> bool:
        """Whether it is time to look for modules that came or went."""
        return self._all and now >= self._scan_at

    def scan(self) -> None:
        """Find modules that were built, or cleaned, since the last time."""
        self._scan_at = time.monotonic() + SCAN_PAUSE_S
        try:
            lines = self._find_lines()
        except KdepsError:
            return  # the tree is gone: what is watched is unknown, and comes back with it
        for words in lines:
            if all(module.words != words for module in self):
                try:
                    self._add(words)
                except (KdepsError, AlreadyWatched) as error:
                    self.log(f"{' '.join(words)} is not watched: {error}")
        gone = [module for module in self if module.words not in lines]
        if len(gone) == len(self._modules):
            gone = gone[1:]  # nothing else can be watched, and what comes back does so where these were
        for module in gone:
            self.log(f"{module.name}: cleaned, and not watched any more")
            module.files.close()
            self._modules.remove(module)

    def _add(self, words: tuple[str, ...]) -> None:
        self._modules.append(WatchedModule(words, self.cwd, self.environ, self.describe))

    def _find_lines(self) -> list[tuple[str, ...]]:
        """Make one make command line for each module of the tree that has a record."""
        tree = find_tree(self.words, self.cwd, self.environ)
        built, self._marks = find_module_folders(tree)
        return name_modules(self.words, tree, built) or [self.words]


def one_line_per_module(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Make one command line of ``M=a M=b`` for each module; make itself would take the last."""
    rest, named = kbuild_modules.split_modules(words)
    return [(*rest, *module) for module in dict.fromkeys(named)] if len(set(named)) > 1 else [words]


def find_module_folders(tree: Tree) -> tuple[tuple[str, ...], frozenset[str]]:
    """Find every folder below the source tree or the object tree that ``make M=…`` was, or might be, called for.

    Returns the real paths of those that it was called for, sorted; and in every folder that has a Makefile the path
    of the file that such a call would leave.
    """
    found: set[str] = set()
    marks: set[str] = set()
    for top in {tree.srctree, tree.objtree}:
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name[0] != "."]
            if "Makefile" not in files and "Kbuild" not in files:
                continue  # also what MO= builds into, which is no module's own folder
            marks.add(f"{folder}/{RECORD_OF_MODULE}")
            is_tree = folder in (tree.srctree, tree.objtree)
            if RECORD_OF_MODULE in files and not is_tree and builds_objects(folder):
                found.add(os.path.realpath(folder))
    return tuple(sorted(found)), frozenset(marks)


def name_modules(words: tuple[str, ...], tree: Tree, folders: Iterable[str]) -> list[tuple[str, ...]]:
    """Make one command line for each module folder, named as a user would name it."""
    rest, _ = kbuild_modules.split_modules(words)
    base = tree.make_directory if tree.version >= (6, 13) else tree.objtree
    named = []
    for folder in folders:
        inside = folder.startswith(base + "/")
        named.append((*rest, f"M={os.path.relpath(folder, base) if inside else folder}"))
    return named
