# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What kdeps remembers between two runs: where it lies, and how it is written.

Deleting any of it costs time, never correctness. So nothing here fails: what cannot be
written is not remembered.
"""

from __future__ import annotations

import os


def cache_directory(environ: dict[str, str]) -> str:
    """The folder for what kdeps remembers; never inside a kernel tree.

    Without a home nothing is remembered: it is not for us to make one, as root could.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME") or _home()
        base = os.path.join(home, ".cache") if os.path.isdir(home) else os.devnull
    return os.path.join(base, "kdeps")


def _home() -> str:
    """The home of this user in the user database; cron and CI do not always tell."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def name_of(folder: str) -> str:
    """A file name for what is remembered of a folder, that a person recognises."""
    import zlib

    return f"{os.path.basename(folder)[:80]}-{zlib.crc32(os.fsencode(folder)):08x}"


def store(path: str, data: bytes, *, kept: int = 0) -> None:
    """Write a file of the cache in one rename; its folder is made if need be.

    Args:
        path: The file.
        data: All of it.
        kept: How many files its folder may have; those that were written longest ago go. 0: any number.
    """
    temporary = f"{path}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
        if kept:
            _drop_old(os.path.dirname(path), kept)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            return


def _drop_old(folder: str, kept: int) -> None:
    """What a killed process left behind ages and goes as well."""
    with os.scandir(folder) as entries:
        paths = sorted((entry.stat().st_mtime_ns, entry.path) for entry in entries)
    for _, path in paths[:-kept]:
        os.unlink(path)
