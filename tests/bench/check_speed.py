# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How fast is a check? Ratios, all measured in one run on one tree.

Usage, in a kernel tree whose module is built and fresh::

    python3 -m tests.bench.check_speed [-n RUNS] -- LLVM=1 O=../build M=drivers/gpu/nova-core

Compared, in turn, A B C D A B C D …, each as a whole process on a warm disk:

* ``kdeps check``, text
* a no-op ``make modules_prepare``: what it would take to be sure without kdeps
* a no-op ``make M=…``: what a developer waits for anyway
* the floor: a C program that reads the same records and stats the same files

The machine is shared: read the ratios, not the seconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kdeps.survey import survey

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Measure, print a table and the ratios."""
    if "--" not in arguments:
        print(__doc__)
        return 2
    at = arguments.index("--")
    options, words = arguments[:at], arguments[at + 1 :]
    runs = int(options[options.index("-n") + 1]) if "-n" in options else 20
    found = survey(tuple(words), os.getcwd(), dict(os.environ))
    print(
        f"{len(found.graph.rules)} rules, {len(found.snapshot.mtime_ns)} files, verdict {found.verdict.status.value}"
    )
    kept = list(found.tree.args.kept)
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "kdeps check": [sys.executable, "-m", "kdeps", "check", *words],
            "make modules_prepare": ["make", *kept, "modules_prepare"],
            "make M=": ["make", *words],
        }
        floor = _build_floor(Path(folder), found)
        if floor:
            commands["floor (C)"] = floor
        commands["python3 -c pass"] = [sys.executable, "-c", "pass"]
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(runs + 1):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
                if turn:  # the first turn warms caches
                    times[name].append((time.perf_counter() - started) * 1000)
    print(f"{'':24}{'min':>9}{'median':>9}{'max':>9}  ms, {runs} runs")
    for name, values in times.items():
        print(f"{name:24}{min(values):9.1f}{statistics.median(values):9.1f}{max(values):9.1f}")
    check = statistics.median(times["kdeps check"])
    for name, values in times.items():
        if name != "kdeps check":
            ratios = [b / a for a, b in zip(times["kdeps check"], values, strict=True)]
            print(
                f"{name} / kdeps check: {statistics.median(values) / check:.2f} (pair by pair {min(ratios):.2f} to {max(ratios):.2f})"
            )
    return 0


def _build_floor(folder: Path, found: object) -> list[str] | None:
    """Compile the floor program; ``None`` where there is no C compiler."""
    from kdeps.survey import Survey

    assert isinstance(found, Survey)
    compiler = next((c for c in ("cc", "gcc", "clang") if _exists(c)), None)
    if compiler is None:
        return None
    program = folder / "floor"
    subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / "floor.c")], check=True)
    records, files = folder / "records", folder / "files"
    records.write_text("".join(f"{r.record}\n" for r in found.rules.rules if r.record))
    files.write_text("".join(f"{path}\n" for path in found.snapshot.mtime_ns))
    return [str(program), str(records), str(files)]


def _exists(program: str) -> bool:
    return any(os.access(os.path.join(folder, program), os.X_OK) for folder in os.environ["PATH"].split(":"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
