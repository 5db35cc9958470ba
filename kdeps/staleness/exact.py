# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Join Kbuild's own answer with what only records contain. ``kbuild.question`` asks Kbuild."""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple

from kdeps.formats.cmdfile import RecordState, unescape
from kdeps.formats.makeargs import LINT_ONLY
from kdeps.kbuild.command_files import find_command_files, find_module_files
from kdeps.kbuild.graph import Graph, build_graph
from kdeps.kbuild.question import Answer, KbuildAnswer, absolute, run_question
from kdeps.kbuild.rule import Action, Owner, Problem, Rule, Rules
from kdeps.kbuild.tree import Tree, roots_of
from kdeps.staleness.check import CheckResult
from kdeps.staleness.judge import add_problems, conclude, direct_reasons
from kdeps.staleness.reasons import Reason, ReasonKind, Source
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.stat import is_endless, status_of

_ENDLESS = "not a file: make would wait for it for ever"


class _Question(NamedTuple):
    """One run of make."""

    scope: Owner
    arguments: list[str]
    """Variables and goal."""
    output: str
    """The folder that its targets are relative to."""


def ask_kbuild(result: CheckResult, environ: dict[str, str]) -> CheckResult:
    """Replace the record's answer, but for the reasons that Kbuild does not see, by Kbuild's own.

    Where make would wait for a file that it reads, the answer stays that of the record.

    Raises KbuildError if make could not be started, or did not come back.
    """
    started = time.perf_counter()
    tree = result.tree
    endless = _find_endless(result, environ)
    if endless:
        told = {problem.path for problem in result.verdict.problems}
        waits = [Problem(path, _ENDLESS) for path in endless if path not in told]
        return result._replace(verdict=add_problems(result.verdict, tuple(waits)))
    answers, stops = _ask_all(result, environ)
    rules = _with_unknown(result.rules, answers, tree)
    graph = _with_unknown_used(build_graph(rules, tree.objtree), result.rules)
    by_record = direct_reasons(result.verdict)
    problems = tuple(Problem(tree.objtree, f"make stopped: {line}") for line in dict.fromkeys(stops))
    stamps = result.snapshot.mtime_ns
    # No line means fresh only in the scopes that make was run for, and only if make came to its end.
    answered = set() if stops else {question.scope for question in _list_questions(result)}
    direct = [
        _merge(
            rule,
            by_record.get(rule.target, ()),
            answers.get(rule.target),
            stamps,
            whole=rule.owner in answered,
        )
        for rule in graph.rules
    ]
    verdict = conclude(
        graph,
        direct,
        Source.KBUILD,
        tuple(f for f in result.verdict.findings if f.kind is not ReasonKind.COMMAND_CHANGED),
        (*result.rules.problems, *result.snapshot.problems, *problems),
    )
    elapsed_ms = result.elapsed_ms + (time.perf_counter() - started) * 1000
    return result._replace(rules=rules, graph=graph, verdict=verdict, elapsed_ms=elapsed_ms)


def _list_questions(result: CheckResult) -> list[_Question]:
    """List the questions to make: about the kernel, about each module that is an input, about the module."""
    tree = result.tree
    questions: list[_Question] = []
    # What asks to look more closely at the module is not given to other builds.
    arguments = _make_words(tree, tree.args.kept)
    if tree.module is not None:
        arguments = [word for word in arguments if word.partition("=")[0] not in LINT_ONLY]
    if not tree.prebuilt:
        goal = "all" if result.rules.whole else "modules_prepare"
        questions.append(_Question(Owner.KERNEL, [*arguments, goal], tree.objtree))
    for source, output in result.rules.others:
        place = [f"M={source}"] if source == output else [f"M={source}", f"MO={output}"]
        questions.append(_Question(Owner.OTHER, [*arguments, *place, "modules"], output))
    # make would make the folder of MO= first; what is not there was never built.
    if tree.module is not None and os.path.isdir(tree.module_output or tree.objtree):
        words = [
            *tree.args.kept,
            *(w for w in tree.args.words if w not in tree.args.kept and w not in tree.args.goals),
        ]
        extra = [] if {"M", "KBUILD_EXTMOD"} & tree.args.variables.keys() else [f"M={tree.module}"]
        output = tree.module_output or tree.objtree
        own = [*_make_words(tree, tuple(words)), *extra, "modules"]
        questions.append(_Question(Owner.MODULE, own, output))
    return questions


