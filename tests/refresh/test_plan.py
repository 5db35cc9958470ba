# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a refresh removes and makes, and what it is told."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kdeps.formats.makeargs import parse_make_args
from kdeps.formats.makeflags import kernel_environment, split_flags
from kdeps.kbuild.make_command import read_request
from kdeps.refresh.plan import Plan, find_new_flags, kernel_command, plan_refresh
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.reasons import ReasonKind, Status
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature, has_deletion_sense


def look(tree: Miniature, *words: str) -> CheckResult:
    return check_build((*tree.tree_args, f"M={MODULE}", *words), str(tree.srctree), tree.environment())


def test_a_fresh_build_has_an_empty_plan(tree: Miniature) -> None:
    found = look(tree)
    assert found.verdict.status is Status.FRESH
    assert plan_refresh(found) == Plan((), (), ())


def test_what_kbuild_sees_is_left_to_kbuild(tree: Miniature) -> None:
    """No file is removed for an edited source."""
    tree.append("rust/kernel/io.rs", "// x\n")
    assert plan_refresh(look(tree)) == Plan((), ("modules_prepare",), ())


def test_what_kbuild_does_not_see_has_to_go_first(tree: Miniature) -> None:
    """The object beside a lost ``.rmeta``, and only that."""
    (tree.objtree / "rust/libcore.rmeta").unlink()
    plan = plan_refresh(look(tree))
    assert plan.remove[0] == f"{tree.objtree}/rust/core.o"
    assert plan.goals == ("modules_prepare",)
    # What was compiled with the lost file goes as well where make misses no deleted prerequisite.
    assert len(plan.remove) == 1 or not has_deletion_sense()


def test_another_bindgen_needs_the_configuration_synced(tree: Miniature) -> None:
    """Kbuild compares bindgen nowhere: what it made goes, and Kconfig reads its version anew."""
    tree.set_version("bindgen", "0.99.0")
    plan = plan_refresh(look(tree))
    assert plan.goals == ("olddefconfig", "syncconfig", "modules_prepare")
    assert f"{tree.objtree}/rust/bindings/bindings_generated.rs" in plan.remove


def test_a_compiler_that_is_gone_is_for_a_person(tree: Miniature) -> None:
    """A refresh would let Kconfig switch Rust off."""
    (tree.toolchain / "bin/rustc").rename(tree.toolchain / "rustc-aside")
    environ = {**tree.environment(), "PATH": str(tree.toolchain / "bin")}
    result = check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), environ)
    plan = plan_refresh(result)
    assert [finding.kind for finding in plan.manual] == [ReasonKind.TOOLCHAIN_CHANGED]
    assert plan.goals == ()


def test_a_changed_option_makes_the_modules_own_object_go(tree: Miniature) -> None:
    """``M=`` never follows the configuration, so its object is removed; make M= does the rest."""
    stamp = tree.objtree / "include/config/DEBUG_FS"
    record = (tree.module / ".nova_core.o.cmd").read_text()
    assert "include/config/DEBUG_FS" in record
    tree.edit(stamp, "")
    plan = plan_refresh(look(tree))
    assert f"{tree.module}/nova_core.o" in plan.remove


def test_the_command_is_the_users_own_without_the_module(tree: Miniature) -> None:
    """Also without lint requests, and without ``-j`` under an outer make."""
    found = look(tree, "-j4", "LLVM=", "V=1", "CLIPPY=1", "KBUILD_MODPOST_WARN=1", "-B", "modules")
    where = str(tree.srctree)
    kept = [*tree.tree_args, "-j4", "LLVM=", "V=1", "modules_prepare"]
    assert kernel_command(found.tree, where, "modules_prepare") == ["make", *kept]
    kept.remove("-j4")
    assert kernel_command(found.tree, where, "modules_prepare", in_job_server=True) == ["make", *kept]
    assert "-B" not in found.tree.args.for_kernel


def test_standing_elsewhere_make_is_told_where_to_go(tree: Miniature) -> None:
    """A module's own folder is no place to make modules_prepare in."""
    result = check_build((f"KDIR={tree.objtree}",), str(tree.external), tree.environment())
    command = kernel_command(result.tree, str(tree.external), "modules_prepare")
    assert command == ["make", "-C", str(tree.objtree), "modules_prepare"]


