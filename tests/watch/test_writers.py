# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which program is still writing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from kdeps.system.lock import take_lock
from kdeps.watch.writers import (
    STALE_LOCK_S,
    Repository,
    find_make,
    find_repository,
    identify,
    is_checking_out,
)
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import PATIENCE_S, StartWatch, same_as_check, verdict, wait


def test_a_make_is_found_where_it_stands(tmp_path: Path) -> None:
    """By folder, not by name; and not one that only waits for a person."""
    (tmp_path / "work").mkdir()
    (tmp_path / "m.mk").write_text("all menuconfig:\n\t@sleep 60\n")
    here = identify([str(tmp_path / "work"), str(tmp_path / "nowhere")])
    for goal, is_found in (("all", True), ("menuconfig", False)):
        make = subprocess.Popen(
            ["make", "-f", "../m.mk", goal], cwd=tmp_path / "work", start_new_session=True
        )
        until = time.monotonic() + PATIENCE_S
        while Path(f"/proc/{make.pid}/comm").read_text() != "make\n":
            assert time.monotonic() < until
        found = find_make(here)
        assert (found is not None and found.pid == make.pid) == is_found
        assert find_make(identify([str(tmp_path)])) is None
        os.killpg(make.pid, signal.SIGKILL)
        make.wait()
    while find_make(here) is not None:  # a child of it may take a moment to end
        assert time.monotonic() < until


def test_in_a_modules_folder_only_the_kernels_make_builds(tmp_path: Path) -> None:
    """``make run`` there may boot a machine for hours; Kbuild enters the folder with ``-f KERNEL/Makefile``."""
    (tmp_path / "Makefile").write_text("run:\n\t@touch runs; sleep 60\n")
    here = identify([str(tmp_path)])
    for words, counts in (((), False), (("-f", "Makefile"), True)):
        (tmp_path / "runs").unlink(missing_ok=True)
        make = subprocess.Popen(["make", *words, "run"], cwd=tmp_path, start_new_session=True)
        until = time.monotonic() + PATIENCE_S
        while not (tmp_path / "runs").exists():
            assert time.monotonic() < until
        assert (find_make(frozenset(), here) is not None) == counts
        os.killpg(make.pid, signal.SIGSTOP)
        while find_make(here) is not None:  # stopped: it may stay that way for days
            assert time.monotonic() < until
        os.killpg(make.pid, signal.SIGKILL)
        make.wait()


def test_gits_lock_is_believed_unless_it_was_left_behind(tmp_path: Path) -> None:
    """A fresh lock is a checkout; an old one with no git at work is what a crash has left."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    repository = find_repository(str(tmp_path / "sub"))
    assert repository == Repository(str(tmp_path / ".git"), str(tmp_path))
    assert not is_checking_out(repository)
    lock = Path(repository.lock)
    lock.touch()
    assert is_checking_out(repository)
    assert not is_checking_out(repository, now_s=lock.stat().st_mtime + STALE_LOCK_S + 1)
    assert not is_checking_out(repository, now_s=lock.stat().st_mtime - 3600)  # the clock was set back


def test_a_linked_worktree_has_its_lock_elsewhere(tmp_path: Path) -> None:
    """Its ``.git`` is a file that says where."""
    (tmp_path / "main/.git/worktrees/w").mkdir(parents=True)
    (tmp_path / "w").mkdir()
    (tmp_path / "w/.git").write_text(f"gitdir: {tmp_path}/main/.git/worktrees/w\n")
    repository = find_repository(str(tmp_path / "w"))
    assert repository is not None
    assert repository.lock == f"{tmp_path}/main/.git/worktrees/w/index.lock"


def test_no_answer_while_make_runs(tree: Miniature, env: dict[str, str], start_watch: StartWatch) -> None:
    """A make stands in the object tree: the state says so, and the verdict comes when it ends."""
    watch = start_watch()
    gate = tree.root / "gate"
    os.mkfifo(gate)
    (tree.root / "slow.mk").write_text(f"all:\n\t@touch {tree.objtree}/rust/began; read line < {gate}\n")
    make = subprocess.Popen(["make", "-s", "-f", str(tree.root / "slow.mk")], cwd=tree.objtree, env=env)
    wait((tree.objtree / "rust/began").exists)
    watch.take_said()
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: (watch.status(MODULE) or {})["watch"]["state"] == "building")
    assert f"pid {make.pid}" in (watch.status(MODULE) or {})["watch"]["detail"]
    assert all(said.state != "current" for said in watch.take_said())
    gate.write_text("go on\n")
    assert make.wait(PATIENCE_S) == 0
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)


def test_no_answer_while_another_kdeps_refreshes(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """By ninja, say, which does not stand in the tree: whoever holds the lock and lives is waited for."""
    watch = start_watch()
    lock = take_lock(os.path.realpath(tree.objtree), env, lambda _pid: None)
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: (watch.status(MODULE) or {})["watch"]["state"] == "building")
    assert (watch.status(MODULE) or {})["watch"]["detail"] == f"kdeps make (pid {os.getpid()})"
    assert all('"verdict": "stale"' not in said.answer for said in watch.take_said())
    lock.release()
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)


def test_no_answer_while_git_checks_out(tree: Miniature, start_watch: StartWatch) -> None:
    """git holds its lock: one answer when it lets go. The lock alone is no change."""
    (tree.srctree / ".git").mkdir()
    watch = start_watch()
    looks = (watch.status(MODULE) or {})["watch"]["looks"]
    lock = tree.srctree / ".git/index.lock"
    lock.touch()
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: (watch.status(MODULE) or {})["watch"]["state"] == "checkout")
    tree.append("rust/kernel/lib.rs", "// edited\n")
    assert (watch.status(MODULE) or {})["watch"]["looks"] == looks
    lock.unlink()
    wait(lambda: verdict(watch) == "stale")
    assert [said.state for said in watch.take_said()].count("current") <= 2
