# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The user's own commands, run with a verdict (``--exec``, ``--on-fresh``), and desktop notifications.

The output of a command is logged like everything else. Otherwise it would tear apart the lines in place
on a terminal, and break the JSON lines.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable

from kdeps.system.process import end_process
from kdeps.watch.module import ModuleStatus

PATIENCE_S = 5.0
"""How long a command may take to end after SIGTERM."""
_READ_BYTES = 4096
"""Of what it prints at once: there may be no end to it, and there are verdicts to publish."""
_PIPE_READS = 16
"""As much as a pipe holds."""


class Hook:
    """Runs a command, one at a time, with the newest verdict. Never waits for it."""

    def __init__(
        self,
        option: str,
        command: str,
        environ: dict[str, str],
        cwd: str,
        log: Callable[[str], None],
        *,
        logs_failure: bool = False,
    ) -> None:
        self.option, self.command, self.environ, self.cwd, self.log = option, command, environ, cwd, log
        self._logs_failure = logs_failure
        self.descriptor: int | None = None
        """Readable when it has printed something."""
        self._print_to: int | None = None
        self._rest = b""
        if command:
            # One pipe for all runs: what one of them leaves running may print as long as we live.
            self.descriptor, self._print_to = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self.descriptor, False)
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[str, tuple[str, ModuleStatus]] = {}

    @property
    def running(self) -> bool:
        """Whether it ran when ``reap`` was called last."""
        return self._process is not None

    def run(self, document: str, status: ModuleStatus) -> None:
        """Run it with a verdict as soon as it does not run any more. A newer verdict replaces one that waits."""
        if self.command:
            self._waiting.pop(status.name, None)
            self._waiting[status.name] = (document, status)
            self.reap()

    def reap(self) -> None:
        """Start what waits, if nothing runs."""
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            self._process = None
            self._read_all()
            if status and self._logs_failure:
                ended = f"failed with status {status}" if status > 0 else f"was ended by signal {-status}"
                self.log(f"the command of {self.option} {ended}")
        if self._waiting:
            self._start(*self._waiting.pop(next(iter(self._waiting))))

    def _start(self, document: str, status: ModuleStatus) -> None:
        environ = {**self.environ, "KDEPS_VERDICT": status.status, "KDEPS_MODULE": status.name}
        try:
            with tempfile.TemporaryFile() as given:
                given.write(document.encode("utf-8", "replace") + b"\n")
                given.seek(0)
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", self.command], cwd=self.cwd, env=environ, start_new_session=True,
                    stdin=given, stdout=self._print_to, stderr=self._print_to,
                )  # fmt: skip
        except OSError as error:
            where = error.filename or "its standard input"
            self.log(f"the command of {self.option} cannot be run: {where}: {error.strerror}")

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


def notify(program: str, status: ModuleStatus) -> None:
    """Send a desktop notification by ``notify-send``. One that cannot be sent is no loss."""
    urgency = "normal" if status.status == "fresh" else "critical"
    with contextlib.suppress(OSError):  # it is being replaced, or there is no process to be had
        subprocess.Popen(
            [program, "--app-name=kdeps", f"--urgency={urgency}", f"kdeps: {status.name}", status.sentence],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
