# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps why`` in words: one step a line, with its reason and its times."""

from __future__ import annotations

import os
from typing import NamedTuple

from kdeps.kbuild.rule import Owner, Rule
from kdeps.query.names import Named
from kdeps.query.why import Chain, Step, User, choose, is_taken, judge_target
from kdeps.refresh.plan import find_gone_sources, plan_refresh
from kdeps.report.sentences import (
    SENTENCES,
    ResultText,
    cause_sentence,
    describe,
    finding_sentence,
)
from kdeps.report.verdict_text import cure_lines
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Certainty, Reason, ReasonKind, Stale, Status
from kdeps.staleness.root_causes import RootCause, is_config_stamp
from kdeps.system.text import counted, duration

MAX_USERS = 40
"""Beyond this a tree of users is no longer read; --all shows it whole."""


class _Line(NamedTuple):
    """One line of a chain, before its columns are aligned."""

    arrow: str
    name: str
    time: str
    reason: str


def write_why(
    writer: ResultText, target: Named, state: Stale | None, chains: list[Chain], *, every: bool
) -> None:
    """Say why a target is stale, or that it is not: a chain for each root cause, nearest first, or the first alone."""
    result = writer.result
    _write_doubts(writer)
    shown = chains if every else choose(chains)
    name = _name(writer, target.path, None if target.rule is None else result.graph.rules[target.rule])
    for chain in shown:
        assert chain.cause is not None
        sentence = cause_sentence(writer, chain.cause)
        if chain.steps[0].rule is not None and chain.steps[0].rule != chain.cause.direct[0].rule:
            sentence = f"{name}: {sentence}"
        writer.lines.append(f"{writer.mark('error', 'stale')}: {writer.mark('bold', sentence)}")
        writer.lines.append("")
        _write_chain(writer, chain)
        writer.lines.append("")
    if state is None:
        _write_fresh(writer, target, name)
        if judge_target(result, target) is Status.STALE:
            _write_cure(writer)
        return
    if not chains:
        writer.lines.append(f"{writer.mark('error', 'stale')}: {name}, because of what is said above")
    more = len(chains) - len(shown)
    if more:
        causes = "cause makes" if more == 1 else "causes make"
        writer.lines.append(
            f"{writer.mark('note', 'note')}: {more} more {causes} it stale; --all shows {'it' if more == 1 else 'them'}"
        )
    _write_consequence(writer, state, missed=any(chain.is_missed for chain in chains))


def write_chain(writer: ResultText, target: Named, source: str, chain: Chain) -> None:
    """Show how a target is made from a source, stale or not."""
    result = writer.result
    assert target.rule is not None
    steps = len(chain.steps) - 1
    name = _name(writer, target.path, result.graph.rules[target.rule])
    distance = "directly" if steps == 1 else f"in {steps} steps"
    writer.lines.append(f"{name} is made from {source} {distance}")
    writer.lines.append("")
    _write_chain(writer, chain)


def write_users(writer: ResultText, source: str, users: list[User], *, every: bool) -> None:
    """Show everything that is made from a file, as a tree: each step once, by the shortest way."""
    if not users:
        writer.lines.append(f"{source}: nothing that is built here uses it")
        return
    direct = sum(user.below is None for user in users)
    beyond = f", and through {'it' if direct == 1 else 'them'} by {len(users) - direct} more"
    writer.lines.append(
        f"{source} is used by {counted(direct, 'step')}{beyond if len(users) > direct else ''}"
    )
    writer.lines.append("")
    below: dict[int | None, list[int]] = {}
    for number, user in enumerate(users):
        below.setdefault(user.below, []).append(number)
    waiting = [(number, 1) for number in reversed(below[None])]
    lines: list[str] = []
    modules = any(is_taken(rule) for rule in writer.result.graph.rules)
    while waiting:
        number, depth = waiting.pop()
        user = users[number]
        taken = is_taken(user.rule) or not modules
        arrow = writer.arrow if taken else writer.mark("error", writer.gap)
        what = describe(user.rule) if user.rule.crate else ""
        path = writer.path(user.rule.target)
        lines.append(
            f"{'  ' * depth}{arrow} {path}{f' ({what})' if what else ''}{_mark_of(writer, user.rule)}"
        )
        waiting += [(next_one, depth + 1) for next_one in reversed(below.get(number, []))]
    shown = lines if every or len(lines) <= MAX_USERS else lines[: MAX_USERS - 1]
    writer.lines += shown
    if len(shown) < len(lines):
        writer.lines.append(f"  … and {len(lines) - len(shown)} more (--all shows them)")
    if modules and any(not is_taken(user.rule) for user in users):
        name = writer.result.tree.given_module or "…"
        writer.lines += ["", f"{writer.gap.strip()} is a step that `make M={name}` does not take"]


