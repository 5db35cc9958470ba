# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Consecutive states built from the cache of the state before, as in CI, against the same states built here.

In one overlay make builds every state where times are true: that is the ideal incremental build. In another
one all times are destroyed between two states, every output newer than every source in half of them, some
caches are spoilt, and `kdeps ci --restore` decides. Every output has to be the same, byte for byte. What
people do instead is measured beside it: all sources get a time two minutes ago, and all outputs one.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from kdeps.contents.ledger_file import read_ledger
from tests.campaigns.replay.case import take_digests
from tests.lab.layout import Layout
from tests.lab.overlay import Scratch

from .running import call, cpu_s, kdeps, list_steps, make

EDITED = {
    "rust/kernel/io.rs": "\n// of state {}\n",
    "rust/kernel/device.rs": "\n/// Of state {0}.\npub const STATE_{0}: u32 = {0};\n",
    "rust/helpers/pci.c": "\nunsigned int rust_helper_state_{}(void) {{ return 1; }}\n",
    "drivers/gpu/nova-core/gpu.rs": "\n// of state {}\n",
    "drivers/pci/Kconfig": "\n# of state {}\n",
    "include/linux/pci.h": "\n/* of state {} */\n",
}
T = TypeVar("T")
_COMPILERS = ("RUSTC", "BINDGEN", "CC")


class State(NamedTuple):
    digests: dict[str, str]
    compiled: list[str]
    used_s: float
    said: str = ""
    poison: str = ""


def replay_cached(layout: Layout, seed: int, count: int, every: int) -> int:
    """Build some states both ways; return how many of them came out wrong. One of ``every`` caches is spoilt."""
    ideal, cached, touched = (
        _apart(_build, layout, seed, count, spoilt, by_touch)
        for spoilt, by_touch in ((0, False), (every, False), (0, True))
    )
    failed = more = spoilt = 0
    for at, (here, there) in enumerate(zip(ideal, cached, strict=True)):
        names = here.digests.keys() | there.digests.keys()
        differing = sorted(n for n in names if here.digests.get(n) != there.digests.get(n))
        failed += bool(differing)
        if there.poison:
            spoilt += 1
        else:
            more += len(there.compiled) - len(here.compiled)
        print(
            f"{'FAIL' if differing else 'ok  '} state {at}{f' ({there.poison})' if there.poison else ''}: "
            f"{len(there.compiled)} compiled, {len(here.compiled)} where times are true; "
            f"{len(differing)} of {len(names)} files differ; {there.used_s:.1f} s to restore"
        )
        for line in (*differing[:5], *there.said.splitlines()):
            print(f"     {line}")
        for line in sorted(set(there.compiled) - set(here.compiled))[:8]:
            print(f"     more: {line}")
    total = sum(len(state.compiled) for state, other in zip(ideal, cached, strict=True) if not other.poison)
    print(
        f"{count} states, {spoilt} caches spoilt, {failed} wrong; of the others {total} compiles and {more} more"
    )
    stale = sum(here.digests != there.digests for here, there in zip(ideal, touched, strict=True))
    print(f"with sources touched before outputs instead, no cache spoilt: {stale} of {count} states wrong")
    return failed


