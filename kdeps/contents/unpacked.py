# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An object tree that was unpacked from a cache: which of its steps are right, by a ledger alone.

Beside a fresh checkout times tell nothing, and who makes all outputs newer than all sources blesses
whatever is stale in the cache. So each step is compared with the ledger: its record, its outputs, its
inputs, the programs that it starts, the tools, the symbols, the names that could stand in for an input.

* A step is right if nothing of it differs. Its outputs get a time that make accepts: that of its
  newest prerequisite, or their own where that is later.
* Every other step loses its outputs, so that make runs it, whatever the times are. What follows from it
  loses them as well: make would run it after that one.
* A generated file that differs and that no step here makes (a wrapper of a header) is removed.
* A configuration that may not be synced loses all that syncconfig writes but ``auto.conf``, with which
  it compares the new values.

What is wrong is removed before anything gets a time: who is killed in between has blessed nothing.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from kdeps.contents.hashes import GONE, OUTSIDE, FileHasher
from kdeps.contents.inputs import Surroundings, configuration_inputs, configuration_outputs
from kdeps.contents.ledger import (
    CONFIGURATION,
    Entry,
    Ledger,
    inputs_of,
    shadow_digest,
    tool_digests,
    tool_texts,
)
from kdeps.contents.roots import Roots
from kdeps.contents.settle import Settling, are_ours, give_time, is_as_judged
from kdeps.contents.shadows import Shadows
from kdeps.kbuild.configuration import read_configuration
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.staleness.new_times import list_compared
from kdeps.system.errors import KdepsError
from kdeps.system.files import AllowedRoots
from kdeps.system.stat import mtime_ns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kdeps.kbuild.tree import Tree
    from kdeps.staleness.check import CheckResult


class UnpackedPlan(NamedTuple):
    """What to do with an unpacked tree."""

    right: int
    wrong: dict[str, str]
    """Target → why it is to be built again; in the order of the build."""
    follows: frozenset[str]
    """Those that only follow from another one."""
    remove: tuple[str, ...]
    settle: tuple[Settling, ...]


def plan_unpacked(
    result: CheckResult,
    ledger: Ledger,
    contents: FileHasher,
    trees: tuple[Tree, ...],
    environ: dict[str, str],
) -> UnpackedPlan:
    """Decide what of an unpacked tree is right, and what has to go.

    Of the result only rules and stamps are used; the ledger is of the build that is in the cache. Module folders are
    named by all ``trees`` that the ledger is read for. Raises KdepsError where something cannot be read, or a step
    has an output outside of the trees.
    """
    return _UnpackedJudge(result, ledger, contents, trees, environ).plan()


def carry_out(plan: UnpackedPlan, result: CheckResult) -> None:
    """Remove what is wrong, then settle what is right.

    Raises OSError: a file cannot be removed or settled. Then nothing that is wrong has got a time.
    """
    for path in plan.remove:
        os.unlink(path)
    for one in plan.settle:
        for path in one.paths:
            if not is_as_judged(path, result):
                raise OSError(11, "changed meanwhile", path)
            give_time(path, one.mtime_ns)


