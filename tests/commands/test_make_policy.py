# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` decides what to do: refresh, warn or fail; and it says what it did not check."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdeps.cli.exits import Exit
from tests.support.make_wrapper import NEW, ROOT, M, Wrapped
from tests.support.miniature import Miniature


def test_a_kernel_that_is_not_plain_is_said_to_be_unchecked(make: Wrapped) -> None:
    """A GNUmakefile in front of the kernel's names the object tree: make builds, and nobody shall think it was judged."""
    makefile = make.tree.srctree / "GNUmakefile"
    makefile.write_text(f"export KBUILD_OUTPUT := {make.tree.objtree}\ninclude Makefile\n")
    for option, status in ((), 0), (("--on-stale=fail",), 1):
        done = make.call(*option, M, cwd=make.tree.srctree)
        assert done.returncode == status
        assert done.stderr.startswith("kdeps: warning: not checked, ")


def test_warn_says_it_and_leaves_the_tree_alone(make: Wrapped) -> None:
    """make runs; the crate is as old as before."""
    make.add_code()
    kernel = make.tree.objtree / "rust/kernel.o"
    before = kernel.stat().st_mtime_ns
    done = make.run("--on-stale=warn", M)
    assert done.returncode == 0
    assert "kdeps: warning: stale: crate `kernel` is older" in done.stderr
    assert f"to do so: make O={make.tree.objtree} modules_prepare" in done.stderr
    assert kernel.stat().st_mtime_ns == before
    assert make.makes()[-1]


@pytest.mark.parametrize("how", ["option", "variable"])
def test_fail_runs_no_make(make: Wrapped, how: str) -> None:
    """Exit 1, one line that says it was kdeps, and how to go on."""
    make.add_code()
    words = ("--on-stale=fail", M) if how == "option" else (M,)
    done = make.run(*words, env={} if how == "option" else {"KDEPS_ON_STALE": "fail"})
    assert done.returncode == Exit.STALE
    assert "kdeps: error: the build is stale (--on-stale=fail), so make was not run" in done.stderr
    assert make.makes() == []


def test_the_option_wins_over_the_variable(make: Wrapped) -> None:
    """What stands on the command line is meant."""
    make.add_code()
    assert make.run("--on-stale=rebuild", M, env={"KDEPS_ON_STALE": "fail"}).returncode == 0
    assert NEW in make.module()


def test_a_bad_choice_is_refused(make: Wrapped) -> None:
    """Exit 2 for arguments that are wrong for kdeps itself."""
    assert make.run("--on-stale=rebiuld", M).returncode == Exit.ERROR
    done = make.run(M, env={"KDEPS_ON_STALE": "rebiuld"})
    assert done.returncode == Exit.ERROR
    assert "KDEPS_ON_STALE=rebiuld: must be one of rebuild, warn, fail" in done.stderr
    assert make.makes() == []


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_no_refresh_with_other_tools_is_advised(policy: str, make: Wrapped) -> None:
    """Pasted, it would configure the whole kernel anew for a forgotten (or one too many) ``LLVM=1``."""
    make.tree.touch("rust/kernel/io.rs")
    done = make.run(f"--on-stale={policy}", M, "LLVM=1")
    assert "modules_prepare" not in done.stderr
    assert "kdeps: help: the tree was configured without LLVM=" in done.stderr


def test_an_option_of_kdeps_behind_makes_words_is_taken(make: Wrapped) -> None:
    """make would print its whole usage, and in a stale tree so would the refresh."""
    done = make.run(M, "--with=make")
    assert done.returncode == 0
    assert not any("--with" in line for line in make.makes())


def test_a_dry_run_says_what_would_be_refreshed(make: Wrapped) -> None:
    """``-n`` refreshes nothing and says so; under ``fail`` it fails as the build would."""
    make.add_code()
    before = (make.tree.objtree / "rust/kernel.o").stat().st_mtime_ns
    done = make.run("-n", M)
    assert done.returncode == 0
    assert "with -n nothing is refreshed; without it this runs first: make " in done.stderr
    assert make.run("-n", M, "--on-stale=fail").returncode == Exit.STALE
    assert (make.tree.objtree / "rust/kernel.o").stat().st_mtime_ns == before


