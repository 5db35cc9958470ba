# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` on a terminal: its progress line, and Ctrl-C."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.make_wrapper import NEW, M, Wrapped, slow_rustc, wait_for
from tests.support.miniature import MODULE

# -- on a terminal ---------------------------------------------------------------


class Terminal:
    """A program on a pseudo terminal, as the shell's foreground job."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.execvpe(command[0], list(command), env)
            finally:
                os._exit(127)
        self.output = b""

    def read(self, until: bytes | None = None, timeout_s: float = 60) -> bytes:
        """Read until something appears, or to the end."""
        limit = time.monotonic() + timeout_s
        while until is None or until not in self.output:
            assert time.monotonic() < limit, self.output
            ready, _, _ = select.select([self.descriptor], [], [], 0.2)
            if not ready:
                continue
            try:
                data = os.read(self.descriptor, 65536)
            except OSError as error:
                if error.errno == errno.EIO:
                    break
                raise
            if not data:
                break
            self.output += data
        return self.output

    def press(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def end(self) -> int:
        """Wait for the end; the status as ``waitpid`` has it."""
        self.read()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        return status


@pytest.fixture
def terminal(make: Wrapped) -> Callable[..., Terminal]:
    def open_terminal(*command: str, env: dict[str, str] | None = None) -> Terminal:
        return Terminal(
            command, cwd=make.tree.srctree, env=make.environment({"TERM": "xterm", **(env or {})})
        )

    return open_terminal


def test_on_a_terminal_a_fresh_build_looks_like_make(
    confirmed: Wrapped, terminal: Callable[..., Terminal]
) -> None:
    """Byte for byte, and make itself sees the terminal."""
    ours = terminal(*confirmed.command(M))
    assert ours.end() == 0
    plain = terminal("make", *confirmed.tree.tree_args, M)
    assert plain.end() == 0
    assert ours.output == plain.output


def test_on_a_terminal_a_refresh_shows_how_far_it_is(
    confirmed: Wrapped, terminal: Callable[..., Terminal]
) -> None:
    """One line that is drawn over, and gone in the end."""
    confirmed.add_code()
    ours = terminal(*confirmed.command(M))
    assert ours.end() == 0
    text = ours.output.decode()
    assert re.search(r"refreshing 1 of 2: rust/kernel\.o", text)
    assert re.search(r"refreshing 2 of 2: rust/exports_kernel_generated\.h", text)
    assert "RUSTC L rust/kernel.o" not in text
    assert "RUSTC [M] nova_core.o" in text
    confirmed.tree.append("rust/kernel/io.rs", "// again\n")
    again = terminal(*confirmed.command(M))
    assert again.end() == 0
    assert NEW in confirmed.module()


def test_a_compilers_error_does_not_run_into_the_progress(
    confirmed: Wrapped, terminal: Callable[..., Terminal]
) -> None:
    """rustc writes to the same terminal; the line is erased first, and the step that failed leaves no duration."""
    failing = '\nif "kernel" in sys.argv:\n    import time\n    time.sleep(0.7)\n    sys.exit("error[E0308]: mismatched types")\n'
    rustc = confirmed.tree.toolchain / "bin/rustc"
    confirmed.tree.replace(rustc, "\nclass Options:", failing + "\n\nclass Options:")
    confirmed.add_code()
    ours = terminal(*confirmed.command(M))
    assert os.waitstatus_to_exitcode(ours.end()) != 0
    assert b"refreshing 1 of" in ours.output
    lines = shown_lines(ours.output.decode())
    assert "error[E0308]: mismatched types" in lines, lines
    again = terminal(*confirmed.command(M))
    again.end()
    assert b"last time" not in again.output


def shown_lines(output: str) -> list[str]:
    """What a terminal shows in the end: a carriage return goes back, ``ESC [K`` erases to the right."""
    lines = []
    for line in output.split("\n"):
        cells: list[str] = []
        at = 0
        for part in re.split(r"(\r|\x1b\[K|\x1b\[[0-9;]*m)", line):
            if part == "\r":
                at = 0
            elif part == "\x1b[K":
                del cells[at:]
            elif not part.startswith("\x1b"):
                cells[at : at + len(part)] = part
                at += len(part)
        lines.append("".join(cells))
    return lines


def test_ctrl_c_during_the_refresh_ends_everything(make: Wrapped, terminal: Callable[..., Terminal]) -> None:
    """As with make: by the signal, with the half-made target gone; the next run repairs it."""
    slow_rustc(make.tree)
    make.run(M)
    make.add_code()
    ours = terminal(*make.command(M), env={"SLOW": "20"})
    ours.read(until=b"rust/kernel.o")
    wait_for(make.compiles, "rustc was never started")
    ours.press(b"\x03")
    status = ours.end()
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGINT
    assert make.run(M).returncode == 0
    assert NEW in make.module()
    make.assert_fresh()


def test_ctrl_c_during_the_module_build_is_makes_own(
    confirmed: Wrapped, terminal: Callable[..., Terminal]
) -> None:
    """Nothing of kdeps is left by then."""
    confirmed.tree.append(
        MODULE + "/Makefile",
        "\n$(obj)/nova_core.o: $(obj)/slow\n$(obj)/slow:\n\t@echo sleeping; exec sleep 20\n",
    )
    ours = terminal(*confirmed.command(M))
    ours.read(until=b"sleeping")
    ours.press(b"\x03")
    status = ours.end()
    plain = terminal("make", *confirmed.tree.tree_args, M)
    plain.read(until=b"sleeping")
    plain.press(b"\x03")
    assert status == plain.end()
    assert b"kdeps" not in ours.output
