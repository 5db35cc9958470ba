# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Processes: look whether one has written something, find what it has started, and end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import NamedTuple

from kdeps.system.files import read_text


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
    # make ends its recipes, but not the probes of its $(shell …); and a compiler may ignore the request.
    if process.returncode is not None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
            while time.monotonic() < until:
                os.killpg(process.pid, 0)
                time.sleep(0.02)
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Descendant(NamedTuple):
    """A process that another one has started, directly or not."""

    pid: int
    started: str
    """As ``start_time`` has it: process ids are used again."""


def start_time(pid: int) -> str:
    """When a process was started, in ticks since boot; empty if it has ended."""
    fields = _read_stat(str(pid))
    return "" if len(fields) < 20 or fields[0] in "ZX" else fields[19]


def list_descendants(pid: int) -> list[Descendant]:
    """List what a process has started, directly or not, and what still runs of it."""
    children: dict[int, list[Descendant]] = {}
    for name in os.listdir("/proc"):
        fields = _read_stat(name) if name.isdigit() else []
        if len(fields) >= 20 and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(Descendant(int(name), fields[19]))
    found: list[Descendant] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [child.pid for child in below]
    return found


def end_descendants(descendants: list[Descendant], grace_s: float) -> None:
    """Wait until these have ended, then kill the others, and what they have started."""
    until = time.monotonic() + grace_s
    while left := [each for each in descendants if start_time(each.pid) == each.started]:
        if time.monotonic() >= until:
            below = [child for each in left for child in list_descendants(each.pid)]
            for process in {*left, *below}:
                with contextlib.suppress(OSError):
                    os.kill(process.pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def _read_stat(pid: str) -> list[str]:
    """Read the fields behind a process's name: state, parent and so on. Source: ``proc_pid_stat(5)``."""
    return read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
