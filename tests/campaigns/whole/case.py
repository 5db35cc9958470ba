# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One case: mutate a whole kernel, ask Kbuild and kdeps what is directly stale, compare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from tests.lab.kbuild_oracle import KbuildAnswer, ask_whole, ask_whole_prerequisites, canonical
from tests.lab.layout import Layout
from tests.lab.operations import Step, apply_step
from tests.lab.overlay import Scratch, differing

from .aim import Tree

CACHE = "/root/.cache"
"""Where kdeps may write: nothing else."""


@dataclass(slots=True)
class Outcome:
    index: int
    steps: tuple[str, ...]
    stale: int = 0
    """How many rules Kbuild would run."""
    verdict: str = ""
    misses: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    contract: list[str] = field(default_factory=list)
    """A crash, a tree that was written to, fresh where make stops, another answer without the index."""
    broken: str = ""
    """The suite itself failed."""
    kbuild_s: float = 0.0
    kdeps_s: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.misses or self.alarms or self.contract or self.broken)


def run_case(tree: Tree, index: int, steps: tuple[Step, ...]) -> Outcome:
    """Run one case. Call it in a process that ends afterwards: it enters a :class:`Scratch`."""
    outcome = Outcome(index, tuple(map(str, steps)))
    try:
        _run(tree, steps, outcome)
    except Exception:  # a case must never take the run with it
        outcome.broken = traceback.format_exc()
    return outcome


def _run(tree: Tree, steps: tuple[Step, ...], outcome: Outcome) -> None:
    scratch = Scratch()
    for step in steps:
        if step.operation.startswith("create") or os.path.lexists(step.path):
            apply_step(step)
    mutated = scratch.written()
    started = time.monotonic()
    status, answer, message = ask_kdeps(tree)
    outcome.kdeps_s = time.monotonic() - started
    # Reading everything takes its time: every third case is asked without the index, too.
    again = ask_kdeps(tree, cache=f"{scratch.private}/cache") if outcome.index % 3 == 0 else (status, answer)
    wrote = [p for p in differing(mutated, scratch.written()) if not p.startswith(CACHE)]
    outcome.contract += [f"kdeps wrote {path}" for path in wrote]
    outcome.verdict = str(answer.get("verdict", "unknown"))
    if _said(answer) != _said(again[1]) or status != again[0]:
        outcome.contract.append("another answer without the index")
    layout = as_layout(tree)
    started = time.monotonic()
    kbuild = ask_whole(layout, private=scratch.private)
    outcome.kbuild_s = time.monotonic() - started
    outcome.stale = len(kbuild.recorded)
    _compare(tree, kbuild, status, answer, message, set(mutated), outcome)


def _compare(
    tree: Tree,
    kbuild: KbuildAnswer,
    status: int,
    answer: dict[str, Any],
    message: str,
    mutated: set[str],
    outcome: Outcome,
) -> None:
    expected = {"fresh": 0, "stale": 1, "unknown": 2}.get(outcome.verdict)
    if not answer or status != expected:
        outcome.contract.append(f"verdict {outcome.verdict!r} with exit status {status}: {message[-400:]}")
        return
    part = answer["modules"][0]
    direct = {canonical(tree.objtree, name) for name in part["direct"]}
    if kbuild.errors:
        if outcome.verdict == "fresh":
            outcome.contract.append(f"kdeps says fresh where make stops: {kbuild.errors[0]}")
        return
    if kbuild.sync and outcome.verdict == "fresh":
        outcome.contract.append(f"kdeps says fresh where make would run syncconfig: {kbuild.sync}")
    if outcome.verdict == "unknown":
        # An artifact dated in the future hides edits that make cannot see either.
        if not any(issue["kind"] == "clock" for issue in answer["issues"]):
            outcome.contract.append(f"kdeps cannot tell where make can: {message[-400:]}")
        return
    listed = kbuild.recorded
    required = {t for t, why in listed.items() if why.newer or not _is_intact(t, mutated)}
    plain = {t for t, why in kbuild.plain.items() if why.newer}
    allowed = {*listed, *plain, *kbuild.differing, *kbuild.rechecked}
    if any(path.endswith(("/modules.order", ".mod")) for path in mutated):
        # What follows modpost goes by that list's content, which the asked make does not write anew.
        allowed |= {t for t in direct if t.endswith((".mod.o", ".ko", "/.module-common.o"))}
    outcome.misses = sorted(required - direct)
    outcome.alarms = sorted(direct - allowed)
    if required and outcome.verdict == "fresh":
        outcome.contract.append("fresh, with stale rules")


def _is_intact(target: str, mutated: set[str]) -> bool:
    folder, name = os.path.split(target)
    record = f"{folder}/.{name}.cmd"
    return os.path.exists(target) and os.path.exists(record) and record not in mutated


def _said(answer: dict[str, Any]) -> Any:
    """What two answers to one question have in common."""
    part = answer.get("modules", [{}])[0]
    return answer.get("verdict"), sorted(part.get("direct", ())), sorted(part.get("unseen", ()))


def ask_kdeps(tree: Tree, *, cache: str | None = None) -> tuple[int, dict[str, Any], str]:
    """Run ``kdeps ci --scope=tree``: exit status, JSON, standard error."""
    environ = {**os.environ, **({} if cache is None else {"XDG_CACHE_HOME": cache})}
    command = [sys.executable, "-m", "kdeps", "ci", "--scope=tree", "--format", "json", *tree.make]
    done = subprocess.run(
        command, cwd=tree.cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="surrogateescape", check=False,
    )  # fmt: skip
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {}
    return done.returncode, answer, done.stderr


def as_layout(tree: Tree) -> Layout:
    return Layout(tree.name, "", tree.cwd, tree.srctree, tree.objtree, True, tree.make, ())


def audit(tree: Tree) -> tuple[int, int, list[str]]:
    """Compare the prerequisites of every rule; return rules, edges, and a line for each difference."""
    from kdeps.kbuild.records import RecordReader
    from kdeps.kbuild.tree import find_tree
    from kdeps.staleness.whole_tree import read_records

    reader = RecordReader(find_tree(tree.make, tree.cwd, dict(os.environ)), whole=True)
    read_records(reader, {})
    kdeps = {
        target: {*rule.prerequisites, *rule.optional_prerequisites, *(f"{rule.config_dir}/include/config/{c}" for c in rule.config)}
        for target, rule in reader.rules.items()
    }  # fmt: skip
    kbuild = ask_whole_prerequisites(as_layout(tree), private=Scratch().private)
    known: dict[str, str] = {}

    def real(names: set[str]) -> set[str]:
        return {known.get(n) or known.setdefault(n, os.path.realpath(n)) for n in names}

    lines: list[str] = []
    for target, names in sorted(kbuild.items()):
        if target not in kdeps:
            lines.append(f"UNKNOWN {target}")
            continue
        mine, theirs = real({n for n in kdeps[target] if os.path.exists(n)}), real(names)
        for word, differing_names in (("MISSING", theirs - mine), ("EXTRA", mine - theirs)):
            if differing_names:
                lines.append(f"{word} {target}: {' '.join(sorted(differing_names)[:6])}")
    recorded = {target for target, rule in reader.rules.items() if rule.record is not None}
    lines += [f"NOT VISITED {target}" for target in sorted(recorded - kbuild.keys())]
    return len(kbuild), sum(map(len, kbuild.values())), lines
