# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What does it cost to explain a failure? Measured against make and against the module's own compile.

Usage, in a kernel tree, with a module whose build fails because of a ``build_assert!``::

    python3 -m tests.bench.explain_speed [-n RUNS] -- LLVM=1 O=../build M=drivers/gpu/nova-core

Compared, in turn, A B C D E A B C D E …, each as a whole process on a warm disk:

* the recorded command of each Rust object that has an assertion left: the module's own compile
* ``make M=…``, which only runs modpost again, and fails
* ``kdeps make M=…``, which explains the failure, with the replay
* ``kdeps explain --no-replay M=…``
* ``kdeps explain E0463``, which only starts: ``kdeps make`` is there already when make fails

Two promises are held: without a replay the explanation costs at most 0.3 s beyond make, with it at most 1.5 times the
module's own compile, where that takes seconds. The machine is shared: both are judged by processor time.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from kdeps.artifacts.build_assert import find_sites
from kdeps.artifacts.failure import rust_rules
from kdeps.artifacts.object_file import read_object
from kdeps.kbuild.replay import RecordedCommand, recorded_command, replay
from kdeps.staleness.check import check_build

from .make_speed import processor_s

COMPILE, MAKE, EXPLAINED = "the compile", "make", "kdeps make"
QUICK, START = "kdeps explain --no-replay", "kdeps explain E0463"
LIMIT_S, LIMIT_RATIO = 0.3, 1.5


def main(arguments: list[str]) -> int:
    if "--" not in arguments:
        print(__doc__)
        return 2
    at = arguments.index("--")
    options, words = arguments[:at], arguments[at + 1 :]
    runs = int(options[options.index("-n") + 1]) if "-n" in options else 5
    commands = _failing_commands(words)
    if not commands:
        print("no object of this build has an assertion left")
        return 2
    kdeps = f"{shlex.quote(sys.executable)} -m kdeps"
    steps: dict[str, Callable[[], None]] = {
        COMPILE: lambda: _compile(commands),
        MAKE: lambda: _run(f"make {shlex.join(words)}"),
        EXPLAINED: lambda: _run(f"{kdeps} make {shlex.join(words)}"),
        QUICK: lambda: _run(f"{kdeps} explain --no-replay {shlex.join(words)}"),
        START: lambda: _run(f"{kdeps} explain E0463", status=0),
    }
    wall: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(runs + 1):
        for name, step in steps.items():
            used, started = processor_s(), time.perf_counter()
            step()
            if turn:  # the first turn warms caches
                wall[name].append(time.perf_counter() - started)
                processor[name].append(processor_s() - used)
    print(f"{'':28}{'wall':>8}{'processor':>11}  s, medians of {runs} runs, load {os.getloadavg()[0]:.1f}")
    for name in steps:
        print(f"{name:28}{statistics.median(wall[name]):8.2f}{statistics.median(processor[name]):11.2f}")
    quick = statistics.median(b - a for a, b in zip(processor[START], processor[QUICK], strict=True))
    ratio = statistics.median(
        (b - a) / c for a, b, c in zip(processor[MAKE], processor[EXPLAINED], processor[COMPILE], strict=True)
    )
    print(f"without a replay: {quick:.2f} s; the limit is {LIMIT_S}")
    print(f"with the replay: {ratio:.2f} of the module's own compile beyond make; the limit is {LIMIT_RATIO}")
    return int(quick > LIMIT_S or ratio > LIMIT_RATIO)


def _failing_commands(words: list[str]) -> list[RecordedCommand]:
    result = check_build(tuple(words), os.getcwd(), dict(os.environ))
    rules = [rule for rule in rust_rules(result) if find_sites(read_object(rule.target))]
    return [recorded_command(rule) for rule in rules]


def _compile(commands: list[RecordedCommand]) -> None:
    for command in commands:
        with tempfile.TemporaryDirectory() as folder:
            replay(command, folder, dict(os.environ))


def _run(command: str, *, status: int | None = None) -> None:
    done = subprocess.run(["sh", "-c", f"exec {command}"], capture_output=True, check=False)
    if done.returncode == 0 if status is None else done.returncode != status:
        raise SystemExit(f"{command}: ended with {done.returncode}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
