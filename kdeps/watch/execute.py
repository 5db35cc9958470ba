# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The user's own command, run with each new verdict."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile

from kdeps.watch.child import end_process
from kdeps.watch.view import View

PATIENCE_S = 5.0
"""How long it may take to end after it was told to."""


class Executor:
    """Runs the user's command, one at a time, with the newest verdict. Never waits for it."""

    def __init__(self, command: str, environ: dict[str, str], cwd: str) -> None:
        self.command, self.environ, self.cwd = command, environ, cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[str, tuple[str, View]] = {}

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
        if not self._waiting:
            return
        name = next(iter(self._waiting))
        document, view = self._waiting.pop(name)
        environ = {**self.environ, "KDEPS_VERDICT": view.status, "KDEPS_MODULE": view.name}
        with tempfile.TemporaryFile() as given:
            given.write(document.encode("utf-8", "replace") + b"\n")
            given.seek(0)
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", self.command],
                    cwd=self.cwd,
                    env=environ,
                    stdin=given,
                    start_new_session=True,
                )

    def stop(self) -> None:
        """End it."""
        self._waiting.clear()
        if self._process is not None:
            end_process(self._process, PATIENCE_S)
            self._process = None
