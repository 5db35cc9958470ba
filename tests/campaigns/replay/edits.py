# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The edits: one of each kind that a developer of Rust drivers makes."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.lab.layout import Layout

NINJA = "ninja"
MAKE = "make"


class Edit(NamedTuple):
    """One change of the trees."""

    name: str
    apply: Callable[[Layout], None]
    by: str = NINJA
    """Who is to refresh: ``make`` where the record is not enough."""
    crates: int = -1
    """How many crates may be compiled; -1: as many as make compiles."""


def touch(path: str) -> Callable[[Layout], None]:
    """Give a file of the source tree (``obj:`` of the object tree) the present time."""
    return lambda layout: os.utime(_find(layout, path))


def append(path: str, text: str) -> Callable[[Layout], None]:
    """Write at the end of a file."""

    def apply(layout: Layout) -> None:
        with open(_find(layout, path), "a", encoding="utf-8") as file:
            file.write(text)

    return apply


def replace(path: str, old: str, new: str) -> Callable[[Layout], None]:
    """Replace a text that is there."""

    def apply(layout: Layout) -> None:
        with open(_find(layout, path), encoding="utf-8") as file:
            text = file.read()
        assert old in text, f"{path} has no {old!r}"
        with open(_find(layout, path), "w", encoding="utf-8") as file:
            file.write(text.replace(old, new, 1))

    return apply


def remove(path: str) -> Callable[[Layout], None]:
    """Delete a file."""
    return lambda layout: os.unlink(_find(layout, path))


def both(*changes: Callable[[Layout], None]) -> Callable[[Layout], None]:
    """Make several changes."""

    def apply(layout: Layout) -> None:
        for change in changes:
            change(layout)

    return apply


class NotInTree(Exception):
    """The tree, of another version, does not have the file."""


def _find(layout: Layout, path: str) -> str:
    """Find the file of an edit. Raises NotInTree: there is none."""
    found = _place(layout, path)
    if not os.path.exists(found):
        raise NotInTree(path)
    return found


def _place(layout: Layout, path: str) -> str:
    time.sleep(0.01)  # the stamps of files written within one tick are equal
    if path.startswith("obj:"):
        return f"{layout.objtree}/{path[4:]}"
    if path.startswith("core:"):
        return glob.glob(f"/usr/lib/rustlib/src/rust/library/core/{path[5:]}")[0]
    return f"{layout.srctree}/{path}"


_HELPER = "\n#ifndef __rust_helper\n#define __rust_helper\n#endif\n__rust_helper int rust_helper_kdeps_new(int x)\n{\n\treturn x + 1;\n}\n"

EDITS: tuple[Edit, ...] = (
    Edit("kernel-touched", touch("rust/kernel/print.rs"), crates=1),
    Edit("kernel-comment", append("rust/kernel/print.rs", "\n// a line more\n"), crates=1),
    Edit("kernel-code", append("rust/kernel/print.rs", "\n/// New.\npub fn kdeps_new() -> u32 {\n    7\n}\n"), crates=1),
    Edit("macros-touched", touch("rust/macros/lib.rs"), crates=0),
    Edit("macros-comment", append("rust/macros/lib.rs", "\n// a line more\n")),
    Edit("pin-init-touched", touch("rust/pin-init/src/lib.rs"), crates=1),
    Edit("pin-init-internal-comment", append("rust/pin-init/internal/src/lib.rs", "\n// a line more\n")),
    Edit("zerocopy-comment", append("rust/zerocopy/src/lib.rs", "\n// a line more\n")),
    Edit("zerocopy-derive-touched", touch("rust/zerocopy-derive/lib.rs"), crates=0),
    Edit("syn-touched", touch("rust/syn/lib.rs"), crates=0),
    Edit("proc-macro2-touched", touch("rust/proc-macro2/lib.rs"), crates=0),
    Edit("quote-comment", append("rust/quote/lib.rs", "\n// a line more\n")),
    Edit("build-error-comment", append("rust/build_error.rs", "\n// a line more\n")),
    Edit("ffi-touched", touch("rust/ffi.rs"), crates=1),
    Edit("compiler-builtins-comment", append("rust/compiler_builtins.rs", "\n// a line more\n")),
    Edit("core-touched", touch("core:src/option.rs"), crates=1),
    Edit("helper-touched", touch("rust/helpers/page.c"), crates=0),
    Edit("helper-new", append("rust/helpers/page.c", _HELPER)),
    Edit("helper-body", replace("rust/helpers/io.c", "return readl(addr);", "return readl(addr) + 1;")),
    Edit("bitcode-touched", touch("obj:rust/helpers/helpers_module.bc")),
    Edit("bitcode-deleted", remove("obj:rust/helpers/helpers_module.bc")),
    Edit("header-touched", touch("include/linux/device.h"), crates=0),
    Edit("wrapped-header-touched", touch("include/asm-generic/mmiowb.h"), by=MAKE),
    Edit("header-comment", append("include/linux/device.h", "\n/* a line more */\n"), crates=0),
    Edit("header-constant", append("include/linux/pci.h", "\n#define PCI_KDEPS_NEW 0x4711\n")),
    Edit("bindings-helper-touched", touch("rust/bindings/bindings_helper.h"), crates=0),
    Edit("uapi-helper-comment", append("rust/uapi/uapi_helper.h", "\n/* a line more */\n"), crates=0),
    Edit("bindgen-parameters-touched", touch("rust/bindgen_parameters"), crates=0),
    Edit("kernel-object-deleted", remove("obj:rust/kernel.o"), crates=1),
    Edit("bindings-deleted", remove("obj:rust/bindings/bindings_generated.rs")),
    Edit("macros-deleted", remove("obj:rust/libmacros.so")),
    Edit("symbol-touched", touch("obj:include/config/PCI"), crates=-1),
    Edit("modpost-touched", touch("scripts/mod/modpost.c"), crates=0),
    Edit("target-touched", touch("scripts/generate_rust_target.rs"), crates=0),
    Edit("syscall-table-touched", touch("arch/x86/entry/syscalls/syscall_64.tbl"), crates=0),
    Edit("module-lds-touched", touch("scripts/module.lds.S"), crates=0),
    Edit("two-at-once", both(append("rust/kernel/print.rs", "\n// more\n"), touch("include/linux/device.h")), crates=1),
    Edit("bindgen-parameters-changed", append("rust/bindgen_parameters", "\n--blocklist-item KDEPS_NEW\n"), by=MAKE),
    Edit("objtool-touched", touch("tools/objtool/check.c"), by=MAKE),
    Edit("record-deleted", remove("obj:rust/.kernel.o.cmd"), by=MAKE),
    Edit("sched-offsets", replace("kernel/sched/sched.h", "struct rq {\n", "struct rq {\n\tlong kdeps_new[9];\n"), by=MAKE),
)  # fmt: skip
"""Where ``crates`` says 0 or 1, make compiles more: everything behind an output whose content is the same."""
