# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A second watch of the same module shows what the first one finds, and ends with it.

Two watches of the same tree would only find the same twice.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from typing import NoReturn

from kdeps.kbuild.tree import Tree, find_tree
from kdeps.staleness.reasons import Status
from kdeps.system.errors import KdepsError, UsageError
from kdeps.watch.debounce import Activity
from kdeps.watch.module import Json, ModuleStatus
from kdeps.watch.reactor import Reactor
from kdeps.watch.status import find_holder, is_stopped, runtime_directory
from kdeps.watch.status_files import module_key
from kdeps.watch.terminal import Show

SILENCE_S = 2.0
"""How long to hear nothing before looking whether the other watch is stopped."""
_HOW = ("-j", "--jobs", "-s", "--silent", "--quiet", "-k", "--keep-going", "V=", "O=", "-C")
"""Words that do not change what is stale in a given tree."""
Key = tuple[str, str | None]
"""Object tree and module."""


def follow(pid: int, lines: list[tuple[str, ...]], cwd: str, environ: dict[str, str], show: Show) -> bool:
    """Show what another watch finds of some modules (none: whatever it watches), until that one ends.

    Returns:
        False if it could not be joined: it is just starting or ending.

    Raises:
        UsageError: It watches another build, or not all these modules, or is stopped.
        KdepsError: It has ended.
    """
    folder = runtime_directory(environ)
    wanted = {
        (tree.objtree, tree.module): tree for tree in (find_tree(words, cwd, environ) for words in lines)
    }
    missing = [t for t in wanted.values() if find_holder(f"{folder}/{module_key(t)}.lock") != pid]
    if missing and len(missing) < len(wanted):
        names = ", ".join(tree.module or tree.objtree for tree in missing)
        raise UsageError(
            f"another kdeps watch (pid {pid}) runs without {names}: end it, or watch only these here"
        )
    modules: dict[Key, ModuleStatus] = {}
    told: dict[Key, tuple[str, str]] = {}
    stopped = False

    def end(_number: int) -> NoReturn:
        show.end()
        raise SystemExit(0)

    handlers = {**show.handlers(), signal.SIGTERM: end, signal.SIGHUP: end}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, Reactor(handlers):
        try:
            connection.connect(f"{folder}/{pid}.socket")
        except OSError:
            return False
        for line in _read_lines(connection):
            if line is None:
                if is_stopped(pid) != stopped:
                    stopped = not stopped
                    _show_stopped(show, list(modules.values()), pid, stopped=stopped)
                continue
            document = json.loads(line)
            key = (document["tree"]["objtree"], document["tree"]["module"])
            if wanted and key not in wanted:
                continue
            if key not in modules:
                if not modules:
                    show.log(f"showing what the running watch (pid {pid}) finds")
                if wanted:
                    args = tuple(document["watch"]["args"])
                    _require_same_build(wanted[key], find_tree(args, cwd, environ), args, pid)
            status = modules[key] = parse_status(document["watch"])
            answer = (status.status, status.headline)
            if status.state is Activity.CURRENT and told.get(key) != answer:
                told[key] = answer
                show.tell(status, line.decode("utf-8", "replace"))
            show.draw(list(modules.values()))
            stopped = False
    if not modules:
        return False
    raise KdepsError(f"the watch that was shown (pid {pid}) has ended: start this one again to go on")


def _read_lines(connection: socket.socket) -> Iterator[bytes | None]:
    """Read lines until the other end hangs up; None if nothing has come for a while."""
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


def parse_status(document: Json) -> ModuleStatus:
    """Read the ``watch`` part of a document of another watch, perhaps of another release."""
    known = {name: value for name, value in document.items() if name in ModuleStatus._fields}
    return ModuleStatus(**known)._replace(state=Activity(document["state"]))  # type: ignore[arg-type]


def _show_stopped(show: Show, modules: list[ModuleStatus], pid: int, *, stopped: bool) -> None:
    """Show that the other watch is stopped, so that its last verdict means nothing, or that it goes on."""
    if not modules:
        raise UsageError(
            f"another kdeps watch (pid {pid}) has this module, and is stopped: continue or end it"
        )
    show.log(f"the watch that is shown (pid {pid}) {'is stopped' if stopped else 'goes on'}")
    why = f"the watch (pid {pid}) is stopped"
    unknown = [status._replace(status=Status.UNKNOWN.value, headline=why) for status in modules]
    show.draw(unknown if stopped else modules)


def _require_same_build(ours: Tree, theirs: Tree, args: tuple[str, ...], pid: int) -> None:
    """Refuse to show the verdict on another build: ``LLVM=1`` there and not here is another question."""
    if _what_matters(ours) != _what_matters(theirs):
        raise UsageError(
            f"another kdeps watch (pid {pid}) has this module with other arguments ({' '.join(args)}): end it first"
        )


def _what_matters(tree: Tree) -> frozenset[str]:
    return frozenset(word for word in tree.args.for_kernel if not word.startswith(_HOW))
