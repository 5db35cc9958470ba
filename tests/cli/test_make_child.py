# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` waits for make and nothing tells it from make: signals, job control, exit status.

make is a small program here that reports what reaches it, so each case is compared with that program alone.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

KDEPS = (sys.executable, "-m", "kdeps", "make", "all")
FAKE = """#!{python} -I
import os, signal, sys, time
def got(number, frame):
    os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
for name in {signals!r}:
    signal.signal(getattr(signal, name), got)
os.write(1, b"ready %d\\n" % os.getpid())
if "status" in sys.argv:
    sys.exit(9)
end = time.monotonic() + 30
while time.monotonic() < end:
    time.sleep(0.05)
    if os.path.exists({stop!r}):
        sys.exit(5)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A folder without a kernel, and a make that reports its signals."""
    fake = tmp_path / "bin/make"
    fake.parent.mkdir()
    signals = ["SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGCONT"]
    fake.write_text(FAKE.format(python=sys.executable, signals=signals, stop=str(tmp_path / "stop")))
    fake.chmod(0o755)
    return {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path)}


@pytest.fixture
def running(environ: dict[str, str], tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """kdeps with its make running; the pid of that make.

    In a process group of its own, as a shell has it: SIGTSTP stops nothing in an orphaned group, and the
    tests' own is one where nobody of their session started them (``setsid``, a CI runner).
    """
    process = subprocess.Popen(
        KDEPS, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, text=True, preexec_fn=os.setpgrp
    )
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    try:
        yield process, child
    finally:
        (tmp_path / "stop").touch()
        process.wait(timeout=20)
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_for_kdeps_reaches_make(
    number: signal.Signals, running: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    """Sent to kdeps alone it arrives once, and the end is make's own."""
    process, _ = running
    assert process.stdout is not None
    os.kill(process.pid, number)
    assert process.stdout.readline() == f"got {number.name}\n"
    (tmp_path / "stop").touch()
    assert process.wait(timeout=20) == 5
    assert process.stdout.read() == ""


def test_make_that_dies_of_a_signal_is_what_the_caller_sees(
    running: tuple[subprocess.Popen[str], int],
) -> None:
    """SIGTERM goes through make, and kdeps ends by it as well."""
    process, _ = running
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=20) == -signal.SIGTERM


def test_make_killed_is_kdeps_killed(running: tuple[subprocess.Popen[str], int]) -> None:
    """``kill -9`` of make alone ends kdeps the same way."""
    process, child = running
    os.kill(child, signal.SIGKILL)
    assert process.wait(timeout=20) == -signal.SIGKILL


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _wait_for_state(pid: int, states: str) -> None:
    limit = time.monotonic() + 20
    while _state(pid) not in states:
        assert time.monotonic() < limit, _state(pid)
        time.sleep(0.02)


def test_a_stop_for_kdeps_stops_make_and_both_go_on(
    running: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    """``kill -TSTP`` and ``kill -CONT`` of kdeps: make stops and continues with it."""
    process, child = running
    os.kill(process.pid, signal.SIGTSTP)
    _wait_for_state(child, "T")
    _wait_for_state(process.pid, "T")
    os.kill(process.pid, signal.SIGCONT)
    _wait_for_state(child, "SR")
    (tmp_path / "stop").touch()
    assert process.wait(timeout=20) == 5


@pytest.mark.parametrize("command", [("make",), KDEPS[:-1]])
def test_the_exit_status_is_makes(command: tuple[str, ...], environ: dict[str, str], tmp_path: Path) -> None:
    """A status that kdeps itself never has comes through."""
    done = subprocess.run([*command, "status"], env=environ, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (9, b"")


def test_no_make_at_all_is_what_the_shell_says(environ: dict[str, str], tmp_path: Path) -> None:
    """Status 127 and one line."""
    empty = {**environ, "PATH": str(tmp_path / "nowhere")}
    done = subprocess.run(KDEPS, env=empty, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr == "kdeps: error: make: No such file or directory\n"


def test_ctrl_z_and_ctrl_c_on_a_terminal(environ: dict[str, str], tmp_path: Path) -> None:
    """The terminal's signals reach make once, from the terminal; a shell can stop and continue the job."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        try:
            # The shell is the leader of the session, so that the job's group is no orphan.
            os.execvpe("bash", ["bash", "--norc", "-i"], {**environ, "PS1": "$ "})
        finally:
            os._exit(127)
    seen = b""

    def read(until: bytes) -> None:
        nonlocal seen
        limit = time.monotonic() + 30
        while until not in seen:
            assert time.monotonic() < limit, seen
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 65536)

    os.write(terminal, " ".join(KDEPS).encode() + b"\n")
    read(b"ready ")
    os.write(terminal, b"\x1a")
    read(b"Stopped")
    os.write(terminal, b"fg\n")
    read(b"got SIGCONT")
    os.write(terminal, b"\x03")
    read(b"got SIGINT")
    (tmp_path / "stop").touch()
    time.sleep(0.5)
    os.write(terminal, b"echo status=$?\nexit\n")
    read(b"status=5")
    os.waitpid(pid, 0)
    os.close(terminal)
    assert seen.count(b"got SIGINT") == 1
