# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The user's own commands."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.watch.hooks import Hook
from kdeps.watch.module import ModuleStatus
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import PATIENCE_S, M, StartWatch, verdict, wait


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def hook(tmp_path: Path, logged: list[str]) -> Iterator[Hook]:
    """One whose command is the verdict's name."""
    one = Hook("--exec", 'eval "$KDEPS_MODULE"', dict(os.environ), str(tmp_path), logged.append)
    yield one
    one.stop()


def run_to_end(hook: Hook, command: str) -> None:
    """Run a command, and read what it prints meanwhile."""
    hook.run("{}", ModuleStatus(command, "stale", "", 0, 0.0))
    until = time.monotonic() + PATIENCE_S
    while hook.running:
        assert time.monotonic() < until
        hook.read()
        hook.reap()


def test_what_a_command_prints_is_logged(hook: Hook, logged: list[str]) -> None:
    """Both its outputs, line by line; also a line without an end, and more than a pipe holds."""
    run_to_end(hook, "echo one; echo two >&2; printf three")
    assert logged == ["  one", "  two", "  three"]
    logged.clear()
    run_to_end(hook, "seq 100000")
    assert logged == [f"  {number}" for number in range(1, 100001)]


def test_a_command_that_cannot_be_run_is_told(hook: Hook, logged: list[str], tmp_path: Path) -> None:
    """The folder of the watch is gone, or there is no room for the verdict: the watch goes on."""
    tmp_path.rmdir()
    run_to_end(hook, "true")
    assert logged == [f"the command of --exec cannot be run: {tmp_path}: No such file or directory"]


def test_a_command_gets_the_verdict(tree: Miniature, start_watch: StartWatch, tmp_path: Path) -> None:
    """``--exec``: one run for each new verdict, with it on standard input."""
    out = tmp_path / "out"
    watch = start_watch(options=(f"--exec=cat >> {out}; echo $KDEPS_VERDICT $KDEPS_MODULE >> {out}",))
    wait(lambda: out.exists() and f"fresh {MODULE}" in out.read_text())
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: f"stale {MODULE}" in out.read_text())
    lines = out.read_text().splitlines()
    assert [json.loads(line)["verdict"] for line in lines[::2]] == ["fresh", "stale"]
    assert watch.process.poll() is None


def test_a_command_runs_after_what_ended_fresh(
    tree: Miniature, start_watch: StartWatch, tmp_path: Path
) -> None:
    """``--on-fresh``: not at the start and not for a stale verdict; after the build, and its failure is logged."""
    out = tmp_path / "out"
    watch = start_watch(options=(f"--on-fresh=echo $KDEPS_VERDICT $KDEPS_MODULE >> {out}; exit 3",))
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: verdict(watch) == "stale")
    assert not out.exists()
    tree.make("modules_prepare")
    tree.make(M)
    wait(lambda: verdict(watch) == "fresh")
    wait(lambda: "the command of --on-fresh failed with status 3" in watch.log.read_text())
    assert set(out.read_text().splitlines()) == {f"fresh {MODULE}"}
    runs = len(out.read_text().splitlines())
    tree.append(f"{MODULE}/gpu.rs", "// edited\n")
    tree.make(M)
    wait(lambda: len(out.read_text().splitlines()) > runs, "the run after a build of the module alone")


def test_a_desktop_notification_where_the_verdict_changes(tree: Miniature, start_watch: StartWatch) -> None:
    """``--notify`` calls notify-send with the module and the cause, and not at the start."""
    told = tree.root / "told"
    program = tree.toolchain / "bin/notify-send"
    program.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done >> {told}\n')
    program.chmod(0o755)
    start_watch(options=("--notify",))
    assert not told.exists()
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: told.exists() and told.read_text().count("\n") == 4)
    lines = told.read_text().splitlines()
    assert lines[2] == f"kdeps: {MODULE}"
    assert lines[3].startswith("stale: crate `kernel` is older than rust/kernel/io.rs")


def test_a_notification_that_cannot_be_sent_is_no_loss(tree: Miniature, start_watch: StartWatch) -> None:
    """The program is gone for a moment, as in an upgrade: the watch goes on."""
    program = tree.toolchain / "bin/notify-send"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    watch = start_watch(options=("--notify",))
    program.unlink()
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: verdict(watch) == "stale")
