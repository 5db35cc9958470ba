# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps loaded keeps that the sources are as they were, until something changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.staleness.test_answers import Keeper
from tests.support.loaded import build_id_of
from tests.support.machine import FOLDER, Machine, build_module, put_module, touch_later
from tests.support.memory import edit_behind_mtime
from tests.support.miniature import Snapshot


class Loaded:
    """Asks again and again."""

    def __init__(self, keeper: Keeper, machine: Machine) -> None:
        self.tree, self.machine = keeper.tree, machine
        self.environ = {**keeper.environ, "PYTHONPATH": str(CHECKOUT)}

    def ask(self) -> tuple[dict[str, str], str, bool]:
        """Return what was found at each link, all that was printed, and whether records were read for it."""
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "kdeps", "loaded", "--format=json",
             f"--sysroot={self.machine.root}", *self.tree.tree_args, f"M={FOLDER}"],
            cwd=self.tree.srctree, env=self.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        [module] = json.loads(done.stdout)["modules"]
        kinds = {link["stage"]: link["kind"] for link in module["links"]}
        return kinds, done.stdout, "kdeps.cli.checking" in done.stderr

    def ask_until_kept(self) -> str:
        """Ask until the answer comes without a look at the records; what was printed is the same each time."""
        _, first, _ = self.ask()
        for _ in range(60):
            _, said, is_read = self.ask()
            assert said == first
            if not is_read:
                return said
            time.sleep(0.1)
        raise AssertionError("the answer was not kept")


@pytest.fixture
def loaded(with_programs: Snapshot, machine: Machine, tmp_path: Path) -> Loaded:
    tree = with_programs.put(tmp_path / "tree")
    keeper = Keeper(tree, tmp_path)
    built = put_module(tree, build_module(tmp_path / "new", 2))
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(build_id_of(built))
    return Loaded(keeper, machine)


def test_the_machine_is_looked_at_each_time(loaded: Loaded) -> None:
    """Only the sources' part is kept."""
    loaded.ask_until_kept()
    loaded.machine.load("ab" * 20)
    kinds, _, is_read = loaded.ask()
    assert (kinds["loaded"], kinds["installed"], is_read) == ("other-link", "same-link", False)


@pytest.mark.parametrize("edit", ["touch", "append", "behind", "module"])
def test_an_edit_shows(loaded: Loaded, edit: str) -> None:
    """Whatever make, or contents, would say of it."""
    said = loaded.ask_until_kept()
    tree = loaded.tree
    if edit == "touch":
        tree.touch("rust/kernel/io.rs")
    elif edit == "append":
        tree.append(f"{FOLDER}/gpu.rs", "// edited\n")
    elif edit == "behind":
        edit_behind_mtime(tree.srctree / "rust/kernel/io.rs")
    else:
        (tree.module / "nova-core.ko").unlink()
    kinds, now, is_read = loaded.ask()
    assert is_read
    assert (now != said, kinds["sources"]) == (
        edit != "behind",
        {"behind": "up-to-date"}.get(edit, "sources-changed"),
    )


def test_another_module_file_is_read_again(loaded: Loaded, old: Path) -> None:
    """A .ko that make did not write."""
    loaded.ask_until_kept()
    path = loaded.tree.module / "nova-core.ko"
    path.write_bytes(old.read_bytes())
    touch_later(path)
    kinds, _, _ = loaded.ask()
    assert kinds["loaded"] == "other-link"
    assert os.path.exists(path)
