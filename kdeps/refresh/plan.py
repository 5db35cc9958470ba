# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What has to be done to bring a stale build to fresh: pure, from the result of a check.

Everything is made by Kbuild, through its smallest public goal that knows all of
it, ``modules_prepare``. Where Kbuild sees nothing to do (a deleted
``libkernel.rmeta`` beside an intact ``kernel.o``), kdeps removes the target first, so
that Kbuild rebuilds it. Kbuild's records stay correct either way.

No smaller goal works: ``rust/`` and ``rust/kernel.o`` run all of prepare as
well, and a single crate cannot be asked for (measured on 6.12, 7.2 and 7.3).
"""

from __future__ import annotations

import os

from kdeps import NamedTuple
from kdeps.formats.makeargs import without_place, working_directory
from kdeps.kbuild.rule import Owner, Rules
from kdeps.kbuild.tree import Tree
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, ReasonKind, Remedy, Stale, Status
from kdeps.system.errors import KdepsError

REFRESH_GOAL = "modules_prepare"
WHOLE_GOAL = "all"
CONFIGURE_GOAL = "olddefconfig"
SYNC_GOAL = "syncconfig"
_FLAG_VARIABLES = {"KRUSTFLAGS": (".rmeta",), "KCFLAGS": ("-D__BINDGEN__",)}
"""Make variables with flags of the user's own → what tells a command of rust/ that takes them."""


class CannotRefresh(KdepsError):
    """What is stale cannot be refreshed from here; a person has to act."""


class Plan(NamedTuple):
    """What brings a build to fresh, short of ``make M=…`` itself."""

    remove: tuple[str, ...]
    """Files to delete first, absolute, each once."""
    goals: tuple[str, ...]
    """Goals to make after that, each by a make of its own; empty where only the module is concerned."""
    manual: tuple[Finding, ...]
    """What only a person can cure."""

    @property
    def empty(self) -> bool:
        """There is nothing that kdeps could do."""
        return not self.remove and not self.goals


class NewFlags(NamedTuple):
    """Flags of the user's own that change the command of crates which are built already."""

    assignment: str
    """``KRUSTFLAGS=-Cdebuginfo=1``"""
    crates: int


def plan_refresh(result: CheckResult) -> Plan:
    """Decide what to remove and which goals to make. A fresh build has an empty plan."""
    verdict = result.verdict
    findings = [finding for finding in verdict.findings if finding.status is Status.STALE]
    silent = [state for state in verdict.stale if state.silent]
    remove = [problem.path for problem in verdict.problems if problem.remove]
    for state in silent:
        if _needs_removal(state):
            remove.append(state.rule.target)
        # Seen by Kbuild or not: a compiler may write through a link to nowhere, or fail.
        remove += [output for output in state.rule.outputs if output in result.snapshot.dangling]
        remove += _find_dead_stamps(state, result.tree.objtree)
    for finding in findings:
        remove += finding.remove
    goals: list[str] = []
    if any(finding.remedy in (Remedy.CONFIGURE, Remedy.SYNC) for finding in findings):
        goals.append(CONFIGURE_GOAL)
    if any(finding.remedy is Remedy.SYNC for finding in findings):
        goals.append(SYNC_GOAL)
    manual = tuple(finding for finding in findings if finding.remedy is Remedy.MANUAL)
    if len(manual) < len(findings) or any(state.rule.owner is Owner.KERNEL for state in silent):
        goals.append(refresh_goal(result.rules))
        # The refresh makes what this module does not use as well, and then nothing tells any more that it is old.
        remove += [s.rule.target for s in verdict.stale if s.rule.owner is Owner.KERNEL and _needs_removal(s)]
    if result.tree.prebuilt:
        # Of installed headers nothing can be made again; the module's own objects can, and other modules'.
        made = tuple(
            f"{output}/" for output in (result.tree.module_output, *(o for _, o in result.rules.others))
        )
        remove, goals = [path for path in remove if path.startswith(made)], []
    goals += _other_goals(result, silent)
    return Plan(tuple(dict.fromkeys(remove)), tuple(goals), manual)


def _other_goals(result: CheckResult, silent: list[Stale]) -> list[str]:
    """The builds of other modules that have to come first, in their order."""
    goals: list[str] = []
    for source, output in result.rules.others:
        if any(s.rule.owner is Owner.OTHER and s.rule.target.startswith(f"{output}/") for s in silent):
            goals.append(f"M={source}" if source == output else f"M={source} MO={output}")
    return goals


