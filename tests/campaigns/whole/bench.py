# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How fast a whole kernel is judged: as ratios to make, ninja and the kernel's own sbom, taken in one run.

And how time and memory grow with the number of records, on trees made for it that are
shaped like an allmodconfig build: real lists of headers, real commands, folders of thirty
objects with an archive each.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from ninja_syntax import Writer  # type: ignore[import-untyped]

from .aim import Tree
from .case import ask_kdeps

_WIDTH = 60


class Ran(NamedTuple):
    seconds: float
    cpu_s: float
    peak_mb: float
    status: int
    output: str


def run_bench(tree: Tree, *, rounds: int, records: int) -> int:
    """Measure and print; returns 0 unless the tree cannot be measured."""
    with tempfile.TemporaryDirectory(prefix="kdeps-bench-", dir="/root") as folder:
        return _bench(tree, Path(folder), rounds, records)


def _bench(tree: Tree, folder: Path, rounds: int, records: int) -> int:
    status, answer, message = ask_kdeps(tree)
    if status != 0:
        print(f"bench: error: the tree is not fresh: {answer.get('issues', message)}", file=sys.stderr)
        return 2
    stats = answer["modules"][0]["stats"]
    print(f"{tree.name}: {stats['rules']} rules, {stats['files']} files")
    time.sleep(1.5)
    ask_kdeps(tree)  # now every record is old enough to be remembered
    ninja = _write_ninja(tree, folder)
    kdeps = [sys.executable, "-m", "kdeps", "ci", "--scope=tree", *tree.make]
    warm = lambda: _run(kdeps, tree.cwd)  # noqa: E731
    _compare("no-op make", lambda: _run(["make", "-s", *tree.make], tree.cwd), "warm ci", warm, rounds)
    _compare("ninja -n", lambda: _run(ninja, str(folder)), "warm ci", warm, rounds)
    _compare(
        "scripts/sbom, graph only", lambda: _sbom(tree, folder), "cold ci",
        lambda: _run(kdeps, tree.cwd, XDG_CACHE_HOME=tempfile.mkdtemp(dir=folder)), max(1, rounds // 2),
    )  # fmt: skip
    _grow(tree, folder, records)
    return 0


def _compare(name: str, other: Callable[[], Ran], own_name: str, own: Callable[[], Ran], rounds: int) -> None:
    """Run two commands in turn; print medians, and the ratio by the median of pairs and by minima."""
    pairs = [(other(), own()) for _ in range(rounds)]
    theirs, ours = [a.seconds for a, _ in pairs], [b.seconds for _, b in pairs]
    bad = {ran.status for pair in pairs for ran in pair} - {0}
    print(
        f"{name} {median(theirs):.2f} s, {own_name} {median(ours):.3f} s: {median(a / b for a, b in zip(theirs, ours, strict=True)):.1f} times, "
        f"by minima {min(theirs) / min(ours):.1f}; processor time {median(a.cpu_s for a, _ in pairs):.2f} s and "
        f"{median(b.cpu_s for _, b in pairs):.3f} s; memory {max(a.peak_mb for a, _ in pairs):.0f} MB and "
        f"{max(b.peak_mb for _, b in pairs):.0f} MB; load {os.getloadavg()[0]:.1f}"
        + (f"; STATUS {bad}" if bad else ""),
        flush=True,
    )


def _run(command: Sequence[str], cwd: str, **environ: str) -> Ran:
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **environ}, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Ran(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode, text)


def _sbom(tree: Tree, folder: Path) -> Ran:
    """Let the kernel's own script read the graph of bzImage; what it writes afterwards does not count."""
    command = [
        sys.executable, f"{tree.srctree}/scripts/sbom/sbom.py", "--src-tree", tree.srctree, "--obj-tree", tree.objtree,
        "--roots", "arch/x86/boot/bzImage", "--generate-used-files", "--output-directory", str(folder), "--debug",
        "--do-not-fail-on-unknown-build-command", "--write-output-on-error",
    ]  # fmt: skip
    # It takes a tree as built by the Makefile, which exports these.
    ran = _run(command, tree.objtree, srctree=tree.srctree, SRCARCH="x86", ARCH="x86")
    said = re.search(r"Built cmd graph in ([\d.]+) seconds", ran.output)
    if said is None:
        print(ran.output[-600:])
        return ran
    return ran._replace(seconds=float(said[1]), status=0)


