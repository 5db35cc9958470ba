# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Remember of each module and vmlinux that kdeps saw built when it was linked, from which commit, and from what contents.

The key is the build id, so what still runs can be named by its source long after its file is gone.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from kdeps.running.build_id import read_file_id
from kdeps.system.cache import Store, fingerprint
from kdeps.system.files import open_to_read

_KEPT = 2000
MAX_COMMIT = 200
_PATIENCE_S = 30
_MAX_SOURCE = 64 << 20
_START_BYTES = 8
"""So much of a hash tells two contents of one file apart."""


class Origin(NamedTuple):
    """Where a module or a vmlinux came from."""

    path: str
    """The file at that time."""
    linked_s: int | None
    """Seconds since the epoch; None if only a ledger records it."""
    commit: str
    """As ``git describe --dirty`` names it; empty without git."""
    root: str = ""
    """A hash over names and contents of all files that it was built from; empty if they are not known for certain."""
    sources: Mapping[str, bytes] = {}
    """The files that people edit of these: path → the start of the SHA-256 of what it had."""
    edited: tuple[str, ...] | None = None
    """Those that have another content now or are gone, the first edit first; None if that was not asked, or is not known."""
    ledger: str = ""
    """The file that records it; empty if kdeps remembers it."""


class Sources(NamedTuple):
    """What a module was built from."""

    root: str
    """See ``Origin``."""
    contents: Mapping[str, bytes]
    """Path → the SHA-256 of its content."""


def remember_origins(files: Mapping[str, Sources | None], folder: str, environ: dict[str, str]) -> None:
    """Remember the files that are there now; an id that is known already keeps its origin.

    The ``.ko`` files, and vmlinux, come with what they were built from, if that is known; the commit is the folder's.
    """
    store = _open_store(environ)
    new = {
        build_id: path for path in files if (build_id := read_file_id(path)) and store.load(build_id) is None
    }
    commit = describe_commit(folder, environ) if new else ""
    for build_id, path in new.items():
        try:
            linked_s = int(os.stat(path).st_mtime)
        except OSError:
            continue
        root, contents = files[path] or Sources("", {})
        starts = {source: digest[:_START_BYTES] for source, digest in contents.items()}
        value = marshal.dumps((path, linked_s, commit, root, starts))
        store.save(build_id, zlib.compress(value, 1))


def find_origin(build_id: str, environ: dict[str, str]) -> Origin | None:
    """Return what is remembered of a build id."""
    data = _open_store(environ).load(build_id)
    return None if data is None else Origin(*marshal.loads(zlib.decompress(data)))


def find_edited(origin: Origin) -> tuple[str, ...] | None:
    """Find the sources of a module that have another content now, or are gone: the first to be edited first.

    Returns None if its sources are not known.
    """
    if not origin.sources or origin.linked_s is None:
        return None
    edited: list[tuple[int, str]] = []
    for path, start in origin.sources.items():
        try:
            found = os.stat(path)
            if max(found.st_mtime_ns, found.st_ctime_ns) // 1_000_000_000 < origin.linked_s:
                continue
            with open_to_read(path) as file:
                if _hash(file.read(_MAX_SOURCE)) == start:
                    continue
            edited.append((found.st_mtime_ns, path))
        except OSError:
            edited.append((0, path))
    return tuple(path for _, path in sorted(edited))


def _hash(data: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(data).digest()[:_START_BYTES]


def hash_sources(contents: Mapping[str, bytes], roots: tuple[str, ...]) -> str:
    """Hash names and contents of files; a name below one of the roots is relative to it."""

    def name(path: str) -> str:
        root = next((root for root in roots if path.startswith(f"{root}/")), "")
        return path[len(root) + 1 :] if root else path

    rows = sorted((name(path), digest.hex()) for path, digest in contents.items())
    return fingerprint(
        "".join(f"{path}\0{digest}\n" for path, digest in rows).encode("utf-8", "surrogateescape")
    )


def _open_store(environ: dict[str, str]) -> Store:
    return Store("origins", environ, version=marshal.version + 1, keep=_KEPT)


def describe_commit(folder: str, environ: dict[str, str]) -> str:
    """Name the commit of a folder; empty where git cannot."""
    command = ["git", "--no-optional-locks", "-C", folder, "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_S,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()[:MAX_COMMIT] if done.returncode == 0 else ""
