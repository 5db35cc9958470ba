# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""check --exact: Kbuild's own answer, asked and not executed."""

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

from kdeps.system.landlock import kept_from_writing
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.verdict import M, direct, judged, kinds


@pytest.mark.parametrize(
    "words",
    [
        ("KRUSTFLAGS=-Cdebuginfo=1",),
        ("--eval=override KRUSTFLAGS:=-Cdebuginfo=1",),
        ("-E", "override KRUSTFLAGS:=-Cdebuginfo=1"),
    ],
)
def test_a_flag_on_the_command_line_is_seen_by_exact_only(
    words: tuple[str, ...], tree: Miniature, kdeps: RunKdeps
) -> None:
    """``KRUSTFLAGS=`` changes commands, which no record shows: a note. --exact says which words differ."""
    plain = judged(kdeps, tree, M, *words)
    assert (plain["verdict"], kinds(plain)) == ("fresh", ["command-changed"])

    verdict = judged(kdeps, tree, "--exact", M, *words)

    reasons = [r for rule in verdict["stale"] for r in rule["reasons"] if r["kind"] == "command-changed"]
    assert verdict["verdict"] == "stale"
    assert reasons
    assert all(r["added"] == ["-Cdebuginfo=1"] and r["removed"] == [] for r in reasons)


@pytest.mark.parametrize(
    "env", [{"KBUILD_EXTMOD": MODULE}, {"MAKEFLAGS": f" -- M={MODULE}"}, {"MAKEFLAGS": "Bkn"}]
)
def test_exact_asks_about_the_kernel_whatever_make_inherits(
    env: dict[str, str], tree: Miniature, kdeps: RunKdeps
) -> None:
    """A module in the environment is no part of that question, nor is that an outer make rebuilds all, or nothing."""
    tree.touch("rust/kernel/lib.rs")
    kernel = set(tree.kernel_answer("modules_prepare"))
    words = () if "KBUILD_EXTMOD" in env else (M,)
    done = kdeps(tree, "check", "--exact", "--format=json", *words, env=env)
    assert direct(json.loads(done.stdout), "kernel") == kernel


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_exact_told_to_end_leaves_nothing_behind(number: int, tree: Miniature, tmp_path: Path) -> None:
    """The make that was asked stands in a session of its own: nobody else would end it."""
    temporary, seen = tmp_path / "temporary", tmp_path / "seen"
    temporary.mkdir()
    seen.mkdir()
    with (tree.srctree / "Makefile").open("a") as makefile:
        makefile.write(f"$(shell touch {seen}/asked; sleep 60)\n")
    asking = subprocess.Popen(
        [sys.executable, "-m", "kdeps", "check", "--exact", *tree.tree_args, M],
        cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary)}),
    )  # fmt: skip
    while not (seen / "asked").exists():
        assert asking.poll() is None
        time.sleep(0.02)
    asking.send_signal(number)
    assert asking.wait(20) == (130 if number == signal.SIGINT else -number)
    assert list(temporary.iterdir()) == []
    left = subprocess.run(
        ["pgrep", "-f", f"^make .*{tree.root}"], capture_output=True, text=True, check=False
    )
    assert left.stdout == ""


@pytest.mark.parametrize(
    "name",
    [
        "rust/.kernel.o.cmd",
        "include/config/auto.conf.cmd",
        "include/config/kernel.release",
        "scripts/mod/.modpost.cmd",
    ],
)
@pytest.mark.parametrize(
    "endless", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)], ids=["fifo", "device"]
)
def test_exact_does_not_wait_for_what_has_no_end(
    name: str, endless: Callable[[Path], None], tree: Miniature, kdeps: RunKdeps
) -> None:
    """make would wait at a FIFO in the place of a file that it includes, so it is not started: as check answers."""
    path = tree.objtree / name
    path.unlink()
    endless(path)
    started = time.monotonic()
    plain, exact = (kdeps(tree, "check", *option, M) for option in ((), ("--exact",)))
    assert time.monotonic() - started < 60
    assert (exact.returncode, path.name in exact.stdout + exact.stderr) == (plain.returncode or 2, True)
    assert exact.returncode in (1, 2)


def test_exact_does_not_wait_for_a_makefile_without_end(tree: Miniature, kdeps: RunKdeps) -> None:
    """Of a Makefile that only make reads plain check knows nothing."""
    path = tree.srctree / "scripts/mod/Makefile"
    path.unlink()
    os.mkfifo(path)
    exact = kdeps(tree, "check", "--exact", M)
    assert (exact.returncode, "scripts/mod/Makefile" in exact.stdout) == (2, True), exact.stdout


def test_exact_knows_what_was_never_made(tree: Miniature, kdeps: RunKdeps) -> None:
    """A prerequisite that only a Makefile names, and that never was: stale, with a cause; made, it is fresh."""
    shutil.copy(
        tree.path("rust/kernel/generated_arch_warn_asm.rs.S"), tree.path("rust/kernel/extra_asm.rs.S")
    )
    tree.append(
        "rust/Makefile", "\ntargets += kernel/extra_asm.rs\n$(obj)/kernel.o: $(obj)/kernel/extra_asm.rs\n"
    )
    answer = tree.kernel_answer("modules_prepare")
    # From make 4.4.1 on, a prerequisite that is not there makes its target stale as well.
    assert answer in (["rust/kernel/extra_asm.rs"], ["rust/kernel/extra_asm.rs", "rust/kernel.o"])
    done = kdeps(tree, "check", "--exact", M)
    assert done.returncode == 1
    assert "rust/kernel/extra_asm.rs is missing" in done.stdout
    assert "0 causes" not in done.stdout


