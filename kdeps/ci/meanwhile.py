# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An edit made while its compiler ran: older than the artifact, and not (or not surely) in it.

make compares an input with the *end* of the step. What was written between the beginning
and the end is older than the artifact, so that make is content for ever.

No file has the beginning of a step. But some are *born* after it, and a birth cannot be
forged, nor does a copy keep it:

* clang writes ``X-1234.o.tmp``, opened before the first header is read, and renames it: its birth is
  the beginning. GNU as removes the old object first: its birth is when the assembler began.
* rustc writes a crate's metadata into a folder of its own and renames it: every source has been
  read by then. It writes the *object* into the file that is there, whose birth means nothing.

So: an input whose mtime is later than such a birth and not later than the target's mtime
was changed meanwhile. It must have been a plain write: an mtime that somebody set, which the ctime
betrays, says nothing.

What cannot be told: an edit before the metadata was begun, or of a Rust module that
emits none; anything about artifacts that were copied, unpacked or linked into place (ccache's
``hard_link``), for they were born later than they were written, or long before; a step
whose inputs lie on a file system with another clock.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kdeps.ci.births import Times, read_times, share_clock
from kdeps.ci.discovery import Discovery, Kind
from kdeps.rules import Action, Rule
from kdeps.verdict import Status

_C_COMPILER = re.compile(r"(?:.*/)?(?:[\w.+-]*-)?(?:clang|gcc|cc)(?:-[\d.]+)?")
_WRAPPERS = frozenset(("ccache", "sccache", "distcc", "icecc"))
_SECOND_NS = 1_000_000_000
_LONGEST_NS = 3600 * _SECOND_NS
"""No compile of one object takes longer; a birth before that is of a file that something else put there."""
_ATTRIBUTE_NS = 2 * _SECOND_NS
"""An editor may rename or chmod what it wrote; later than this the mtime was set by somebody."""


class Edit(NamedTuple):
    """An input that was changed while it was compiled."""

    path: str
    rule: Rule
    after_ns: int
    """How long after the compiler had begun to write."""
    before_ns: int
    """How long before it was done."""
    read: bool
    """Whether it had been read by then for certain."""


def find_edits(rules: Iterable[Rule], mtime_ns: Mapping[str, int]) -> list[Edit]:
    """Find every input that was changed while one of some rules ran.

    Args:
        rules: Steps; those that compile nothing are passed over.
        mtime_ns: Of their inputs and targets, as the snapshot has it.
    """
    compiles = [
        (rule, born)
        for rule in rules
        if rule.action is Action.IF_CHANGED and rule.command and (born := _born(rule)) is not None
    ]
    inputs = set[str]().union(
        *(rule.prerequisites for rule, _ in compiles), *(rule.optional for rule, _ in compiles)
    )
    moments = sorted(time for path in inputs if (time := mtime_ns.get(path)) is not None)
    found: list[Edit] = []
    for rule, born in compiles:
        end = mtime_ns.get(rule.target)
        if end is None:
            continue
        times = read_times(born)
        if times is None or not _is_original(times, end):
            continue
        start = times.birth_ns
        if start % _SECOND_NS == 0:
            start += _SECOND_NS  # a file system that keeps whole seconds
        # Most often no file at all has changed in that second: look for which only then.
        if bisect_right(moments, start) == bisect_right(moments, end):
            continue
        found += _edits(rule, start, end, mtime_ns, times)
    return found


def _edits(rule: Rule, start: int, end: int, mtime_ns: Mapping[str, int], times: Times) -> list[Edit]:
    inputs = [(path, time) for path in _inputs(rule) if (time := mtime_ns.get(path)) is not None]
    meanwhile = [(path, time) for path, time in inputs if start < time <= end]
    if 2 * len(meanwhile) > len(inputs):
        return []  # sources and artifacts were copied, one after the other
    if any(time == end for _, time in meanwhile) and _was_given(rule.target, end):
        return []  # kdeps.ninja.settle gives an artifact the time of its newest input; when it was done is not known
    return [
        Edit(path, rule, time - start, end - time, not rule.target.endswith(".o") or "--emit=" in rule.command)
        for path, time in meanwhile
        if _was_written(path, time, times)
    ]  # fmt: skip


def _inputs(rule: Rule) -> dict[str, None]:
    return dict.fromkeys((*rule.prerequisites, *rule.optional))


def _is_original(times: Times, end: int) -> bool:
    """Whether a file was born by the step that wrote it."""
    return (
        times.links == 1
        and times.birth_ns <= times.mtime_ns
        and times.birth_ns < end
        and end - times.birth_ns < _LONGEST_NS
    )


def _was_given(path: str, mtime: int) -> bool:
    """Whether somebody set an mtime, after the file was written."""
    try:
        return os.stat(path).st_ctime_ns > mtime
    except (OSError, ValueError):
        return True


def _was_written(path: str, mtime: int, artifact: Times) -> bool:
    """Whether an mtime is that of a write here, by the clock of the artifact."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    device = (os.major(found.st_dev), os.minor(found.st_dev))
    return (
        found.st_mtime_ns == mtime
        and -_ATTRIBUTE_NS <= found.st_ctime_ns - mtime <= _ATTRIBUTE_NS
        and share_clock(device, artifact.device)
    )


def _born(rule: Rule) -> str | None:
    """The output of a rule that a compiler makes anew every time; ``None``: there is none."""
    if "--emit=" in rule.command:
        return next((output for output in rule.outputs[1:] if output.endswith(".rmeta")), None)
    if not rule.target.endswith(".o") or rule.source is None:
        return None
    for word in rule.command.split(None, 6)[:6]:
        if "=" in word or word.rpartition("/")[2] in _WRAPPERS:
            continue
        return rule.target if _C_COMPILER.fullmatch(word) else None
    return None


def report_edits(edits: Iterable[Edit], roots: tuple[str, ...] = ()) -> tuple[Discovery, ...]:
    """Tell of some edits, one discovery for each file, named by the innermost of some folders."""
    by_path: dict[str, list[Edit]] = {}
    for edit in edits:
        by_path.setdefault(edit.path, []).append(edit)
    found = []
    for path, own in by_path.items():
        first = own[0]
        others = f" and {len(own) - 1} more" if len(own) > 1 else ""
        fate = "it is not in it" if first.read else "whether it is in it, nobody knows"
        message = (
            f"{short_name(path, roots)} was changed while {first.rule.name}{others} was compiled, {_seconds(first.after_ns)} "
            f"after the compiler had begun to write and {_seconds(first.before_ns)} before it was done: {fate}, "
            "and to make it is up to date"
        )
        remove = tuple(edit.rule.target for edit in own)
        found.append(Discovery(Kind.CHANGED_MEANWHILE, path, message, "", Status.STALE, remove))
    return tuple(found)


def short_name(path: str, roots: tuple[str, ...]) -> str:
    """A path as people say it: from the innermost root on."""
    inside = [root for root in roots if path.startswith(f"{root}/")]
    return path[len(max(inside, key=len)) + 1 :] if inside else path


def _seconds(duration_ns: int) -> str:
    if duration_ns < 10_000_000:
        return f"{duration_ns / 1e6:.1f} ms"
    return f"{duration_ns / 1e9:.2f} s"
