# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether a watch would notice a change of whatever a survey looks at."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from kdeps.staleness.check import check_build
from kdeps.staleness.dependencies import list_dependencies
from kdeps.watch.interest import Interest, find_interest

LOOKING = ("stat", "lstat", "listdir", "scandir", "readlink", "access")


@contextmanager
def looked_at() -> Iterator[set[tuple[str, str]]]:
    """Note every path that is stat'ed, opened or listed, and by what."""
    seen: set[tuple[str, str]] = set()

    def noting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if isinstance(path, str | os.PathLike) and kwargs.get("dir_fd") is None:
                seen.add((name, os.path.abspath(path)))
            return real(path, *args, **kwargs)

        return call

    with ExitStack() as stack:
        for name in LOOKING:
            stack.enter_context(mock.patch.object(os, name, noting(name, getattr(os, name))))
        for module in (builtins, os):
            stack.enter_context(mock.patch.object(module, "open", noting("open", module.open)))
        yield seen


def covered(interest: Interest, call: str, path: str) -> bool:
    """Whether a change of a path would be noticed: its own name, or that of the nearest folder above that exists."""
    if path.endswith("/include/config") and call == "listdir":
        return True  # only to see which of the symbols are there, and those are watched by name
    if call in ("listdir", "scandir") and os.path.isdir(path):
        return interest.names.get(os.path.realpath(path), frozenset()) is None
    while path != "/":
        folder, _, name = path.rpartition("/")
        real = os.path.realpath(folder or "/")
        if os.path.isdir(real):
            names = interest.names.get(real, frozenset())
            return names is None or name in names
        path = folder
    return True


def find_uncovered(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> list[str]:
    """What a survey looks at and no watch would tell of.

    kdeps' own cache and Python's library are nobody's business; /dev/null is what a compiler reads when it is asked
    for its version.
    """
    result = check_build(words, cwd, environ)
    interest = find_interest(list_dependencies(result, words, cwd, environ))
    with looked_at() as seen:
        check_build(words, cwd, environ)
    others = (environ.get("XDG_CACHE_HOME") or "/root/.cache", "/proc", os.path.dirname(os.__file__))
    return sorted(
        f"{call} {path}"
        for call, path in seen
        if not covered(interest, call, path) and not path.startswith(others) and path != os.devnull
    )
