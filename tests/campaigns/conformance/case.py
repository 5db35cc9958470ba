# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One case: mutate, ask both, compare."""

from __future__ import annotations

import os
import re
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.lab.answer import KdepsAnswer, ask_kdeps, is_kept, keep_check, keep_fresh, recall_check
from tests.lab.kbuild_oracle import KbuildAnswer, Listed, ask_module, ask_prepare
from tests.lab.layout import Layout, Module
from tests.lab.mutate import Case
from tests.lab.operations import apply_step
from tests.lab.overlay import Scratch, differing
from tests.lab.real_build import run_real_make

CACHE = "/root/.cache"
"""Where kdeps may write: nothing else."""

_MODULE_ONLY = {
    "module source",
    "module record",
    "module output",
    "module list",
    "module makefile",
    "absent module config",
    "absent module file",
}
"""Kinds of files that lie in a module's own folders."""

_LINK_TO_SOURCE = "/source"
"""A symbolic link that make renews whenever it starts with O= or MO=."""


@dataclass(slots=True)
class Difference:
    """Where the two answers differ, for one module. Every list empty: they agree."""

    misses: list[str] = field(default_factory=list)
    """Kbuild would run it, kdeps does not list it as directly stale."""
    alarms: list[str] = field(default_factory=list)
    """kdeps lists it as directly stale, Kbuild would not run it."""
    split: list[str] = field(default_factory=list)
    """Listed, but silent where Kbuild would notice, or the other way."""
    contract: list[str] = field(default_factory=list)
    """Broken output, a crash, a tree that was written to, fresh where make stops."""
    unrecorded: list[str] = field(default_factory=list)
    """Recipes without a record that Kbuild would run and kdeps does not list.
    Told, not counted: no record can tell of them."""

    @property
    def disagrees(self) -> bool:
        return bool(self.misses or self.alarms or self.split or self.contract)


@dataclass(slots=True)
class Judged:
    """Both answers for one module, and their difference."""

    module: str
    difference: Difference
    kdeps: KdepsAnswer
    kbuild: KbuildAnswer


@dataclass(slots=True)
class Outcome:
    name: str
    steps: tuple[str, ...]
    kinds: tuple[str, ...]
    extra: tuple[str, ...]
    prepare: KbuildAnswer
    judged: list[Judged] = field(default_factory=list)
    oracle_wrote: tuple[str, ...] = ()
    """Files that asking Kbuild changed after all; then its answer may be incomplete."""
    broken: str = ""
    """The suite itself failed in this case."""
    elapsed_s: float = 0.0

    @property
    def disagrees(self) -> bool:
        return bool(self.broken) or any(j.difference.disagrees for j in self.judged)

    @property
    def kbuild_errors(self) -> tuple[str, ...]:
        """What make complained about, in all its runs."""
        return (*self.prepare.errors, *(e for j in self.judged for e in j.kbuild.errors))


def run_case(case: Case, *, exact: bool = False) -> Outcome:
    """Run one case. Call it in a process that ends afterwards: it enters a :class:`Scratch`."""
    started = time.monotonic()
    outcome = Outcome(
        name=case.name,
        steps=tuple(map(str, case.steps)),
        kinds=tuple(step.kind for step in case.steps),
        extra=case.extra,
        prepare=KbuildAnswer(),
    )
    try:
        _run(case, outcome, exact=exact)
    except Exception:  # a case must never take the run with it
        outcome.broken = traceback.format_exc()
    outcome.elapsed_s = time.monotonic() - started
    return outcome


def _run(case: Case, outcome: Outcome, *, exact: bool) -> None:
    scratch = Scratch()
    private = scratch.private
    if case.warm or not case.steps:
        for module in case.modules:  # what was kept outside the overlay is of files on another device
            keep_fresh(case.layout, [*module.make, *case.extra])
            keep_check(case.layout, [*module.make, *case.extra], {})  # the answer before the mutation
    for step in case.steps:
        apply_step(step)
    mutated = scratch.written()
    env = {} if case.warm else {"XDG_CACHE_HOME": f"{private}/cache"}
    answers = [ask_kdeps(case.layout, [*m.make, *case.extra], exact=exact, env=env) for m in case.modules]
    for module, answer in zip(case.modules, answers, strict=True):
        answer.kept = is_kept(case.layout, [*module.make, *case.extra])
        if case.warm and not exact:  # an answer of --exact is never kept
            _ask_again(case, module, answer)
    after = scratch.written()
    kdeps_wrote = [p for p in differing(mutated, after) if not p.startswith(CACHE)]
    if case.layout.prepare and not _is_module_only(case):
        outcome.prepare = ask_prepare(case.layout, extra=case.extra, private=private)
    asked = [ask_module(case.layout, m.make, extra=case.extra, private=private) for m in case.modules]
    outcome.oracle_wrote = tuple(
        p
        for p in differing(after, scratch.written())
        if not p.startswith(CACHE) and not p.endswith(_LINK_TO_SOURCE)
    )
    for module, answer, kbuild in zip(case.modules, answers, asked, strict=True):
        if answer.verdict == "unknown" and not outcome.prepare.errors and not kbuild.errors:
            kbuild.errors += _stops_when_built(case, module)
        difference = compare(case.layout, module, outcome.prepare, kbuild, answer, set(mutated), exact=exact)
        difference.contract += [f"kdeps wrote {path}" for path in kdeps_wrote]
        outcome.judged.append(Judged(module.name, difference, answer, kbuild))


def _stops_when_built(case: Case, module: Module) -> tuple[str, ...]:
    """Return the complaint of a real build: Kbuild, asked what it would run, runs no compiler that stops."""
    complaint = run_real_make(case.layout, [*module.make, *case.extra], dict(os.environ))
    return (complaint,) if complaint else ()


