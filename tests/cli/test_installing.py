# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps make … modules_install: the verdict before, and what is still loaded after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdeps.cli import installing
from tests.conftest import RunKdeps
from tests.support.loaded import build_id_of
from tests.support.machine import FOLDER, Machine, build_module, put_module
from tests.support.miniature import Miniature

GOAL = (f"M={FOLDER}", "modules_install")


def test_a_fresh_module_is_installed_without_a_word(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Nothing stale, nothing to say."""
    done = kdeps(tree, "make", *GOAL, f"MODLIB={tmp_path}/lib")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "lib/updates/nova-core.ko").exists()


@pytest.mark.parametrize("edited", ["rust/kernel/io.rs", f"{FOLDER}/gpu.rs"])
def test_a_stale_module_is_said_in_one_line(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, edited: str
) -> None:
    """make installs it all the same; the line names what it is older than. No refresh, even as root."""
    tree.append(edited, "// edited\n")
    before = tree.listing()
    done = kdeps(tree, "make", *GOAL, f"MODLIB={tmp_path}/lib")
    assert done.returncode == 0
    assert done.stderr.startswith("kdeps: warning: stale: installs a module that is older than its sources: ")
    assert done.stderr.count("\n") == 1
    assert os.path.basename(edited) in done.stderr
    assert (tmp_path / "lib/updates/nova-core.ko").exists()
    assert tree.listing() == before


@pytest.mark.parametrize("edited", ["rust/kernel/io.rs", f"{FOLDER}/gpu.rs"])
def test_a_stale_module_is_refused(tree: Miniature, kdeps: RunKdeps, tmp_path: Path, edited: str) -> None:
    """With --on-stale=fail nothing is installed."""
    tree.append(edited, "// edited\n")
    done = kdeps(tree, "make", "--on-stale=fail", *GOAL, f"MODLIB={tmp_path}/lib")
    assert done.returncode == 1
    assert (
        "kdeps: error: the module that it installs is stale (--on-stale=fail), so make was not run"
        in done.stderr
    )
    assert not (tmp_path / "lib").exists()


def test_only_asking_judges_nothing(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """``-n`` installs nothing, so there is nothing to warn about."""
    tree.append("rust/kernel/io.rs", "// edited\n")
    done = kdeps(tree, "make", "-n", *GOAL, f"MODLIB={tmp_path}/lib")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_still_loaded(
    tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the installation the loaded module is compared with the file."""
    machine = Machine(tmp_path / "machine")
    monkeypatch.setattr(installing, "SYSFS", str(machine.root / "sys"))
    words, cwd, environ = (*tree.tree_args, *GOAL), str(tree.srctree), dict(tree.environment())
    built = put_module(tree, build_module(tmp_path / "new", 2))
    old = tmp_path / "old.ko"
    old.write_bytes(build_module(tmp_path / "old", 1))

    installing.say_still_loaded(words, cwd, environ)
    machine.load(build_id_of(built))
    installing.say_still_loaded(words, cwd, environ)
    assert capsys.readouterr().err == ""

    machine.load(build_id_of(old))
    installing.say_still_loaded(words, cwd, environ)
    assert capsys.readouterr().err == (
        "kdeps: note: nova_core: installed, but another build of it is still loaded; "
        "to load this one: sudo modprobe -r nova_core && sudo modprobe nova_core\n"
    )
    installing.say_still_loaded((*words, "INSTALL_MOD_PATH=/stage"), cwd, environ)
    assert capsys.readouterr().err == ""