def _write_ninja(tree: Tree, folder: Path) -> list[str]:
    """Write the same graph for ninja, whose own look at the files is what is compared."""
    from kdeps.kbuild.records import RecordReader
    from kdeps.kbuild.tree import find_tree
    from kdeps.staleness.whole_tree import read_records

    reader = RecordReader(find_tree(tree.make, tree.cwd, dict(os.environ)), whole=True)
    read_records(reader, {})
    path = folder / "build.ninja"
    seen: set[str] = set()
    with path.open("w", errors="surrogateescape") as file:
        writer = Writer(file, width=1 << 30)
        # generator: the time alone decides, for there is no log of commands.
        writer.rule("step", "false", generator=True)
        for rule in reader.rules.values():
            outputs = [output for output in rule.outputs if output not in seen]
            seen.update(outputs)
            stamps = [f"{rule.config_dir}/include/config/{name}" for name in dict.fromkeys(rule.config)]
            optional = [p for p in (*rule.optional_prerequisites, *stamps) if os.path.exists(p)]
            if outputs and rule.action.name == "IF_CHANGED":
                inputs = [p for p in (*rule.prerequisites, *optional) if p not in rule.outputs]
                writer.build(outputs[:1], "step", inputs)
    ninja = next(name for name in ("ninja", "ninja-build") if shutil.which(name))
    return [ninja, "-n", "-C", str(folder)]


# -- growth -------------------------------------------------------------------


