# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One edit, refreshed one way or the other, and what came of it."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.lab.answer import ask_kdeps
from tests.lab.kbuild_oracle import ask_module, ask_prepare
from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch

from .edits import EDITS, MAKE, NINJA, Edit, NotInTree

TIMEOUT_S = 900
COMPARED = (
    ".o",
    ".bc",
    ".so",
    ".rmeta",
    ".rlib",
    ".ko",
    ".rs",
    ".h",
    ".s",
    ".lds",
    ".symvers",
    ".order",
    ".mod.c",
    ".cmd",
)
_LEFT_OUT = ("/include/config/", "/tools/")


class Job(NamedTuple):
    layout: Layout
    module: Module
    edit: str
    """The name of one of ``EDITS``; the edit itself cannot be sent to another process."""
    by: str
    program: str
    """The command that runs a ``build.ninja``."""
    jobs: int = 2


@dataclass(slots=True)
class Result:
    name: str
    by: str
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    """Processor time, user and system: steadier than the clock where others work as well."""
    said: tuple[str, ...] = ()
    """What kdeps said."""
    crates: int = 0
    """How many crates were compiled, by the lines that make or ninja printed."""
    digests: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """What Kbuild would still do, and what kdeps calls stale."""
    error: str = ""
    skipped: str = ""
    """A file that the edit is about and that this tree does not have; empty: it was made."""


def run_job(job: Job) -> Result:
    """Edit, refresh, look. Call it in a process that ends afterwards: it enters an overlay."""
    result = Result(job.edit, job.by)
    try:
        _run(job, result)
    except NotInTree as missing:
        result.skipped = str(missing)
    except Exception:  # a case must never take the run with it
        result.error = traceback.format_exc()
    return result


def _run(job: Job, result: Result) -> None:
    layout, module = job.layout, job.module
    scratch = Scratch()
    next(edit for edit in EDITS if edit.name == job.edit).apply(layout)
    started, used_s = time.monotonic(), _cpu_s()
    if job.by == NINJA:
        output = _kdeps(layout, module, job.jobs, "make", "--with=ninja", program=job.program)
    else:
        output = _make(layout, job.jobs, "modules_prepare")
        if os.path.exists(f"{layout.objtree}/rust/helpers/helpers_module.bc"):
            # No Makefile says that a module's object is made from it: make alone leaves old code in the module.
            _make(layout, job.jobs, *module.make, "clean")
        output += _make(layout, job.jobs, *module.make)
    result.elapsed_s, result.cpu_s = time.monotonic() - started, _cpu_s() - used_s
    result.said = tuple(line for line in output.splitlines() if line.startswith("kdeps: "))
    result.crates = sum(line.strip().startswith("RUSTC L ") for line in output.splitlines())
    result.digests = take_digests(layout, module)
    prepare = ask_prepare(layout, private=scratch.private)
    kbuild = ask_module(layout, module.make, private=scratch.private)
    result.left = sorted({*prepare.recorded, *prepare.plain, *prepare.differing, *kbuild.recorded})
    result.left += [line for line in (prepare.sync, *prepare.errors, *kbuild.errors) if line]
    found = ask_kdeps(layout, module.make)
    result.left += [f"kdeps: {name} is {entry.where}" for name, entry in found.entries.items()]


def take_digests(layout: Layout, module: Module) -> dict[str, str]:
    """The sha256 of everything that a refresh or the module's build writes."""
    found = {}
    for root in dict.fromkeys((layout.objtree, module.output)):
        for folder, _, names in os.walk(root):
            for name in names:
                path = f"{folder}/{name}"
                if name.endswith(COMPARED) and not any(part in path for part in _LEFT_OUT):
                    if ".kdeps-old-" in name:
                        found[path] = "left behind"
                    elif os.path.isfile(path) and (
                        root != layout.srctree or not path.endswith((".rs", ".h"))
                    ):
                        found[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return found


def warm(layout: Layout, module: Module) -> None:
    """As in daily work: the last ``kdeps make`` confirmed the commands, and is remembered."""
    _kdeps(layout, module, 2, "make")


def _kdeps(layout: Layout, module: Module, jobs: int, command: str, *options: str, program: str = "") -> str:
    words = [sys.executable, "-m", "kdeps", command, *options, f"-j{jobs}", *layout.make, *module.make]
    return _call(words, layout, {"KDEPS_NINJA": program} if program else {})


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _make(layout: Layout, jobs: int, *words: str) -> str:
    return _call(["make", f"-j{jobs}", *layout.make, *words], layout, {})


def _call(command: list[str], layout: Layout, environ: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=layout.cwd,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited {done.returncode}: {output[-1500:]}")
    return output


def judge(edit: Edit, ninja: Result, make: Result) -> list[str]:
    """Say what is wrong with a pair of results; empty: nothing."""
    wrong = [f"{r.by}: {r.error.strip().splitlines()[-1]}" for r in (ninja, make) if r.error]
    if wrong:
        return wrong
    wrong += [f"Kbuild is not content: {line}" for line in ninja.left if line not in make.left]
    differing = [
        path
        for path in sorted(ninja.digests.keys() | make.digests.keys())
        if ninja.digests.get(path) != make.digests.get(path)
    ]
    wrong += [f"differs from what make made: {path}" for path in differing[:8]]
    handed_over = any("left to make" in line or "refreshed by make" in line for line in ninja.said)
    if handed_over != (edit.by == MAKE):
        wrong.append(f"refreshed by {'make' if handed_over else 'ninja'}, not {edit.by}: {ninja.said}")
    if not handed_over and not any("refreshed in" in line or "refreshing: rm" in line for line in ninja.said):
        wrong.append(f"nothing was refreshed: {ninja.said}")
    # The bitcode of inline helpers has a checksum of every header, and the crate kernel has that bitcode in it.
    most = max(edit.crates, int(any(path.endswith("helpers.bc") for path in ninja.digests)))
    if edit.crates >= 0 and ninja.crates > most:
        wrong.append(f"{ninja.crates} crates compiled, {most} should do")
    return wrong
