# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One case: change a tree, run ``kdeps make``, ask Kbuild what is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.answer import ask_kdeps
from tests.lab.kbuild_oracle import ask_module, ask_prepare
from tests.lab.layout import Module
from tests.lab.mutate import Case
from tests.lab.operations import apply_step
from tests.lab.overlay import Scratch, differing
from tests.lab.real_build import _stand_in_env

TIMEOUT_S = 900
MARKER = "kdeps_new_code_of_this_case"
_RECORD = re.compile(r"\.(.+)\.cmd")
_CALL = "        $crate::device::Device::$method($dev.as_ref(), $crate::prelude::fmt!($($f)*))\n"
_MARKED = f'{{\n#[used] static KDEPS_MARKER: [u8; {len(MARKER)}] = *b"{MARKER}";\n{_CALL}}}\n'


@dataclass(slots=True)
class Refreshed:
    name: str
    steps: tuple[str, ...]
    module: str
    compiler: str
    status: int = 0
    said: tuple[str, ...] = ()
    """What kdeps said on standard error."""
    refreshed: bool = False
    ran: int = 0
    """How many rules of the kernel were run."""
    left: list[str] = field(default_factory=list)
    """What Kbuild would still run, after kdeps make succeeded without a warning."""
    needless: list[str] = field(default_factory=list)
    """Rules of the kernel that were run and had not been stale."""
    contract: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.left or self.needless or self.contract)


def refresh_case(case: Case, *, real: bool, with_: str = "make") -> Refreshed:
    """Run one case. Call it in a process that ends afterwards: it enters an overlay."""
    started = time.monotonic()
    module = case.modules[0]
    result = Refreshed(case.name, tuple(map(str, case.steps)), module.name, "real" if real else "stand-in")
    try:
        _run(case, module, result, real=real, with_=with_)
    except Exception:  # a case must never take the run with it
        result.contract.append(traceback.format_exc().splitlines()[-1])
    result.elapsed_s = time.monotonic() - started
    return result


def _run(case: Case, module: Module, result: Refreshed, *, real: bool, with_: str) -> None:
    layout = case.layout
    scratch = Scratch()
    for step in case.steps:
        apply_step(step)
    marked = real and _mark(layout.srctree)
    env = {**os.environ, "XDG_CACHE_HOME": f"{scratch.private}/cache"}
    if not real:
        env = {**env, **_stand_in_env(scratch.private), "FAKE_STORE": scratch.below(layout.objtree)}
        _metadata_first(f"{scratch.private}/bin/fake_rustc")
    foretold = ask_kdeps(layout, module.make, exact=True, env={"XDG_CACHE_HOME": f"{scratch.private}/other"})
    before = scratch.written()
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "make", f"--with={with_}", "-j2", *layout.make, *module.make],
        cwd=layout.cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    errors = done.stderr.decode(errors="replace")
    result.status = done.returncode
    result.said = tuple(line for line in errors.splitlines() if line.startswith("kdeps: "))
    result.refreshed = any("refreshed in" in line for line in result.said)
    if any("a bug in kdeps" in line for line in result.said):
        result.contract.append(next(line for line in result.said if "a bug in kdeps" in line))
    after = scratch.written()
    ran = _ran(set(differing(before, after)), layout.objtree, module)
    result.ran = len(ran)
    synced = any("syncs the configuration" in line for line in result.said)
    if not synced and not foretold.broken:
        result.needless = sorted(ran - set(foretold.entries))
    if done.returncode != 0:
        if not any("error" in line or "failed" in line for line in result.said) and "***" not in errors:
            result.contract.append(f"exit {done.returncode} without a reason: {errors[-200:]}")
        return
    if any("warning" in line for line in result.said):
        return
    prepare = ask_prepare(layout, private=scratch.private)
    kbuild = ask_module(layout, module.make, private=scratch.private)
    if any(step.operation == "future" for step in case.steps):
        return  # make builds what is older than the future again and again
    # What this module does not use, however indirectly, is none of its build's business.
    unused = {t for t, entry in foretold.entries.items() if entry.where == "stale" and not entry.silent}
    result.left = sorted({*prepare.recorded, *kbuild.recorded} - (set() if result.refreshed else unused))
    if prepare.sync:
        result.left.append(prepare.sync)
    result.left += [*prepare.errors, *kbuild.errors]
    if marked:
        objects = list(Path(module.output).rglob("nova-core.ko"))
        if not any(MARKER.encode() in path.read_bytes() for path in objects):
            result.contract.append(f"the module does not have the new code ({len(objects)} modules)")


def _metadata_first(script: str) -> None:
    """Let the stand-in touch the metadata before the object, the order in which rustc writes them."""
    path = Path(script)
    text = path.read_text()
    line = "# 2. outputs\n"
    turned = 'r=(); for o in "${outs[@]}"; do r=("$o" "${r[@]}"); done; outs=("${r[@]}")\n'
    assert line in text
    path.write_text(text.replace(line, line + turned))


def _mark(srctree: str) -> bool:
    """Change a macro of the crate ``kernel`` so that every driver built with it tells."""
    path = Path(srctree, "rust/kernel/device.rs")
    text = path.read_text() if path.exists() else ""
    if _CALL not in text:
        return False
    path.write_text(text.replace(_CALL, _MARKED))
    return True


def _ran(changed: set[str], objtree: str, module: Module) -> set[str]:
    """The kernel's rules that left a new record."""
    found = set()
    for path in changed:
        folder, name = os.path.split(path)
        record = _RECORD.fullmatch(name)
        if record and folder.startswith(objtree) and not folder.startswith(module.output):
            target = f"{folder}/{record[1]}"
            if "/scripts/kconfig" not in target and "/include/config" not in target:
                found.add(target)
    return found


def as_text(result: Refreshed) -> str:
    """One line, and one more for each thing that is wrong."""
    mark = "FAIL" if result.failed else "ok  "
    outcome = "refreshed" if result.refreshed else "as asked"
    if result.status:
        outcome = f"exit {result.status}: {(result.said or ('make',))[-1][:160]}"
    lines = [
        f"{mark} {result.name} {result.compiler} {result.module}: {'; '.join(result.steps) or '(nothing)'} -> "
        f"{outcome}, {result.ran} ran, {result.elapsed_s:.0f} s"
    ]
    if result.status == 1:
        lines += [f"    {line}" for line in result.said]
    for label, items in (("LEFT", result.left), ("NEEDLESS", result.needless), ("CONTRACT", result.contract)):
        if items:
            lines.append(f"{label} {result.name}: {', '.join(items)}")
            lines += [f"    {line}" for line in result.said]
    return "\n".join(lines)
