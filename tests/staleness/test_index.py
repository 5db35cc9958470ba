# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The index of ``kdeps ci --scope=tree``: it saves time, and never changes an answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.kbuild.tree import find_tree
from kdeps.staleness.index import Index
from tests.conftest import RunKdeps
from tests.support.elf_objects import put
from tests.support.miniature import Miniature
from tests.support.schemas import read_json
from tests.support.whole_tree import archive, ask, environment, record, rules_of, settle

pytestmark = pytest.mark.usefixtures("cache")


def test_an_answer_that_still_holds_reads_no_record(whole: Miniature, kdeps: RunKdeps) -> None:
    """The same report, with no record opened; not even after a make that had nothing to do.

    Such a make makes and deletes files in the object tree all the same.
    """
    settle(kdeps, whole)
    for folder in ("", "include/config/", "alpha/"):
        (whole.objtree / f"{folder}.tmp_1").mkdir()
        (whole.objtree / f"{folder}.tmp_1").rmdir()
    script = (
        "import sys, kdeps.kbuild.records as r; r.RecordReader.read = None\n"
        "from kdeps.cli.main import main; sys.argv = ['kdeps', *sys.argv[1:]]; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "ci", "--scope=tree", "--format=json", *whole.tree_args],
        cwd=whole.srctree, env=environment(whole), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warm = read_json(done.stdout)["modules"][0]
    assert warm["stats"]["rules"] == len(rules_of(whole))


CHANGES: dict[str, Callable[[Miniature], object]] = {
    "a source is newer": lambda tree: tree.touch("alpha/one.c"),
    "a header is newer": lambda tree: tree.touch("rust/kernel/io.rs"),
    "a target is older": lambda tree: os.utime(tree.objtree / "vmlinux", ns=(0, 0)),
    "a target is gone": lambda tree: (tree.objtree / "beta/two.o").unlink(),
    "a target is empty, its time kept": lambda tree: put(tree.objtree / "beta/two.o", b""),
    "a record is gone": lambda tree: (tree.objtree / "beta/.two.o.cmd").unlink(),
    "a record is cut, its time kept": lambda tree: put(tree.objtree / "beta/.two.o.cmd", b""),
    "a record is new": lambda tree: record(tree, "drivers/new.txt", "cp vmlinux drivers/new.txt", tree.srctree / "none"),
    "a list names more": lambda tree: tree.edit(
        tree.objtree / ".built-in.a.cmd",
        f"savedcmd_built-in.a := {archive('built-in.a', '', 'alpha/built-in.a', 'beta/built-in.a', 'x.o')}\n",
    ),
    "a dep-info is left": lambda tree: tree.edit(tree.objtree / "alpha/.one.o.d", "x"),
    "a prerequisite is a folder that cannot be entered": lambda tree: (tree.srctree / "alpha").rename(
        tree.srctree / "alpha-away"
    ),
    "a stray crate lies beside the crates": lambda tree: shutil.copy(
        tree.objtree / "rust/libkernel.rmeta", tree.objtree / "rust/libkernel-2.rmeta"
    ),
    "an artifact that was looked into is another, its time kept": lambda tree: replace(
        tree.objtree / "rust/libkernel.rmeta", b"rustc ", b"rustc 1.0, not "
    ),
    "the configuration is newer": lambda tree: tree.edit(tree.objtree / ".config", "CONFIG_NEW=y\n"),
}  # fmt: skip


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Put other words into a file, and its time back."""
    data = path.read_bytes()
    assert old in data
    put(path, data.replace(old, new))


@pytest.mark.parametrize("name", CHANGES)
def test_with_the_index_and_without_it_the_answer_is_the_same(
    name: str, whole: Miniature, kdeps: RunKdeps, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes behind an answer that was kept, it is seen."""
    settle(kdeps, whole)
    CHANGES[name](whole)
    first, again = ask(kdeps, whole), ask(kdeps, whole)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "none"))
    anew = ask(kdeps, whole)
    for part in (first, again, anew):
        del part["stats"]["elapsed_ms"]
    assert first == again == anew
    assert anew["verdict"] != "fresh"


def index_of(cache: Path, part: str) -> Path:
    (path,) = (cache / "kdeps" / part).iterdir()
    return path


