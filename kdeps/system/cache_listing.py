# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""List what is in the cache, and delete it.

A module of its own, because no build needs it.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from kdeps.system.cache import open_folder

LOCKS = "locks"
"""The folder of locks: another process may hold one, so they stay."""


class Cached(NamedTuple):
    """One value of the cache."""

    kind: str
    name: str
    """The file's own name; for an object tree it begins with the last part of its path."""
    size_bytes: int
    saved_ns: int


def list_cache(environ: dict[str, str]) -> tuple[Cached, ...]:
    """List every value, by kind and then by age, the latest first.

    Raises OSError: the cache is not this user's own. A cache that is not there has no values.
    """
    found: list[Cached] = []
    for kind in _kinds(environ):
        folder = open_folder(environ, kind)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    st = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(st.st_mode):
                        found.append(Cached(kind, entry.name, st.st_size, st.st_mtime_ns))
        finally:
            os.close(folder)
    return tuple(sorted(found, key=lambda each: (each.kind, -each.saved_ns, each.name)))


def clear_cache(environ: dict[str, str]) -> int:
    """Delete every value; return how many bytes that frees.

    Raises OSError: the cache is not this user's own, or cannot be written.
    """
    freed = 0
    for each in list_cache(environ):
        folder = open_folder(environ, each.kind)
        try:
            os.unlink(each.name, dir_fd=folder)
            freed += each.size_bytes
        except FileNotFoundError:
            continue  # another kdeps was faster
        finally:
            os.close(folder)
    return freed


def _kinds(environ: dict[str, str]) -> list[str]:
    try:
        top = open_folder(environ, "")
    except FileNotFoundError:
        return []
    try:
        with os.scandir(top) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name != LOCKS)
    finally:
        os.close(top)
