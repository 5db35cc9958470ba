# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A verdict in words, in the manner of rustc's diagnostics.

Root causes first, each once, ranked by what they reach: thirty stale rules from
one edit are one message. Every command shown can be pasted back.
"""

from __future__ import annotations

import os
import time

from kdeps.kbuild.graph import Graph
from kdeps.kbuild.rule import Owner, Rule
from kdeps.refresh.plan import plan_refresh
from kdeps.report.event_text import event_label, event_sentence
from kdeps.report.refresh_commands import check_command, refresh_commands
from kdeps.report.sentences import ResultText, Style, TextOutput, finding_sentence, sanitise_line
from kdeps.staleness.check import CheckResult
from kdeps.staleness.events import Event, EventKind, find_events
from kdeps.staleness.reasons import Certainty, Finding, Reason, ReasonKind, Status
from kdeps.staleness.root_causes import RootCause, find_root_causes, predict_rustc_error
from kdeps.system.text import counted, list_some, printable

MAX_CAUSES = 8
"""Beyond this a list of causes is no longer read; JSON has them all."""


def render(
    result: CheckResult,
    *,
    cwd: str,
    style: Style,
    unicode: bool = True,
    now_ns: int | None = None,
    touched: int = 0,
    time_mark: str = "",
    every: bool = False,
) -> str:
    """Render a result for a person, with paths relative to ``cwd``; always ends in a newline.

    ``touched`` inputs are newer than what was made from them, with the same content. The mark stands around a time in
    nanoseconds, instead of how long ago it was. ``every`` tells each cause by itself, and all of them.
    """
    writer = ResultText(result, cwd, style, unicode, time.time_ns() if now_ns is None else now_ns)
    writer.time_mark = time_mark
    verdict = result.verdict
    problems = verdict.problems if every else verdict.problems[:MAX_CAUSES]
    for problem in problems:
        writer.lines.append(
            f"{writer.mark('error', 'unknown')}: {writer.path(problem.path)}: {problem.message}"
        )
    _write_more(writer, len(verdict.problems) - len(problems), "that cannot be read")
    findings, events = find_events(result)
    if every:
        findings = list(verdict.findings)
        events = [Event(EventKind.ALONE, (cause,)) for cause in find_root_causes(result)]
    for finding in findings:
        write_finding(writer, finding)
    shown = events if every else events[:MAX_CAUSES]
    how = check_command(result, cwd) if shown else ""
    for event in shown:
        write_event(writer, event, how)
    _write_more(writer, len(events) - len(shown), "causes")
    if verdict.status is Status.STALE:
        _write_cure(writer)
    if touched:
        files = "1 file was" if touched == 1 else f"{touched} files were"
        text = (
            f"{files} only touched: the contents are those that were built; `kdeps settle` lets make see it"
        )
        writer.lines.append(f"{writer.mark('note', 'note')}: {text}")
    stale = sum(finding.status is Status.STALE for finding in findings)
    writer.lines.append(_summary(writer, len(events) + stale))
    return "\n".join(sanitise_line(line, style) for line in writer.lines) + "\n"


def headlines(result: CheckResult, *, cwd: str, now_ns: int | None = None, clock: bool = False) -> list[str]:
    """Say in one sentence each what is wrong, as ``render`` heads its paragraphs, with the reason; worst first.

    With ``clock`` it is "at 10:31:07" instead of "12 s ago", for lines that stay on the screen.
    """
    writer = ResultText(result, cwd, Style.PLAIN, False, time.time_ns() if now_ns is None else now_ns)
    writer.clock = clock
    found = [f"{writer.path(problem.path)}: {problem.message}" for problem in result.verdict.problems]
    findings, events = find_events(result)
    found += [
        f"{finding_sentence(writer, f)} [{f.kind.value}]" for f in findings if f.status is not Status.FRESH
    ]
    found += [f"{event_sentence(writer, event)} [{event_label(event)}]" for event in events]
    return [printable(sentence) for sentence in found]


def notes(result: CheckResult, *, cwd: str) -> list[str]:
    """Say in one sentence each what is no reason to refresh anything, and good to know."""
    writer = ResultText(result, cwd, Style.PLAIN, False, time.time_ns())
    return [
        printable(finding_sentence(writer, f) + (f"; {f.help}" if f.help else ""))
        for f in result.verdict.findings
        if f.status is Status.FRESH
    ]


def write_finding(writer: ResultText, finding: Finding) -> None:
    """Write one finding as a paragraph."""
    text = finding_sentence(writer, finding)
    writer.lines += [*message_lines(writer, finding.status, finding.kind.value, text, finding.help), ""]


def message_lines(pen: TextOutput, status: Status, kind: str, text: str, help_text: str) -> list[str]:
    """Write what is wrong, or a note, and what helps."""
    label = {Status.STALE: "stale", Status.UNKNOWN: "unknown", Status.FRESH: "note"}[status]
    mark = pen.mark("note" if status is Status.FRESH else "error", f"{label}[{kind}]")
    helps = [f"  {pen.mark('help', 'help')}: {help_text}"] if help_text else []
    return [f"{mark}: {pen.mark('bold', text)}", *helps]


def _write_more(writer: ResultText, more: int, what: str) -> None:
    if more > 0:
        how = check_command(writer.result, writer.cwd)
        writer.lines.append(f"… and {more} more {what}; `{how}` lists them\n")


def write_event(writer: ResultText, event: Event, how: str) -> None:
    """Write one event as a paragraph: the sentence, the files, the chain, what else it reaches.

    ``how`` is the command or option that lists its causes one by one.
    """
    label = writer.mark("error", f"stale[{event_label(event)}]")
    writer.lines.append(f"{label}: {writer.mark('bold', event_sentence(writer, event))}")
    bullet = f"   {writer.mark('file', '=')}"
    if event.kind is EventKind.EDITED:
        writer.lines += [f"{bullet} {finding_sentence(writer, finding)}" for finding in event.findings]
    elif event.kind is EventKind.TOOLCHAIN and len(event.findings) > 1:
        writer.lines += [f"{bullet} {finding.message}" for finding in event.findings]
    cause = event.cause
    if cause is not None and event.kind is not EventKind.TOOLCHAIN:
        _write_cause(writer, cause, event)
    if len(event.causes) + len(event.findings) > 1:
        writer.lines.append(f"{bullet} one by one: `{how}`")
    writer.lines.append("")


def _write_cause(writer: ResultText, cause: RootCause, event: Event) -> None:
    """Write what is below the sentence about an event; the chain is that of the cause that reaches most."""
    kind = event.kind
    result = writer.result
    first = cause.direct[0]
    reason = cause.reason
    together = kind is not EventKind.ALONE
    named = kind in (EventKind.ABSENT, EventKind.FOLDER_GONE)
    if reason.path != first.rule.target and reason.kind is not ReasonKind.COMMAND_CHANGED and not named:
        shown = list_some(cause.paths, 3, writer.path) if together else writer.path(reason.path)
        writer.lines.append(f"  {writer.mark('file', '-->')} {shown}")
    chain = _chain(writer, event.causes[0])
    if chain:
        writer.lines.append(f"   {writer.mark('file', '=')} chain: {chain}")
    others = _others(result, cause, together=together)
    if others:
        writer.lines.append(f"   {writer.mark('file', '=')} also stale: {others}")
    notes = []
    if first.certainty is Certainty.POSSIBLE:
        notes.append("its content may be the same; only running the step can show that")
    if reason.kind is ReasonKind.NEWER_PREREQUISITE and (reason.mtime_ns or 0) > writer.now_ns:
        notes.append(
            "its time is in the future: each build makes it again "
            f"until you set the clock, or `touch {writer.path(reason.path)}`"
        )
    if not any(r.kbuild for r in first.reasons):
        needs = "the `rm` below lets make notice it"
        if first.rule.target not in plan_refresh(result).remove:
            needs = f"it uses {writer.path(first.rule.target)} as it is"
            if reason.path == first.rule.source:
                needs += ": put the file back, or take it out of the Makefile"
        notes.append(f"make does not notice this by itself; {needs}")
    elif result.tree.module is not None and first.rule.owner is not Owner.MODULE:
        notes.append(f"`make M={result.tree.given_module}` {_neglect(reason, kind)}")
    foretold = predict_rustc_error(result, cause)
    if foretold is not None:
        when = "will stop" if foretold.certain else "may stop, if the content differs,"
        notes.append(f"rustc {when} with {foretold.code}: {foretold.message}")
    writer.lines += [f"   {writer.mark('file', '=')} note: {note}" for note in notes]


def _neglect(reason: Reason, kind: EventKind) -> str:
    """What M= does about a stale kernel artifact; where one is missing it may well stop."""
    if kind is EventKind.ABSENT:
        return "does not make them"
    if reason.kind is ReasonKind.MISSING_TARGET:
        return "does not make it"
    return f"uses the old {'one' if kind is EventKind.ALONE else 'ones'} silently"


def _chain(writer: ResultText, cause: RootCause) -> str:
    """The shortest way from the root cause to the module, the edge that M= does not cross marked."""
    result = writer.result
    graph = result.graph
    consumers: dict[str, list[tuple[str, Rule]]] = {}
    for at, rule in enumerate(graph.rules):
        for feed in graph.feeds[at]:
            consumers.setdefault(graph.rules[feed.producer].target, []).append((feed.path, rule))
    direct = [state.rule.target for state in cause.direct]
    # The chain must start at the rule that the headline names, if it leads to the module.
    way = _find_way(graph, consumers, direct[:1]) or _find_way(graph, consumers, direct)
    if not way:
        return ""
    names = _shorten(way)
    # What a broken-off compile left behind is no input of anything.
    no_input = cause.reason.kind in (ReasonKind.INTERRUPTED, ReasonKind.COMMAND_CHANGED)
    blamed = names[0][1].target if no_input else cause.reason.path
    text = os.path.basename(blamed) if blamed not in names[0][1].outputs else ""
    for at, (name, rule) in enumerate(names):
        crosses = rule.owner is not Owner.MODULE and (at == 0 or names[at - 1][1].owner is rule.owner)
        arrow = writer.mark("error", writer.gap) if crosses and result.tree.module else writer.arrow
        text += f" {arrow} {name}" if text else name
    return text


def _find_way(
    graph: Graph, consumers: dict[str, list[tuple[str, Rule]]], starts: list[str]
) -> list[tuple[str, Rule]]:
    """The shortest way from some targets to a module: the names of the files, each with its rule; empty if none leads there."""
    came: dict[str, tuple[str, str]] = {}
    waiting = list(starts)
    for target in waiting:
        if target.endswith(".ko"):
            names = [(os.path.basename(target), graph.rules[graph.producers[target]])]
            while target in came:
                target, path = came[target]
                names.append((os.path.basename(path), graph.rules[graph.producers[target]]))
            return names[::-1]
        for path, rule in consumers.get(target, ()):
            if rule.target not in came and rule.target not in starts:
                came[rule.target] = (target, path)
                waiting.append(rule.target)
    return []


def _shorten(names: list[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
    """Leave the middle of a long chain out; its two ends say what happens."""
    if len(names) <= 7:
        return names
    return [*names[:3], ("…", names[3][1]), *names[-3:]]


def _others(result: CheckResult, cause: RootCause, *, together: bool) -> str:
    """Name what else a cause makes stale: crates and macros by name, the rest by number.

    Of an event only the last few crates are named: those that a module reads.
    """
    first = cause.direct[0].rule.target
    crates: list[str] = []
    rest = 0
    for state in result.verdict.stale:
        if state.rule.target in cause.reached and state.rule.target != first:
            name = state.rule.crate
            if name:
                crates.append(name)
            elif state.rule.owner is Owner.KERNEL and state.silent:
                rest += 1
    parts = []
    if crates:
        names = list_some(crates[::-1], 4) if together else ", ".join(crates)
        parts.append(f"crate{'s' if len(crates) > 1 else ''} {names}")
    if rest:
        parts.append(counted(rest, "other kernel file"))
    return ("; " if together else " and ").join(parts)


def _write_cure(writer: ResultText) -> None:
    """Say the commands that bring the build to fresh."""
    result = writer.result
    plan = plan_refresh(result)
    if plan.empty or plan.manual:
        return  # the finding itself says what the user must do first; a refresh before that does harm
    writer.lines += [*cure_lines(writer), ""]


def cure_lines(writer: ResultText) -> list[str]:
    """The commands that bring the build to fresh, first the one that does it all; empty if no command can."""
    commands = refresh_commands(writer.result, writer.cwd)
    if not commands:
        return []
    how = "to refresh:"
    if writer.result.tree.module is not None:
        how = f"`kdeps {commands[-1]}`, or by hand:"
    # Joined, so that a failing step keeps the next from running on what it left, and
    # so that no step reads the following line as an answer to a question.
    joined = " &&\n".join(commands).split("\n")
    return [f"{writer.mark('help', 'help')}: {how}", *(f"    {line}" for line in joined)]


def _summary(writer: ResultText, causes: int) -> str:
    result = writer.result
    verdict = result.verdict
    name = result.tree.given_module if result.tree.module else "the kernel's Rust crates and module tools"
    if verdict.status is Status.FRESH:
        checked = f"{len(result.graph.rules)} rules, {len(result.snapshot.mtime_ns)} files"
        also = f", {len(verdict.pending)} of its own to rebuild" if verdict.pending else ""
        return f"{writer.mark('help', 'fresh')}: {name}: no stale kernel artifact{also} ({checked})"
    if verdict.status is Status.UNKNOWN:
        return f"{writer.mark('error', 'unknown')}: {name}: cannot tell, see above"
    kernel = [s for s in verdict.stale if s.silent and s.rule.owner is Owner.KERNEL]
    crates = sum(1 for state in kernel if state.rule.crate)
    parts = [counted(causes, "cause")]
    if kernel:
        among = f" ({counted(crates, 'crate')})" if crates else ""
        parts.append(f"{counted(len(kernel), 'stale kernel artifact')}{among}")
    others = len({s.rule.target for s in verdict.stale if s.silent and s.rule.owner is Owner.OTHER})
    if others:
        parts.append(f"{counted(others, 'stale artifact')} of other modules")
    return f"{writer.mark('error', 'stale')}: {name}: {', '.join(parts)}"
