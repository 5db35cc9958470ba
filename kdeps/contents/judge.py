# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Judge by content what time alone cannot tell.

The verdict of ``kdeps check`` asks what make asks: is a prerequisite newer? A ledger knows what
each artifact *was* built from. While an artifact is the one of the ledger (its outputs
have the same content, its record the same command), the contents of its inputs decide:

* one differs, and make sees nothing: **stale behind its mtime** (``content-changed``)
* none differs, and one is newer: **touched only**; make would run the step for nothing,
  and the build is no less right for it

What was built since, or is not in the ledger, is judged by time as ever, and where time sees
nothing the answer is "cannot tell": whoever asks a ledger does not trust the times. What the
ledger does not know of (files outside the roots) keeps the reason that time gave.

A step that was run again since and gave the very same bytes cannot be told from one that was
not run, and is called stale: a build has to be followed by a new ledger.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from kdeps.contents.hashes import GONE, OUTSIDE, FileHash, FileHasher
from kdeps.contents.inputs import configuration_inputs, is_only_named
from kdeps.contents.ledger import CONFIGURATION, Entry, Ledger, inputs_of
from kdeps.contents.recall import BY_TIME, conclude_again
from kdeps.contents.roots import Roots
from kdeps.kbuild.configuration import read_configuration
from kdeps.kbuild.rule import Action, Owner, Problem, Rule
from kdeps.kbuild.tree import Tree, roots_of
from kdeps.staleness.check import CheckResult
from kdeps.staleness.judge import direct_reasons
from kdeps.staleness.racy_edits import short_name
from kdeps.staleness.reasons import Finding, Reason, ReasonKind, Remedy, Status
from kdeps.system.text import counted, list_some

_LEADS_OUT = "leads out of the trees, and the ledger has its content: cannot tell whether it changed; --outside looks there"


class Judgement(NamedTuple):
    """What a ledger contains about one build."""

    result: CheckResult
    """With the verdict by content."""
    findings: tuple[Finding, ...]
    touched: tuple[tuple[str, str], ...]
    """Target and path of everything that is newer, and the same."""
    changed: tuple[tuple[str, str], ...]
    """Target and path of every input that differs from the ledger."""
    uncovered: tuple[str, ...]
    """Targets that the ledger cannot speak of."""


