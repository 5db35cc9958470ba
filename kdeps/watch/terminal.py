# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How a watch shows: a line in place for each module, plain lines, or JSON lines.

On a terminal the last lines are the modules', each drawn in its place; what
happens is logged above them and scrolls away as any output does. Nothing is
redrawn while nothing happens, so a line shows the time of day instead of "12 s ago".
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import termios
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from kdeps.system.files import discard_output
from kdeps.system.text import encodable, printable
from kdeps.watch.debounce import Activity
from kdeps.watch.module import ModuleStatus

STATUS_COLUMNS = 2 + len("unknown")
"""What a line needs besides the name."""
MIN_NAME = 4
_CODE = re.compile(r"\x1b\[[0-9;]*m")
_COLOURS = {"fresh": "1;32", "stale": "1;31", "unknown": "1;33"}
_ACTIVE = {
    Activity.SETTLING: "changing",
    Activity.GIT: "git is at work",
    Activity.MAKE: "make runs",
    Activity.REFRESH: "refreshing",
}


class Stream:
    """A text stream. A watch that ends does not wait for its reader."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waits = self._ending = False

    def write(self, text: str) -> None:
        """Write at once; once the watch ends, only what the reader has room for."""
        if self._ending and not select.select([], [self._file], [], 0)[1]:
            return
        self._waits = True
        try:
            self._file.write(encodable(text, self._file.encoding))
            self._file.flush()
        finally:
            self._waits = False

    def end(self) -> None:
        """Give up a write that waits. Called by the handler of a signal, in the middle of that write.

        The write is tried again after the handler, and then there is room for all of it.
        """
        self._ending = True
        if self._waits:
            discard_output(self._file.fileno())


class Show:
    """A way of showing. This one shows nothing."""

    def tell(self, status: ModuleStatus, document: str) -> None:
        """A verdict has changed."""

    def log(self, text: str) -> None:
        """Something happened that is not a verdict."""

    def draw(self, modules: list[ModuleStatus]) -> None:
        """Show everything as it is now."""

    def handlers(self) -> Mapping[signal.Signals, Callable[[int], object]]:
        """What it has to do when a signal comes."""
        return {}

    def end(self) -> None:
        """Do not wait for readers any more. Called by the handler of a signal."""

    def close(self) -> None:
        """Leave the output as it was found."""


class Lines(Show):
    """One line for each change, with date and time: for a log file, a pipe, a journal."""

    def __init__(self, out: TextIO, *, stamped: bool = True) -> None:
        self._out = Stream(out)
        self._stamped = stamped

    def tell(self, status: ModuleStatus, document: str) -> None:
        """Write a verdict."""
        del document
        self.log(f"{status.name}: {status.sentence}")

    def log(self, text: str) -> None:
        """Write one line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S ") if self._stamped else ""
        self._out.write(f"{stamp}{printable(text)}\n")

    def end(self) -> None:
        """Do not wait for the reader any more."""
        self._out.end()


class JsonLines(Show):
    """One JSON object for each change of a verdict; what else happens goes to standard error."""

    def __init__(self, out: TextIO, errors: TextIO) -> None:
        self._out, self._errors = Stream(out), Stream(errors)

    def tell(self, status: ModuleStatus, document: str) -> None:
        """Write a verdict."""
        del status
        self._out.write(document + "\n")

    def log(self, text: str) -> None:
        """Write one line to standard error."""
        self._errors.write(f"kdeps: {printable(text)}\n")

    def end(self) -> None:
        """Do not wait for the readers any more."""
        self._out.end()
        self._errors.end()


