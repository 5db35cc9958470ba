# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The order of looking and listening, step by step: real files, real events, no clock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.cli.commands.watch import DESCRIBE
from kdeps.staleness.reasons import Status
from kdeps.watch.loop import Options, Watch
from kdeps.watch.module import ModuleStatus
from kdeps.watch.terminal import Show
from tests.support.miniature import MODULE, Miniature


class Silent(Show):
    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, status: ModuleStatus, document: str) -> None:
        del document
        self.told.append(status.status)


@pytest.fixture
def watch(tree: Miniature, tmp_path: Path) -> Iterator[Watch]:
    """A watch that has looked once, and whose loop nobody turns."""
    # Nothing is remembered: a process that remembers could end at any moment, and its memory names folders to watch.
    environ = tree.environment({"XDG_RUNTIME_DIR": str(tmp_path), "XDG_CACHE_HOME": os.devnull})
    words = (*tree.tree_args, f"M={MODULE}")
    watch = Watch([words], str(tree.srctree), environ, Silent(), Options(), DESCRIBE)
    watch._watch_paths()
    watch._check()  # finds new folders to watch
    watch._check()
    assert watch.published
    yield watch
    watch.close()


def status(watch: Watch) -> Status:
    check = next(iter(watch.modules)).check
    assert check is not None
    return check.status


def check_early(watch: Watch) -> None:
    """What the loop does once it has been quiet for a moment."""
    watch._take_events()
    watch.debounce.note_early()
    watch._check_early()


def test_an_early_check_is_the_answer_if_nothing_happens(tree: Miniature, watch: Watch) -> None:
    """It is told when the quiet is over, and nothing is looked at a second time."""
    tree.append("rust/kernel/io.rs", "// edited\n")
    check_early(watch)
    count = watch.modules.count
    assert status(watch) is Status.FRESH
    watch._check()
    assert watch.modules.count == count
    assert status(watch) is Status.STALE


def test_an_early_check_is_void_if_something_changes_after_it(tree: Miniature, watch: Watch) -> None:
    """What it saw was true once, and is never told."""
    path = tree.srctree / "rust/kernel/io.rs"
    found = path.stat()
    tree.append("rust/kernel/io.rs", "// edited\n")
    check_early(watch)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    watch._check()
    assert status(watch) is Status.FRESH
    assert isinstance(watch.show, Silent)
    assert "stale" not in watch.show.told


def test_an_early_check_is_void_if_something_changes_during_it(
    tree: Miniature, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the change was over before the quiet was, and nothing came after it."""
    path = tree.srctree / "rust/kernel/io.rs"
    found = path.stat()
    tree.append("rust/kernel/io.rs", "// edited\n")
    module = next(iter(watch.modules))
    really_check = module.run_check

    def run_check() -> object:
        check = really_check()
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        monkeypatch.undo()
        return check

    monkeypatch.setattr(module, "run_check", run_check)
    check_early(watch)
    watch._check()
    assert status(watch) is Status.FRESH


def test_a_name_that_is_of_interest_only_since_this_look_is_not_missed(
    tree: Miniature, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build names a new source in a folder that is watched already; it changes while that record is read."""
    record = next(tree.objtree.glob("rust/.kernel.o.cmd"))
    extra = tree.srctree / "rust/kernel/extra.rs"
    extra.write_text("")
    os.utime(extra, ns=(0, 0))
    text = record.read_text()
    io = next(line for line in text.splitlines() if line.strip().endswith("kernel/io.rs \\"))
    record.write_text(text.replace(io, f"{io}\n{io.replace('io.rs', 'extra.rs')}"))
    module = next(iter(watch.modules))
    really_check = module.run_check

    def run_check() -> object:
        check = really_check()
        extra.touch()
        monkeypatch.undo()
        return check

    monkeypatch.setattr(module, "run_check", run_check)
    watch._take_events()
    watch._check()
    until = time.monotonic() + 60
    while watch.debounce.pending and time.monotonic() < until:
        watch._check()
    assert status(watch) is Status.STALE