class LedgerJudge:
    def __init__(
        self,
        result: CheckResult,
        ledger: Ledger,
        contents: FileHasher,
        environ: dict[str, str],
        trees: tuple[Tree, ...],
    ) -> None:
        self.result = result
        self.environ = environ
        self.ledger = ledger
        self.contents = contents
        self.roots = Roots(trees, ledger.roots)
        self.symbols = read_configuration(result.tree).symbols
        self.touched: dict[tuple[str, str], None] = {}
        self.changed: dict[tuple[str, str], None] = {}
        self.uncovered: list[str] = []
        self.problems: dict[str, Problem] = {}

    # -- one file ----------------------------------------------------------------

    def now(self, path: str) -> FileHash:
        """What is in a file now, wherever its root has gone to."""
        content = self.contents.read(self.roots.path(self.roots.name(path)))
        if not content.digest:
            self.problems.setdefault(path, Problem(path, f"{content.why}: cannot tell whether it changed"))
        return content

    def difference(self, path: str, inputs: frozenset[str]) -> str | None:
        """Return how an input differs from the ledger; empty if it does not, None if that is not known."""
        name = self.roots.name(path)
        then = self.ledger.files.get(name) if name in inputs else None
        now = self.now(path)
        if then is None or not now.digest:
            return None
        if now is OUTSIDE:
            if name != path:
                self.problems.setdefault(path, Problem(path, _LEADS_OUT))
            return None
        if then == now:
            return ""
        if then is GONE:
            return "was not there when the ledger was written"
        if now is GONE:
            return "is gone"
        if then.size == now.size:
            return f"has other content than in the ledger, of the same {now.size} bytes"
        return f"has other content than in the ledger ({then.size} → {now.size} bytes)"

    # -- one rule ----------------------------------------------------------------

    def covers(self, rule: Rule, entry: Entry | None) -> bool:
        """Whether an artifact is the one that the ledger describes."""
        if entry is None or self.roots.text(rule.command) != entry.command:
            return False
        for output in rule.outputs:
            name = self.roots.name(output)
            if name not in entry.outputs or self.now(output) != self.ledger.files[name]:
                return False
        known = frozenset(entry.inputs)
        return all(self.roots.name(path) in known or self.now(path) is OUTSIDE for path in inputs_of(rule))

    def judge(self, rule: Rule, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
        """Replace the reasons by time of one rule by those of content, if the ledger has the rule."""
        if rule.action is Action.FILECHK or (self.result.tree.prebuilt and rule.owner is Owner.KERNEL):
            return reasons  # no step makes it, so it has no reasons by time either
        entry = self.ledger.rules.get(self.roots.name(rule.target))
        if entry is None or not self.covers(rule, entry):
            self.uncovered.append(rule.target)
            return reasons
        known = frozenset(entry.inputs)
        kept: list[Reason] = []
        # What the ledger has and the record does not was read all the same: the record is of another time.
        inputs = {self.roots.name(path): path for path in inputs_of(rule)}
        more = {name: self.roots.path(name) for name in entry.inputs}
        inputs = {name: path for name, path in more.items() if not is_only_named(rule, path)} | inputs
        differs = {
            path: difference for path in inputs.values() if (difference := self.difference(path, known))
        }
        for symbol, then, now in self.ledger.other_values(rule, self.symbols):
            differs[self._stamp_file(symbol)] = f"was {then} when it was built, and is {now}"
        for reason in reasons:
            if self._is_refuted(rule, reason, known, differs):
                self.touched[(rule.target, reason.path)] = None
            else:
                kept.append(reason)
        told = {self._true_path(rule, reason.path) for reason in kept}
        target = self.result.snapshot.mtime_ns.get(rule.target)
        for path, difference in differs.items():
            self.changed[(rule.target, path)] = None
            if path not in told:
                mtime = self.result.snapshot.mtime_ns.get(path)
                kept.append(Reason(ReasonKind.CONTENT_CHANGED, False, path, mtime, target, difference))
        return tuple(kept)

    def _stamp_file(self, symbol: str) -> str:
        return f"{self.result.tree.objtree}/include/config/{symbol}"

    def _true_path(self, rule: Rule, path: str) -> str:
        """Where the stamp file of a symbol lies that a module's record looks for in the wrong folder."""
        before, found, symbol = path.rpartition("/include/config/")
        return self._stamp_file(symbol) if found and before == rule.config_dir else path

    def _is_refuted(self, rule: Rule, reason: Reason, known: frozenset[str], differs: dict[str, str]) -> bool:
        """Whether the ledger refutes a reason by time."""
        if reason.kind is ReasonKind.MISSING_PREREQUISITE:
            # Named by the place where the tree once lay.
            moved = self.roots.path(self.roots.name(reason.path))
            return moved != reason.path and self.difference(reason.path, known) == ""
        if reason.kind not in BY_TIME:
            return False
        if is_only_named(rule, reason.path):
            return True  # the command is the ledger's, and so are the names
        if reason.kind is ReasonKind.INTERRUPTED:
            return reason.path in rule.outputs[1:]  # all outputs have the content they had together
        path = self._true_path(rule, reason.path)
        symbol = path.rpartition("/include/config/")[2]
        if symbol in rule.config and path == self._stamp_file(symbol):
            return path not in differs
        return self.difference(reason.path, known) == ""

    def refutes(self, found: Finding) -> bool:
        """Whether what changed while it was compiled has, for all that, the content of the ledger."""
        if found.kind is not ReasonKind.CHANGED_MEANWHILE:
            return False
        graph = self.result.graph
        for target in found.remove:
            rule = graph.rules[graph.producers[target]]
            entry = self.ledger.rules.get(self.roots.name(target))
            if entry is None or not self.covers(rule, entry):
                return False
            if self.difference(found.path, frozenset(entry.inputs)) != "":
                return False
        for target in found.remove:
            self.touched[(target, found.path)] = None
        return True

    # -- the configuration ---------------------------------------------------------

    def findings(self) -> tuple[Finding, ...]:
        """The findings, with those about the synced configuration judged by content."""
        tree = self.result.tree
        entry = self.ledger.rules.get(CONFIGURATION)
        found = self.result.verdict.findings
        if entry is None or tree.prebuilt:
            return found
        auto_conf = f"{tree.objtree}/include/config/auto.conf"
        if self.now(auto_conf) != self.ledger.files.get(self.roots.name(auto_conf)):
            return found
        known = frozenset(entry.inputs)
        inputs = configuration_inputs(tree, self.environ)
        differences = {path: self.difference(path, known) for path in inputs}
        unknown = any(d is None for path, d in differences.items() if self.now(path) is not OUTSIDE)
        if unknown:
            return found
        differs = {path: text for path, text in differences.items() if text}
        kept: list[Finding] = []
        for finding in found:
            by_time = finding.kind is ReasonKind.CONFIG_NOT_SYNCED and finding.path in differences
            if by_time and not differs:
                self.touched[(auto_conf, finding.path)] = None
            else:
                kept.append(finding)
        told = any(f.kind is ReasonKind.CONFIG_NOT_SYNCED and f.path in differences for f in kept)
        if differs and not told:
            path, text = next(iter(differs.items()))
            more = f" (and {len(differs) - 1} more)" if len(differs) > 1 else ""
            message = f"{text}{more}, but is older than what was synced from it, so no build will sync it"
            kept.append(
                Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE, remedy=Remedy.SYNC)
            )
        return tuple(kept)


