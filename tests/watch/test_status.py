# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps watch --status``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from kdeps.watch.status import runtime_directory
from tests.campaigns.watch.watch_process import Document
from tests.conftest import CHECKOUT
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import M, StartWatch, run, verdict, wait


def test_a_folder_that_is_not_the_users_own_is_not_used(tmp_path: Path) -> None:
    """Open to others, a link, or a file: none. Without a session's folder, one in the temporary folder."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert runtime_directory(environ) is None
    assert runtime_directory(environ, create=True) == str(tmp_path / "kdeps")
    (tmp_path / "kdeps").chmod(0o755)
    assert runtime_directory(environ, create=True) is None
    (tmp_path / "kdeps").rmdir()
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "kdeps").symlink_to("real")
    assert runtime_directory(environ, create=True) is None
    if not os.path.isdir(f"/run/user/{os.geteuid()}"):
        found = runtime_directory({"TMPDIR": str(tmp_path)}, create=True)
        assert found == str(tmp_path / f"kdeps-{os.geteuid()}")


def test_the_status_is_quick(tmp_path: Path) -> None:
    """``--status`` imports neither click nor watchdog, nor json, nor anything that knows a tree."""
    code = (
        "import sys\nfrom kdeps.cli.main import main\n"
        "try: main(['watch', '--status'])\nexcept SystemExit: print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(CHECKOUT), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert not loaded & {
        "click",
        "watchdog",
        "json",
        "subprocess",
        "socket",
        "kdeps.kbuild.tree",
        "kdeps.staleness.check",
        "kdeps.watch.loop",
    }


def test_the_status_for_a_prompt(tree: Miniature, env: dict[str, str], start_watch: StartWatch) -> None:
    """A line for each module that is watched, and the exit status of the worst; 2 where none is."""
    none = run(tree, env, "--status")
    assert (none.returncode, none.stdout, none.stderr) == (2, "", "kdeps: no watch runs here\n")
    watch = start_watch()
    done = run(tree, env, "--status")
    assert (done.returncode, done.stdout) == (0, f"{MODULE}: fresh\n")
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: verdict(watch) == "stale")
    done = run(tree, env, "--status", M)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{MODULE}: stale: crate `kernel` is older than rust/kernel/io.rs")
    assert run(tree, env, "--status", "M=other").returncode == 2
    document: Document = json.loads(run(tree, env, "--status", "--format=json").stdout)
    assert (document["verdict"], document["watch"]["pid"]) == ("stale", watch.process.pid)
    assert watch.close() == 0
    assert run(tree, env, "--status").returncode == 2


def test_the_status_of_a_watch_that_was_killed_is_not_believed(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """Its files are still there, and nobody holds its lock; the next watch takes them over."""
    watch = start_watch()
    watch.process.kill()
    watch.process.wait()
    assert list((watch.runtime / "kdeps").glob("*.json"))
    assert run(tree, env, "--status").returncode == 2
    assert verdict(start_watch()) == "fresh"


def test_the_status_of_a_watch_that_does_not_follow_is_not_believed(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """Stopped (Ctrl-Z), or silent for longer than it ever is at rest: what it said last may be true no more."""
    watch = start_watch()
    pid = watch.process.pid
    watch.process.send_signal(signal.SIGSTOP)
    tree.append("rust/kernel/io.rs", "// edited\n")
    stopped = f"{MODULE}: unknown: the watch (pid {pid}) is stopped\n"
    wait(lambda: run(tree, env, "--status").stdout == stopped)
    done = run(tree, env, "--status", "--format=json")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", stopped)
    watch.process.send_signal(signal.SIGCONT)
    wait(lambda: run(tree, env, "--status").returncode == 1)
    (line,) = (watch.runtime / "kdeps").glob("*.line")
    for state in ("current", "settling"):
        line.write_text(line.read_text().replace("\tcurrent\t", f"\t{state}\t"))
        os.utime(line, (time.time() - 3600, time.time() - 3600))
        done = run(tree, env, "--status")
        assert done.returncode == 2
        assert (
            done.stdout == f"{MODULE}: unknown: the watch (pid {pid}) has reported nothing for 60 minutes\n"
        )
