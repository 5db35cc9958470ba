# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every command that judges agrees with ``kdeps check``: on what was only touched, and on an edit with an old time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.machine import FOLDER, Machine, build_module, put_module
from tests.support.memory import SOURCE, M, edit_behind_mtime, take
from tests.support.miniature import Miniature
from tests.support.whole_tree import ask, cache, settle, whole

Status = Callable[[RunKdeps, Miniature], int]
__all__ = ["cache", "whole"]


def doctor(kdeps: RunKdeps, tree: Miniature) -> int:
    found = json.loads(kdeps(tree, "doctor", "--format=json", M).stdout)["observations"]
    [verdict] = [each["name"] for each in found if each["section"] == "verdict"]
    return {"fresh": 0, "stale": 1}[verdict]


def explain(kdeps: RunKdeps, tree: Miniature) -> int:
    return int("stale" in kdeps(tree, "explain", M).stdout)


def graph(kdeps: RunKdeps, tree: Miniature) -> int:
    drawn = json.loads(kdeps(tree, "graph", "--format=json", M).stdout)
    stale = any(node.get("state") == "stale" for node in drawn["nodes"])
    assert (drawn["verdict"] == "stale") is stale
    return int(stale)


def page(kdeps: RunKdeps, tree: Miniature) -> int:
    done = kdeps(tree, "graph", "--format=html", M)
    assert (done.returncode, done.stderr) == (0, "")
    return int("has other content than when it was built" in done.stdout)


def install(kdeps: RunKdeps, tree: Miniature) -> int:
    done = kdeps(tree, "make", "--on-stale=fail", M, "modules_install", f"MODLIB={tree.root}/lib")
    return int("the module that it installs is stale" in done.stderr)


def ci_modules(kdeps: RunKdeps, tree: Miniature) -> int:
    return kdeps(tree, "ci", "--scope=modules").returncode


@pytest.mark.parametrize(
    "status",
    [
        lambda kdeps, tree: kdeps(tree, "check", M).returncode,
        lambda kdeps, tree: kdeps(tree, "ci", M).returncode,
        lambda kdeps, tree: kdeps(tree, "why", "kernel", M).returncode,
        ci_modules,
        doctor,
        explain,
        graph,
        page,
        install,
    ],
    ids=["check", "ci", "why", "ci_modules", "doctor", "explain", "graph", "page", "install"],
)
def test_a_module(remembered: Miniature, kdeps: RunKdeps, status: Status) -> None:
    remembered.touch(SOURCE)
    assert status(kdeps, remembered) == 0
    edit_behind_mtime(remembered.srctree / "rust/kernel/lib.rs")
    assert status(kdeps, remembered) == 1


def test_loaded(tree: Miniature, kdeps: RunKdeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    put_module(tree, build_module(tmp_path / "new", 2))
    take(tree)
    machine = Machine(tmp_path / "machine")

    def sources() -> str:
        words = ("loaded", f"--sysroot={machine.root}", "--format=json", f"M={FOLDER}")
        [module] = json.loads(kdeps(tree, *words).stdout)["modules"]
        return str(module["links"][0]["kind"])

    tree.touch(SOURCE)
    assert sources() == "up-to-date"
    edit_behind_mtime(tree.srctree / "rust/kernel/lib.rs")
    assert sources() == "sources-changed"


@pytest.mark.usefixtures("cache")
def test_a_whole_tree(whole: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """The answer that was kept is one by time: it does not count once contents are known."""
    settle(kdeps, whole)
    assert ask(kdeps, whole, f"--record={tmp_path}/ledger")["verdict"] == "fresh"
    source = whole.srctree / "alpha/one.c"
    whole.touch(source)
    assert ask(kdeps, whole)["verdict"] == "fresh"
    edit_behind_mtime(whole.srctree / "beta/two.c")
    for _ in range(2):
        part = ask(kdeps, whole)
        assert part["verdict"] == "stale"
        assert part["unseen"] == ["beta/two.o"]
