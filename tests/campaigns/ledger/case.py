# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One case: things happen to files of a real tree, the ledger judges, everything is hashed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from kdeps.contents.hashes import OUTSIDE, FileHasher
from kdeps.contents.inputs import configuration_inputs
from kdeps.contents.judge import judge_by_content
from kdeps.contents.ledger import Ledger, inputs_of, take_ledger
from kdeps.contents.ledger_file import write_ledger
from kdeps.kbuild.tree import roots_of
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.reasons import ReasonKind, Status
from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch

from .file_events import HAPPENINGS, cut_off
from .truth import digests, judged_rules, tell_truth

TIMEOUT_S = 300
ASK_EVERY = 10
"""In each of so many cases the command line is asked, too."""


@dataclass(slots=True)
class Base:
    """One module of one layout as it was built."""

    layout: Layout
    module: Module
    cache: str
    """A cache directory that knows every file."""
    ledger: Ledger
    before: dict[str, str]
    """What is in every file, by another hash."""
    inputs: list[str]
    artifacts: list[str]
    configuration: list[str]
    stamps: list[str]

    @property
    def name(self) -> str:
        return f"{self.layout.name}/{self.module.name}"


@dataclass(slots=True)
class Held:
    name: str
    happened: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    counts: tuple[int, int, int] = (0, 0, 0)
    """Rules that were changed, touched only, unknown."""
    status: str = ""
    elapsed_s: float = 0.0


def look(base_layout: Layout, module: Module) -> CheckResult:
    return check_build((*base_layout.make, *module.make), base_layout.cwd, dict(os.environ))


def everything(result: CheckResult) -> list[str]:
    """Every file that a rule of a ledger has, and what the configuration was made from."""
    paths = {path for rule in judged_rules(result) for path in (*rule.outputs, *inputs_of(rule))}
    paths.update(configuration_inputs(result.tree, dict(os.environ)))
    return sorted(paths)


def contents_in(result: CheckResult, cache: str) -> FileHasher:
    environ = {**os.environ, "XDG_CACHE_HOME": cache}
    return FileHasher(roots_of((result.tree,)), environ, result.tree.objtree)


def prepare(layout: Layout, module: Module, cache: str) -> Base:
    """Take the ledger of one module, and hash everything."""
    found = look(layout, module)
    contents = contents_in(found, cache)
    ledger, problems = take_ledger((found,), contents, dict(os.environ))
    contents.store()
    if problems or found.verdict.status is not Status.FRESH:
        raise SystemExit(f"{layout.name}/{module.name}: not fresh to begin with: {problems[:1]}")
    files = everything(found)
    inside = [path for path in files if os.path.isfile(path) and contents.read(path) is not OUTSIDE]
    made = {output for rule in found.graph.rules for output in rule.outputs}
    configuration = set(configuration_inputs(found.tree, dict(os.environ)))
    symbols = {name for rule in judged_rules(found) for name in rule.config}
    folder = f"{found.tree.objtree}/include/config"
    return Base(
        layout,
        module,
        cache,
        ledger,
        digests(files),
        sorted(path for path in inside if path not in made and path not in configuration),
        sorted(path for path in inside if path in made),
        sorted(path for path in inside if path in configuration),
        sorted(f"{folder}/{name}" for name in symbols if os.path.isfile(f"{folder}/{name}")),
    )


def hold_case(base: Base, seed: int, index: int) -> Held:
    """Run one case. Call it in a process that ends afterwards: it enters an overlay."""
    started = time.monotonic()
    result = Held(f"{base.name}:{index}")
    try:
        _hold(base, random.Random(f"{seed}/{result.name}"), index, result)
    except Exception:
        result.wrong.append(traceback.format_exc())
    result.elapsed_s = time.monotonic() - started
    return result


