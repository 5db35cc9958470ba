# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Sleep until a descriptor is ready, a signal comes, or it is time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
READABLE, WRITABLE, PRIORITY = select.POLLIN, select.POLLOUT, select.POLLPRI

Handler = Callable[[int, "FrameType | None"], object] | int | None


class Reactor:
    """Descriptors and signals; a context manager, for it takes the process's signal handlers.

    A handler runs in the middle of anything, so it should only note that it ran: the
    loop wakes for every signal.
    """

    def __init__(self, handlers: Mapping[signal.Signals, Callable[[int], object]]) -> None:
        self._handlers = handlers
        self._poll = select.poll()
        self._registered: dict[int, int] = {}
        self._before: dict[signal.Signals, Handler] = {}
        self._read, self._write = -1, -1
        self._fd_before = -1

    def __enter__(self) -> Reactor:
        """Take the signals."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.register(self._read, READABLE)
        for number, action in self._handlers.items():
            before = signal.getsignal(number)
            if before is signal.SIG_IGN and number in ENDING:
                continue  # nohup, or a shell's background job
            self._before[number] = signal.SIG_DFL if before is None else before
            signal.signal(number, _without_frame(action))
        self._fd_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def register(self, descriptor: int | None, events: int) -> None:
        """Wake for these events of a descriptor; ``None`` and -1 are nothing to wake for."""
        if descriptor is not None and descriptor >= 0 and self._registered.get(descriptor) != events:
            self._poll.register(descriptor, events)
            self._registered[descriptor] = events

    def unregister(self, descriptor: int) -> None:
        """Wake for it no longer. Call it before the number can mean something else."""
        if self._registered.pop(descriptor, None) is not None:
            with contextlib.suppress(KeyError, OSError):
                self._poll.unregister(descriptor)

    def wait(self, seconds: float) -> list[int]:
        """Sleep; the descriptors that are ready."""
        ready = [descriptor for descriptor, _ in self._poll.poll(max(0.0, seconds) * 1000 + 1)]
        if self._read in ready:
            ready.remove(self._read)
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        return ready


def _without_frame(action: Callable[[int], object]) -> Callable[[int, FrameType | None], object]:
    return lambda number, _frame: action(number)
