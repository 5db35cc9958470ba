# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Edits: first ask ``kdeps affected``, then edit, then let make do it, and compare.

What was called certain must be made again, and nothing may be made again that was not
called at least possible. Stand-in compilers (``tests/lab/fake_rustc``) touch their outputs
instead of compiling, but for a few edits, which the real ones compile.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.lab.layout import Layout
from tests.lab.overlay import Scratch, differing
from tests.lab.real_build import _stand_in_env
from tests.lab.run import each_apart

TIMEOUT_S = 1200
_RECORD = re.compile(r"\.(.+)\.cmd")
_COMMENTS = {".rs": "//", ".awk": "#", ".sh": "#", ".txt": "#"}


@dataclass(frozen=True, slots=True)
class Edit:
    """One change that a developer makes."""

    layout: Layout
    kind: str
    name: str
    """What ``kdeps affected`` is asked about."""
    carry_out: Callable[[], None]
    real: bool = False


@dataclass(slots=True)
class Result:
    edit: str
    certain: int = 0
    possible: int = 0
    ran: int = 0
    idle: list[str] = field(default_factory=list)
    """Called certain, and make left it alone."""
    unforetold: list[str] = field(default_factory=list)
    """Made again, and neither certain nor possible."""
    broken: str = ""
    elapsed_s: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.idle or self.unforetold or self.broken)


# -- what is edited --------------------------------------------------------------


def _append(path: str) -> None:
    """Add a comment at the end, as an editor would write it: newer than everything."""
    mark = _COMMENTS.get(os.path.splitext(path)[1])
    if mark is None:
        mark = "#" if os.path.basename(path) in ("bindgen_parameters", "Makefile") else "//"
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"\n{mark} edited\n")


def _append_all(paths: list[str]) -> None:
    for path in paths:
        _append(path)


def _new_rust(root: str, path: str) -> None:
    """Write a new file and the ``mod`` line that names it."""
    Path(path).write_text("//! New.\n")
    with open(root, "a", encoding="utf-8") as file:
        file.write(f"\nmod {Path(path).stem};\n")


