# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How ``kdeps make`` ends: it becomes make, dies of what make died of, or stops with a status."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from typing import NoReturn


class Stop(Exception):
    """End with this status instead of becoming make."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def given_environment() -> dict[str, str]:
    """The environment as it was given to kdeps.

    In the C locale Python sets ``LC_CTYPE`` before anybody can stop it (PEP 538), and
    compilers then quote in another way.
    """
    environ = dict(os.environ)
    if environ.get("LC_CTYPE", "").upper().replace("-", "") == "C.UTF8":
        try:
            with open("/proc/self/environ", "rb") as file:
                given = any(entry.startswith(b"LC_CTYPE=") for entry in file.read().split(b"\0"))
        except OSError:
            given = True
        if not given:
            del environ["LC_CTYPE"]
    return environ


def become_make(words: tuple[str, ...], environ: dict[str, str]) -> NoReturn:
    """Replace this process by make, as if kdeps had never been there."""
    flush()
    # Python ignores these two, and what is ignored stays so across exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe("make", ["make", *words], environ)
    except OSError as error:
        from kdeps.cli.saying import say

        say(f"error: make: {error.strerror}")
        raise SystemExit(127 if isinstance(error, FileNotFoundError) else 126) from error


def die_of(number: int) -> NoReturn:
    """End as make ended, so that the shell or an outer make sees the same."""
    flush()
    if number != signal.SIGKILL:  # which nobody can set; the kernel's OOM killer sends it
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)


def flush() -> None:
    """Write out what is buffered: whatever comes now, Python's own end does not."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            continue