class Terminal(Show):
    """Lines in place, below a log.

    Keys that are typed are not echoed, because they would tear the lines apart; Ctrl-C,
    Ctrl-Z and the like work as ever. ``close`` gives the terminal back, and so does
    being stopped.
    """

    def __init__(self, out: TextIO, *, colour: bool) -> None:
        self.out = out
        self._stream = Stream(out)
        self.colour = colour
        self._drawn: list[str] = []
        self._modules: list[ModuleStatus] = []
        self._modes: list[object] | None = None
        self._columns = 80
        self._closed = False
        self._drawing = self._resized = False

    def tell(self, status: ModuleStatus, document: str) -> None:
        """Log a verdict."""
        del document
        words = status.sentence[len(status.status) :]
        self._write_log(f"{status.name}: {self._mark(status.status)}{words}")

    def log(self, text: str) -> None:
        """Log what happens."""
        self._write_log(printable(text))

    def draw(self, modules: list[ModuleStatus]) -> None:
        """Draw the modules' lines again, if one of them differs."""
        self._modules = modules
        if self._modes is None:
            # For the first time, when signals are handled and it will be given back; and ``fg`` of
            # a job that runs sends none.
            self._take()
        if self._lines() != self._drawn:
            self._redraw()

    def handlers(self) -> Mapping[signal.Signals, Callable[[int], object]]:
        """Draw again in a window of another size; give the terminal back while stopped."""
        return {signal.SIGWINCH: self._resize, signal.SIGTSTP: self._stop, signal.SIGCONT: self._go_on}

    def _resize(self, _number: int) -> None:
        """Draw again. Called by a signal, so perhaps in the middle of drawing."""
        if self._drawing:
            self._resized = True
        else:
            self._redraw()

    def _stop(self, _number: int) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self, number: int) -> None:
        self._take()
        self._resize(number)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Draw as a whole; what a signal asks for meanwhile is done afterwards."""
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False
        if self._resized:
            self._resized = False
            self._redraw()

    def _give_back(self) -> None:
        if self._modes is not None:
            with contextlib.suppress(termios.error, OSError):
                # FLUSH: what was typed meanwhile was not meant for the shell that comes next.
                termios.tcsetattr(self.out.fileno(), termios.TCSAFLUSH, self._modes)  # type: ignore[arg-type]
            self._modes = None

    def _take(self) -> None:
        """Take the terminal, if it is ours to take: a background job must not."""
        with contextlib.suppress(termios.error, OSError):
            descriptor = self.out.fileno()
            if os.tcgetpgrp(descriptor) != os.getpgrp():
                return
            modes = termios.tcgetattr(descriptor)
            self._modes = list(modes)
            modes[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, modes)

    def end(self) -> None:
        """Give the terminal back at once, if it takes no more text (Ctrl-S): later it may be out of reach."""
        if self._modes is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.out.fileno(), termios.TCSANOW, self._modes)  # type: ignore[arg-type]
        self._stream.end()

    def close(self) -> None:
        """Leave the last lines standing, the cursor below them, and the terminal as it was."""
        if not self._closed:
            self._closed = True
            if self._drawn:
                self._write("\n")
            self._give_back()

    # -- drawing -------------------------------------------------------------

    def _redraw(self) -> None:
        with self._undisturbed():
            lines = self._lines()
            self._erase()
            self._put(lines)

    def _lines(self) -> list[str]:
        with contextlib.suppress(OSError):
            self._columns = os.get_terminal_size(self.out.fileno()).columns or 80
        width = max((_width(status.name) for status in self._modules), default=0)
        # In a narrow window the verdict stays, and of a name the end: the beginnings are alike.
        width = min(width, max(self._columns - 1 - STATUS_COLUMNS, MIN_NAME))
        return [self._line(status, width) for status in self._modules]

    def _line(self, status: ModuleStatus, width: int) -> str:
        name = encodable(_cut_left(status.name, width), self.out.encoding)
        name += " " * (width - _width(name)) + "  "
        active = _ACTIVE.get(status.state, "")
        if active and status.detail:
            active += f": {status.detail}"
        rest = f"{'':{8 - len(status.status)}}since {_clock(status.since)}"
        for text in (active, status.note, status.headline):
            if text:
                rest += f"  {text}"
        if not status.headline and status.change:
            rest += f"  last change: {status.change}, {_clock(status.changed_at)}"
        room = max(self._columns - 1 - _width(name) - len(status.status), 0)
        return name + self._mark(status.status) + encodable(_cut(printable(rest), room), self.out.encoding)

    def _mark(self, status: str) -> str:
        return f"\x1b[{_COLOURS.get(status, '1')}m{status}\x1b[0m" if self.colour else status

    def _write_log(self, text: str) -> None:
        with self._undisturbed():
            self._erase()
            self._write(f"{time.strftime('%H:%M:%S')}  {encodable(text, self.out.encoding)}\n")
            self._put(self._lines())

    def _erase(self) -> None:
        """Go back to where the first of the drawn lines begins, and clear everything from there."""
        # In a window that has become narrower the terminal has broken them.
        rows = sum(max(1, -(-_width(_CODE.sub("", line)) // self._columns)) for line in self._drawn)
        if rows:
            up = f"\x1b[{rows - 1}A" if rows > 1 else ""
            self._write(f"\r{up}\x1b[J")
        self._drawn = []

    def _put(self, lines: list[str]) -> None:
        self._write("\n".join(lines))
        self._drawn = lines

    def _write(self, text: str) -> None:
        """Write; a terminal that is gone must not keep us from ending in order."""
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            if not self._closed:
                self._closed = True
                os.kill(os.getpid(), signal.SIGHUP)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _cut(text: str, room: int) -> str:
    if _width(text) <= room:
        return text
    if room < MIN_NAME:
        return ""  # nothing that could be read
    while text and _width(text) > room - 1:
        text = text[:-1]
    return text + "…"


def _cut_left(text: str, room: int) -> str:
    if _width(text) <= room:
        return text
    while text and _width(text) > room - 1:
        text = text[1:]
    return "…" + text
