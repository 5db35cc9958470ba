# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How fast is a check? Ratios, all measured in one run on one tree.

Usage, in a kernel tree whose module is built and fresh::

    python3 -m tests.bench.check_speed [-n RUNS] -- LLVM=1 O=../build M=drivers/gpu/nova-core

Compared, in turn, A B C D A B C D …, each as a whole process on a warm disk:

* ``kdeps check``, fresh: by the answer that is kept, and judged anew
* the same, stale: one source of the crates is touched
* a no-op ``make modules_prepare``: what it would take to be sure without kdeps
* a no-op ``make M=…``: what a developer waits for anyway
* the floors: a C program that reads the same records and stats the same files; Python that starts

The touched source gets its mtime back; until the next ``kdeps make`` a check notes that.
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

from kdeps.staleness.check import check_build

HERE = Path(__file__).parent
_KEEPING_S = 2.0
"""How long it may take until an answer is kept."""
_ANEW = """
import kdeps.cli.check, kdeps.system.background
kdeps.cli.check.Question.recall = lambda self: None
kdeps.system.background.run_in_background = lambda *_: None
from kdeps.cli.main import main
main()
"""
"""``kdeps check`` as it is where no answer is kept, and without keeping one."""


def main(arguments: list[str]) -> int:
    if "--" not in arguments:
        print(__doc__)
        return 2
    at = arguments.index("--")
    options, words = arguments[:at], arguments[at + 1 :]
    runs = int(options[options.index("-n") + 1]) if "-n" in options else 20
    result = check_build(tuple(words), os.getcwd(), dict(os.environ))
    print(
        f"{len(result.graph.rules)} rules, {len(result.snapshot.mtime_ns)} files, verdict {result.verdict.status.value}"
    )
    kept = list(result.tree.args.kept)
    source = f"{result.tree.srctree}/rust/kernel/lib.rs"
    with tempfile.TemporaryDirectory() as folder:
        check = [sys.executable, "-c", "from kdeps.cli.main import main; main()", "check", *words]
        anew = [sys.executable, "-c", _ANEW, "check", *words]
        floors = {"python3 -c pass": [sys.executable, "-c", "pass"]}
        floors["python3 -I -S -c pass"] = [sys.executable, "-I", "-S", "-c", "pass"]
        c = _build_floor(Path(folder), result)
        if c:
            floors["C: read and stat"] = c
        makes = {
            "make modules_prepare": ["make", *kept, "modules_prepare"],
            "make M=": ["make", *words],
        }
        times = _measure({"fresh, kept": check, "fresh, anew": anew, **makes, **floors}, runs)
        before = os.stat(source)
        os.utime(source)
        try:
            times |= _measure({"stale, kept": check, "stale, anew": anew}, runs)
        finally:
            os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    print(f"{'':24}{'min':>9}{'median':>9}{'max':>9}{'cpu min':>9}{'median':>9}  ms, {runs} runs")
    for name, pairs in times.items():
        wall, cpu = zip(*pairs, strict=True)
        print(
            f"{name:24}{min(wall):9.1f}{statistics.median(wall):9.1f}{max(wall):9.1f}"
            f"{min(cpu):9.1f}{statistics.median(cpu):9.1f}"
        )
    prepare = statistics.median(wall for wall, _ in times["make modules_prepare"])
    for name in ("fresh, kept", "fresh, anew", "stale, kept", "stale, anew"):
        median = statistics.median(wall for wall, _ in times[name])
        print(f"make modules_prepare / check ({name}): {prepare / median:.1f}")
    return 0


def _measure(commands: dict[str, list[str]], runs: int) -> dict[str, list[tuple[float, float]]]:
    """Time commands in turn: of each run wall and processor time in ms."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, _, used = os.wait4(process.pid, 0)
            process.returncode = 0
            wall = (time.perf_counter() - started) * 1000
            if turn:
                times[name].append((wall, (used.ru_utime + used.ru_stime) * 1000))
            elif name.endswith("kept"):
                time.sleep(_KEEPING_S)  # the first turn warms caches, and lets the answer be kept
    return times


def _build_floor(folder: Path, found: object) -> list[str] | None:
    """Compile the floor program; ``None`` where there is no C compiler."""
    from kdeps.staleness.check import CheckResult

    assert isinstance(found, CheckResult)
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
