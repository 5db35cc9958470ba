# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The memory of builds: what is remembered, what contents prove, and what is noted without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kdeps.contents.memory import load_memory
from kdeps.contents.remember import _Taker
from kdeps.system.stat import is_racy
from tests.conftest import RunKdeps
from tests.support.memory import SOURCE, M, edit_behind_mtime, memory_file, stale_of, take
from tests.support.miniature import Miniature

# -- what check says ---------------------------------------------------------------


def test_touched_only_is_fresh_and_counted(remembered: Miniature, kdeps: RunKdeps) -> None:
    """A newer source with the same content makes nothing stale; make's view stays to be had."""
    remembered.touch(SOURCE)
    by_content = kdeps(remembered, "check", M)
    assert (by_content.returncode, "1 file was only touched" in by_content.stdout) == (0, True), by_content
    assert kdeps(remembered, "check", "--by=time", M).returncode == 1


def test_json_has_both_views(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The verdict by content, and beside it the one by time."""
    path = remembered.touch(SOURCE)
    document = json.loads(kdeps(remembered, "check", "--format=json", M).stdout)
    assert (document["verdict"], document["by_time"]["verdict"]) == ("fresh", "stale")
    assert "rust/kernel.o" in document["by_time"]["stale"]
    assert document["touched"] == [str(path)]


def test_an_edit_with_an_old_mtime_is_seen(remembered: Miniature, kdeps: RunKdeps) -> None:
    """make sees nothing: the file is older than before."""
    edit_behind_mtime(remembered.srctree / SOURCE)
    assert stale_of(kdeps, remembered) == {"rust/kernel.o": ["content-changed"]}
    assert kdeps(remembered, "check", "--by=time", M).returncode == 0


def test_make_builds_what_was_edited_behind_its_mtime(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The refresh removes the artifact, so that make builds it; then all is fresh by content."""
    edit_behind_mtime(remembered.srctree / SOURCE, "// marker\n")
    assert kdeps(remembered, "make", M).returncode == 0
    assert "// marker" in (remembered.objtree / "rust/kernel.o").read_text()
    assert kdeps(remembered, "check", M).returncode == 0


def test_a_config_file_with_an_old_mtime_is_seen(remembered: Miniature, kdeps: RunKdeps) -> None:
    """Another .config was put in place with an older time: no make would sync it."""
    edit_behind_mtime(remembered.objtree / ".config", "# CONFIG_OTHER is not set\n")
    document = json.loads(kdeps(remembered, "check", "--format=json", M).stdout)
    assert [finding["kind"] for finding in document["findings"]] == ["config-not-synced"]


def test_what_plain_make_rebuilt_is_judged_by_time(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The memory describes an artifact that is gone: no alarm about what went into it."""
    remembered.append(SOURCE, "// by make alone\n")
    remembered.make("modules_prepare")
    remembered.make(M)
    assert kdeps(remembered, "check", M).returncode == 0


def test_a_damaged_memory_counts_as_none(remembered: Miniature, kdeps: RunKdeps) -> None:
    """Every flipped byte is noticed; the verdict is that of time."""
    path = memory_file(remembered, remembered.environment())
    whole = path.read_bytes()
    remembered.touch(SOURCE)
    for at in (0, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 4,)) + whole[at + 1 :])
        assert kdeps(remembered, "check", M).returncode == 1, at
    path.write_bytes(whole[: len(whole) // 2])
    assert kdeps(remembered, "check", M).returncode == 1
    path.write_bytes(whole)
    assert kdeps(remembered, "check", M).returncode == 0


# -- what is remembered ------------------------------------------------------------


def test_make_remembers_once_it_has_ended(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """A child process does it in the background, and remembers what was built under kdeps."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    tree.append(SOURCE, "// built under kdeps\n")
    assert kdeps(tree, "make", M, env=cache).returncode == 0
    path = memory_file(tree, cache)
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    tree.touch(SOURCE)
    assert kdeps(tree, "check", M, env=cache).returncode == 0


def test_an_edit_during_the_make_is_not_remembered(
    tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changed after kdeps began may have changed while its compiler ran."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    since_ns = time.time_ns()
    time.sleep(0.02)
    path = tree.srctree / SOURCE
    path.write_text(path.read_text() + "// during the make\n")
    tree.make("modules_prepare")
    tree.make(M)
    take(tree, since_ns)
    memory = load_memory(str(tree.objtree), tree.environment())
    assert memory is not None
    known = memory.entries
    assert known[f"{tree.objtree}/rust/kernel.o"].is_doubtful()
    assert not known[f"{tree.objtree}/rust/core.o"].is_doubtful()


def test_a_stale_step_is_not_remembered(
    tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was built from something that is gone; so nothing proves it later."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree.append(SOURCE, "// not built\n")
    take(tree)
    memory = load_memory(str(tree.objtree), tree.environment())
    assert memory is not None
    assert f"{tree.objtree}/rust/kernel.o" not in memory.entries


def test_who_remembers_late_forgets_nothing(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process has read an empty memory; another fills it, and a file changes, before the first one saves its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    take_all = _Taker.take

    def take_late(taker: _Taker, but: frozenset[str], edited: dict[str, list[str]]) -> bool:
        monkeypatch.setattr(_Taker, "take", take_all)
        take(tree)
        edit_behind_mtime(tree.srctree / SOURCE)
        return taker.take(but, edited)

    monkeypatch.setattr(_Taker, "take", take_late)
    take(tree)
    assert "content-changed" in stale_of(kdeps, tree)["rust/kernel.o"]


def test_racy_stamps() -> None:
    """Fine stamps are racy for a tick of the clock, whole seconds for two of FAT's."""
    now_ns = 1_700_000_100_000_000_000
    assert is_racy((0, 0, 0, 0, now_ns - 10_000_123), now_ns)
    assert not is_racy((0, 0, 0, 0, now_ns - 60_000_123), now_ns)
    assert is_racy((0, 0, 0, 0, now_ns - 1_000_000_000), now_ns)
    assert not is_racy((0, 0, 0, 0, now_ns - 3_000_000_000), now_ns)
    assert is_racy((0, 0, 0, 0, now_ns + 5_000_000_123), now_ns)


# -- without a memory -------------------------------------------------------------------


def build_in_place(tree: Miniature) -> None:
    """Build everything again here, so that ctimes are those of a build and not of a copy."""
    shutil.rmtree(tree.objtree)
    tree.objtree.mkdir()
    for path in tree.module.iterdir():
        if path.suffix not in (".rs", ".c") and path.name not in ("Makefile", "Kconfig"):
            path.unlink()
    tree.build()


def test_a_file_put_in_place_late_gets_a_note(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Nothing is remembered, and the times say nothing: fresh, with a note that names the file."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    build_in_place(tree)
    time.sleep(0.02)
    edit_behind_mtime(tree.srctree / SOURCE)
    document = json.loads(kdeps(tree, "check", "--format=json", M, env=cache).stdout)
    assert [(f["kind"], f["verdict"]) for f in document["findings"]] == [("old-mtime", "fresh")]


def test_a_crate_of_another_build_that_is_put_in_place_gets_a_note(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """As by ``cp -p`` from another object tree: the next compile stops with E0460, and until then make says nothing."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    other = tree.copy_to(tmp_path / "other")
    other.append("rust/ffi.rs", "// another build\n")
    other.make("modules_prepare")
    build_in_place(tree)
    time.sleep(0.02)
    crate = tree.objtree / "rust/libffi.rmeta"
    before = crate.stat()
    shutil.copy(other.objtree / "rust/libffi.rmeta", crate)
    os.utime(crate, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "RUSTC" not in tree.make(M).stdout
    (finding,) = json.loads(kdeps(tree, "check", "--format=json", M, env=cache).stdout)["findings"]
    assert (finding["kind"], finding["path"], finding["verdict"]) == ("old-mtime", str(crate), "fresh")
    tree.append(tree.module / "driver.rs", "// edited\n")
    assert "E0460" in tree.make(M, check=False).stderr


@pytest.mark.parametrize("command", [["chmod", "-R", "u+w", "."], ["cp", "-al", ".", "../linked"]])
@pytest.mark.parametrize("where", ["srctree", "objtree"])
def test_no_note_about_a_whole_tree(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, command: list[str], where: str
) -> None:
    """Every file of the sources has a late ctime, or every crate: that is no edit."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    build_in_place(tree)
    time.sleep(0.02)
    subprocess.run(command, cwd=getattr(tree, where), check=True)
    document = json.loads(kdeps(tree, "check", "--format=json", M, env=cache).stdout)
    assert (document["verdict"], document["findings"]) == ("fresh", [])


def test_no_note_about_a_tree_that_was_copied_at_once(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """``make && cp -a``: the last records are a few milliseconds old, and their ctimes those of the copy."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    for _ in range(3):
        build_in_place(tree)
        copy = tree.copy_to(tmp_path / "copy")
        document = json.loads(kdeps(copy, "check", "--format=json", M, env=cache).stdout)
        assert (document["verdict"], document["findings"]) == ("fresh", [])
        shutil.rmtree(copy.root)


def test_the_memory_is_outside_of_the_trees(remembered: Miniature) -> None:
    """It is in the user's cache directory."""
    environ = remembered.environment()
    path = memory_file(remembered, environ)
    assert path.is_file()
    assert not path.is_relative_to(remembered.objtree)


@pytest.mark.parametrize(
    "command", [["chmod", "-R", "u+w", "."], ["cp", "-al", ".", "../linked"], ["cp", "-a", ".", "../back"]]
)
def test_no_note_about_a_small_module_that_is_built_elsewhere(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, command: list[str]
) -> None:
    """A handful of sources is handled as a whole, and what was made from them lies in another folder."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    output = tmp_path / "mo"
    words = (f"M={tree.external}", f"MO={output}")
    tree.make(*words)
    time.sleep(0.02)
    subprocess.run(command, cwd=tree.external, check=True)
    if command[1] == "-a":  # a backup is restored
        shutil.rmtree(tree.external)
        (tree.external.parent / "back").rename(tree.external)
        subprocess.run(["cp", "-a", ".", tree.external.parent / "again"], cwd=tree.external, check=True)
        shutil.rmtree(tree.external)
        subprocess.run(["cp", "-a", tree.external.parent / "again", tree.external], check=True)
    document = json.loads(kdeps(tree, "check", "--format=json", *words, env=cache).stdout)
    assert (document["verdict"], document["findings"]) == ("fresh", [])


def test_a_file_of_a_small_module_gets_a_note(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """It came alone: the Makefile beside it was left as it was."""
    words = (f"M={tree.external}", f"MO={tmp_path / 'mo'}")
    tree.make(*words)
    time.sleep(0.02)
    edit_behind_mtime(next(tree.external.glob("*.rs")))
    cache = {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    document = json.loads(kdeps(tree, "check", "--format=json", *words, env=cache).stdout)
    assert [f["kind"] for f in document["findings"]] == ["old-mtime"]


def test_a_configuration_that_plain_make_synced_is_judged_by_time(
    remembered: Miniature, kdeps: RunKdeps
) -> None:
    """It wrote the same values again, from a Kconfig that has one more comment."""
    synced = remembered.objtree / "include/config/auto.conf"
    before = synced.read_bytes()
    remembered.append("Kconfig", "\n# edited\n")
    remembered.make("modules_prepare")
    remembered.make(M)
    assert synced.read_bytes() == before
    done = kdeps(remembered, "check", M)
    assert done.returncode == 0, done.stdout
    assert kdeps(remembered, "check", "--by=time", M).returncode == 0


def test_what_plain_make_built_later_is_not_taken_for_what_is_remembered(
    remembered: Miniature, kdeps: RunKdeps
) -> None:
    """The memory has an older build: a backup that is moved back after a plain make gets its note all the same."""
    source = remembered.srctree / SOURCE
    backup = source.with_name("backup")
    shutil.copy2(source, backup)
    remembered.append(SOURCE, "// edited\n")
    remembered.make("modules_prepare")
    remembered.make(M)
    backup.rename(source)
    document = json.loads(kdeps(remembered, "check", "--format=json", M).stdout)
    assert "old-mtime" in [finding["kind"] for finding in document["findings"]]
