# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The chain from a target to what makes it stale, or to a file it is made from; and all that uses a file.

Every answer is a walk over the graph that ``kdeps check`` judges; what is stale,
and what is to blame, comes from the same verdict.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kdeps.kbuild.graph import Feed, Graph
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.query.names import Named
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Reason, ReasonKind, Stale, Status
from kdeps.staleness.root_causes import RootCause, find_root_causes


class Step(NamedTuple):
    """One link of a chain: a file, and what it has to do with the next one."""

    path: str
    """The output through which the link before reads this one; of the last link perhaps only a source."""
    rule: Rule | None
    """What writes it; None for a source, or for a configuration symbol's stamp."""
    reason: Reason | None
    """Why the next link makes it stale; None if it does not."""


class Chain(NamedTuple):
    """The way from a target down to something it is made from."""

    steps: tuple[Step, ...]
    """The target first."""
    cause: RootCause | None
    """What is to blame, with the rules of one scope; None for the chain to a source that the user named."""

    @property
    def is_missed(self) -> bool:
        """Whether it ends beyond what ``make M=…`` looks at."""
        rules = [step.rule for step in self.steps if step.rule is not None]
        return bool(rules) and rules[-1].owner is Owner.KERNEL


class User(NamedTuple):
    """One rule that uses a file, however indirectly."""

    rule: Rule
    via: str
    """The file through which it does."""
    below: int | None
    """Position, in the list of users, of the rule that wrote ``via``; None if ``via`` is the named file."""
    distance: int
    """Steps from the file; 1: it reads the file itself."""


def find_state(result: CheckResult, target: Named) -> Stale | None:
    """Return the verdict's state of what makes a target; None if that is fresh, or nothing makes it."""
    return None if target.rule is None else result.verdict.states.get(result.graph.rules[target.rule].target)


def judge_target(result: CheckResult, target: Named) -> Status:
    """Say of one target what ``kdeps check`` says of a build.

    What could not be read may have to do with it, so with that it is not fresh.
    """
    findings = result.verdict.findings
    state = find_state(result, target)
    if state is not None or any(finding.status is Status.STALE for finding in findings):
        return Status.STALE
    if result.verdict.problems or any(finding.status is Status.UNKNOWN for finding in findings):
        return Status.UNKNOWN
    return Status.FRESH


def explain(result: CheckResult, target: Named) -> list[Chain]:
    """Find what makes a target stale: for each root cause the shortest chain to it; none if it is fresh.

    A header that the module's own C files and the crates both read makes it stale in two ways, and only one of them
    is what ``make M=…`` sees; so such a cause has a chain for each. Those along which make is certain to rebuild come
    first, of them the shortest; equals as ``find_root_causes`` ranks.
    """
    graph = result.graph
    if target.rule is None:
        return []
    states = result.verdict.states
    links = _walk_up(graph, target.rule, lambda _, feed: graph.rules[feed.producer].target in states)
    certain = _walk_up(
        graph,
        target.rule,
        lambda at, feed: feed.producer in links and _carries(graph, at, feed),
    )
    above = tuple(
        states[graph.rules[at].target]
        for at in graph.order
        if at in links and graph.rules[at].target in states
    )
    chains = []
    for cause in find_root_causes(result, above):
        for scope in Owner:
            part = cause._replace(direct=tuple(s for s in cause.direct if s.rule.owner is scope))
            if part.direct:
                sure = any(graph.producers[state.rule.target] in certain for state in part.direct)
                chain = _chain_of_cause(graph, target.path, part, certain if sure else links, states)
                chains.append((not sure, len(chain.steps), chain))
    return [chain for _, _, chain in sorted(chains, key=lambda ranked: ranked[:2])]


def choose(chains: list[Chain]) -> list[Chain]:
    """The chains that a person should see first: the shortest, and the shortest that ``make M=…`` misses."""
    missed = next((chain for chain in chains if chain.is_missed), None)
    return [*chains[:1], *([missed] if missed is not None and missed is not chains[0] else [])]


def _chain_of_cause(
    graph: Graph, target: str, cause: RootCause, links: _Links, states: dict[str, Stale]
) -> Chain:
    """The shortest chain to one of the rules that a cause makes stale by itself."""
    direct = {state.rule.target: state for state in cause.direct}
    # Of equally near ones that which a headline would name.
    ranked = sorted(
        (len(_way(links, at)), rank, at)
        for rank, name in enumerate(direct)
        if (at := graph.producers[name]) in links
    )
    way = _way(links, ranked[0][2])
    last = direct[graph.rules[way[-1][0]].target]
    others = tuple(state for state in cause.direct if state is not last)
    steps = _steps_of_cause(graph, target, way, cause, last, states)
    return Chain(steps, cause._replace(direct=(last, *others)))


def find_chain(result: CheckResult, target: Named, is_source: Callable[[str], bool]) -> Chain | None:
    """Find the shortest chain from a target to a source, stale or not; None if it is not made from it.

    ``is_source`` tells by its path whether a file (or a symbol's stamp) is what was asked for.
    """
    graph = result.graph
    if target.rule is None:
        return None
    states = result.verdict.states
    links = _walk_up(graph, target.rule, lambda _at, _feed: True)
    found: list[tuple[int, list[tuple[int, str]], str | None]] = []
    for at in links:
        rule = graph.rules[at]
        way = _way(links, at)
        if len(way) > 1 and any(map(is_source, rule.outputs)):
            found.append((len(way), way, None))
            continue
        # What another rule feeds it has a link of its own, one step on.
        fed = {feed.path for feed in graph.feeds[at]}
        source = next((path for path in reads(rule) if is_source(path) and path not in fed), None)
        if source is not None and source not in rule.outputs:
            if source.startswith(f"{rule.config_dir}/include/config/"):
                # Kbuild looks for a module's symbols in the module's folder, where none is.
                source = f"{result.tree.objtree}/include/config/{os.path.basename(source)}"
            found.append((len(way) + 1, way, source))
    if not found:
        return None
    _, way, source = min(found, key=lambda candidate: candidate[0])  # of equals the one met first
    return Chain(_steps(graph, target.path, way, source, states), None)


