# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How ``kdeps make`` ends: it ends as make ends, dies of what make died of, or stops with a status."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from typing import NoReturn


def given_environment() -> dict[str, str]:
    """The environment as it was given to kdeps.

    In the C locale Python sets ``LC_CTYPE`` before anybody can stop it (PEP 538), and
    compilers then quote in another way.
    """
    environ = dict(os.environ)
    if environ.get("LC_CTYPE", "").upper().replace("-", "") == "C.UTF8":
        from kdeps.system.files import read_bytes

        given = read_bytes("/proc/self/environ").split(b"\0")
        if any(given) and not any(entry.startswith(b"LC_CTYPE=") for entry in given):
            del environ["LC_CTYPE"]
    return environ


def finish_with_make(words: tuple[str, ...], environ: dict[str, str]) -> int:
    """Run make, and end as it ends, or as the shell does if make cannot be started. After a failure say what explains
    it.
    """
    from kdeps.cli.make_child import run_make_child

    flush()
    try:
        end = run_make_child(words, environ)
    except OSError as error:
        from kdeps.cli.make_messages import say

        say(f"error: make: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126
    if os.WIFSIGNALED(end.status):
        die_of(os.WTERMSIG(end.status))
    status = os.WEXITSTATUS(end.status)
    if status == 0:
        if "modules_install" in words:
            _say_still_loaded(words, environ)
        os._exit(0)  # nothing is left to write, and Python's own end takes as long as waiting for make
    if not end.was_signalled:
        from kdeps.cli.explaining import explain_failed_make

        explain_failed_make(words, environ)
    return status


def _say_still_loaded(words: tuple[str, ...], environ: dict[str, str]) -> None:
    """Say what is still loaded after an installation; what cannot be found out does not fail a build that is done."""
    from kdeps.cli.installing import say_still_loaded
    from kdeps.cli.make_messages import say
    from kdeps.kbuild.make_command import read_install
    from kdeps.system.errors import KdepsError, describe_bug

    try:
        install = read_install(words, os.getcwd(), environ)
        if install is not None:
            say_still_loaded(install.words, os.getcwd(), environ)
    except (KdepsError, OSError):
        return
    except Exception as error:
        say(f"warning: a bug in kdeps, not in your tree: {describe_bug(error)}; please report it")


def die_of(number: int) -> NoReturn:
    """End as make ended, so that the shell or an outer make sees the same."""
    flush()
    if number != signal.SIGKILL:  # which no handler can catch; the kernel's OOM killer sends it
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
