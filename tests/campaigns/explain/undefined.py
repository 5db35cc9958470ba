# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Each cause of an undefined symbol, planted on real trees: the cause that is named has to be the planted one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path

from tests.lab.layout import Layout
from tests.lab.overlay import Scratch

FOLDER = Path("/root/planted/undefined")
SOURCE = """// SPDX-License-Identifier: GPL-2.0
//! Undefined symbols.
use kernel::prelude::*;
module! { type: Undefined, name: "undefined", license: "GPL", }
struct Undefined;
extern "C" {
    fn nothing_here();
    fn start_kernel();
    fn ERR_PTR(error: isize) -> usize;
    fn rust_helper_nope();
    fn of_neighbour();
    fn of_extra();
    #[link_name = "_RNvNtCs0000000000a_6kernel5print11call_printk"]
    fn call_printk();
    #[link_name = "_RNvNtCs0000000000a_6kernel5print9gone_away"]
    fn gone_away();
    #[link_name = "_RINvNtCs0000000000a_6kernel5print7genericmE"]
    fn generic();
    #[link_name = "_RNvCs0000000000a_7nowhere4item"]
    fn item();
}
impl kernel::Module for Undefined {
    fn init(_m: &'static ThisModule) -> Result<Self> {
        // SAFETY: It is never loaded.
        unsafe { nothing_here(); start_kernel(); ERR_PTR(1); rust_helper_nope(); of_neighbour(); of_extra(); }
        // SAFETY: As above.
        unsafe { call_printk(); gone_away(); generic(); item(); }
        kernel::error::to_result(core::hint::black_box(-1))?;
        Ok(Undefined)
    }
}
"""
EXPECTED = {
    "nothing_here": "nowhere",
    "start_kernel": "not-exported",
    "ERR_PTR": "no-helper",
    "rust_helper_nope": "no-helper",
    "of_neighbour": "other-module",
    "to_result": "old-symvers",
    "call_printk": "other-crate-build",
    "gone_away": "old-object",
    "generic": "generic",
    "item": "unknown-crate",
}


def run_undefined(layout: Layout) -> tuple[int, list[str]]:
    """Plant all causes in one module of a layout; return how many were compared, and what is wrong.

    Call it in a process that ends afterwards.
    """
    try:
        return _run(layout)
    except Exception:  # a case must never take the run with it
        return 0, [f"{layout.name}: {traceback.format_exc()}"]


def _run(layout: Layout) -> tuple[int, list[str]]:
    Scratch()
    FOLDER.mkdir(parents=True)
    (FOLDER / "Makefile").write_text("obj-m := undefined.o\n")
    (FOLDER / "undefined.rs").write_text(SOURCE)
    neighbour = FOLDER.parent / "neighbour"
    neighbour.mkdir()
    (neighbour / "Module.symvers").write_text("0x0\tof_neighbour\tneighbour\tEXPORT_SYMBOL\t\n")
    extra = FOLDER.parent / "extra.symvers"
    extra.write_text("0x0\tof_extra\textra\tEXPORT_SYMBOL\t\n")
    dump = Path(layout.objtree) / "Module.symvers"
    dump.unlink(missing_ok=True)
    subprocess.run(
        ["make", *layout.make, f"M={FOLDER}"],
        cwd=layout.cwd,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    wrong: list[str] = []
    without = _explain(layout)
    wrong += _compare(
        layout, without, {"to_result": "no-symvers", "nothing_here": "no-symvers", "ERR_PTR": "no-helper"}
    )
    symbols = set()
    for path in (*Path(layout.objtree, "rust").glob("*.o"), Path(layout.objtree, "rust/helpers/helpers.o")):
        text = subprocess.run(
            ["llvm-nm", "--defined-only", str(path)], capture_output=True, text=True, check=False
        ).stdout
        symbols |= {
            line.split()[2] for line in text.splitlines() if re.fullmatch(r"[0-9a-f]+ [TRDB] \S+", line)
        }
    lines = [
        f"0x0\t{name}\tvmlinux\tEXPORT_SYMBOL_GPL\t\n" for name in sorted(symbols) if "9to_result" not in name
    ]
    dump.write_text("".join(lines))
    (Path(layout.objtree) / "System.map").write_text("ffffffff81000000 T start_kernel\n")
    wrong += _compare(layout, _explain(layout), {**EXPECTED, "of_extra": "nowhere"})
    named = _explain(layout, f"KBUILD_EXTRA_SYMBOLS={extra}")
    wrong += _compare(layout, named, EXPECTED)
    if named.keys() != EXPECTED.keys():
        wrong.append(f"{layout.name}: with KBUILD_EXTRA_SYMBOLS the list has {sorted(named)}")
    return 3 + 1 + 2 * len(EXPECTED), wrong


def _explain(layout: Layout, *more: str) -> dict[str, str]:
    """Explain the module. modpost prints ten of its symbols; the list has to have all."""
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "explain", "--no-replay", "--format=json", *layout.make, f"M={FOLDER}", *more],
        cwd=layout.cwd, env=dict(os.environ), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode != 1:
        raise RuntimeError(f"exit {done.returncode}: {done.stdout[-300:]}{done.stderr[-600:]}")
    return {
        re.sub("::<.*", "", u["name"]).rpartition("::")[2]: u["cause"]
        for u in json.loads(done.stdout)["undefined"]
    }


def _compare(layout: Layout, found: dict[str, str], expected: dict[str, str]) -> list[str]:
    return [
        f"{layout.name}: {name} is {found.get(name, 'not named')}, planted {cause}"
        for name, cause in expected.items()
        if found.get(name) != cause
    ]
