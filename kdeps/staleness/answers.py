# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An answer, kept until anything changes that it rests on.

A developer builds a driver many times a day, and mostly nothing of the kernel has changed. Then it is
enough to see that all the files the last answer came from (``kdeps.staleness.dependencies``) look as they
did, and no record has to be read. ``kdeps check`` keeps what it printed, fresh or stale. ``kdeps make`` keeps
that nothing was wrong and nothing left for make to do, once Kbuild has confirmed the commands.

* Of a file device, inode, size and times are compared: the ctime moves with every change of content, whatever
  its mtime was set to, and with every file that is put in its place.
* The trees are where they were, for some commands spell that out.
* A file that was not there is still not there while its folder has not changed.
* A folder that is listed has the same names in it. A make that has nothing to do makes and
  deletes files, so that a folder that changed is listed again.
* What is racy (``kdeps.system.stat``) could change again without its times telling. A racy file, or a racy
  folder whose names count, and nothing is kept.
* The code that found the answer is the same.

A compiler that must be run each time for its version (a script, ccache) leaves nothing to keep.
This is the way of a build when all is well, and imports next to nothing.
"""

from __future__ import annotations

import marshal
import os
import sys
import time

from kdeps.kbuild.environment import fingerprint_environment, inherited_flags, settings
from kdeps.system.cache import Store
from kdeps.system.stat import is_racy, stamp_of

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kdeps.staleness.check import CheckResult
    from kdeps.staleness.dependencies import Dependencies
    from kdeps.system.stat import Stamp

KEPT = 32
BUILD = ("make",)
"""How ``kdeps make`` asks: is nothing stale, nothing left for make to do, and every command confirmed?"""
_NOT_LISTED = -1
"""Digest of the names in a folder in which only certain names count."""
_LOOK_INSIDE = 0
"""Stamp of a racy folder."""


class Question:
    """A question: the command, the words of make, the folder and the environment."""

    def __init__(
        self, manner: tuple[str, ...], words: tuple[str, ...], cwd: str, environ: dict[str, str]
    ) -> None:
        """Ask; ``manner`` is the command, and what else its answer depends on."""
        self.manner, self.words, self.cwd, self.environ = manner, words, cwd, environ
        system = os.uname()
        about = (*manner, "", system.release, system.machine, str(os.geteuid()), cwd)
        parts = (*about, *words, "", *inherited_flags(environ), "", *settings(environ))
        self.key = fingerprint_environment(parts)
        self.store = Store("answers", environ, version=marshal.version, keep=KEPT)

    def recall(self) -> Any:
        """Return the answer that was kept. Returns None without one, or if something has changed since."""
        try:
            saved = self.store.load(self.key)
            if saved is None:
                return None
            since_ns, roots, files, stamps, folders, times, digests, absent, within, answer = marshal.loads(
                saved
            )
            # A clock that was set back makes artifacts of now artifacts of the future.
            if time.time_ns() < since_ns or _differ(files.split(b"\0"), stamps):
                return None
            if any(os.path.realpath(root) != real for root, real in roots):
                return None
            passed = folders.split(b"\0")
            changed = {at for at, path in enumerate(passed) if hash(stamp_of(os.stat(path))) != times[at]}
            if not all(_is_same(passed[at], digests[at]) for at in changed) or any(
                at in changed and os.path.lexists(path) for path, at in zip(absent, within, strict=True)
            ):
                return None
            return answer
        except (OSError, ValueError, IndexError, TypeError, EOFError):
            return None

    def keep(self, answer: Any, result: CheckResult, started_ns: int, rests_on: Dependencies) -> None:
        """Keep an answer, which ``marshal`` can write, if a change of what it rests on will show.

        ``started_ns`` is when the first file was read for it.
        """
        if not _shows_compilers(result, self.environ):
            return
        here = {folder: os.path.isdir(folder) for folder in rests_on.folders}
        wanted = {
            *rests_on.files,
            *_own_code(),
            *(folder for folder, is_there in here.items() if not is_there),
        }
        passed = {path for path in wanted if _is_only_passed(path, result)}
        listed = {os.fsencode(folder) for folder, is_there in here.items() if is_there}
        try:
            files, absent = _sort_out(wanted - passed, result, started_ns)
            counting = listed.union(absent.values())
            folders = _stamp_folders(counting, set(map(os.fsencode, passed)), started_ns)
            digests = [_digest(path) if path in listed else _NOT_LISTED for path in folders]
        except (OSError, ValueError):
            return
        number = {path: at for at, path in enumerate(folders)}
        tree = result.tree
        places = {tree.srctree, tree.objtree, tree.module, tree.module_output, tree.make_directory, self.cwd}
        kept = (
            started_ns,
            [(path, os.path.realpath(path)) for path in sorted(filter(None, places))],
            b"\0".join(files),
            list(files.values()),
            b"\0".join(folders),
            list(folders.values()),
            digests,
            list(absent),
            [number[folder] for folder in absent.values()],
            answer,
        )
        self.store.save(self.key, marshal.dumps(kept))


def _own_code() -> Iterable[str]:
    """The files that kdeps is run from: another version may judge otherwise."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "kdeps"]
    return [path for module in modules if (path := getattr(module, "__file__", None))]


