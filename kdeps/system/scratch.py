# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A folder for a moment, which is gone afterwards, however that moment ends."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Terminated(BaseException):
    """A signal that ends this program; what it has started comes first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def scratch_folder(prefix: str) -> Iterator[str]:
    """Make a folder in ``TMPDIR``, and remove it at the end.

    A signal that would end this program at once ends the body first, as an exception, and the program afterwards.
    Raises OSError if no folder can be made.
    """
    folder = tempfile.mkdtemp(prefix=prefix)
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    try:
        for number in numbers:
            signal.signal(number, _terminate)
        yield folder
    except _Terminated as signalled:
        if not numbers:
            raise  # to the folder around this one
        ended_by = signalled.number
    else:
        return
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        shutil.rmtree(folder, ignore_errors=True)
    signal.raise_signal(ended_by)
    raise SystemExit(128 + ended_by)  # the signal came first


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise _Terminated(number)