def _apart(work: Callable[..., T], *arguments: object) -> T:
    """Call a function in a process of its own, which has an overlay of its own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(work, arguments)


def _build(layout: Layout, seed: int, count: int, every: int, by_touch: bool) -> list[State]:
    scratch = Scratch()
    edits, damage = random.Random(seed), random.Random(seed + 1)
    ledger = f"{scratch.private}/ledger.gz"
    make(layout)
    if every:
        kdeps(layout, "ci", f"--record={ledger}", "--outside")
    states = []
    for at in range(count):
        poison: Poison | None = damage.choice(POISONS) if every and at % every == every - 1 else None
        if poison is not None:
            poison(layout, ledger, damage)
        for name in edits.sample(sorted(EDITED), edits.randrange(1, 3)):
            with open(f"{layout.srctree}/{name}", "a", encoding="utf-8") as file:
                file.write(EDITED[name].format(at))
        said, used_s = "", 0.0
        if every:
            _destroy_times(layout, ledger, damage)
            started = cpu_s()
            said = kdeps(layout, "ci", f"--restore={ledger}")
            used_s = cpu_s() - started
        elif by_touch:
            _touch_in_order(layout)
        compiled = [line for line in list_steps(make(layout)) if line.split()[0] in _COMPILERS]
        states.append(
            State(
                take_digests(layout, layout.modules[0]),
                compiled,
                used_s,
                said,
                poison.__name__ if poison else "",
            )
        )
        if every:
            kdeps(layout, "ci", f"--record={ledger}", "--outside")
    return states


def _destroy_times(layout: Layout, ledger: str, rng: random.Random) -> None:
    """Times of the last quarter of an hour, for all that a build reads and writes."""
    blessed = rng.random() < 0.5
    now_ns = time.time_ns() - 10**9
    for name in read_ledger(ledger).files:
        if name.startswith("$(srctree)/"):
            moment = now_ns - 10**11 - rng.randrange(9 * 10**11)
            _set_time(f"{layout.srctree}/{name[11:]}", moment)
    for root in dict.fromkeys((layout.objtree, *(module.output for module in layout.modules[:1]))):
        for folder, _, names in os.walk(root):
            for name in names:
                if root == layout.objtree or not name.endswith((".rs", ".c", ".h", "Makefile", "Kconfig")):
                    moment = now_ns - rng.randrange(10**11 if blessed else 10**12)
                    _set_time(f"{folder}/{name}", moment)


def _touch_in_order(layout: Layout) -> None:
    """Make every output newer than every source, as many a CI does after it has unpacked its cache."""
    now_ns = time.time_ns()
    for root, age_s in ((layout.srctree, 120), (layout.modules[0].output, 120), (layout.objtree, 60)):
        for folder, _, names in os.walk(root):
            for name in names:
                made = name.endswith((".o", ".ko", ".mod", ".cmd", ".symvers", ".order", ".mod.c"))
                _set_time(f"{folder}/{name}", now_ns - (60 if made else age_s) * 10**9)


def _set_time(path: str, moment_ns: int) -> None:
    if os.path.isfile(path) and not os.path.islink(path):
        os.utime(path, ns=(moment_ns, moment_ns))


def restore_whole(objtree: str) -> int:
    """Destroy the times of a whole kernel, restore it by its ledger, and return how many steps plain make runs."""
    return _apart(_restore_whole_here, objtree)


def _restore_whole_here(objtree: str) -> int:
    ledger = f"{Scratch().private}/ledger.gz"
    own = [sys.executable, "-m", "kdeps", "ci", "--scope=tree", "LLVM=1"]
    started = cpu_s()
    call([*own, f"--record={ledger}"], objtree)
    recorded_s = cpu_s() - started
    layout = Layout(
        "whole", "", objtree, os.path.realpath(f"{objtree}/source"), objtree, True, ("LLVM=1",), ()
    )
    _destroy_times(layout, ledger, random.Random(1))
    started = cpu_s()
    said = call([*own, f"--restore={ledger}"], objtree)
    restored_s = cpu_s() - started
    ran = list_steps(call(["make", "LLVM=1", "-j2"], objtree))
    print(f"{'FAIL' if ran else 'ok  '} whole kernel: {recorded_s:.1f} s to record, {restored_s:.1f} s to restore, "
          f"{len(ran)} steps by make", flush=True)  # fmt: skip
    for line in (*said.splitlines(), *ran[:20]):
        print(f"     {line}", flush=True)
    return int(bool(ran))


# -- how a cache is spoilt -----------------------------------------------------------------

Poison = Callable[[Layout, str, random.Random], None]


def edited_output(layout: Layout, ledger: str, rng: random.Random) -> None:
    names = [
        n
        for n in read_ledger(ledger).files
        if n.startswith("$(objtree)/rust/") and n.endswith((".rmeta", ".o", ".rs"))
    ]
    path = Path(layout.objtree, rng.choice(names)[11:])
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1
    path.write_bytes(data)


def cut_record(layout: Layout, ledger: str, rng: random.Random) -> None:
    del ledger
    path = rng.choice(sorted(Path(layout.objtree, "rust").glob(".*.o.cmd")))
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def cancelled_build(layout: Layout, ledger: str, rng: random.Random) -> None:
    """Of another branch, which is not checked out any more; its outputs are newer than all there is."""
    del ledger
    path = Path(layout.srctree, rng.choice(("rust/kernel/io.rs", "include/linux/pci.h")))
    text = path.read_text()
    path.write_text(text + "\n/* of another branch */\n")
    words = ["make", "-j2", *layout.make, "modules_prepare"]
    process = subprocess.Popen(
        words, cwd=layout.cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(rng.randrange(4, 25))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
    path.write_text(text)


def other_compiler(layout: Layout, ledger: str, rng: random.Random) -> None:
    """One of the same name and version made the kernel crate."""
    del ledger, rng
    record = Path(layout.objtree, "rust/.kernel.o.cmd").read_text()
    command = re.search(r"^savedcmd_\S+ := (.*)$", record, re.MULTILINE)
    assert command is not None
    other = command[1].replace("-Copt-level=2", "-Copt-level=1").replace("\\#", "#").replace("$$", "$")
    call(["sh", "-c", f"export RUSTC_BOOTSTRAP=1; {other}"], layout.objtree)
    for path in Path(layout.objtree, "rust").glob("kernel.d"):
        path.unlink()


POISONS: tuple[Poison, ...] = (edited_output, cut_record, cancelled_build, other_compiler)
