# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a change rebuilds: crates first, then modules, then the rest.

The answer comes from the function that carries staleness along the edges for ``kdeps check``:
every rule that reads a changed file is stale for that reason, and the function adds the rules
behind them. A rule whose record does not list what it reads counts as if it read every change.
"""

from __future__ import annotations

from typing import NamedTuple

from kdeps.kbuild.modules import KernelWithModules
from kdeps.kbuild.rule import Owner, Rule
from kdeps.kbuild.tree import Tree
from kdeps.query.change import Change
from kdeps.query.why import reads
from kdeps.staleness.judge import conclude, judge_record
from kdeps.staleness.reasons import Certainty, Reason, ReasonKind, Source


class Effect(NamedTuple):
    """One step that a change makes run again."""

    rule: Rule
    certainty: Certainty
    """``possible``: a step between replaces its output only when the content differs."""
    noticed: bool
    """Whether make notices by itself; what it does not notice has to be made again by hand."""
    module: Tree | None
    """The module that the step belongs to; None for the kernel's own."""


class Affected(NamedTuple):
    """Everything that some changes rebuild; each list in the order in which it would be built."""

    changes: tuple[Change, ...]
    crates: tuple[Effect, ...]
    modules: tuple[Effect, ...]
    """The ``.ko`` files."""
    others: tuple[Effect, ...]
    unbuilt: tuple[Tree, ...] = ()
    """Modules that were named and have no record at all: what they read is unknown."""
    unknown: tuple[Reason, ...] = ()
    """What is wrong with the records that do not say what their step reads; it is among the effects."""
    unsure: tuple[Tree, ...] = ()
    """Modules whose commands may all change, because what makes the commands changes: a Makefile, Kconfig."""

    @property
    def effects(self) -> tuple[Effect, ...]:
        """All of it."""
        return (*self.crates, *self.modules, *self.others)


class Estimate(NamedTuple):
    """How long the kernel's own steps among the effects took the last time."""

    seconds: float
    timed: int
    untimed: int
    """Steps that kdeps never saw running."""


def find_affected(whole: KernelWithModules, changes: tuple[Change, ...]) -> Affected:
    """Find every step that some changes make run again."""
    graph = whole.graph
    paths = {path for change in changes for path in change.paths}
    symbols = {symbol for change in changes for symbol in change.symbols}
    again = {at for change in changes for at in change.rules}
    direct: list[tuple[Reason, ...]] = []
    unknown: list[Reason] = []
    for at, rule in enumerate(graph.rules):
        if whole.tree.prebuilt and rule.owner is Owner.KERNEL:
            direct.append(())
            continue
        blind = judge_record(rule, 0, whole.tree.version) if changes else []
        unknown += [reason._replace(path=rule.target) for reason in blind]
        direct.append((*blind, *_direct(rule, at in again, paths, symbols, whole.tree.objtree)))
    verdict = conclude(graph, direct, Source.RECORD, (), ())
    states = verdict.states
    found: list[Effect] = []
    for at in graph.order:
        state = states.get(graph.rules[at].target)
        if state is not None:
            noticed = any(reason.kbuild for reason in state.reasons)
            found.append(Effect(state.rule, state.certainty, noticed, _module_of(whole, state.rule)))
    return Affected(
        changes,
        tuple(effect for effect in found if _is_crate(effect)),
        tuple(effect for effect in found if _is_module(effect)),
        tuple(effect for effect in found if not _is_crate(effect) and not _is_module(effect)),
        _find_unbuilt(whole) if changes else (),
        tuple(unknown),
        tuple(tree for tree in whole.modules if any(_may_change(tree, change, whole) for change in changes)),
    )


def _may_change(module: Tree, change: Change, whole: KernelWithModules) -> bool:
    """Whether commands of a module may be others after a change: of all, or of a folder in it."""
    if change.commands == whole.tree.srctree:
        return not whole.tree.prebuilt
    return bool(change.commands) and f"{change.commands}/".startswith(f"{module.module}/")


def _find_unbuilt(whole: KernelWithModules) -> tuple[Tree, ...]:
    owners = (_module_of(whole, rule) for rule in whole.rules.rules)
    built = {tree.module_output for tree in owners if tree is not None}
    return tuple(tree for tree in whole.modules if tree.module_output not in built)


def _is_crate(effect: Effect) -> bool:
    return bool(effect.rule.crate)


def _is_module(effect: Effect) -> bool:
    return effect.rule.target.endswith(".ko")


def _direct(rule: Rule, again: bool, paths: set[str], symbols: set[str], objtree: str) -> list[Reason]:
    """The reasons that a change gives one rule directly."""
    if again:
        return [Reason(ReasonKind.MISSING_TARGET, True, rule.target)]
    uncompared = set(rule.uncompared_inputs)
    reasons = [
        Reason(ReasonKind.NEWER_PREREQUISITE, path not in uncompared, path)
        for path in dict.fromkeys(reads(rule, symbols=False))
        if path in paths
    ]
    if symbols:
        # From 6.13 on a module's record looks for the stamps in its own folder, where none is.
        followed = rule.config_dir == objtree
        kind = ReasonKind.NEWER_PREREQUISITE if followed else ReasonKind.CONFIG_NOT_FOLLOWED
        reasons += [
            Reason(kind, followed, f"{objtree}/include/config/{symbol}")
            for symbol in rule.config
            if symbol in symbols
        ]
    return reasons


def _module_of(whole: KernelWithModules, rule: Rule) -> Tree | None:
    if rule.owner is Owner.KERNEL:
        return None
    owners = [
        tree
        for tree in whole.modules
        if tree.module_output is not None and rule.target.startswith(tree.module_output + "/")
    ]
    return max(owners, key=lambda tree: len(tree.module_output or ""), default=None)


def affected_modules(affected: Affected) -> tuple[Tree, ...]:
    """The modules with at least one step that runs again, or may run again, in the order of their folders."""
    found = {tree.module or "": tree for tree in (*affected.unbuilt, *affected.unsure)}
    found.update((e.module.module or "", e.module) for e in affected.effects if e.module is not None)
    return tuple(found[folder] for folder in sorted(found))


def estimate(affected: Affected, durations: dict[str, float]) -> Estimate:
    """Add up how long the kernel's steps took the last time; those that are only possible count for nothing."""
    names = [
        effect.rule.name
        for effect in affected.effects
        if effect.module is None and effect.certainty is Certainty.CERTAIN and effect.noticed
    ]
    timed = [durations[name] for name in names if name in durations]
    return Estimate(sum(timed), len(timed), len(names) - len(timed))
