# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What happens to files in a pipeline. Each takes the file, and a seeded choice."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def _other_version(path: Path, rng: random.Random) -> bytes:
    return path.read_bytes() + f"\n// {rng.random()}\n".encode()


def _later(path: Path, rng: random.Random) -> None:
    moment = time.time_ns() + rng.randrange(1, 5_000_000_000)
    os.utime(path, ns=(moment, moment))


def touched(path: Path, rng: random.Random) -> None:
    """``touch``, a checkout, an unpacked archive."""
    _later(path, rng)


def edited(path: Path, rng: random.Random) -> None:
    path.write_bytes(_other_version(path, rng))
    _later(path, rng)


def edited_then_restored(path: Path, rng: random.Random) -> None:
    """Edited, built nothing, and put back: newer, the same."""
    text = path.read_bytes()
    edited(path, rng)
    path.write_bytes(text)
    _later(path, rng)


def edited_with_the_old_time(path: Path, rng: random.Random) -> None:
    """``touch -d``, an editor's backup: other content behind the old mtime."""
    found = path.stat()
    path.write_bytes(_other_version(path, rng))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def edited_in_place(path: Path, rng: random.Random) -> None:
    """The same size, the same mtime, the same inode."""
    found = path.stat()
    data = bytearray(path.read_bytes() or b"x")
    data[rng.randrange(len(data))] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def restored_by_cp(path: Path, rng: random.Random) -> None:
    """A backup put back with ``cp -p`` after an edit: as it was, with its old mtime."""
    backup = path.with_name(f"{path.name}.backup")
    shutil.copy2(path, backup)
    edited(path, rng)
    subprocess.run(["cp", "-p", backup, path], check=True)
    backup.unlink()


def replaced_by_an_older_one(path: Path, rng: random.Random) -> None:
    """``cp -p`` or ``rsync -t`` of another version, which is older."""
    other = path.with_name(f"{path.name}.other")
    other.write_bytes(_other_version(path, rng))
    moment = path.stat().st_mtime_ns - rng.randrange(1, 10**12)
    os.utime(other, ns=(moment, moment))
    subprocess.run(["cp", "-p", other, path], check=True)
    other.unlink()


def moved_over(path: Path, rng: random.Random) -> None:
    """``mv`` of another version, as rsync and git end: another inode, an old mtime."""
    found = path.stat()
    other = path.with_name(f"{path.name}.new")
    other.write_bytes(_other_version(path, rng))
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)


def cut_off(path: Path, rng: random.Random) -> None:
    """A container layer or a tar archive without nanoseconds."""
    del rng
    found = path.stat()
    whole = found.st_mtime_ns // 10**9 * 10**9
    os.utime(path, ns=(whole, whole))


def cut_off_and_edited(path: Path, rng: random.Random) -> None:
    path.write_bytes(_other_version(path, rng))
    cut_off(path, rng)


def synced_by_rsync(path: Path, rng: random.Random) -> None:
    """``rsync -t`` of another version with its own time, from a machine where it was edited in its turn."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, path.name)
        other.write_bytes(_other_version(path, rng))
        moment = path.stat().st_mtime_ns + rng.randrange(-(10**12), 10**9)
        os.utime(other, ns=(moment, moment))
        subprocess.run(["rsync", "-t", other, path], check=True)


def synced_the_same(path: Path, rng: random.Random) -> None:
    """``rsync -t`` of the very same, with another time: rsync sets the time alone."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, path.name)
        shutil.copy2(path, other)
        moment = path.stat().st_mtime_ns + rng.randrange(-(10**12), 10**12)
        os.utime(other, ns=(moment, moment))
        subprocess.run(["rsync", "-t", other, path], check=True)


def unpacked(path: Path, rng: random.Random) -> None:
    """``tar`` there and back, as a CI's cache: another inode, its old mtime, or none of its nanoseconds."""
    form = rng.choice(("posix", "ustar"))
    with tempfile.TemporaryDirectory() as folder:
        archive = os.path.join(folder, "a.tar")
        subprocess.run(["tar", f"--format={form}", "-cf", archive, "-C", path.parent, path.name], check=True)
        path.unlink()
        subprocess.run(["tar", "-xf", archive, "-C", path.parent], check=True)


def stashed(path: Path, rng: random.Random) -> None:
    """An edit that ``git stash`` took away again, and one that ``git stash pop`` brought back."""
    with tempfile.TemporaryDirectory() as folder:
        name = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.excludesFile="]
        git = ["git", f"--git-dir={folder}", f"--work-tree={path.parent}", *name]

        def run(*words: str) -> None:
            subprocess.run([*git, *words], check=True, capture_output=True, cwd=path.parent)

        run("init")
        run("add", "-f", path.name)
        run("commit", "-m", "as it was")
        edited(path, rng)
        run("stash")
        if rng.random() < 0.5:
            run("stash", "pop")


HAPPENINGS: tuple[Callable[[Path, random.Random], None], ...] = (
    touched, edited, edited_then_restored, edited_with_the_old_time, edited_in_place, restored_by_cp,
    replaced_by_an_older_one, moved_over, cut_off, cut_off_and_edited, unpacked,
    *((synced_by_rsync, synced_the_same) if shutil.which("rsync") else ()),
    *((stashed,) if shutil.which("git") else ()),
)  # fmt: skip
