# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Contents decide in a watch as they do in a check, and a watch remembers by itself what a fresh build was made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.system.cache import cache_directory, name_of
from tests.campaigns.watch.watch_process import WatchProcess
from tests.support.memory import SOURCE, M, edit_behind_mtime, memory_file
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import StartWatch, same_as_check, verdict, wait


@pytest.fixture
def remembered(tree: Miniature, env: dict[str, str], start_watch: StartWatch) -> Callable[..., WatchProcess]:
    """Start a watch, and wait until it has remembered the build."""

    def start(*options: str) -> WatchProcess:
        watch = start_watch(options=options)
        wait(memory_file(tree, env).exists, "the memory")
        return watch

    return start


def test_what_was_only_touched_is_fresh(
    tree: Miniature, env: dict[str, str], remembered: Callable[..., WatchProcess]
) -> None:
    watch = remembered()
    tree.touch(SOURCE)
    wait(lambda: (watch.status(MODULE) or {})["watch"]["change"].endswith("io.rs"))
    assert verdict(watch) == "fresh"
    assert same_as_check(watch, tree, env, M)


def test_an_edit_with_an_old_time_is_stale(
    tree: Miniature, env: dict[str, str], remembered: Callable[..., WatchProcess]
) -> None:
    watch = remembered()
    edit_behind_mtime(tree.srctree / SOURCE)
    wait(lambda: verdict(watch) == "stale")
    assert "content-changed" in json.dumps(watch.status(MODULE))
    assert same_as_check(watch, tree, env, M)


def test_it_is_refreshed(tree: Miniature, remembered: Callable[..., WatchProcess]) -> None:
    """make would not see the edit; what make compiled then is as after a build of everything."""
    watch = remembered("--on-stale=rebuild")
    edit_behind_mtime(tree.srctree / SOURCE)
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert verdict(watch) == "fresh"
    built = (tree.objtree / "rust/kernel.o").read_bytes()
    tree.touch(SOURCE)
    tree.make("modules_prepare")
    assert (tree.objtree / "rust/kernel.o").read_bytes() == built


def test_what_was_built_before_is_put_back(
    tree: Miniature, env: dict[str, str], remembered: Callable[..., WatchProcess]
) -> None:
    """An edit, its refresh, the edit undone, and made again: no crate is compiled twice."""
    watch = remembered("--on-stale=rebuild")
    kept = Path(cache_directory(env), "steps", name_of(str(tree.objtree)))

    def when_kept() -> int:
        return kept.stat().st_mtime_ns if kept.exists() else 0

    wait(when_kept, "the first state's steps")
    before, first = (tree.srctree / SOURCE).read_bytes(), when_kept()
    built = (tree.objtree / "rust/kernel.o").read_bytes()
    tree.append(SOURCE, "// other\n")
    wait(lambda: "refreshed in" in watch.log.read_text())
    wait(lambda: when_kept() != first, "the other state's steps")
    other = (tree.objtree / "rust/kernel.o").read_bytes()
    for number, (text, crate) in enumerate([(before, built), (before + b"// other\n", other)]):
        (tree.srctree / SOURCE).write_bytes(text)
        wait(lambda number=number: watch.log.read_text().count(": put back ") == number + 1)  # type: ignore[misc]
        wait(lambda: verdict(watch) == "fresh")
        assert (tree.objtree / "rust/kernel.o").read_bytes() == crate
    assert watch.log.read_text().count("refreshing: make") == 1


def test_nothing_is_remembered_of_a_stale_build(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    tree.append(SOURCE, "// other\n")
    watch = start_watch()
    wait(lambda: verdict(watch) == "stale")
    assert not memory_file(tree, env).exists()
    assert not Path(tree.objtree, "rust/.kdeps").exists()
