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

from typing import NamedTuple

from kdeps.ci.contents import GONE, OUTSIDE, Content, Contents
from kdeps.ci.discovery import Discovery, Kind
from kdeps.ci.ledger import (
    CONFIGURATION,
    Entry,
    Ledger,
    Roots,
    base_of,
    configuration_inputs,
    inputs_of,
    is_only_named,
    symbols_of,
)
from kdeps.rules import Action, Problem, Rule, Scope
from kdeps.survey import Survey
from kdeps.tree import Tree
from kdeps.verdict import Cure, Finding, Reason, ReasonKind, Status, conclude

_BY_TIME = (ReasonKind.NEWER_PREREQUISITE, ReasonKind.CONFIG_NOT_FOLLOWED, ReasonKind.INTERRUPTED)
_LEADS_OUT = "leads out of the trees, and the ledger has its content: cannot tell whether it changed; --outside looks there"


class Judgement(NamedTuple):
    """What a ledger says of one build."""

    survey: Survey
    """With the verdict by content."""
    discoveries: tuple[Discovery, ...]
    touched: tuple[tuple[str, str], ...]
    """Target and path of everything that is newer, and the same."""
    changed: tuple[tuple[str, str], ...]
    """Target and path of every input that differs from the ledger."""
    uncovered: tuple[str, ...]
    """Targets that the ledger cannot speak of."""


