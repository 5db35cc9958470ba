# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``Makefile.snippet`` in a module's own Makefile, on real make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.support.miniature import Miniature

SNIPPET = CHECKOUT / "Makefile.snippet"
NEW = "new_code_of_the_test"
MAKEFILE = """
ifneq ($(KERNELRELEASE),)
obj-m := hello.o
else
KDIR ?= /nowhere
include {snippet}
.PHONY: modules modules_install clean
modules modules_install clean:
\t$(call kdeps-make,-C $(KDIR) M=$(CURDIR) $@)
endif
"""

Make = Callable[..., "subprocess.CompletedProcess[str]"]


def install_kdeps(folder: Path) -> None:
    """Put a ``kdeps`` command into a folder for PATH."""
    folder.mkdir(exist_ok=True)
    command = folder / "kdeps"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m kdeps "$@"\n')
    command.chmod(0o755)


def environment(tree: Miniature, tmp_path: Path, **env: str) -> dict[str, str]:
    """What make gets, ``kdeps`` in PATH; nobody is root unless they say so."""
    install_kdeps(tmp_path / "bin")
    found = tree.environment(
        {
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "KDEPS_ON_STALE": "rebuild",
            "KDIR": str(tree.objtree),
            **env,
        }
    )
    found.pop("PYTEST_CURRENT_TEST", None)
    return {**found, "PATH": f"{tmp_path / 'bin'}:{found['PATH']}"}


@pytest.fixture
def make(tree: Miniature, tmp_path: Path) -> Make:
    """Run make in the folder of a module with the snippet in its Makefile."""
    (tree.external / "Kbuild").unlink()
    (tree.external / "Makefile").write_text(MAKEFILE.format(snippet=SNIPPET))

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *words], cwd=tree.external, env=environment(tree, tmp_path, **env),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def edit_core(tree: Miniature) -> None:
    tree.append("rust/kernel/time.rs", f"pub fn {NEW}() {{}}\n")


def built(tree: Miniature) -> str:
    return (tree.external / "hello.ko").read_text()


def test_make_builds_on_fresh_crates(tree: Miniature, make: Make) -> None:
    """An edit of the core is in the module after a plain ``make``."""
    assert make().returncode == 0
    edit_core(tree)
    done = make()
    assert done.returncode == 0, done.stderr
    assert NEW in built(tree)
    assert tree.kernel_answer("modules_prepare") == []


def test_nothing_stale_nothing_said(make: Make) -> None:
    """And the command is not shown either, unless with ``V=1``."""
    make()
    done = make()
    assert "kdeps" not in done.stdout + done.stderr
    assert "kdeps make -C" in make("V=1").stdout


def test_jobs_are_shared(tree: Miniature, make: Make) -> None:
    """``make -j3`` is one job server from the module's Makefile to the refresh."""
    make()
    edit_core(tree)
    done = make("-j3")
    assert done.returncode == 0
    assert "jobserver unavailable" not in done.stderr
    assert " -j" not in next(line for line in done.stderr.splitlines() if "refreshing:" in line)
    assert NEW in built(tree)


def test_variables_reach_the_kernel(tree: Miniature, make: Make) -> None:
    """``make KRUSTFLAGS=…`` is meant for the module and for what it is built on."""
    done = make("KRUSTFLAGS=-Cdebuginfo=1")
    assert done.returncode == 0, done.stderr
    assert "-Cdebuginfo=1" in (tree.objtree / "rust/.kernel.o.cmd").read_text()


@pytest.mark.parametrize("words", [("-n",), ("clean",), ("modules_install",)])
def test_what_compiles_nothing_refreshes_nothing(tree: Miniature, make: Make, words: tuple[str, ...]) -> None:
    """A dry run, clean and modules_install leave the kernel alone."""
    make()
    edit_core(tree)
    kernel = tree.objtree / "rust/kernel.o"
    before = kernel.stat().st_mtime_ns
    done = make(*words)
    assert "refreshing" not in done.stderr
    assert kernel.stat().st_mtime_ns == before


