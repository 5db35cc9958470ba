# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Sleep until a descriptor is ready, a signal comes, or it is time.

Not asyncio: the table of mounts announces a change by ``POLLPRI`` alone, which asyncio cannot wait for, and
a handler must run in the middle of a write that waits for its reader, which asyncio's signal handlers cannot.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterable, Mapping
from types import FrameType, TracebackType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
READABLE, WRITABLE, PRIORITY = select.POLLIN, select.POLLOUT, select.POLLPRI

Handler = Callable[[int], object]


class Reactor:
    """Descriptors and signals; a context manager, because it takes the process's signal handlers.

    A handler runs in the middle of anything, so it should only note that it ran: the
    loop wakes for every signal.
    """

    def __init__(self, handlers: Mapping[signal.Signals, Handler]) -> None:
        self._handlers = handlers
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> Reactor:
        self._read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._restore.callback(os.close, self._read)
        self._restore.callback(os.close, write)
        for number, action in self._handlers.items():
            before = signal.getsignal(number)
            if before is signal.SIG_IGN and number in ENDING:
                continue  # nohup, or a shell's background job
            self._restore.callback(signal.signal, number, signal.SIG_DFL if before is None else before)
            signal.signal(number, _without_frame(action))
        fd_before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._restore.callback(signal.set_wakeup_fd, fd_before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore.close()

    def wait(self, wanted: Iterable[tuple[int, int]], seconds: float) -> list[int]:
        """Sleep so long at most, or until a descriptor has the events to wake for; return those that have."""
        poll = select.poll()
        poll.register(self._read, READABLE)
        for descriptor, events in wanted:
            poll.register(descriptor, events)
        ready = [descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000 + 1)]
        if self._read in ready:
            ready.remove(self._read)
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        return ready


def _without_frame(action: Handler) -> Callable[[int, FrameType | None], object]:
    return lambda number, _frame: action(number)
