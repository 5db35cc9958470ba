# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The rooms of a watch, one by one: events, polling, mounts, who writes, the terminal, the service manager."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.demo.miniature import MODULE, Miniature
from kdeps.inputs import Paths
from kdeps.watch.busy import (
    STALE_LOCK_S,
    Repository,
    find_make,
    find_repository,
    identify,
    is_checking_out,
)
from kdeps.watch.execute import Executor
from kdeps.watch.follow import follow
from kdeps.watch.inotify import Inotify
from kdeps.watch.interest import Interest, find_interest
from kdeps.watch.modules import split_modules
from kdeps.watch.polling import Mount, Poller, find_eventless, find_mount, read_mounts
from kdeps.watch.runtime import Post, Server
from kdeps.watch.service import unit_text
from kdeps.watch.show import Lines
from kdeps.watch.sources import name_some
from kdeps.watch.view import State, View, parse_view, say, view_json
from kdeps.watch.where import runtime_directory
from tests.conftest import CHECKOUT

M = f"M={MODULE}"
PATIENCE_S = 60.0


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    """One instance, closed afterwards."""
    one = Inotify()
    yield one
    one.close()


def interest_in(*paths: Path) -> Interest:
    """What it takes to notice a change of these files."""
    return find_interest(Paths(frozenset(map(str, paths)), frozenset()))


# -- events --------------------------------------------------------------------


def test_only_names_of_interest_are_told(inotify: Inotify, tmp_path: Path) -> None:
    """A file beside the one that matters is nobody's business; reading it is none either."""
    (tmp_path / "file").touch()
    assert inotify.watch(interest_in(tmp_path / "file"), refresh=False).added > 0
    (tmp_path / "other").touch()
    (tmp_path / "file").read_bytes()
    assert not inotify.read()
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
    assert not inotify.read()


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
    assert not inotify.read()


@pytest.mark.parametrize(
    ("paths", "said"),
    [(["/a"], "/a"), (["/a", "/b"], "/a and 1 more folder"), (["/a", "/b", "/c"], "/a and 2 more folders")],
)
def test_of_some_folders_one_is_named(paths: list[str], said: str) -> None:
    """Nobody is told of "0 more folders"."""
    assert name_some(paths, "folder") == said


# -- polling -------------------------------------------------------------------


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
        "30 22 0:40 / /home/me/my\\040tree rw - nfs4 server:/x rw\n"
        "31 22 0:41 / /mnt rw - fuse.sshfs host: rw\n"
        "32 22 0:42 / /mnt rw - ext4 /dev/vdb rw\n"
    )
    mounts = read_mounts(str(table))
    assert find_mount("/home/me/my tree/rust", mounts) == Mount("/home/me/my tree", "nfs4")
    assert find_mount("/home/me/my trees", mounts) == Mount("/", "ext4")
    assert find_mount("/mnt/x", mounts).kind == "ext4"
    folders = ["/home/me/my tree/rust", "/home/me", "/mnt/x"]
    assert find_eventless(folders, mounts, frozenset()) == ("/home/me/my tree/rust",)
    assert find_eventless(folders, mounts, frozenset(("/mnt",))) == ("/home/me/my tree/rust", "/mnt/x")
    assert read_mounts(str(tmp_path / "none")) == ()


# -- who writes ----------------------------------------------------------------


def test_a_make_is_found_where_it_stands(tmp_path: Path) -> None:
    """By folder, not by name; and not one that only waits for a person."""
    (tmp_path / "work").mkdir()
    (tmp_path / "m.mk").write_text("all menuconfig:\n\t@sleep 60\n")
    here = identify([str(tmp_path / "work"), str(tmp_path / "nowhere")])
    for goal, is_found in (("all", True), ("menuconfig", False)):
        make = subprocess.Popen(
            ["make", "-f", "../m.mk", goal], cwd=tmp_path / "work", start_new_session=True
        )
        until = time.monotonic() + PATIENCE_S
        while Path(f"/proc/{make.pid}/comm").read_text() != "make\n":
            assert time.monotonic() < until
        found = find_make(here)
        assert (found is not None and found.pid == make.pid) == is_found
        assert find_make(identify([str(tmp_path)])) is None
        os.killpg(make.pid, signal.SIGKILL)
        make.wait()
    assert find_make(here) is None