def test_without_its_object_tree_make_is_said_to_be_unchecked(make: Wrapped) -> None:
    """A forgotten ``O=``: the line that ``check`` has, and no build under ``fail``."""
    done = make.call(M, "--on-stale=fail", cwd=make.tree.srctree)
    assert done.returncode == Exit.STALE
    assert "kdeps: warning: not checked, because " in done.stderr
    assert "name it with O=DIR" in done.stderr


@pytest.mark.parametrize(
    "recipe",
    [
        "./build.sh",
        ". ./build.sh",
        "make -C $$(cat kdir.txt) M=$(CURDIR)",
        "echo M=$(CURDIR) | xargs make -C OBJTREE",
        "k=/nowhere; test -s kdir.txt && k=$$(cat kdir.txt); make -C $$k M=$(CURDIR)",
        "cd /nowhere || cd OBJTREE; make M=$(CURDIR)",
    ],
)
def test_a_makefile_that_is_not_understood_is_said_to_be_unchecked(recipe: str, make: Wrapped) -> None:
    """It was built unchecked and silently, ``--on-stale=fail`` too."""
    tree = make.tree
    recipe = recipe.replace("OBJTREE", str(tree.objtree))
    (tree.external / "Makefile").write_text(f"obj-m := hello.o\nall:\n\t{recipe}\n")
    (tree.external / "kdir.txt").write_text(f"{tree.objtree}\n")
    (tree.external / "build.sh").write_text("#!/bin/sh\n")
    (tree.external / "build.sh").chmod(0o755)
    for option, status in ((), 0), (("--on-stale=fail",), Exit.STALE):
        done = make.call(*option, cwd=tree.external)
        assert done.returncode == status, done.stderr
        assert "kdeps: warning: not checked, because " in done.stderr


def test_a_forgotten_tool_family_does_not_reconfigure_the_kernel(make: Wrapped) -> None:
    """``LLVM=1`` where the kernel was configured without: a slip to point out, not to carry out."""
    before = (make.tree.objtree / "include/config/auto.conf").read_text()
    done = make.run(M, "LLVM=1")
    assert done.returncode == Exit.STALE
    assert "a refresh cannot help here" in done.stderr
    assert (make.tree.objtree / "include/config/auto.conf").read_text() == before
    assert make.makes() == []


@pytest.mark.skipif(not ROOT, reason="only root can be root")
def test_root_does_not_write_into_somebody_elses_tree(make: Wrapped) -> None:
    """It warns (DKMS, ``sudo make``), unless asked to refresh."""
    make.add_code()
    os.chown(make.tree.objtree, 12345, 12345)
    done = make.run(M)
    assert done.returncode == 0
    assert "kdeps: warning: stale" in done.stderr
    assert NEW not in make.module()
    assert make.run("--on-stale=rebuild", M).returncode == 0
    assert NEW in make.module()


def test_the_folder_of_mo_is_that_of_a_module(tree: Miniature, tmp_path: Path) -> None:
    """Kbuild's Makefile there exports KBUILD_EXTMOD: every make in it builds the module, so a refresh goes elsewhere."""
    tree.make(M, "clean")
    make = Wrapped(tree, tmp_path)
    output = tmp_path / "output"
    output.mkdir()
    assert make.run(M, f"MO={output}").returncode == 0
    make.add_code()
    assert make.call("--on-stale=fail", cwd=output).returncode == Exit.STALE
    done = make.call(cwd=output)
    assert done.returncode == 0, done.stderr
    assert f"refreshing: make -C {tree.objtree} modules_prepare" in done.stderr
    assert NEW in (output / "nova-core.ko").read_text()
