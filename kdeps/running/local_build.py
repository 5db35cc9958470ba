# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The files of one build that a log is compared with: ``vmlinux``, and the ``.ko`` of each module."""

from __future__ import annotations

import contextlib
import os

from kdeps.kbuild.modules import list_modules
from kdeps.kbuild.tree import Tree
from kdeps.running.masked_code import MaskedCode, read_masked_code
from kdeps.running.module_file import module_name
from kdeps.running.oops_origin import KERNEL
from kdeps.running.symbol_sizes import Place, SymbolSizes, read_symbol_sizes
from kdeps.running.unpacking import open_plain
from kdeps.system.errors import KdepsError


class LocalFiles:
    """Find and read the files of a build, each again when it has changed."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._modules: dict[str, str] | None = None
        self._read: dict[str, tuple[tuple[int, ...], SymbolSizes | None]] = {}
        self._code: dict[tuple[str, Place], MaskedCode | None] = {}
        self.problems: list[str] = []

    def look_again(self) -> None:
        """Search for modules again before the next is wanted: a build may have changed them."""
        self._modules = None
        self._code = {}

    def find(self, name: str) -> SymbolSizes | None:
        """Return the symbols of a module, or of the kernel itself; None if its file is not here."""
        path = f"{self._tree.objtree}/vmlinux" if name == KERNEL else self._module_path(name)
        return None if path is None else self._read_again(path)

    def read_code(self, symbols: SymbolSizes, place: Place) -> MaskedCode | None:
        """Return the code of a function of a module; None if it cannot be compared."""
        if symbols.is_linked:
            return None
        key = symbols.path, place
        if key not in self._code:
            self._code[key] = None
            with contextlib.suppress(KdepsError, FileNotFoundError), open_plain(symbols.path) as file:
                self._code[key] = read_masked_code(file, place)
        return self._code[key]

    def _module_path(self, name: str) -> str | None:
        if self._modules is None:
            self._modules = _find_modules(self._tree)
        return self._modules.get(name.replace("-", "_"))

    def _read_again(self, path: str) -> SymbolSizes | None:
        try:
            with open_plain(path) as file:
                st = os.fstat(file.fileno())
                stamp = (st.st_ino, st.st_size, st.st_mtime_ns)
                known = self._read.get(path)
                if known is None or known[0] != stamp:
                    self._read[path] = (stamp, None)  # one that is damaged is not read for every frame
                    self._read[path] = (stamp, read_symbol_sizes(path, file))
        except FileNotFoundError:
            return None
        except KdepsError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None
        return self._read[path][1]


def _find_modules(tree: Tree) -> dict[str, str]:
    """Find the modules of a build by their names; those of ``M=`` go before the kernel's own."""
    found: dict[str, str] = {}
    for path in list_modules(tree.objtree):
        if name := module_name(path):
            found[name] = path
    if tree.module_output:
        for folder, _, files in os.walk(tree.module_output):
            for file in sorted(files):
                if file.endswith(".ko") and (name := module_name(file)):
                    found[name] = f"{folder}/{file}"
    return found
