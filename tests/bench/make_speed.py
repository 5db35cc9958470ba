# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What does ``kdeps make`` cost when nothing is stale? Ratios, all measured in one run on one tree.

Usage, in a kernel tree whose module is built and fresh::

    python3 -m tests.bench.make_speed [-n RUNS] [--single GOAL] -- LLVM=1 O=../build M=drivers/gpu/nova-core

Compared, in turn, A B C D A B C D …, each as a whole process on a warm disk:

* ``make M=…``, which may use stale crates
* ``kdeps make M=…``
* ``make modules_prepare && make M=…``: the honest way without kdeps
* with ``--single drivers/gpu/nova-core/nova-core.ko``: the in-tree single target, which is never stale

The machine is shared: read the ratios, not the seconds.
"""

from __future__ import annotations

import os
import resource
import shlex
import statistics
import subprocess
import sys
import time

from kdeps.formats.makeargs import parse_make_args

PLAIN, OURS, HONEST, SINGLE = "make M=", "kdeps make M=", "make modules_prepare; make M=", "make GOAL.ko"


def main(arguments: list[str]) -> int:
    if "--" not in arguments:
        print(__doc__)
        return 2
    at = arguments.index("--")
    options, words = arguments[:at], arguments[at + 1 :]
    runs = int(options[options.index("-n") + 1]) if "-n" in options else 10
    kept = shlex.join(parse_make_args(tuple(words)).kept)
    commands = {
        PLAIN: f"exec make {shlex.join(words)}",
        OURS: f"exec {sys.executable} -m kdeps make --on-stale=fail {shlex.join(words)}",
        HONEST: f"make {kept} modules_prepare && exec make {shlex.join(words)}",
    }
    if "--single" in options:
        commands[SINGLE] = f"exec make {kept} KBUILD_MODPOST_WARN=1 {options[options.index('--single') + 1]}"
    times: dict[str, list[float]] = {name: [] for name in commands}
    processor: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            used, started = processor_s(), time.perf_counter()
            done = subprocess.run(
                ["sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
            )
            if done.returncode:
                print(f"{name}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
                return 1
            if turn:  # the first turn warms caches, and lets Kbuild confirm the commands
                times[name].append((time.perf_counter() - started) * 1000)
                processor[name].append((processor_s() - used) * 1000)
    if not runs:
        return 0
    print(f"{'':32}{'min':>9}{'median':>9}{'max':>9}  ms, {runs} runs, load {os.getloadavg()[0]:.1f}")
    for name, values in times.items():
        print(f"{name:32}{min(values):9.1f}{statistics.median(values):9.1f}{max(values):9.1f}")
    for name, values in times.items():
        if name != OURS:
            pairs = [b / a for a, b in zip(times[OURS], values, strict=True)]
            print(
                f"{name} / {OURS}: median of pairs {statistics.median(pairs):.2f}, "
                f"by minima {min(values) / min(times[OURS]):.2f}"
            )
    for what, found in (("time", times), ("processor time", processor)):
        pairs = [b / a for a, b in zip(found[PLAIN], found[OURS], strict=True)]
        print(
            f"overhead of {OURS} over {PLAIN} in {what}: {statistics.median(pairs) - 1:.1%} by the median of pairs, "
            f"{min(found[OURS]) / min(found[PLAIN]) - 1:.1%} by minima"
        )
    return 0


def processor_s() -> float:
    """Processor time of all children so far, in seconds: what a loaded machine does not stretch as much."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