def test_in_a_modules_folder_only_the_kernels_make_builds(tmp_path: Path) -> None:
    """``make run`` there may boot a machine for hours; Kbuild enters the folder with ``-f KERNEL/Makefile``."""
    (tmp_path / "Makefile").write_text("run:\n\t@touch runs; sleep 60\n")
    here = identify([str(tmp_path)])
    for words, counts in (((), False), (("-f", "Makefile"), True)):
        (tmp_path / "runs").unlink(missing_ok=True)
        make = subprocess.Popen(["make", *words, "run"], cwd=tmp_path, start_new_session=True)
        until = time.monotonic() + PATIENCE_S
        while not (tmp_path / "runs").exists():
            assert time.monotonic() < until
        assert (find_make(frozenset(), here) is not None) == counts
        os.killpg(make.pid, signal.SIGSTOP)
        while find_make(here) is not None:  # stopped: it may stay that way for days
            assert time.monotonic() < until
        os.killpg(make.pid, signal.SIGKILL)
        make.wait()


def test_gits_lock_is_believed_unless_it_was_left_behind(tmp_path: Path) -> None:
    """A fresh lock is a checkout; an old one with no git at work is what a crash has left."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    repository = find_repository(str(tmp_path / "sub"))
    assert repository == Repository(str(tmp_path / ".git"), str(tmp_path))
    assert not is_checking_out(repository)
    lock = Path(repository.lock)
    lock.touch()
    assert is_checking_out(repository)
    assert not is_checking_out(repository, now_s=lock.stat().st_mtime + STALE_LOCK_S + 1)
    assert not is_checking_out(repository, now_s=lock.stat().st_mtime - 3600)  # the clock was set back


def test_a_linked_worktree_has_its_lock_elsewhere(tmp_path: Path) -> None:
    """Its ``.git`` is a file that says where."""
    (tmp_path / "main/.git/worktrees/w").mkdir(parents=True)
    (tmp_path / "w").mkdir()
    (tmp_path / "w/.git").write_text(f"gitdir: {tmp_path}/main/.git/worktrees/w\n")
    repository = find_repository(str(tmp_path / "w"))
    assert repository is not None
    assert repository.lock == f"{tmp_path}/main/.git/worktrees/w/index.lock"


# -- words ---------------------------------------------------------------------


def test_several_modules_are_several_command_lines() -> None:
    """make itself would take the last; everything else stays."""
    assert split_modules(("M=a", "O=b", "-j2", "M=c", "M=a")) == [
        ("O=b", "-j2", "M=a"),
        ("O=b", "-j2", "M=c"),
    ]
    assert split_modules(("O=b", "M=a")) == [("O=b", "M=a")]
    assert split_modules(()) == [()]


def test_a_view_survives_the_journey() -> None:
    """What one watch writes another one reads; anything else is refused."""
    view = View("m", "stale", "because", 2, 12.5, State.MAKE, "make all", "a/b", 13.25, "note")
    assert parse_view(view_json(view)) == view
    assert say(view) == "stale: because (and 2 more causes)"
    for broken in ({}, {**view_json(view), "state": "odd"}, {**view_json(view), "since": "x"}):
        with pytest.raises(ValueError, match=r"."):
            parse_view(broken)


def test_nothing_a_tree_contains_reaches_the_terminal_as_a_command() -> None:
    """File names are made printable."""
    out = io.StringIO()
    Lines(out).log("a\x1b]0;title\x07\nforged: line")
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


# -- where it leaves its state ---------------------------------------------------


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


def test_what_cannot_be_written_does_not_leave_the_last_verdict_standing(tmp_path: Path) -> None:
    """A full disk (here: files may have no size): both files go, and come back with room for them."""
    code = (
        "import os, resource, sys\nfrom kdeps.watch.runtime import Post\n"
        "post = Post('key', dict(os.environ))\n"
        "def names(): return sorted(os.listdir(os.environ['XDG_RUNTIME_DIR'] + '/kdeps'))\n"
        "post.write('fresh', '{}'); print(names())\n"
        "_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard)); post.write('stale', '{}'); print(names())\n"
        "post.close(); post = Post('key', dict(os.environ)); post.write('stale', '{}'); print(names())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)); post.write('stale', '{}'); print(names())\n"
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
    post = Post("key", environ)
    post.write("fresh", "{}")
    line = tmp_path / "kdeps/key.line"
    line.unlink()
    line.mkdir()
    (line / "in-the-way").touch()
    post.write("stale", "{}")
    Post("key", environ).close()  # not Taken
    post.close()


def test_a_folder_that_comes_back_is_moved_into(tmp_path: Path) -> None:
    """The last session has ended, and another began: who looks there finds the watch again."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    post, server = Post("key", environ), Server(environ, lambda: [])
    names = {"key.lock", "key.line", "key.json", f"{os.getpid()}.socket"}
    for _ in range(2):
        post.write("fresh", "{}")
        server.tell("{}")
        assert {path.name for path in (tmp_path / "kdeps").iterdir()} == names
        shutil.rmtree(tmp_path / "kdeps")
    post.close()
    server.close()


