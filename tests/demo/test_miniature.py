# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The miniature kernel behaves as Kbuild does, hole included.

Everything here runs the real make. What each change must do is what the same
change did on Linux 7.2; most of the rows below were measured there.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support.miniature import (
    BINDINGS,
    CRATES,
    KERNEL_CRATE,
    MACRO_USERS,
    MODULE,
    MODULE_AGAIN,
    PROC_MACROS,
    Listing,
    M,
    Miniature,
    has_deletion_sense,
    ko,
)


def files(miniature: Miniature) -> Listing:
    """The listing without folders: filechk works with temporary files."""
    return {path: entry for path, entry in miniature.listing().items() if not stat.S_ISDIR(entry[0])}


# -- the hole --------------------------------------------------------------------


def test_building_the_module_never_rebuilds_the_crates_it_uses(tree: Miniature) -> None:
    """An edited kernel crate: make M= rebuilds nothing, exits 0, and the module keeps the old code."""
    tree.replace("rust/kernel/io.rs", "RESET_TIMEOUT_MS: u32 = 100", "RESET_TIMEOUT_MS: u32 = 500")

    assert tree.rebuilds(M) == set()
    assert "RESET_TIMEOUT_MS: u32 = 100" in ko(tree)

    assert tree.rebuilds("prepare") == KERNEL_CRATE
    assert "RESET_TIMEOUT_MS: u32 = 100" in ko(tree)

    assert tree.rebuilds(M) == MODULE_AGAIN
    assert "RESET_TIMEOUT_MS: u32 = 500" in ko(tree)
    assert "RESET_TIMEOUT_MS: u32 = 100" not in ko(tree)


def test_nothing_to_do_says_nothing_and_touches_nothing(tree: Miniature) -> None:
    """On a fresh tree both builds leave every file, its bytes and its time, as it was."""
    before = files(tree)
    said = tree.make("modules_prepare").stdout + tree.make(M).stdout
    assert files(tree) == before
    assert [line for line in said.splitlines() if not line.startswith("make[1]: ")] == []


# -- what make does, what it says it would do ---------------------------------------


@dataclass(frozen=True)
class Row:
    """One change, and what follows from it."""

    change: Callable[[Miniature], object]
    kernel: set[str]
    """Directly stale for modules_prepare."""
    rebuilt: set[str]
    """What modules_prepare then remakes in all."""
    module: frozenset[str] = frozenset()
    """Directly stale for M=, before the kernel is brought up to date."""
    after: frozenset[str] = frozenset(MODULE_AGAIN)
    """What M= remakes once it is."""
    sensed: frozenset[str] = frozenset()
    """Directly stale for modules_prepare, too, where make notices deleted prerequisites."""


def touched(name: str) -> Callable[[Miniature], object]:
    return lambda tree: tree.touch(name)


def in_objtree(name: str, *, delete: bool = False) -> Callable[[Miniature], object]:
    return lambda tree: (tree.objtree / name).unlink() if delete else tree.touch(tree.objtree / name)


def new_file(tree: Miniature) -> None:
    tree.edit("rust/kernel/irq.rs", "//! Interrupts.\n")
    tree.append("rust/kernel/lib.rs", "\npub mod irq;\n")


def removed_file(tree: Miniature) -> None:
    tree.path("rust/kernel/time.rs").unlink()
    tree.replace("rust/kernel/lib.rs", "pub mod time;\n", "")


