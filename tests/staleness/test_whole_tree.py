# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --scope=tree``: every record of a tree is judged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.elf_objects import put
from tests.support.miniature import MODULE, Miniature, Snapshot
from tests.support.schemas import read_json
from tests.support.whole_tree import archive, ask, record, rules_of, settle

pytestmark = pytest.mark.usefixtures("cache")


def test_a_tree_that_was_only_prepared_is_no_whole_kernel(tree: Miniature, kdeps: RunKdeps) -> None:
    """Plain make would build nearly everything, of which no record tells: that is not fresh."""
    done = kdeps(tree, "ci", "--scope=tree")
    assert done.returncode == 2
    assert "build/vmlinux: never built: plain `make` first" in done.stdout


def test_every_record_is_a_rule_and_every_list_an_edge(whole: Miniature) -> None:
    """Archives, links and images lead from the sources to what is booted, by their commands alone."""
    rules = rules_of(whole)
    objtree = str(whole.objtree)
    assert f"{objtree}/alpha/one.o" in rules["alpha/built-in.a"].prerequisites
    assert f"{objtree}/beta/built-in.a" in rules["built-in.a"].prerequisites
    assert f"{objtree}/alpha/built-in.a" not in rules["beta/built-in.a"].prerequisites
    assert f"{objtree}/vmlinux" in rules["arch/x86/boot/vmlinux.bin"].prerequisites
    assert "rust/kernel.o" in rules


def test_a_source_makes_everything_behind_it_stale(whole: Miniature, kdeps: RunKdeps) -> None:
    """One cause; the command that helps is plain make's."""
    assert ask(kdeps, whole)["verdict"] == "fresh"
    whole.touch("alpha/one.c")
    done = kdeps(whole, "ci", "--scope=tree", "--format=json")
    report = read_json(done.stdout)
    (issue,) = report["issues"]
    assert issue["target"] == "alpha/one.o"
    assert report["modules"][0]["direct"] == ["alpha/one.o"]
    assert report["modules"][0]["stats"]["stale_kernel_artifacts"] == 5
    assert report["cure"][-1].endswith(" all")


def test_a_module_whose_object_is_gone_is_made_because_that_one_is(whole: Miniature, kdeps: RunKdeps) -> None:
    """The .ko is found by a pattern, ``%.ko: %.o``: without the object make has nothing to compare it with."""
    source = whole.edit(whole.srctree / "fs/x.c", "int x;\n")
    record(whole, "fs/x.o", f"clang -D__KERNEL__ -DMODULE -c -o fs/x.o {source}", source)
    record(whole, "fs/x.mod.o", "clang -D__KERNEL__ -DMODULE -c -o fs/x.mod.o fs/x.mod.c")
    record(whole, "fs/modules.order", "{   echo fs/x.o; :; } > fs/modules.order")
    record(whole, "modules.order", "{   cat fs/modules.order; :; } > modules.order")
    record(whole, "fs/x.ko", "ld -r -T ./scripts/module.lds -o fs/x.ko fs/x.o fs/x.mod.o")
    (whole.objtree / "fs/x.o").unlink()
    (reached,) = [rule for name, rule in rules_of(whole).items() if name == "fs/x.ko"]
    assert f"{whole.objtree}/fs/x.o" not in reached.prerequisites
    assert f"{whole.objtree}/fs/x.o" in reached.optional_prerequisites
    part = ask(kdeps, whole)
    assert "fs/x.o" in part["direct"]
    assert "fs/x.ko" not in part["direct"]


def test_what_no_list_leads_to_is_not_visited(whole: Miniature, kdeps: RunKdeps) -> None:
    """Objects of another configuration stay behind; make never comes to them, whatever becomes of their sources."""
    source = whole.edit(whole.srctree / "gamma/old.c", "int x;\n")
    record(whole, "gamma/old.o", f"clang -D__KERNEL__ -c -o gamma/old.o {source}", source)
    record(whole, "gamma/built-in.a", archive("gamma/built-in.a", "gamma", "old.o"))
    record(whole, "gamma/table.h", f"gamma/gen > gamma/table.h {source}")
    (whole.objtree / "gamma/.broken.o.cmd").write_text("savedcmd_gamma/broken.o := clang $(x\n")
    whole.touch("gamma/old.c")
    assert ask(kdeps, whole)["verdict"] == "fresh"
    # A list that is damaged may have listed it.
    whole.edit(whole.objtree / ".built-in.a.cmd", "savedcmd_built-in.a := rm -f buil")
    assert "gamma/old.o" in ask(kdeps, whole)["direct"]


def test_a_linker_script_that_somebody_wrote_needs_no_record(tmp_path: Path, in_source: Snapshot) -> None:
    """Built in the source tree, both kinds lie side by side: other architectures have some without ``.lds.S``."""
    tree = in_source.put(tmp_path / "linux")
    for name in ("written.lds", "generated.lds", "generated.lds.S"):
        tree.edit(tree.srctree / "arch/alpha" / name, "")
    rules = rules_of(tree)
    assert "arch/alpha/generated.lds" in rules
    assert "arch/alpha/written.lds" not in rules


