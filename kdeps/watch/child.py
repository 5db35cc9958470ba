# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Processes that a watch has started: ask whether they have something to say, and end them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time


def is_readable(descriptor: int) -> bool:
    """Whether a read would not wait."""
    return bool(select.select([descriptor], [], [], 0)[0])


def end_process(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Ask a process to end, then insist with everything in its session."""
    with contextlib.suppress(OSError):
        process.send_signal(signal.SIGTERM)
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            process.wait(0.2)
            break
        except subprocess.TimeoutExpired:
            if process.stdout is not None and not process.stdout.closed:
                with contextlib.suppress(OSError):
                    os.read(process.stdout.fileno(), 65536)
    # make ends its recipes, but not the probes of its $(shell …).
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGTERM if process.returncode is not None else signal.SIGKILL)
    process.wait()
