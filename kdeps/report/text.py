# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A verdict in words, in the manner of rustc's diagnostics.

Root causes first, each once, ranked by what they reach: thirty stale rules from
one edit are one message. Every command shown can be pasted back.
"""

from __future__ import annotations

import os
import time

from kdeps.causes import Cause, crate_name, find_causes, foretell
from kdeps.printable import printable
from kdeps.repair.plan import plan_repair
from kdeps.report.commands import cure
from kdeps.report.words import (
    SENTENCES,
    Style,
    Writer,
    describe,
    duration,
    module_name,
    say_cause,
    say_finding,
    shown_line,
)
from kdeps.rules import Rule, Scope
from kdeps.survey import Survey
from kdeps.verdict import Certainty, Finding, Reason, ReasonKind, Status

__all__ = [
    "SENTENCES",
    "Style",
    "crate_name",
    "describe",
    "duration",
    "find_causes",
    "headlines",
    "render",
]

MAX_CAUSES = 8
"""Beyond this a list of causes is no longer read; JSON has them all."""


def render(survey: Survey, *, cwd: str, style: Style, unicode: bool = True, now_ns: int | None = None) -> str:
    """Render a survey for a person; always ends in a newline.

    Args:
        survey: What to say.
        cwd: Where the user stands; paths are written relative to it.
        style: Whether this output understands colour.
        unicode: Whether it understands arrows.
        now_ns: The present, for "12 s ago".
    """
    writer = Writer(survey, cwd, style, unicode, time.time_ns() if now_ns is None else now_ns)
    verdict = survey.verdict
    for problem in verdict.problems[:MAX_CAUSES]:
        writer.lines.append(
            f"{writer.mark('error', 'unknown')}: {writer.path(problem.path)}: {problem.message}"
        )
    if len(verdict.problems) > MAX_CAUSES:
        writer.lines.append(f"  … and {len(verdict.problems) - MAX_CAUSES} more that cannot be read")
    for finding in verdict.findings:
        write_finding(writer, finding)
    causes = find_causes(survey)
    for cause in causes[:MAX_CAUSES]:
        write_cause(writer, cause)
    if len(causes) > MAX_CAUSES:
        writer.lines.append(f"… and {len(causes) - MAX_CAUSES} more causes (--format json lists all)\n")
    if verdict.status is Status.STALE:
        _write_cure(writer)
    writer.lines.append(_summary(writer, len(causes)))
    return "\n".join(shown_line(line, style) for line in writer.lines) + "\n"


def headlines(survey: Survey, *, cwd: str, now_ns: int | None = None, clock: bool = False) -> list[str]:
    """Say in one sentence each what is wrong, as ``render`` heads its paragraphs; worst first.

    Args:
        survey: What to say.
        cwd: Where the user stands.
        now_ns: The present, for "12 s ago".
        clock: Say "at 10:31:07" instead, for lines that stay on the screen.
    """
    writer = Writer(survey, cwd, Style.PLAIN, False, time.time_ns() if now_ns is None else now_ns)
    writer.clock = clock
    found = [f"{writer.path(problem.path)}: {problem.message}" for problem in survey.verdict.problems]
    found += [say_finding(writer, f) for f in survey.verdict.findings if f.status is not Status.FRESH]
    found += [say_cause(writer, cause) for cause in find_causes(survey)]
    return [printable(sentence) for sentence in found]


def notes(survey: Survey, *, cwd: str) -> list[str]:
    """Say in one sentence each what is no reason to refresh anything, and good to know."""
    writer = Writer(survey, cwd, Style.PLAIN, False, time.time_ns())
    return [
        printable(say_finding(writer, f) + (f"; {f.help}" if f.help else ""))
        for f in survey.verdict.findings
        if f.status is Status.FRESH
    ]


def write_finding(writer: Writer, finding: Finding) -> None:
    """Write one finding as a paragraph."""
    label = {Status.STALE: "stale", Status.UNKNOWN: "unknown", Status.FRESH: "note"}[finding.status]
    kind = "note" if finding.status is Status.FRESH else "error"
    text = say_finding(writer, finding)
    writer.lines.append(f"{writer.mark(kind, label)}: {writer.mark('bold', text)}")
    if finding.help:
        writer.lines.append(f"  {writer.mark('help', 'help')}: {finding.help}")
    writer.lines.append("")


def write_cause(writer: Writer, cause: Cause) -> None:
    """Write one cause as a paragraph: the sentence, the file, the chain, what else it reaches."""
    survey = writer.survey
    first = cause.direct[0]
    reason = cause.reason
    sentence = say_cause(writer, cause)
    writer.lines.append(f"{writer.mark('error', 'stale')}: {writer.mark('bold', sentence)}")
    if reason.path != first.rule.target and reason.kind is not ReasonKind.COMMAND_CHANGED:
        writer.lines.append(f"  {writer.mark('file', '-->')} {writer.path(reason.path)}")
    chain = _chain(writer, cause)
    if chain:
        writer.lines.append(f"   {writer.mark('file', '=')} chain: {chain}")
    others = _others(survey, cause)
    if others:
        writer.lines.append(f"   {writer.mark('file', '=')} also stale: {others}")
    if first.certainty is Certainty.POSSIBLE:
        writer.lines.append(
            f"   {writer.mark('file', '=')} note: perhaps unchanged; only running the step tells"
        )
    if not any(r.kbuild for r in first.reasons):
        writer.lines.append(
            f"   {writer.mark('file', '=')} note: no make goal sees this; make needs the `rm` below to notice"
        )
    elif survey.tree.module is not None and first.rule.scope is Scope.KERNEL:
        writer.lines.append(
            f"   {writer.mark('file', '=')} note: `make M={module_name(survey.tree)}` will not {_neglect(reason)}"
        )
    foretold = foretell(survey, cause)
    if foretold is not None:
        when = "will stop" if foretold.certain else "may stop, if the content differs,"
        writer.lines.append(
            f"   {writer.mark('file', '=')} note: rustc {when} with {foretold.code}: {foretold.message}"
        )
    writer.lines.append("")


def _neglect(reason: Reason) -> str:
    """What M= does not do about a stale kernel artifact; where one is gone it may well stop."""
    return "make it" if reason.kind is ReasonKind.MISSING_TARGET else "rebuild it, nor say so"


def _chain(writer: Writer, cause: Cause) -> str:
    """The shortest way from the root cause to the module, the edge that M= does not cross marked."""
    survey = writer.survey
    graph = survey.graph
    consumers: dict[str, list[tuple[str, Rule]]] = {}
    for at, rule in enumerate(graph.rules):
        for feed in graph.feeds[at]:
            consumers.setdefault(graph.rules[feed.producer].target, []).append((feed.path, rule))
    came: dict[str, tuple[str, str]] = {}
    # The chain shall start at the rule that the headline names, if it gets to the module.
    first = cause.direct[0].rule.target
    waiting = [first]
    if not any(t.endswith(".ko") for t in _reached(first, consumers)):
        waiting = [state.rule.target for state in cause.direct]
    starts = set(waiting)
    goal = ""
    for target in waiting:
        if target.endswith(".ko"):
            goal = target
            break
        for path, rule in consumers.get(target, ()):
            if rule.target not in came and rule.target not in starts:
                came[rule.target] = (target, path)
                waiting.append(rule.target)
    if not goal:
        return ""
    names: list[tuple[str, Rule]] = []
    target = goal
    names.append((os.path.basename(goal), graph.rules[graph.producers[goal]]))
    while target in came:
        before, path = came[target]
        names.append((os.path.basename(path), graph.rules[graph.producers[before]]))
        target = before
    names.reverse()
    names = _shorten(names)
    # What a broken-off compile left behind is no input of anything.
    no_input = cause.reason.kind in (ReasonKind.INTERRUPTED, ReasonKind.COMMAND_CHANGED)
    blamed = names[0][1].target if no_input else cause.reason.path
    text = os.path.basename(blamed) if blamed not in names[0][1].outputs else ""
    for at, (name, rule) in enumerate(names):
        crosses = rule.scope is Scope.KERNEL and (at == 0 or names[at - 1][1].scope is Scope.KERNEL)
        arrow = writer.mark("error", writer.gap) if crosses and survey.tree.module else writer.arrow
        text += f" {arrow} {name}" if text else name
    return text


def _reached(target: str, consumers: dict[str, list[tuple[str, Rule]]]) -> set[str]:
    """Everything that is made from one target, however indirectly."""
    reached: set[str] = set()
    waiting = [target]
    while waiting:
        for _, rule in consumers.get(waiting.pop(), ()):
            if rule.target not in reached:
                reached.add(rule.target)
                waiting.append(rule.target)
    return reached


def _shorten(names: list[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
    """Leave the middle of a long chain out; its two ends say what happens."""
    if len(names) <= 7:
        return names
    return [*names[:3], ("…", names[3][1]), *names[-3:]]


def _others(survey: Survey, cause: Cause) -> str:
    """Name what else one cause makes stale: crates and macros by name, the rest by number."""
    first = cause.direct[0].rule.target
    crates: list[str] = []
    rest = 0
    for state in survey.verdict.stale:
        if state.rule.target in cause.reached and state.rule.target != first:
            name = crate_name(state.rule)
            if name:
                crates.append(name)
            elif state.rule.scope is Scope.KERNEL and state.silent:
                rest += 1
    parts = []
    if crates:
        parts.append(f"crate{'s' if len(crates) > 1 else ''} {', '.join(crates)}")
    if rest:
        parts.append(f"{rest} other kernel file{'s' if rest > 1 else ''}")
    return " and ".join(parts)


def _write_cure(writer: Writer) -> None:
    """Say the commands that bring the build to fresh."""
    survey = writer.survey
    plan = plan_repair(survey)
    if plan.empty or plan.by_hand:
        return  # what a person must do first is said with the finding; a refresh before that does harm
    writer.lines.append(
        f"{writer.mark('help', 'help')}: to refresh{', then build the module' if survey.tree.module else ''}:"
    )
    # Joined, so that a failing step keeps the next from running on what it left, and
    # so that no step reads the following line as an answer to a question.
    writer.lines += [f"    {line}" for line in " &&\n".join(cure(survey, writer.cwd)).split("\n")]
    writer.lines.append("")


def _summary(writer: Writer, causes: int) -> str:
    survey = writer.survey
    verdict = survey.verdict
    name = module_name(survey.tree) if survey.tree.module else "the kernel's Rust crates and module tools"
    if verdict.status is Status.FRESH:
        checked = f"{len(survey.graph.rules)} rules, {len(survey.snapshot.mtime_ns)} files"
        also = f", {len(verdict.pending)} of its own to rebuild" if verdict.pending else ""
        return f"{writer.mark('help', 'fresh')}: {name}: no stale kernel artifact{also} ({checked})"
    if verdict.status is Status.UNKNOWN:
        return f"{writer.mark('error', 'unknown')}: {name}: cannot tell, see above"
    kernel = [s for s in verdict.stale if s.silent and s.rule.scope is Scope.KERNEL]
    crates = sum(1 for state in kernel if crate_name(state.rule))
    count = causes + sum(1 for f in verdict.findings if f.status is Status.STALE)
    parts = [f"{count} cause{'s' if count != 1 else ''}"]
    if kernel:
        parts.append(
            f"{len(kernel)} stale kernel artifact{'s' if len(kernel) != 1 else ''} ({crates} crate{'s' if crates != 1 else ''})"
        )
    return f"{writer.mark('error', 'stale')}: {name}: {', '.join(parts)}"