ROWS = {
    "kernel source": Row(touched("rust/kernel/io.rs"), {"rust/kernel.o"}, {*KERNEL_CRATE}),
    "crate root": Row(touched("rust/kernel/lib.rs"), {"rust/kernel.o"}, {*KERNEL_CRATE}),
    "new file with its mod line": Row(new_file, {"rust/kernel.o"}, {*KERNEL_CRATE}),
    "file and its mod line removed": Row(removed_file, {"rust/kernel.o"}, {*KERNEL_CRATE}),
    "macros": Row(
        touched("rust/macros/module.rs"), {"rust/libmacros.so"}, {"rust/libmacros.so", *MACRO_USERS}
    ),
    "pin-init": Row(touched("rust/pin-init/src/lib.rs"), {"rust/pin_init.o"}, {*MACRO_USERS}),
    "include_str": Row(touched("rust/pin-init/README.md"), {"rust/pin_init.o"}, {*MACRO_USERS}),
    "pin-init internal": Row(
        touched("rust/pin-init/internal/src/lib.rs"),
        {"rust/libpin_init_internal.so"},
        {"rust/libpin_init_internal.so", *MACRO_USERS},
    ),
    "zerocopy": Row(
        touched("rust/zerocopy/src/lib.rs"), {"rust/zerocopy.o"}, {"rust/zerocopy.o", *KERNEL_CRATE}
    ),
    "syn": Row(
        touched("rust/syn/lib.rs"),
        {"rust/libsyn.rlib"},
        {"rust/libsyn.rlib", *PROC_MACROS, *MACRO_USERS},
    ),
    "core library": Row(
        lambda tree: tree.touch(tree.toolchain / "lib/rustlib/src/rust/library/core/src/option.md"),
        {"rust/core.o"},
        {*CRATES},
    ),
    "helper": Row(
        touched("rust/helpers/pci.c"),
        {"rust/helpers/helpers.o", "rust/bindings/bindings_helpers_generated.rs"},
        {
            "rust/helpers/helpers.o",
            "rust/exports_helpers_generated.h",
            "rust/bindings/bindings_helpers_generated.rs",
            *BINDINGS,
            *KERNEL_CRATE,
        },
    ),
    "header": Row(
        touched("include/linux/device.h"),
        {
            "rust/helpers/helpers.o",
            "rust/bindings/bindings_generated.rs",
            "rust/bindings/bindings_helpers_generated.rs",
        },
        {
            "rust/helpers/helpers.o",
            "rust/exports_helpers_generated.h",
            "rust/bindings/bindings_generated.rs",
            "rust/bindings/bindings_helpers_generated.rs",
            *BINDINGS,
            *KERNEL_CRATE,
        },
    ),
    "module.h, which the module reads too": Row(
        touched("include/linux/module.h"),
        {"rust/bindings/bindings_generated.rs"},
        {"rust/bindings/bindings_generated.rs", *BINDINGS, *KERNEL_CRATE},
        frozenset({"nova-core.mod.o", ".module-common.o"}),
        frozenset({*MODULE_AGAIN, "nova-core.mod.o", ".module-common.o"}),
    ),
    "bindgen_parameters": Row(
        lambda tree: tree.append("rust/bindgen_parameters", "--opaque-type zpci_fib\n"),
        {"rust/bindings/bindings_generated.rs", "rust/uapi/uapi_generated.rs"},
        {
            "rust/bindings/bindings_generated.rs",
            "rust/uapi/uapi_generated.rs",
            "rust/uapi.o",
            *BINDINGS,
            *KERNEL_CRATE,
        },
    ),
    "flag in rust/Makefile": Row(
        lambda tree: tree.replace(
            "rust/Makefile", "--extern macros --extern bindings", "-Cx --extern macros --extern bindings"
        ),
        {"rust/kernel.o"},
        {*KERNEL_CRATE},
    ),
    "rust/Makefile touched": Row(touched("rust/Makefile"), set(), set(), after=frozenset()),
    "generate_rust_target": Row(
        touched("scripts/generate_rust_target.rs"),
        {"scripts/generate_rust_target"},
        {"scripts/generate_rust_target"},
        after=frozenset(),
    ),
    "module.lds.S": Row(
        touched("scripts/module.lds.S"),
        {"scripts/module.lds"},
        {"scripts/module.lds"},
        after=frozenset({"nova-core.ko"}),
    ),
    "modpost": Row(
        touched("scripts/mod/modpost.script"),
        {"scripts/mod/modpost.o"},
        {"scripts/mod/modpost.o", "scripts/mod/modpost"},
        after=frozenset({"Module.symvers"}),
    ),
    "bindgen upgraded": Row(
        lambda tree: tree.set_version("bindgen", "0.73.0"), set(), set(), after=frozenset()
    ),
    "module source": Row(
        touched(f"{MODULE}/gpu.rs"), set(), set(), frozenset({"nova_core.o"}), frozenset(MODULE_AGAIN)
    ),
    "target.json": Row(in_objtree("scripts/target.json"), {"rust/core.o"}, {*CRATES}),
    "kernel.o deleted": Row(
        in_objtree("rust/kernel.o", delete=True),
        {"rust/kernel.o"},
        {*KERNEL_CRATE},
        sensed=frozenset({"rust/exports_kernel_generated.h"}),
    ),
    "record deleted": Row(in_objtree("rust/.kernel.o.cmd", delete=True), {"rust/kernel.o"}, {*KERNEL_CRATE}),
    "helpers.o's record deleted": Row(
        in_objtree("rust/helpers/.helpers.o.cmd", delete=True), set(), set(), after=frozenset()
    ),
    "bindings_generated.rs deleted": Row(
        in_objtree("rust/bindings/bindings_generated.rs", delete=True),
        {"rust/bindings/bindings_generated.rs"},
        {"rust/bindings/bindings_generated.rs", *BINDINGS, *KERNEL_CRATE},
        sensed=frozenset({"rust/bindings.o"}),
    ),
    "a configuration symbol touched": Row(
        in_objtree("include/config/PCI"),
        {"rust/bindings/bindings_generated.rs", "rust/bindings/bindings_helpers_generated.rs"}
        | {"rust/helpers/helpers.o", "rust/bindings.o", "rust/uapi.o", "rust/kernel.o"},
        {
            "rust/helpers/helpers.o",
            "rust/exports_helpers_generated.h",
            "rust/bindings/bindings_generated.rs",
            "rust/bindings/bindings_helpers_generated.rs",
            "rust/uapi.o",
            *BINDINGS,
            *KERNEL_CRATE,
        },
    ),
    "libkernel.rmeta touched": Row(
        in_objtree("rust/libkernel.rmeta"), set(), set(), frozenset({"nova_core.o"})
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_build_says_what_it_then_does(tree: Miniature, name: str) -> None:
    """For each change the overridden build names the direct causes, and the real one remakes what follows."""
    row = ROWS[name]
    row.change(tree)

    before = tree.listing()
    sensed = row.sensed if has_deletion_sense() else frozenset()
    assert set(tree.kernel_answer("modules_prepare")) == row.kernel | sensed
    assert set(tree.kernel_answer(M)) == row.module
    assert tree.listing() == before, "asking changed something"

    assert tree.rebuilds("modules_prepare") == row.rebuilt
    assert tree.rebuilds(M) == row.after
    assert tree.rebuilds("modules_prepare") == tree.rebuilds(M) == set()


def test_v2_blames_the_file_the_override_names(tree: Miniature) -> None:
    """make V=2 and the override give the same reason."""
    source = tree.touch("rust/kernel/io.rs")
    (direct,) = tree.kernel_reasons("modules_prepare")
    assert direct.newer == (str(source),)
    assert not direct.command
    assert f"RUSTC L rust/kernel.o - due to: {source}\n" in tree.make("modules_prepare", "V=2").stdout