# -- parts -------------------------------------------------------------------


def _write_doubts(writer: ResultText) -> None:
    verdict = writer.result.verdict
    for problem in verdict.problems:
        writer.lines.append(
            f"{writer.mark('error', 'unknown')}: {writer.path(problem.path)}: {problem.message}"
        )
    for finding in verdict.findings:
        if finding.status is not Status.FRESH:
            label = "stale" if finding.status is Status.STALE else "unknown"
            writer.lines.append(f"{writer.mark('error', label)}: {finding_sentence(writer, finding)}")
            if finding.help:
                writer.lines.append(f"  {writer.mark('help', 'help')}: {finding.help}")


def _write_chain(writer: ResultText, chain: Chain) -> None:
    result = writer.result
    lines: list[_Line] = []
    for number, step in enumerate(chain.steps):
        following = chain.steps[number + 1] if number + 1 < len(chain.steps) else None
        arrow = ""
        if number:
            reader = chain.steps[number - 1].rule
            crosses = result.tree.module is not None and reader is not None and not is_taken(reader)
            arrow = writer.back_gap if crosses else writer.back
        name = _name(writer, step.path, step.rule)
        lines.append(_Line(arrow, name, _time(writer, step), _reason(writer, step, following, chain.cause)))
    names = max(len(line.name) for line in lines)
    times = max(len(line.time) for line in lines)
    arrows = max(len(line.arrow) for line in lines)
    border = _border(result, chain)
    for number, line in enumerate(lines):
        arrow = line.arrow.ljust(arrows)
        if line.arrow == writer.back_gap:
            arrow = writer.mark("error", arrow)
        writer.lines.append(
            f"  {arrow} {line.name.ljust(names)}  {line.time.ljust(times)}  {line.reason}".rstrip()
        )
        if number == border:
            line_of = "┄┄" if writer.back == "←" else "--"
            writer.lines.append(
                "  "
                + writer.mark(
                    "error", f"{line_of} `make M={result.tree.given_module}` looks no further {line_of}"
                )
            )


def _border(result: CheckResult, chain: Chain) -> int | None:
    """The step behind which ``make M=…`` does not look: the first artifact of the kernel after the module's own."""
    if result.tree.module is None:
        return None
    for number, step in enumerate(chain.steps[:-1]):
        if step.rule is not None and step.rule.owner is Owner.KERNEL:
            return number
    return None


def _name(writer: ResultText, path: str, rule: Rule | None) -> str:
    if is_config_stamp(path) and rule is None:
        return f"CONFIG_{os.path.basename(path)}"
    shown = writer.path(path)
    crate = rule.crate if rule is not None else ""
    return f"{shown} ({describe(rule)})" if crate and rule is not None else shown


def _time(writer: ResultText, step: Step) -> str:
    verb = "built" if step.rule is not None else "changed"
    mtime_ns = writer.result.snapshot.mtime_ns.get(step.path)
    if mtime_ns is None:
        if is_config_stamp(step.path):
            name = os.path.basename(step.path)
            for stamps in writer.result.snapshot.config.values():
                if name in stamps:
                    return f"changed {writer.ago(stamps[name])}"
            return "never changed"
        return "not there" if step.rule is None else "missing"
    return f"{verb} {writer.ago(mtime_ns)}"


def _reason(writer: ResultText, step: Step, following: Step | None, cause: RootCause | None) -> str:
    """Why this step is stale, in as few words as its line has room for."""
    reason = step.reason
    if reason is None:
        if step.rule is None or following is None or cause is not None:
            return ""
        stem = "CONFIG_" if is_config_stamp(following.path) else ""
        return f"from {stem}{os.path.basename(following.path)}"
    if reason.kind is ReasonKind.STALE_PREREQUISITE:
        assert step.rule is not None
        perhaps = "" if _is_certain(writer.result, step.rule) else ", its content may be the same"
        return f"from {os.path.basename(reason.path)}, which is stale{perhaps}"
    return say_reason(reason)


