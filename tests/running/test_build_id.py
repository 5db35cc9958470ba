# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the other commands say of a loaded module: watch beside "fresh", and doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdeps.cli.commands import doctor
from kdeps.cli.commands.watch import DESCRIBE
from kdeps.cli.dispatch import run
from kdeps.running.build_id import find_other_loaded, read_file_id
from kdeps.staleness.reasons import Status
from kdeps.watch import module
from tests.support.loaded import build_id_of
from tests.support.machine import FOLDER, Machine, build_module, put_module
from tests.support.miniature import Miniature


@pytest.fixture
def machine(tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine in a folder, in the place of this one; the tree has a real module."""
    found = Machine(tmp_path / "machine")
    put_module(tree, build_module(tmp_path / "new", 2))
    (tmp_path / "old.ko").write_bytes(build_module(tmp_path / "old", 1))
    (tmp_path / "without.ko").write_bytes(build_module(tmp_path / "without", 2, build_id="none"))
    for command in (module, doctor):
        monkeypatch.setattr(command, "SYSFS", str(found.root / "sys"))
    for name, value in tree.environment().items():  # from here on the compilers are the miniature's
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tree.srctree)
    return found


def load_old(machine: Machine, folder: Path) -> None:
    """Let an older build be loaded."""
    machine.load(build_id_of(folder / "old.ko"))


def test_watch_says_that_the_loaded_module_is_another(
    tree: Miniature, machine: Machine, tmp_path: Path
) -> None:
    """The verdict stays fresh; the line says what is loaded, and a change of that is a change of the answer."""
    environ = tree.environment({"XDG_RUNTIME_DIR": str(tmp_path)})
    watched = module.WatchedModule((*tree.tree_args, f"M={FOLDER}"), str(tree.srctree), environ, DESCRIBE)
    before = watched.run_check()
    assert (before.status, before.headline) == (Status.FRESH, "")
    load_old(machine, tmp_path)
    after = watched.run_check()
    assert (after.status, after.headline) == (Status.FRESH, "but the loaded nova_core is another build")
    assert after.answer != before.answer
    assert after.fingerprint == before.fingerprint


def test_doctor_has_a_line(
    tree: Miniature, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """doctor points at ``kdeps loaded``, and only where something differs."""
    words = (*tree.tree_args, f"M={FOLDER}")
    assert run(["doctor", *words]) == 0
    assert "another build of" not in capsys.readouterr().out
    load_old(machine, tmp_path)
    assert run(["doctor", *words]) == 0
    assert "another build of nova_core is loaded than its file" in " ".join(capsys.readouterr().out.split())


def test_what_is_no_module_is_left_out(machine: Machine, tmp_path: Path) -> None:
    """A file without an id, a damaged one and a module that is not loaded are never called another build."""
    sysfs = str(machine.root / "sys")
    path = tmp_path / "nova-core.ko"
    load_old(machine, tmp_path)
    for data in (b"", b"\x7fELF" + b"\xff" * 200, (tmp_path / "without.ko").read_bytes()):
        path.write_bytes(data)
        assert read_file_id(str(path)) is None
        assert find_other_loaded([str(path)], sysfs) == []
    path.write_bytes((tmp_path / "new/linked.ko").read_bytes())
    assert find_other_loaded([str(path)], sysfs) == ["nova_core"]
    assert find_other_loaded([str(tmp_path / "other.ko"), str(tmp_path / "gone/nova-core.ko")], sysfs) == []
