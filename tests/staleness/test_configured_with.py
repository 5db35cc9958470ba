# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Variables that Kconfig reads and that no option of make shows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import Miniature, Snapshot, create
from tests.support.verdict import M, judged, kinds

VARIABLES = """\
PAHOLE = pahole
PAHOLE_VERSION = $(or $(shell $(PAHOLE) --version 2>/dev/null | sed 's/v\\([0-9]*\\)\\.\\([0-9]*\\)/\\1\\2/'),0)
CLANG_FLAGS := --target=x $(if $(filter 0,$(LLVM_IAS)),-fno-integrated-as,-fintegrated-as)
export CLANG_FLAGS PAHOLE_VERSION
"""
"""As in linux ``Makefile`` and ``scripts/Makefile.clang``, of 7.2."""


def pahole(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A tree whose configuration was made from the version of pahole and the flags of clang."""
    tree = create(tmp_path_factory.mktemp("configured"))
    makefile, script = tree.srctree / "Makefile", tree.srctree / "scripts/kconfig/conf.script"
    line = "BINDGEN = bindgen\n"
    assert line in makefile.read_text()
    assert '"CC_VERSION_TEXT")' in script.read_text()
    makefile.write_text(makefile.read_text().replace(line, line + VARIABLES, 1))
    more = '"CC_VERSION_TEXT", "PAHOLE_VERSION", "CLANG_FLAGS")'
    script.write_text(script.read_text().replace('"CC_VERSION_TEXT")', more, 1))
    pahole(tree.toolchain / "bin/pahole", "v1.30")
    tree.build()
    return Snapshot(tree)


@pytest.fixture
def configured(built: Snapshot, tmp_path: Path) -> Miniature:
    return built.put(tmp_path / "tree")


def _upgrade(tree: Miniature) -> None:
    pahole(tree.toolchain / "bin/pahole", "v1.31")


def _say_the_same(tree: Miniature) -> None:
    pahole(tree.toolchain / "bin/pahole", "'v1.30' # built again")


def _remove(tree: Miniature) -> None:
    (tree.toolchain / "bin/pahole").unlink()


def _put_elsewhere(tree: Miniature) -> None:
    pahole(tree.root / "other", "v1.25")


@pytest.mark.parametrize(
    ("change", "word", "says"),
    [
        (_upgrade, "", "PAHOLE_VERSION=131"),
        (_say_the_same, "", ""),
        (_remove, "", "PAHOLE_VERSION=0"),
        (_put_elsewhere, "PAHOLE={root}/other", "PAHOLE_VERSION=125"),
        (None, "LLVM_IAS=0", "LLVM_IAS=0"),
        (None, "LLVM_IAS=1", ""),
    ],
)
def test_a_value_that_the_configuration_was_made_from(
    change: Callable[[Miniature], None] | None,
    word: str,
    says: str,
    configured: Miniature,
    kdeps: RunKdeps,
) -> None:
    """make syncs where it is another one now, and the crates follow; whatever M= builds."""
    tree = configured
    words = (M, *([word.format(root=tree.root)] if word else []))
    assert kinds(judged(kdeps, tree, M)) == []
    if change:
        change(tree)
    verdict = judged(kdeps, tree, *words)
    auto_conf = tree.objtree / "include/config/auto.conf"
    before = auto_conf.stat().st_mtime_ns
    tree.make("modules_prepare", *words[1:])
    assert (auto_conf.stat().st_mtime_ns != before) == bool(says)
    assert kinds(verdict) == (["config-not-synced"] if says else [])
    assert verdict["verdict"] == ("stale" if says else "fresh")
    assert says in "".join(finding["message"] for finding in verdict["findings"])


@pytest.mark.parametrize("option", ["-e", "--environment-overrides", "-ke"])
def test_the_environment_wins_where_make_is_told_so(option: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """``make -e`` takes CC from the environment; otherwise Kbuild's Makefile sets it."""

    def check(*words: str) -> tuple[int, str]:
        done = kdeps(tree, "check", *tree.tree_args, M, *words, cwd=tree.srctree, env={"CC": "clang"})
        return done.returncode, done.stdout

    assert check()[0] == 0
    status, said = check(option)
    assert (status, "configured with CC=gcc, but this make would use CC=clang" in said) == (1, True), said
    for more in ((), (option,)):
        told = tree.make(M, *more, env={"CC": "clang"}, check=False).stderr
        assert ("You are using:           clang" in told) == bool(more)


def test_a_makefile_that_the_environment_names_may_change_commands(tree: Miniature, kdeps: RunKdeps) -> None:
    """make reads the files of MAKEFILES before all others, and no record shows it."""
    named = tree.root / "flags.mk"
    named.write_text("KRUSTFLAGS := -Cdebuginfo=1\n")
    environment = {"MAKEFILES": str(named)}
    assert "nova_core.o" in tree.make(M, env=environment).stdout
    done = kdeps(tree, "check", M, env=environment)
    assert f"note[command-changed]: MAKEFILES={named} may change commands" in done.stdout
    assert kdeps(tree, "check", "--exact", M, env=environment).returncode == 1


@pytest.mark.parametrize("content", ["the same", "another"])
def test_a_source_tree_that_became_a_link(content: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Its old name leads to it, and make uses the name without links, in its commands as well."""
    real = tree.root / "linux-7.2"
    tree.srctree.rename(real)
    tree.srctree.symlink_to(real.name)
    if content == "another":
        source = real / "rust/kernel/io.rs"
        times = source.stat()
        source.write_text(source.read_text() + "pub fn other() {}\n")
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns - 1))
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "stale"
    assert "config-not-synced" in kinds(verdict)
    assert kdeps(tree, "make", M).returncode == 0
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
    assert tree.kernel_answer("modules_prepare") == []
    assert tree.rebuilds(M) == set()
