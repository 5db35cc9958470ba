# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A program on a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_on_terminal(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], columns: int = 0, errors_only: bool = False
) -> tuple[str, int]:
    """Run a program to its end; return what the terminal got, and the exit status. 0 columns leave its width unknown."""
    controller, terminal = pty.openpty()
    if columns:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if errors_only else terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    written = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not part:
            break
        written += part
    os.close(controller)
    return written.decode(), process.wait()