def _hold(base: Base, rng: random.Random, index: int, result: Held) -> None:
    scratch = Scratch()
    cache = f"{scratch.private}/cache"
    if rng.random() < 0.8:
        shutil.copytree(base.cache, cache)  # else nothing is remembered
    if rng.random() < 0.05:
        result.happened.append("every stamp lost its nanoseconds")
        for name in (*base.inputs, *base.artifacts, *base.configuration):
            cut_off(Path(name), rng)
    for _ in range(rng.randrange(1, 5)):
        kind = rng.choices((base.inputs, base.artifacts, base.configuration, base.stamps), (70, 12, 8, 10))[0]
        if kind:
            path = Path(rng.choice(kind))
            happening = rng.choice(HAPPENINGS)
            happening(path, rng)
            result.happened.append(f"{path} {happening.__name__}")
    _compare(base, cache, result)
    if index % ASK_EVERY == 0:
        _ask_command(base, scratch, cache, result)


def _compare(base: Base, cache: str, result: Held) -> None:
    found = look(base.layout, base.module)
    contents = contents_in(found, cache)
    judged = judge_by_content(found, base.ledger, contents, dict(os.environ))
    contents.store()
    now = digests(everything(found))
    truth = tell_truth(found, base.before, now)
    told = {target for target, _ in judged.changed} - set(judged.uncovered)
    idle = {target for target, _ in judged.touched} - told - set(judged.uncovered)
    verdict = judged.result.verdict
    direct = {state.rule.target for state in (*verdict.stale, *verdict.pending) if state.direct}
    auto_conf = f"{found.tree.objtree}/include/config/auto.conf"
    unsynced = (
        any(base.before.get(path) != now.get(path) for path in base.configuration) and not found.tree.prebuilt
    )
    finding = any(f.kind is ReasonKind.CONFIG_NOT_SYNCED for f in verdict.findings)
    pairs = {
        "changed": (told, truth.changed),
        "touched only": (idle - {auto_conf}, truth.touched),
        "not in the ledger": (set(judged.uncovered), truth.unknown),
        "stale": (direct - truth.unknown, truth.changed),
        "configuration": ({str(finding)}, {str(unsynced)}),
    }
    for what, (said, true) in pairs.items():
        if said != true:
            result.wrong.append(f"{what}: says {sorted(said - true)} too many, {sorted(true - said)} too few")
    used = {found.graph.rules[at].target for at in found.graph.used}
    if verdict.status is Status.FRESH and (truth.changed & used or unsynced):
        result.wrong.append(f"fresh, and {sorted(truth.changed & used)[:3]} have other inputs")
    nothing = not (truth.changed or truth.unknown or unsynced)
    if nothing and verdict.status is not Status.FRESH:
        result.wrong.append(f"{verdict.status.value}, and nothing differs")
    result.counts = (len(truth.changed), len(truth.touched), len(truth.unknown))
    result.status = verdict.status.value


def _ask_command(base: Base, scratch: Scratch, cache: str, result: Held) -> None:
    """The whole program: never fresher than the judgement, and the same targets in its JSON."""
    path = f"{scratch.private}/ledger.gz"
    write_ledger(path, base.ledger)
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "ci", f"--against={path}", "--format=json", *base.layout.make, *base.module.make],
        cwd=base.layout.cwd, env={**os.environ, "XDG_CACHE_HOME": cache}, capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    expected = {"fresh": (0, 1, 2), "stale": (1,), "unknown": (1, 2)}[result.status]
    if done.returncode not in expected or done.stderr:
        result.wrong.append(
            f"kdeps ci exits {done.returncode}, {result.status} by its judgement: {done.stderr[-300:]}"
        )
        return
    kinds = {issue["kind"] for issue in json.loads(done.stdout)["issues"]}
    if (
        result.status == "stale"
        and result.counts[0]
        and not kinds & {"content-changed", "newer-prerequisite", "missing-prerequisite"}
    ):
        result.wrong.append(f"kdeps ci names none of what changed: {sorted(kinds)}")
