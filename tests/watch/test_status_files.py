# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The files of a watched module."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kdeps.watch.publish import StatusSocket
from kdeps.watch.status_files import StatusFiles
from tests.conftest import CHECKOUT


def test_what_cannot_be_written_does_not_leave_the_last_verdict_standing(tmp_path: Path) -> None:
    """A full disk (here: files may have no size): both files go, and come back with room for them."""
    code = (
        "import os, resource, sys\nfrom kdeps.watch.status_files import StatusFiles\n"
        "files = StatusFiles('key', dict(os.environ))\n"
        "def names(): return sorted(os.listdir(os.environ['XDG_RUNTIME_DIR'] + '/kdeps'))\n"
        "files.write('fresh', '{}'); print(names())\n"
        "_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard)); files.write('stale', '{}'); print(names())\n"
        "files.close(); files = StatusFiles('key', dict(os.environ)); files.write('stale', '{}'); print(names())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)); files.write('stale', '{}'); print(names())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(CHECKOUT), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    both = ["key.json", "key.line", "key.lock"]
    assert done.stdout.splitlines() == [str(both), "['key.lock']", "['key.lock']", str(both)]


def test_a_file_that_can_neither_be_replaced_nor_removed_is_not_vouched_for(tmp_path: Path) -> None:
    """The lock is let go of: without it nobody believes what stands there."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    files = StatusFiles("key", environ)
    files.write("fresh", "{}")
    line = tmp_path / "kdeps/key.line"
    line.unlink()
    line.mkdir()
    (line / "in-the-way").touch()
    files.write("stale", "{}")
    StatusFiles("key", environ).close()  # not AlreadyWatched
    files.close()


def test_a_folder_that_comes_back_is_moved_into(tmp_path: Path) -> None:
    """The last session has ended, and another began: who looks there finds the watch again."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    files, listener = StatusFiles("key", environ), StatusSocket(environ)
    names = {"key.lock", "key.line", "key.json", f"{os.getpid()}.socket"}
    for _ in range(2):
        files.write("fresh", "{}")
        listener.send("{}")
        assert {path.name for path in (tmp_path / "kdeps").iterdir()} == names
        shutil.rmtree(tmp_path / "kdeps")
    files.close()
    listener.close()


def test_what_another_has_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """In the folder that came back another watch was quicker: its files are its own."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    files = StatusFiles("key", environ)
    shutil.rmtree(tmp_path / "kdeps")
    code = (
        "import os, sys\nfrom kdeps.watch.status_files import StatusFiles\nfiles = StatusFiles('key', dict(os.environ))\n"
        "files.write('theirs', '{}'); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **environ, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        other.stdout.readline()
        for _ in range(2):
            files.write("ours", "{}")
        files.close()
        assert (tmp_path / "kdeps/key.line").read_text() == "theirs\n"
