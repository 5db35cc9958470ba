# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The size of each stack frame, by ``.stack_sizes`` and by the machine code's own prologue."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

from kdeps.artifacts.failure import rust_object, rust_rules
from kdeps.artifacts.rust_object import RustObject
from kdeps.artifacts.stack_frames import measure_frames
from kdeps.staleness.check import check_build
from tests.lab.layout import Layout

_FUNCTION = re.compile(r"^[0-9a-f]+ <(\S+)>:$")
_CODE = re.compile(r"^\s+[0-9a-f]+:\s+(\w+)\s*([^#/]*)")
_SUBTRACTED = re.compile(r"(?:\$|sp, sp, #)(-?0x[0-9a-f]+|\d+)(?:, %rsp)?(, lsl #12)?$")
_STORED = re.compile(r"\[sp, #-(0x[0-9a-f]+|\d+)\]!$")


def run_frames(layouts: list[Layout], count: int) -> int:
    """Compare the functions of modules and crates until so many are compared."""
    compared = 0
    differing: list[str] = []
    for rust in _rust_objects(layouts):
        if compared >= count:
            break
        sizes = {frame.function: frame.size for frame in measure_frames(rust, dict(os.environ))}
        code = read_prologues(rust.path)
        both = sizes.keys() & code.keys()
        compared += len(both)
        wrong = [name for name in sorted(both) if sizes[name] != code[name]]
        differing += [f"{rust.path} {name}: {sizes[name]}, by its code {code[name]}" for name in wrong]
        print(f"{rust.path}: {len(both)} frames, {len(wrong)} differ", flush=True)
    for line in differing:
        print(f"FAIL {line}")
    print(f"{compared} stack frames compared with the machine code, {len(differing)} differ")
    return int(bool(differing) or compared < count)


def _rust_objects(layouts: list[Layout]) -> Iterator[RustObject]:
    """The modules' objects first, then the crates of the kernel; ``core``, which takes the longest, is the last."""
    for layout in layouts:
        os.chdir(layout.cwd)
        for words in (*(m.make for m in layout.modules if "rust" in m.languages), ()):
            result = check_build((*layout.make, *words), layout.cwd, dict(os.environ))
            for rule in sorted(rust_rules(result), key=lambda rule: rule.name == "rust/core.o"):
                yield rust_object(result, rule)


def read_prologues(path: str) -> dict[str, int]:
    """Read what each function pushes and subtracts where its frame is made, which may be behind a branch.

    What is pushed later are arguments of a call. LLVM counts them neither for C's ``-Wframe-larger-than``.
    Functions of one name twice are left out.
    """
    text = subprocess.run(
        ["llvm-objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout
    bodies: dict[str, list[tuple[str, str]]] = {}
    twice: set[str] = set()
    name = ""
    for line in text.splitlines():
        begin = _FUNCTION.match(line)
        code = _CODE.match(line)
        if begin:
            name = begin[1]
            if name in bodies:
                twice.add(name)
            bodies[name] = []
        elif code and name:
            bodies[name].append((code[1], code[2].strip()))
    return {name: _frame_size(body) for name, body in bodies.items() if name not in twice}


def _frame_size(body: list[tuple[str, str]]) -> int:
    size = 0
    for name, operands in body:
        grown = _growth(name, operands)
        size += grown
        sets_frame_pointer = name.startswith(("mov", "add", "stp", "str")) and ("sp" in operands)
        if size and not grown and not sets_frame_pointer:
            break
    return size


def _growth(name: str, operands: str) -> int:
    """Return the bytes by which one instruction lets the stack grow: x86-64 in the syntax of AT&T, or arm64."""
    stored = _STORED.search(operands)
    subtracted = _SUBTRACTED.search(operands)
    if name.startswith("push"):
        return 8 if operands.startswith("%") else 0
    if stored and name in ("stp", "str"):
        return int(stored[1], 0)
    if subtracted is None or not operands.endswith(("%rsp", subtracted[0])) or "sp" not in operands:
        return 0
    value = int(subtracted[1], 0) << (12 if subtracted[2] else 0)
    if name.startswith("add"):
        return max(0, -value)
    return value if name.startswith("sub") else 0
