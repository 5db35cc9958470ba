# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Processes that go on while the user does."""

from __future__ import annotations

import os
import select

from kdeps.system.cache import Store, cache_directory
from kdeps.system.errors import describe_bug
from kdeps.system.files import discard_output

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from collections.abc import Callable

_NICENESS = 5


def run_in_background(
    action: Callable[[], object], environ: dict[str, str], *, at_once: bool = False
) -> None:
    """Run an action that remembers something in a process of its own.

    The process has no terminal, no open file of its parent's and a lower priority; not the lowest, with which it would
    come too late on a busy machine: after the next change of branch. It waits for its parent to end, unless ``at_once``, because the parent may still run
    make.
    """
    if cache_directory(environ).startswith(os.devnull):
        return
    try:
        ending = os.pidfd_open(os.getpid())
        child = os.fork()
    except (OSError, AttributeError):
        return  # an old kernel; or the limit of processes is reached
    if child:
        os.close(ending)
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if not os.fork():
            _detach(ending)
            if not at_once:
                select.select([ending], [], [])
            os.close(ending)
            action()
    except Exception as error:
        # Nobody waits for this process or reads what it prints; `kdeps doctor` tells.
        Store("failures", environ).save("background", describe_bug(error).encode("utf-8", "backslashreplace"))
        os._exit(1)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _detach(ending: int) -> None:
    """Let go of the terminal, of pipes and of the job server."""
    discard_output(0, 1, 2)
    os.closerange(3, ending)
    os.closerange(ending + 1, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
    os.nice(_NICENESS)