def _grow(tree: Tree, folder: Path, largest: int) -> None:
    """Time and memory against the number of records."""
    sizes = [largest // 8, largest // 4, largest // 2, largest]
    found: list[_Size] = []
    for size in sizes:
        objtree = folder / f"synthetic-{size}"
        _make_tree(tree, objtree, size)
        cache = folder / f"cache-{size}"
        make = [word for word in tree.make if not word.startswith("O=")]
        command = [sys.executable, "-m", "kdeps", "ci", "--scope=tree", *make, f"O={objtree}"]
        _complete(command, tree, objtree)
        time.sleep(1.2)
        cold, warm = (_run(command, tree.cwd, XDG_CACHE_HOME=str(cache)) for _ in range(2))
        kept = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1e6
        _compile_one(objtree, size)
        changed = _run(command, tree.cwd, XDG_CACHE_HOME=str(cache))
        for ran in (cold, warm, changed):
            if ran.status:
                raise RuntimeError(f"{size} records: status {ran.status}: {ran.output[-500:]}")
        found.append(_Size(size, kept, {"cold": cold, "warm": warm, "one compiled": changed}))
        shutil.rmtree(objtree)
    print("records  index MB" + "".join(f"{name:>14} s  ms each   MB" for name in found[0].runs))
    for each in found:
        figures = (
            f"{ran.seconds:16.3f} {ran.seconds / each.records * 1000:8.3f} {ran.peak_mb:4.0f}"
            for ran in each.runs.values()
        )
        print(f"{each.records:7} {each.index_mb:9.1f}" + "".join(figures))
    for name in found[0].runs:
        for what, values in (
            ("seconds", [each.runs[name].seconds for each in found]),
            ("peak MB", [each.runs[name].peak_mb for each in found]),
        ):
            print(f"\n{name}, {what}")
            for size, value in zip(sizes, values, strict=True):
                print(f"{size:7} |{'#' * round(value / max(values) * _WIDTH):{_WIDTH}} {value:.2f}")


class _Size(NamedTuple):
    """What a tree of one size cost."""

    records: int
    index_mb: float
    runs: dict[str, Ran]


def _complete(command: Sequence[str], tree: Tree, objtree: Path) -> None:
    """Copy what this configuration always makes, until nothing is stale."""
    for _ in range(5):
        ran = _run([*command, "--format=json"], tree.cwd, XDG_CACHE_HOME=os.devnull)
        stale = json.loads(ran.output)["modules"][0]["direct"]
        for name in stale:
            for path in (name, os.path.join(os.path.dirname(name), f".{os.path.basename(name)}.cmd")):
                if os.path.exists(f"{tree.objtree}/{path}"):
                    (objtree / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(f"{tree.objtree}/{path}", objtree / path)
        if not stale:
            return


def _compile_one(objtree: Path, size: int) -> None:
    """Make one object again, and what is made from it, as make does; then wait until their times are settled."""
    at = size // 2 // 30 * 30
    part = objtree / f"drivers/synthetic{at // 3000}/part{at}"
    for target in (part / f"object{at}.o", part / "built-in.a", objtree / "built-in.a", objtree / "vmlinux"):
        record = target.with_name(f".{target.name}.cmd")
        for path in (target, record):
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data)
    time.sleep(1.2)


def _make_tree(tree: Tree, objtree: Path, size: int) -> None:
    """Make an object tree of ``size`` objects, their records copied from real ones in turn."""
    real = Path(tree.objtree)
    objtree.mkdir()
    for name in (
        "include/config/auto.conf.cmd",
        "include/generated/autoconf.h",
        "include/config/kernel.release",
        ".config",
    ):
        copy = objtree / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (real / name).exists():
            shutil.copy2(real / name, copy)
    auto_conf = (real / "include/config/auto.conf").read_text()
    autoconf = objtree / "include/generated/autoconf.h"
    text = re.sub(r"^#define CONFIG_(RUST|OBJTOOL) 1\n", "", autoconf.read_text(), flags=re.MULTILINE)
    autoconf.write_text(text)
    auto_conf = re.sub(r"^CONFIG_(RUST|OBJTOOL)=y\n", "", auto_conf, flags=re.MULTILINE)
    cfg = (real / "include/generated/rustc_cfg").read_text()
    cfg = re.sub(r'^--cfg=CONFIG_(RUST|OBJTOOL)(="y")?\n', "", cfg, flags=re.MULTILINE)
    (objtree / "include/generated/rustc_cfg").write_text(cfg)
    for name in (
        "scripts/basic/fixdep",
        "scripts/mod/modpost",
        "scripts/module.lds",
    ):
        (objtree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real / name, objtree / name)
    for name in ("scripts/basic/fixdep", "scripts/mod/modpost"):
        record = objtree / os.path.dirname(name) / f".{os.path.basename(name)}.cmd"
        record.write_text(f"savedcmd_{name} := printf x > {name}\n")
    lds = "scripts/module.lds"
    (objtree / "scripts/.module.lds.cmd").write_text(
        f"savedcmd_{lds} := clang -E -o {lds} {tree.srctree}/scripts/module.lds.S\n"
    )
    (objtree / "Makefile").write_text(f"include {tree.srctree}/Makefile\n")
    (objtree / "source").symlink_to(tree.srctree)
    samples = _samples(real)
    archives = []
    for at in range(0, size, 30):
        folder = objtree / f"drivers/synthetic{at // 3000}/part{at}"
        folder.mkdir(parents=True)
        names = []
        for number in range(at, min(at + 30, size)):
            old, text = samples[number % len(samples)]
            name = f"{folder.relative_to(objtree)}/object{number}.o"
            (objtree / name).write_text("object")
            (folder / f".object{number}.o.cmd").write_text(text.replace(old, name))
            names.append(f"object{number}.o")
        _archive(folder / "built-in.a", objtree, names)
        archives.append(f"{folder.relative_to(objtree)}/built-in.a")
    _archive(objtree / "built-in.a", objtree, archives)
    (objtree / "vmlinux").write_text("kernel")
    (objtree / ".vmlinux.cmd").write_text(
        "savedcmd_vmlinux := ld.lld -o vmlinux --whole-archive built-in.a\n"
    )
    (objtree / "include/config/auto.conf").write_text(auto_conf)


def _archive(path: Path, objtree: Path, members: Sequence[str]) -> None:
    name = str(path.relative_to(objtree))
    prefix = f"{path.parent.relative_to(objtree)}/" if path.parent != objtree else ""
    path.write_text("!<arch>")
    listing = f'printf "{prefix}%s " {" ".join(members)} | xargs llvm-ar cDPrST {name}'
    path.with_name(f".{path.name}.cmd").write_text(f"savedcmd_{name} := rm -f {name};  {listing}\n")


def _samples(real: Path) -> list[tuple[str, str]]:
    """Real records of C objects, from all over the tree, whose generated headers lie in the real one."""
    found = []
    for path in sorted(real.glob("drivers/**/.*.o.cmd"))[::3] + sorted(real.glob("kernel/**/.*.o.cmd"))[::3]:
        text = path.read_text(errors="surrogateescape")
        name = str((path.parent / path.name[1:-4]).relative_to(real))
        if (
            f"\nsource_{name} := /" in text
            and "\ndeps_" in text
            and f"$(wildcard {name}" not in text
            and ".rs \\\n" not in text
        ):
            text = re.sub(r"^  (?=[\w.])(?!/)", f"  {real}/", text, flags=re.MULTILINE)
            found.append((name, text))
    return found
