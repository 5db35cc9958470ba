# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Mutate a miniature, let kdeps reuse what it remembers, and ask of each step whether that was right.

    python -m tests.fuzz.reuse --count 10000 --seed 1

Two states of a tree are built by real make and remembered. Then, again and again, sources come from
either state or have new content, times are moved, outputs and records are damaged; kdeps settles and
puts back. A step that make would run before and not after, or whose output was replaced, has to have
the inputs and the outputs that it had in one of the two builds. The referee hashes all of them anew.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kdeps.contents.reuse import Reuser
from kdeps.contents.steps import remember_build
from kdeps.formats.kconfig import parse_symbols
from kdeps.kbuild.rule import Action, Rule
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.reasons import Certainty
from tests.support.miniature import MODULE, create

EDITED = (
    "rust/kernel/io.rs", "rust/kernel/device.rs", "include/linux/pci.h", "rust/helpers/helpers.c",
    "rust/macros/lib.rs", f"{MODULE}/nova_core.rs",
)  # fmt: skip
_HOUR_NS = 3_600_000_000_000
Digests = dict[str, str]


class State(NamedTuple):
    """A tree as it was built."""

    files: dict[Path, tuple[bytes, int]]
    steps: dict[str, tuple[Digests, Digests]]
    """Target → its inputs and its outputs."""


class World:
    """A miniature with two states that kdeps remembers."""

    def __init__(self, root: Path) -> None:
        self.tree = create(root / "tree", objtree=root / "tree/build")
        self.tree.build()
        self.environ = self.tree.environment({"XDG_CACHE_HOME": str(root / "cache")})
        first = self._build()
        for name in EDITED:
            self.tree.append(name, "/* of the second state */\n")
        self.states = (first, self._build())

    def _build(self) -> State:
        self.tree.make("modules_prepare")
        self.tree.make(f"M={MODULE}")
        time.sleep(0.06)
        result = self.look()
        assert result.verdict.status.value == "fresh", result.verdict
        remember_build(result, self.environ, time.time_ns())
        files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in self.files()}
        return State(files, {rule.target: self.digests(rule) for rule in result.graph.rules})

    def files(self) -> list[Path]:
        tops = (self.tree.srctree, self.tree.objtree)
        return sorted({p for top in tops for p in top.rglob("*") if p.is_file() and not p.is_symlink()})

    def look(self) -> CheckResult:
        return check_build((*self.tree.tree_args, f"M={MODULE}"), str(self.tree.srctree), self.environ)

    def digests(self, rule: Rule) -> tuple[Digests, Digests]:
        """The contents of all that a step reads, the values of its symbols among them, and of what it writes."""
        base = self.tree.module if rule.owner.value == "module" else self.tree.objtree
        words = (os.path.normpath(os.path.join(base, word.strip("'\""))) for word in rule.command.split())
        named = {word for word in words if os.path.isfile(word)}
        read = {*rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs, *named}
        if rule.source:
            read.add(rule.source)
        inputs = {path: _digest(path) for path in read.difference(rule.outputs)}
        symbols = parse_symbols((self.tree.objtree / "include/config/auto.conf").read_text())
        inputs |= {f"CONFIG_{name}": symbols.get(f"CONFIG_{name}", "n") for name in rule.config}
        inputs["command"] = rule.command
        return inputs, {path: _digest(path) for path in rule.outputs}

    def put_back(self, state: State) -> None:
        """Make the tree what it was in a state, times and all."""
        for path in set(self.files()) - state.files.keys():
            path.unlink()
        for path, (data, mtime) in state.files.items():
            with contextlib.suppress(IsADirectoryError):
                if not path.exists() or path.read_bytes() != data:
                    path.write_bytes(data)
            if path.stat().st_mtime_ns != mtime:
                os.utime(path, ns=(mtime, mtime))

    def reuse(self, result: CheckResult) -> CheckResult:
        """Settle, and put back; return the verdict that `kdeps make` acts on then, by time and by content."""
        reuser = Reuser(self.look, self.environ, lambda *_: contextlib.nullcontext(), lambda _: None)
        return reuser.reuse(result, restored=True)


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return "gone"


def _stale(result: CheckResult, *, certain: bool) -> set[str]:
    """The steps that make runs; where the output of another one may be left as it is, it may not run them.

    A verdict may say to remove a file first. Then make builds that file again, and after it each step that reads it.
    """
    states = (*result.verdict.stale, *result.verdict.pending)
    removed = {path for finding in result.verdict.findings for path in finding.remove}
    behind = {rule.target for rule in result.graph.rules if removed.intersection(rule.prerequisites)}
    stale = {s.rule.target for s in states if s.certainty is Certainty.CERTAIN or not certain}
    return stale if certain else stale | behind


# -- what happens -------------------------------------------------------------------


