# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A watch that refreshes: real files, real events, a real make."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.campaigns.watch.watch_process import WatchProcess
from tests.support.miniature import MODULE, Miniature
from tests.support.watching import M, StartWatch, verdict, wait


@pytest.fixture
def env(env: dict[str, str]) -> dict[str, str]:
    """The environment of a watch that remembers nothing: it has to build, and cannot put back."""
    return {**env, "XDG_CACHE_HOME": os.devnull}


def test_it_refreshes_what_is_stale(tree: Miniature, start_watch: StartWatch) -> None:
    """``--on-stale=rebuild`` makes the crates; the module itself is left to its own make."""
    watch = start_watch(options=("--on-stale=rebuild",))
    object_before = (tree.module / "nova_core.o").stat().st_mtime_ns
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert verdict(watch) == "fresh"
    assert tree.rebuilds("modules_prepare") == set()
    assert (tree.module / "nova_core.o").stat().st_mtime_ns == object_before


def test_it_refreshes_what_make_itself_cannot_see(tree: Miniature, start_watch: StartWatch) -> None:
    """A deleted ``libkernel.rmeta``: its object has to go first."""
    watch = start_watch(options=("--on-stale=rebuild",))
    (tree.objtree / "rust/libkernel.rmeta").unlink()
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert (tree.objtree / "rust/libkernel.rmeta").exists()


def test_a_refresh_that_fails_is_not_repeated_until_something_changes(
    tree: Miniature, start_watch: StartWatch
) -> None:
    """A missing source: one try, and a message. The source appears, in no record: another try, which succeeds."""
    tree.make("M=samples/rust")
    watch = start_watch(M, "M=samples/rust", options=("--on-stale=rebuild",))
    tree.append("rust/kernel/lib.rs", "mod kdeps_missing;\n")

    def tries() -> int:
        return watch.log.read_text().count("refreshing: make")

    wait(lambda: watch.log.read_text().count("waiting for the next change") == 2)
    assert tries() == 1
    (tree.srctree / "rust/kernel/.lib.rs.swp").touch()
    wait(lambda: "waiting for the next change" in (watch.status(MODULE) or {})["watch"]["note"])
    assert tries() == 1
    watch.take_said()
    (tree.srctree / "rust/kernel/kdeps_missing.rs").write_text("// here it is\n")
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert tries() == 2
    assert verdict(watch) == "fresh"
    # While it tries again, nobody hears that it has failed.
    assert {one.note for one in watch.take_said() if (one.state, one.module) == ("refreshing", MODULE)} == {
        ""
    }


def test_a_refresh_that_cannot_help_is_not_begun(start_watch: StartWatch) -> None:
    """The tree was configured with another compiler: a person has to act, and is told so."""
    watch = start_watch("CC=another-cc", M, options=("--on-stale=rebuild",))
    wait(lambda: "a refresh cannot help here" in watch.log.read_text())
    assert verdict(watch) == "stale"
    assert "refreshing: make" not in watch.log.read_text()


def test_what_is_edited_while_it_is_compiled_is_made_once_more(
    tree: Miniature, start_watch: StartWatch
) -> None:
    """By its time the object is newer than the edit, so make would never notice; the watch was there."""
    gate, marker = tree.root / "gate", tree.root / "compiling"
    os.mkfifo(gate)
    rustc = tree.toolchain / "bin/rustc"
    watch = start_watch(options=("--on-stale=rebuild",))
    rustc.rename(tree.toolchain / "bin/rustc.real")
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in *crate-name\\ kernel*) [ -e {marker} ] || {{ : > {marker}; read line < {gate}; }};; esac\n'
        'exec "$0.real" "$@"\n'
    )
    rustc.chmod(0o755)
    tree.append("rust/kernel/io.rs", "// edited\n")
    wait(marker.exists)
    tree.append("rust/kernel/lib.rs", "// edited now\n")
    gate.write_text("go on\n")
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert "edited while it was compiled: kernel.o; once more" in watch.log.read_text()
    assert watch.log.read_text().count("refreshing: make") == 2
    assert verdict(watch) == "fresh"


def test_it_ends_its_own_make(tree: Miniature, env: dict[str, str]) -> None:
    """SIGTERM in the middle of a refresh: make is ended, and there is no process left."""
    gate = tree.root / "gate"
    os.mkfifo(gate)
    rustc = tree.toolchain / "bin/rustc"
    rustc.rename(tree.toolchain / "bin/rustc.real")
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in *crate-name*) : > {tree.root}/compiling; read line < {gate};; esac\nexec "$0.real" "$@"\n'
    )
    rustc.chmod(0o755)
    tree.append("rust/kernel/io.rs", "// edited\n")
    watch = WatchProcess(
        [*tree.tree_args, M], str(tree.srctree), Path(env["XDG_RUNTIME_DIR"]), options=("--on-stale=rebuild",), env=env
    )  # fmt: skip
    wait((tree.root / "compiling").exists)
    assert watch.close() == 0
    left = subprocess.run(["pgrep", "-f", str(tree.root)], capture_output=True, text=True, check=False).stdout
    assert left == ""