def _ask_again(case: Case, module: Module, answer: KdepsAnswer) -> None:
    """Keep the answer after the mutation, too, and take it for broken if it is another one than was printed."""
    words = [*module.make, *case.extra]
    keep_check(case.layout, words, {})
    again = recall_check(case.layout, words, {})
    if again is None or answer.broken:
        return
    answer.kept_again = True
    for name in ("exit_status", "verdict", "entries", "findings"):
        if getattr(again, name) != getattr(answer, name):
            answer.broken = f"the kept answer has another {name}: {getattr(again, name)}"


def _is_module_only(case: Case) -> bool:
    """Whether modules_prepare cannot know of the mutation, so that asking it is a waste.

    One case in ten asks all the same, lest this be wrong.
    """
    return (
        bool(case.steps)
        and not case.extra
        and case.index % 10 != 0
        and all(step.kind in _MODULE_ONLY for step in case.steps)
    )


def compare(
    layout: Layout,
    module: Module,
    prepare: KbuildAnswer,
    kbuild: KbuildAnswer,
    kdeps: KdepsAnswer,
    mutated: set[str],
    *,
    exact: bool = False,
) -> Difference:
    """Compare kdeps' directly stale rules with what Kbuild would run for ``modules_prepare`` and for ``M=``.

    A record among the paths that the mutation changed is not intact. ``exact``: commands were compared too, and must
    agree.
    """
    difference = Difference()
    if kdeps.broken:
        difference.contract.append(f"{kdeps.broken}: {kdeps.message[-400:]}")
        return difference
    errors = (*prepare.errors, *kbuild.errors)
    if errors:
        if kdeps.kept:
            difference.contract.append("kdeps make would go by a kept answer where make stops")
        # Edited by hand, kernel.release is written anew by a real make before utsrelease.h is
        # made from it; the referee, which executes nothing, stops there.
        rewritten = any(path.endswith("/include/config/kernel.release") for path in mutated)
        if not kdeps.says_something and not (
            rewritten and all("utsrelease.h" in line or "Error 2" in line for line in errors)
        ):
            difference.contract.append(f"kdeps says nothing where make stops: {errors[0]}")
        return difference
    if prepare.sync and kdeps.verdict == "fresh" and not kdeps.entries and not kdeps.findings:
        difference.contract.append(f"kdeps says nothing where make would run syncconfig: {prepare.sync}")
    # Without .config make stops before anything else; the referee executes nothing, so it goes on.
    # And an artifact dated in the future hides edits that make cannot see either.
    without_config = prepare.sync.endswith("/.config is missing")
    if kdeps.verdict == "unknown" and not without_config and "clock" not in kdeps.findings:
        difference.contract.append(f"kdeps cannot tell where make can: {kdeps.message[-400:]}")
        return difference

    answers = (prepare, kbuild)
    # What --exact adds of the module itself is a changed command, which `make M=…` compares by itself.
    unnoticed = [e for e in kdeps.entries.values() if not (exact and e.where == "pending")]
    if kdeps.kept and (kdeps.verdict != "fresh" or unnoticed):
        difference.contract.append(f"kdeps make would go by a kept answer, and it is {kdeps.verdict}")
    listed: dict[str, Listed] = {}
    for answer in answers:
        listed |= answer.recorded
    required = {t for t, why in listed.items() if exact or why.newer or not _is_intact(t, mutated)}
    unrecorded = {t for a in answers for t in (*a.differing, *_plain_files(a, mutated))}
    allowed = set(listed).union(unrecorded, *(a.rechecked for a in answers))
    direct = {t for t, entry in kdeps.entries.items() if entry.is_direct(commands=exact)}
    difference.misses = sorted(required - direct)
    if any(path.endswith("/modules.order") for path in mutated):
        # What follows modpost goes by that list's content, and the asked make does
        # not write it anew; the building one may. So its silence means nothing here.
        allowed |= {t for t in direct if t.endswith((".mod.o", ".ko", "/.module-common.o"))}
    difference.alarms = sorted(direct - allowed)
    difference.unrecorded = sorted(unrecorded - set(kdeps.entries))
    _compare_split(difference, layout, module, required, prepare, kbuild, kdeps)
    return difference


def _compare_split(
    difference: Difference,
    layout: Layout,
    module: Module,
    required: set[str],
    prepare: KbuildAnswer,
    kbuild: KbuildAnswer,
    kdeps: KdepsAnswer,
) -> None:
    crate = re.compile(re.escape(layout.objtree) + r"/rust/(?!exports)\w+\.(o|so)")
    for target in sorted(required & set(kdeps.entries)):
        entry = kdeps.entries[target]
        if target in kbuild.recorded and entry.where != "pending":
            difference.split.append(f"{target}: M= itself would rebuild it, but it is not pending")
        elif target not in kbuild.recorded and entry.where == "pending":
            difference.split.append(f"{target}: M= would not rebuild it, but it is pending")
        elif (
            target in prepare.recorded
            and "rust" in module.languages
            and crate.fullmatch(target)
            and not entry.silent
        ):
            difference.split.append(
                f"{target}: a crate that M= uses and does not rebuild, but it is not silent"
            )


def _plain_files(answer: KbuildAnswer, mutated: set[str]) -> Iterator[str]:
    """Yield the files among the targets of plain recipes; most are mere names of steps."""
    for target, why in answer.plain.items():
        if why.newer and (os.path.isfile(target) or target in mutated):
            yield target


def _is_intact(target: str, mutated: set[str]) -> bool:
    """Whether target and record are there and as the build left them."""
    folder, name = os.path.split(target)
    record = f"{folder}/.{name}.cmd"
    return os.path.exists(target) and os.path.exists(record) and record not in mutated
