# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A sentence for each reason, with names and times in words.

Every text output is written with these, so that all commands speak alike.
"""

from __future__ import annotations

import os
import re
import time
from enum import Enum

from kdeps.kbuild.rule import Rule
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, Reason, ReasonKind
from kdeps.staleness.root_causes import RootCause, is_config_stamp
from kdeps.staleness.snapshot import BEFORE_EPOCH
from kdeps.system.text import counted, list_some, printable, time_ago


class Style(Enum):
    """How to mark words on this output."""

    PLAIN = "plain"
    COLOUR = "colour"


MAX_WORDS = 4
"""How many changed words of a command are shown; JSON has them all."""
_CODES = {"error": "1;31", "note": "1;36", "help": "1;32", "bold": "1", "dim": "2", "file": "1;34"}

_MARK = re.compile(rf"(\x1b\[(?:{'|'.join((*_CODES.values(), '0'))})m)")

SENTENCES: dict[ReasonKind, str] = {
    ReasonKind.MISSING_TARGET: "{what} is missing",
    ReasonKind.NEWER_PREREQUISITE: "{what} is older than {file}, changed {ago}",
    ReasonKind.MISSING_PREREQUISITE: "{file} is gone, {what} was built from it",
    ReasonKind.MISSING_RECORD: "{what} has no usable record ({detail})",
    ReasonKind.COMMAND_CHANGED: "{what} would be built by another command now: {detail}",
    ReasonKind.STALE_PREREQUISITE: "{what} is built from something stale",
    ReasonKind.MISSING_OUTPUT: "{file}, made together with {what}, cannot be used: {detail}",
    ReasonKind.INTERRUPTED: "a compile of {what} failed or was stopped: {detail}",
    ReasonKind.CONTENT_CHANGED: "{what} is stale, and make does not notice: {file} {detail}",
    ReasonKind.CONFIG_NOT_SYNCED: "the configuration is not synced: {file} {detail}",
    ReasonKind.CONFIG_NOT_FOLLOWED: "{what} was built before {symbol} changed, and M= builds do not follow it",
    ReasonKind.TOOLCHAIN_CHANGED: "the toolchain changed: {detail}",
    ReasonKind.NO_OBJECTS: "{detail}",
    ReasonKind.KERNEL_GUESSED: "{file} {detail}",
    ReasonKind.OLD_KERNEL: "{file} {detail}",
    ReasonKind.OLD_SYMVERS: "{file} {detail}",
    ReasonKind.MISSING_SYMVERS: "{file} is missing: {detail}",
    ReasonKind.CLOCK: "{file} {detail}",
    ReasonKind.OLD_MTIME: "{file} {detail}",
    ReasonKind.TOUCHED_ONLY: "{file}: {detail}",
    ReasonKind.NOT_IN_LEDGER: "{file}: {detail}",
    ReasonKind.OTHER_COMPILER: "{file}: {detail}",
    ReasonKind.OTHER_KERNEL: "{file}: {detail}",
    ReasonKind.UNDEFINED_SYMBOL: "{file}: {detail}",
    ReasonKind.FLAGS_DIFFER: "{file}: {detail}",
    ReasonKind.CHANGED_MEANWHILE: "{file}: {detail}",
    ReasonKind.FILE_WITHOUT_RECORD: "{file}: {detail}",
    ReasonKind.MIXED_BUILDS: "{file}: {detail}",
}
"""The sentence of each reason. Formatted once, with values only, because a path may contain braces."""

_WITHOUT_A_RULE = {
    ReasonKind.COMMAND_CHANGED: "{detail}",
    ReasonKind.INTERRUPTED: "{file} {detail}",
    ReasonKind.CONFIG_NOT_FOLLOWED: "{file} {detail}",
}
"""The sentences of findings about the whole build, where that of the reason is about a rule; else a file is missing."""


class TextOutput:
    """Collects lines, and knows how this output is written to."""

    def __init__(self, cwd: str, style: Style, unicode: bool, now_ns: int) -> None:
        self.cwd = cwd
        self.style = style
        self.now_ns = now_ns
        self.clock = False
        """Say when by the time of day, not how long ago."""
        self.time_mark = ""
        """If set, it encloses a time in nanoseconds, which the reader replaces by how long ago that was."""
        self.width = 100
        """Of lists and tables, in columns."""
        self.arrow, self.gap = ("→", "⇢") if unicode else ("->", "-/->")
        self.back, self.back_gap = ("←", "⇠") if unicode else ("<-  ", "<-/-")
        self.lines: list[str] = []

    def mark(self, kind: str, text: str) -> str:
        if self.style is Style.PLAIN:
            return text
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m"

    def path(self, path: str) -> str:
        """Write a path as the user would type it from where they stand."""
        relative = os.path.relpath(path, self.cwd)
        shown = relative if len(relative) <= len(path) else path
        return printable(shown)

    def ago(self, mtime_ns: int | None) -> str:
        if mtime_ns is None:
            return "some time ago"
        if mtime_ns == BEFORE_EPOCH:
            return "before 1970, which make takes for the future"
        return self.when(mtime_ns)

    def when(self, mtime_ns: int) -> str:
        """Say when something was."""
        if self.clock:
            return clock_time(mtime_ns / 1e9, now_s=self.now_ns / 1e9)
        if self.time_mark:
            return f"{self.time_mark}{mtime_ns}{self.time_mark}"
        return time_ago(mtime_ns, self.now_ns)


class ResultText(TextOutput):
    """A pen that writes about one result."""

    def __init__(self, result: CheckResult, cwd: str, style: Style, unicode: bool, now_ns: int) -> None:
        super().__init__(cwd, style, unicode, now_ns)
        self.result = result


def sanitise_line(line: str, style: Style) -> str:
    """Let nothing through to the terminal but what is visible, our own colours, and the line's end."""
    text = line.rstrip("\n")
    end = line[len(text) :]
    if style is Style.PLAIN or text.isprintable():
        return printable(text) + end
    return "".join(part if _MARK.fullmatch(part) else printable(part) for part in _MARK.split(text)) + end