def test_what_another_has_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """In the folder that came back another watch was quicker: its files are its own."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    post = Post("key", environ)
    shutil.rmtree(tmp_path / "kdeps")
    code = (
        "import os, sys\nfrom kdeps.watch.runtime import Post\npost = Post('key', dict(os.environ))\n"
        "post.write('theirs', '{}'); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **environ, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        other.stdout.readline()
        for _ in range(2):
            post.write("ours", "{}")
        post.close()
        assert (tmp_path / "kdeps/key.line").read_text() == "theirs\n"


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

    server = Server(environ, lambda: [])

    assert {entry.name for entry in folder.iterdir()} == {
        f"{os.getpid()}.socket",
        f"{alive}.socket",
        "99999999.socket",
    }
    server.close()


def test_a_socket_that_is_not_there_cannot_be_followed(tmp_path: Path) -> None:
    """The other watch has just ended: try again, says the answer."""
    assert not follow(1, [], {"XDG_RUNTIME_DIR": str(tmp_path)}, Lines(io.StringIO()))


# -- a command of the user's own -------------------------------------------------


@pytest.fixture
def logged() -> list[str]:
    """What was logged."""
    return []


@pytest.fixture
def executor(tmp_path: Path, logged: list[str]) -> Iterator[Executor]:
    """One whose command is the verdict's name."""
    one = Executor('eval "$KDEPS_MODULE"', dict(os.environ), str(tmp_path), logged.append)
    yield one
    one.stop()


def run_to_end(executor: Executor, command: str) -> None:
    """Run a command, and read what it prints meanwhile."""
    executor.run("{}", View(command, "stale", "", 0, 0.0))
    until = time.monotonic() + PATIENCE_S
    while executor.running:
        assert time.monotonic() < until
        executor.read()
        executor.reap()


def test_what_a_command_prints_is_logged(executor: Executor, logged: list[str]) -> None:
    """Both its outputs, line by line; also a line without an end, and more than a pipe holds."""
    run_to_end(executor, "echo one; echo two >&2; printf three")
    assert logged == ["  one", "  two", "  three"]
    logged.clear()
    run_to_end(executor, "seq 100000")
    assert logged == [f"  {number}" for number in range(1, 100001)]


def test_a_command_that_cannot_be_run_is_told(executor: Executor, logged: list[str], tmp_path: Path) -> None:
    """The folder of the watch is gone, or there is no room for the verdict: the watch goes on."""
    tmp_path.rmdir()
    run_to_end(executor, "true")
    assert logged == [f"the command of --exec cannot be run: {tmp_path}: No such file or directory"]


# -- the terminal ----------------------------------------------------------------


class Screen:
    """A watch on a terminal."""

    def __init__(self, tree: Miniature, runtime: Path, *words: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        environ = {
            "PYTHONPATH": str(CHECKOUT),
            "XDG_RUNTIME_DIR": str(runtime),
            "TERM": "xterm",
            "COLUMNS": "100",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import os,sys,fcntl,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
             "os.execv(sys.executable, [sys.executable, '-m', 'kdeps', 'watch', *sys.argv[1:]])",
             *words, *tree.tree_args, M],
            cwd=tree.srctree, env=tree.environment(environ), stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True,
        )  # fmt: skip

    @property
    def last_line(self) -> str:
        """What was drawn last, without colours and movements."""
        return re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;]*[mJA]", "", self.seen))[-1]

    def wait_for(self, pattern: str, *, last: str = ".*") -> None:
        """Read until something stands there, and the last line is as it shall be: a read may end within a drawing."""
        until = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.seen) or not re.fullmatch(last, self.last_line):
            assert time.monotonic() < until, f"{pattern!r} not in {self.seen!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode()

    def close(self) -> None:
        """Hang up."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screen(tree: Miniature, tmp_path: Path) -> Iterator[Screen]:
    """A watch on a terminal of its own."""
    one = Screen(tree, tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGINT", "Ctrl-C"])
def test_a_line_in_place_below_a_log_and_the_terminal_given_back(
    tree: Miniature, screen: Screen, how: str
) -> None:
    """The log line, then the module's own line; no echo meanwhile; everything as before at the end."""
    screen.wait_for(r"fresh\x1b\[0m   since \d\d:\d\d:\d\d")
    assert not termios.tcgetattr(screen.slave)[3] & termios.ECHO
    tree.touch("rust/kernel/io.rs")
    screen.wait_for(
        rf"\d\d:\d\d:\d\d  {MODULE}: .*stale.*: crate `kernel` is older than rust/kernel/io.rs, changed at"
    )
    screen.wait_for(r"\r\x1b\[J(.|\n)*stale\x1b\[0m   since")
    if how == "Ctrl-C":
        os.write(screen.master, b"\x03")
    else:
        screen.process.send_signal(signal.Signals[how])
    assert screen.process.wait(PATIENCE_S) == (0 if how in ("SIGTERM", "SIGHUP") else 130)
    assert termios.tcgetattr(screen.slave) == screen.before


