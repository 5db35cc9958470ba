# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ledger's file and the memory of hashes: two writers, a kill, a full disk; and the line that says how far it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.contents.ledger_file import read_ledger
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.terminal import run_on_terminal

WRITER = """
import sys
from kdeps.contents.ledger_file import read_ledger, write_ledger
ledger = read_ledger(sys.argv[1])
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    write_ledger(sys.argv[2], ledger)
"""
REMEMBERER = """
import sys
from kdeps.contents.hashes import FileHasher
import kdeps.contents.hashes
kdeps.contents.hashes.time.time_ns = lambda: 2**62
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    contents = FileHasher((sys.argv[1],), {"XDG_CACHE_HOME": sys.argv[2]}, "key")
    for path in sys.argv[4:]:
        contents.read(f"{sys.argv[1]}/{path}")
    contents._new["made up"] = ["0" * 40, number, 0, 0, 0]
    contents.store()
"""


def start(script: str, *words: str) -> subprocess.Popen[str]:
    """A writer that is at work when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as stdout:
        assert stdout.readline() == "ready\n"
    return process


@pytest.fixture
def ledgers(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> tuple[Path, Path]:
    """Two ledgers of different builds."""
    one, two = tmp_path / "one", tmp_path / "two"
    assert kdeps(tree, "ci", f"--record={one}", f"M={MODULE}").returncode == 0
    tree.append("rust/kernel/io.rs", "pub fn later() {}\n")
    tree.make("modules_prepare")
    tree.make(f"M={MODULE}")
    assert kdeps(tree, "ci", f"--record={two}", f"M={MODULE}").returncode == 0
    return one, two


def test_two_writers_leave_one_whole_ledger(ledgers: tuple[Path, Path], tmp_path: Path) -> None:
    """Whoever reads meanwhile has one of the two, never half of each."""
    known = [read_ledger(str(path)) for path in ledgers]
    shared = tmp_path / "shared"
    shutil.copy(ledgers[0], shared)
    writers = [start(WRITER, str(path), str(shared), "40") for path in ledgers]
    while any(writer.poll() is None for writer in writers):
        assert read_ledger(str(shared)) in known
    assert all(writer.wait() == 0 for writer in writers)
    assert read_ledger(str(shared)) in known
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".shared")) == []


def test_a_killed_writer_leaves_the_old_ledger(ledgers: tuple[Path, Path], tmp_path: Path) -> None:
    """At whatever moment, ten times."""
    known = [read_ledger(str(path)) for path in ledgers]
    shared = tmp_path / "shared"
    shutil.copy(ledgers[0], shared)
    for _ in range(10):
        writer = start(WRITER, str(ledgers[1]), str(shared), "100000")
        read_ledger(str(shared))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert read_ledger(str(shared)) in known


def test_two_writers_of_the_memory_and_a_kill(tmp_path: Path) -> None:
    """It is that of one of them, or none; what it says of a file is true."""
    folder = tmp_path / "tree"
    folder.mkdir()
    names = [f"file{number}" for number in range(40)]
    for name in names:
        (folder / name).write_text(name)
    cache = tmp_path / "cache"
    words = (str(folder), str(cache), "200000", *names)
    writers = [start(REMEMBERER, *words), start(REMEMBERER, *words)]
    done = subprocess.run(
        [sys.executable, "-c", REMEMBERER, str(folder), str(cache), "50", *names],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    from kdeps.contents.hashes import FileHasher

    contents = FileHasher((str(folder),), {"XDG_CACHE_HOME": str(cache)}, "key")
    plain = FileHasher((str(folder),), {"XDG_CACHE_HOME": str(tmp_path / "none")}, "key")
    for name in names:
        assert contents.read(f"{folder}/{name}") == plain.read(f"{folder}/{name}")


def on_small_disk(folder: Path, script: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a shell script where a folder is a file system of 64 kB, that nobody else sees."""
    space = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs {folder} || exit 77; "
    done = subprocess.run(
        [*space, "sh", "-c", mount + script], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("cannot mount a small file system here")
    return done


def test_a_full_disk(tree: Miniature, tmp_path: Path) -> None:
    """A ledger that does not fit is one line and exit 2, and the old one stays; a memory that does not is nothing at all."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    small = tmp_path / "small"
    env = tree.environment({"PYTHONPATH": str(CHECKOUT), "XDG_CACHE_HOME": f"{small}/cache"})
    words = " ".join((*tree.tree_args, f"M={MODULE}"))
    ci = f"cd {tree.srctree} && {sys.executable} -m kdeps ci --format=json"
    script = (
        f"{ci} --record={small}/ledger.gz {words} >/dev/null || exit 1; cp {small}/ledger.gz {tmp_path}/old; "
        f"head -c 1000000 /dev/zero > {small}/full 2>/dev/null; "
        f"{ci} --record={small}/ledger.gz {words}; echo status $?; cmp {small}/ledger.gz {tmp_path}/old && echo same; "
        f"ls -A {small}; {ci} --against={small}/ledger.gz {words} >/dev/null; echo status $?"
    )
    done = on_small_disk(small, script, env)
    lines = done.stdout.splitlines()
    assert "status 2" in lines, done.stdout + done.stderr
    assert "same" in lines
    assert not [line for line in lines if line.startswith(".ledger")]
    assert lines[-1] == "status 0"
    assert done.stderr.count("\n") == 1
    assert "cannot be written: No space left on device" in done.stderr


# -- how far it is ------------------------------------------------------------------------

SLOW = """
import sys, time
now = 0.0
def monotonic():
    global now
    now += 0.4
    return now
time.monotonic = monotonic
from kdeps.cli.main import main
sys.argv = ["kdeps", *sys.argv[1:]]
sys.exit(main())
"""
"""The program as it is, with a clock that hurries."""


def on_terminal(tree: Miniature, script: str, *words: str, term: str = "xterm") -> str:
    """What a terminal is sent on standard error; standard output goes elsewhere."""
    env = tree.environment({"PYTHONPATH": str(CHECKOUT), "TERM": term})
    command = [sys.executable, "-c", script, "ci", *words, *tree.tree_args, f"M={MODULE}"]
    said, status = run_on_terminal(command, cwd=tree.srctree, env=env, errors_only=True)
    assert status == 0, said
    return said


def test_whoever_waits_is_told_how_far_it_is(tree: Miniature, tmp_path: Path) -> None:
    """After a second, on one line that is taken away again; not where nobody waits, and not on a terminal that cannot."""
    said = on_terminal(tree, SLOW, f"--record={tmp_path / 'a'}")
    assert "kdeps: hashing: 0 MB (" in said
    assert said.endswith("\r\x1b[K")
    assert "\n" not in said
    # All of it is remembered only when it is older than two seconds; a clock that stands still never shows a line.
    still = SLOW.replace("now += 0.4", "now += 0.0")
    assert "hashing" not in on_terminal(tree, still, f"--record={tmp_path / 'b'}")
    assert "hashing" not in on_terminal(tree, SLOW, f"--record={tmp_path / 'c'}", term="dumb")
