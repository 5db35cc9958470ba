# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Events, polling, mounts: what announces a change."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.staleness.dependencies import Dependencies
from kdeps.system.mounts import find_mount, read_mounts
from kdeps.watch.events import Poller, find_eventless, name_some
from kdeps.watch.inotify import Events, Inotify
from kdeps.watch.interest import Interest, find_interest
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import StartWatch, same_as_check, verdict, wait


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    """One instance, closed afterwards."""
    one = Inotify()
    yield one
    one.close()


def interest_in(*paths: Path) -> Interest:
    """What it takes to notice a change of these files."""
    return find_interest(Dependencies(frozenset(map(str, paths)), frozenset()))


def test_only_names_of_interest_are_told(inotify: Inotify, tmp_path: Path) -> None:
    """A file beside the one that matters is nobody's business; reading it is none either."""
    (tmp_path / "file").touch()
    assert inotify.watch(interest_in(tmp_path / "file"), refresh=False).added > 0
    (tmp_path / "other").touch()
    (tmp_path / "file").read_bytes()
    assert inotify.read() == Events()
    (tmp_path / "file").write_text("x")
    events = inotify.read()
    assert (events.paths, events.lost, events.moved) == ((str(tmp_path / "file"),), False, False)


def test_a_folder_that_is_replaced_is_watched_again(inotify: Inotify, tmp_path: Path) -> None:
    """A watch belongs to an inode: after a rename the path is asked for anew, and the old one forgotten."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "file").touch()
    inotify.watch(interest_in(folder / "file"), refresh=False)
    folder.rename(tmp_path / "b")
    folder.mkdir()
    (folder / "file").touch()
    assert inotify.read().moved
    assert inotify.watch(interest_in(folder / "file"), refresh=True).added == 1
    (folder / "file").write_text("x")
    assert str(folder / "file") in inotify.read().paths
    inotify.read()
    (tmp_path / "b/file").write_text("x")
    assert inotify.read() == Events()


def test_a_folder_that_is_opened_again_is_walked_again(inotify: Inotify, tmp_path: Path) -> None:
    """While a folder may not be entered, what lies below it cannot be found, nor watched."""
    folder = tmp_path / "a"
    folder.mkdir()
    inotify.watch(interest_in(folder / "b/file"), refresh=False)
    folder.chmod(0o600)
    assert inotify.read().moved
    folder.chmod(0o700)
    assert inotify.read().moved


def test_what_is_of_interest_no_more_is_not_watched(inotify: Inotify, tmp_path: Path) -> None:
    """The number of watches follows the graph down as well as up."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    inotify.watch(interest_in(tmp_path / "a/f", tmp_path / "b/f"), refresh=False)
    before = len(inotify)
    inotify.watch(interest_in(tmp_path / "a/f"), refresh=False)
    assert len(inotify) == before - 1
    (tmp_path / "b/f").touch()
    assert inotify.read() == Events()


@pytest.mark.parametrize(
    ("paths", "said"),
    [(["/a"], "/a"), (["/a", "/b"], "/a and 1 more folder"), (["/a", "/b", "/c"], "/a and 2 more folders")],
)
def test_of_some_folders_one_is_named(paths: list[str], said: str) -> None:
    """Nobody is told of "0 more folders"."""
    assert name_some(paths, "folder") == said


def test_polling_sees_what_events_would(tmp_path: Path) -> None:
    """An edit, a deletion, a new name, and not what lies beside it."""
    file = tmp_path / "file"
    file.touch()
    poller = Poller()
    interest = interest_in(file)
    poller.poll_for([str(tmp_path)], interest)
    (tmp_path / "other").touch()
    assert poller.look() == ()
    os.utime(file, ns=(1, 1))
    assert poller.look() == (str(tmp_path),)
    assert poller.look() == ()
    file.unlink()
    assert poller.look() == (str(tmp_path),)


def test_mounts_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    """Blanks are octal, later mounts cover earlier ones, and the longest point wins."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 254:1 / / rw shared:1 - ext4 /dev/vda rw\n"
        "30 22 0:40 / /home/me/my\\040tree rw - nfs4 listener:/x rw\n"
        "31 22 0:41 / /mnt rw - fuse.sshfs host: rw\n"
        "32 22 0:42 / /mnt rw - ext4 /dev/vdb rw\n"
    )
    mounts = read_mounts(str(table))
    assert find_mount("/home/me/my tree/rust", mounts)[:2] == ("/home/me/my tree", "nfs4")
    assert find_mount("/home/me/my trees", mounts)[:2] == ("/", "ext4")
    assert find_mount("/mnt/x", mounts).kind == "ext4"
    folders = ["/home/me/my tree/rust", "/home/me", "/mnt/x"]
    assert find_eventless(folders, mounts, frozenset()) == ("/home/me/my tree/rust",)
    assert find_eventless(folders, mounts, frozenset(("/mnt",))) == ("/home/me/my tree/rust", "/mnt/x")
    assert read_mounts(str(tmp_path / "none")) == ()


def test_an_overflow_of_the_queue_is_noticed(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """More happens than the queue holds while the watch is stopped; the change that counts is lost."""
    watch = start_watch()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 1 << 17:
        pytest.skip("a queue of that size takes too long to fill")
    watch.process.send_signal(signal.SIGSTOP)
    one, other = tree.srctree / "rust/kernel/lib.rs", tree.srctree / "include/linux/pci.h"
    before = {path: path.stat() for path in (one, other)}
    for _ in range(limit // 2 + 100):
        for path, found in before.items():
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    tree.append("rust/kernel/io.rs", "// edited\n")
    watch.process.send_signal(signal.SIGCONT)
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)
    assert "events were lost" in watch.log.read_text()


def limited(what: str, most: int) -> tuple[str, ...]:
    """Words that run a command with fewer of something; skips where that cannot be."""
    inner = f'echo {most} > /proc/sys/user/max_inotify_{what} || exit 97; exec "$@"'
    wrap = ("unshare", "-Ur", "sh", "-c", inner, "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no user namespaces here")
    return wrap


@pytest.mark.parametrize(("what", "most"), [("watches", 12), ("instances", 0)])
def test_what_cannot_be_watched_is_polled_and_said(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch, what: str, most: int
) -> None:
    """At the limit of watches, and without any instance: the sysctl is named, and no change is missed."""
    watch = start_watch(wrap=limited(what, most))
    assert f"fs.inotify.max_user_{what}" in watch.log.read_text()
    for name in ("rust/kernel/io.rs", "include/linux/pci.h"):
        tree.append(name, "/* edited */\n")
        assert same_as_check(watch, tree, env)
    assert verdict(watch) == "stale"
    assert (watch.status(MODULE) or {})["watch"]["polled"] > 0
    assert watch.missed == 0