def find_users(graph: Graph, paths: tuple[str, ...], symbol: str = "") -> list[User]:
    """Find every rule that uses a file, by all the names that the graph has for it, or a symbol: nearest first."""
    consumers: dict[int, list[tuple[int, str]]] = {}
    for at, fed in enumerate(graph.feeds):
        for feed in fed:
            consumers.setdefault(feed.producer, []).append((at, feed.path))
    users: list[User] = []
    seen: set[int] = set()
    for at, rule in enumerate(graph.rules):
        read = set(reads(rule, symbols=False))
        path = next((path for path in paths if path in read), "")
        if (symbol in rule.config if symbol else path) and path not in rule.outputs:
            users.append(User(rule, path or paths[0], None, 1))
            seen.add(at)
    for number, user in enumerate(users):  # grows while we walk it: breadth first
        for at, via in consumers.get(graph.producers[user.rule.target], ()):
            if at not in seen:
                seen.add(at)
                users.append(User(graph.rules[at], via, number, user.distance + 1))
    return users


def reads(rule: Rule, *, symbols: bool = True) -> Iterator[str]:
    """Every file a rule reads, whether or not make compares it; then the stamps of its symbols."""
    yield from rule.prerequisites
    yield from rule.optional_prerequisites
    if rule.source is not None:
        yield rule.source
    yield from rule.uncompared_inputs
    if symbols:
        for symbol in rule.config:
            yield f"{rule.config_dir}/include/config/{symbol}"


def is_taken(rule: Rule) -> bool:
    """Whether ``make M=…`` looks at the rule at all."""
    return rule.owner is Owner.MODULE


# -- walking -----------------------------------------------------------------

_Links = dict[int, tuple[int, str] | None]
"""Rule → the rule through which the walk came to it, and the file between them; in the order met."""


def _walk_up(graph: Graph, start: int, follow: Callable[[int, Feed], bool]) -> _Links:
    """Walk from a rule to those that feed it, nearest first, along the edges that ``follow`` likes."""
    links: _Links = {start: None}
    waiting = [start]
    for at in waiting:
        for feed in graph.feeds[at]:
            if feed.producer not in links and follow(at, feed):
                links[feed.producer] = (at, feed.path)
                waiting.append(feed.producer)
    return links


def _carries(graph: Graph, at: int, feed: Feed) -> bool:
    """Whether a rule is certain to be run again once the one that feeds it is (see ``verdict.conclude``)."""
    replaced = graph.rules[feed.producer].replaced_if_changed
    return feed.path not in replaced and graph.rules[at].action is not Action.FILECHK


def _way(links: _Links, at: int) -> list[tuple[int, str]]:
    """The rules from the start of a walk to one it met, each with the file through which it was met."""
    way: list[tuple[int, str]] = []
    link = links[at]
    while link is not None:
        way.append((at, link[1]))
        at = link[0]
        link = links[at]
    way.append((at, ""))
    way.reverse()
    return way


def _steps(
    graph: Graph, target: str, way: list[tuple[int, str]], end: str | None, states: dict[str, Stale]
) -> tuple[Step, ...]:
    """Turn a way into steps, with the reasons that concern it."""
    paths = [target, *(path for _, path in way[1:]), *([] if end is None else [end])]
    steps = []
    for number, (at, _) in enumerate(way):
        rule = graph.rules[at]
        following = paths[number + 1] if number + 1 < len(paths) else ""
        steps.append(Step(paths[number], rule, _reason_for(states.get(rule.target), following)))
    if end is not None:
        steps.append(Step(end, None, None))
    return tuple(steps)


def _steps_of_cause(
    graph: Graph,
    target: str,
    way: list[tuple[int, str]],
    cause: RootCause,
    state: Stale,
    states: dict[str, Stale],
) -> tuple[Step, ...]:
    """Turn the way to a rule that is stale by itself into steps that end at what is to blame."""
    last = graph.rules[way[-1][0]]
    blamed = [r for r in state.reasons if r.kind is cause.reason.kind and r.path in cause.paths]
    # Of forty edited files show the one that the cause's sentence names, if this rule reads it.
    reason = next((r for r in blamed if r.path == cause.reason.path), blamed[0] if blamed else None)
    steps = _steps(graph, target, way, None, states)
    steps = (*steps[:-1], steps[-1]._replace(reason=reason or _first_direct(state)))
    if reason is None or reason.path in last.outputs or reason.kind in _WITHOUT_FILE:
        return steps
    return (*steps, Step(reason.path, None, None))


_WITHOUT_FILE = (ReasonKind.COMMAND_CHANGED, ReasonKind.MISSING_RECORD, ReasonKind.INTERRUPTED)
"""Reasons whose file is not an input of the rule."""


def _first_direct(state: Stale) -> Reason | None:
    return next((r for r in state.reasons if r.kind is not ReasonKind.STALE_PREREQUISITE), None)


def _reason_for(state: Stale | None, path: str) -> Reason | None:
    """The reason of a stale rule that concerns one of the files it reads."""
    if state is None:
        return None
    return next((reason for reason in state.reasons if reason.path == path), None)
