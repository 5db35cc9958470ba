# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Chains of real incremental builds: edit, ask, build with the real compilers, ask again, and on.

A mutation that is undone before the next one never shows what a second build leaves behind:
objects that were written in place, records written anew, times a moment apart. So here every build
stands on the one before. Before a build ``check`` must name what make then runs; after it every
command must find everything fresh, and make must have nothing to do.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field

from tests.lab.answer import ask_kdeps
from tests.lab.kbuild_oracle import why_sync
from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch, differing
from tests.lab.real_build import Rebuilt, compare_rebuilt, run_real_make
from tests.lab.targets import find_kernel_aims, find_module_aims

_OF_THE_MODULE = ("module source", "module source", "module header")
_OF_THE_KERNEL = ("rust kernel source", "header", "helper source")
_KERNEL_EVERY = 5
"""How seldom a chain changes something of the kernel: that takes a minute to build."""
_COMMENT = {".rs": "// {}\n", ".c": "/* {} */\n", ".h": "/* {} */\n", ".S": "/* {} */\n"}


@dataclass(frozen=True, slots=True)
class Chain:
    """What one chain is made of."""

    layout: Layout
    module: Module
    seed: int
    length: int

    @property
    def name(self) -> str:
        return f"{self.layout.name}/{self.module.name} chain {self.seed}"


@dataclass(slots=True)
class Chained:
    name: str
    builds: int = 0
    ran: int = 0
    """How many steps with a record make ran in all."""
    wrong: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0


def run_chain(chain: Chain) -> Chained:
    """Run a chain. Call it in a process that ends afterwards."""
    started = time.monotonic()
    result = Chained(chain.name)
    try:
        _run(chain, result)
    except Exception:  # a chain must never take the run with it
        result.wrong.append(traceback.format_exc())
    result.elapsed_s = time.monotonic() - started
    return result


def _run(chain: Chain, result: Chained) -> None:
    scratch = Scratch()
    rng = random.Random(f"{chain.name}")
    own = find_module_aims(chain.layout, chain.module)
    kernel = find_kernel_aims(chain.layout)
    for number in range(chain.length):
        of_kernel = chain.layout.prepare and number % _KERNEL_EVERY == _KERNEL_EVERY - 1
        kinds = [
            k
            for k in (_OF_THE_KERNEL if of_kernel else _OF_THE_MODULE)
            if (kernel if of_kernel else own).get(k)
        ]
        path = rng.choice((kernel if of_kernel else own)[rng.choice(kinds)]).path
        step = _change(path, number)
        _build_once(chain, f"{number + 1}: {step}", scratch, result, prepare=of_kernel or path.endswith(".h"))
        if result.wrong:
            return  # what follows would stand on what went wrong


def _change(path: str, number: int) -> str:
    """Give a file another text that compiles; say what was done.

    A mere touch is no change to a kdeps that remembers contents, and make would compile all the same.
    """
    comment = _COMMENT.get(os.path.splitext(path)[1], "{}\n")
    with open(path, "a", encoding="utf-8") as file:
        file.write(comment.format(f"kdeps {number}"))
    return f"edit {path}"


def _build_once(chain: Chain, step: str, scratch: Scratch, result: Chained, *, prepare: bool) -> None:
    layout, module = chain.layout, chain.module
    before = scratch.written()
    told = ask_kdeps(layout, module.make)
    sync = why_sync(layout) if layout.prepare else ""
    error = ""
    if layout.prepare and prepare:
        error = run_real_make(layout, ["modules_prepare"], dict(os.environ))
    error = error or run_real_make(layout, [*module.make], dict(os.environ))
    if error:
        result.wrong.append(f"{step}: make failed: {error}")
        return
    rebuilt = Rebuilt(chain.name, (step,), module.name, "real")
    compare_rebuilt(rebuilt, told, set(differing(before, scratch.written())), sync)
    result.builds += 1
    result.ran += rebuilt.ran
    for label, targets in (
        ("called stale and not built", rebuilt.idle),
        ("built and not foretold", rebuilt.unforetold),
    ):
        result.wrong += [f"{step}: {label}: {target}" for target in targets]
    result.wrong += [f"{step}: after the build: {said}" for said in _ask_everything(layout, module, scratch)]


def _ask_everything(layout: Layout, module: Module, scratch: Scratch) -> list[str]:
    """Ask every command after a build; return what is not "fresh"."""
    wrong = []
    for exact in (False, True):
        answer = ask_kdeps(layout, module.make, exact=exact)
        if answer.verdict != "fresh" or answer.entries:
            name = "check --exact" if exact else "check"
            wrong.append(
                f"{name}: {answer.verdict} {sorted(answer.entries)} {answer.findings} {answer.message}"
            )
    before = scratch.written()
    for words in (["ci"], ["make", "--on-stale=fail"]):
        command = [sys.executable, "-m", "kdeps", *words, *layout.make, *module.make]
        done = subprocess.run(
            command, cwd=layout.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            wrong.append(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    again = [p for p in differing(before, scratch.written()) if p.endswith(".o") or p.endswith(".ko")]
    return wrong + [f"make built {path} again" for path in again]