def _sort_out(
    paths: set[str], result: CheckResult, started_ns: int
) -> tuple[dict[bytes, int], dict[bytes, bytes]]:
    """Tell files, each with its stamp, from what is not there, each with the folder that would tell.

    Raises:
        ValueError: One of them is racy, or its coming would not show.
        OSError: One of them cannot be looked at.
    """
    found: dict[bytes, Stamp] = {}
    absent: dict[bytes, bytes] = {}
    judged = result.snapshot.stats
    for name in sorted(paths):
        path = os.fsencode(name)
        try:
            stamp = stamp_of(judged.get(name) or os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(path):
                # What comes into being where it leads does not show in its own folder.
                raise ValueError("a link to nowhere") from None
            absent[path] = _nearest_folder(path)
            continue
        if is_racy(stamp, started_ns):
            raise ValueError("it may change again without its times telling")
        found[path] = stamp
    # What was changed last will be changed again, and then the other files need not be looked at.
    latest = sorted(found.items(), key=lambda item: -item[1][4])
    return {path: hash(stamp) for path, stamp in latest}, absent


def _stamp_folders(counting: set[bytes], passed: set[bytes], started_ns: int) -> dict[bytes, int]:
    """The stamps of folders.

    Raises:
        ValueError: The names in one that counts may have changed since they were read.
        OSError: One of them is gone.
    """
    stamps: dict[bytes, int] = {}
    for path in sorted(counting | passed):
        stamp = stamp_of(os.stat(path))
        racy = is_racy(stamp, started_ns)
        if racy and path in counting:
            raise ValueError("it changed meanwhile")
        stamps[path] = _LOOK_INSIDE if racy else hash(stamp)
    return stamps


def _is_only_passed(path: str, result: CheckResult) -> bool:
    """Whether it is a folder of the trees that must be there, whatever its times."""
    return (
        path.startswith((f"{result.tree.srctree}/", f"{result.tree.objtree}/"))
        and path not in result.snapshot.mtime_ns
        and os.path.isdir(path)
    )


def _shows_compilers(result: CheckResult, environ: dict[str, str]) -> bool:
    """Whether a change of any compiler shows in a file."""
    from kdeps.kbuild.configuration import list_asked
    from kdeps.kbuild.toolchain import shows_changes

    commands = list_asked(result.tree, environ)
    return all(shows_changes(command, environ, result.tree.make_directory) for command in commands)


def _differ(paths: list[bytes], stamps: list[int]) -> bool:
    """Whether one of some files looks otherwise. The hash of a stamp is the same in every process.

    Raises OSError: one is not there.
    """
    return any(hash(stamp_of(st)) != stamp for st, stamp in zip(map(os.stat, paths), stamps, strict=True))


def _nearest_folder(path: bytes) -> bytes:
    """The folder whose own times tell when something comes into being on the way to a path."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        if not folder or os.path.islink(folder):
            # What comes into being where a link leads does not show in the folder of the link.
            raise ValueError("a relative path, or a link to nowhere")
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
