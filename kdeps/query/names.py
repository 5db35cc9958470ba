# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find what a user means by a name, as people name things of a build.

A file has many names: ``rust/kernel.o`` to Kbuild, ``kernel.o`` in a log,
``libkernel.rmeta`` in an error of rustc, ``kernel`` in a ``use`` line, and its
path from where the user stands. Each is looked up in this order, and the
first kind that has the name decides:

1. a path, absolute or from where the user stands, of a file that the graph has
2. a name as Kbuild writes it, in the object tree or in a module's output, or a path
   in the source tree or the module's folder
3. a configuration symbol, ``CONFIG_PCI``
4. a crate or a module, ``kernel``, ``nova-core``
5. the end of a path, ``kernel.o``, ``kernel/io.rs``: of what is made first, then of
   what is only read

A name that fits several files of one kind is an error that lists them, because a guess
might answer another question.
"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.kbuild.graph import Graph
from kdeps.kbuild.rule import Rule
from kdeps.kbuild.tree import Tree
from kdeps.system.errors import AmbiguousName, UnknownTarget
from kdeps.system.stat import status_of

MAX_SUGGESTIONS = 4
_SIMILAR = 0.7
"""At 0.6 ``newheader.h`` is like ``wchar.h``."""
_CRATE_SUFFIXES = (".rmeta", ".so", ".rlib")
_SYMBOL_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


class Named(NamedTuple):
    """What a name means."""

    path: str
    """Absolute. Of a configuration symbol, its stamp file, which need not exist."""
    rule: int | None
    """Position of the rule that writes it; None if no rule of the graph does."""
    symbol: str = ""
    """``PCI`` where the name was ``CONFIG_PCI``; else empty."""


NOT_BUILT = "nothing is built here, or `make clean` took it away; first `make modules_prepare`"


