# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A tree with a memory of its build, and edits that times do not show."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from kdeps.contents.memory import memory_key
from kdeps.contents.remember import remember
from kdeps.staleness.check import CheckResult, check_build
from kdeps.system.cache import cache_directory, name_of
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"
SOURCE = "rust/kernel/io.rs"
HEADER = "include/linux/pci.h"
OLD_NS = 100_000_000_000


def memory_file(tree: Miniature, environ: dict[str, str]) -> Path:
    """The file that has the memory of a tree."""
    return Path(cache_directory(environ), "builds", name_of(memory_key(str(tree.objtree))))


@pytest.fixture
def remembered(tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    """A built miniature with a memory of what each artifact was built from."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    take(tree)
    return tree


def look(tree: Miniature) -> CheckResult:
    return check_build((*tree.tree_args, M), str(tree.srctree), tree.environment())


def take(tree: Miniature, since_ns: int | None = None) -> None:
    """Remember the build as it is, once nothing in it is racy any more."""
    time.sleep(0.06)
    remember(look(tree), tree.environment(), time.time_ns() if since_ns is None else since_ns)


def edit_behind_mtime(path: Path, text: str = "// other\n") -> None:
    """Put other content in place by a rename, with an older time: ``mv io.rs.orig io.rs``."""
    new = path.with_name(path.name + ".orig")
    new.write_text(path.read_text() + text)
    before = path.stat().st_mtime_ns
    os.utime(new, ns=(before - OLD_NS, before - OLD_NS))
    new.rename(path)


def stale_of(kdeps: RunKdeps, tree: Miniature, *options: str) -> dict[str, list[str]]:
    """Ask for JSON; give each directly stale target its kinds of reasons."""
    document = json.loads(kdeps(tree, "check", "--format=json", *options, M).stdout)
    return {
        state["target"]: [reason["kind"] for reason in state["reasons"]]
        for state in (*document["stale"], *document["pending"])
        if any(reason["kind"] != "stale-prerequisite" for reason in state["reasons"])
    }
