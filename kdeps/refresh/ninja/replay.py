# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which steps can be taken again from their record alone, and which only make can take.

A record holds everything about a step that Kbuild took through ``if_changed``,
``if_changed_dep`` or ``if_changed_rule``: the command, and how the new record is to be
written. Left to make are

* steps without a record: ``filechk`` (its content comes from a Makefile), plain rules;
* everything under ``tools/``, which is built by makes of its own;
* a record that is not whole, or whose command Kbuild would not run any more;
* ``#SYMVER`` lines: a program computes them from the object (MODVERSIONS).

A ``filechk`` file is made from one that may be replayed (``asm-offsets.h`` from
``asm-offsets.s``). Such a step stops the refresh if its output really differs.

Source: linux ``scripts/Kbuild.include`` (``cmd_and_savecmd``, ``cmd_and_fixdep``),
``scripts/Makefile.lib`` (``cmd_gen_objtooldep``), ``rust/Makefile`` (``rule_rustc_library``).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.replay import recorded_command, why_not_recorded
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, ReasonKind, Stale, Status
from kdeps.system.files import open_to_read

_BY_MAKE = {
    ReasonKind.MISSING_RECORD: "its record is missing or unusable",
    ReasonKind.INTERRUPTED: "it was broken off",
    ReasonKind.COMMAND_CHANGED: "its command changed",
    ReasonKind.CONFIG_NOT_FOLLOWED: "the configuration changed behind its record",
    ReasonKind.TOOLCHAIN_CHANGED: "its compiler changed",
}
"""Reasons whose cure is not the recorded command, or that no time stamp would show to ninja."""


class Step(NamedTuple):
    """A step that ninja can take: the recorded command, and what goes around it."""

    rule: Rule
    directory: str
    """Where Kbuild ran the command."""
    command: str
    """For the shell, as Kbuild gave it."""
    inputs: tuple[str, ...]
    """Everything Kbuild compares it with, absolute, each once. Some may not exist."""
    depfile: str
    """Where the compiler leaves its list; empty: the record has none and stays as it is."""
    feeds_check: str
    """A ``filechk`` file that is made from its output, by its name; empty: none is."""


class Handover(NamedTuple):
    """A step that only make can take."""

    rule: Rule
    inputs: tuple[str, ...]
    why: str


class Replay(NamedTuple):
    """What a ``build.ninja`` has to do."""

    steps: tuple[Step, ...]
    """In topological order."""
    handovers: tuple[Handover, ...]
    stale_handovers: tuple[Handover, ...]
    """Those of them that are stale already, so that make has to take them first."""
    findings: tuple[str, ...]
    """What is wrong with the build as a whole, so that make has to go first."""

    @property
    def for_make(self) -> tuple[str, ...]:
        """Why this refresh needs make, one line each; empty: ninja can do all of it."""
        return (*self.findings, *(f"{h.rule.name}: {h.why}" for h in self.stale_handovers))


def plan_replay(result: CheckResult, *, everything: bool = False) -> Replay:
    """Decide step by step: every step of the kernel and of the module, or the kernel's stale ones.

    The verdict may come from Kbuild itself, and should where commands may have changed.
    """
    graph, verdict = result.graph, result.verdict
    states = verdict.states
    changed = _has_changed_command(verdict.stale)
    checks: dict[int, str] = {}
    for at, rule in enumerate(graph.rules):
        if rule.action is Action.FILECHK:
            checks.update((feed.producer, rule.name) for feed in graph.feeds[at])
    steps: list[Step] = []
    handovers: list[Handover] = []
    stale: list[Handover] = []
    for at in graph.order:
        rule = graph.rules[at]
        state = states.get(rule.target)
        direct = _direct_kinds(state)
        if rule.action is Action.FILECHK:
            if direct:
                stale.append(Handover(rule, (), "Kbuild keeps no record of this step"))
            continue
        if not everything and (state is None or rule.owner is Owner.MODULE):
            continue
        inputs = _inputs(result, rule)
        why = _why_make(rule) or next((_BY_MAKE[kind] for kind in direct if kind in _BY_MAKE), "")
        if why or at in graph.cycles:
            handover = Handover(rule, inputs, why or "its record names itself")
            handovers.append(handover)
            if direct and (rule.owner is Owner.KERNEL or state not in verdict.pending):
                stale.append(handover)
            continue
        recorded = recorded_command(rule)
        steps.append(
            Step(
                rule,
                recorded.directory,
                recorded.command,
                inputs,
                rule.depfile if rule.depfile and rule.state is RecordState.COMPLETE else "",
                checks.get(at, ""),
            )
        )
    findings = [_say(finding) for finding in verdict.findings if finding.status is not Status.FRESH]
    findings += [f"{problem.path}: {problem.message}" for problem in verdict.problems]
    if changed:
        findings.append(f"{changed}: Kbuild would run another command now than the recorded one")
    return Replay(tuple(steps), tuple(handovers), tuple(stale), tuple(findings))


def _say(finding: Finding) -> str:
    """A finding in one line; the message of this one kind begins behind the name of its file."""
    if finding.kind is ReasonKind.CONFIG_NOT_SYNCED:
        return f"the configuration is not synced: {os.path.basename(finding.path)} {finding.message}"
    return finding.message


def _has_changed_command(states: tuple[Stale, ...]) -> str:
    """Name a step of the kernel whose command changed.

    One is enough to leave all to make: flags are shared, and ``rust/helpers/helpers.o`` never
    tells that its own changed (``makefile_rules.IGNORES_COMMAND_CHANGE``).
    """
    for state in states:
        if state.rule.owner is Owner.KERNEL and ReasonKind.COMMAND_CHANGED in _direct_kinds(state):
            return state.rule.name
    return ""


def _direct_kinds(state: Stale | None) -> list[ReasonKind]:
    if state is None:
        return []
    return [r.kind for r in state.reasons if r.kind is not ReasonKind.STALE_PREREQUISITE]


def _why_make(rule: Rule) -> str:
    """Why only make can take a step, whatever its state; empty: the record will do."""
    why = why_not_recorded(rule)
    if why:
        return why
    if rule.name.startswith("tools/") and rule.owner is Owner.KERNEL:
        return "tools/ is built by makes of its own"
    if rule.record is not None and _has_symbol_versions(rule.record):
        return "its symbol versions are computed by make"
    return ""


def _has_symbol_versions(record: str) -> bool:
    try:
        with open_to_read(record) as file:
            return b"\n#SYMVER " in file.read()
    except OSError:
        return True  # what cannot be read cannot be written again


def _inputs(result: CheckResult, rule: Rule) -> tuple[str, ...]:
    """Everything it is made from, compared by Kbuild or not, without itself and what need not exist."""
    stamps = result.snapshot.mtime_ns
    config = result.snapshot.config.get(rule.config_dir, {})
    found = dict.fromkeys(rule.prerequisites)
    found.update(
        dict.fromkeys(
            path for path in (*rule.optional_prerequisites, *rule.uncompared_inputs) if path in stamps
        )
    )
    found.update(
        dict.fromkeys(f"{rule.config_dir}/include/config/{name}" for name in rule.config if name in config)
    )
    for output in rule.outputs:
        found.pop(output, None)
    return tuple(found)
