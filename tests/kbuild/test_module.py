# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``make M=…`` builds and reads, also where no record shows it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps, paste_help
from tests.support.miniature import MODULE, Miniature
from tests.support.verdict import M, direct, judged

RUST = '//! A module.\nuse kernel::time;\nmodule! {\n    name: "hello",\n}\n'
C = "#include <linux/types.h>\nint f(void) {\n"
BOUNDS = """\
bounds-file := include/generated/bounds.h
targets := kernel/bounds.s
always-y += $(bounds-file)
filechk_offsets = sed -n '/int/p' $<
quiet_cmd_cc_s_c = CC      $@
      cmd_cc_s_c = $(CC) $(c_flags) -E -o $@ $<
kernel/bounds.s: kernel/bounds.c FORCE
\t$(call if_changed_dep,cc_s_c)
$(bounds-file): kernel/bounds.s FORCE
\t$(call filechk,offsets)
"""
"""As in linux ``Kbuild``, of 7.2."""


@pytest.fixture
def spread(tree: Miniature) -> Path:
    """A module, built, with a member and a second module with sources outside its folder."""
    folder = tree.root / "spread/mod"
    for name, text in {
        "mod/Kbuild": "obj-m := foo.o ../src/bar.o ../other/\nfoo-y := main.o ../common/util.o\n",
        "other/Kbuild": "obj-m := baz.o\n",
        "other/baz.rs": RUST,
        "mod/main.c": C,
        "common/util.rs": RUST,
        "src/bar.rs": RUST,
    }.items():
        tree.edit(folder.parent / name, text)
    tree.make(f"M={folder}")
    return folder


