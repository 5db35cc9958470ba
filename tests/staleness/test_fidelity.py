# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps and Kbuild give the same answer, change by change, on real make.

The referee is the build itself with its deciding macros overridden
(``Miniature.kernel_reasons``); the conformance suite does the same on real kernels.
Differences found there are shrunk to a row here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.verdict import Change, M, direct, judged, touch


def in_objtree(name: str, action: Callable[[Path], object]) -> Change:
    return lambda tree: action(tree.objtree / name)


def empty(path: Path) -> None:
    stamp = path.stat()
    path.write_bytes(b"")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def overwrite_record(folder: str, name: str, other: str) -> Change:
    """Put the record of another target in the place of a target's own."""
    return in_objtree(folder, lambda path: shutil.copy(path / f".{other}.cmd", path / f".{name}.cmd"))


def swap_records(path: Path, name: str, other: str) -> None:
    """Let the records of two targets change their places: make includes both, and has both commands."""
    one, two = path / f".{name}.cmd", path / f".{other}.cmd"
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)


def swap_and_edit(tree: Miniature) -> None:
    swap_records(tree.objtree / "rust", "bindings.o", "uapi.o")
    tree.touch(tree.objtree / "rust/uapi/uapi_generated.rs")


def dangle(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("nowhere")


def vanish(name: str) -> Change:
    """Delete a target together with its record: what of it is left is in Makefiles."""

    def change(tree: Miniature) -> None:
        path = tree.objtree / name
        path.unlink()
        path.with_name(f".{path.name}.cmd").unlink()

    return change


def touch_obj(name: str) -> Change:
    return lambda tree: tree.touch(tree.objtree / name)


CHANGES: dict[str, Change] = {
    "nothing": lambda _tree: None,
    "a file of the kernel crate": touch("rust/kernel/io.rs"),
    "the root of the kernel crate": touch("rust/kernel/lib.rs"),
    "a proc macro": touch("rust/macros/lib.rs"),
    "a C header that bindgen reads": touch("include/linux/pci.h"),
    "bindgen's parameters": touch("rust/bindgen_parameters"),
    "a C helper": touch("rust/helpers/helpers.c"),
    "the module's own source": touch(f"{MODULE}/nova_core.rs"),
    "an unrelated file": lambda tree: tree.edit("Documentation/notes.rst", "notes\n"),
    "an object of a crate": touch_obj("rust/bindings.o"),
    "metadata of a crate": touch_obj("rust/libkernel.rmeta"),
    "generated bindings": touch_obj("rust/bindings/bindings_generated.rs"),
    "a configuration symbol": touch_obj("include/config/PCI"),
    "the target specification": touch_obj("scripts/target.json"),
    "modpost": touch_obj("scripts/mod/modpost"),
    "kernel.o deleted": in_objtree("rust/kernel.o", Path.unlink),
    "core.o deleted": in_objtree("rust/core.o", Path.unlink),
    "a proc macro deleted": in_objtree("rust/libmacros.so", Path.unlink),
    "metadata deleted": in_objtree("rust/libkernel.rmeta", Path.unlink),
    "a record deleted": in_objtree("rust/.kernel.o.cmd", Path.unlink),
    "a record emptied": in_objtree("rust/.kernel.o.cmd", empty),
    "helpers.o's record deleted": in_objtree("rust/helpers/.helpers.o.cmd", Path.unlink),
    "the record of a list that nobody reads deleted": in_objtree(
        "rust/.exports_core_generated.h.cmd", Path.unlink
    ),
    "the kernel's Module.symvers appears": lambda tree: tree.edit(tree.objtree / "Module.symvers", ""),
    "a stray source in the module": lambda tree: tree.edit(f"{MODULE}/stray.rs", "// not built\n"),
    "a header deleted": lambda tree: tree.path("include/linux/pci.h").unlink(),
    "generated bindings deleted": in_objtree("rust/bindings/bindings_generated.rs", Path.unlink),
    "the module's object deleted": lambda tree: (tree.module / "nova_core.o").unlink(),
    "the module's linked object deleted": lambda tree: (tree.module / "nova-core.o").unlink(),
    "the module's root source deleted": lambda tree: (tree.module / "nova_core.rs").unlink(),
    "a source that a pattern rule finds deleted": lambda tree: tree.path(
        "rust/kernel/generated_arch_warn_asm.rs.S"
    ).unlink(),
    "a module's record deleted": lambda tree: (tree.module / ".nova_core.o.cmd").unlink(),
    "modules.order's record deleted": lambda tree: (tree.module / ".modules.order.cmd").unlink(),
    "a record overwritten by another crate's": overwrite_record("rust", "bindings.o", "core.o"),
    "a record overwritten by that of generated code": overwrite_record("rust", "kernel.o", "libmacros.so"),
    "a tool's record overwritten": overwrite_record("scripts/mod", "modpost", "modpost.o"),
    "helpers.o's record overwritten": in_objtree(
        "rust", lambda path: shutil.copy(path / ".core.o.cmd", path / "helpers/.helpers.o.cmd")
    ),
    "the records of two crates swapped": in_objtree(
        "rust", lambda path: swap_records(path, "bindings.o", "uapi.o")
    ),
    "the records of two crates swapped, one edited": swap_and_edit,
    "a module's record overwritten": lambda tree: shutil.copy(
        tree.module / ".nova-core.o.cmd", tree.module / ".nova_core.o.cmd"
    ),
    "the records of a module swapped": lambda tree: swap_records(tree.module, "nova-core.o", "nova_core.o"),
    "the records of two makes swapped": lambda tree: swap_records(
        tree.module, "Module.symvers", "nova-core.mod.o"
    ),
    "the records of one make swapped": lambda tree: swap_records(
        tree.module, "nova-core.ko", "nova-core.mod.o"
    ),
    "generated code gone with its record": vanish("rust/kernel/generated_arch_warn_asm.rs"),
    "a list gone with its record": vanish("rust/exports_core_generated.h"),
    "bindings gone with their record": vanish("rust/bindings/bindings_generated.rs"),
    "a crate's object gone with its record": vanish("rust/uapi.o"),
    "a tool gone with its record": vanish("scripts/generate_rust_target"),
    "a source dated before 1970": lambda tree: os.utime(tree.path("rust/kernel/io.rs"), (-5, -5)),
    "an artifact dated before 1970": in_objtree("rust/bindings.o", lambda path: os.utime(path, (-5, -5))),
    "a link to nowhere for a configuration symbol": in_objtree("include/config/PCI", dangle),
    "two at once": lambda tree: (tree.touch("rust/ffi.rs"), tree.touch("include/linux/pci.h")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_directly_stale_rules_are_kbuilds_own_answer(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """After any change kdeps and the build itself name the same rules, for the kernel and for the module;
    ``--exact`` names them, too; and neither changes anything.
    """
    CHANGES[name](tree)
    kernel = set(tree.kernel_answer("modules_prepare"))
    module = set(tree.kernel_answer(M))
    before = tree.listing()

    for option in ((), ("--exact",)):
        verdict = judged(kdeps, tree, *option, M)

        assert not option or verdict["source"] == "kbuild"
        assert (option, direct(verdict, "kernel")) == (option, kernel)
        assert (option, direct(verdict, "module")) == (option, module)
        assert tree.listing() == before, f"looking {option} changed something"


@pytest.mark.parametrize(
    "name", ["a file of the kernel crate", "a proc macro", "a C header that bindgen reads"]
)
def test_what_is_said_to_be_stale_is_what_make_rebuilds(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Rules said to be stale for certain are rebuilt, and nothing else than what was said to be stale."""
    CHANGES[name](tree)
    verdict = judged(kdeps, tree, M)
    said = {r["target"]: r["certainty"] for r in verdict["stale"] if r["scope"] == "kernel"}
    assert verdict["verdict"] == "stale"
    assert tree.rebuilds(M) == set(), "make M= was to rebuild nothing"

    rebuilt = tree.rebuilds("modules_prepare")

    assert {target for target, certainty in said.items() if certainty == "certain"} <= rebuilt <= said.keys()
    tree.make(M)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"


@pytest.mark.parametrize(
    "damage",
    [
        (),
        (".nova_core.o.cmd",),
        (".nova_core.o.cmd", "nova_core.o"),
        (".nova-core.mod.cmd",),
        (".nova-core.mod.cmd", "nova_core.o"),
        (".nova-core.mod.cmd", "nova-core.mod", ".nova-core.o.cmd"),
        (".modules.order.cmd", "modules.order", ".nova_core.o.cmd", ".nova-core.ko.cmd"),
    ],
)
def test_a_module_whose_records_do_not_name_its_crates_uses_them_all_the_same(
    damage: tuple[str, ...], tree: Miniature, kdeps: RunKdeps
) -> None:
    """A first build that failed, or one that was broken off, leaves some records and not the one that counts."""
    for name in damage:
        (tree.module / name).unlink()
    tree.touch("rust/kernel/lib.rs")
    assert judged(kdeps, tree, M)["verdict"] == "stale"
    assert judged(kdeps, tree, "--exact", M)["verdict"] == "stale"


@pytest.mark.parametrize("size", [0, 20, 200])
def test_a_cut_off_record_of_a_module_hides_no_stale_crate(
    size: int, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Empty, within its command, within its list."""
    record = tree.module / ".nova_core.o.cmd"
    text = record.read_bytes()
    record.write_bytes(text[: size if size < 200 else text.index(b"deps_") + 20])
    tree.touch("rust/kernel/lib.rs")
    assert judged(kdeps, tree, M)["verdict"] == "stale"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("obj-m += new.o", "stale"),
        ("# new.o", "fresh"),
        ("obj-$(CONFIG_PCI) += other.o \\\n\tnew.o", "stale"),
        # drivers/net/phy: C, and Rust drivers that nobody has configured.
        ("obj-$(CONFIG_ABSENT) += other.o \\\n\tnew.o", "fresh"),
        ("CONFIG_OWN := m\nobj-$(CONFIG_OWN) += new.o", "stale"),
    ],
)
def test_the_first_rust_object_of_a_c_module_uses_crates(
    line: str, verdict: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """It has no record yet, and make builds it on whatever crates there are."""
    order = tree.module / ".modules.order.cmd"
    order.write_text(
        "savedcmd_modules.order := {:; } > modules.order\n"
    )  # only C, of which the miniature has none
    tree.edit(tree.module / "modules.order", "")
    (tree.module / "nova_core.rs").rename(tree.module / "new.rs")
    tree.edit(tree.module / "Makefile", f"obj-m := c.o\n{line}\n")
    tree.touch("rust/kernel/lib.rs")
    done = kdeps(tree, "check", "--format=json", M)
    assert json.loads(done.stdout)["verdict"] == verdict