class _UnpackedJudge:
    def __init__(
        self,
        result: CheckResult,
        ledger: Ledger,
        contents: FileHasher,
        trees: tuple[Tree, ...],
        environ: dict[str, str],
    ) -> None:
        self._result, self._tree, self._ledger, self._contents = result, result.tree, ledger, contents
        self._roots = Roots(trees, ledger.roots)
        self._environ = environ
        self._around = Surroundings(result.tree, environ)
        self._shadows = Shadows()
        self._symbols = read_configuration(result.tree).symbols
        self._other_tools = _compare_tools(ledger, result, self._around, environ)
        self._left = _left_places(ledger, self._roots)
        places = (self._tree.objtree, self._tree.module_output, *(o for _, o in result.rules.others))
        self._fence = AllowedRoots(tuple(filter(None, places)))
        self._also: dict[str, list[str]] = {}
        self._now_ns = time.time_ns()
        self._names: dict[str, str] = {}
        self._differences: dict[str, str] = {}
        self._wrong: dict[str, str] = {}
        self._follows: set[str] = set()

    def plan(self) -> UnpackedPlan:
        graph = self._result.graph
        judged = [at for at in graph.order if self._is_judged(graph.rules[at])]
        cyclic = {graph.rules[at].target for at in graph.cycles}
        for at in judged:
            rule = graph.rules[at]
            why = "its record makes it depend on itself" if rule.target in cyclic else self._why_wrong(rule)
            if why:
                self._wrong[rule.target] = why
        configuration = self._why_unsynced()
        first = () if configuration else self._settle_configuration()
        while True:
            self._follow(judged)
            settle, refused = self._settle(judged, first)
            if not refused:
                break
            self._wrong.update(refused)
        targets = (graph.rules[at].target for at in judged)
        wrong = {target: self._wrong[target] for target in targets if target in self._wrong}
        remove = [path for at in judged for path in self._outputs_of_wrong(graph.rules[at])]
        remove += self._find_strays(judged)
        for problem in self._result.verdict.problems:
            if not problem.remove:
                raise KdepsError(f"{problem.path}: {problem.message}")
            if self._fence.contains(problem.path):
                remove.append(problem.path)
        if configuration:
            wrong = {f"{self._tree.objtree}/include/config/auto.conf": configuration, **wrong}
            remove += configuration_outputs(self._tree)[1:]
        return UnpackedPlan(
            len(judged) - len(wrong) + bool(configuration),
            wrong,
            frozenset(self._follows),
            tuple(path for path in dict.fromkeys(remove) if os.path.lexists(path)),
            (*first, *settle),
        )

    def _is_judged(self, rule: Rule) -> bool:
        """Whether a rule can be proven: it does not run each time, and its recorded command can run again."""
        if rule.action is Action.FILECHK or (self._tree.prebuilt and rule.owner is Owner.KERNEL):
            return False
        for path in rule.outputs:
            if not self._fence.contains(path):
                raise KdepsError(
                    f"{path}: {rule.name} is made there, outside of the trees; remove the cached tree and build anew"
                )
        return True

    def _also_read(self, rule: Rule) -> list[str]:
        found = self._also.get(rule.target)
        if found is None:
            found = self._also[rule.target] = self._around.also_read(rule)
        return found

    # -- contents ------------------------------------------------------------------

    def _name(self, path: str) -> str:
        name = self._names.get(path)
        if name is None:
            name = self._names[path] = self._roots.name(path)
        return name

    def _difference(self, name: str) -> str:
        """How a file differs from the ledger; empty: not at all."""
        found = self._differences.get(name)
        if found is None:
            found = self._differences[name] = self._compare(name)
        return found

    def _compare(self, name: str) -> str:
        path = self._roots.path(name)
        then, now = self._ledger.files[name], self._contents.read(path)
        if then == now and now.digest:
            return ""
        if now is GONE:
            return "is gone"
        if then is GONE:
            return "was not there"
        return now.why or "has other content"

    def _differing(self, paths: Iterable[str], names: tuple[str, ...]) -> str:
        """Say what differs between the files of a step and those that it has in the ledger; empty: nothing."""
        there = set()
        for path in paths:
            content = self._contents.read(path)
            if content is not OUTSIDE:
                there.add(self._name(path))
        for name in sorted(there.symmetric_difference(names)):
            if name in there and self._contents.read(self._roots.path(name)) is not GONE:
                return f"{_shown(name)} is read now, and was not"
            if name in names and self._ledger.files[name] is not GONE:
                return f"{_shown(name)} was read, and is not named now"
        for name in names:
            difference = self._difference(name)
            if difference:
                return f"{_shown(name)} {difference}"
        return ""

    # -- one rule ------------------------------------------------------------------

    def _why_wrong(self, rule: Rule) -> str:
        """Why a step is not certainly right; empty: it is."""
        entry = self._ledger.rules.get(self._name(rule.target))
        if entry is None:
            return "the ledger has nothing about it"
        return (
            self._other_tools
            or self._why_other_step(rule, entry)
            or self._differing(rule.outputs, entry.outputs)
            or self._differing(inputs_of(rule), entry.inputs)
            or self._differing(self._also_read(rule), entry.also)
            or next((
                f"CONFIG_{symbol} was {then}, and is {now}"
                for symbol, then, now in self._ledger.other_values(rule, self._symbols)
            ), "")
            or next((f"the value of {name} is compiled in" for name in self._around.compiled_in(rule)), "")
            or ("" if shadow_digest(rule, self._roots, self._shadows) == entry.shadows else
                "another file came or went that it would read instead")
        )  # fmt: skip

    def _why_other_step(self, rule: Rule, entry: Entry) -> str:
        record = self._contents.read(rule.record).digest if rule.record else ""
        if record != entry.record or self._roots.text(rule.command) != entry.command:
            return "its record differs"
        paths = (*rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs)
        if self._left and (self._left.search(rule.command) or any(map(self._left.match, paths))):
            return "its record names the place where the tree was"
        return ""

    def _follow(self, judged: list[int]) -> None:
        """Add what surely follows from a step that is wrong, through what it reads and the programs it starts."""
        graph, before = self._result.graph, -1
        while len(self._wrong) > before:
            before = len(self._wrong)
            for at in judged:
                rule = graph.rules[at]
                if rule.target in self._wrong:
                    continue
                for path in (*(feed.path for feed in graph.feeds[at]), *self._also_read(rule)):
                    producer = graph.producers.get(path, at)
                    maker = graph.rules[producer]
                    if maker.target in self._wrong and path not in maker.replaced_if_changed:
                        self._wrong[rule.target] = f"follows from {maker.name}"
                        self._follows.add(rule.target)
                        break

    # -- the configuration ---------------------------------------------------------

    def _why_unsynced(self) -> str:
        entry = self._ledger.rules.get(CONFIGURATION)
        if self._tree.prebuilt:
            return ""
        if entry is None:
            return "the ledger has nothing about it"
        return (
            self._other_tools
            or self._differing(configuration_outputs(self._tree), entry.outputs)
            or self._differing(configuration_inputs(self._tree, self._environ), entry.inputs)
        )

    def _settle_configuration(self) -> tuple[Settling, ...]:
        """Give the synced configuration a time with which syncconfig does not run."""
        if self._tree.prebuilt:
            return ()
        newest = max(map(mtime_ns, configuration_inputs(self._tree, self._environ)), default=0)
        paths = [path for path in configuration_outputs(self._tree) if mtime_ns(path) < newest]
        if not paths or newest > self._now_ns:
            return ()
        return (Settling("include/config/auto.conf", paths[0], tuple(reversed(paths)), newest),)

    # -- times -----------------------------------------------------------------------

    def _settle(
        self, judged: list[int], first: tuple[Settling, ...]
    ) -> tuple[list[Settling], dict[str, str]]:
        """Find the new times of all that is right, and what cannot have one."""
        graph, snapshot = self._result.graph, self._result.snapshot
        before = snapshot.mtime_ns
        after = {path: one.mtime_ns for one in first for path in one.paths}
        found: list[Settling] = []
        refused: dict[str, str] = {}
        for at in judged:
            rule = graph.rules[at]
            if rule.target in self._wrong:
                continue
            outputs = [path for path in (*rule.outputs[1:], rule.target) if path in before]
            times = [
                after.get(path, before.get(path, 0))
                for path in list_compared(rule, snapshot, self._tree.objtree)
            ]
            newest = max([*times, *(before[path] for path in outputs)])
            late = tuple(path for path in outputs if before[path] < newest)
            if newest > self._now_ns:
                refused[rule.target] = "a time of it or of what it reads is in the future"
            elif late and not are_ours(late):
                refused[rule.target] = "its output is a link"
            elif late:
                found.append(Settling(rule.name, rule.target, late, newest))
                after.update(dict.fromkeys(late, newest))
        return found, refused

    # -- what has to go ----------------------------------------------------------------

    def _outputs_of_wrong(self, rule: Rule) -> list[str]:
        """The files to remove; of a right step what its compiler left when an earlier run was broken off."""
        if rule.target not in self._wrong:
            left = rule.depfile in self._result.rules.leftovers
            return [rule.depfile] if rule.depfile and left and self._fence.contains(rule.depfile) else []
        return [rule.target, *(path for path in rule.outputs[1:] if path not in rule.replaced_if_changed)]

    def _find_strays(self, judged: list[int]) -> list[str]:
        """List the generated files that differ and have no step here to make them again."""
        graph, tree = self._result.graph, self._tree
        made = {output for at in judged for output in graph.rules[at].outputs}
        kept = {*made, *configuration_outputs(tree), *configuration_inputs(tree, self._environ)}
        if tree.prebuilt:
            return []
        found: dict[str, None] = {}
        for rule in graph.rules:
            for path in inputs_of(rule):
                if path in kept or not path.startswith(f"{tree.objtree}/"):
                    continue
                kept.add(path)
                name = self._name(path)
                generated = tree.objtree != tree.srctree or "/generated/" in path
                if (
                    generated
                    and name in self._ledger.files
                    and self._difference(name)
                    and self._fence.contains(path)
                ):
                    found[path] = None
        return list(found)


