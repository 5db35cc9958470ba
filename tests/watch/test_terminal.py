# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A watch on a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.watch.terminal import Lines
from tests.conftest import CHECKOUT
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"
PATIENCE_S = 60.0


def test_nothing_a_tree_contains_reaches_the_terminal_as_a_command() -> None:
    """File names are made printable."""
    out = io.StringIO()
    Lines(out).log("a\x1b]0;title\x07\nforged: line")
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


class Screen:
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
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screen(tree: Miniature, tmp_path: Path) -> Iterator[Screen]:
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
    tree.append("rust/kernel/io.rs", "// edited\n")
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
        "from kdeps.cli.choices import Colour, Format\nfrom kdeps.cli.commands.watch import _show\n"
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
