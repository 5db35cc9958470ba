# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The socket of a watch."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from kdeps.watch.publish import StatusSocket
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import StartWatch, verdict, wait


def test_the_socket_of_a_killed_watch_goes_when_the_next_one_starts(tmp_path: Path) -> None:
    """Of a dead one nothing stays; one that lives keeps its own, and what is no socket is left alone."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folder = tmp_path / "kdeps"
    folder.mkdir(mode=0o700)
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    alive = os.getppid()
    for name in (f"{dead.pid}.socket", f"{alive}.socket"):
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(folder / name))
    (folder / "99999999.socket").touch()

    listener = StatusSocket(environ)

    assert {entry.name for entry in folder.iterdir()} == {
        f"{os.getpid()}.socket",
        f"{alive}.socket",
        "99999999.socket",
    }
    listener.close()


def test_the_files_are_the_users_own(start_watch: StartWatch) -> None:
    """Folder, files and socket: nobody else can read or connect."""
    watch = start_watch()
    folder = watch.runtime / "kdeps"
    assert folder.stat().st_mode & 0o77 == 0
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o77] == []


def test_who_listens_hears_that_nothing_has_changed_after_all(
    tree: Miniature, start_watch: StartWatch
) -> None:
    """An edit with the same time: the verdict was in question for a moment, and is confirmed."""
    watch = start_watch()
    wait(lambda: MODULE in watch.last and watch.last[MODULE]["watch"]["state"] == "current")
    path = tree.srctree / "rust/kernel/io.rs"
    found = path.stat()
    watch.take_said()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    heard: list[str] = []

    def is_confirmed() -> bool:
        heard.extend(said.state for said in watch.take_said())
        return heard[-1:] == ["current"]

    wait(is_confirmed)
    assert "settling" in heard
    assert verdict(watch) == "fresh"