def _compare_tools(ledger: Ledger, result: CheckResult, around: Surroundings, environ: dict[str, str]) -> str:
    """Say which tool is another one than that of the ledger; empty: none is."""
    if not ledger.tools:
        return "the ledger is of an older kdeps; write a new one with --record"
    texts = tool_texts(result.tree, environ)
    for name in sorted(ledger.toolchain.keys() | texts.keys()):
        if ledger.toolchain.get(name) != texts.get(name):
            return f"{name} was `{ledger.toolchain.get(name)}`, and is `{texts.get(name)}`"
    digests = tool_digests(around, environ)
    for name in sorted(ledger.tools.keys() | digests.keys()):
        if ledger.tools.get(name) != digests.get(name) or not digests.get(name):
            return f"{name.partition(' ')[0]} is another program of the same name"
    return ""


def _left_places(ledger: Ledger, roots: Roots) -> re.Pattern[str] | None:
    """What finds the places where the roots were, if they are elsewhere now."""
    left = [re.escape(path) for name, path in ledger.roots.items() if roots.paths.get(name) != path]
    return re.compile(rf"(?:{'|'.join(left)})(?![\w.+-])") if left else None


def _shown(name: str) -> str:
    """A name for people: relative to its root."""
    return name.partition(")/")[2] or name
