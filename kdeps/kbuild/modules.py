# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find every module that was built against one object tree, and join all of them in one graph.

A build with ``M=`` leaves its records in the module's folder, so those below the
source tree can be found there. A module in another place has to be named.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from kdeps.kbuild.graph import Graph, build_graph
from kdeps.kbuild.module import ANYTHING
from kdeps.kbuild.rule import Owner, Problem, Rule, Rules
from kdeps.kbuild.rules import read_rules
from kdeps.kbuild.tree import Tree, find_tree
from kdeps.system.errors import UsageError
from kdeps.system.files import open_to_read, read_text

_MAX_MODULES = 100_000
_RECORD = ".modules.order.cmd"
_NO_MODULES = frozenset(("Documentation", "include"))


class KernelWithModules(NamedTuple):
    """A kernel and all its modules in one graph."""

    tree: Tree
    """The kernel's; its module is the first one's, if there is any."""
    modules: tuple[Tree, ...]
    """One for each module folder, in the order of their names."""
    rules: Rules
    graph: Graph

    @property
    def folders(self) -> tuple[str, ...]:
        """Where the modules' sources and outputs lie."""
        return tuple(f for tree in self.modules for f in (tree.module_output, tree.module) if f)


def read_whole(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> KernelWithModules:
    """Read a kernel with the modules that are named, or all that can be found.

    ``M=`` may stand in the words several times, each with its ``MO=`` behind it. Raises KdepsError: there is no tree,
    or ``M=`` does not name a module folder.
    """
    rest, named = split_modules(words)
    trees = [find_tree((*rest, *module), cwd, environ) for module in named]
    if not trees:
        trees = [find_tree(rest, cwd, environ)]
        found = [trees[0].module] if trees[0].module else []
        more = [folder for folder in find_modules(trees[0]) if folder not in found]
        trees += [trees[0]._replace(module=folder, module_output=folder) for folder in more]
    for tree in trees[1:]:
        if tree.objtree != trees[0].objtree:
            raise UsageError(f"{tree.module}: is built against {tree.objtree}, not {trees[0].objtree}")
    rules: dict[str, Rule] = {}
    problems: dict[Problem, None] = {}
    leftovers: set[str] = set()
    modules: list[Tree] = []
    reads_any: set[str] = set()
    for tree in trees:
        read = read_rules(tree)
        own = [rule for rule in read.rules if rule.owner is Owner.MODULE]
        if not named and tree is not trees[0] and not is_built_against(tree.objtree, own):
            continue
        problems.update(dict.fromkeys(read.problems))
        leftovers |= read.leftovers
        rules.update((rule.target, rule) for rule in own)
        if tree is trees[0]:
            rules.update((rule.target, rule) for rule in read.rules if rule.owner is Owner.KERNEL)
        if tree.module is not None:
            modules.append(tree)
            reads_any |= read.reads_any
    everything = Rules(
        tuple(rules.values()),
        tuple(problems),
        frozenset(leftovers),
        frozenset(reads_any) if modules else ANYTHING,
    )
    graph = build_graph(everything, trees[0].objtree)
    modules.sort(key=lambda tree: tree.module or "")
    first = trees[0] if trees[0].module or not modules else modules[0]
    return KernelWithModules(first, tuple(modules), everything, graph)


def split_modules(words: tuple[str, ...]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Take the modules out of a command line: make takes the last ``M=`` alone, this question may name many."""
    rest: list[str] = []
    named: list[tuple[str, ...]] = []
    for word in words:
        name = word.partition("=")[0]
        if name in ("M", "KBUILD_EXTMOD") and "=" in word:
            named.append((word,))
        elif name in ("MO", "KBUILD_EXTMOD_OUTPUT") and "=" in word and named:
            named[-1] = (*named[-1], word)
        else:
            rest.append(word)
    return tuple(rest), named


def list_modules(objtree: str) -> list[str]:
    """Return the ``.ko`` of each module of a kernel's configuration; none if it was not built."""
    lines = read_text(f"{objtree}/modules.order").split("\n")[:_MAX_MODULES]
    names = (line.strip().removesuffix(".o").removesuffix(".ko") for line in lines if line.strip())
    return [os.path.join(objtree, f"{name}.ko") for name in names]


def find_modules(tree: Tree) -> list[str]:
    """Find the folders below the source tree that were built with ``M=``, by name.

    A build of the whole kernel leaves records there as well, and so does a build
    against another object tree: ``is_built_against`` tells.
    """
    found: list[str] = []
    waiting = [tree.srctree]
    while waiting:
        folder = waiting.pop()
        try:
            links = os.stat(folder).st_nlink
            if folder != tree.srctree and _is_top(folder):
                found.append(folder)
            if links == 2:
                continue  # no folder below it: saves listing five of six (some file systems always say 1)
            with os.scandir(folder) as entries:
                waiting += [
                    entry.path
                    for entry in entries
                    if entry.name[0] != "."
                    and entry.name not in _NO_MODULES
                    and entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            continue  # what may not be looked at was not built by this user
    return sorted(found)


def _is_top(folder: str) -> bool:
    """Whether a folder is one that ``M=`` named: its list of modules bears no folder's name.

    Below it, and in a build of the kernel itself, it does: ``sub/modules.order``. Before
    6.13 the names of ``M=`` are absolute, and the topmost folder with a record is it.
    """
    try:
        with open_to_read(f"{folder}/{_RECORD}") as file:
            start = file.read(4096).decode("utf-8", "surrogateescape")
    except OSError:
        return False
    target = start.partition(" :=")[0].partition("cmd_")[2]
    if target == f"{folder}/modules.order":
        return not os.path.exists(f"{os.path.dirname(folder)}/{_RECORD}")
    return target == "modules.order"


def is_built_against(objtree: str, rules: list[Rule]) -> bool:
    """Whether a module's rules read what only this object tree has."""
    marks = (f"{objtree}/rust/lib", f"{objtree}/include/generated/", f"{objtree}/scripts/mod/modpost")
    return any(path.startswith(marks) for rule in rules for path in rule.prerequisites)