def test_exact_does_not_sync_the_configuration(tree: Miniature, kdeps: RunKdeps) -> None:
    """An edited ``.config`` is said to be unsynced; asking Kbuild does not sync it behind one's back."""
    tree.set_config(DEBUG_FS="y")
    before = tree.listing()

    verdict = judged(kdeps, tree, "--exact", M)

    assert [finding["kind"] for finding in verdict["findings"]] == ["config-not-synced"]
    assert "CONFIG_DEBUG_FS: n → y" in verdict["findings"][0]["message"]
    assert tree.listing() == before


def test_the_name_of_a_step_is_nothing_that_could_be_stale(tree: Miniature, kdeps: RunKdeps) -> None:
    """6.12's tools/lib/subcmd takes ``install_headers`` each time, and no such file is made (lts, seed 1, exact 0)."""
    with (tree.srctree / "Makefile").open("a") as makefile:
        makefile.write(
            "QUIET_INSTALL = @printf '  INSTALL %s\\n' $1;\n"
            "modules_prepare: install_headers\n"
            f"install_headers: {tree.srctree}/Makefile\n"
            "\t$(call QUIET_INSTALL, libsubcmd_headers)\n"
        )
    assert "INSTALL libsubcmd_headers" in tree.make("modules_prepare").stdout

    assert direct(judged(kdeps, tree, "--exact", M), "kernel") == set()


def test_another_rustc_is_a_toolchain_change(tree: Miniature, kdeps: RunKdeps) -> None:
    """rustc replaced: the crates are those of another compiler, and M= does not look."""
    tree.set_version("rustc", "1.98.0")

    verdict = judged(kdeps, tree, M)

    assert "toolchain-changed" in [finding["kind"] for finding in verdict["findings"]]
    assert verdict["verdict"] == "stale"


def test_what_looks_closer_at_the_module_is_not_asked_of_the_kernel(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """kdeps make leaves W=1 and CLIPPY=1 off the kernel's build; with them its commands would always differ."""
    log, make = tmp_path / "bin/log", tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec {shutil.which("make")} "$@"\n')
    make.chmod(0o755)
    path = f"{make.parent}:{tree.environment()['PATH']}"
    assert kdeps(tree, "check", "--exact", M, "W=1", "CLIPPY=1", env={"PATH": path}).returncode == 0
    calls = [line.split() for line in log.read_text().splitlines()]
    of_kernel = [words for words in calls if "modules_prepare" in words]
    of_module = [words for words in calls if M in words and "modules" in words]
    assert of_kernel
    assert not any({"W=1", "CLIPPY=1"} & {*words} for words in of_kernel)
    assert any({"W=1", "CLIPPY=1"} <= {*words} for words in of_module)


def test_a_folder_for_objects_that_is_not_there_yet(tree: Miniature, kdeps: RunKdeps) -> None:
    """make makes it; to ask must not."""
    words = (f"M={tree.external}", f"MO={tree.root}/new")
    assert judged(kdeps, tree, "--exact", *words)["verdict"] == "fresh"
    tree.touch("rust/kernel/io.rs")
    assert judged(kdeps, tree, "--exact", *words)["verdict"] == "stale"
    assert not (tree.root / "new").exists()


def test_recipes_of_the_module_write_nothing(tree: Miniature, kdeps: RunKdeps) -> None:
    """A rule for a generated source, one that always runs: make runs such recipes, and they cannot reach the trees."""
    with kept_from_writing([str(tree.root)], str(tree.root)) as restrict:
        if restrict is None:
            pytest.skip("this kernel has no Landlock")
    folder = tree.root / "driver"
    tree.edit(folder / "x.c", "#include <linux/types.h>\nint f(void) {\n")
    tree.edit(folder / "gen.in", tree.path(f"{MODULE}/gpu.rs").read_text())
    tree.edit(folder / "precious", "kept\n")
    kbuild = "obj-m := x.o gen.o\nalways-y += stamp\n$(obj)/gen.rs: $(src)/gen.in\n\tcp $< $@\n"
    tree.edit(folder / "Kbuild", f"{kbuild}$(obj)/stamp: FORCE\n\trm -f $(obj)/precious; date > $@\n")
    before = tree.listing()
    done = kdeps(tree, "check", "--exact", f"M={folder}")
    assert (done.returncode, tree.listing()) == (0, before)
    tree.touch("rust/kernel/io.rs")
    before = tree.listing()
    done = kdeps(tree, "check", "--exact", f"M={folder}")
    assert (done.returncode, tree.listing()) == (1, before)
    tree.make("modules_prepare")
    assert "gen.o" in {name.rpartition("/")[2] for name in tree.rebuilds(f"M={folder}")}
