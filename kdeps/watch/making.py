# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One make of our own that runs: what it says, how far it is, and what was edited under its hands.

It runs in a session of its own, so that Ctrl-C reaches only us; we then end it in
the way that lets it delete what is half made.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterable

from kdeps.rules import Rule
from kdeps.stamps import mtime_of
from kdeps.watch.child import end_process, is_readable

SLACK_NS = 20_000_000
"""How coarse the stamps of files are, generously."""
PATIENCE_S = 20.0
"""How long it may take to end after it was told to."""
KEPT_LINES = 400
SHOWN_LINES = 14
_STEP = re.compile(r"  [A-Z][A-Z0-9]*(?: [A-Z]{1,2})?(?: \[[A-Z]\])? +(\S+)")
_ERROR = re.compile(r"\berror\b|\*\*\*|Error \d", re.IGNORECASE)


class Making:
    """A running make.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self, command: list[str], cwd: str, environ: dict[str, str], descriptors: tuple[int, ...], expected: frozenset[str]
    ) -> None:  # fmt: skip
        """Start it.

        Args:
            command: The whole command line.
            cwd: Where to run it.
            environ: Its environment.
            descriptors: What it inherits.
            expected: The targets, by Kbuild's name, that it is to make.
        """
        self.command = command
        self.expected = expected
        self.progress = ""
        self._begun: dict[str, int] = {}
        """Step, by Kbuild's name → no later than it began, on the clock that files are stamped by."""
        self._read_at = time.time_ns()
        """What is read next was said after that."""
        self._edited: set[str] = set()
        self._rest = b""
        self._tail: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = subprocess.Popen(
            command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=descriptors, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._tell_progress("")

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def fileno(self) -> int | None:
        """Readable when it says something."""
        return None if self._output.closed else self._output.fileno()

    def note_change(self, paths: Iterable[str]) -> None:
        """These have changed while it runs."""
        self._edited.update(paths)

    def read(self) -> bool:
        """Read what it says; ``False``: it has said all."""
        descriptor = self.fileno()
        if descriptor is None:
            return False
        now = time.time_ns()
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            self._read_at = now
            return True
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip()
            step = _STEP.fullmatch(text)
            if step is None:
                self._tail.append(text)
            else:
                # On a busy machine it is read long after it was said: an edit may lie in between.
                self._begun.setdefault(step[1], self._read_at)
                self._tell_progress(step[1])
        self._read_at = now
        if not data:
            self._output.close()
        return bool(data)

    def _tell_progress(self, target: str) -> None:
        done, total = len(self._begun.keys() & self.expected), len(self.expected)
        self.progress = f"{done} of {total}{f': {target}' if target else ''}" if total else target

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; ``None``: it still runs."""
        status = self._process.poll()
        if status is None:
            return None
        while self.read():
            if not is_readable(self._output.fileno()):
                break  # a server that it started holds the pipe open
        self._output.close()
        return status

    def find_torn(self, rules: dict[str, Rule]) -> list[str]:
        """Find the targets of which an input was edited after its compiler had read it, and before it was written.

        By their times such a target is newer than the edit, so neither make nor a
        judgement would ever notice; but we were there.

        Args:
            rules: By Kbuild's name.
        """
        torn: list[str] = []
        # What the steps give each other is written in order, by make's own care.
        edited = self._edited.difference(*(rule.outputs for rule in rules.values()))
        for name, began_ns in self._begun.items():
            rule = rules.get(name)
            if rule is None or edited.isdisjoint(inputs := {*rule.prerequisites, *rule.optional}):
                continue
            made = mtime_of(rule.target) or 0
            if any(began_ns - SLACK_NS < (mtime_of(path) or 0) <= made for path in edited & inputs):
                torn.append(rule.target)
        return torn

    def find_error(self) -> list[str]:
        """What the compiler had to say: from the first error on, without make's own way back up."""
        lines = list(self._tail)
        at = next(
            (i for i, line in enumerate(lines) if _ERROR.search(line)), max(0, len(lines) - SHOWN_LINES)
        )
        shown = [line for line in lines[at:] if line and not line.startswith("make[")]
        return shown[:SHOWN_LINES]

    def stop(self) -> None:
        """End it as Ctrl-C would: it deletes what is half made. Then wait for it."""
        end_process(self._process, PATIENCE_S)
        self._output.close()


def say_status(status: int) -> str:
    """Say how a process ended."""
    return f"exit {status}" if status > 0 else f"killed by {signal.Signals(-status).name}"