@pytest.mark.parametrize("folder", ["alpha", "rust"])
def test_a_copy_of_a_folder_is_not_visited(whole: Miniature, kdeps: RunKdeps, folder: str) -> None:
    """Somebody keeps the old one beside it, records and all: they make nothing there, and not what they were copied from."""
    record(whole, "rust/built-in.a", archive("rust/built-in.a", "rust", "kernel.o"))
    shutil.copytree(whole.objtree / folder, whole.objtree / f"{folder}.orig")
    assert ask(kdeps, whole)["verdict"] == "fresh"
    (whole.objtree / "alpha/.built-in.a.cmd").write_text("")
    assert "alpha/built-in.a" in ask(kdeps, whole)["direct"]


def test_an_object_without_a_record_is_told_where_a_list_names_it(whole: Miniature, kdeps: RunKdeps) -> None:
    (whole.objtree / "alpha/.one.o.cmd").unlink()
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]
    (whole.objtree / "alpha/one.o").unlink()
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


@pytest.mark.parametrize(
    "name",
    [
        "arch/x86/include/generated/asm/orc_hash.h",
        "arch/x86/boot/bzImage",
        "arch/x86/entry/vdso/vdso64/vdso64-image.c",
        "modules.builtin",
        ".checked-atomic-long.h",
    ],
)
def test_a_file_that_no_suffix_tells_needs_its_record(name: str, whole: Miniature, kdeps: RunKdeps) -> None:
    """A header, an image, a list: make makes it again when its record is gone."""
    target = record(whole, name, f"printf x > {name}")
    assert ask(kdeps, whole)["verdict"] == "fresh"
    target.with_name(f".{target.name}.cmd").unlink()
    assert ask(kdeps, whole)["direct"] == [name]


def test_a_record_of_a_module_build_is_none_to_plain_make(whole: Miniature, kdeps: RunKdeps) -> None:
    """make M= in the tree writes names that plain make does not know: it would make the target again."""
    path = whole.objtree / "alpha/.one.o.cmd"
    whole.edit(path, path.read_text().replace("alpha/one.o", "one.o"))
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


def test_records_of_neighbours_that_are_swapped_are_as_good(whole: Miniature, kdeps: RunKdeps) -> None:
    """make includes both, and asks for each command by the name of its target."""
    one, two, beta = (
        whole.objtree / name for name in ("alpha/.one.o.cmd", "alpha/.two.o.cmd", "beta/.one.o.cmd")
    )
    first, second = one.read_bytes(), two.read_bytes()
    put(one, second)
    put(two, first)
    settle(kdeps, whole)
    assert ask(kdeps, whole)["verdict"] == "fresh"
    whole.touch("alpha/one.c")
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]
    put(one, beta.read_bytes())
    put(beta, second)
    assert {"alpha/two.o", "beta/one.o"} <= set(ask(kdeps, whole)["direct"])


def test_other_object_trees_and_tools_below_it_are_left_alone(whole: Miniature) -> None:
    """An object tree inside the source tree, the tools that nobody builds the kernel with."""
    for folder in ("build-arm64", "tools/perf", "Documentation"):
        record(whole, f"{folder}/x.o", f"clang -c -o {folder}/x.o")
    whole.edit(whole.objtree / "build-arm64/.config", "")
    assert not [name for name in rules_of(whole) if name.endswith("x.o")]


def test_a_module_may_be_named_beside_the_tree(whole: Miniature, kdeps: RunKdeps) -> None:
    whole.make(f"M={MODULE}")
    done = kdeps(whole, "ci", "--scope=tree", "--format=json", f"M={MODULE}")
    assert [part["name"] for part in read_json(done.stdout)["modules"]] == ["tree", MODULE]


def test_a_goal_that_is_no_file_is_never_missing(whole: Miniature, kdeps: RunKdeps) -> None:
    """``make rustdoc`` and ``make rusttest`` leave a record for each crate, and no file of that name."""
    for goal, command in (
        ("rustdoc-core", "rustdoc --output ./Documentation/output/rust/rustdoc --crate-name core core.rs"),
        (
            "rusttest-macros",
            "rustc --test --out-dir ./rust/test --crate-name macros macros.rs; ./rust/test/macros -q",
        ),
    ):
        (whole.objtree / f"rust/.{goal}.cmd").write_text(f"savedcmd_rust/{goal} := {command}\n")
    assert ask(kdeps, whole)["verdict"] == "fresh"
    (whole.objtree / "rust/exports_core_generated.h").unlink()
    assert ask(kdeps, whole)["direct"] == ["rust/exports_core_generated.h"]
