# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A fresh answer, kept: until anything changes that it rests on.

Somebody builds a driver many times a day, and mostly nothing of the kernel's has changed.
Then it is enough to see that all the files the last answer came from (``kdeps.inputs``)
look as they did, and no record has to be read. Only an answer with nothing wrong and
nothing left for make to do is kept, and only once Kbuild has confirmed the commands.

* Of a file its times are compared: the ctime moves with every change of content, whatever
  its mtime was set to, and with every file that is put in its place.
* The trees are where they were, for some commands spell that out.
* A file that was not there is still not there while its folder has not changed.
* A folder that is listed has the same names in it. A make that has nothing to do makes and
  deletes files, so that a folder that changed is listed again.
* What changed within the last second could change again without its times telling. A file
  like that, and then nothing is kept; a folder like that is looked into each time. Nor is
  anything kept when a folder changed while the answer was found.

A compiler whose version must be asked each time (a script, ccache) leaves nothing to keep.
This is the way of a build when all is well, and imports next to nothing.
"""

from __future__ import annotations

import os

from kdeps import __version__
from kdeps.cache import cache_directory, store
from kdeps.repair.environment import fingerprint, inherited_flags, settings

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from kdeps.repair.request import Request
    from kdeps.survey import Survey

KEPT = 32
"""How many answers are kept; the oldest go first."""
_MAGIC = "kdeps fresh 2"
_RACY_NS = 1_000_000_000
_TICK_NS = 50_000_000
"""By how much the clock of a file system may be behind."""
_BETWEEN = b"\0\0"
_END = b"end"
_NOT_LISTED = -1
"""Digest of the names in a folder in which only certain names count."""


def holds(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> bool:
    """Tell whether this very make was found fresh before, and nothing has changed since.

    Args:
        words: make's arguments, verbatim.
        cwd: The folder the user stands in.
        environ: The environment make would get.
    """
    key = _key(words, cwd, environ)
    try:
        with open(_path(key, environ), "rb") as file:
            parts = file.read().split(_BETWEEN)
        kept, roots, real, files, stamps, folders, times, digests, absent, within, end = parts
        if kept != key or end != _END or _write(_look(_split(files))) != stamps:
            return False
        if list(map(os.path.realpath, _split(roots))) != _split(real):
            return False
        passed = _split(folders)
        now = _look(passed)
        if _write(now) == times:
            return True
        changed = {at for at, (a, b) in enumerate(zip(now, _read(times), strict=True)) if a != b}
        known = _read(digests)
        return all(_is_same(passed[at], known[at]) for at in changed) and not any(
            os.path.lexists(path)
            for path, at in zip(_split(absent), _read(within), strict=True)
            if at in changed
        )
    except (OSError, ValueError):
        return False


def keep(
    found: Survey,
    request: Request,
    cwd: str,
    environ: dict[str, str],
    started_ns: int,
) -> None:
    """Keep a fresh answer, if it can be told when it ends.

    Args:
        found: The answer.
        request: What it answers.
        cwd: The folder the user stands in.
        environ: The environment make would get.
        started_ns: When the first file was read for it, in nanoseconds since the epoch.
    """
    from kdeps.inputs import find_paths
    from kdeps.repair.memory import find_inputs
    from kdeps.repair.request import find_own_makefiles

    if found.verdict.pending or not _shows_compilers(found, environ):
        return
    paths = find_paths(found, request.words, cwd, environ)
    wanted = {*paths.files, *find_inputs(found.tree, environ), *find_own_makefiles(request.args, cwd)}
    wanted |= {folder for folder in paths.folders if not os.path.isdir(folder)}
    passed = {path for path in wanted if _is_only_passed(path, found)}
    wanted -= passed
    listed = {os.fsencode(folder) for folder in paths.folders if os.path.isdir(folder)}
    try:
        files, absent = _sort_out(wanted, started_ns - _RACY_NS)
        counting = listed.union(absent.values())
        folders = _stamp_folders(counting, set(map(os.fsencode, passed)), started_ns)
        digests = [_digest(path) if path in listed else _NOT_LISTED for path in folders]
    except (OSError, ValueError):
        return
    number = {path: at for at, path in enumerate(folders)}
    tree = found.tree
    roots = sorted(
        map(os.fsencode, {tree.srctree, tree.objtree, tree.module or "/", tree.module_output or "/"})
    )
    key = _key(request.given, cwd, environ)
    parts = (
        key,
        b"\0".join(roots),
        b"\0".join(map(os.path.realpath, roots)),
        b"\0".join(files),
        _write(list(files.values())),
        b"\0".join(folders),
        _write(list(folders.values())),
        _write(digests),
        b"\0".join(absent),
        _write([number[folder] for folder in absent.values()]),
        _END,
    )
    store(_path(key, environ), _BETWEEN.join(parts), kept=KEPT)


def _sort_out(paths: set[str], settled_ns: int) -> tuple[dict[bytes, int], dict[bytes, bytes]]:
    """Tell files, each with its stamp, from what is not there, each with the folder that would tell.

    Raises:
        ValueError: One of them changed too recently, or its coming would not show.
        OSError: One of them cannot be looked at.
    """
    files: dict[bytes, int] = {}
    absent: dict[bytes, bytes] = {}
    for path in sorted(map(os.fsencode, paths)):
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(path):
                # What comes into being where it leads does not show in its own folder.
                raise ValueError("a link to nowhere") from None
            absent[path] = _nearest_folder(path)
            continue
        if found.st_ctime_ns >= settled_ns:
            raise ValueError("it may change again without its times telling")
        files[path] = _stamp(found)
    return files, absent


def _stamp_folders(counting: set[bytes], passed: set[bytes], started_ns: int) -> dict[bytes, int]:
    """The stamps of folders; 0 for one that changed too recently to tell the next change.

    Raises:
        ValueError: The names in one that counts may have changed since they were read.
        OSError: One of them is gone.
    """
    stamps: dict[bytes, int] = {}
    for path in sorted(counting | passed):
        found = os.stat(path)
        if path in counting and found.st_ctime_ns >= started_ns - _TICK_NS:
            raise ValueError("it changed meanwhile")
        settled = found.st_ctime_ns < started_ns - _RACY_NS
        stamps[path] = _stamp(found) if settled else 0
    return stamps


def _is_only_passed(path: str, found: Survey) -> bool:
    """Whether it is a folder of the trees that must be there, whatever its times."""
    return (
        path.startswith((f"{found.tree.srctree}/", f"{found.tree.objtree}/"))
        and path not in found.snapshot.mtime_ns
        and os.path.isdir(path)
    )


def _shows_compilers(found: Survey, environ: dict[str, str]) -> bool:
    """Whether a change of any compiler shows in a file."""
    from kdeps.findings import make_variables
    from kdeps.toolchain import shows_changes

    values = make_variables(found.tree, environ)
    commands = (values["CC"], values["RUSTC"], values["BINDGEN"], "make")
    return all(shows_changes(command, environ, found.tree.make_directory) for command in commands)


def _key(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> bytes:
    """The fingerprint of everything that an answer depends on and that is no file."""
    system = os.uname()
    about = (_MAGIC, __version__, system.release, system.machine, str(os.geteuid()), cwd)
    parts = (*about, *words, "", *inherited_flags(environ), "", *settings(environ))
    return fingerprint(parts).encode()


def _path(key: bytes, environ: dict[str, str]) -> str:
    return os.path.join(cache_directory(environ), "fresh", key[:16].decode())


def _look(paths: list[bytes]) -> list[int]:
    """How files look: both their times, for where there is no ctime of its own the mtime moves.

    Raises:
        OSError: One is not there.
    """
    return [_stamp(found) for found in map(os.stat, paths)]


def _stamp(found: os.stat_result) -> int:
    """One number for both times; of numbers the hash is the same in every process."""
    return hash((found.st_ctime_ns, found.st_mtime_ns))


def _nearest_folder(path: bytes) -> bytes:
    """The folder whose own times tell when something comes into being on the way to a path."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _is_same(folder: bytes, digest: int) -> bool:
    """Whether a folder that changed has the same names in it, where all of them count."""
    return os.path.isdir(folder) if digest == _NOT_LISTED else _digest(folder) == digest


def _digest(folder: bytes) -> int:
    """Of the names in a folder, and which of them are folders."""
    import zlib

    with os.scandir(folder) as entries:
        names = sorted(entry.name + b"/" * entry.is_dir() for entry in entries)
    return zlib.crc32(b"\0".join(names))


def _split(part: bytes) -> list[bytes]:
    return part.split(b"\0") if part else []


def _write(numbers: list[int]) -> bytes:
    return str(numbers)[1:-1].encode()


def _read(part: bytes) -> list[int]:
    return list(map(int, part.split(b", "))) if part else []
