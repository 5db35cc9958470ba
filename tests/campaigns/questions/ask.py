# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Seeded questions, each put to the command and to brute force."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch

from .brute_force_graph import Brute, read_brute, rebuilt_by, step_graph, steps_between, widen

KINDS = ("chain", "stale", "stale", "users", "affected", "affected", "symbol")


@dataclass(slots=True)
class Series:
    """All questions about one module."""

    name: str
    asked: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    told: int = 0
    """How many answers had something to tell: a chain, a stale target, at least one effect."""
    wrong: list[str] = field(default_factory=list)
    """``LAYOUT/MODULE:INDEX kind question: what differs``"""
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask: the indices of the questions about one module."""

    layout: Layout
    module: Module
    seed: int
    indices: tuple[int, ...]


class Asker:
    """Puts questions about one module. Touches files for a moment, so let it live in a scratch."""

    def __init__(self, plan: Plan, brute: Brute) -> None:
        """Sort what there is to ask about."""
        self.plan = plan
        self.brute = brute
        self.wide = widen(self.brute)
        made = self.brute.targets | set(self.brute.sides)
        self.targets = sorted(self.brute.targets)
        self.sources = sorted(path for path in self.brute.files if path not in made and os.path.isfile(path))
        self.symbols = sorted(self.brute.symbols)
        self.told = 0

    def ask(self, index: int) -> tuple[str, list[str]]:
        """Put one question; return it, and what is wrong with its answer."""
        # The whole name seeds it, so that one question can be asked again by itself.
        draw = random.Random(f"{self.plan.seed}:{self.plan.layout.name}:{self.plan.module.name}:{index}")
        kind = KINDS[index % len(KINDS)]
        question, wrong = getattr(self, f"_{kind}")(draw)
        return f"{kind} {question}", wrong

    def run(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Run the command with ``--format json`` where make would be called."""
        done = subprocess.run(
            [sys.executable, "-m", "kdeps", *words, "--format", "json",
             *self.plan.layout.make, *self.plan.module.make],
            cwd=self.plan.layout.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr

    # -- why TARGET SOURCE -------------------------------------------------------

    def _chain(self, draw: random.Random) -> tuple[str, list[str]]:
        target = draw.choice(self.targets)
        above = sorted(nx.ancestors(step_graph(self.wide), target))
        source = draw.choice(above) if above and draw.random() < 0.7 else draw.choice(self.sources)
        status, answer, errors = self.run("why", target, source)
        expected = steps_between(self.wide, source, target)
        question = f"{target} {source}"
        if expected is None or expected == 0:
            right = status == 2 and "is not made from" in errors
            return question, [] if right else [f"there is no chain; status {status}: {answer} {errors}"]
        if status != 0:
            return question, [f"there is a chain of {expected} steps; status {status}: {errors}"]
        self.told += 1
        steps = answer["chains"][0]["steps"]
        wrong = self._judge_chain(steps, target)
        if len(steps) - 1 != expected:
            wrong.append(f"{len(steps) - 1} steps, the shortest chain has {expected}")
        if self.brute.step_of(os.path.realpath(steps[-1]["path"])) != self.brute.step_of(source):
            wrong.append(f"it ends at {steps[-1]['path']}")
        return question, wrong

    def _judge_chain(self, steps: list[dict[str, Any]], target: str) -> list[str]:
        """Every link must be one that make or a record has."""
        wrong = []
        paths = [os.path.realpath(step["path"]) for step in steps]
        if self.brute.step_of(paths[0]) != self.brute.step_of(target):
            wrong.append(f"it begins at {paths[0]}")
        for reader, read in itertools.pairwise(paths):
            if not self.wide.files.has_edge(read, self.brute.step_of(reader)):
                wrong.append(f"{reader} is not made from {read}")
        return wrong

    # -- why TARGET --------------------------------------------------------------

    def _stale(self, draw: random.Random) -> tuple[str, list[str]]:
        edited = draw.sample(self.sources, draw.choice((1, 1, 2, 3)))
        before = {path: os.stat(path) for path in edited}
        for path in edited:
            os.utime(path)
        try:
            below = sorted(set().union(*(nx.descendants(self.wide.files, path) for path in edited)))
            below = [path for path in below if path in self.brute.targets]
            target = draw.choice(below) if below and draw.random() < 0.7 else draw.choice(self.targets)
            status, answer, errors = self.run("why", target, "--all")
            return f"{target} after {edited}", self._judge_why(target, set(edited), status, answer, errors)
        finally:
            for path, stat in before.items():
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def _judge_why(
        self, target: str, edited: set[str], status: int, answer: dict[str, Any], errors: str
    ) -> list[str]:
        graph = step_graph(self.wide)
        direct = {}
        for path in self.brute.targets - self.brute.filechk:
            made = os.stat(path).st_mtime_ns
            newer = {p for p in self.wide.files.predecessors(path) if _mtime(p) > made}
            if newer:
                direct[path] = newer
        reach = {
            path: nx.shortest_path_length(graph, path, target)
            for path in direct
            if nx.has_path(graph, path, target)
        }
        if status not in (0, 1):
            return [f"status {status}: {errors}"]
        if not reach:
            return [] if status == 0 and answer["verdict"] == "fresh" else [f"it is fresh: {answer}"]
        if status != 1 or answer["verdict"] != "stale":
            return [f"it is stale through {sorted(reach)}; status {status}"]
        self.told += 1
        wrong = []
        if not answer["chains"]:
            return ["no chain"]
        shortest = len(answer["chains"][0]["steps"]) - 1
        hard = nx.subgraph_view(graph, filter_edge=lambda a, b: not graph.edges[a, b]["soft"])
        sure = [
            nx.shortest_path_length(hard, path, target) for path in reach if nx.has_path(hard, path, target)
        ]
        nearest = min(sure or reach.values()) + 1
        if shortest != nearest:
            wrong.append(f"{shortest} steps, the nearest cause is {nearest} away")
        # A symbol that make does not follow makes nothing certain where make has doubts of its own.
        firm = {path for path in direct if direct[path] - self.brute.unfollowed.get(path, set())}
        plain = not sure or any(path in firm and nx.has_path(hard, path, target) for path in reach)
        if plain and (answer["certainty"] == "certain") != bool(sure):
            wrong.append(f"{answer['certainty']}, by brute force {sure}")
        blamed: set[str] = set()
        for chain in answer["chains"]:
            wrong += self._judge_chain(chain["steps"], target)
            last, end = (os.path.realpath(step["path"]) for step in chain["steps"][-2:])
            if end not in direct.get(self.brute.step_of(last), ()):
                wrong.append(f"{end} does not make {last} stale")
            blamed |= {os.path.realpath(path) for path in chain["cause"]["paths"]}
        expected = set().union(*(direct[path] for path in reach))
        if blamed != expected:
            wrong.append(f"blamed {sorted(blamed)}, to blame are {sorted(expected)}")
        if not expected <= edited:
            wrong.append(f"the tree was not fresh before: {sorted(expected - edited)}")
        return wrong

    # -- why FILE --used-by --------------------------------------------------------

    def _users(self, draw: random.Random) -> tuple[str, list[str]]:
        pool = self.sources if draw.random() < 0.6 else sorted({*self.targets, *self.brute.sides})
        path = draw.choice(pool)
        status, answer, errors = self.run("why", path, "--used-by")
        if status != 0:
            return path, [f"status {status}: {errors}"]
        graph = step_graph(self.wide)
        expected: dict[str, int] = {}
        wave = {self.brute.step_of(reader) for reader in self.wide.files.successors(path)}
        distance = 1
        while wave:
            expected.update(dict.fromkeys(wave, distance))
            wave = {n for reader in wave for n in graph.successors(reader)} - expected.keys()
            distance += 1
        expected.pop(self.brute.step_of(path), None)
        self.told += bool(expected)
        found = {os.path.realpath(user["path"]): user["distance"] for user in answer["users"]}
        return path, [] if found == expected else [f"differs: {sorted(found.items() ^ expected.items())}"]

    # -- affected ------------------------------------------------------------------

    def _affected(self, draw: random.Random) -> tuple[str, list[str]]:
        if draw.random() < 0.2:
            # In the object tree a folder has what steps make as well, and that does not count.
            sources = [p for p in self.sources if not p.startswith(f"{self.plan.layout.objtree}/include/")]
            folder = os.path.dirname(draw.choice(sources))
            inside = {path for path in self.sources if path.startswith(folder + "/")}
            return f"{folder}/", self._judge_affected([f"{folder}/"], inside)
        edited = draw.sample(self.sources, draw.choice((1, 1, 2, 4)))
        return " ".join(edited), self._judge_affected(edited, set(edited))

    def _judge_affected(self, names: list[str], edited: set[str]) -> list[str]:
        status, answer, errors = self.run("affected", *names)
        if status != 0:
            return [f"status {status}: {errors}"]
        certain, possible = rebuilt_by(self.brute, edited)
        return self._compare(answer, certain, possible)

    def _compare(self, answer: dict[str, Any], certain: set[str], possible: set[str]) -> list[str]:
        effects = [*answer["crates"], *answer["modules"], *answer["others"]]
        found = {os.path.realpath(e["path"]) for e in effects if e["noticed"]}
        sure = {os.path.realpath(e["path"]) for e in effects if e["noticed"] and e["certainty"] == "certain"}
        self.told += bool(effects)
        wrong = []
        if found != possible:
            wrong.append(f"too many: {sorted(found - possible)[:5]}; missed: {sorted(possible - found)[:5]}")
        if sure != certain:
            wrong.append(
                f"certain, and are not: {sorted(sure - certain)[:5]}; are: {sorted(certain - sure)[:5]}"
            )
        return wrong

    def _symbol(self, draw: random.Random) -> tuple[str, list[str]]:
        symbol = draw.choice(self.symbols)
        status, answer, errors = self.run("affected", f"CONFIG_{symbol}")
        if status != 0:
            return symbol, [f"status {status}: {errors}"]
        graph = step_graph(self.brute)
        named = {t for t in self.brute.symbols[symbol] if self._follows(t)}
        stamp = os.path.realpath(f"{self.plan.layout.objtree}/include/config/{symbol}")
        if stamp in self.brute.files:  # a Makefile may name it, and no record
            named |= {self.brute.step_of(target) for target in self.brute.files.successors(stamp)}
        certain, possible = rebuilt_by(self.brute, set(map(os.path.realpath, answer["changes"][0]["paths"])))
        hard = nx.subgraph_view(graph, filter_edge=lambda a, b: not graph.edges[a, b]["soft"])
        for target in named:
            certain |= {target} | nx.descendants(hard, target)
            possible |= {target} | nx.descendants(graph, target)
        return f"CONFIG_{symbol}", self._compare(answer, certain, possible)

    def _follows(self, target: str) -> bool:
        """Whether make finds the symbol's stamp from where it stands: from 6.13 on not for a module."""
        is_module = target.startswith(self.plan.module.output + "/")
        old = self.plan.layout.name in ("lts", "c61")
        return old or not is_module


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def ask_series(plan: Plan) -> Series:
    """Put all questions about one module. Call it in a process that ends afterwards."""
    started = time.monotonic()
    name = f"{plan.layout.name}/{plan.module.name}"
    series = Series(name)
    try:
        scratch = Scratch()
        asker = Asker(plan, read_brute(plan.layout, plan.module, scratch.private, scratch))
        for index in plan.indices:
            question, wrong = asker.ask(index)
            series.asked += 1
            kind = KINDS[index % len(KINDS)]
            series.kinds[kind] = series.kinds.get(kind, 0) + 1
            series.wrong += [f"{name}/{plan.seed}:{index} {question}: {text}" for text in wrong]
        series.told = asker.told
    except Exception:  # one module must never take the run with it
        series.wrong.append(f"{name}: {traceback.format_exc()}")
    series.elapsed_s = time.monotonic() - started
    return series
