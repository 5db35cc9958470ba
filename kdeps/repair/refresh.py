# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Carry a plan out: remove, then make.

make runs as the user would run it: in the foreground, with the terminal, the
job server and every inherited descriptor. Its standard output is only read
where somebody watches it, to show how far it is.

Ctrl-C reaches make by itself, for it is in the same process group; make then
deletes the target it was making. So kdeps waits for it, whatever signal comes,
and passes on what only kdeps was sent.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from kdeps.cache import cache_directory, name_of, store
from kdeps.repair.lock import Lock
from kdeps.repair.plan import CannotRefresh

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STEP = re.compile(r"  [A-Z][A-Z0-9]*(?: [A-Z]{1,2})?(?: \[[A-Z]\])? +(\S+)")
"""A line of Kbuild for one step: ``  RUSTC L rust/kernel.o``."""
_TICK_S = 0.5


class Step(NamedTuple):
    """What is being made at the moment, for whoever watches."""

    target: str
    """As Kbuild names it; empty before the first step."""
    number: int
    """Of the expected steps, how many have begun."""
    total: int
    elapsed_s: float
    last_s: float | None
    """How long this step took the last time; ``None``: not known."""


class Watch(NamedTuple):
    """How to show progress."""

    on_line: Callable[[bytes], None]
    """A line of make's that is no step."""
    on_step: Callable[[Step], None]


class Outcome(NamedTuple):
    """How a make ended."""

    status: int
    """As ``subprocess`` has it: negative for a signal."""
    interrupted: int
    """The signal that kdeps itself got meanwhile; 0: none."""


def remove_files(paths: tuple[str, ...]) -> None:
    """Delete files; one that is not there is as good as deleted.

    Raises:
        CannotRefresh: One of them cannot be deleted.
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
    watch: Watch | None = None,
) -> Outcome:
    """Run make in the foreground and wait for it.

    Args:
        command: With ``make`` as its first word.
        environ: Its environment.
        lock: Inherited by it.
        expected: The steps it will take, by Kbuild's names.
        durations: How long steps took the last time; updated with how long they took now.
        watch: Show progress that way; ``None``: its output goes where ours goes.

    Raises:
        CannotRefresh: make cannot be started.
    """
    got: list[int] = []
    with _signals(got) as pass_on:
        try:
            process = subprocess.Popen(
                command, env=environ, close_fds=False, stdout=None if watch is None else subprocess.PIPE
            )
        except OSError as error:
            raise CannotRefresh(f"make: {error.strerror}") from error
        pass_on.append(process.pid)
        lock.note_holder(process.pid)
        if watch is not None:
            _follow(process, expected, {} if durations is None else durations, watch)
        while True:
            try:
                status = process.wait()
                break
            except InterruptedError:
                continue
    return Outcome(status, got[0] if got else 0)


@contextmanager
def _signals(got: list[int]) -> Iterator[list[int]]:
    """Outlive every polite signal, and pass on what a terminal would not have sent to make as well."""
    children: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        got.append(number)
        if number != signal.SIGINT:
            for pid in children:
                os.kill(pid, number)

    before = {}
    for number in (signal.SIGINT, *_PASSED_ON):
        handler = signal.getsignal(number)
        if handler is not signal.SIG_IGN:  # nohup: make shall ignore it as well
            before[number] = handler
            signal.signal(number, receive)
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(
    process: subprocess.Popen[bytes], expected: frozenset[str], durations: dict[str, float], watch: Watch
) -> None:
    """Read make's lines as they come, and say after each, and now and then, how far it is."""
    assert process.stdout is not None
    output = process.stdout.fileno()
    started = time.monotonic()
    begun: dict[str, float] = {}
    current, rest = "", b""

    def tell() -> None:
        number = len(begun.keys() & expected)
        total = max(len(expected), number)
        elapsed_s = time.monotonic() - started
        watch.on_step(Step(current, number, total, elapsed_s, durations.get(current)))

    tell()
    while True:
        ready, _, _ = select.select([output], [], [], _TICK_S)
        if ready:
            data = os.read(output, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                step = _STEP.fullmatch(line.decode("utf-8", "replace").rstrip())
                if step is None:
                    watch.on_line(line)
                    continue
                now = time.monotonic()
                if current and current not in durations:
                    durations[current] = now - begun[current]
                current = step[1]
                begun[current] = now
        elif process.poll() is not None:
            break  # something it started holds the pipe open
        tell()
    if rest:
        watch.on_line(rest)
    ended = time.monotonic()
    order = [*begun.items()]
    for at, (target, began) in enumerate(order):
        durations[target] = (order[at + 1][1] if at + 1 < len(order) else ended) - began


def load_durations(objtree: str, environ: dict[str, str]) -> dict[str, float]:
    """Read how long each step of a tree took the last time."""
    durations: dict[str, float] = {}
    try:
        with open(_durations_path(objtree, environ), encoding="utf-8") as file:
            for line in file:
                target, _, seconds = line.rstrip("\n").partition("\t")
                durations[target] = float(seconds)
    except (OSError, ValueError):
        return durations
    return durations


def store_durations(durations: dict[str, float], objtree: str, environ: dict[str, str]) -> None:
    """Remember how long each step took; not being able to costs nothing but the estimate."""
    lines = "".join(f"{target}\t{seconds:.3f}\n" for target, seconds in durations.items())
    try:
        data = lines.encode()
    except UnicodeEncodeError:
        return
    store(_durations_path(objtree, environ), data)


def _durations_path(objtree: str, environ: dict[str, str]) -> str:
    return os.path.join(cache_directory(environ), "durations", name_of(objtree))
