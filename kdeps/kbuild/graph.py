# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which rule feeds which.

The rules of ``kdeps.kbuild.rules`` joined at their files. Nothing here knows a time
stamp. Positions (``int``) stand for rules, because every question the verdict
asks is a walk over them.
"""

from __future__ import annotations

import os

from kdeps import NamedTuple
from kdeps.kbuild.configuration import list_module_tools
from kdeps.kbuild.rule import Owner, Rule, Rules


class Feed(NamedTuple):
    """One rule reads what another one writes."""

    producer: int
    path: str


class Graph(NamedTuple):
    """The rules of one build and the edges between them."""

    rules: tuple[Rule, ...]
    producers: dict[str, int]
    """Output path → position of the rule that writes it."""
    feeds: tuple[tuple[Feed, ...], ...]
    """For each rule: what other rules give it."""
    order: tuple[int, ...]
    """Topological: a rule stands after everything that feeds it; equals by name."""
    cycles: tuple[int, ...]
    """Rules that feed themselves, however indirectly. make drops such an edge; kdeps cannot judge it."""
    used: frozenset[int]
    """Kernel rules whose outputs the module build reads, however indirectly; of a whole kernel all of them."""


def build_graph(rules: Rules, objtree: str) -> Graph:
    """Join rules at their files; where not all is recorded (``reads_any``), ``used`` is what any module would read."""
    ordered = tuple(sorted(rules.rules, key=lambda rule: (rule.owner is Owner.MODULE, rule.name)))
    producers: dict[str, int] = {}
    for at, rule in enumerate(ordered):
        for output in rule.outputs:
            producers.setdefault(output, at)
    written = producers.keys()
    feeds: list[tuple[Feed, ...]] = []
    for at, rule in enumerate(ordered):
        # Set intersection first: of 9,000 prerequisites some 200 are outputs.
        common = written & {*rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs}
        feeds.append(
            tuple(Feed(producers[path], path) for path in sorted(common) if producers[path] != at)
            if common
            else ()
        )
    order, cycles = _sort(feeds)
    used = (
        frozenset(range(len(ordered)))
        if rules.whole
        else _find_used(ordered, feeds, producers, objtree, rules)
    )
    return Graph(ordered, producers, tuple(feeds), order, cycles, used)


def _sort(feeds: list[tuple[Feed, ...]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sort topologically (Kahn), smallest position first; also the rules that lie on a cycle."""
    import heapq

    waiting = [len({feed.producer for feed in fed}) for fed in feeds]
    consumers: list[list[int]] = [[] for _ in feeds]
    for at, fed in enumerate(feeds):
        for producer in {feed.producer for feed in fed}:
            consumers[producer].append(at)
    ready = [at for at, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    cycles: list[int] = []
    while True:
        while ready:
            at = heapq.heappop(ready)
            order.append(at)
            for consumer in consumers[at]:
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    heapq.heappush(ready, consumer)
        left = [at for at, count in enumerate(waiting) if count > 0]
        if not left:
            return tuple(order), tuple(sorted(set(cycles)))
        cycle = _find_cycle(left, feeds)
        cycles += cycle
        # make drops the edge that closes the cycle, and goes on.
        first = min(cycle)
        waiting[first] = 0
        ready.append(first)


def _find_cycle(left: list[int], feeds: list[tuple[Feed, ...]]) -> list[int]:
    waiting = set(left)
    trail: dict[int, int] = {}
    at = left[0]
    while at not in trail:
        trail[at] = len(trail)
        at = next(feed.producer for feed in feeds[at] if feed.producer in waiting)
    return [rule for rule, step in trail.items() if step >= trail[at]]


def _find_used(
    rules: tuple[Rule, ...],
    feeds: list[tuple[Feed, ...]],
    producers: dict[str, int],
    objtree: str,
    read: Rules,
) -> frozenset[int]:
    starts = [producers[path] for path in read.given if path in producers]
    for at, rule in enumerate(rules):
        if rule.owner is Owner.MODULE and rule.record is not None:
            starts += [feed.producer for feed in feeds[at]]
    if read.reads_any:
        starts += [
            at
            for at, rule in enumerate(rules)
            if rule.owner is Owner.KERNEL
            and not read.reads_any.isdisjoint(map(_kind_read_by_modules, rule.outputs))
        ]
    for name in list_module_tools(objtree):
        at_tool = producers.get(f"{objtree}/{name}")
        if at_tool is not None:
            starts.append(at_tool)
    used: set[int] = set()
    while starts:
        at = starts.pop()
        if at not in used:
            used.add(at)
            starts += [feed.producer for feed in feeds[at]]
    return frozenset(at for at in used if rules[at].owner is not Owner.MODULE)


def _kind_read_by_modules(path: str) -> str:
    """The suffix of a kernel output that modules of all sorts read."""
    is_read = path.endswith(".rmeta") or (path.endswith(".h") and "/include/generated/" in path)
    return os.path.splitext(path)[1] if is_read else ""