def refresh_goal(rules: Rules) -> str:
    """What has to be made for rules to become fresh."""
    return WHOLE_GOAL if rules.whole else REFRESH_GOAL


def _needs_removal(state: Stale) -> bool:
    """Whether Kbuild sees nothing of what makes a rule stale, but would make a missing target again."""
    direct = [reason for reason in state.reasons if reason.kind is not ReasonKind.STALE_PREREQUISITE]
    if not direct:
        # What feeds it gets a new time, and only of what it compares does Kbuild notice that.
        return not any(reason.path not in state.rule.uncompared_inputs for reason in state.reasons)
    if any(reason.kbuild for reason in direct):
        return False
    # Without its source nothing could make it again.
    gone = ReasonKind.MISSING_PREREQUISITE
    return not any(reason.kind is gone and reason.path == state.rule.source for reason in direct)


def find_gone_sources(result: CheckResult) -> list[str]:
    """Sources that are gone, without which nothing can make what was built from them."""
    gone = ReasonKind.MISSING_PREREQUISITE
    silent = [state for state in result.verdict.stale if state.silent]
    return [
        r.path for state in silent for r in state.reasons if r.kind is gone and r.path == state.rule.source
    ]


def _find_dead_stamps(state: Stale, objtree: str) -> list[str]:
    """Links to nowhere in place of a symbol's stamp file: while they are there, their readers are built each time."""
    folder = f"{objtree}/include/config/"
    kinds = (ReasonKind.MISSING_PREREQUISITE, ReasonKind.CONFIG_NOT_FOLLOWED)
    links = [
        r.path for r in state.reasons if r.kind in kinds and r.mtime_ns is None and r.path.startswith(folder)
    ]
    # Without the link make would see no reason to run; whether the symbol has changed since is unknown.
    return [*links, state.rule.target] if links else []


def kernel_command(tree: Tree, cwd: str, goal: str, *, in_job_server: bool = False) -> list[str]:
    """A make command for the kernel itself, to be run or typed in ``cwd``; a job server sets ``-j`` by itself."""
    words = tree.args.for_kernel
    if in_job_server:
        words = tuple(word for word in words if not word.startswith(("-j", "--jobs")))
    if not stands_there(tree, cwd):
        words = ("-C", tree.make_directory, *without_place(words))
    return ["make", *words, *goal.split()]


def shown_command(tree: Tree, cwd: str, goal: str) -> list[str]:
    """The same command for the user to paste, perhaps where the environment is another one."""
    words, named = kernel_command(tree, cwd, goal), goal.split()
    return [*words[: -len(named)], *tree.inherited, *named]


def stands_there(tree: Tree, cwd: str) -> bool:
    """Whether make, called in ``cwd`` as the user called it, reads the kernel's own Makefile."""
    return os.path.realpath(working_directory(tree.args, cwd)) == os.path.realpath(tree.make_directory)


def find_new_flags(result: CheckResult, environ: dict[str, str]) -> tuple[NewFlags, ...]:
    """Find flags of the user's own that the recorded commands do not have yet.

    ``make KRUSTFLAGS=… M=…`` by itself gives them to the module alone; a refresh with
    the same command line gives them to every crate.
    """
    found: list[NewFlags] = []
    for name, marks in _FLAG_VARIABLES.items():
        value = result.tree.args.variables.get(name, environ.get(name, ""))
        words = value.split()
        lacking = {
            rule.target
            for rule in result.rules.rules
            if rule.owner is Owner.KERNEL
            and rule.name.startswith("rust/")
            and any(mark in rule.command for mark in marks)
            and any(f" {word}" not in rule.command for word in words)
        }
        crates = _count_crates(result, lacking)
        if crates:
            found.append(NewFlags(f"{name}={value}", crates))
    return tuple(found)


def _count_crates(result: CheckResult, targets: set[str]) -> int:
    """Count the crates among some targets and all that is made from them."""
    graph = result.graph
    reached: set[int] = set()
    for at in graph.order:
        fed = any(feed.producer in reached for feed in graph.feeds[at])
        if graph.rules[at].owner is Owner.KERNEL and (fed or graph.rules[at].target in targets):
            reached.add(at)
    return sum(any(o.endswith(".rmeta") for o in graph.rules[at].outputs) for at in reached)
