# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Carry a plan out: remove, then make.

make runs as the user would run it: in the foreground, with the terminal, the
job server and every inherited descriptor. Its output is only read to show it on a terminal: standard output to show how far it is, and standard error so that a compiler's message
does not run into that line. Standard error is then a terminal of its own, or no compiler
would write in colour.

Ctrl-C reaches make by itself, because it is in the same process group. make then
deletes the target it was making. So kdeps waits for make after any signal, and passes on
a signal that was sent to kdeps alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from kdeps.refresh.plan import CannotRefresh
from kdeps.system.cache import Store
from kdeps.system.lock import Lock
from kdeps.system.process import end_descendants, list_descendants

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STEP = re.compile(r"  [A-Z][A-Z0-9]*(?: [A-Z]{1,2})?(?: \[[A-Z]\])? +(\S+)")
"""A line of Kbuild for one step: ``  RUSTC L rust/kernel.o``."""
_TICK_S = 0.5
GRACE_S = 5.0
"""How long compilers may go on after a signal has ended the refresh."""


class Step(NamedTuple):
    """What is being made at the moment, to show as progress."""

    target: str
    """As Kbuild names it; empty before the first step."""
    number: int
    """Of the expected steps, how many have begun."""
    total: int
    elapsed_s: float
    last_s: float | None
    """How long this step took the last time; None if that is not known."""


class ProgressCallbacks(NamedTuple):
    """How to show progress."""

    on_line: Callable[[bytes], None]
    """A line of make's that is no step."""
    on_error: Callable[[bytes], None]
    """Bytes from standard error, as they came."""
    on_step: Callable[[Step], None]


