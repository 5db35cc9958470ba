# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From a save to the verdict on the terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from .world import World

MAX_MEDIAN_S = 0.15
"""Beyond the quiet that is waited for on purpose."""
_READY_S = 60.0


class Screen:
    """``kdeps watch`` on a terminal of its own."""

    def __init__(self, words: list[str], cwd: str, env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kdeps", "watch", *words],
            cwd=cwd, env={**env, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def wait_for(self, text: str, timeout_s: float) -> float | None:
        """When a text appeared (monotonic); ``None``: it did not."""
        until = time.monotonic() + timeout_s
        seen = b""
        while (left := until - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                try:
                    seen += os.read(self._master, 65536)
                except OSError:
                    return None  # it has ended
                if text.encode() in seen:
                    return time.monotonic()
        return None

    def drain(self, seconds: float) -> None:
        """Let it say what it has to say."""
        self.wait_for("\0", seconds)

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.drain(0.2)
        self.process.wait(30)
        os.close(self._master)


def measure_latency(world: World, words: list[str], count: int, quiet_s: float) -> bool:
    """Save ``count`` files one after the other; print how long each took; whether it was too long."""
    # The stand-in compilers are scripts, which have to be asked for their version at every look.
    env = {**world.env, "PATH": world.env["PATH"].partition(":")[2], "XDG_RUNTIME_DIR": str(world.private)}
    screen = Screen(words, world.layout.cwd, env)
    took: list[float] = []
    try:
        if screen.wait_for("fresh", _READY_S) is None:
            print("latency: the watch does not start", flush=True)
            return True
        record = Path(world.layout.objtree, "rust/.kernel.o.cmd").read_text()
        paths = [name for name in world.sources if "/rust/kernel/" in name and f"{name} " in record]
        screen.drain(2)
        for index in range(count):
            path = Path(paths[index % len(paths)])
            world.keeper.keep(str(path))
            temporary = path.with_suffix(".new")
            temporary.write_bytes(path.read_bytes() + b"\n")
            os.rename(temporary, path)
            saved = time.monotonic()
            # The same crate stays stale; the cause that is told is the file saved last.
            shown = screen.wait_for(f"{path.name}", 10)
            if shown is None:
                print(f"latency: {path} was never shown", flush=True)
                return True
            took.append(shown - saved - quiet_s)
            screen.drain(0.15)
    finally:
        screen.close()
        world.keeper.restore()
    took.sort()
    median, worst = took[len(took) // 2], took[-1]
    print(
        f"latency: {count} saves, to the terminal beyond the {quiet_s * 1000:.0f} ms of quiet: median {median * 1000:.0f} ms, "
        f"90 % {took[len(took) * 9 // 10] * 1000:.0f} ms, worst {worst * 1000:.0f} ms",
        flush=True,
    )
    return median > MAX_MEDIAN_S