def test_objects_outside_of_the_module_s_folder_are_its_own(
    spread: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """amdgpu and many vendors have ``../display/x.o``: what such an object reads is what the module reads."""
    assert judged(kdeps, tree, f"M={spread}")["verdict"] == "fresh"
    tree.touch("rust/kernel/io.rs")
    verdict = judged(kdeps, tree, f"M={spread}")
    assert verdict["verdict"] == "stale"
    assert direct(verdict, "kernel") == set(tree.kernel_answer("modules_prepare"))
    assert kdeps(tree, "make", f"M={spread}").returncode == 0
    assert judged(kdeps, tree, f"M={spread}")["verdict"] == "fresh"
    assert tree.rebuilds(f"M={spread}") == set()


@pytest.mark.parametrize("lost", ["common/.util.o.cmd", "src/.bar.o.cmd", "other/.baz.o.cmd"])
def test_such_an_object_whose_record_is_lost(
    lost: str, spread: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Kbuild compiles it again, against whatever crates are there."""
    (spread.parent / lost).unlink()
    tree.touch("rust/kernel/io.rs")
    verdict = judged(kdeps, tree, f"M={spread}")
    assert direct(verdict, "kernel") == set(tree.kernel_answer("modules_prepare"))


@pytest.mark.parametrize(
    "state", ["never built", "cleaned", "built", "one object more", "without a record", "for another tree"]
)
def test_a_generated_header_that_no_record_of_the_module_names(
    state: str, tree: Miniature, tmp_path: Path, kdeps: RunKdeps
) -> None:
    """What is to be compiled for the first time may include any header of the kernel."""
    tree.edit(tree.srctree / "kernel/bounds.c", C)
    tree.edit(tree.srctree / "Kbuild", BOUNDS)
    makefile = tree.srctree / "Makefile"
    line = "\t$(Q)$(MAKE) $(build)=scripts\n"
    makefile.write_text(makefile.read_text().replace(line, f"{line}\t$(Q)$(MAKE) $(build)=.\n", 1))
    folder = tmp_path / "driver"
    include = "" if state == "one object more" else "#include <generated/bounds.h>\n"
    tree.edit(folder / "Kbuild", "obj-m := driver.o\n")
    tree.edit(folder / "driver.c", include + C)
    tree.make("modules_prepare")
    if state != "never built":
        tree.make(f"M={folder}")
    if state == "cleaned":
        for path in folder.iterdir():
            if path.name not in ("Kbuild", "driver.c"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    if state == "one object more":
        tree.edit(folder / "Kbuild", "obj-m := driver.o more.o\n")
        tree.edit(folder / "more.c", "#include <generated/bounds.h>\n" + C)
    if state == "for another tree":
        other = dataclasses.replace(tree, objtree=tmp_path / "second")
        for goal in ("defconfig", "modules_prepare", f"M={folder}"):
            other.make(goal)
    if state == "without a record":
        (folder / ".driver.o.cmd").unlink()
    assert judged(kdeps, tree, f"M={folder}")["verdict"] == "fresh"
    tree.edit(tree.srctree / "kernel/bounds.c", C.replace("f(", "g("))
    verdict = judged(kdeps, tree, f"M={folder}")
    assert verdict["verdict"] == "stale"
    assert "kernel/bounds.s" in direct(verdict, "kernel") & set(tree.kernel_answer("modules_prepare"))


def _clean(folder: Path) -> None:
    for path in (folder / "sub").iterdir():
        if path.name not in ("Kbuild", "a.rs", "d.c"):
            path.unlink()


def _lose_record(folder: Path) -> None:
    (folder / "sub/.modules.order.cmd").write_bytes(b"")


def _lose_list(folder: Path) -> None:
    (folder / "sub/.modules.order.cmd").unlink()
    (folder / "sub/modules.order").unlink()


def _add(kbuild: str, source: str, more: dict[str, str] | None = None) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        for name, text in {source: RUST, "Kbuild": kbuild, **(more or {})}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)

    return add


RUST_BELOW = {"Kbuild": "obj-m := sub/\n", "sub/Kbuild": "obj-m := a.o\n", "sub/a.rs": RUST}
C_BELOW = {"Kbuild": "obj-m := c.o sub/\n", "c.c": C, "sub/Kbuild": "obj-m := d.o\n", "sub/d.c": C}
CASES = {
    "a subfolder was cleaned": (RUST_BELOW, _clean),
    "the record of a list is empty": (RUST_BELOW, _lose_record),
    "a list is lost": (RUST_BELOW, _lose_list),
    "a new subfolder": (C_BELOW, _add("obj-m := c.o sub/ n/\n", "n/n.rs", {"n/Kbuild": "obj-m := n.o\n"})),
    "new in a subfolder": (
        C_BELOW,
        _add(C_BELOW["Kbuild"], "sub/n.rs", {"sub/Kbuild": "obj-m := d.o n.o\n"}),
    ),
    "a member elsewhere": (C_BELOW, _add("obj-m := c.o sub/ n.o\nn-y := src/r.o\n", "src/r.rs")),
    "made by a function": (C_BELOW, _add("obj-m := c.o sub/ $(foreach x,n,$(x).o)\n", "n.rs")),
    "in an included file": (
        C_BELOW,
        _add(f"{C_BELOW['Kbuild']}include $(src)/n.mk\n", "n.rs", {"n.mk": "obj-m += n.o\n"}),
    ),
    "named nowhere": (C_BELOW, _add(f"{C_BELOW['Kbuild']}# other is for later\n", "tools/other.rs")),
    "not configured": (C_BELOW, _add(f"{C_BELOW['Kbuild']}obj-$(CONFIG_NONE) += n.o\n", "n.rs")),
}


@pytest.mark.parametrize("case", CASES)
def test_rust_that_no_record_leads_to(case: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Where a Makefile names its object make compiles it next, against the crates that are there."""
    files, change = CASES[case]
    folder = tree.root / "driver"
    for name, text in files.items():
        tree.edit(folder / name, text)
    tree.make(f"M={folder}")
    assert judged(kdeps, tree, f"M={folder}")["verdict"] == "fresh"
    tree.touch("rust/kernel/io.rs")
    change(folder)
    verdict = judged(kdeps, tree, f"M={folder}")
    tree.make("modules_prepare")
    made = {name for name in tree.rebuilds(f"M={folder}") if (folder / name).with_suffix(".rs").exists()}
    assert bool(made) == (case not in ("named nowhere", "not configured"))
    assert verdict["verdict"] == ("stale" if made else "fresh")


@pytest.mark.parametrize("wanted", [True, False])
def test_type_information_counts_on_from_that_of_vmlinux(
    wanted: bool, tree: Miniature, kdeps: RunKdeps
) -> None:
    """A kernel refuses a module with BTF of another vmlinux, and ``M=`` does not make it again."""
    symbol = f"DEBUG_INFO_BTF_MODULES\n\tbool\n\tdefault {'y' if wanted else 'n'}"
    tree.append("Kconfig", f"\nconfig {symbol}\n")
    tree.edit(tree.objtree / "vmlinux", "linked\n")
    tool = tree.objtree / "tools/bpf/resolve_btfids/resolve_btfids"
    tool.parent.mkdir(parents=True)
    shutil.copy2(tree.objtree / "scripts/mod/modpost", tool)
    tree.make("modules_prepare")
    tree.touch(f"{MODULE}/gpu.rs")
    tree.make(M)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
    tree.touch(str(tree.objtree / "vmlinux"))
    assert tree.kernel_answer(M) == []
    assert judged(kdeps, tree, M)["verdict"] == ("stale" if wanted else "fresh")
    if wanted:
        paste_help(tree, kdeps(tree, "check", M).stdout)
        assert judged(kdeps, tree, M)["verdict"] == "fresh"


@pytest.mark.parametrize(
    "way", ["a link to a folder", "a subfolder that is a link", "elsewhere", "generated", "none"]
)
def test_the_first_build_of_rust_that_lies_elsewhere(way: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Its sources are not below the module's folder, so its Makefiles decide."""
    folder, shared = tree.root / "driver", tree.root / "shared"
    tree.edit(folder / "main.c", C)
    tree.edit(shared / "util.rs", RUST)
    tree.edit(shared / "Kbuild", "obj-m := util.o\n")
    kbuild = {
        "a link to a folder": "obj-m := foo.o\nfoo-y := main.o common/util.o\n",
        "a subfolder that is a link": "obj-m := common/ main.o\n",
        "elsewhere": "obj-m := foo.o\nfoo-y := main.o ../shared/util.o\n",
        "generated": "obj-m := gen.o\n$(obj)/gen.rs: $(src)/main.c\n\tcp $(src)/../shared/util.rs $@\n",
        "none": "obj-m := main.o\n",
    }
    (folder / "common").symlink_to(shared)
    tree.edit(folder / "Kbuild", kbuild[way])
    tree.touch("rust/kernel/io.rs")
    assert judged(kdeps, tree, f"M={folder}")["verdict"] == ("fresh" if way == "none" else "stale")
    tree.make("modules_prepare")
    made = tree.rebuilds(f"M={folder}")
    assert any(name.endswith(("util.o", "gen.o")) for name in made) == (way != "none")