class MakeOutput:
    """What a make prints, taken apart as it comes: the steps that have begun, and everything else."""

    def __init__(self, expected: frozenset[str]) -> None:
        self.begun_ns: dict[str, int] = {}
        """Step, by Kbuild's name → when it began, by the caller's clock; in the order they began."""
        self.current = ""
        """The step that began last."""
        self._expected = expected
        self._rest = b""

    def feed(self, data: bytes, now_ns: int) -> list[bytes]:
        """Take in what was read; return the lines that are no steps. No data is the end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [self._rest], b""
        return [line for line in lines if not self._is_step(line, now_ns)]

    def _is_step(self, line: bytes, now_ns: int) -> bool:
        step = _STEP.fullmatch(line.decode("utf-8", "replace").rstrip())
        if step is not None:
            self.current = step[1]
            self.begun_ns.setdefault(self.current, now_ns)
        return step is not None

    def count(self) -> tuple[int, int]:
        """How many of the expected steps have begun, and how many there are."""
        number = len(self.begun_ns.keys() & self._expected)
        return number, max(len(self._expected), number)


class MakeOutcome(NamedTuple):
    """How a make ended."""

    status: int
    """As ``subprocess`` has it: negative for a signal."""
    interrupted: int
    """The signal that kdeps itself got meanwhile; 0: none."""


def remove_files(paths: tuple[str, ...]) -> None:
    """Delete files; one that is not there is as good as deleted.

    Raises CannotRefresh: one of them cannot be deleted.
    """
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CannotRefresh(f"{path}: {error.strerror}, and it has to be made again") from error


def run_make(
    command: list[str],
    environ: dict[str, str],
    lock: Lock,
    *,
    expected: frozenset[str] = frozenset(),
    durations: dict[str, float] | None = None,
    watch: ProgressCallbacks | None = None,
) -> MakeOutcome:
    """Run make, which inherits the lock, in the foreground and wait for it.

    ``durations`` of the steps ``expected``, by Kbuild's names, are those of the last time; if make succeeds they are
    updated. Without ``watch`` its output goes where ours goes. Raises CannotRefresh if make cannot be started.
    """
    got: list[int] = []
    with _signals(got) as pass_on:
        errors, stderr = (-1, None) if watch is None else _open_errors()
        try:
            process = subprocess.Popen(
                command,
                env=environ,
                close_fds=False,
                stdout=None if watch is None else subprocess.PIPE,
                stderr=stderr,
            )
        except OSError as error:
            raise CannotRefresh(f"make: {error.strerror}") from error
        finally:
            if stderr is not None:
                os.close(stderr)
        pass_on.append(process.pid)
        lock.note_holder(process.pid)
        took: dict[str, float] = {}
        if watch is not None:
            try:
                took = _follow(process, errors, expected, durations or {}, watch)
            finally:
                os.close(errors)
        while True:
            try:
                status = process.wait()
                break
            except InterruptedError:
                continue
    if durations is not None and status == 0:
        durations.update(took)  # a step that failed says nothing about how long it takes
    return MakeOutcome(status, got[0] if got else 0)


def _open_errors() -> tuple[int, int]:
    """A terminal for standard error, as wide as ours and without any translation; a pipe if there is no terminal.

    Returns the descriptor to read from, and the one for the program.
    """
    try:
        controller, terminal = os.openpty()
        modes = termios.tcgetattr(terminal)
        modes[1] &= ~termios.OPOST
        termios.tcsetattr(terminal, termios.TCSANOW, modes)
        size = fcntl.ioctl(2, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
    except (OSError, termios.error):
        return os.pipe()
    return controller, terminal


def _end_compilers(pid: int) -> threading.Thread:
    """Give what make has started some time to end, then kill it: a compiler may ignore signals and outlive make."""
    thread = threading.Thread(target=end_descendants, args=(list_descendants(pid), GRACE_S))
    thread.start()
    return thread


@contextmanager
def _signals(got: list[int]) -> Iterator[list[int]]:
    """Outlive every polite signal, and pass on what a terminal would not have sent to make as well."""
    children: list[int] = []
    endings: list[threading.Thread] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        got.append(number)
        if number != signal.SIGINT:
            for pid in children:
                endings.append(_end_compilers(pid))
                os.kill(pid, number)

    before = {}
    for number in (signal.SIGINT, *_PASSED_ON):
        handler = signal.getsignal(number)
        if handler is not signal.SIG_IGN:  # nohup: make must ignore it as well
            before[number] = handler
            signal.signal(number, receive)
    try:
        yield children
    finally:
        for thread in endings:
            thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(
    process: subprocess.Popen[bytes],
    errors: int,
    expected: frozenset[str],
    durations: Mapping[str, float],
    watch: ProgressCallbacks,
) -> dict[str, float]:
    """Read what make writes as it comes, and say after each part, and now and then, how far it is.

    Returns how long each step took, in seconds.
    """
    assert process.stdout is not None
    output = process.stdout.fileno()
    started_ns = time.monotonic_ns()
    made = MakeOutput(expected)
    open_files = [output, errors]
    ends_line = True
    while open_files:
        if ends_line:
            elapsed_s = (time.monotonic_ns() - started_ns) / 1e9
            watch.on_step(Step(made.current, *made.count(), elapsed_s, durations.get(made.current)))
        ready, _, _ = select.select(open_files, [], [], _TICK_S)
        if not ready and process.poll() is not None:
            break  # something it started holds them open
        for descriptor in ready:
            data = _read(descriptor)
            if not data:
                open_files.remove(descriptor)
            elif descriptor == errors:
                watch.on_error(data)
                ends_line = data.endswith(b"\n")
            else:
                for line in made.feed(data, time.monotonic_ns()):
                    watch.on_line(line)
    for line in made.feed(b"", time.monotonic_ns()):
        watch.on_line(line)
    times = [*made.begun_ns.values(), time.monotonic_ns()]
    return {target: (times[at + 1] - times[at]) / 1e9 for at, target in enumerate(made.begun_ns)}


def _read(descriptor: int) -> bytes:
    """Read what is there; nothing at the end, which a terminal reports as an error."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def load_durations(objtree: str, environ: dict[str, str]) -> dict[str, float]:
    """Read how long each step of a tree took the last time."""
    durations: dict[str, float] = {}
    try:
        for line in (
            (_durations(environ).load(objtree) or b"").decode("utf-8", "surrogateescape").splitlines()
        ):
            target, _, seconds = line.partition("\t")
            durations[target] = float(seconds)
    except ValueError:
        return durations
    return durations


def store_durations(durations: dict[str, float], objtree: str, environ: dict[str, str]) -> None:
    """Remember how long each step took; not being able to costs nothing but the estimate."""
    lines = "".join(f"{target}\t{seconds:.3f}\n" for target, seconds in durations.items())
    _durations(environ).save(objtree, lines.encode("utf-8", "surrogateescape"))


def _durations(environ: dict[str, str]) -> Store:
    return Store("durations", environ)
