# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A watch on a miniature tree: real files, real events, a real make."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns.watch.watch_process import check
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import validate
from tests.support.watching import PATIENCE_S, M, StartWatch, run, same_as_check, verdict, wait


def test_a_save_is_seen_and_so_is_the_build_that_follows(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """Fresh, stale after an edit, fresh after the refresh and the module's build, each as ``check`` has it."""
    watch = start_watch()
    assert verdict(watch) == "fresh"
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)
    tree.make("modules_prepare")
    tree.make(M)
    wait(lambda: verdict(watch) == "fresh")
    assert same_as_check(watch, tree, env)
    assert watch.missed == 0


def test_every_line_follows_the_schema_of_check(tree: Miniature, start_watch: StartWatch) -> None:
    """One object a line on standard output, in the schema of ``check --format json``."""
    watch = start_watch()
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: verdict(watch) == "stale")
    shutil.rmtree(tree.objtree)
    wait(lambda: verdict(watch) == "unknown")
    documents = [json.loads(line) for line in watch.log.read_text().splitlines()]
    for document in documents:
        validate(document, "verdict")
    assert [d["verdict"] for d in documents][:2] == ["fresh", "stale"]
    assert documents[-1]["verdict"] == "unknown"


@pytest.mark.parametrize("options", [(), ("--poll",)], ids=["events", "polling"])
def test_new_files_folders_and_links_are_followed(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch, options: tuple[str, ...]
) -> None:
    """A folder moved away and back, replaced by a copy, made a link; a file behind the link edited."""
    watch = start_watch(options=options)
    folder = tree.srctree / "rust/kernel"
    aside = tree.srctree / "rust/kernel.aside"
    folder.rename(aside)
    assert same_as_check(watch, tree, env)
    folder.symlink_to("kernel.aside")
    assert same_as_check(watch, tree, env)
    tree.append("rust/kernel/io.rs", "// edited\n")
    assert same_as_check(watch, tree, env)
    assert verdict(watch) == "stale"
    folder.unlink()
    shutil.copytree(aside, folder)
    assert same_as_check(watch, tree, env)
    tree.append("rust/kernel/lib.rs", "// edited\n")
    assert same_as_check(watch, tree, env)
    assert watch.missed == 0


def test_a_tree_that_is_deleted_is_unknown_until_it_is_back(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """The object tree goes and is built anew: unknown, then what a check says; then an edit is seen."""
    watch = start_watch()
    saved = tree.root / "saved"
    shutil.copytree(tree.objtree, saved, symlinks=True)
    shutil.rmtree(tree.objtree)
    wait(lambda: verdict(watch) == "unknown")
    shutil.copytree(saved, tree.objtree, symlinks=True)
    assert same_as_check(watch, tree, env)
    tree.append("include/linux/pci.h", "/* edited */\n")
    assert same_as_check(watch, tree, env)
    assert verdict(watch) == "stale"


def test_several_modules_and_all_of_them(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """``M=a M=b`` are two verdicts; ``--all-modules`` is every one with a record, also one that is built later."""
    samples = "samples/rust"
    watch = start_watch(options=("--all-modules",))
    wait(lambda: set(watch.last) == {MODULE})
    tree.make(f"M={samples}")
    wait(lambda: verdict(watch, samples) == "fresh", "the new module")
    watch.close()
    both = start_watch(M, f"M={samples}")
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: verdict(both) == "stale" and verdict(both, samples) == "stale")
    assert same_as_check(both, tree, env, M, f"M={samples}")


def test_lines_for_a_log(tree: Miniature, env: dict[str, str]) -> None:
    """Not a terminal: one line for each change, and the end at the first stale verdict if that was asked for."""
    tree.append("rust/kernel/io.rs", "// edited\n")
    done = run(tree, env, "--on-stale=fail", *tree.tree_args, M)
    assert (done.returncode, done.stderr) == (1, "")
    line = done.stdout.strip()
    assert line[10] == "T"
    assert line[20:].startswith(f"{MODULE}: stale: crate `kernel` is older than rust/kernel/io.rs, changed ")
    assert "\n" not in line


def test_check_does_not_care_whether_a_watch_runs(
    tree: Miniature, env: dict[str, str], start_watch: StartWatch
) -> None:
    """The same answer with and without, and while the watch is stopped."""
    words = [*tree.tree_args, M]
    tree.append("rust/kernel/io.rs", "// edited\n")
    without = check(words, str(tree.srctree), env)
    watch = start_watch()
    assert check(words, str(tree.srctree), env) == without
    watch.process.send_signal(signal.SIGSTOP)
    tree.append("rust/kernel/lib.rs", "// edited\n")
    assert check(words, str(tree.srctree), env) != without
    watch.process.send_signal(signal.SIGCONT)


def _is_writing(pid: int) -> bool:
    """Whether a process is in ``write(1, …)``."""
    number = {"x86_64": "1", "aarch64": "64"}[os.uname().machine]
    return Path(f"/proc/{pid}/syscall").read_text().startswith(f"{number} 0x1 ")


@pytest.mark.parametrize("output", ["--format=text", "--format=json"])
def test_it_ends_although_its_reader_does_not_read(tree: Miniature, env: dict[str, str], output: str) -> None:
    """``kdeps watch | less``, and nobody turns the page."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    while select.select([], [writer], [], 0)[1]:
        os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    watch = subprocess.Popen(
        [sys.executable, "-m", "kdeps", "watch", output, *tree.tree_args, M],
        cwd=tree.srctree, env=env, stdin=subprocess.DEVNULL, stdout=writer,
    )  # fmt: skip
    try:
        wait(lambda: _is_writing(watch.pid))
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(PATIENCE_S) == 0
    finally:
        watch.kill()
        watch.wait()
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)]
)
def test_it_ends_when_told_to(start_watch: StartWatch, number: signal.Signals, status: int) -> None:
    """With the status for it, and no files left but the lock's."""
    watch = start_watch()
    watch.process.send_signal(number)
    assert watch.process.wait(PATIENCE_S) == status
    assert [path.suffix for path in (watch.runtime / "kdeps").iterdir()] == [".lock"]


def test_what_cannot_be_watched_at_all_is_an_error(tree: Miniature, env: dict[str, str]) -> None:
    """No tree, no module folder, an unknown option: one line, exit 2."""
    for words in (("-C", "/nonexistent", M), (*tree.tree_args, "M=nowhere"), ("--frobnicate", M)):
        done = run(tree, env, *words)
        assert done.returncode == 2
        assert done.stderr.startswith("kdeps: error: ")
        assert done.stderr.count("\n") == 1