class _Judge:
    def __init__(self, survey: Survey, ledger: Ledger, contents: Contents, trees: tuple[Tree, ...]) -> None:
        self.survey = survey
        self.ledger = ledger
        self.contents = contents
        self.roots = Roots(trees, ledger.roots)
        self.symbols = symbols_of(survey.tree)
        self.touched: dict[tuple[str, str], None] = {}
        self.changed: dict[tuple[str, str], None] = {}
        self.uncovered: list[str] = []
        self.problems: dict[str, Problem] = {}

    # -- one file ----------------------------------------------------------------

    def now(self, path: str) -> Content:
        """What is in a file now, wherever its root has gone to."""
        content = self.contents.read(self.roots.path(self.roots.name(path)))
        if not content.digest:
            self.problems.setdefault(path, Problem(path, f"{content.why}: cannot tell whether it changed"))
        return content

    def difference(self, path: str, inputs: frozenset[str]) -> str | None:
        """How an input differs from the ledger; empty: not at all; ``None``: nobody can tell."""
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
        """Whether an artifact is the one that the ledger speaks of."""
        if entry is None or self.roots.text(rule.command) != entry.command:
            return False
        for output in rule.outputs:
            name = self.roots.name(output)
            if name not in entry.outputs or self.now(output) != self.ledger.files[name]:
                return False
        known = frozenset(entry.inputs)
        return all(
            self.roots.name(path) in known or self.now(path) is OUTSIDE
            for path in inputs_of(rule, base_of(rule, self.survey.tree))
        )

    def judge(self, rule: Rule, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
        """Replace what time says of a rule by what content says, where the ledger knows."""
        if rule.action is Action.FILECHK or (self.survey.tree.prebuilt and rule.scope is Scope.KERNEL):
            return reasons  # nobody can make it again, so nothing is asked of it by time either
        entry = self.ledger.rules.get(self.roots.name(rule.target))
        if entry is None or not self.covers(rule, entry):
            self.uncovered.append(rule.target)
            return reasons
        known = frozenset(entry.inputs)
        kept: list[Reason] = []
        # What the ledger has and the record does not was read all the same: the record is of another time.
        inputs = {self.roots.name(path): path for path in inputs_of(rule, base_of(rule, self.survey.tree))}
        more = {name: self.roots.path(name) for name in entry.inputs}
        inputs = {name: path for name, path in more.items() if not is_only_named(rule, path)} | inputs
        differs = {
            path: difference for path in inputs.values() if (difference := self.difference(path, known))
        }
        for symbol in dict.fromkeys(rule.config):
            name = f"CONFIG_{symbol}"
            then, now = self.ledger.config.get(name, "n"), self.symbols.get(name, "n")
            if then != now:
                differs[self._stamp_file(symbol)] = f"was {then} when it was built, and is {now}"
        for reason in reasons:
            if self._is_refuted(rule, reason, known, differs):
                self.touched[(rule.target, reason.path)] = None
            else:
                kept.append(reason)
        told = {self._true_path(rule, reason.path) for reason in kept}
        target = self.survey.snapshot.mtime_ns.get(rule.target)
        for path, difference in differs.items():
            self.changed[(rule.target, path)] = None
            if path not in told:
                mtime = self.survey.snapshot.mtime_ns.get(path)
                kept.append(Reason(ReasonKind.CONTENT_CHANGED, False, path, mtime, target, difference))
        return tuple(kept)

    def _stamp_file(self, symbol: str) -> str:
        return f"{self.survey.tree.objtree}/include/config/{symbol}"

    def _true_path(self, rule: Rule, path: str) -> str:
        """Where the stamp file of a symbol lies that a module's record looks for in the wrong folder."""
        before, found, symbol = path.rpartition("/include/config/")
        return self._stamp_file(symbol) if found and before == rule.config_dir else path

    def _is_refuted(self, rule: Rule, reason: Reason, known: frozenset[str], differs: dict[str, str]) -> bool:
        """Whether the ledger shows that a reason which time gave is none."""
        if reason.kind is ReasonKind.MISSING_PREREQUISITE:
            # Named by the place where the tree once lay.
            moved = self.roots.path(self.roots.name(reason.path))
            return moved != reason.path and self.difference(reason.path, known) == ""
        if reason.kind not in _BY_TIME:
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

    def refutes(self, found: Discovery) -> bool:
        """Whether what changed while it was compiled has, for all that, the content of the ledger."""
        if found.kind is not Kind.CHANGED_MEANWHILE:
            return False
        graph = self.survey.graph
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
        tree = self.survey.tree
        entry = self.ledger.rules.get(CONFIGURATION)
        found = self.survey.verdict.findings
        if entry is None or tree.prebuilt:
            return found
        auto_conf = f"{tree.objtree}/include/config/auto.conf"
        if self.now(auto_conf) != self.ledger.files.get(self.roots.name(auto_conf)):
            return found
        known = frozenset(entry.inputs)
        inputs = configuration_inputs(tree)
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
            message = f"{text}{more}, and is older than what was synced from it: nobody will sync it"
            # Kbuild goes by time, so what it goes by has to be gone.
            kept.append(
                Finding(
                    ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE, Cure.CONFIGURE, (auto_conf,)
                )
            )  # fmt: skip
        return tuple(kept)


def judge_by_content(
    survey: Survey, ledger: Ledger, contents: Contents, trees: tuple[Tree, ...] = (),
    told: tuple[Discovery, ...] = (),
) -> Judgement:  # fmt: skip
    """Judge a build against a ledger.

    Args:
        survey: The verdict by time.
        ledger: Of this build, here or elsewhere.
        contents: To hash with.
        trees: Of all modules that the ledger is read for; their folders are named by all of them.
        told: What was found already; what the ledger refutes is left out of the answer.
    """
    judge = _Judge(survey, ledger, contents, trees or (survey.tree,))
    states = {state.rule.target: state for state in (*survey.verdict.stale, *survey.verdict.pending)}
    direct: list[tuple[Reason, ...]] = []
    for rule in survey.graph.rules:
        state = states.get(rule.target)
        reasons = (
            tuple(r for r in state.reasons if r.kind is not ReasonKind.STALE_PREREQUISITE) if state else ()
        )
        direct.append(judge.judge(rule, reasons))
    told = tuple(found for found in told if not judge.refutes(found))
    findings = judge.findings()
    cycles = {rule.record or rule.target for rule in (survey.graph.rules[at] for at in survey.graph.cycles)}
    problems = [problem for problem in survey.verdict.problems if problem.path not in cycles]
    everything = (*problems, *judge.problems.values())
    verdict = conclude(survey.graph, direct, survey.verdict.source, findings, everything)
    return Judgement(
        survey._replace(verdict=verdict),
        (*told, *_discover(survey, judge)),
        tuple(judge.touched),
        tuple(judge.changed),
        tuple(judge.uncovered),
    )


def _discover(survey: Survey, judge: _Judge) -> list[Discovery]:
    found: list[Discovery] = []
    if judge.touched:
        targets = list(dict.fromkeys(target for target, _ in judge.touched))
        paths = list(dict.fromkeys(path for _, path in judge.touched))
        first = judge.roots.name(paths[0])
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        steps = f"{len(targets)} step{'s' if len(targets) > 1 else ''}"
        message = f"touched only: {first}{more} newer, with the content of the ledger; make would run {steps} for nothing"
        found.append(Discovery(Kind.TOUCHED_ONLY, paths[0], message, "", Status.FRESH))
    # What nothing is made from, and what is stale by time already, needs no ledger.
    matter = {survey.graph.rules[at].target for at in survey.graph.used}
    matter |= {rule.target for rule in survey.graph.rules if rule.scope is Scope.MODULE}
    matter -= {s.rule.target for s in (*survey.verdict.stale, *survey.verdict.pending)}
    unknown = [target for target in judge.uncovered if target in matter]
    if judge.uncovered:
        shown = unknown or judge.uncovered
        names = [judge.roots.name(target) for target in shown[:3]]
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        message = f"the ledger does not speak of {', '.join(names)}{more}: made, replaced or stale since or when it was written, so that times alone are known"
        status = Status.UNKNOWN if unknown else Status.FRESH
        found.append(
            Discovery(
                Kind.NOT_IN_LEDGER, shown[0], message, "after a build, write a new one with --record", status
            )
        )
    return found
