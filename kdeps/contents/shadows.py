# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Files that would be read instead of a recorded input, if they were there.

A record lists what a compiler read, not where it looked in vain. A new header earlier on
the ``-I`` path, ``foo/mod.rs`` beside ``foo.rs``, a second library of the same crate: each
changes what a compile does while every recorded input stays as it was. So the memory
keeps a hash of all such names that are there. If another one comes, nothing is proven.
"""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLDER = re.compile(r"(?:^|\s)-(?:I|isystem|iquote|idirafter|L)\s*(\S+)")
_LIBRARY = re.compile(r"lib(.+)\.(?:rmeta|rlib|so)")


def searched_folders(command: str, base: str) -> tuple[str, ...]:
    """List the folders in which a command looks for headers and crates; its names are relative to ``base``."""
    return tuple(
        dict.fromkeys(os.path.normpath(os.path.join(base, name)) for name in _FOLDER.findall(command))
    )


class Shadows:
    """Finds names that could stand in for inputs. One per run; each folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self._candidates: dict[tuple[tuple[str, ...], str], tuple[str, ...]] = {}

    def digest(self, folders: tuple[str, ...], inputs: Iterable[str]) -> bytes:
        """Hash the names that exist now (see ``find``)."""
        import hashlib  # not on the way of a check

        names = "\0".join(sorted(self.find(folders, inputs))).encode("utf-8", "surrogateescape")
        return hashlib.sha256(names).digest()[:16]

    def find(self, folders: tuple[str, ...], inputs: Iterable[str]) -> set[str]:
        """Find the names that exist now in the ``searched_folders`` of a step that read these inputs."""
        read = set(inputs)
        found: set[str] = set()
        for path in read:
            key = (folders, path)
            there = self._candidates.get(key)
            if there is None:
                there = self._candidates[key] = tuple(self._stand_ins(folders, path))
            found.update(there)
        found |= self._same_names(read)
        return found - read

    def listed(self) -> Iterable[str]:
        """The folders whose names were looked at, there or not."""
        return self._names.keys()

    def _stand_ins(self, folders: tuple[str, ...], path: str) -> Iterable[str]:
        folder, _, name = path.rpartition("/")
        for one in folders:
            if path.startswith(one + "/"):
                rest = path[len(one) + 1 :]
                yield from (
                    f"{other}/{rest}" for other in folders if other != one and self._is_there(other, rest)
                )
        if name.endswith(".rs"):
            other = (
                f"{folder}.rs" if name == "mod.rs" else f"{path[:-3]}/mod.rs"
            )  # rustc refuses a module that has both
            if self._is_there(*os.path.split(other)):
                yield other
        library = _LIBRARY.fullmatch(name)
        if library:
            for one in {folder, *folders}:
                yield from (
                    f"{one}/{other}" for other in self._list(one) if _is_library_of(other, library[1])
                )

    def _same_names(self, read: set[str]) -> set[str]:
        """Files beside an input that are called like another one: ``#include "…"`` looks there first."""
        names = {os.path.basename(path) for path in read if path.endswith((".h", ".c", ".S", ".inc"))}
        folders = {os.path.dirname(path) for path in read}
        return {f"{folder}/{name}" for folder in folders for name in self._list(folder) & names}

    def _is_there(self, folder: str, name: str) -> bool:
        below, _, name = f"{folder}/{name}".rpartition("/")
        return name in self._list(below)

    def _list(self, folder: str) -> frozenset[str]:
        names = self._names.get(folder)
        if names is None:
            try:
                names = frozenset(os.listdir(folder))
            except OSError:
                names = frozenset()
            self._names[folder] = names
        return names


def _is_library_of(name: str, crate: str) -> bool:
    library = _LIBRARY.fullmatch(name)
    return library is not None and (library[1] == crate or library[1].startswith(f"{crate}-"))
