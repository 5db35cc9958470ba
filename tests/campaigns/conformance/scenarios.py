# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The cases from the field, told from beginning to end with the real compilers.

Edit core code, a header that bindgen read, a proc macro, the configuration; run
``make M=…`` and see that Kbuild rebuilds nothing and says nothing; see kdeps name
the file; paste what it says under "help"; see both content, and the new code in.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field

from tests.lab.kbuild_oracle import ask_module, ask_prepare
from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch, differing

PROBE = "KDEPS_FIELD_PROBE"
TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Story:
    """One thing that a developer does before building just the driver."""

    name: str
    edited: str
    """The file, relative to the source tree; ``.config`` lies in the object tree."""
    addition: str
    """Appended to the file."""
    proof: str
    """A built file, relative to the object tree, that must then contain the probe; empty: nothing to see."""
    old: str = ""
    """Replaced instead of appending, where not empty."""


STORIES = (
    Story("core", "rust/kernel/io.rs", f'/// Probe.\npub const {PROBE}: &str = "new";\n', "rust/libkernel.rmeta"),
    Story(
        "header", "include/linux/device.h", f"#define {PROBE} 4711\n", "rust/bindings/bindings_generated.rs"
    ),
    Story("macro", "rust/macros/helpers.rs", f"// {PROBE}\n", ""),
    Story(
        "config", ".config", "# CONFIG_RUST_OVERFLOW_CHECKS is not set", "", old="CONFIG_RUST_OVERFLOW_CHECKS=y"
    ),
)  # fmt: skip


@dataclass(slots=True)
class Told:
    name: str
    said: str = ""
    """What kdeps said of it."""
    wrong: list[str] = field(default_factory=list)
    """What was not as it must be."""


def tell(layout: Layout, module: Module, story: Story) -> Told:
    """Live through one story. Call it in a process that ends afterwards."""
    told = Told(story.name)
    scratch = Scratch()
    path = f"{layout.objtree if story.edited == '.config' else layout.srctree}/{story.edited}"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(story.old, story.addition) if story.old else text + story.addition)

    before = scratch.written()
    built = _run(layout, ["make", *layout.make, *module.make])
    rebuilt = [p for p in differing(before, scratch.written()) if p.endswith(".cmd")]
    if built.returncode != 0 or rebuilt:
        told.wrong.append(f"make M= was to rebuild nothing: exit {built.returncode}, {rebuilt}")

    check = [sys.executable, "-m", "kdeps", "check", *layout.make, *module.make]
    first = _run(layout, check)
    told.said = first.stdout + first.stderr
    if first.returncode != 1 or os.path.basename(story.edited) not in first.stdout:
        told.wrong.append(f"kdeps check did not name {story.edited}: exit {first.returncode}")
    cure = [line for line in first.stdout.splitlines() if re.match(r"    (make|rm) ", line)]
    helped = _run(layout, ["sh", "-ec", "\n".join(cure)])
    if helped.returncode != 0:
        told.wrong.append(f"the commands under help failed: {helped.stderr[-300:]}")
    second = _run(layout, check)
    if second.returncode != 0:
        told.wrong.append(f"still not fresh afterwards: {second.stdout}")
    left = set(ask_prepare(layout, private=scratch.private).recorded)
    left |= set(ask_module(layout, module.make, private=scratch.private).recorded)
    if left:
        told.wrong.append(f"Kbuild itself still has work to do: {sorted(left)}")
    if story.proof:
        with open(f"{layout.objtree}/{story.proof}", "rb") as file:
            if PROBE.encode() not in file.read():
                told.wrong.append(f"the new code is not in {story.proof}")
    return told


def _run(layout: Layout, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=layout.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )  # fmt: skip
