# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What lies beside a build and is none of it; and a fresh build, beside which nothing lies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kdeps.ci.orphans import UNRECORDED, find_orphans
from kdeps.demo.miniature import MODULE, Miniature
from tests.conftest import RunKdeps
from tests.reports import read_json


def issues_of(kdeps: RunKdeps, tree: Miniature, *words: str) -> tuple[int, list[Any]]:
    done = kdeps(tree, "ci", "--format=json", *(words or (f"M={MODULE}",)))
    return done.returncode, read_json(done.stdout)["issues"]


def test_a_fresh_build_leaves_nothing(tree: Miniature, kdeps: RunKdeps) -> None:
    """Kernel, module, external module: every file has its record, or is a side output of one."""
    tree.make(f"M={tree.external}")
    for words in ((), (f"M={MODULE}",), (f"M={tree.external}",)):
        assert issues_of(kdeps, tree, *words) == (0, [])


def test_what_another_configuration_left_is_a_note(tree: Miniature, kdeps: RunKdeps) -> None:
    """An object copied in by hand, a record whose object somebody removed: named, and nothing fails."""
    shutil.copy(tree.module / "nova_core.o", tree.module / "old_core.o")
    shutil.copy(tree.module / ".nova_core.o.cmd", tree.module / ".older_core.o.cmd")
    shutil.copy(tree.objtree / "rust/kernel.o", tree.objtree / "rust/alloc.o")
    status, issues = issues_of(kdeps, tree)
    assert status == 0
    assert {(issue["kind"], issue["verdict"]) for issue in issues} == {
        ("record-without-file", "fresh"), ("file-without-record", "fresh"),
    }  # fmt: skip
    said = " ".join(issue["message"] for issue in issues)
    for name in ("old_core.o", ".older_core.o.cmd", "rust/alloc.o"):
        assert name in said


def test_a_renamed_module_stays_behind(tree: Miniature, kdeps: RunKdeps) -> None:
    """With all its records, for Kbuild never visits the old name again."""
    for name in ("nova-core.ko", ".nova-core.ko.cmd"):
        shutil.copy(tree.module / name, tree.module / name.replace("nova-core", "nova-old"))
    status, issues = issues_of(kdeps, tree)
    assert status == 0
    (issue,) = issues
    assert "nova-old.ko: a module that is no longer built" in issue["message"]


def test_what_make_uses_is_stale_and_told_once(tree: Miniature, kdeps: RunKdeps) -> None:
    """A crate whose object is gone is the verdict's business, not a left-over record."""
    (tree.objtree / "rust/kernel.o").unlink()
    status, issues = issues_of(kdeps, tree)
    assert status == 1
    assert [issue["kind"] for issue in issues] == ["missing-target"]
    (tree.objtree / "rust/.kernel.o.cmd").unlink()
    assert "record-without-file" not in {issue["kind"] for issue in issues_of(kdeps, tree)[1]}


@pytest.mark.parametrize("name", ["libkernel-2.rmeta", "libkernel.rlib", "libmacros-1.so"])
def test_a_stray_crate_is_what_rustc_may_take(tree: Miniature, kdeps: RunKdeps, name: str) -> None:
    """It looks at every file that begins with the crate's name: measured, error[E0464] with rustc 1.85. The cure removes it."""
    stray = tree.objtree / "rust" / name
    stray.write_bytes((tree.objtree / "rust/libcore.rmeta").read_bytes())
    status, issues = issues_of(kdeps, tree)
    assert status == 1
    (issue,) = issues
    assert (issue["kind"], issue["paths"][0]["path"]) == ("file-without-record", str(stray))
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    assert f"rm -f {stray}" in read_json(done.stdout)["cure"]
    # What only looks like it is another crate's.
    stray.rename(stray.with_name("liballoc.rmeta"))
    assert issues_of(kdeps, tree)[0] == 0


def test_shipped_objects_and_the_table(tmp_path: Path) -> None:
    """An object copied from ``X.o_shipped`` has no record, and what the table names has none either; all else is told."""
    source = tmp_path / "source"
    source.mkdir()
    build = tmp_path / "build"
    (build / "tools/lib").mkdir(parents=True)
    for name in (
        "blob.o",
        "here.o",
        "other.o",
        "libmine.rmeta",
        ".mine.o.cmd",
        "mine.o",
        ".tmp_vmlinux2.kallsyms.o",
    ):
        (build / name).write_text("")
    (build / "here.o_shipped").write_text("")
    (source / "blob.o_shipped").write_text("")
    (build / "tools/lib/libsubcmd.a").write_text("")
    (build / "link.o").symlink_to("other.o")
    folders = [str(build), str(build / "tools/lib"), str(tmp_path / "nowhere")]
    found = find_orphans(folders, frozenset(), str(build), {str(build): str(source)})
    assert found == ((), (str(build / "other.o"),))
    assert not find_orphans(
        folders, frozenset((str(build / "other.o"),)), str(build), {str(build): str(source)}
    ).files
    assert all(row.source for row in UNRECORDED)