def _ask_all(
    result: CheckResult, environ: dict[str, str]
) -> tuple[dict[str, tuple[Owner, Answer]], list[str]]:
    """Ask all questions; return what make would make, and what it stopped at."""
    tree = result.tree
    makefiles = [path for source, _ in result.rules.others for path in find_module_files(source)]
    records = {rule.target: rule.record for rule in result.rules.rules if rule.owner is Owner.OTHER}
    answers: dict[str, tuple[Owner, Answer]] = {}
    errors: list[tuple[str, str]] = []
    made: set[str] = set()
    trees = (*roots_of((tree,)), *(path for pair in result.rules.others for path in pair))
    for question in _list_questions(result):
        given = run_question(question.scope, question.arguments, tree.make_directory, environ, trees)
        made.update(answer.target for answer in given.answers)
        if question.scope is Owner.OTHER:
            given = _leave_out_choices(given, records, makefiles)
        if question.scope is not Owner.OTHER or tree.module is not None:
            # Another module may need words that only its own build is given.
            errors += [(line, question.output) for line in given.errors]
        for answer in given.answers:
            known = answers.get(answer.target)
            if known is None or (answer.command and not known[1].command):
                answers[answer.target] = (question.scope, answer)
    stops = [line for line, output in errors if not _would_be_made(line, made, (tree.objtree, output))]
    return answers, stops


def _leave_out_choices(
    given: KbuildAnswer, records: dict[str, str | None], makefiles: list[str]
) -> KbuildAnswer:
    """Leave out what differs only because another module was built by other words than this one is.

    Its command changed of itself only if one of its Makefiles did: after the record was written.

    Args:
        given: Kbuild's answer about the module.
        records: Target → record, of the module's steps that count here.
        makefiles: What its commands are made from.
    """
    changed_ns = max((st.st_ctime_ns for path in makefiles if (st := status_of(path))), default=0)
    left: list[Answer] = []
    for answer in given.answers:
        record = status_of(records.get(answer.target) or "")
        if answer.target not in records:
            continue  # a step that is none of this module's inputs
        if record is None or (record.st_mtime_ns < changed_ns and not answer.target.endswith(".symvers")):
            left.append(answer)
        elif answer.newer:
            left.append(answer._replace(command=""))
    return given._replace(answers=tuple(left))


def _find_endless(result: CheckResult, environ: dict[str, str]) -> list[str]:
    """Find what make would read and never come to the end of: a FIFO in the place of a file."""
    tree = result.tree
    paths = {problem.path for problem in result.verdict.problems}
    paths.update(find_command_files(tree, environ))
    paths.update(tree.makefiles)
    paths.add(f"{tree.objtree}/include/config/kernel.release")
    for source, output in ((tree.module, tree.module_output), *result.rules.others):
        paths.update(find_module_files(source) if source else ())
        paths.add(f"{output}/modules.order")
    return sorted(path for path in paths if is_endless(path))


def _make_words(tree: Tree, words: tuple[str, ...]) -> list[str]:
    """The user's assignments. No other option changes a command, and the caller stands where ``-C`` leads."""
    kept = [
        word for word in words if "=" in word and not word.startswith("-") and word not in tree.args.evaluated
    ]
    kept += [f"--eval={text}" for text in tree.args.evaluated]
    if tree.args.variables.get("MO") and not os.path.isabs(tree.args.variables["MO"]):
        kept = [f"MO={tree.module_output}" if w.startswith("MO=") else w for w in kept]
    return kept


