# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find inputs that were modified while they were being compiled.

make compares an input's mtime with the time at which the compile *ended*. An input that was written
during the compile is therefore older than the target, and make never rebuilds it, although the
compiler may have read the old version.

The start of a compile is not recorded. We use the birth time (``statx``) of a file that the compiler
creates as it runs. Birth times cannot be set, and a copy has a birth time of its own.

* From C, clang creates ``X-1234.o.tmp`` before it reads the first header, and renames it: its birth is
  the start. GNU as removes the old object first: its birth is the start of the assembler.
* From assembly (``.S``), clang writes into the existing object, whose birth means nothing.
* rustc writes a crate's metadata into a temporary folder and renames it: by then it has read every
  source. It writes the *object* into the existing file, whose birth means nothing.

An input counts if its mtime is later than that birth and not later than the target's mtime. Its ctime
must fit, or a program has set the mtime.

Limits, where nothing is found:

* an edit before rustc begins to write the metadata, or of a Rust module that emits none
* artifacts that were copied, unpacked or linked into place (ccache's ``hard_link``)
* inputs on a file system with another clock
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kdeps.kbuild.rule import Action, Rule
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.birth import Times, birth_times, same_clock
from kdeps.system.stat import status_of

_C_COMPILER = re.compile(r"(?:.*/)?(?:[\w.+-]*-)?(?:clang|gcc|cc)(?:-[\d.]+)?")
_WRAPPERS = frozenset(("ccache", "sccache", "distcc", "icecc"))
_SECOND_NS = 1_000_000_000
_LONGEST_NS = 3600 * _SECOND_NS
"""No compile of one object takes longer; a birth before that is of a file that something else put there."""
_STAMP_NS = 20_000_000
"""How coarse the stamps of files are, generously."""
_ATTRIBUTE_NS = 2 * _SECOND_NS
"""How long an editor may take to rename or chmod what it wrote; with a later ctime the mtime was set."""


class RacyEdit(NamedTuple):
    """An input that was changed while it was compiled."""

    path: str
    rule: Rule
    after_ns: int
    """How long after the compiler had begun to write."""
    before_ns: int
    read: bool
    """Whether it had been read by then for certain."""


def find_racy_edits(rules: Iterable[Rule], mtime_ns: Mapping[str, int]) -> list[RacyEdit]:
    """Find every input that was changed while one of some rules ran; steps that compile nothing are passed over."""
    compiles = [
        (rule, born)
        for rule in rules
        if rule.action is Action.IF_CHANGED and rule.command and (born := _born(rule)) is not None
    ]
    inputs = set[str]().union(
        *(rule.prerequisites for rule, _ in compiles), *(rule.optional_prerequisites for rule, _ in compiles)
    )
    moments = sorted(time for path in inputs if (time := mtime_ns.get(path)) is not None)
    found: list[RacyEdit] = []
    for rule, born in compiles:
        end = mtime_ns.get(rule.target)
        if end is None:
            continue
        times = birth_times(born)
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


def find_observed_edits(
    rules: Mapping[str, Rule], began_ns: Mapping[str, int], edited: Iterable[str]
) -> list[str]:
    """Find the targets with an input that was edited after their step began, where the beginning was observed.

    This finds more than ``find_racy_edits``: no birth has to be later than the beginning. It needs a caller that has
    seen make begin each step, by Kbuild's name and the clock that files are stamped by, and has seen which files
    changed meanwhile. What the steps give each other is left out: make takes care of it.
    """
    sources = set(edited).difference(*(rule.outputs for rule in rules.values()))
    found: list[str] = []
    for name, began in began_ns.items():
        rule = rules.get(name)
        inputs = sources.intersection(_inputs(rule)) if rule is not None else ()
        if rule is None or not inputs:
            continue
        end = find_mtime_ns(rule.target) or 0
        if any(began - _STAMP_NS < (find_mtime_ns(path) or 0) <= end for path in inputs):
            found.append(rule.target)
    return found


def _edits(rule: Rule, start: int, end: int, mtime_ns: Mapping[str, int], times: Times) -> list[RacyEdit]:
    inputs = [(path, time) for path in _inputs(rule) if (time := mtime_ns.get(path)) is not None]
    meanwhile = [(path, time) for path, time in inputs if start < time <= end]
    if 2 * len(meanwhile) > len(inputs):
        return []  # sources and artifacts were copied, one after the other
    if any(time == end for _, time in meanwhile) and _was_given(rule.target, end):
        return []  # kdeps.refresh.ninja.timestamps gives an artifact the time of its newest input; when it was done is not known
    return [
        RacyEdit(path, rule, time - start, end - time, not rule.target.endswith(".o") or "--emit=" in rule.command)
        for path, time in meanwhile
        if _was_written(path, time, times)
    ]  # fmt: skip


def _inputs(rule: Rule) -> dict[str, None]:
    return dict.fromkeys((*rule.prerequisites, *rule.optional_prerequisites))


def _is_original(times: Times, end: int) -> bool:
    """Whether a file was born by the step that wrote it."""
    return (
        times.links == 1
        and times.birth_ns <= times.mtime_ns
        and times.birth_ns < end
        and end - times.birth_ns < _LONGEST_NS
    )


def _was_given(path: str, mtime: int) -> bool:
    """Whether a program set the mtime after the file was written."""
    st = status_of(path)
    return st is None or st.st_ctime_ns > mtime


def _was_written(path: str, mtime: int, artifact: Times) -> bool:
    """Whether an mtime is that of a write here, by the clock of the artifact."""
    found = status_of(path)
    if found is None:
        return False
    device = (os.major(found.st_dev), os.minor(found.st_dev))
    return (
        found.st_mtime_ns == mtime
        and -_ATTRIBUTE_NS <= found.st_ctime_ns - mtime <= _ATTRIBUTE_NS
        and same_clock(device, artifact.device)
    )


def _born(rule: Rule) -> str | None:
    """Return the output of a rule that a compiler creates on each run; None if the rule has no such output."""
    if "--emit=" in rule.command:
        return next((output for output in rule.outputs[1:] if output.endswith(".rmeta")), None)
    if not rule.target.endswith(".o") or rule.source is None or not rule.source.endswith(".c"):
        return None
    for word in rule.command.split(None, 6)[:6]:
        if "=" in word or word.rpartition("/")[2] in _WRAPPERS:
            continue
        return rule.target if _C_COMPILER.fullmatch(word) else None
    return None


def report_edits(edits: Iterable[RacyEdit], roots: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Tell of some edits, one discovery for each file, named by the innermost of some folders."""
    by_path: dict[str, list[RacyEdit]] = {}
    for edit in edits:
        by_path.setdefault(edit.path, []).append(edit)
    found = []
    for path, own in by_path.items():
        first = own[0]
        others = f" and {len(own) - 1} more" if len(own) > 1 else ""
        fate = "does not have the edit" if first.read else "may not have the edit"
        message = (
            f"{short_name(path, roots)} was changed while {first.rule.name}{others} was compiled ({_seconds(first.after_ns)} "
            f"after the compiler began to write, {_seconds(first.before_ns)} before it ended): "
            f"the object {fate}, and make does not notice"
        )
        remove = tuple(edit.rule.target for edit in own)
        found.append(Finding(ReasonKind.CHANGED_MEANWHILE, path, message, "", Status.STALE, remove))
    return tuple(found)


def short_name(path: str, roots: tuple[str, ...]) -> str:
    """A path as people say it: from the innermost root on."""
    inside = [root for root in roots if path.startswith(f"{root}/")]
    return path[len(max(inside, key=len)) + 1 :] if inside else path


def _seconds(duration_ns: int) -> str:
    if duration_ns < 10_000_000:
        return f"{duration_ns / 1e6:.1f} ms"
    return f"{duration_ns / 1e9:.2f} s"
