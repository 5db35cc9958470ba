# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Modules that oops, and edits of them, by a seed: a chain of functions, the last of which fails."""

from __future__ import annotations

import random
from typing import NamedTuple

EDITS = ("constant", "grow", "rename", "unrelated", "comment", "none")
_FAILURES = ("warn", "null", "bug")
_RUST_FAILURE = {
    "warn": "kernel::warn_on!(core::hint::black_box(x) != usize::MAX);",
    "null": "unsafe { core::ptr::null_mut::<u32>().add(core::hint::black_box(x & 15)).write_volatile(1) };",
    "bug": "let _ = core::hint::black_box([1u32, 2])[core::hint::black_box(x | 2)];",
}
_C_FAILURE = {
    "warn": "WARN_ON(x != ~0UL);",
    "null": "*(volatile int *)(x & 60) = 1;",
    "bug": "BUG_ON(x != ~0UL);",
}


class Module(NamedTuple):
    """One module, before and after its edit."""

    name: str
    suffix: str
    """``.rs`` or ``.c``."""
    edit: str
    first: str
    second: str
    """The sources."""


def make_modules(seed: int, count: int) -> list[Module]:
    """Return the modules of a seed; every edit occurs, in both languages."""
    modules = []
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        edit = EDITS[number % len(EDITS)]
        is_rust = number // len(EDITS) % 2 == 0
        steps = [(rng.randrange(3, 120), rng.randrange(1, 31)) for _ in range(rng.randrange(2, 5))]
        name = f"oops_{number:02}"
        failure = rng.choice(_FAILURES)
        write = _write_rust if is_rust else _write_c
        first = write(name, steps, failure, "plain")
        at = rng.randrange(len(steps))
        changed = list(steps)
        if edit == "constant":
            changed[at] = (steps[at][0] ^ 1, steps[at][1])
        second = write(name, changed, failure, edit, at)
        modules.append(Module(name, ".rs" if is_rust else ".c", edit, first, second))
    return modules


def _write_rust(name: str, steps: list[tuple[int, int]], failure: str, edit: str, at: int = -1) -> str:
    names = _names(steps, edit, at)
    functions = []
    for number, (constant, shift) in enumerate(steps):
        below = f"{names[number + 1]}(x ^ {constant})" if number + 1 < len(steps) else f"fail(x ^ {constant})"
        extra = "    let x = core::hint::black_box(x).wrapping_mul(12_345).rotate_left(7);\n" * (
            edit == "grow" and number == at
        )
        functions.append(
            f"#[inline(never)]\nfn {names[number]}(x: usize) -> usize {{\n{extra}"
            f"    {below}.wrapping_mul({constant}).rotate_left({shift})\n}}\n"
        )
    comment = "// One line more.\n" * (edit == "comment")
    unrelated = f"x.wrapping_mul({3 if edit == 'unrelated' else 5})"
    return (
        f"// SPDX-License-Identifier: GPL-2.0\n//! Oopses.\n{comment}use kernel::prelude::*;\n\n"
        f'module! {{\n    type: Demo,\n    name: "{name}",\n    authors: ["kdeps"],\n    description: "oops",\n'
        f'    license: "GPL",\n}}\n\nstruct Demo;\n\n#[inline(never)]\nfn fail(x: usize) -> usize {{\n'
        f"    {_RUST_FAILURE[failure]}\n    x\n}}\n\n{chr(10).join(functions)}\n"
        f"#[inline(never)]\nfn unrelated(x: usize) -> usize {{\n    {unrelated}\n}}\n\n"
        "impl kernel::Module for Demo {\n    fn init(_module: &'static ThisModule) -> Result<Self> {\n"
        f"        let x = {names[0]}(core::hint::black_box(7));\n"
        '        pr_info!("{}\\n", unrelated(x));\n        Ok(Demo)\n    }\n}\n'
    )


def _write_c(_: str, steps: list[tuple[int, int]], failure: str, edit: str, at: int = -1) -> str:
    names = _names(steps, edit, at)
    functions = []
    for number in reversed(range(len(steps))):
        constant, shift = steps[number]
        below = f"{names[number + 1]}(x ^ {constant})" if number + 1 < len(steps) else f"fail(x ^ {constant})"
        extra = "\tx = rol64(x * 12345, 7) ^ count++;\n" * (edit == "grow" and number == at)
        functions.append(
            f"static noinline unsigned long {names[number]}(unsigned long x)\n{{\n{extra}"
            f"\treturn rol64({below} * {constant}, {shift});\n}}\n"
        )
    comment = "/* One line more. */\n" * (edit == "comment")
    return (
        f"// SPDX-License-Identifier: GPL-2.0\n{comment}#include <linux/bitops.h>\n#include <linux/init.h>\n"
        "#include <linux/module.h>\n\nstatic volatile unsigned long count;\n\n"
        f"static noinline unsigned long fail(unsigned long x)\n{{\n\t{_C_FAILURE[failure]}\n\treturn x + count;\n}}\n\n"
        f"{chr(10).join(functions)}\n"
        f"static noinline unsigned long unrelated(unsigned long x)\n{{\n\treturn x * {3 if edit == 'unrelated' else 5} + count;\n}}\n\n"
        f"static int __init demo_init(void)\n{{\n\tunsigned long x = {names[0]}(count + 7);\n\n"
        '\tpr_info("%lu\\n", unrelated(x));\n\treturn 0;\n}\nmodule_init(demo_init);\n'
        'MODULE_DESCRIPTION("oops");\nMODULE_LICENSE("GPL");\n'
    )


def _names(steps: list[tuple[int, int]], edit: str, at: int) -> list[str]:
    return [
        f"renamed_{number}" if edit == "rename" and number == at else f"step_{number}"
        for number in range(len(steps))
    ]