def _would_be_made(error: str, made: set[str], folders: tuple[str, ...]) -> bool:
    """Whether make stopped only for want of a file that it would have made, had it been let.

    Several makes run one after the other; a later one has no rule for what an
    earlier one writes (modpost's make: modules.order).
    """
    said = re.match(r"No rule to make target '([^']+)'", error)
    return said is not None and any(absolute(said[1], folder) in made for folder in folders)


def _with_unknown_used(graph: Graph, known: Rules) -> Graph:
    """Take what was never made in ``rust/`` for an input of the crates, if the module uses any.

    What Kbuild would make there it makes for them, and no record can say for which.
    """
    before = {rule.target for rule in known.rules}
    if not any(graph.rules[at].name.startswith("rust/") for at in graph.used):
        return graph
    new = {
        at
        for at, rule in enumerate(graph.rules)
        if rule.target not in before and rule.owner is Owner.KERNEL and rule.name.startswith("rust/")
    }
    return graph._replace(used=graph.used | new) if new else graph


def _with_unknown(rules: Rules, answers: dict[str, tuple[Owner, Answer]], tree: Tree) -> Rules:
    """Add a rule for each target that Kbuild would make and that has never been made.

    A plain recipe's target that is no file is the name of a step (6.12: ``install_headers`` of
    tools/lib/subcmd), which make takes each time and which leaves nothing that could be stale.
    """
    known = {rule.target for rule in rules.rules}
    added: list[Rule] = []
    for target, (scope, answer) in answers.items():
        if target in known or (answer.plain and not os.path.isfile(target)):
            continue
        base = (tree.module_output if scope is Owner.MODULE else None) or tree.objtree
        name = target[len(base) + 1 :] if target.startswith(base + "/") else target
        added.append(
            Rule(
                target=target, name=name, owner=scope, action=Action.IF_CHANGED, outputs=(target,),
                prerequisites=answer.newer, config_dir=base,
            )
        )  # fmt: skip
    return rules._replace(rules=(*rules.rules, *added)) if added else rules


def _merge(
    rule: Rule,
    recorded: tuple[Reason, ...],
    answered: tuple[Owner, Answer] | None,
    stamps: dict[str, int],
    *,
    whole: bool,
) -> tuple[Reason, ...]:
    """Join what Kbuild answered with what it cannot see. Where the two differ, Kbuild is right."""
    if answered is None:
        # Of another module some answers were left out.
        if not whole or rule.action is Action.FILECHK or rule.owner is Owner.OTHER:
            return recorded
        return tuple(reason for reason in recorded if not reason.kbuild)
    answer = answered[1]
    reasons = [reason for reason in recorded if reason.kind is not ReasonKind.COMMAND_CHANGED]
    target = stamps.get(rule.target)
    blamed = {reason.path for reason in recorded}
    if target is not None:
        for path in answer.newer:
            if path not in blamed:
                mtime = stamps.get(path) or find_mtime_ns(path)
                kind = ReasonKind.MISSING_PREREQUISITE if mtime is None else ReasonKind.NEWER_PREREQUISITE
                reasons.append(Reason(kind, True, path, mtime, target))
    elif not reasons:
        reasons.append(Reason(ReasonKind.MISSING_TARGET, True, rule.target))
    if (
        answer.command
        and target is not None
        and rule.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
    ):
        old, new = unescape(rule.command).split(), answer.command.replace("$(pound)", "#").split()
        removed, added = _word_difference(old, new), _word_difference(new, old)
        detail = "the same words in another order" if not added and not removed else ""
        reasons.append(
            Reason(
                ReasonKind.COMMAND_CHANGED,
                True,
                rule.target,
                target,
                target,
                detail,
                tuple(added),
                tuple(removed),
            )
        )
    if not reasons:
        reasons.append(
            Reason(ReasonKind.MISSING_RECORD, True, rule.target, None, target, "it was never recorded")
        )
    return tuple(reasons)


def _word_difference(words: list[str], without: list[str]) -> list[str]:
    """The words of one command that another does not have, in order, counted."""
    left = list(without)
    found: list[str] = []
    for word in words:
        if word in left:
            left.remove(word)
        else:
            found.append(word)
    return found
