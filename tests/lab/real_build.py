# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The same question put to a real build: mutate, ask kdeps, then let make do it.

Kbuild's printed conditions say what is *directly* stale; only a build shows
what follows from that.  It happens in the case's overlay and is forgotten.
Stand-in compilers (``tests/lab/fake_rustc``) touch the outputs instead of
compiling the expensive ones; every tenth case uses the real ones.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from .answer import KdepsAnswer, ask_kdeps
from .kbuild_oracle import why_sync
from .layout import Layout, Module
from .mutate import Case
from .operations import apply_step
from .overlay import Scratch, differing

STAND_IN = Path(__file__).parent / "fake_rustc"
TIMEOUT_S = 900
_STOOD_IN_FOR = ("rustc", "bindgen", "clang", "clippy-driver")
_REAL_EVERY = 10
_RECORD = re.compile(r"\.(.+)\.cmd")


@dataclass(slots=True)
class Rebuilt:
    """One case: what kdeps foretold, what make did."""

    name: str
    steps: tuple[str, ...]
    module: str
    compiler: str
    """``stand-in`` or ``real``."""
    foretold: int = 0
    """How many rules kdeps called certain."""
    ran: int = 0
    """How many rules with a record make ran."""
    idle: list[str] = field(default_factory=list)
    """Certain, and make did not run it."""
    unforetold: list[str] = field(default_factory=list)
    """make ran it, kdeps listed it neither as certain nor as possible."""
    contract: list[str] = field(default_factory=list)
    error: str = ""
    """make's first complaint; then only a sign of life is asked of kdeps."""
    broken: str = ""
    elapsed_s: float = 0.0

    @property
    def disagrees(self) -> bool:
        return bool(self.idle or self.unforetold or self.contract or self.broken)


def rebuild_case(case: Case) -> Rebuilt:
    """Run one case. Call it in a process that ends afterwards."""
    started = time.monotonic()
    module = case.modules[0]
    compiler = "real" if case.index % _REAL_EVERY == _REAL_EVERY - 1 else "stand-in"
    result = Rebuilt(case.name, tuple(map(str, case.steps)), module.name, compiler)
    try:
        _rebuild(case, module, result)
    except Exception:  # a case must never take the run with it
        result.broken = traceback.format_exc()
    result.elapsed_s = time.monotonic() - started
    return result


def _rebuild(case: Case, module: Module, result: Rebuilt) -> None:
    scratch = Scratch()
    for step in case.steps:
        apply_step(step)
    mutated = scratch.written()
    kdeps = ask_kdeps(case.layout, module.make, env={} if case.warm else {"XDG_CACHE_HOME": scratch.private})
    if kdeps.broken:
        result.contract.append(kdeps.broken)
        return
    sync = why_sync(case.layout) if case.layout.prepare else ""
    env = _stand_in_env(scratch.private) if result.compiler == "stand-in" else dict(os.environ)
    if case.layout.prepare:
        env["FAKE_STORE"] = scratch.below(case.layout.objtree)
        result.error = run_real_make(case.layout, ["modules_prepare"], env)
    if not result.error:
        env["FAKE_STORE"] = scratch.below(module.output)
        result.error = run_real_make(case.layout, [*module.make], env)
    if result.error:
        if not kdeps.says_something:
            result.contract.append(f"kdeps says nothing where make fails: {result.error}")
        return
    compare_rebuilt(result, kdeps, set(differing(mutated, scratch.written())), sync)


def compare_rebuilt(result: Rebuilt, kdeps: KdepsAnswer, changed: set[str], sync: str) -> None:
    """Compare what was foretold with the records that make wrote."""
    ran = set()
    for path in changed:
        folder, name = os.path.split(path)
        record = _RECORD.fullmatch(name)
        if record and "/include/config" not in folder:
            ran.add(f"{folder}/{record[1]}")
    certain = {
        t for t, e in kdeps.entries.items() if e.certainty == "certain" and any(r.kbuild for r in e.reasons)
    }
    result.foretold, result.ran = len(certain), len(ran)
    result.idle = sorted(certain - ran - changed)
    if not sync:  # else make has another configuration now, which kdeps says in a finding
        result.unforetold = sorted(ran - set(kdeps.entries))


def run_real_make(layout: Layout, args: list[str], env: dict[str, str]) -> str:
    """Run make for real; return its first complaint if it fails."""
    done = subprocess.run(
        ["make", "-j2", *layout.make, *args],
        cwd=layout.cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode == 0:
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    return next((line for line in lines if re.search(r"error|\*\*\*|ERROR", line)), f"exit {done.returncode}")


def _stand_in_env(private: str) -> dict[str, str]:
    folder = f"{private}/bin"
    os.makedirs(folder)
    shutil.copy(STAND_IN, f"{folder}/fake_rustc")
    for name in _STOOD_IN_FOR:
        os.symlink("fake_rustc", f"{folder}/{name}")
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FAKE_LOG": f"{private}/fake.log"}


def rebuilt_text(result: Rebuilt) -> str:
    what = "; ".join(result.steps) or "(no mutation)"
    mark = "FAIL" if result.disagrees else "ok  "
    error = f"  [make failed: {result.error[:120]}]" if result.error else ""
    lines = [
        f"{mark} {result.name} really, {result.compiler}  {what}  {result.module}: "
        f"{result.foretold} certain, {result.ran} ran{error}  {result.elapsed_s:.0f} s"
    ]
    for label, items in (
        ("IDLE", result.idle),
        ("UNFORETOLD", result.unforetold),
        ("CONTRACT", result.contract),
        ("BROKEN", result.broken.splitlines()[-1:]),
    ):
        if items:
            lines.append(f"{label} {result.name} --really 1  {', '.join(items)}")
    return "\n".join(lines)
