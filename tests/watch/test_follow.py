# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A second watch, which shows what the first one finds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from kdeps.watch.debounce import Activity
from kdeps.watch.follow import follow, parse_status
from kdeps.watch.module import ModuleStatus
from kdeps.watch.terminal import Show
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import PATIENCE_S, M, StartWatch, run


def test_a_status_survives_the_journey() -> None:
    """What one watch writes another one reads, also one of a release that has more fields."""
    status = ModuleStatus("m", "stale", "because", 2, 12.5, Activity.MAKE, "make all", "a/b", 13.25, "note")
    assert parse_status({**status.as_json(), "pid": 1, "later": "more"}) == status
    assert status.sentence == "stale: because (and 2 more causes)"


def test_a_socket_that_is_not_there_cannot_be_followed(tmp_path: Path) -> None:
    """The other watch has just ended: the caller has to try again."""
    assert not follow(1, [], str(tmp_path), {"XDG_RUNTIME_DIR": str(tmp_path)}, Show())


def test_a_second_watch_shows_what_the_first_finds_and_ends_with_it(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """Also that the first is stopped, for then nothing is known; and the end is one line with the next step."""
    first = start_watch()
    pid = first.process.pid
    second = subprocess.Popen(
        [sys.executable, "-m", "kdeps", "watch", *tree.tree_args, M],
        cwd=tree.srctree, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert second.stdout is not None
    assert f"showing what the running watch (pid {pid}) finds" in second.stdout.readline()
    assert f"{MODULE}: fresh" in second.stdout.readline()
    tree.append("rust/kernel/io.rs", "// edited\n")
    assert f"{MODULE}: stale: crate `kernel`" in second.stdout.readline()
    first.process.send_signal(signal.SIGSTOP)
    assert f"(pid {pid}) is stopped" in second.stdout.readline()
    third = run(tree, env, *tree.tree_args, M)
    assert (third.returncode, "is stopped: continue or end it" in third.stderr) == (2, True)
    first.process.send_signal(signal.SIGCONT)
    assert f"(pid {pid}) goes on" in second.stdout.readline()
    first.close()
    said, error = second.communicate(timeout=PATIENCE_S)
    assert (second.returncode, said) == (2, "")
    assert (
        error
        == f"kdeps: error: the watch that was shown (pid {pid}) has ended: start this one again to go on\n"
    )


def test_a_second_watch_of_more_modules_names_what_the_first_leaves_out(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """What nobody watches must not seem fresh."""
    tree.make("M=samples/rust")
    first = start_watch()
    done = run(tree, env, *tree.tree_args, M, "M=samples/rust")
    assert done.returncode == 2
    assert f"(pid {first.process.pid}) runs without {tree.srctree}/samples/rust: end it" in done.stderr


def test_only_one_watch_may_act(tree: Miniature, env: dict[str, str], start_watch: StartWatch) -> None:
    """A second one that would refresh, or that means another build, says so and ends."""
    first = start_watch()
    done = run(tree, env, "--on-stale=rebuild", *tree.tree_args, M)
    assert done.returncode == 2
    assert (
        f"another kdeps watch (pid {first.process.pid}) has this module, and only one may act" in done.stderr
    )
    done = run(tree, env, *tree.tree_args, "LLVM=1", M)
    assert done.returncode == 2
    assert "with other arguments" in done.stderr
