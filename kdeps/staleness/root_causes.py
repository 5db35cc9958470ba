# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The root causes of a verdict, each once.

Thirty stale rules from one edit have one cause. Whoever tells a person what is
wrong tells the causes, the one that reaches most first.
"""

from __future__ import annotations

import os

from kdeps import NamedTuple
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Reason, ReasonKind, Remedy, Stale
from kdeps.staleness.rustc_errors import Prediction, predict_error


class RootCause(NamedTuple):
    """One root cause, with everything it makes stale."""

    reason: Reason
    paths: tuple[str, ...]
    """All files to blame: several only where they are stamps of configuration symbols."""
    direct: tuple[Stale, ...]
    """The rules it makes stale by itself."""
    reached: frozenset[str]
    """Targets of all rules it makes stale, the direct ones too."""


def find_root_causes(result: CheckResult, among: tuple[Stale, ...] | None = None) -> list[RootCause]:
    """Group what is stale by root cause, the one that reaches most first.

    ``among`` are those to look at, in topological order; without it all that is silently stale.
    """
    stale = result.verdict.stale if among is None else among
    by_target = {state.rule.target: state for state in stale}
    consumers: dict[str, list[str]] = {}
    for at, rule in enumerate(result.graph.rules):
        if rule.target in by_target:
            for feed in result.graph.feeds[at]:
                consumers.setdefault(result.graph.rules[feed.producer].target, []).append(rule.target)
    # With other tools every command differs; the finding says what to do about that.
    manual = any(finding.remedy is Remedy.MANUAL for finding in result.verdict.findings)
    position = {state.rule.target: at for at, state in enumerate(stale)}
    groups: dict[tuple[object, ...], list[tuple[Reason, Stale]]] = {}
    for state in stale:
        if among is None and not state.silent:
            continue
        seen = any(r.kbuild and r.kind is not ReasonKind.STALE_PREREQUISITE for r in state.reasons)
        for reason in state.reasons:
            if reason.kind is ReasonKind.STALE_PREREQUISITE or is_propagated(
                result, state, reason, by_target
            ):
                continue
            if seen and reason.kind is ReasonKind.INTERRUPTED and not reason.kbuild:
                continue  # the cause is listed already: the edit that did not compile
            if manual and reason.kind is ReasonKind.COMMAND_CHANGED:
                continue
            groups.setdefault((reason.kind, *_alike(reason)), []).append((reason, state))
    causes: list[RootCause] = []
    for blamed in _join_alike(groups):
        direct = {state.rule.target: state for _, state in blamed}
        reached: set[str] = set()
        waiting = list(direct)
        while waiting:
            target = waiting.pop()
            if target not in reached:
                reached.add(target)
                waiting += consumers.get(target, ())
        causes.append(
            RootCause(
                max((reason for reason, _ in blamed), key=lambda reason: reason.mtime_ns or 0),
                tuple(dict.fromkeys(reason.path for reason, _ in blamed)),
                tuple(sorted(direct.values(), key=lambda state: (_rank(state), position[state.rule.target]))),
                frozenset(reached),
            )
        )
    return sorted(
        causes,
        key=lambda cause: (
            -len(cause.reached),
            not cause.reason.kbuild,
            cause.reason.path,
            cause.reason.kind.value,
        ),
    )


def _join_alike(
    groups: dict[tuple[object, ...], list[tuple[Reason, Stale]]],
) -> list[list[tuple[Reason, Stale]]]:
    """Join edits that make the very same rules stale: a crate with forty edited files is one cause."""
    joined: dict[tuple[object, ...], list[tuple[Reason, Stale]]] = {}
    for key, blamed in groups.items():
        kind = blamed[0][0].kind
        same: tuple[object, ...] = key
        if kind in (ReasonKind.NEWER_PREREQUISITE, ReasonKind.MISSING_PREREQUISITE):
            same = (
                kind,
                frozenset(state.rule.target for _, state in blamed),
                is_config_stamp(blamed[0][0].path),
            )
        joined.setdefault(same, []).extend(blamed)
    return list(joined.values())


def _alike(reason: Reason) -> tuple[object, ...]:
    """What makes two reasons one cause: one flag added to nine crates, one change of the configuration."""
    if reason.kind is ReasonKind.COMMAND_CHANGED:
        return reason.added, reason.removed
    if is_config_stamp(reason.path):
        return (os.path.dirname(reason.path),)
    return (reason.path,)


def is_config_stamp(path: str) -> bool:
    return "/include/config/" in path and "." not in os.path.basename(path)


def _rank(state: Stale) -> int:
    """Put first what a person knows by name: the generated bindings, then crates, then the rest."""
    if state.rule.name.endswith("_generated.rs"):
        return 0
    return 1 if state.rule.crate else 2


def is_propagated(result: CheckResult, state: Stale, reason: Reason, stale: dict[str, Stale]) -> bool:
    """Whether the file a reason blames is the output of another stale rule, so that the cause lies further up."""
    at = result.graph.producers.get(reason.path)
    if at is None or result.graph.rules[at].target == state.rule.target:
        return False
    producer = stale.get(result.graph.rules[at].target)
    return producer is not None and producer.direct


def predict_rustc_error(result: CheckResult, cause: RootCause) -> Prediction | None:
    """Predict rustc's error for a module that is built on the stale artifacts; certain errors come first."""
    found = [
        prediction
        for state in cause.direct
        if state.silent
        for reason in state.reasons
        if (prediction := predict_error(state.rule, reason, result.snapshot)) is not None
    ]
    return min(found, key=lambda prediction: not prediction.certain, default=None)
