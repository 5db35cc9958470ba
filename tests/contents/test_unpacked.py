# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``ci --restore``: what make builds after it is what a clean build makes, whatever the cache was."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kdeps.contents.ledger_file import write_ledger
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.ledger import record
from tests.support.miniature import MODULE, Miniature, Snapshot, ko
from tests.support.unpacked import (
    POISONS,
    SOURCES,
    Poison,
    build_clean,
    destroy_times,
    make_all,
    outputs,
    run_restore,
)

M = f"M={MODULE}"
CASES = 1


@pytest.fixture
def ledger(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> Path:
    """The ledger of a built tree."""
    path = tmp_path / "build.ledger.gz"
    done = kdeps(tree, "ci", f"--record={path}", M)
    assert done.returncode == 0, done.stdout + done.stderr
    return path


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("seed", range(CASES))
def test_what_is_made_after_it_is_what_a_clean_build_makes(
    tree: Miniature, ledger: Path, kdeps: RunKdeps, poison: Poison, seed: int
) -> None:
    """Edits of the new checkout, a cache that lies, times that mean nothing: byte for byte the same."""
    rng = random.Random(seed)
    poison(tree, rng)
    for name in rng.sample(SOURCES, rng.randrange(3)):
        tree.append(
            name, f"\n# of seed {seed}\n" if name.endswith("Kconfig") else f"\n/* of seed {seed} */\n"
        )
    destroy_times(tree, rng)
    said = run_restore(tree, ledger, kdeps)
    make_all(tree)
    made = outputs(tree)
    build_clean(tree)
    clean = outputs(tree)
    differing = [name for name in made.keys() | clean.keys() if made.get(name) != clean.get(name)]
    assert not differing, said


def test_an_edited_configuration_is_synced(
    tree: Miniature, ledger: Path, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """make then makes what it makes of the same edit where times are true."""
    shutil.copytree(tree.root, tmp_path / "before", symlinks=True)
    made = []
    for cached in (False, True):
        tree.append("rust/kernel/io.rs", "/* edited */\n")
        tree.set_config(RUST_OVERFLOW_CHECKS="n", DEBUG_INFO="y")
        if cached:
            destroy_times(tree, random.Random(3))
            said = run_restore(tree, ledger, kdeps)
            assert ".config has other content: include/config/auto.conf" in said
        make_all(tree)
        made.append(outputs(tree))
        if not cached:
            shutil.rmtree(tree.root)
            shutil.move(tmp_path / "before", tree.root)
    assert made[0] == made[1]


@pytest.mark.parametrize("name", ["rust/kernel/io.rs", "include/linux/types.h", f"{MODULE}/gpu.rs"])
def test_make_runs_what_it_would_have_run_here(
    tree: Miniature, ledger: Path, kdeps: RunKdeps, tmp_path: Path, name: str
) -> None:
    """The same steps as in the tree that was built here, where times are true; no source gets another time."""
    shutil.copytree(tree.root, tmp_path / "before", symlinks=True)
    tree.append(name, "/* edited */\n")
    there = tree.rebuilds("modules_prepare") | tree.rebuilds(M)
    shutil.rmtree(tree.root)
    shutil.move(tmp_path / "before", tree.root)
    tree.append(name, "/* edited */\n")
    destroy_times(tree, random.Random(1))
    times = {
        path: path.stat().st_mtime_ns for path in tree.srctree.rglob("*.[rch]*") if path.suffix != ".rmeta"
    }
    run_restore(tree, ledger, kdeps)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert tree.rebuilds("modules_prepare") | tree.rebuilds(M) == there
    assert kdeps(tree, "ci", M).returncode == 0


def test_what_differs_is_said(tree: Miniature, ledger: Path, kdeps: RunKdeps) -> None:
    """The cause, the first step that it concerns, and what builds the rest; a second run says the same."""
    tree.append("rust/kernel/io.rs", "// later\n")
    said = run_restore(tree, ledger, kdeps)
    assert said == (
        f"{MODULE}: 34 of 41 steps are as in the ledger\n"
        "7 steps are left to make:\n"
        "  rust/kernel/io.rs has other content: rust/kernel.o\n"
        f"next: make O={tree.objtree} modules_prepare && make O={tree.objtree} {M}\n"
    )
    assert "34 of 41" in run_restore(tree, ledger, kdeps)
    assert not (tree.objtree / "rust/libkernel.rmeta").exists()


KILLED = """
import os, sys
left = int(os.environ["KILL_AT"])
def limited(real):
    def call(path, *words, **more):
        global left
        if str(path).startswith(os.environ["KILL_IN"]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)
        return real(path, *words, **more)
    return call
os.unlink, os.utime = limited(os.unlink), limited(os.utime)
from kdeps.cli.main import main
sys.exit(main())
"""


def test_a_tree_that_is_built_where_its_sources_lie(
    in_source: Snapshot, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Generated files lie among the sources; none of these is removed."""
    tree = in_source.put(tmp_path / "tree")
    ledger = tmp_path / "ledger"
    assert kdeps(tree, "ci", f"--record={ledger}", M).returncode == 0
    sources = {
        path: path.read_bytes() for path in tree.srctree.rglob("*") if path.suffix in {".rs", ".c", ".h"}
    }
    tree.append("rust/kernel/io.rs", "// later\n")
    generated = tree.srctree / "include/generated/utsrelease.h"
    generated.write_text("/* spoilt */\n")
    destroy_times(tree, random.Random(4))
    said = run_restore(tree, ledger, kdeps)
    gone = {path for path in sources if not path.exists()}
    assert generated in gone
    assert all("generated" in str(path) or (path.suffix == ".c" and ".mod." in path.name) for path in gone), (
        said
    )
    assert {"rust/kernel.o"} <= tree.rebuilds("modules_prepare")
    tree.make(M)
    assert "later" in ko(tree)


def test_who_is_killed_has_blessed_nothing(tree: Miniature, ledger: Path, kdeps: RunKdeps) -> None:
    """Whatever the moment: what is wrong goes first, and the next run does the rest."""
    tree.append("rust/kernel/io.rs", "// later\n")
    destroy_times(tree, random.Random(2))
    wrong = [
        tree.objtree / "rust/kernel.o",
        tree.objtree / "rust/libkernel.rmeta",
        tree.module / "nova_core.o",
    ]
    before = {path: path.stat().st_mtime_ns for path in tree.objtree.rglob("*.o")}
    for at in (0, 1, 4, 12, 25):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, "ci", f"--restore={ledger}", *tree.tree_args, M],
            cwd=tree.srctree, capture_output=True, text=True, check=False,
            env=tree.environment({"PYTHONPATH": str(CHECKOUT), "KILL_AT": str(at), "KILL_IN": str(tree.root)}),
        )  # fmt: skip
        assert done.returncode == -9
        settled = [path for path in before if path.exists() and path.stat().st_mtime_ns != before[path]]
        assert not settled or not any(path.exists() for path in wrong)
    run_restore(tree, ledger, kdeps)
    make_all(tree)
    made = outputs(tree)
    build_clean(tree)
    assert outputs(tree) == made


def test_a_file_that_would_be_read_instead_is_seen(tree: Miniature, ledger: Path, kdeps: RunKdeps) -> None:
    """No input differs, and the step would read another file: earlier on the -I path, or beside its module."""
    tree.edit("rust/kernel/io/mod.rs", "// instead\n")
    said = run_restore(tree, ledger, kdeps)
    assert "another file came or went that it would read instead: rust/kernel.o" in said


@pytest.mark.parametrize("tool", ["rustc", "bindgen", "ld"])
def test_another_tool_of_the_same_name_and_version(
    tree: Miniature, ledger: Path, kdeps: RunKdeps, tool: str
) -> None:
    """Nothing that it made counts as done."""
    path = tree.toolchain / "bin" / tool
    path.write_text(path.read_text() + "\n# another one\n")
    said = run_restore(tree, ledger, kdeps)
    assert said.startswith(f"{MODULE}: 0 of 42 steps")
    assert "is another program of the same name" in said


def test_another_place_is_not_believed(
    tree: Miniature, ledger: Path, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Records that name the place where the tree was: make would run them, and so they are left to it."""
    moved = Miniature(tmp_path / "moved", tmp_path / "moved/build")
    shutil.copytree(tree.root, moved.root, symlinks=True)
    for there in (True, False):
        run_restore(moved, ledger, kdeps)
        assert not (moved.objtree / "rust/kernel.o").exists(), there
        if there:
            shutil.rmtree(tree.root)
    make_all(moved)
    made = outputs(moved)
    build_clean(moved)
    assert outputs(moved) == made


def test_what_is_linked_or_from_the_future_is_built(tree: Miniature, ledger: Path, kdeps: RunKdeps) -> None:
    """A link keeps its file, whose time another tree may need; a time ahead of the clock would hide edits."""
    linked, future = tree.objtree / "rust/kernel.o", tree.module / "nova-core.ko"
    kept, data = tree.objtree / "kept.o", linked.read_bytes()
    linked.rename(kept)
    linked.symlink_to(kept)
    os.utime(tree.touch("rust/kernel/io.rs"))
    os.utime(future, ns=(time.time_ns() + 10**12,) * 2)
    said = run_restore(tree, ledger, kdeps)
    assert "its output is a link" in said
    assert "is in the future: " in said
    assert kept.read_bytes() == data
    assert not linked.exists()
    assert not future.exists()


def test_no_step_reaches_out_of_its_tree(tree: Miniature, ledger: Path, kdeps: RunKdeps) -> None:
    """A folder of the cache that is a link to elsewhere: nothing there is removed, and the answer is an error."""
    elsewhere = tree.root / "elsewhere"
    (tree.objtree / "rust").rename(elsewhere)
    (tree.objtree / "rust").symlink_to(elsewhere)
    before = tree.listing()
    done = kdeps(tree, "ci", f"--restore={ledger}", M)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "outside of the trees" in done.stderr
    assert tree.listing() == before


@pytest.mark.parametrize("data", [b"", b"{}", b"\x1f\x8b\x08", None])
def test_a_ledger_that_cannot_be_read_changes_nothing(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, data: bytes | None
) -> None:
    """One line, exit 2."""
    path = tmp_path / "bad"
    if data is not None:
        path.write_bytes(data)
    before = tree.listing()
    done = kdeps(tree, "ci", f"--restore={path}", M)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert tree.listing() == before


def test_an_old_ledger_proves_nothing(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Those of older versions have neither tools nor records."""
    path = tmp_path / "old"
    ledger = record(tree, tmp_path)
    write_ledger(str(path), ledger._replace(tools={}))
    said = run_restore(tree, path, kdeps)
    assert said.startswith(f"{MODULE}: 0 of 42 steps")
    assert "the ledger is of an older kdeps; write a new one with --record" in said


def test_no_command_calls_stale_what_is_right(
    tree: Miniature, ledger: Path, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Not even for stamps of symbols, which a build with M= does not follow."""
    destroy_times(tree, random.Random(4))
    for stamp in Path(tree.objtree, "include/config").rglob("*"):
        os.utime(stamp)
    run_restore(tree, ledger, kdeps)
    nothing = {"XDG_CACHE_HOME": str(tmp_path / "nothing")}
    done = kdeps(tree, "check", "--by=time", M, env=nothing)
    assert (done.returncode, kdeps(tree, "ci", M, env=nothing).returncode) == (0, 0), done.stdout


def test_a_wrapper_of_a_header_is_not_written_again(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """If make wrote it, everything that reads it would be compiled again: it is given the time of its source."""
    wrapper = tree.edit(
        tree.objtree / "arch/x86/include/generated/asm/mmiowb.h", "#include <asm-generic/mmiowb.h>\n"
    )
    source = tree.edit(tree.srctree / "include/asm-generic/mmiowb.h", "#define X 1\n")
    target = tree.objtree / "rust/helpers/helpers.o"
    cmd = target.with_name(".helpers.o.cmd")
    text = cmd.read_text()
    end = text.index(" := \\\n", text.index("\ndeps_")) + len(" := \\\n")
    cmd.write_text(f"{text[:end]}  arch/x86/include/generated/asm/mmiowb.h \\\n  {source} \\\n{text[end:]}")
    now_ns = time.time_ns()
    for path in (wrapper, source):
        os.utime(path, ns=(0, 0))
    ledger = tmp_path / "build.ledger.gz"
    assert kdeps(tree, "ci", f"--record={ledger}", M).returncode == 0
    os.utime(wrapper, ns=(now_ns - 9 * 10**9,) * 2)
    os.utime(source, ns=(now_ns - 10**9,) * 2)

    run_restore(tree, ledger, kdeps)

    assert source.stat().st_mtime_ns <= wrapper.stat().st_mtime_ns <= target.stat().st_mtime_ns
    assert kdeps(tree, "check", "--by=time", M).returncode == 0