def finding_sentence(writer: ResultText, finding: Finding) -> str:
    sentence = _WITHOUT_A_RULE.get(finding.kind, SENTENCES[finding.kind])
    if "{what}" in sentence:
        sentence = "{file} is missing: {detail}"
    return sentence.format(file=writer.path(finding.path), detail=finding.message)


def cause_sentence(writer: ResultText, cause: RootCause) -> str:
    reason = cause.reason
    symbols = _symbols(cause)
    sentence = SENTENCES[reason.kind]
    if len(cause.paths) > 1:
        sentence = sentence.replace("{file} is gone", "{file} are gone")
    return sentence.format(
        what=_describe_all(cause),
        file=symbols or _files(writer, cause),
        ago=writer.ago(reason.mtime_ns),
        detail=_command_difference(reason) if reason.kind is ReasonKind.COMMAND_CHANGED else reason.detail,
        symbol=symbols,
    )


def _files(writer: ResultText, cause: RootCause) -> str:
    """Name the file to blame, the one changed last, and count the others."""
    more = len(cause.paths) - 1
    if not more or cause.reason.kind is ReasonKind.COMMAND_CHANGED:
        return writer.path(cause.reason.path)
    return f"{writer.path(cause.reason.path)} and {counted(more, 'more file')}"


def _symbols(cause: RootCause) -> str:
    """Name the configuration symbols that are to blame; empty where they are not."""
    names = ["CONFIG_" + os.path.basename(path) for path in cause.paths if is_config_stamp(path)]
    return list_some(names)


def _describe_all(cause: RootCause) -> str:
    """Name the first of the rules a cause makes stale by itself, and count the rest where that is the message."""
    what = describe(cause.direct[0].rule)
    more = len(cause.direct) - 1
    return f"{what} (and {more} more)" if more and cause.reason.kind is ReasonKind.COMMAND_CHANGED else what


def _command_difference(reason: Reason) -> str:
    """Say which words of a command differ."""
    parts = [
        f"{preposition} {_some(words)}"
        for preposition, words in (("without", reason.removed), ("with", reason.added))
        if words
    ]
    return ", ".join(parts) or reason.detail


def _some(words: tuple[str, ...]) -> str:
    """The first few of many words of a command."""
    more = [f"and {len(words) - MAX_WORDS} more"] if len(words) > MAX_WORDS else []
    return " ".join([*(f"`{word}`" for word in words[:MAX_WORDS]), *more])


def describe(rule: Rule) -> str:
    """Name what a rule makes, as a kernel developer would."""
    crate = rule.crate
    if crate:
        kind = "proc macro" if rule.target.endswith(".so") else "crate"
        return f"{kind} `{crate}`"
    return rule.name


def clock_time(when_s: float, *, now_s: float) -> str:
    """Say when, by the clock; with the day where that is not today."""
    try:
        then, now = time.localtime(when_s), time.localtime(now_s)
    except (OverflowError, OSError, ValueError):
        return "at an impossible time"
    if then[:3] == now[:3]:
        return f"at {time.strftime('%H:%M:%S', then)}"
    return f"on {time.strftime('%Y-%m-%d at %H:%M', then)}"
