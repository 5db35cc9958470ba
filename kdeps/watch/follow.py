# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A second watch of the same module joins the first: it shows what that one sees.

Two that look at the same tree would only see the same twice, and two that refresh it
would get into each other's way. When the first one ends, the second takes over.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from kdeps.errors import UsageError
from kdeps.repair.plan import kernel_words
from kdeps.verdict import Status
from kdeps.watch.reactor import Reactor
from kdeps.watch.show import Show, Terminal
from kdeps.watch.status import is_stopped
from kdeps.watch.target import Target
from kdeps.watch.view import State, View, parse_view
from kdeps.watch.where import runtime_directory

SILENCE_S = 2.0
"""How long to hear nothing before asking whether the other watch can speak."""
_HOW = ("-j", "--jobs", "-s", "--silent", "--quiet", "-k", "--keep-going", "V=")
"""Words that do not change what is stale."""


def follow(pid: int, targets: list[Target], environ: dict[str, str], show: Show) -> bool:
    """Show what another watch sees, until that one ends.

    Args:
        pid: Of the other watch.
        targets: The modules that are asked for; none: whatever it watches.
        environ: For where its socket is.
        show: How to tell.

    Returns:
        Whether it could be joined; else it is just ending, or hangs.

    Raises:
        UsageError: It cannot be joined: it has another build in mind, or not all these modules.
    """
    folder = runtime_directory(environ)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    wanted = {(target.tree.objtree, target.tree.module): target for target in targets}
    views: dict[tuple[str, str | None], View] = {}
    told: dict[tuple[str, str | None], tuple[str, str]] = {}
    stopped = False
    try:
        try:
            connection.connect(f"{folder}/{pid}.socket")
        except OSError:
            return False
        with _polite_signals(show):
            for line in _read_lines(connection):
                if line is None:
                    stopped = _tell_stopped(show, views, pid, was=stopped)
                    continue
                document = json.loads(line)
                key = (document["tree"]["objtree"], document["tree"]["module"])
                if wanted and key not in wanted:
                    continue
                view = parse_view(document["watch"])
                if not views:
                    show.log(f"joined the watch that runs already (pid {pid})")
                if wanted and key not in views:
                    _require_same_build(wanted[key], document["watch"]["args"], pid)
                views[key] = view
                answer = (view.status, view.headline)
                if view.state is State.CURRENT and told.get(key) != answer:
                    told[key] = answer
                    show.tell(view, line.decode("utf-8", "replace"))
                show.draw(list(views.values()))
                stopped = False
        if not views:
            return False
        if not wanted.keys() <= views.keys():
            names = ", ".join(target.name for key, target in wanted.items() if key not in views)
            raise UsageError(
                f"another kdeps watch (pid {pid}) runs, without {names}: end it, or name only these here"
            )
    finally:
        connection.close()
    show.log(f"the watch that was joined (pid {pid}) has ended; taking over")
    return True


def _read_lines(connection: socket.socket) -> Iterator[bytes | None]:
    """Read lines until the other end hangs up; ``None``: nothing has come for a while."""
    connection.settimeout(SILENCE_S)
    rest = b""
    while True:
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            yield None
            continue
        except OSError:
            return
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _tell_stopped(show: Show, views: dict[tuple[str, str | None], View], pid: int, *, was: bool) -> bool:
    """Tell, after a silence, whether the other watch is stopped: then what it said last is worth nothing."""
    stopped = is_stopped(pid)
    if stopped and not views:
        raise UsageError(
            f"another kdeps watch (pid {pid}) has this module, and is stopped: continue or end it"
        )
    if stopped != was:
        show.log(f"the watch that was joined (pid {pid}) {'is stopped' if stopped else 'goes on'}")
        why = f"the watch (pid {pid}) is stopped"
        unknown = [view._replace(status=Status.UNKNOWN.value, headline=why) for view in views.values()]
        show.draw(unknown if stopped else list(views.values()))
    return stopped


def _require_same_build(target: Target, args: list[str], pid: int) -> None:
    """Refuse to show the verdict on another build: ``LLVM=1`` there and none here is another question."""
    ours = _what_matters(kernel_words(target.tree))
    theirs = _what_matters(kernel_words(Target(tuple(args), target.cwd, target.environ).tree))
    if ours != theirs:
        said = " ".join(args)
        raise UsageError(
            f"another kdeps watch (pid {pid}) has this module with other arguments ({said}): end it first"
        )


def _what_matters(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        word for word in words if not word.startswith(_HOW) and not word.startswith(("O=", "-C"))
    )


def _end(_number: int) -> NoReturn:
    raise SystemExit(0)


@contextmanager
def _polite_signals(show: Show) -> Iterator[None]:
    """End in order on SIGTERM and SIGHUP; follow the window's size."""
    handlers: dict[signal.Signals, Callable[[int], object]] = {signal.SIGTERM: _end, signal.SIGHUP: _end}
    if isinstance(show, Terminal):
        handlers.update(show.handlers())
    with Reactor(handlers):
        yield