def test_a_command_does_not_tear_the_lines_apart(tree: Miniature, tmp_path: Path) -> None:
    """What it prints scrolls away above them."""
    screen = Screen(tree, tmp_path, "--exec=echo said")
    try:
        screen.wait_for(r"\r\x1b\[J\d\d:\d\d:\d\d    said\r\n" + re.escape(MODULE))
    finally:
        screen.close()


def test_the_terminal_is_not_taken_before_it_can_be_given_back() -> None:
    """While the modules are looked for, a signal still ends the process on the spot."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    code = (
        "import fcntl, termios\nfcntl.ioctl(1, termios.TIOCSCTTY, 0)\n"
        "from kdeps.cli.check import Colour, Format\nfrom kdeps.cli.watch import _show\n"
        "_show(Format.TEXT, Colour.NEVER)"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm"},
        stdin=slave, stdout=slave, check=True, start_new_session=True,
    )  # fmt: skip
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("columns", [40, 20, 12])
def test_a_window_of_another_size_is_drawn_again(screen: Screen, columns: int) -> None:
    """No line is longer than the window; what is left out is marked, and the verdict never is."""
    screen.wait_for(r"since \d\d:\d\d:\d\d")
    screen.seen = ""
    fcntl.ioctl(screen.slave, termios.TIOCSWINSZ, struct.pack("4H", 10, columns, 0, 0))
    screen.process.send_signal(signal.SIGWINCH)
    screen.wait_for(r"…(.|\n)*fresh|fresh(.|\n)*…", last=rf"(?=.*fresh).{{1,{columns - 1}}}")


# -- the service manager -----------------------------------------------------------


def test_systemd_is_told_what_it_waits_for(tree: Miniature, tmp_path: Path) -> None:
    """READY, the verdict as the status line, signs of life, STOPPING; and make's environment is free of it."""
    address = tmp_path / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(address))
    manager.settimeout(PATIENCE_S)
    environ = tree.environment(
        {"PYTHONPATH": str(CHECKOUT), "XDG_RUNTIME_DIR": str(tmp_path), "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "200000"}
    )  # fmt: skip
    watch = subprocess.Popen(
        [sys.executable, "-m", "kdeps", "watch", f"--exec=env > {tmp_path}/env", *tree.tree_args, M],
        cwd=tree.srctree, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    said: list[str] = []

    def read_until(text: str) -> None:
        while text not in "\n".join(said):
            said.append(manager.recv(4096).decode())

    read_until("READY=1")
    read_until(f"STATUS={MODULE}: fresh")
    read_until("WATCHDOG=1")
    tree.touch("rust/kernel/io.rs")
    read_until(f"STATUS={MODULE}: stale: crate `kernel`")
    watch.terminate()
    read_until("STOPPING=1")
    assert watch.wait(PATIENCE_S) == 0
    manager.close()
    assert "NOTIFY_SOCKET" not in (tmp_path / "env").read_text()
    assert said[0].startswith("READY=1")


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """Type=notify, restart, the words quoted, the environment brought along; systemd itself finds nothing wrong."""
    text = unit_text(
        ["--on-stale=rebuild", "--exec=echo $HOME 100%"],
        ("O=/b 1", "M=m"),
        "/",
        {"PATH": "/usr/bin:/x%y", "LLVM": "1"},
    )
    for line in (
        "Type=notify",
        "Restart=on-failure",
        "NoNewPrivileges=yes",
        "Environment=PATH=/usr/bin:/x%%y",
        "Environment=LLVM=1",
    ):
        assert line in text.splitlines()
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert command.endswith('kdeps watch --on-stale=rebuild "--exec=echo $$HOME 100%%" "O=/b 1" M=m')
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here to ask")
    unit = tmp_path / "kdeps-watch.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)], capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


# -- imports -------------------------------------------------------------------


def test_the_status_is_quick(tmp_path: Path) -> None:
    """``--status`` imports neither click nor watchdog, nor json, nor anything that knows a tree."""
    code = (
        "import sys\nfrom kdeps.cli.start import main\n"
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
        "kdeps.tree",
        "kdeps.survey",
        "kdeps.watch.loop",
    }
