# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Watches of a miniature tree: started, waited for, and ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.campaigns.watch.watch_process import WatchProcess, check
from tests.conftest import CHECKOUT
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"
PATIENCE_S = 60.0
"""Far beyond what anything takes, and no part of any claim."""
StartWatch = Callable[..., WatchProcess]


@pytest.fixture
def env(tree: Miniature, tmp_path: Path) -> dict[str, str]:
    """The environment of a shell in front of a miniature tree."""
    return tree.environment({"PYTHONPATH": str(CHECKOUT), "XDG_RUNTIME_DIR": str(tmp_path / "run")})


@pytest.fixture
def start_watch(tree: Miniature, env: dict[str, str], tmp_path: Path) -> Iterator[StartWatch]:
    """Start watches; all are ended afterwards."""
    started_all: list[WatchProcess] = []

    def start(
        *words: str, options: tuple[str, ...] = (), wrap: tuple[str, ...] = (), **more: str
    ) -> WatchProcess:
        started = WatchProcess(
            [*tree.tree_args, *(words or (M,))], str(tree.srctree), tmp_path / "run",
            options=options, wrap=wrap, env={**env, **more},
        )  # fmt: skip
        started_all.append(started)
        started.wait_current()
        return started

    yield start
    for one in started_all:
        one.close()


def wait(true: Callable[[], object], what: str = "it") -> None:
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until, f"{what} did not come to pass"
        time.sleep(0.01)


def verdict(watch: WatchProcess, module: str = MODULE) -> str:
    """The verdict of the status file, if it is that of this moment."""
    document = watch.status(module)
    return document["verdict"] if document and document["watch"]["state"] == "current" else ""


def same_as_check(watch: WatchProcess, tree: Miniature, env: dict[str, str], *words: str) -> bool:
    """Whether the watch comes to what a fresh check says."""
    words = words or (M,)
    expected = {word[2:]: check([*tree.tree_args, word], str(tree.srctree), env) for word in words}
    return watch.wait_for(expected, PATIENCE_S).keys() == expected.keys()


def run(tree: Miniature, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``kdeps watch`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "kdeps", "watch", *words],
        cwd=tree.srctree, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