class Names:
    """Every name that a graph answers to. Build it once, ask it often."""

    def __init__(self, tree: Tree, graph: Graph, modules: tuple[str, ...] = ()) -> None:
        """Collect the names of a graph; ``modules`` are folders, sources and outputs, of further modules with rules
        in it.
        """
        self.tree = tree
        self.graph = graph
        folders = (tree.objtree, tree.module_output, tree.srctree, tree.module, *modules)
        self.bases = tuple(dict.fromkeys(folder for folder in folders if folder))
        """What relative names may be relative to, besides the user's folder."""
        self._include = f"{tree.srctree}/include"
        self.made = graph.producers
        self.read: dict[str, None] = {}
        for rule in graph.rules:
            for paths in (rule.prerequisites, rule.optional_prerequisites, rule.uncompared_inputs):
                self.read.update(dict.fromkeys(paths))
            if rule.source:
                self.read[rule.source] = None
        self.symbols = {symbol for rule in graph.rules for symbol in rule.config}
        self.records = {rule.record: rule.target for rule in graph.rules if rule.record}
        self._short: dict[str, list[str]] | None = None
        self._by_base: dict[str, list[str]] | None = None
        self._files: dict[tuple[int, int], list[str]] | None = None
        self._folders: dict[str, list[str]] | None = None

    # -- looking up ----------------------------------------------------------

    def find(self, name: str, cwd: str) -> Named | None:
        """Find what a name means that was typed in a folder. Returns None if it means nothing in this graph.

        Raises AmbiguousName if it fits several files equally well.
        """
        name = name.rstrip("/") or name
        found = self.find_path(name, cwd)
        if found is not None:
            return found
        if name.startswith("CONFIG_") and name[7:] in self.symbols:
            path = f"{self.tree.objtree}/include/config/{name[7:]}"
            return Named(path, self.made.get(path), name[7:])
        for fitting in (self.short_names.get(name, []), *self._ending(name)):
            if fitting:
                return self._only(name, fitting)
        return None

    def find_path(self, name: str, cwd: str) -> Named | None:
        """Find what a path means, from where the user stands or from a root of the trees."""
        for path in self._candidates(name, cwd):
            if path in self.made or path in self.read:
                return self._named(path)
            if path in self.records:
                return self._named(self.records[path])
            symbol = path.removeprefix(f"{self.tree.objtree}/include/config/")
            if symbol in self.symbols:
                return Named(path, None, symbol)
        for path in self._candidates(name, cwd):
            known = self.same_file(path)
            if known:
                return self._named(known[0])
        return None

    def same_file(self, path: str) -> tuple[str, ...]:
        """Every name that the graph has for one file: records name some through links, ``/usr/lib/rustlib/src``."""
        if self._files is None:
            self._files = {}
            for known in (*self.made, *(p for p in self.read if p not in self.made)):
                identity = _identity(known)
                if identity is not None:
                    self._files.setdefault(identity, []).append(known)
        found = _identity(path)
        return tuple(self._files.get(found, ())) if found is not None else ()

    def read_in(self, folder: str) -> tuple[str, ...]:
        """Every file in an absolute real folder, or below it, that some step reads and none makes; by name."""
        if self._folders is None:
            self._folders = {}
            for path in self.read:
                if path not in self.made:
                    self._folders.setdefault(os.path.dirname(path), []).append(path)
        inside = folder.rstrip("/") + "/"
        return tuple(
            sorted(
                path
                for known, paths in self._folders.items()
                if f"{known}/".startswith(inside) or f"{os.path.realpath(known)}/".startswith(inside)
                for path in paths
            )
        )

    def resolve_short(self, name: str) -> Named:
        """Find the crate or module of a name that is known to be one. Raises AmbiguousName: several have it."""
        return self._only(name, self.short_names[name])

    def resolve(self, name: str, cwd: str) -> Named:
        """Find what a name means.

        Raises:
            UnknownTarget: Nothing in this graph; the message suggests neighbours.
            AmbiguousName: It fits several files equally well.
        """
        found = self.find(name, cwd)
        if found is not None:
            return found
        raise UnknownTarget(f"{name}: {self.explain_unknown(name, cwd)}")

    def _only(self, name: str, fitting: list[str]) -> Named:
        if len(fitting) > 1:
            same = self.same_file(fitting[0])
            if not all(path in same for path in fitting):
                raise AmbiguousName(f"{name}: may be {self._listed(fitting)}; give more of its path")
        return self._named(fitting[0])

    def _named(self, path: str) -> Named:
        return Named(path, self.made.get(path))

    def _candidates(self, name: str, cwd: str) -> list[str]:
        """Every path that a name may be, likeliest first."""
        found = []
        for base in (cwd, *self.bases, self._include):  # the last as C has it: <linux/pci.h>
            path = os.path.normpath(os.path.join(base, name))
            found.append(path)
        # A link on the way: the graph has every path as the kernel tree really has it.
        first = found[0]
        real = os.path.join(os.path.realpath(os.path.dirname(first)), os.path.basename(first))
        return [*found[:1], real, *found[1:]]

    # -- short names ---------------------------------------------------------

    @property
    def short_names(self) -> dict[str, list[str]]:
        """Crates, proc macros and modules by the names that source code and people give them → files."""
        if self._short is None:
            ranked: dict[str, dict[str, int]] = {}
            for rule in self.graph.rules:
                for name, path, rank in _short_names(rule):
                    ranked.setdefault(name, {}).setdefault(path, rank)
            self._short = {}
            for name, paths in ranked.items():
                best = min(paths.values())
                self._short[name] = [path for path, rank in paths.items() if rank == best]
        return self._short

    def _ending(self, name: str) -> Iterable[list[str]]:
        """Files whose path ends in a name: what is made, then what is only read."""
        if self._by_base is None:
            self._by_base = {}
            for path in (*self.made, *(path for path in self.read if path not in self.made)):
                self._by_base.setdefault(path.rpartition("/")[2], []).append(path)
        end = "/" + os.path.normpath(name).lstrip("/")
        if end.startswith("/.."):
            return
        fitting = [p for p in self._by_base.get(end.rpartition("/")[2], ()) if p.endswith(end)]
        yield [path for path in fitting if path in self.made]
        yield fitting

    # -- neighbours ----------------------------------------------------------

    def suggest(self, name: str) -> list[str]:
        """List the names that the user may have meant, most alike first, each as it can be typed."""
        wanted = name.rstrip("/").rpartition("/")[2] or name
        if name.startswith("CONFIG_"):
            pool: dict[str, str] = {f"CONFIG_{symbol}": f"CONFIG_{symbol}" for symbol in self.symbols}
        else:
            pool = {short: short for short in self.short_names}
            for path in (*self.read, *self.made):
                pool[path.rpartition("/")[2]] = path
        close = difflib.get_close_matches(wanted, pool, n=MAX_SUGGESTIONS, cutoff=_SIMILAR)
        found = [alike if pool[alike] == alike else self.shown(pool[alike]) for alike in close]
        return [f"CONFIG_{name}", *found[: MAX_SUGGESTIONS - 1]] if name in self.symbols else found

    def shown(self, path: str) -> str:
        """Write a file as briefly as it can be typed back: relative to the tree it is in."""
        return min(
            (path[len(base) + 1 :] for base in self.bases if path.startswith(base + "/")),
            key=len,
            default=path,
        )

    def _listed(self, paths: list[str]) -> str:
        shown = [self.shown(path) for path in paths]
        if len(set(shown)) < len(shown):
            shown = paths
        more = len(shown) - MAX_SUGGESTIONS
        text = ", ".join(shown[:MAX_SUGGESTIONS])
        return f"{text} or {more} more" if more > 0 else f"{', '.join(shown[:-1])} or {shown[-1]}"

    def hint(self, name: str) -> str:
        """Ask whether a neighbour was meant; empty if no name is similar."""
        close = self.suggest(name)
        if not close:
            return ""
        return f"; did you mean {', '.join(close[:-1]) + ' or ' if close[1:] else ''}{close[-1]}?"

    def explain_unknown(self, name: str, cwd: str) -> str:
        """Say why nothing has a name, and what has one like it."""
        hint = self.hint(name)
        if name.startswith("CONFIG_") and _SYMBOL_LETTERS.issuperset(name[7:]):
            return f"nothing that is built here depends on this symbol{hint}"
        folder = next((path for path in self._candidates(name, cwd) if os.path.isdir(path)), "")
        if folder:
            crate = os.path.basename(folder)
            also = f", or the crate: {crate}" if crate in self.short_names else ""
            return f"a folder; name a file of it{also}, or see `kdeps affected {name}`"
        if any(os.path.lexists(path) for path in self._candidates(name, cwd)):
            return "it exists, but no recorded step makes or reads it" + (
                hint if self.tree.module else "; name the module with M="
            )
        if not is_built(self.graph):
            return NOT_BUILT
        return f"no such file, crate or module in this build{hint}"


