# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps affected`` in words: crates, modules, the rest, and the time it will take."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from kdeps.kbuild.modules import KernelWithModules
from kdeps.kbuild.tree import Tree
from kdeps.query.affected import Affected, Effect, Estimate, affected_modules
from kdeps.query.change import Change, ChangeKind
from kdeps.refresh.plan import REFRESH_GOAL, shown_command
from kdeps.report.refresh_commands import module_command
from kdeps.report.sentences import TextOutput
from kdeps.staleness.reasons import Certainty
from kdeps.system.text import counted, list_some, shell_joined

MAX_OTHERS = 8
MAX_CHANGES = 6
"""Beyond this a list is no longer read; --all shows it whole."""
_INDENT = "           "


def write_affected(
    pen: TextOutput, whole: KernelWithModules, affected: Affected, estimate: Estimate, *, every: bool
) -> None:
    """Say what some changes rebuild; the estimate is how long its kernel part took the last time."""
    if not affected.changes:
        pen.lines.append("No change was named, so nothing is rebuilt.")
        return
    _write_changes(pen, affected.changes, every=every)
    _write_unknown(pen, affected)
    if not affected.effects and not affected.unbuilt and not affected.unsure:
        pen.lines.append("By what the records show, nothing is rebuilt.")
        return
    before = len(pen.lines)
    rebuilt = f"{_counted(affected)} to rebuild" if affected.effects else ""
    unbuilt = f"{counted(len(affected.unbuilt), 'module')} to build" if affected.unbuilt else ""
    unsure = [tree for tree in affected.unsure if not _own(affected, tree)]
    doubtful = f"{counted(len(unsure), 'module')} with commands that may change" if unsure else ""
    pen.lines.append(pen.mark("bold", ", ".join(filter(None, (rebuilt, unbuilt, doubtful)))))
    pen.lines.append("")
    _write_list(pen, "crates", [_crate(effect) for effect in affected.crates])
    for number, tree in enumerate(affected_modules(affected)):
        kos = [effect for effect in affected.modules if effect.module is tree]
        names = [f"{effect.rule.name}{_doubt(effect)}" for effect in kos]
        folder = pen.path(tree.module or "")
        without = "no .ko of it" if _own(affected, tree) else "any of its commands may change"
        if tree in affected.unbuilt:
            without = "never built, so what it reads is not known"
        _write_list(pen, "" if number else "modules", [f"{folder}: {', '.join(names) or without}"])
    others = [f"{_other(pen, effect)}{_doubt(effect)}" for effect in affected.others]
    if not every and len(others) > MAX_OTHERS:
        others = [*others[: MAX_OTHERS - 1], f"and {len(others) - MAX_OTHERS + 1} more (--all lists them)"]
    _write_list(pen, "others", others)
    if any("(perhaps)" in line for line in pen.lines[before:]):
        pen.lines += ["", "  (perhaps): a step between replaces its output only when the content differs"]
    _write_unnoticed(pen, affected)
    _write_time(pen, whole, affected, estimate)


def _write_changes(pen: TextOutput, changes: tuple[Change, ...], *, every: bool) -> None:
    """Say how each change was understood; of a long list only those that matter."""
    noted = [change for change in changes if change.note or len(changes) == 1]
    unread = [change for change in changes if change.kind is ChangeKind.UNREAD]
    if len(changes) > 1:
        taking = len(changes) - len(unread)
        pen.lines.append(
            f"{taking} of {len(changes)} changes take part in the build"
            + ("; the others are read by no step" if unread else "")
        )
        noted = [change for change in noted if change.kind is not ChangeKind.UNREAD]
    shown = noted if every else noted[:MAX_CHANGES]
    for change in shown:
        note = f": {change.note}" if change.note else ""
        lines = textwrap.wrap(
            f"{change.name}{note}",
            pen.width,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        pen.lines += lines
    if len(shown) < len(noted):
        pen.lines.append(f"… and {len(noted) - len(shown)} more notes (--all shows them)")
    pen.lines.append("")


def _own(affected: Affected, tree: Tree) -> bool:
    """Whether a step of a module is known to run again."""
    return any(effect.module is tree for effect in affected.effects)


def _write_unknown(pen: TextOutput, affected: Affected) -> None:
    for reason in affected.unknown[:MAX_CHANGES]:
        label = pen.mark("note", "note")
        file = pen.path(reason.path)
        pen.lines.append(
            f"{label}: {file} may read any of it, because its record does not list what it reads: {reason.detail}"
        )
    more = len(affected.unknown) - MAX_CHANGES
    if more > 0:
        pen.lines.append(f"… and {more} more without a usable record")
    if affected.unknown:
        pen.lines.append("")


def _counted(affected: Affected) -> str:
    found = ((affected.crates, "crate"), (affected.modules, "module"), (affected.others, "other file"))
    parts = [counted(len(effects), what) for effects, what in found if effects]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _crate(effect: Effect) -> str:
    macro = " (proc macro)" if effect.rule.target.endswith(".so") else ""
    return f"{effect.rule.crate}{macro}{_doubt(effect)}"


def _other(pen: TextOutput, effect: Effect) -> str:
    return effect.rule.name if effect.module is None else pen.path(effect.rule.target)


def _doubt(effect: Effect) -> str:
    return " (perhaps)" if effect.certainty is Certainty.POSSIBLE else ""


def _write_list(pen: TextOutput, label: str, items: Iterable[str]) -> None:
    text = ", ".join(items)
    if not text:
        return
    lines = textwrap.wrap(
        text,
        pen.width - len(_INDENT),
        break_long_words=False,
        break_on_hyphens=False,
    )
    pad = label.ljust(len(_INDENT) - 2)
    pen.lines.append(f"  {pen.mark('note', pad)}{lines[0]}")
    pen.lines += [_INDENT + line for line in lines[1:]]


def _write_unnoticed(pen: TextOutput, affected: Affected) -> None:
    unnoticed = [effect for effect in affected.effects if not effect.noticed]
    if unnoticed:
        pen.lines.append("")
        names = list_some([_other(pen, effect) for effect in unnoticed], 4)
        pen.lines.append(f"{pen.mark('note', 'note')}: make does not notice it for {names}")


def _write_time(pen: TextOutput, whole: KernelWithModules, affected: Affected, estimate: Estimate) -> None:
    """The commands that would do it, with what they cost the last time."""
    modules = affected_modules(affected)
    commands = []
    everywhere = any(change.commands == whole.tree.srctree for change in affected.changes)
    if everywhere or any(effect.module is None and effect.noticed for effect in affected.effects):
        commands.append((shown_command(whole.tree, pen.cwd, REFRESH_GOAL), _say_estimate(estimate)))
    commands += [(module_command(whole.tree, tree, pen.cwd), "") for tree in modules]
    if not commands:
        return
    pen.lines.append("")
    pen.lines.append(f"{pen.mark('help', 'help')}: to rebuild it:")
    for number, (words, remark) in enumerate(commands):
        end = " &&" if number + 1 < len(commands) else ""
        comment = f"   # {remark}" if remark else ""
        pen.lines.append(f"    {shell_joined(words)}{end}{comment}")


def _say_estimate(estimate: Estimate) -> str:
    if not estimate.timed:
        return ""
    seconds = f"{estimate.seconds:.1f} s" if estimate.seconds < 10 else f"{estimate.seconds:.0f} s"
    if not estimate.untimed:
        return f"took {seconds} the last time"
    return f"took {seconds} the last time for {estimate.timed} of {estimate.timed + estimate.untimed} steps"
