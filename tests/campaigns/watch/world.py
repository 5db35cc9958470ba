# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where deeds are done: the trees, and the files as they were."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.layout import Layout, Module
from tests.lab.mutate import Planner


@dataclass(slots=True)
class _Kept:
    path: str
    mode: int
    """0: there was nothing."""
    times: tuple[int, int] = (0, 0)
    data: bytes = b""
    link: str = ""


class Keeper:
    """Remembers files as they were, and puts them back."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []
        self._undo: list[Callable[[], object]] = []

    def keep(self, path: str) -> None:
        try:
            found = os.lstat(path)
        except OSError:
            self._push(_Kept(path, 0))
            return
        kept = _Kept(path, found.st_mode, (found.st_atime_ns, found.st_mtime_ns))
        if stat.S_ISLNK(found.st_mode):
            kept.link = os.readlink(path)
        elif stat.S_ISREG(found.st_mode):
            kept.data = Path(path).read_bytes()
        self._push(kept)

    def _push(self, kept: _Kept) -> None:
        self._undo.append(lambda: _put_back(kept))

    def later(self, action: Callable[[], object]) -> None:
        """Remember how to undo something else."""
        self._undo.append(action)

    def restore(self) -> None:
        """Undo everything, the last first."""
        while self._undo:
            self._undo.pop()()


def _put_back(kept: _Kept) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(kept.path)
    if not kept.mode:
        return
    os.makedirs(os.path.dirname(kept.path), exist_ok=True)
    if kept.link:
        os.symlink(kept.link, kept.path)
        return
    temporary = kept.path + ".back~"
    Path(temporary).write_bytes(kept.data)
    os.chmod(temporary, kept.mode & 0o7777)
    os.utime(temporary, ns=kept.times)
    os.rename(temporary, kept.path)


@dataclass(slots=True)
class World:
    """Where deeds are done."""

    layout: Layout
    modules: tuple[Module, ...]
    planner: Planner
    keeper: Keeper
    private: Path
    env: dict[str, str]
    """For make: the stand-ins for the compilers stand first in PATH."""
    sources: list[str] = field(default_factory=list)
    """Files that people edit."""
    unsure: bool = False
    """The last deed did several things one after the other: answers in between are right, too."""


def find_sources(layout: Layout, modules: tuple[Module, ...]) -> list[str]:
    """List what people edit: the core's sources, headers, the modules' own."""
    found: list[str] = []
    for top in (f"{layout.srctree}/rust", *(module.folder for module in modules)):
        for where, folders, files in os.walk(top):
            folders.sort()
            found += [
                f"{where}/{name}"
                for name in sorted(files)
                if name.endswith((".rs", ".c", ".h")) and ".mod." not in name
            ]
    headers = [
        f"{layout.srctree}/include/linux/{name}.h" for name in ("device", "pci", "module", "mutex", "fs")
    ]
    return [*found, *(path for path in headers if os.path.isfile(path))]


def read_times(paths: Iterable[str]) -> dict[str, os.stat_result]:
    """The stamps of those files that are there."""
    times: dict[str, os.stat_result] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            times[path] = os.stat(path)
    return times


def put_times_back(times: dict[str, os.stat_result]) -> None:
    """After git has put a file back it is new; put its time back as well."""
    for path, found in times.items():
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime_ns != found.st_mtime_ns:
                os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
