# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci``: many modules, each judged as ``kdeps check`` judges it; never fresh when it cannot tell."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_json


@pytest.fixture
def two(tree: Miniature) -> Miniature:
    """A miniature with two modules: one in the source tree, one beside it."""
    tree.make(f"M={tree.external}")
    return tree


def test_one_module_is_judged_as_check_judges_it(tree: Miniature, kdeps: RunKdeps) -> None:
    """Status, causes and cure are those of ``kdeps check``, fresh and stale."""
    for change in (None, "rust/kernel/io.rs", "include/linux/module.h"):
        if change:
            tree.touch(change)
        checked = json.loads(kdeps(tree, "check", "--format=json", f"M={MODULE}").stdout)
        done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
        report = read_json(done.stdout)
        assert report["verdict"] == checked["verdict"]
        assert done.returncode == {"fresh": 0, "stale": 1}[checked["verdict"]]
        blamed = {p["path"] for issue in report["issues"] for p in issue["paths"]}
        direct = {
            reason["path"]
            for rule in checked["stale"]
            for reason in rule["reasons"]
            if rule["silent"] and reason["kind"] != "stale-prerequisite"
        }
        assert blamed == direct


def test_an_edit_of_the_core_is_one_issue_of_all_modules(two: Miniature, kdeps: RunKdeps) -> None:
    """The kernel's artifacts are the same for all of them; the cure names each once."""
    two.touch("rust/kernel/io.rs")
    done = kdeps(two, "ci", "--format=json", f"M={MODULE}", f"M={two.external}")
    assert done.returncode == 1
    report = read_json(done.stdout)
    (issue,) = report["issues"]
    assert issue["modules"] == [MODULE, str(two.external)]
    assert [line.split()[-1] for line in report["cure"]] == [
        "modules_prepare", f"M={MODULE}", f"M={two.external}",
    ]  # fmt: skip
    text = kdeps(two, "ci", f"M={MODULE}", f"M={two.external}").stdout
    assert text.count("is older than") == 1
    assert text.endswith("stale: 2 modules: 2 stale\n")


def test_what_concerns_one_module_leaves_the_other_fresh(two: Miniature, kdeps: RunKdeps) -> None:
    """A root source that is gone is silently used by its own module alone."""
    (two.external / "hello.rs").unlink()
    done = kdeps(two, "ci", "--format=json", f"M={MODULE}", f"M={two.external}")
    report = read_json(done.stdout)
    assert {part["name"]: part["verdict"] for part in report["modules"]} == {
        MODULE: "fresh", str(two.external): "stale",
    }  # fmt: skip
    assert done.returncode == 1


def test_all_modules_below_the_source_tree_are_found(two: Miniature, kdeps: RunKdeps) -> None:
    """Those with a record of this object tree, and those that are named besides."""
    found = read_json(kdeps(two, "ci", "--scope=modules", "--format=json").stdout)
    assert [part["name"] for part in found["modules"]] == [MODULE]
    both = read_json(kdeps(two, "ci", "--scope=modules", "--format=json", f"M={two.external}").stdout)
    assert {part["name"] for part in both["modules"]} == {MODULE, str(two.external)}


def test_no_module_at_all_is_not_fresh(tree: Miniature, kdeps: RunKdeps) -> None:
    """Somebody asked for all modules, and there are none: nothing was judged."""
    tree.make(f"M={MODULE}", "clean")
    for path in tree.module.glob(".*.cmd"):
        path.unlink()
    done = kdeps(tree, "ci", "--scope=modules", "--format=json")
    assert done.returncode == 2
    assert read_json(done.stdout)["modules"][0]["error"]


def test_one_module_that_cannot_be_judged_does_not_hide_the_others(tree: Miniature, kdeps: RunKdeps) -> None:
    """The report holds both; unknown alone is 2, with something stale it is 1."""
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}", "M=drivers/nowhere")
    assert done.returncode == 2
    assert [part["verdict"] for part in read_json(done.stdout)["modules"]] == ["fresh", "unknown"]
    tree.touch("rust/kernel/io.rs")
    assert kdeps(tree, "ci", f"M={MODULE}", "M=drivers/nowhere").returncode == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--bisect", f"M={MODULE}"), 0),
        (("--bisect", "M=drivers/nowhere"), 125),
        (("--bisect", "--formt=json", f"M={MODULE}"), 125),
        (("--bisect", "--against=/nonexistent", f"M={MODULE}"), 125),
        (("--formt=json", f"M={MODULE}"), 2),
    ],
)
def test_bisect_skips_what_cannot_be_told(
    tree: Miniature, kdeps: RunKdeps, words: tuple[str, ...], status: int
) -> None:
    """125 for everything that is neither fresh nor stale, a mistake in the arguments too: 2 would be "bad"."""
    assert kdeps(tree, "ci", *words).returncode == status


def test_bisect_calls_stale_bad(tree: Miniature, kdeps: RunKdeps) -> None:
    """And 1 is bad."""
    tree.touch("rust/kernel/io.rs")
    assert kdeps(tree, "ci", "--bisect", f"M={MODULE}").returncode == 1


def test_built_wants_the_module_itself_up_to_date(tree: Miniature, kdeps: RunKdeps) -> None:
    """What make M= would rebuild is no staleness to check; with --built it is."""
    tree.touch(f"{MODULE}/nova_core.rs")
    assert kdeps(tree, "ci", f"M={MODULE}").returncode == 0
    done = kdeps(tree, "ci", "--built", "--format=json", f"M={MODULE}")
    assert done.returncode == 1
    report = read_json(done.stdout)
    assert [issue["kind"] for issue in report["issues"]] == ["not-built"]
    assert report["cure"][-1].endswith(f"M={MODULE}")
    tree.make(f"M={MODULE}")
    assert kdeps(tree, "ci", "--built", f"M={MODULE}").returncode == 0


def test_built_wants_the_module_built_at_all(tree: Miniature, kdeps: RunKdeps) -> None:
    """A module that was never built is fresh to check: nothing stale would be used."""
    assert kdeps(tree, "ci", f"M={tree.external}").returncode == 0
    done = kdeps(tree, "ci", "--built", f"M={tree.external}")
    assert done.returncode == 1
    assert "it was never built here" in done.stdout


def test_exact_sees_a_changed_command(tree: Miniature, kdeps: RunKdeps) -> None:
    """Kbuild's own answer, in the place of the records'."""
    makefile = tree.path("rust/Makefile")
    times = makefile.stat()
    makefile.write_text(
        makefile.read_text().replace("$(rustc_target_flags)", "-Cextra $(rustc_target_flags)")
    )
    os.utime(makefile, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "Cextra" in makefile.read_text()
    assert kdeps(tree, "ci", f"M={MODULE}").returncode == 0
    done = kdeps(tree, "ci", "--exact", "--format=json", f"M={MODULE}")
    assert done.returncode == 1
    assert "command-changed" in {issue["kind"] for issue in read_json(done.stdout)["issues"]}


def test_looking_changes_nothing(two: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Neither a byte nor an mtime of the trees, whatever is asked for."""
    before = two.listing()
    kdeps(
        two, "ci", "--scope=modules", f"--record={tmp_path / 'ledger'}", f"--output=sarif={tmp_path / 's'}",
        f"M={two.external}",
    )  # fmt: skip
    kdeps(two, "ci", f"--against={tmp_path / 'ledger'}", f"M={MODULE}")
    assert two.listing() == before