def _touch(path: str) -> None:
    """What syncconfig does for a symbol that changed."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()


def plan_edits(layout: Layout, seed: int) -> list[Edit]:
    """Every kind of edit that this layout has files for, each at a file drawn by the seed."""
    draw = random.Random(f"{seed}:{layout.name}")
    source = layout.srctree
    edits: list[Edit] = []

    def add(kind: str, *patterns: str, folder: str = source) -> None:
        found = sorted({str(p) for pattern in patterns for p in Path(folder).glob(pattern) if p.is_file()})
        if found:
            path = draw.choice(found)
            edits.append(Edit(layout, kind, path, partial(_append, path)))

    add("kernel crate", "rust/kernel/*.rs")
    add("kernel crate, deep", "rust/kernel/*/*.rs")
    add("proc macro", "rust/macros/*.rs")
    add("pin-init", "rust/pin-init/src/*.rs", "rust/pin-init/internal/src/*.rs")
    add("zerocopy", "rust/zerocopy/src/*.rs", "rust/zerocopy-derive/*.rs")
    add("host crate", "rust/syn/*.rs", "rust/quote/*.rs", "rust/proc-macro2/*.rs")
    add("helper", "rust/helpers/[a-r]*.c")
    add(
        "header of the bindings", *(f"include/linux/{n}.h" for n in ("device", "pci", "mutex", "slab", "err"))
    )
    add("central header", "include/linux/types.h", "include/linux/compiler_types.h", "include/linux/mm.h")
    add("list of the bindings", "rust/bindings/bindings_helper.h", "rust/uapi/uapi_helper.h")
    add("bindgen's parameters", "rust/bindgen_parameters")
    add("small crate", "rust/build_error.rs", "rust/ffi.rs", "rust/uapi/lib.rs", "rust/bindings/lib.rs")
    add("objtool", "tools/objtool/check.c", "tools/objtool/elf.c", "tools/objtool/special.c")
    add("modpost", "scripts/mod/modpost.c", "scripts/mod/symsearch.c")
    add("linker script", "scripts/module.lds.S")
    add("target generator", "scripts/generate_rust_target.rs")
    add("filechk script", "arch/x86/tools/cpufeaturemasks.awk", "kernel/time/timeconst.bc")
    for module in layout.modules:
        add(f"module {module.name}", "*.rs", folder=module.folder)
    folder = f"{source}/rust/macros"
    files = sorted(map(str, Path(folder).glob("*.rs")))
    edits.append(Edit(layout, "folder", f"{folder}/", partial(_append_all, files)))
    new = f"{source}/rust/kernel/kdeps_new.rs"
    edits.append(Edit(layout, "new file", new, partial(_new_rust, f"{source}/rust/kernel/lib.rs", new)))
    symbol = draw.choice(("PCI", "BUG", "PRINTK", "SMP"))
    stamp = f"{layout.objtree}/include/config/{symbol}"
    edits.append(Edit(layout, "symbol", f"CONFIG_{symbol}", partial(_touch, stamp)))
    draw.shuffle(edits)
    return edits


# -- what happens ------------------------------------------------------------------


def make_edit(edit: Edit) -> Result:
    """Foretell, edit, make, compare. Call it in a process that ends afterwards."""
    started = time.monotonic()
    compiler = "real" if edit.real else "stand-in"
    result = Result(f"{edit.layout.name} {compiler} {edit.kind}: {edit.name}")
    try:
        _make_edit(edit, result)
    except Exception:  # an edit must never take the run with it
        result.broken = traceback.format_exc()
    result.elapsed_s = time.monotonic() - started
    return result


def _make_edit(edit: Edit, result: Result) -> None:
    layout = edit.layout
    scratch = Scratch()
    answer = _ask(layout, edit.name)
    effects = [*answer["crates"], *answer["modules"], *answer["others"]]
    certain = {e["path"] for e in effects if e["noticed"] and e["certainty"] == "certain"}
    possible = {e["path"] for e in effects if e["noticed"]}
    edit.carry_out()
    before = scratch.written()
    env = dict(os.environ) if edit.real else _stand_in_env(scratch.private)
    env["FAKE_STORE"] = scratch.below(layout.objtree)
    _make(layout, ["modules_prepare"], env)
    for module in layout.modules:
        env["FAKE_STORE"] = scratch.below(module.output)
        _make(layout, [*module.make], env)
    changed = set(differing(before, scratch.written()))
    ran = {f"{os.path.dirname(p)}/{m[1]}" for p in changed if (m := _RECORD.fullmatch(os.path.basename(p)))}
    ran = {path for path in ran if "/include/config" not in path}
    result.certain, result.possible, result.ran = len(certain), len(possible - certain), len(ran)
    result.idle = sorted(certain - ran - changed)
    result.unforetold = sorted(ran - possible)


def _ask(layout: Layout, name: str) -> dict[str, Any]:
    modules = [word for m in layout.modules for word in m.make if word.startswith(("M=", "MO="))]
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "affected", "--format", "json", name, *layout.make, *modules],
        cwd=layout.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"kdeps affected {name}: status {done.returncode}: {done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _make(layout: Layout, args: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(
        ["make", "-j2", *layout.make, *args],
        cwd=layout.cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"make {' '.join(args)}: {done.stdout.decode(errors='replace')[-600:]}")


def run_edits(layouts: dict[str, Layout], seed: int, count: int, real: int) -> int:
    """Make edits in all layouts that have Rust, and print what disagrees."""
    rust = [layout for layout in layouts.values() if any("rust" in m.languages for m in layout.modules)]
    rust.sort(key=lambda layout: layout.name != "out")
    streams = [plan_edits(layout, seed) for layout in rust]
    mixed = [edit for edits in itertools.zip_longest(*streams) for edit in edits if edit is not None][:count]
    # The real compilers take a minute for what the stand-in does in seconds.
    compiled = [
        edit
        for edit in plan_edits(rust[0], seed + 1)
        if edit.kind in ("kernel crate", "proc macro", "helper")
    ]
    mixed += [Edit(e.layout, e.kind, e.name, e.carry_out, real=True) for e in compiled[:real]]
    results = []
    for result in each_apart(make_edit, mixed, 1):
        results.append(result)
        mark = "FAIL" if result.failed else "ok  "
        print(
            f"{mark} {result.edit}: {result.certain} certain, {result.possible} possible, {result.ran} ran, "
            f"{result.elapsed_s:.0f} s",
            flush=True,
        )
        for label, items in (
            ("IDLE", result.idle),
            ("UNFORETOLD", result.unforetold),
            ("BROKEN", [result.broken]),
        ):
            if any(items):
                print(f"  {label} {', '.join(items)}", flush=True)
    failed = sum(result.failed for result in results)
    ran = sum(result.ran for result in results)
    print(
        f"{len(results)} edits ({min(real, len(compiled))} with the real compilers), {ran} steps ran, {failed} FAILED"
    )
    return int(bool(failed) or not results)
