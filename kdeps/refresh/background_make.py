# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Run make while the caller does something else: read what it prints, how far it is, and how it ends.

It runs in a session of its own, so that Ctrl-C reaches only the caller. The caller then ends make with a signal that
lets it delete what is half made.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import deque

from kdeps.refresh.make_run import MakeOutput
from kdeps.system.process import end_process, is_readable

PATIENCE_S = 20.0
"""How long it may take to end after SIGTERM."""
KEPT_LINES = 400
SHOWN_LINES = 14
_ERROR = re.compile(r"\berror\b|\*\*\*|Error \d", re.IGNORECASE)


class BackgroundMake:
    """A running make. Raises OSError: it cannot be started."""

    def __init__(
        self, command: list[str], cwd: str, environ: dict[str, str], descriptors: tuple[int, ...], expected: frozenset[str]
    ) -> None:  # fmt: skip
        """Start a command that inherits some descriptors; ``expected`` are the targets, by Kbuild's name, that it is
        to make.
        """
        self.command = command
        self.output = MakeOutput(expected)
        """When its steps began, on the clock that files are stamped by."""
        self._read_at_ns = time.time_ns()
        """What is read next was printed after that."""
        self._tail: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = subprocess.Popen(
            command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=descriptors, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def descriptor(self) -> int | None:
        """Readable when it has printed something. None once it has printed all."""
        return None if self._pipe.closed else self._pipe.fileno()

    @property
    def progress(self) -> str:
        """How far it is, for people."""
        number, total = self.output.count()
        current = self.output.current
        return f"{number} of {total}{f': {current}' if current else ''}" if total else current

    def read(self) -> bool:
        """Read what it has printed; whether it may print more."""
        if self.descriptor is None:
            return False
        now_ns = time.time_ns()
        try:
            data = os.read(self.descriptor, 65536)
        except BlockingIOError:
            self._read_at_ns = now_ns
            return True
        except OSError:
            data = b""
        # On a busy machine a line is read long after it was printed, perhaps after another edit.
        for line in self.output.feed(data, self._read_at_ns):
            self._tail.append(line.decode("utf-8", "replace").rstrip())
        self._read_at_ns = now_ns
        if not data:
            self._pipe.close()
        return bool(data)

    def poll(self) -> int | None:
        """Its exit status, negative for a signal. None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        while self.read():
            if not is_readable(self._pipe.fileno()):
                break  # a server that it started holds the pipe open
        self._pipe.close()
        return status

    def find_error(self) -> list[str]:
        """What the compiler printed: from the first error on, without make's own way back up."""
        lines = list(self._tail)
        last = max(0, len(lines) - SHOWN_LINES)
        at = next((i for i, line in enumerate(lines) if _ERROR.search(line)), last)
        return [line for line in lines[at:] if line and not line.startswith("make[")][:SHOWN_LINES]

    def stop(self) -> None:
        """End it as Ctrl-C would: it deletes what is half made. Then wait for it."""
        end_process(self._process, PATIENCE_S)
        self._pipe.close()


def status_in_words(status: int) -> str:
    """Say how a process ended."""
    return f"exit {status}" if status > 0 else f"killed by {signal.Signals(-status).name}"
