# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps watch --status``: what the running watches have found, as a prompt or a status bar shows it.

It reads a few small files and looks who holds a lock; it must take milliseconds. So
this module imports nothing that Python has not imported already, and looks at no tree.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import sys
import time

from kdeps.system.files import read_text
from kdeps.system.stat import status_of

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""
EXITS = {"fresh": 0, "stale": 1}
MAX_AGE_S = 900.0
"""A watch at rest checks and writes its files at least three times in this time, and one that has noticed a change
does so within seconds. A watch that has not is blocked, perhaps because its reader does not read."""


def print_status(words: list[str], *, json: bool = False) -> int:
    """Print one line, or one object of JSON, for each module that is watched, or that ``M=`` names.

    Returns 0: all fresh and current, 1: something is stale, 2: otherwise, or nothing is watched.
    """
    environ = dict(os.environ)
    folder = runtime_directory(environ)
    wanted = [word[2:] for word in words if word.startswith("M=")]
    worst = 0
    found = 0
    for key, pid in _find_live(folder):
        fields = _read(f"{folder}/{key}.line").split("\t")
        if len(fields) != 5 or (wanted and not any(_is_meant(path, fields) for path in wanted)):
            continue
        status, state, name, _module, headline = fields
        found += 1
        if silence := _find_silence(f"{folder}/{key}.line", pid, state):
            worst = 2
            (sys.stderr if json else sys.stdout).write(f"{name}: unknown: {silence}\n")
            continue
        if json:
            sys.stdout.write(_read(f"{folder}/{key}.json") + "\n")
        else:
            during = "" if state == "current" else f" ({state})"
            sys.stdout.write(f"{name}: {status}{during}{f': {headline}' if headline else ''}\n")
        exit_status = EXITS.get(status, 2)
        worst = max(worst, 2 if exit_status == 0 and state != "current" else exit_status)
    if not found:
        sys.stderr.write(
            "kdeps: no watch runs here\n" if not wanted else f"kdeps: no watch of M={wanted[0]} runs\n"
        )
        return 2
    return worst


def runtime_directory(environ: dict[str, str], *, create: bool = False) -> str | None:
    """Find the user's own folder for the state of watches. Returns None if it is missing or open to others.

    ``XDG_RUNTIME_DIR`` is that of a login session. Without one (a container, ``sudo``,
    cron) it is a folder in the temporary directory that must belong to the user and
    let nobody else in.
    """
    base = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(base) and os.path.isdir(base):
        folder = os.path.join(base, "kdeps")
    else:
        base = f"/run/user/{os.geteuid()}"
        if os.path.isdir(base):
            folder = os.path.join(base, "kdeps")
        else:
            folder = os.path.join(environ.get("TMPDIR") or "/tmp", f"kdeps-{os.geteuid()}")
    try:
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
        found = os.lstat(folder)
    except OSError:
        return None
    safe = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return folder if safe else None


def find_holder(path: str) -> int:
    """Find the process that holds a lock file, without taking the lock. Returns 0 if none does, -1 if it has no pid here."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    # From another pid namespace the holder shows as 0; it is there all the same.
    return 0 if kind == fcntl.F_UNLCK else pid or -1


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped, by Ctrl-Z or a debugger."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] in (["T"], ["t"])


def _find_live(folder: str | None) -> list[tuple[str, int]]:
    """The keys of the modules that are watched, each with the watch's pid (-1 if it is not known)."""
    if folder is None:
        return []
    keys = sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".line"))
    return [(key, pid) for key in keys if (pid := find_holder(f"{folder}/{key}.lock"))]


def _find_silence(path: str, pid: int, state: str) -> str:
    """Say why a watch that is there does not follow what happens, so that its last verdict means nothing; else empty."""
    if is_stopped(pid):
        return f"the watch (pid {pid}) is stopped"
    st = status_of(path)
    if st is None:
        return ""
    age_s = time.time() - st.st_mtime
    if state in ("current", "settling") and age_s > MAX_AGE_S:
        return f"the watch (pid {pid}) has reported nothing for {age_s / 60:.0f} minutes"
    return ""


def _read(path: str) -> str:
    return read_text(path).rstrip("\n")


def _is_meant(given: str, fields: list[str]) -> bool:
    """Whether M= means this module: as it was given to the watch, or as a path."""
    return given.rstrip("/") == fields[2] or os.path.realpath(given) == fields[3]