def is_built(graph: Graph) -> bool:
    """Whether anything of the core is built: ``make clean`` takes every record away."""
    return any(rule.record is not None and rule.name.startswith("rust/") for rule in graph.rules)


def _identity(path: str) -> tuple[int, int] | None:
    """Return what makes two paths the same file; None if there is no such file, or if it is a folder."""
    st = status_of(path)
    return None if st is None or stat.S_ISDIR(st.st_mode) else (st.st_dev, st.st_ino)


def _short_names(rule: Rule) -> Iterable[tuple[str, str, int]]:
    """The short names of what one rule makes, each with the file it means and its rank.

    The crate that others can use goes before the module, and that before its one object.
    """
    crates: set[str] = set()
    for path in rule.outputs:
        stem, dot, suffix = path.rpartition("/")[2].rpartition(".")
        if dot and f".{suffix}" in _CRATE_SUFFIXES and stem.startswith("lib"):
            if stem not in crates:  # newer compilers write libsyn.rlib and libsyn.rmeta
                crates.add(stem)
                yield stem[3:], path, 0
                yield stem, path, 0
        elif suffix == "ko":
            yield stem, path, 1
    # A Rust object of a module mostly has no metadata beside it, and is the crate of its own name.
    if not crates and rule.source and rule.source.endswith(".rs"):
        stem, _, suffix = rule.target.rpartition("/")[2].rpartition(".")
        if suffix == "o":
            yield stem, rule.target, 2