def judge_by_content(
    result: CheckResult, ledger: Ledger, contents: FileHasher, environ: dict[str, str],
    trees: tuple[Tree, ...] = (), told: tuple[Finding, ...] = (),
) -> Judgement:  # fmt: skip
    """Judge a build against a ledger of this build, made here or elsewhere.

    Module folders are named by all ``trees`` that the ledger is read for. ``told`` was found already; what the ledger
    refutes of it is left out of the answer.
    """
    judge = LedgerJudge(result, ledger, contents, environ, trees or (result.tree,))
    by_time = direct_reasons(result.verdict)
    direct = [judge.judge(rule, by_time.get(rule.target, ())) for rule in result.graph.rules]
    told = tuple(found for found in told if not judge.refutes(found))
    findings = judge.findings()
    return Judgement(
        conclude_again(result, direct, findings, judge.problems.values()),
        (*told, *_discover(result, judge)),
        tuple(judge.touched),
        tuple(judge.changed),
        tuple(judge.uncovered),
    )


def _discover(result: CheckResult, judge: LedgerJudge) -> list[Finding]:
    found: list[Finding] = []
    shown_name = partial(short_name, roots=roots_of((result.tree,)))
    if judge.touched:
        targets = list(dict.fromkeys(target for target, _ in judge.touched))
        paths = list(dict.fromkeys(path for _, path in judge.touched))
        touched = list_some(paths, 1, shown_name)
        steps = counted(len(targets), "step")
        message = f"touched only: {touched} newer, with the content of the ledger; make would run {steps} for nothing"
        found.append(Finding(ReasonKind.TOUCHED_ONLY, paths[0], message, "", Status.FRESH))
    # What nothing is made from, and what is stale by time already, needs no ledger.
    matter = {result.graph.rules[at].target for at in result.graph.used}
    matter |= {rule.target for rule in result.graph.rules if rule.owner is Owner.MODULE}
    matter -= result.verdict.states.keys()
    unknown = [target for target in judge.uncovered if target in matter]
    if judge.uncovered:
        shown = unknown or judge.uncovered
        names = list_some(shown, 3, shown_name)
        message = f"the ledger has nothing about {names}: not fresh when it was written, or made since"
        status = Status.UNKNOWN if unknown else Status.FRESH
        found.append(
            Finding(
                ReasonKind.NOT_IN_LEDGER,
                shown[0],
                message,
                "after a build, write a new one with --record",
                status,
            )
        )
    return found