@pytest.mark.parametrize("part", ["trees", "rules"])
@pytest.mark.parametrize("at", [0, 8, 20, 40, 0.3, 0.9, -1])
def test_a_flipped_bit_costs_time_and_never_an_answer(
    at: float, part: str, whole: Miniature, kdeps: RunKdeps, cache: Path
) -> None:
    settle(kdeps, whole)
    path = index_of(cache, part)
    data = bytearray(path.read_bytes())
    data[int(len(data) * at) if 0 < at < 1 else int(at)] ^= 0x10
    path.write_bytes(data)
    assert ask(kdeps, whole)["verdict"] == "fresh"
    path.write_bytes(data)
    whole.touch("alpha/one.c")
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


@pytest.mark.parametrize("part", ["trees", "rules"])
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, "cut", "fifo", "folder", "unreadable"])
def test_what_is_no_index_is_none(
    content: bytes | str, part: str, whole: Miniature, kdeps: RunKdeps, cache: Path
) -> None:
    """Cut off, of another kind, something else in its place."""
    settle(kdeps, whole)
    path = index_of(cache, part)
    data = path.read_bytes()
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content == "fifo":
        os.mkfifo(path)
    elif content == "unreadable":
        path.symlink_to(path)
    else:
        path.write_bytes(data[: len(data) // 2] if content == "cut" else content)  # type: ignore[arg-type]
    assert ask(kdeps, whole)["verdict"] == "fresh"
    whole.touch("beta/two.c")
    assert ask(kdeps, whole)["direct"] == ["beta/two.o"]


def test_the_index_of_another_version_or_tree_is_none(whole: Miniature, kdeps: RunKdeps) -> None:
    settle(kdeps, whole)
    tree = find_tree((*whole.tree_args,), str(whole.srctree), dict(os.environ))
    assert Index(tree, dict(os.environ)).load_answer() is not None
    assert Index(tree._replace(version=(6, 1)), dict(os.environ)).load_answer() is None
    assert Index(tree._replace(srctree="/elsewhere"), dict(os.environ)).load_rules() == {}


def test_two_writers_leave_one_whole_index(whole: Miniature, cache: Path) -> None:
    """Eight at once, three rounds; each answers right, and what is left is whole."""
    time.sleep(1.1)
    command = [sys.executable, "-m", "kdeps", "ci", "--scope=tree", "--format=json", *whole.tree_args]
    for _ in range(3):
        running = [
            subprocess.Popen(
                command, cwd=whole.srctree, env=environment(whole), stdout=subprocess.PIPE, text=True
            )
            for _ in range(8)
        ]
        assert {json.loads(process.communicate()[0])["verdict"] for process in running} == {"fresh"}
    tree = find_tree((*whole.tree_args,), str(whole.srctree), dict(os.environ))
    index = Index(tree, dict(os.environ))
    assert index.load_answer() is not None
    assert len(index.load_rules()) == sum(rule.record is not None for rule in rules_of(whole).values())
    assert list((cache / "kdeps").rglob("*.new")) == []


def test_a_killed_writer_leaves_the_old_index(whole: Miniature, kdeps: RunKdeps) -> None:
    """SIGKILL in the middle of writing: the next look finds the old one, or none, and answers right."""
    settle(kdeps, whole)
    script = (
        "import os, signal, sys\n"
        "os.replace = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from kdeps.cli.main import main; sys.argv = ['kdeps', *sys.argv[1:]]; sys.exit(main())"
    )
    (whole.objtree / "alpha/.one.o.cmd").touch()
    time.sleep(1.1)  # so that the answer may be written
    done = subprocess.run(
        [sys.executable, "-c", script, "ci", "--scope=tree", *whole.tree_args], cwd=whole.srctree, env=environment(whole), check=False,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    whole.touch("alpha/one.c")
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_costs_time_and_nothing_else(whole: Miniature, kdeps: RunKdeps, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs", str(cache)], check=True)
    try:
        time.sleep(1.1)
        for _ in range(2):
            done = kdeps(whole, "ci", "--scope=tree")
            assert (done.returncode, done.stderr) == (0, "")
        assert list((cache / "kdeps").rglob("*.new")) == []
        whole.touch("alpha/one.c")
        assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]
    finally:
        subprocess.run(["umount", str(cache)], check=True)
