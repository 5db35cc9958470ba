# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The order of looking and listening, step by step: real files, real events, no clock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.demo.miniature import MODULE, Miniature
from kdeps.verdict import Status
from kdeps.watch.loop import Options, Watch
from kdeps.watch.view import View


class Silent:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, view: View, document: str) -> None:
        """A verdict."""
        del document
        self.told.append(view.status)

    def log(self, text: str) -> None:
        """Something else."""

    def draw(self, views: list[View]) -> None:
        """Everything as it is now."""

    def close(self) -> None:
        """The end."""


@pytest.fixture
def watch(tree: Miniature, tmp_path: Path) -> Iterator[Watch]:
    """A watch that has looked once, and whose loop nobody turns."""
    environ = tree.environment({"XDG_RUNTIME_DIR": str(tmp_path)})
    words = (*tree.tree_args, f"M={MODULE}")
    watch = Watch([words], str(tree.srctree), environ, Silent(), Options())
    watch._prepare()
    watch._look()  # finds new folders to watch
    watch._look()
    assert watch.told
    yield watch
    watch.close()


def status(watch: Watch) -> Status:
    """The verdict as it was last told."""
    look = watch.modules.first.look
    assert look is not None
    return look.status


def look_early(watch: Watch) -> None:
    """What the loop does once it has been quiet for a moment."""
    watch._take_events(time.monotonic())
    watch.settle.note_early()
    watch._look_early()


def test_an_early_look_is_the_answer_if_nothing_happens(tree: Miniature, watch: Watch) -> None:
    """It is told when the quiet is over, and nothing is looked at a second time."""
    tree.touch("rust/kernel/io.rs")
    look_early(watch)
    looks = watch.looker.looks
    assert status(watch) is Status.FRESH
    watch._look()
    assert watch.looker.looks == looks
    assert status(watch) is Status.STALE


def test_an_early_look_is_void_if_something_changes_after_it(tree: Miniature, watch: Watch) -> None:
    """What it saw was true once, and is never told."""
    path = tree.srctree / "rust/kernel/io.rs"
    found = path.stat()
    tree.touch("rust/kernel/io.rs")
    look_early(watch)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    watch._look()
    assert status(watch) is Status.FRESH
    assert isinstance(watch.show, Silent)
    assert "stale" not in watch.show.told


def test_an_early_look_is_void_if_something_changes_during_it(
    tree: Miniature, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the change was over before the quiet was, and nothing came after it."""
    path = tree.srctree / "rust/kernel/io.rs"
    found = path.stat()
    tree.touch("rust/kernel/io.rs")
    target = watch.modules.first.target
    really_look = target.look

    def look() -> object:
        look = really_look()
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        monkeypatch.undo()
        return look

    monkeypatch.setattr(target, "look", look)
    look_early(watch)
    watch._look()
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
    target = watch.modules.first.target
    really_look = target.look

    def look() -> object:
        look = really_look()
        extra.touch()
        monkeypatch.undo()
        return look

    monkeypatch.setattr(target, "look", look)
    watch._take_events(time.monotonic())
    watch._look()
    until = time.monotonic() + 60
    while watch.settle.pending and time.monotonic() < until:
        watch._look()
    assert status(watch) is Status.STALE