def _sources(world: World, rng: random.Random) -> str:
    """Sources of either state or of none, edited now or dated back."""
    for name in EDITED:
        path = world.tree.srctree / name
        kind = rng.choice(("keep", "keep", "first", "second", "new"))
        if kind == "keep":
            continue
        state = world.states[kind == "second"]
        data = state.files[path][0] + (f"/* {rng.random()} */\n".encode() if kind == "new" else b"")
        before = path.stat().st_mtime_ns
        path.write_bytes(data)
        if rng.random() < 0.3:
            os.utime(path, ns=(before - rng.randrange(_HOUR_NS),) * 2)
    return "sources"


def _branch(world: World, rng: random.Random) -> str:
    """All sources of one state, as after a checkout."""
    state = rng.choice(world.states)
    for name in EDITED:
        (world.tree.srctree / name).write_bytes(state.files[world.tree.srctree / name][0])
    return "branch"


def _output(world: World, rng: random.Random) -> Path:
    made = [Path(path) for path in world.states[0].steps if os.path.isfile(path)]
    return rng.choice(made) if made else world.tree.objtree / "rust/kernel.o"


def _damage(world: World, rng: random.Random) -> str:
    """Other bytes in an output, its time kept."""
    path = _output(world, rng)
    if path.exists():
        mtime = path.stat().st_mtime_ns
        path.write_bytes(path.read_bytes()[: rng.choice((None, -1, 10))] + rng.choice((b"", b"x")))
        os.utime(path, ns=(mtime, mtime))
    return f"damage {path.name}"


def _move(world: World, rng: random.Random) -> str:
    path = rng.choice(world.files())
    os.utime(path, ns=(time.time_ns() - rng.randrange(_HOUR_NS),) * 2)
    return f"move {path.name}"


def _delete(world: World, rng: random.Random) -> str:
    path = _output(world, rng)
    path.unlink(missing_ok=True)
    return f"delete {path.name}"


def _swap_record(world: World, rng: random.Random) -> str:
    """The record of the other state beside the output of this one."""
    path = _output(world, rng)
    record = path.with_name(f".{path.name}.cmd")
    other = rng.choice(world.states).files.get(record)
    if other is not None:
        mtime = record.stat().st_mtime_ns if record.exists() else other[1]
        record.write_bytes(other[0])
        os.utime(record, ns=(mtime, mtime))
    return f"record of {path.name}"


def _swap_output(world: World, rng: random.Random) -> str:
    """The output of the other state in place of this one, its time kept."""
    path = _output(world, rng)
    other = rng.choice(world.states).files.get(path)
    if other is not None and path.exists():
        mtime = path.stat().st_mtime_ns
        path.write_bytes(other[0])
        os.utime(path, ns=(mtime, mtime))
    return f"other {path.name}"


def _configuration(world: World, rng: random.Random) -> str:
    """A value of the synced configuration, as an edit by hand."""
    path = world.tree.objtree / "include/config/auto.conf"
    lines = path.read_text().splitlines()
    lines[rng.randrange(len(lines))] += rng.choice(("", "0"))
    mtime = path.stat().st_mtime_ns
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, ns=(mtime, mtime))
    return "auto.conf"


DEEDS: tuple[Callable[[World, random.Random], str], ...] = (
    _sources, _sources, _branch, _branch, _damage, _move, _delete, _swap_record, _swap_output, _configuration,
)  # fmt: skip


def run_case(world: World, seed: int) -> tuple[int, list[str]]:
    """Do one case; return how many steps were spared, and what is wrong."""
    rng = random.Random(seed)
    world.put_back(world.states[rng.randrange(2)])
    done = [rng.choice(DEEDS)(world, rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    result = world.look()
    stale, before = _stale(result, certain=True), {p: _digest(str(p)) for p in world.files()}
    acted_on = world.reuse(result)
    after = world.look()
    left = _stale(after, certain=False) | _stale(acted_on, certain=False)
    spared, wrong = 0, []
    for rule in after.graph.rules:
        replaced = any(before.get(Path(path), "gone") != _digest(path) for path in rule.outputs)
        if rule.action is Action.FILECHK or rule.target in left or not (rule.target in stale or replaced):
            continue
        spared += 1
        now = world.digests(rule)
        if all(state.steps.get(rule.target) != now for state in world.states):
            wrong.append(f"case {seed} ({', '.join(done)}): {rule.name} {_why(now, world, rule.target)}")
    return spared, wrong


def _why(now: tuple[Digests, Digests], world: World, target: str) -> str:
    """What differs from each of the two builds."""
    found = []
    for state in world.states:
        then = state.steps.get(target, ({}, {}))
        names = {n for part, old in zip(now, then, strict=True) for n in part if part[n] != old.get(n)}
        found.append(
            ", ".join(sorted(map(os.path.basename, names))) or "something was read that is not read now"
        )
    return " / ".join(found)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kdeps-reuse-") as folder:
        world = World(Path(folder))
        spared, failed = 0, 0
        for case in range(options.count):
            more, wrong = run_case(world, options.seed * 1_000_000 + case)
            spared += more
            failed += bool(wrong)
            for line in wrong:
                print(line, flush=True)
            if case % 1000 == 999:
                print(f"{case + 1} cases, {spared} steps spared, {failed} cases wrong so far", flush=True)
    print(f"{options.count} cases, {spared} steps spared, {failed} cases wrong")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
