# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How a watch tells: a line in place for each module, plain lines, or JSON lines.

On a terminal the last lines are the modules', each drawn where it stood; what
happens is logged above them and scrolls away as any output does. Nothing is
redrawn while nothing happens, so there is no "12 s ago" but the time of day.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import termios
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from kdeps.printable import printable
from kdeps.watch.view import State, View, say

STATUS_COLUMNS = 2 + len("unknown")
"""What a line needs besides the name."""
MIN_NAME = 4
_CODE = re.compile(r"\x1b\[[0-9;]*m")
_COLOURS = {"fresh": "1;32", "stale": "1;31", "unknown": "1;33"}
_ACTIVE = {
    State.SETTLING: "changing",
    State.GIT: "git is at work",
    State.MAKE: "make runs",
    State.REFRESH: "refreshing",
}


class Show(Protocol):
    """A way of telling."""

    def tell(self, view: View, document: str) -> None:
        """A verdict has changed."""

    def log(self, text: str) -> None:
        """Something happened that is not a verdict."""

    def draw(self, views: list[View]) -> None:
        """Everything as it is now."""

    def close(self) -> None:
        """Leave the output as it was found."""


class Lines:
    """One line for each change, with date and time: for a log file, a pipe, a journal."""

    def __init__(self, out: TextIO, *, stamped: bool = True) -> None:
        self.out = out
        self.stamped = stamped

    def tell(self, view: View, document: str) -> None:
        """Write a verdict."""
        del document
        self.log(f"{view.name}: {say(view)}")

    def log(self, text: str) -> None:
        """Write one line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S ") if self.stamped else ""
        self.out.write(f"{stamp}{_encodable(printable(text), self.out)}\n")
        self.out.flush()

    def draw(self, views: list[View]) -> None:
        """Nothing stays."""

    def close(self) -> None:
        """Nothing to leave."""


class JsonLines:
    """One JSON object for each change of a verdict; what else happens goes to standard error."""

    def __init__(self, out: TextIO, errors: TextIO) -> None:
        self.out = out
        self.errors = errors

    def tell(self, view: View, document: str) -> None:
        """Write a verdict."""
        del view
        self.out.write(document + "\n")
        self.out.flush()

    def log(self, text: str) -> None:
        """Write one line to standard error."""
        self.errors.write(f"kdeps: {printable(text)}\n")
        self.errors.flush()

    def draw(self, views: list[View]) -> None:
        """Nothing stays."""

    def close(self) -> None:
        """Nothing to leave."""


class Terminal:
    """Lines in place, below a log.

    Keys that are typed are not echoed, for they would tear the lines apart; Ctrl-C,
    Ctrl-Z and the like work as ever. ``close`` gives the terminal back, and so does
    being stopped.
    """

    def __init__(self, out: TextIO, *, colour: bool) -> None:
        self.out = out
        self.colour = colour
        self._drawn: list[str] = []
        self._views: list[View] = []
        self._modes: list[object] | None = None
        self._columns = 80
        self._closed = False
        self._drawing = self._resized = False

    def tell(self, view: View, document: str) -> None:
        """Log a verdict."""
        del document
        head = f"{view.name}: "
        self._write_log(head + self._mark(view.status) + say(view)[len(view.status) :])

    def log(self, text: str) -> None:
        """Log what happens."""
        self._write_log(printable(text))

    def draw(self, views: list[View]) -> None:
        """Draw the modules' lines again, if one of them differs."""
        self._views = views
        if self._modes is None:
            # For the first time, when signals are handled and it will be given back; and ``fg`` of
            # a job that runs sends none.
            self.resume()
        lines = self._lines()
        if lines != self._drawn:
            with self._undisturbed():
                self._erase()
                self._put(lines)

    def handlers(self) -> dict[signal.Signals, Callable[[int], object]]:
        """What it has to do when a signal comes."""
        return {signal.SIGWINCH: self._resize, signal.SIGTSTP: self._stop, signal.SIGCONT: self._go_on}

    def _resize(self, _number: int) -> None:
        self.resize()

    def _stop(self, _number: int) -> None:
        self.suspend()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self, _number: int) -> None:
        self.resume()
        self.resize()

    def resize(self) -> None:
        """The window has another size now. Called by a signal, so perhaps in the middle of drawing."""
        if self._drawing:
            self._resized = True
            return
        with self._undisturbed():
            with contextlib.suppress(OSError):
                self._columns = os.get_terminal_size(self.out.fileno()).columns or 80
            self._erase()
            self._put(self._lines())

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
            self.resize()

    def suspend(self) -> None:
        """Give the terminal back for a while."""
        if self._modes is not None:
            with contextlib.suppress(termios.error, OSError):
                # FLUSH: what was typed meanwhile was not meant for the shell that comes next.
                termios.tcsetattr(self.out.fileno(), termios.TCSAFLUSH, self._modes)  # type: ignore[arg-type]
            self._modes = None

    def resume(self) -> None:
        """Take the terminal, if it is ours to take: a background job must not."""
        with contextlib.suppress(termios.error, OSError):
            descriptor = self.out.fileno()
            if os.tcgetpgrp(descriptor) != os.getpgrp():
                return
            modes = termios.tcgetattr(descriptor)
            self._modes = list(modes)
            modes[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, modes)
            with contextlib.suppress(OSError):
                self._columns = os.get_terminal_size(descriptor).columns or 80

    def close(self) -> None:
        """Leave the last lines standing, the cursor below them, and the terminal as it was."""
        if not self._closed:
            self._closed = True
            if self._drawn:
                self._write("\n")
            self.suspend()

    # -- drawing -------------------------------------------------------------

    def _lines(self) -> list[str]:
        with contextlib.suppress(OSError):
            self._columns = os.get_terminal_size(self.out.fileno()).columns or 80
        width = max((_width(view.name) for view in self._views), default=0)
        # In a narrow window the verdict stays, and of a name the end: the beginnings are alike.
        width = min(width, max(self._columns - 1 - STATUS_COLUMNS, MIN_NAME))
        return [self._line(view, width) for view in self._views]

    def _line(self, view: View, width: int) -> str:
        name = _encodable(_cut_left(view.name, width), self.out)
        name += " " * (width - _width(name))
        active = _ACTIVE.get(view.state, "")
        if view.state is not State.CURRENT and view.detail:
            active += f": {view.detail}"
        parts = [f"{name}  "]
        rest = f"{'':{8 - len(view.status)}}since {time.strftime('%H:%M:%S', time.localtime(view.since))}"
        for text in (active, view.note, view.headline):
            if text:
                rest += f"  {text}"
        if not view.headline and view.change:
            rest += (
                f"  last change: {view.change}, {time.strftime('%H:%M:%S', time.localtime(view.changed_at))}"
            )
        room = max(self._columns - 1 - _width(parts[0]) - len(view.status), 0)
        return parts[0] + self._mark(view.status) + _encodable(_cut(printable(rest), room), self.out)

    def _mark(self, status: str) -> str:
        return f"\x1b[{_COLOURS.get(status, '1')}m{status}\x1b[0m" if self.colour else status

    def _write_log(self, text: str) -> None:
        with self._undisturbed():
            self._erase()
            self._write(f"{time.strftime('%H:%M:%S')}  {_encodable(text, self.out)}\n")
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
        """Write; a terminal that is gone shall not keep us from ending in order."""
        try:
            self.out.write(text)
            self.out.flush()
        except (OSError, ValueError):
            if not self._closed:
                self._closed = True
                os.kill(os.getpid(), signal.SIGHUP)


def _encodable(text: str, out: TextIO) -> str:
    encoding = out.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def _width(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


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
