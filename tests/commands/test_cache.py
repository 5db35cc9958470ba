# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps cache``: what is remembered, and to be rid of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kdeps.cli.commands.cache import KINDS
from kdeps.contents.memory import Memory, load_memory, save_memory
from kdeps.system.cache import LIMIT, LIMITS, Store
from tests.conftest import CHECKOUT
from tests.support.program import run_text


def run(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(CHECKOUT)}
    return run_text(("cache", *words), cwd=CHECKOUT, env=environ)


def test_an_empty_cache_is_no_error(tmp_path: Path) -> None:
    """Nothing is created by looking."""
    said = run(tmp_path / "none")
    assert (said.returncode, said.stdout) == (0, f"{tmp_path}/none/kdeps: 0 B in 0 files\n")
    assert not (tmp_path / "none").exists()


def test_sizes_by_kind_and_by_tree(tmp_path: Path) -> None:
    """A tree is recognised by the last part of its path."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    save_memory(Memory(), "/k/build-nova", environ)
    save_memory(Memory(), "/k/build-nova", environ, whole=True)
    Store("toolchain", environ).save("rustc", b"1" * 1500)
    said = run(tmp_path).stdout
    assert said.count("    build-nova-") == 2
    assert "toolchain     1.5 kB  versions of compilers" in said
    assert said.endswith("in 3 files\n")


def test_every_kind_fits_a_narrow_terminal(tmp_path: Path) -> None:
    """Whatever is in the cache; what a kind is called never decides how wide the list is."""
    for kind in KINDS:
        Store(kind, {"XDG_CACHE_HOME": str(tmp_path)}).save("one", b"1" * 999_900)
    lines = run(tmp_path).stdout.splitlines()
    assert len(lines) > len(KINDS)
    assert [line for line in lines[:-1] if len(line) > 60] == []


def test_cleaning_deletes_values_and_nothing_else(tmp_path: Path) -> None:
    """A link in the cache is not followed, and locks stay."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    save_memory(Memory(), "/k/build", environ)
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / "kdeps/builds/link").symlink_to(outside)
    (tmp_path / "kdeps/locks").mkdir(0o700)
    (tmp_path / "kdeps/locks/held").touch()
    assert run(tmp_path, "--clean").returncode == 0
    assert load_memory("/k/build", environ) is None
    assert outside.read_text() == "kept"
    assert (tmp_path / "kdeps/locks/held").exists()


def test_a_cache_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """One line, exit 2; nothing is deleted."""
    save_memory(Memory(), "/k/build", {"XDG_CACHE_HOME": str(tmp_path)})
    (tmp_path / "kdeps").chmod(0o777)
    said = run(tmp_path, "--clean")
    assert said.returncode == 2
    assert said.stderr.startswith("kdeps: error: ")
    assert list((tmp_path / "kdeps/builds").iterdir())


def test_all_limits_together_are_two_gigabytes() -> None:
    assert sum(LIMITS.get(kind, LIMIT) for kind in KINDS) < 2e9
    assert LIMITS.keys() <= KINDS.keys()


def test_every_kind_has_a_sentence() -> None:
    """A new store cannot ship without words for it."""
    sources = [path.read_text() for path in (CHECKOUT / "kdeps").rglob("*.py")]
    found = {part.partition('"')[0] for text in sources for part in text.split('Store("')[1:]}
    assert found <= KINDS.keys()
