# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The user's own command, run with each new verdict.

What it prints is logged as everything else is: on a terminal it would tear the lines in
place apart, and among lines of JSON it would be one that is none.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable

from kdeps.watch.child import end_process
from kdeps.watch.view import View

PATIENCE_S = 5.0
"""How long it may take to end after it was told to."""
_READ_BYTES = 4096
"""Of what it prints at once: there may be no end to it, and there are verdicts to tell."""
_PIPE_READS = 16
"""As much as a pipe holds."""


class Executor:
    """Runs the user's command, one at a time, with the newest verdict. Never waits for it."""

    def __init__(self, command: str, environ: dict[str, str], cwd: str, log: Callable[[str], None]) -> None:
        self.command, self.environ, self.cwd, self.log = command, environ, cwd, log
        self.descriptor: int | None = None
        """Readable when it has printed something."""
        self._print_to: int | None = None
        self._rest = b""
        if command:
            # One pipe for all runs: what one of them leaves running may print as long as we live.
            self.descriptor, self._print_to = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self.descriptor, False)
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[str, tuple[str, View]] = {}

    @property
    def running(self) -> bool:
        """Whether it runs, as far as was asked."""
        return self._process is not None

    def run(self, document: str, view: View) -> None:
        """Run it with a verdict, as soon as it is not running any more. A newer verdict replaces one that waits."""
        if self.command:
            self._waiting.pop(view.name, None)
            self._waiting[view.name] = (document, view)
            self.reap()

    def reap(self) -> None:
        """Start what waits, if nothing runs."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._process = None
            self._read_all()
        if not self._waiting:
            return
        name = next(iter(self._waiting))
        document, view = self._waiting.pop(name)
        environ = {**self.environ, "KDEPS_VERDICT": view.status, "KDEPS_MODULE": view.name}
        try:
            with tempfile.TemporaryFile() as given:
                given.write(document.encode("utf-8", "replace") + b"\n")
                given.seek(0)
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", self.command],
                    cwd=self.cwd,
                    env=environ,
                    stdin=given,
                    stdout=self._print_to,
                    stderr=self._print_to,
                    start_new_session=True,
                )
        except OSError as error:
            where = error.filename or "its standard input"
            self.log(f"the command of --exec cannot be run: {where}: {error.strerror}")

    def read(self) -> bool:
        """Log some of what it has printed; whether there was anything."""
        if self.descriptor is None:
            return False
        try:
            data = os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _READ_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self.log(f"  {line.decode('utf-8', 'replace').rstrip()}")
        return True

    def _read_all(self) -> None:
        """Log what is in the pipe when it has ended."""
        for _ in range(_PIPE_READS):
            if not self.read():
                break
        if self._rest:
            self.log(f"  {self._rest.decode('utf-8', 'replace').rstrip()}")
            self._rest = b""

    def stop(self) -> None:
        """End it."""
        self._waiting.clear()
        if self._process is not None:
            end_process(self._process, PATIENCE_S)
            self._process = None
        self._read_all()
        for descriptor in (self.descriptor, self._print_to):
            if descriptor is not None:
                os.close(descriptor)
        self.descriptor = self._print_to = None