def takes_as_it_is(tree: Miniature, goal: str) -> bytes | None:
    """What was installed or loaded."""
    path = tree.external / {"modules_install": "lib/updates/hello.ko", "load": "loaded.ko"}[goal]
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize("owner", [0, 12345])
@pytest.mark.parametrize("edited", ["kernel", "module"])
@pytest.mark.parametrize(("goal", "verb"), [("modules_install", "installs"), ("load", "loads")])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root")
def test_a_stale_module_that_is_installed_or_loaded(
    tree: Miniature, make: Make, tmp_path: Path, goal: str, verb: str, edited: str, owner: int
) -> None:
    """One line says so, as root and in a tree of another user too; fail refuses, and nothing is refreshed."""
    makefile = tree.external / "Makefile"
    load = "load:\n\t$(call kdeps-make,load-now)\nload-now:\n\tsudo insmod hello.ko\nendif"
    makefile.write_text(makefile.read_text().replace("\nendif", f"\n{load}", 1))
    loaders = {"sudo": 'exec "$@"', "insmod": 'cp "$1" loaded.ko'}
    assert make(f"MODLIB={tree.external}/lib").returncode == 0
    for name, text in loaders.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    assert "kdeps" not in make(goal, f"MODLIB={tree.external}/lib").stderr
    assert takes_as_it_is(tree, goal) == (tree.external / "hello.ko").read_bytes()
    shutil.rmtree(tree.external / "lib", ignore_errors=True)
    (tree.external / "loaded.ko").unlink(missing_ok=True)
    if edited == "kernel":
        edit_core(tree)
    else:
        tree.append(tree.external / "hello.rs", "// edited\n")
    os.chown(tree.objtree, owner, owner)
    done = make(goal, f"MODLIB={tree.external}/lib", KDEPS_ON_STALE="fail")
    assert (done.returncode, takes_as_it_is(tree, goal)) == (2, None)
    assert f"the module that it {verb} is stale (--on-stale=fail), so make was not run" in done.stderr
    files = (tree.objtree / "rust/kernel.o", tree.external / "hello.ko")
    before = [path.stat().st_mtime_ns for path in files]
    done = make(goal, f"MODLIB={tree.external}/lib", KDEPS_ON_STALE="")
    lines = [line for line in done.stderr.splitlines() if line.startswith("kdeps: ")]
    assert (done.returncode, len(lines)) == (0, 1), done.stderr
    assert lines[0].startswith(f"kdeps: warning: stale: {verb} a module that is older than its sources: ")
    assert takes_as_it_is(tree, goal) == (tree.external / "hello.ko").read_bytes()
    assert [path.stat().st_mtime_ns for path in files] == before


def test_without_kdeps_make_runs_and_one_line_says_so(tree: Miniature, make: Make) -> None:
    """A user who does not have it builds as ever."""
    done = make("KDEPS=kdeps-is-not-here")
    assert done.returncode == 0, done.stderr
    assert (tree.external / "hello.ko").exists()
    assert done.stderr.count("not installed") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root")
def test_root_only_warns_in_a_tree_of_another_user(tree: Miniature, make: Make) -> None:
    """``sudo make``, DKMS: in a tree of another user nothing is refreshed; in a container the tree is root's own."""
    make()
    edit_core(tree)
    os.chown(tree.objtree, 12345, 12345)
    done = make(KDEPS_ON_STALE="")
    assert done.returncode == 0
    assert "kdeps: warning: stale" in done.stderr
    assert "because root would write into a tree of user 12345" in done.stderr
    assert NEW not in built(tree)
    os.chown(tree.objtree, 0, 0)
    assert make(KDEPS_ON_STALE="").returncode == 0
    assert NEW in built(tree)


def test_fail_fails_the_make(tree: Miniature, make: Make) -> None:
    """``KDEPS_ON_STALE=fail`` for a pipeline."""
    make()
    edit_core(tree)
    done = make(KDEPS_ON_STALE="fail")
    assert done.returncode != 0
    assert "so make was not run" in done.stderr


def test_the_three_lines_to_paste_work(tree: Miniature, tmp_path: Path) -> None:
    """What the snippet's head offers instead of the file."""
    head = SNIPPET.read_text().partition("three lines to paste:\n#\n")[2].partition("\n#\n")[0]
    lines = [line.removeprefix("#\t") for line in head.splitlines()]
    assert len(lines) == 3
    (tree.external / "Makefile").write_text("KDIR ?= /nowhere\n" + "\n".join(lines) + "\n")
    edit_core(tree)
    for words in (("modules",), ("modules", "KDEPS=kdeps-is-not-here")):
        done = subprocess.run(
            ["make", *words], cwd=tree.external, env=environment(tree, tmp_path), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert NEW in built(tree)


def test_every_macro_has_its_usage(tmp_path: Path) -> None:
    """Kbuild's own habit: a ``# Usage:`` over each macro."""
    del tmp_path
    text = SNIPPET.read_text()
    for name in ("kdeps-policy", "kdeps-make", "kdeps-check"):
        assert f"\n# {name}\n# Usage:" in text
    assert shutil.which("make")


def test_the_program_hands_out_the_snippet() -> None:
    """Whoever installed the package has no checkout to copy it from."""
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "snippet"], cwd=CHECKOUT, capture_output=True, check=True, timeout=60
    )
    assert done.stdout == SNIPPET.read_bytes()
