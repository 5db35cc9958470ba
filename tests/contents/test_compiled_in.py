# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Values of the environment that get into what is built: ``env!`` in a driver, and what compilers read by themselves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.contents.test_steps import build, kept
from tests.support.memory import edit_behind_mtime, stale_of, take
from tests.support.miniature import MODULE, Miniature, ko
from tests.support.unpacked import destroy_times, run_restore

__all__ = ["kept"]

M = f"M={MODULE}"
EXPORT = "export DRIVER_VERSION := $(shell cat $(src)/version)\n"
USE = 'pub const VERSION: &str = env!("DRIVER_VERSION");\n'
SHOW = "    def show(self, path, text):\n"
EXPAND = """\
        text = text.replace('env!("DRIVER_VERSION")', os.environ.get("DRIVER_VERSION", ""))
"""


@pytest.fixture
def versioned(kept: Miniature, kdeps: RunKdeps) -> Miniature:
    """A driver that has its version compiled in, as ``$(shell git describe)`` gives it: built, and remembered."""
    kept.replace(kept.toolchain / "bin/rustc", SHOW, SHOW + EXPAND)
    kept.append(f"{MODULE}/Makefile", EXPORT)
    kept.edit(f"{MODULE}/version", "v1\n")
    kept.append(f"{MODULE}/gpu.rs", USE)
    build(kept, kdeps)
    assert "str = v1;" in ko(kept)
    return kept


def test_a_driver_with_another_version_is_not_put_back(versioned: Miniature, kdeps: RunKdeps) -> None:
    """Its sources and its command are those of an earlier build, and make would compile the new version in."""
    source = versioned.path(f"{MODULE}/gpu.rs")
    before = source.read_text()
    versioned.append(source, "pub fn other() {}\n")
    build(versioned, kdeps)
    versioned.edit(f"{MODULE}/version", "v2\n")
    versioned.edit(source, before)
    assert build(versioned, kdeps) == ["  RUSTC [M] nova_core.o"]
    assert "str = v2;" in ko(versioned)


def test_nor_is_it_settled(versioned: Miniature, kdeps: RunKdeps) -> None:
    """Its source was only touched, and make compiles it."""
    versioned.edit(f"{MODULE}/version", "v2\n")
    versioned.touch(f"{MODULE}/gpu.rs")
    assert build(versioned, kdeps) == ["  RUSTC [M] nova_core.o"]
    assert "str = v2;" in ko(versioned)


def test_its_sources_are_compared_all_the_same(versioned: Miniature, kdeps: RunKdeps) -> None:
    """An edit with an old time is seen; a build that nothing happened to is fresh."""
    take(versioned)
    assert stale_of(kdeps, versioned) == {}
    edit_behind_mtime(versioned.path(f"{MODULE}/gpu.rs"))
    assert stale_of(kdeps, versioned) == {"nova_core.o": ["content-changed"]}


def test_nor_is_it_right_in_a_cache(versioned: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """``ci --restore`` leaves it to make, and the crates are settled."""
    ledger = tmp_path / "build.ledger"
    assert kdeps(versioned, "ci", f"--record={ledger}", M).returncode == 0
    destroy_times(versioned, random.Random(0))
    versioned.edit(f"{MODULE}/version", "v2\n")
    run_restore(versioned, ledger, kdeps)
    assert versioned.kernel_answer("modules_prepare") == []
    versioned.make(M)
    assert "str = v2;" in ko(versioned)


@pytest.mark.parametrize("text", ['// env!("HOME")\n', '    //! let x = option_env!("HOME");\n', 'include!(concat!(env!("OBJTREE"), "/a"));\n'])  # fmt: skip
def test_a_comment_and_what_the_command_sets_prove_a_step(
    text: str, kept: Miniature, kdeps: RunKdeps
) -> None:
    """The kernel's own crates are reused as before."""
    kept.edit(kept.objtree / "a", "")
    kept.append(f"{MODULE}/gpu.rs", text)
    build(kept, kdeps)
    kept.touch(f"{MODULE}/gpu.rs")
    assert build(kept, kdeps) == []


def test_what_bindgen_reads_from_the_environment_is_part_of_the_tools(
    kept: Miniature, kdeps: RunKdeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A touched header is proven to change nothing only where bindgen is given the same words."""
    kept.touch("include/linux/pci.h")
    monkeypatch.setenv("BINDGEN_EXTRA_CLANG_ARGS", "-DOTHER")
    assert any("BINDGEN" in ran for ran in build(kept, kdeps))
    kept.touch("include/linux/pci.h")
    assert build(kept, kdeps) == []
