# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Names that hold for a moved tree: ``$(srctree)/rust/kernel/io.rs``."""

from __future__ import annotations

import os
import re

from kdeps.kbuild.tree import Tree


class Roots:
    """Turns paths into names that hold for a moved tree, and back."""

    def __init__(self, trees: tuple[Tree, ...], former: dict[str, str] | None = None) -> None:
        """Name the roots of some trees, which share one object tree.

        ``former`` has where the same roots lay once. Where nothing lies any more the tree was moved from, and paths
        below it mean the present ones.
        """
        self.paths: dict[str, str] = {"srctree": trees[0].srctree, "objtree": trees[0].objtree}
        modules = [
            folder
            for folder in sorted({f for tree in trees for f in (tree.module, tree.module_output) if f})
            if not any(_is_below(folder, known) for known in self.paths.values())
        ]
        modules = [f for f in modules if not any(_is_below(f, other) for other in modules if other != f)]
        former = {name: path for name, path in (former or {}).items() if os.path.isabs(path)}
        names = _former_names(modules, trees[0].srctree, former)
        taken = {*former, *names.values()}
        for folder in modules:
            name = base = f"module:{os.path.basename(folder)}"
            while name in taken:
                base += "+"
                name = base
            self.paths[names.get(folder, name)] = folder
            taken.add(names.get(folder, name))
        places: dict[str, str] = {}
        # In a tree that is built where its sources lie, objtree is the name.
        for name in ("objtree", *self.paths):
            places.setdefault(f"{self.paths[name]}/", f"$({name})/")
        for name, path in former.items():
            if name in self.paths and not os.path.exists(path):
                places.setdefault(f"{path}/", f"$({name})/")
        # The innermost root names a path: an object tree may be inside the source tree.
        self._prefixes = sorted(places.items(), key=lambda pair: (-len(pair[0]), pair))
        self._in_text = [
            (re.compile(rf"{re.escape(p[:-1])}(?=[/\s'\",:;)]|$)"), n[:-1]) for p, n in self._prefixes
        ]

    def name(self, path: str) -> str:
        for prefix, name in self._prefixes:
            if path.startswith(prefix):
                return name + path[len(prefix) :]
        return path

    def path(self, name: str) -> str:
        """Where a name is now."""
        if name.startswith("$("):
            root, _, rest = name[2:].partition(")/")
            if root in self.paths:
                return f"{self.paths[root]}/{rest}"
        return name

    def text(self, text: str) -> str:
        """Replace the roots within a command."""
        for pattern, name in self._in_text:
            text = pattern.sub(lambda _, name=name: name, text)  # type: ignore[misc]
        return text


def _former_names(modules: list[str], srctree: str, former: dict[str, str]) -> dict[str, str]:
    """Find the names that external modules have in a ledger: each is where it was, or beside the sources as it was."""
    names = {path: name for name, path in former.items() if path in modules}
    for name, path in former.items():
        beside = os.path.relpath(path, former.get("srctree", "/"))
        folder = os.path.normpath(os.path.join(srctree, beside))
        if folder in modules and name not in names.values():
            names.setdefault(folder, name)
    return names


def _is_below(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(root + "/")