def say_reason(reason: Reason) -> str:
    """Say one direct reason from the target's point of view."""
    file = os.path.basename(reason.path)
    if reason.kind is ReasonKind.NEWER_PREREQUISITE:
        if reason.mtime_ns is not None and reason.target_mtime_ns is not None:
            return f"{duration(reason.mtime_ns - reason.target_mtime_ns)} older than {file}"
        return f"older than {file}"
    if reason.kind is ReasonKind.MISSING_PREREQUISITE:
        return f"built from {file}, which is gone"
    if reason.kind is ReasonKind.CONFIG_NOT_FOLLOWED:
        return f"built before CONFIG_{file} changed"
    if reason.kind is ReasonKind.MISSING_TARGET:
        return "it is not there"
    if reason.kind is ReasonKind.COMMAND_CHANGED:
        return "its command would be another one now"
    words = SENTENCES[reason.kind]
    return reason.detail or words.format(what="it", file=file, ago="", detail="", symbol="")


def _is_certain(result: CheckResult, rule: Rule) -> bool:
    state = result.verdict.states.get(rule.target)
    return state is None or state.certainty is Certainty.CERTAIN


def _mark_of(writer: ResultText, rule: Rule) -> str:
    """Say that a rule is stale, or only possibly, where it is."""
    stale = any(state.rule.target == rule.target for state in writer.result.verdict.stale)
    pending = any(state.rule.target == rule.target for state in writer.result.verdict.pending)
    perhaps = "" if _is_certain(writer.result, rule) else "possibly "
    return f"  {perhaps}{writer.mark('error', 'stale')}" if stale else "  to be rebuilt" if pending else ""


def _write_fresh(writer: ResultText, target: Named, name: str) -> None:
    """Say what a target rests on that its step need not make again: a note, if something else makes the build stale."""
    result = writer.result
    is_fresh = judge_target(result, target) is Status.FRESH
    fresh = writer.mark("help", "fresh") if is_fresh else writer.mark("note", "note")
    if target.rule is None:
        nothing = "nothing that could be read makes it" if result.verdict.problems else "no step makes it"
        writer.lines.append(f"{fresh}: {name}: a source; {nothing}")
        return
    rule = result.graph.rules[target.rule]
    if result.tree.prebuilt and rule.owner is Owner.KERNEL:
        writer.lines.append(
            f"{fresh}: {name}: came with the installed headers, and nothing here can remake it"
        )
        return
    stamps = result.snapshot.mtime_ns
    read = [path for path in (*rule.prerequisites, *rule.optional_prerequisites) if path in stamps]
    built = writer.ago(stamps.get(target.path))
    writer.lines.append(
        f"{fresh}: {name}: built {built}, and none of the {len(read)} files it is made from is newer"
        if read
        else f"{fresh}: {name}: built {built}; it is made from no file"
    )
    if read:
        newest = max(read, key=lambda path: (stamps[path], path))
        writer.lines.append(f"  the newest is {writer.path(newest)}, from {writer.ago(stamps[newest])}")


def _write_consequence(writer: ResultText, state: Stale, *, missed: bool) -> None:
    """Say what ``make M=…`` does about it, and what helps."""
    result = writer.result
    if result.tree.prebuilt:
        return
    if result.tree.module is not None and not _write_use(writer, state, missed=missed):
        return
    if result.verdict.status is Status.STALE:
        _write_cure(writer)


def _write_cure(writer: ResultText) -> None:
    plan = plan_refresh(writer.result)
    helps = [found.help for found in plan.manual if found.help]  # before that a refresh does harm
    if plan.empty:
        helps += [
            f"put {writer.path(p)} back, or take it out of the Makefile"
            for p in find_gone_sources(writer.result)
        ]
    writer.lines += [f"{writer.mark('help', 'help')}: {text}" for text in helps]
    if not helps and not plan.empty:
        writer.lines += cure_lines(writer)


def _write_use(writer: ResultText, state: Stale, *, missed: bool) -> bool:
    """Say what ``make M=…`` does with it; return whether that leaves something to cure."""
    result = writer.result
    make = f"`make M={result.tree.given_module}`"
    note = writer.mark("note", "note")
    if not state.silent and state.rule.owner is Owner.MODULE:
        if not missed:
            writer.lines.append(f"{note}: {make} rebuilds it by itself")
            return False
        writer.lines.append(f"{note}: {make} rebuilds it, but silently on top of the stale kernel artifacts")
    elif state.silent:
        writer.lines.append(f"{note}: {make} silently uses it as it is")
    return True
