# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What came after a step ran is not remembered as what it was built from: sources that stand in, tools, commands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.memory import SOURCE, M, edit_behind_mtime, take
from tests.support.miniature import Miniature, held_make

HELPER = "rust/helpers/device.c"
RUST = "rust/kernel.o"


@pytest.fixture
def built(tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    """A tree in which the sources under test were built in place: nothing is known of a copy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree.append(SOURCE, "// built here\n")
    tree.append(HELPER, "#ifdef FEATURE\nint rust_helper_feature(void);\n#endif\n")
    tree.build()
    return tree


def replace_tool(tree: Miniature, name: str, old: str, new: str) -> None:
    """Put another program of the same version in the place of a tool."""
    path = tree.toolchain / "bin" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def other_rustc(tree: Miniature, name: str = "rustc") -> None:
    replace_tool(tree, name, 'f"object of ', 'f"object by another rustc of ')


def wrap_rustc(tree: Miniature) -> None:
    """A script in PATH starts the compiler, as those of distributions, Nix and Yocto do."""
    compiler = tree.toolchain / "bin/rustc"
    compiler.rename(compiler.with_name("rustc.real"))
    compiler.write_text('#!/bin/sh\nexec "$(dirname "$0")"/rustc.real "$@"\n')
    compiler.chmod(0o755)


def stand_in(tree: Miniature) -> None:
    """A second file of one Rust module: rustc refuses, or takes the other one."""
    (tree.srctree / "rust/kernel/io/mod.rs").write_text("pub fn stands_in() {}\n")


@pytest.mark.parametrize("change", [other_rustc, stand_in])
def test_what_came_between_the_build_and_the_memory_is_not_remembered(
    built: Miniature, kdeps: RunKdeps, change: Callable[[Miniature], None]
) -> None:
    """make would compile what is touched with the new tool, or from the new file; so it is left to make."""
    change(built)
    take(built)
    built.touch(SOURCE)
    assert kdeps(built, "check", M).returncode == 1
    assert kdeps(built, "settle", "--dry-run", M).stdout.count(RUST) == 0


def test_a_compiler_behind_a_script_is_another_one(built: Miniature, kdeps: RunKdeps) -> None:
    """Its version and the script are the same; a touched source is compiled by the new one."""
    wrap_rustc(built)
    built.append(SOURCE, "// built by it\n")
    built.build()
    take(built)
    built.touch(SOURCE)
    assert kdeps(built, "check", M).returncode == 0
    other_rustc(built, "rustc.real")
    assert kdeps(built, "check", M).returncode == 1
    kdeps(built, "make", M)
    assert "by another rustc" in (built.objtree / RUST).read_text()


@pytest.mark.parametrize("words", [(), ("KCFLAGS=-DFEATURE",)])
def test_a_command_that_kbuild_does_not_compare(
    built: Miniature, kdeps: RunKdeps, words: tuple[str, ...]
) -> None:
    """helpers.o is only compiled again for its inputs; if those were touched, its flags may be others now."""
    take(built)
    if not words:
        makefile = built.srctree / "Makefile"
        makefile.write_text(makefile.read_text().replace("-D__KERNEL__", "-D__KERNEL__ -DFEATURE"))
    built.touch(HELPER)
    assert kdeps(built, "make", M, *words).returncode == 0
    assert "rust_helper_feature" in (built.objtree / "rust/helpers/helpers.o").read_text()


def test_a_configuration_that_came_behind_its_stamps(built: Miniature, kdeps: RunKdeps) -> None:
    """Killed after auto.conf was put back and before the stamps of its symbols: no time shows it."""
    take(built)
    configured = (built.objtree / "include/config/auto.conf", built.objtree / ".config")
    for path in configured:
        st = path.stat()
        path.write_text(path.read_text().replace("CONFIG_RUST_OVERFLOW_CHECKS=y\n", ""))
        os.utime(path, ns=(st.st_mtime_ns, st.st_mtime_ns))
    said = kdeps(built, "check", M)
    assert said.returncode == 1
    assert "was y when it was built, and is n" in said.stdout


def test_a_generated_source_edited_behind_its_time(built: Miniature, kdeps: RunKdeps) -> None:
    """The step that wrote it is stale, so that nothing is compiled from the edited one."""
    take(built)
    generated = built.objtree / "rust/bindings/bindings_generated.rs"
    before = generated.read_bytes()
    edit_behind_mtime(generated)
    assert kdeps(built, "check", M).returncode == 1
    assert kdeps(built, "make", M).returncode == 0
    assert generated.read_bytes() == before


def test_what_no_module_uses_is_made_again_with_the_rest(built: Miniature, kdeps: RunKdeps) -> None:
    """A header behind its time: the kernel links helpers.o, and after a refresh of the bindings nothing would tell."""
    take(built)
    edit_behind_mtime(built.srctree / "include/linux/device.h", "int edited_behind(void);\n")
    assert kdeps(built, "make", M).returncode == 0
    assert "edited_behind" in (built.objtree / "rust/helpers/helpers.o").read_text()


def test_a_source_of_the_future_is_not_only_touched(built: Miniature, kdeps: RunKdeps) -> None:
    """make compiles it each time, and no output may get a time of the future: settling would not help."""
    take(built)
    later = time.time() + 3600
    os.utime(built.srctree / SOURCE, (later, later))
    said = kdeps(built, "check", M)
    assert (said.returncode, "in the future" in said.stdout, "settle" in said.stdout) == (1, True, False)


@pytest.mark.parametrize("undone", [False, True], ids=["edited", "undone"])
def test_a_source_that_changed_while_kdeps_make_compiled_it(
    built: Miniature, kdeps: RunKdeps, undone: bool
) -> None:
    """By time the object is newer than the edit; what it was compiled from is not known, so it is stale."""
    take(built)
    source = built.srctree / SOURCE
    before = source.read_text()
    began_ns = time.time_ns()
    source.write_text(before + "// edit one\n")
    after = before if undone else before + "// edit two\n"
    held_make(built, "kernel:dep-info", lambda: source.write_text(after), "modules_prepare")
    built.make(M)
    take(built, began_ns)
    said = kdeps(built, "check", M)
    assert (said.returncode, "was changed while it was compiled" in said.stdout) == (1, True)
    assert kdeps(built, "make", M).returncode == 0
    compiled = (built.objtree / RUST).read_text()
    assert ("edit one" in compiled, "edit two" in compiled) == (False, not undone)
    take(built)
    assert kdeps(built, "check", M).returncode == 0


def test_a_dry_run_settles_nothing(built: Miniature, kdeps: RunKdeps) -> None:
    """It lists what make would run, and no output gets another time (``make -n`` itself links the .ko, by a ``+``)."""
    take(built)
    built.touch(SOURCE)
    outputs = [*(built.objtree / "rust").rglob("*"), built.module / "nova_core.o"]
    before = [path.stat().st_mtime_ns for path in outputs]
    assert kdeps(built, "make", "-n", M).returncode == 0
    assert [path.stat().st_mtime_ns for path in outputs] == before
