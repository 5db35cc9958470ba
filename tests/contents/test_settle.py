# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps check --settle``: what has the same contents gets a time that make believes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kdeps.contents.shadows import Shadows, searched_folders
from tests.conftest import RunKdeps
from tests.support.memory import HEADER, SOURCE, M
from tests.support.miniature import MODULE, Miniature

# -- settling ------------------------------------------------------------------------


def test_after_settling_make_compiles_nothing(remembered: Miniature, kdeps: RunKdeps) -> None:
    """Sources, headers and Kconfig files were rewritten with the same bytes, as by a change of branch and back."""
    names = [
        SOURCE,
        HEADER,
        "Kconfig",
        "rust/helpers/helpers.c",
        f"{MODULE}/nova_core.rs",
        "rust/macros/lib.rs",
    ]
    for name in names:
        remembered.touch(name)
    times = {name: (remembered.srctree / name).stat().st_mtime_ns for name in names}
    done = kdeps(remembered, "settle", M)
    assert done.returncode == 0, done
    assert {name: (remembered.srctree / name).stat().st_mtime_ns for name in names} == times
    assert remembered.rebuilds("modules_prepare") == set()
    assert remembered.rebuilds(M) == set()


def test_make_settles_by_itself(remembered: Miniature, kdeps: RunKdeps) -> None:
    """Nothing is compiled, and one line says why."""
    remembered.touch(SOURCE)
    said = kdeps(remembered, "make", M)
    assert "with inputs that were only touched: make will not run them" in said.stderr
    assert "RUSTC" not in said.stdout + said.stderr


def test_what_was_settled_is_no_cause(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The new time of an output came from kdeps; the cause is the file that the user changed."""
    remembered.append(SOURCE, "// changed\n")
    remembered.touch(HEADER)
    said = kdeps(remembered, "make", M).stderr
    assert "only touched" in said
    assert f"stale: crate `kernel` is older than {SOURCE}, changed" in said


def test_a_dry_run_lists_and_changes_nothing(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The steps that would be settled, in topological order."""
    remembered.touch(SOURCE)
    before = remembered.listing()
    said = kdeps(remembered, "settle", "--dry-run", M)
    lines = said.stdout.splitlines()
    assert lines.index("rust/kernel.o") < lines.index("nova_core.o")
    assert remembered.listing() == before


def test_a_real_edit_is_left_to_make(remembered: Miniature, kdeps: RunKdeps) -> None:
    """Beside a touched header there is an edited source: only what hangs on the header is settled."""
    remembered.touch(HEADER)
    remembered.append(SOURCE, "// edited\n")
    kdeps(remembered, "settle", M)
    assert "rust/kernel.o" in remembered.rebuilds("modules_prepare")


def test_an_edit_after_settling_is_newer(remembered: Miniature, kdeps: RunKdeps) -> None:
    """No output gets a time later than its newest input had."""
    remembered.touch(SOURCE)
    kdeps(remembered, "settle", M)
    remembered.append(SOURCE, "// edited later\n")
    assert "rust/kernel.o" in remembered.rebuilds("modules_prepare")


def test_an_edited_output_of_the_module_is_left_to_make(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The damaged list keeps its time. make would write it again after a touched source, so settling must not prevent that."""
    lists = remembered.module / "Module.symvers"
    right, times = lists.read_bytes(), lists.stat()
    lists.write_bytes(b"damaged")
    os.utime(lists, ns=(times.st_mtime_ns, times.st_mtime_ns))
    remembered.touch(f"{MODULE}/nova_core.rs")
    kdeps(remembered, "make", M)
    assert lists.read_bytes() == right


@pytest.mark.parametrize(
    ("name", "touched", "output"),
    [
        ("rust/kernel/io/mod.rs", SOURCE, "rust/kernel.o"),
        ("rust/helpers/device.h", HEADER, "rust/helpers/helpers.o"),
    ],
)
def test_a_file_that_shadows_an_input_proves_nothing(
    remembered: Miniature, kdeps: RunKdeps, name: str, touched: str, output: str
) -> None:
    """A new file that the compiler may find first; every recorded input is as it was."""
    remembered.edit(name, "/* shadows */\n")
    remembered.touch(touched)
    before = (remembered.objtree / output).stat().st_mtime_ns
    assert kdeps(remembered, "check", M).returncode == 1
    kdeps(remembered, "settle", M)
    assert (remembered.objtree / output).stat().st_mtime_ns == before


def test_headers_earlier_on_the_include_path_are_seen(tmp_path: Path) -> None:
    """A new header in a folder that was searched in vain changes the hash of what shadows an input."""
    first, second = tmp_path / "first", tmp_path / "second"
    (second / "linux").mkdir(parents=True)
    (second / "linux/err.h").touch()
    folders = searched_folders(f"gcc -I./first -I {second} -c a.c", str(tmp_path))
    arguments = (folders, [f"{second}/linux/err.h"])
    before = Shadows().digest(*arguments)
    (first / "linux").mkdir(parents=True)
    (first / "linux/other.h").touch()
    assert Shadows().digest(*arguments) == before
    (first / "linux/err.h").touch()
    assert Shadows().digest(*arguments) != before


def test_a_time_in_the_future_is_not_given(remembered: Miniature, kdeps: RunKdeps) -> None:
    """An edit of today would be older than such an output, and make would miss it."""
    ahead = time.time_ns() + 3600 * 10**9
    os.utime(remembered.srctree / SOURCE, ns=(ahead, ahead))
    kdeps(remembered, "settle", M)
    assert (remembered.objtree / "rust/kernel.o").stat().st_mtime_ns < ahead


def test_the_other_name_of_an_output_keeps_its_time(
    remembered: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """A second hard link may belong to another tree (``cp -al``): ours becomes a file of its own."""
    output, shared = remembered.objtree / "rust/kernel.o", tmp_path / "shared.o"
    os.link(output, shared)
    mode, before = output.stat().st_mode, shared.stat().st_mtime_ns
    remembered.touch(SOURCE)
    kdeps(remembered, "settle", M)
    assert remembered.rebuilds("modules_prepare") == set()
    assert (shared.stat().st_mtime_ns, shared.stat().st_nlink) == (before, 1)
    assert output.stat().st_mode == mode
    assert not list(output.parent.glob(".tmp_kdeps_*"))


def test_an_edited_output_is_not_settled(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The artifact is not the one that is remembered, though its record is."""
    output = remembered.objtree / "rust/kernel.o"
    output.write_text(output.read_text() + "edited by hand\n")
    remembered.touch(SOURCE)
    kdeps(remembered, "settle", M)
    assert "rust/kernel.o" in remembered.rebuilds("modules_prepare")


def test_another_compiler_proves_nothing(remembered: Miniature, kdeps: RunKdeps) -> None:
    """The same version text from another file: what it would compile is not known."""
    tool = remembered.toolchain / "bin/rustc"
    tool.write_text(tool.read_text() + "\n# replaced in place\n")
    remembered.touch(SOURCE)
    assert kdeps(remembered, "check", M).returncode == 1


def test_without_a_memory_settle_says_what_to_do(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """One line, exit 2, nothing changed."""
    said = kdeps(tree, "settle", M, env={"XDG_CACHE_HOME": str(tmp_path / "empty")})
    assert (said.returncode, said.stdout) == (2, "")
    assert "nothing is remembered" in said.stderr
