# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the tests of the miniature touch and which steps follow; a make that is held up in the middle of a compile."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from kdeps.demo.miniature import MODULE, Miniature, gnu_make

M = f"M={MODULE}"

LINKS = {"nova-core.o", "modules.order", "Module.symvers", "nova-core.ko"}
MODULE_AGAIN = {"nova_core.o", *LINKS}
KERNEL_CRATE = {"rust/kernel.o", "rust/exports_kernel_generated.h"}
BINDINGS = {"rust/bindings.o", "rust/exports_bindings_generated.h"}
MACRO_USERS = {"rust/pin_init.o", "rust/uapi.o", *BINDINGS, *KERNEL_CRATE}
CRATES = {
    *(f"rust/{name}.o" for name in ("core", "compiler_builtins", "ffi", "build_error", "zerocopy")),
    "rust/exports_core_generated.h",
    *MACRO_USERS,
}
PROC_MACROS = {"rust/libmacros.so", "rust/libpin_init_internal.so", "rust/libzerocopy_derive.so"}


def ko(miniature: Miniature) -> str:
    return (miniature.module / "nova-core.ko").read_text()


def has_deletion_sense() -> bool:
    """Whether this make lets Kbuild notice a deleted prerequisite that has a rule.

    Kbuild must tell make not to delete intermediate files. Up to make 4.4 it can
    only do so with ``.SECONDARY``, and then a missing file that nobody asked for
    counts as up to date; from 4.4.1 on there is ``.NOTINTERMEDIATE``.

    Source: the last lines of linux ``scripts/Kbuild.include``.
    """
    return gnu_make()[1] > (4, 4)


def held_make(tree: Miniature, stage: str, during: Callable[[], object], *words: str) -> None:
    """Run make with a crate's compile held up after one of its stages."""
    fifo = tree.root / "held"
    os.mkfifo(fifo)
    environment = tree.environment({"MINIATURE_HOLD_AFTER": stage, "MINIATURE_HOLD_AT": str(fifo)})
    running = subprocess.Popen(
        ["make", *tree.tree_args, *words], cwd=tree.srctree, env=environment, stdout=subprocess.DEVNULL
    )
    with open(fifo, "w"):
        during()
    assert running.wait() == 0
    fifo.unlink()
