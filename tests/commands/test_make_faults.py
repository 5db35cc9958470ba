# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` after accidents: killed processes, full disks, read-only trees."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kdeps.cli.exits import Exit
from tests.support.make_wrapper import NEW, ROOT, M, Wrapped, wait_for


def test_no_cache_directory_costs_time_and_nothing_else(make: Wrapped) -> None:
    """Neither the lock nor the memory can be had; the build is right all the same."""
    make.add_code()
    done = make.run(M, env={"XDG_CACHE_HOME": "/proc/nowhere"})
    assert done.returncode == 0
    make.assert_fresh()
    assert NEW in make.module()


@pytest.mark.skipif(not ROOT, reason="mounting needs root")
def test_a_read_only_tree_is_an_error_that_says_so(make: Wrapped) -> None:
    """The refresh cannot write; nothing is built on the old crate."""
    make.add_code()
    (make.tree.objtree / "rust/libbindings.rmeta").unlink()
    mount = f"mount --bind {make.tree.objtree} {make.tree.objtree} && mount -o remount,ro,bind {make.tree.objtree}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} || exit 99; exec "$@"', "sh", *make.command(M)],
        cwd=make.tree.srctree, env=make.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 99:
        pytest.skip("mounting is not possible here")
    assert done.returncode == Exit.STALE
    assert "Read-only file system" in done.stderr
    assert "cannot be refreshed, so make was not run" in done.stderr


FULL = """
mkdir "$1.disk" && mount -t tmpfs -o size=8m disk "$1.disk" && cp -a "$1/." "$1.disk" && mount --bind "$1.disk" "$1" || exit 99
dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null
disk=$1; shift
"$@" >&2; echo "full: $?"
rm "$disk/filler"
"$@" >&2; echo "room: $?"
cat drivers/gpu/nova-core/nova-core.ko
"$@" 2>&1 | grep -c kdeps
"""


@pytest.mark.skipif(not ROOT, reason="mounting needs root")
def test_a_full_disk_fails_and_is_repaired_once_there_is_room(make: Wrapped) -> None:
    """make says why; nothing half-written is taken for fresh afterwards."""
    make.add_code()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", FULL, "sh", str(make.tree.objtree / "rust"), *make.command(M)],
        cwd=make.tree.srctree, env=make.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 99:
        pytest.skip("mounting is not possible here")
    assert "full: 2\n" in done.stdout, done.stderr
    assert "No space left on device" in done.stderr
    assert "room: 0\n" in done.stdout, done.stderr
    assert NEW in done.stdout
    assert done.stdout.endswith("\n0\n")


# -- accidents -------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["start", "dep-info", "metadata", "obj"])
def test_a_compile_that_was_killed_is_repaired_by_the_next_run(make: Wrapped, stage: str) -> None:
    """Whatever it left behind is not taken for fresh."""
    make.add_code()
    broken = make.run(M, env={"MINIATURE_STOP_AFTER": f"kernel:{stage}"})
    done = make.run(M)
    assert done.returncode == 0, (broken.stderr, done.stderr)
    assert NEW in make.module()
    make.assert_fresh()


def test_kdeps_killed_leaves_no_lock_and_no_stale_crate(make: Wrapped) -> None:
    """make goes on alone; the next kdeps waits for it, then finds the work done."""
    first = make.start_slow(2)
    first.kill()
    done = make.run(M)
    assert done.returncode == 0, done.stderr
    assert "waiting for another kdeps" in done.stderr
    assert NEW in make.module()
    make.assert_fresh()
    assert first.stdout is not None
    assert first.stderr is not None
    first.stdout.close()
    first.stderr.close()
    first.wait()


def test_everything_killed_at_once_is_repaired_by_the_next_run(make: Wrapped) -> None:
    """``kill -9`` of kdeps, make and rustc: no lock stays, no half-written file is taken for fresh."""
    first = make.start_slow(20)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    started = time.monotonic()
    done = make.run(M)
    assert time.monotonic() - started < 15
    assert done.returncode == 0
    assert NEW in make.module()
    make.assert_fresh()


def test_make_killed_ends_kdeps_the_same_way(make: Wrapped) -> None:
    """``kill -9`` of the refresh's make alone: the module is not built, and the next run repairs what is left."""
    first = make.start_slow(2)
    before = make.module()
    (child,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert make.module() == before

    done = make.run(M)

    assert done.returncode == 0, done.stderr
    assert NEW in make.module()
    make.assert_fresh()


def test_two_at_once_refresh_once(make: Wrapped) -> None:
    """The second waits for the first and finds nothing left to do."""
    first = make.start_slow(1.5)
    second = (
        make.start("M=samples/rust")
        if (make.tree.srctree / "samples/rust/Makefile").exists()
        else make.start(M)
    )
    told = second.communicate(timeout=60)
    output = first.communicate(timeout=60)[0]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert output.count("RUSTC L rust/kernel.o") == 1
    assert "RUSTC L rust/kernel.o" not in told[0]
    assert f"waiting for another kdeps (pid {first.pid})" in told[1]
    make.assert_fresh()


def test_a_term_signal_reaches_the_refresh(make: Wrapped) -> None:
    """kdeps ends by the same signal; a compiler that outlives make is waited for."""
    first = make.start_slow(4)
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait(timeout=20) == -signal.SIGTERM
    assert make.run(M).returncode == 0
    first.communicate(timeout=20)
    assert NEW in make.module()
    make.assert_fresh()


def test_a_refresh_that_is_ended_takes_its_compilers_with_it(make: Wrapped) -> None:
    """They ignore SIGTERM; make would wait for them."""
    rustc = make.tree.toolchain / "bin/rustc"
    make.run(M)
    real = rustc.rename(rustc.with_name("rustc.real"))
    started = make.tree.root / "compiling"
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in *"--crate-name kernel"*) trap "" TERM; : > {started}; '
        f'while :; do sleep 0.1; done;; esac\nexec {real} "$@"\n'
    )
    rustc.chmod(0o755)
    make.add_code()
    first = make.start(M)
    wait_for(started.exists, "rustc was never started")
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait(timeout=60) == -signal.SIGTERM
    first.communicate(timeout=20)  # no process has its output any more