def test_new_flags_are_counted_in_crates(tree: Miniature) -> None:
    """All that take them by themselves, and all that are made from those."""
    found = look(tree, "KRUSTFLAGS=-Cdebuginfo=1", "KCFLAGS=-DX")
    flags = find_new_flags(found, {})
    assert [(f.assignment, f.crates) for f in flags] == [("KRUSTFLAGS=-Cdebuginfo=1", 9), ("KCFLAGS=-DX", 3)]
    assert find_new_flags(look(tree), {}) == ()
    assert find_new_flags(look(tree), {"KRUSTFLAGS": "-Zx"})[0].crates == 9


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("", []),
        ("kw", ["-kw"]),
        (" -j4 --jobserver-auth=3,4", ["-j4", "--jobserver-auth=3,4"]),
        ("s -j --jobserver-auth=fifo:/tmp/x -- A=b\\ c D=$$e", ["-s", "-j", "--jobserver-auth=fifo:/tmp/x", "--", "A=b c", "D=$e"]),
        ("LLVM=1", ["LLVM=1"]),
    ],
)  # fmt: skip
def test_makeflags_are_split_as_make_writes_them(flags: str, words: list[str]) -> None:
    """One-letter options without a dash first, then the rest; blanks and dollars escaped."""
    assert split_flags(flags) == words


def test_the_kernels_make_hears_nothing_of_a_module() -> None:
    """Neither by name nor in ``MAKEFLAGS``; the job server stays."""
    environ = {
        "KBUILD_EXTMOD": "/m", "M": "/m", "PATH": "/bin", "LLVM": "1",
        "MAKEFLAGS": "Bk -j4 --jobserver-auth=3,4 -- MO=/x M=/m LLVM=1",
    }  # fmt: skip
    assert kernel_environment(environ) == {
        "PATH": "/bin", "LLVM": "1", "MAKEFLAGS": "k -j4 --jobserver-auth=3,4 -- LLVM=1",
    }  # fmt: skip
    assert kernel_environment({"MAKEFLAGS": " -- M=/m"}) == {"MAKEFLAGS": " "}


def test_a_makefile_of_the_modules_own_stays_with_the_module(tree: Miniature) -> None:
    """``-f`` names it from the module's folder; a make that stands in the kernel would not find it."""
    words = ("-f", "own.mk", f"KDIR={tree.objtree}", f"M={tree.external}", "-k")
    result = check_build(words, str(tree.external), tree.environment())
    command = kernel_command(result.tree, str(tree.external), "modules_prepare")
    assert command == ["make", "-C", str(tree.objtree), "-k", "modules_prepare"]


@pytest.mark.parametrize(
    ("words", "makeflags", "builds"),
    [
        (("M=x",), "", True),
        (("M=x", "modules", "clean"), "", True),
        (("M=x", "clean"), "", False),
        ((), "", False),
        (("modules_prepare",), "", False),
        ((), " -- M=x", True),
        (("M=x",), "n", True),
        (("M=x", "-kq"), "", False),
        (("M=x", "-jn"), "", True),
        (("M=x", "-C", "n"), "", True),
        (("M=x", "-q"), "", False),
        (("M=x", "--dry-run"), "", True),
        (("M=x", "--question"), "", False),
    ],
)
def test_only_what_compiles_a_module_is_a_request(
    words: tuple[str, ...], makeflags: str, builds: bool, tmp_path: Path
) -> None:
    """Goals that compile nothing and options that only ask are make's alone."""
    (tmp_path / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 18\n")
    (tmp_path / "n").symlink_to(".")
    request = read_request(words, str(tmp_path), {"MAKEFLAGS": makeflags})
    assert (request is not None) == builds


def test_inherited_assignments_come_before_the_words(tmp_path: Path) -> None:
    """So that what the user typed wins, as with make."""
    (tmp_path / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 18\n")
    request = read_request(
        ("M=x", "O=b"), os.fspath(tmp_path), {"MAKEFLAGS": " -j2 --jobserver-auth=3,4 -- O=a LLVM=1"}
    )
    assert request is not None
    assert request.args.variables == {"O": "b", "LLVM": "1", "M": "x"}
    assert request.in_job_server
    assert parse_make_args(request.words).kept == ("O=a", "LLVM=1", "O=b")


def test_a_link_to_nowhere_in_place_of_a_stamp_file_goes(tree: Miniature, kdeps: RunKdeps) -> None:
    """make lists it as a prerequisite that is never there: what reads it would be stale after each refresh."""
    record = (tree.objtree / "rust/.kernel.o.cmd").read_text()
    names = re.findall(r"wildcard include/config/(\w+)", record)
    stamp = next(p for p in (tree.objtree / "include/config" / name for name in names) if p.exists())
    stamp.unlink()
    stamp.symlink_to("/nowhere/at/all")
    found = look(tree)
    # To a make that does not notice deleted files nothing is missing.
    assert found.verdict.status is (Status.STALE if has_deletion_sense() else Status.FRESH)
    if has_deletion_sense():
        assert {str(stamp), f"{tree.objtree}/rust/kernel.o"} <= set(plan_refresh(found).remove)
    done = kdeps(tree, "make", f"M={MODULE}")
    assert done.returncode == 0, done.stderr
    assert look(tree).verdict.status is Status.FRESH
