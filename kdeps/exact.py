# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Ask Kbuild itself what is stale, and let it execute nothing.

``make -n`` cannot be asked: the Rust rules are ``+``-prefixed and really run
rustc. But make reads the files that ``MAKEFILES`` names before any other, in
every sub-make, and a variable set with ``override`` there keeps its value. So
the macros that decide (``if_changed`` and its three sisters) are replaced by one
that prints what they would have decided on and does nothing. What comes back is
Kbuild's own answer, blind spots included, with the one thing no record can
tell: a command that differs from the recorded one.

What else is replaced, and why:

* ``filechk``, ``cmd``: they would write.
* ``QUIET_LINK``, ``QUIET_AR``, ``QUIET_GEN``, ``echo-cmd``: what the plain rules under tools/ put in
  front of their commands. ``exit 0;`` keeps the shell from reaching them.
* ``may-sync-config`` empty (and ``need-compiler``, which would follow it): make would otherwise
  really run syncconfig first when ``.config`` is newer or a variable in auto.conf.cmd differs.
  Not for M=, where Kbuild empties it itself.
* ``TMPOUT``: compiler probes make a folder in the object tree; they get one elsewhere.
* ``ln`` is a no-op in front of ``PATH``: the O= build renews its ``source`` link every time. So is
  ``mkdir``, but for that folder of the probes.

Assignments on make's command line do nearly the same and were tried first. They
lost: make exports them to every recipe and ``$(shell)`` and expands them there, and
their letters become part of MAKEFLAGS, in which ``scripts/Makefile.modpost``
looks for an ``i``, so that every Module.symvers seemed to have another command.

Source: linux ``scripts/Kbuild.include``, ``tools/build/Build.include``, ``Makefile``; compared
with real rebuilds on 6.1, 6.12, 7.2 and 7.3 by the conformance suite.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from kdeps.errors import KbuildError
from kdeps.formats.cmdfile import RecordState, unescape
from kdeps.graph import build_graph
from kdeps.makeenv import kernel_environment
from kdeps.rules import Action, Problem, Rule, Rules, Scope
from kdeps.stamps import mtime_of
from kdeps.survey import Survey
from kdeps.tree import Tree
from kdeps.verdict import Reason, ReasonKind, Source, conclude

TIMEOUT_S = 600
_MARK = "@kdeps@"
_SPACE = "_-_SPACE_-_"
"""``space_escape`` of Kbuild.include: how it makes one word of a command."""
_DECIDES = (
    # Under tools/ any-prereq of a fresh target is a single blank: hence strip.
    "$(if $(strip $(newer-prereqs)$(any-prereq)$(cmd-check)$(arg-check)),"
    f"$(info {_MARK}\t$(CURDIR)\t$@\t$(strip $(newer-prereqs) $(any-prereq))\t$(strip $(cmd-check) $(arg-check))))@:"
)
_MARK_PLAIN = "@kdeps-plain@"
"""Stands for ``_MARK`` where the recipe is a plain one, which Kbuild does not record."""
_PRINTS_PLAIN = f"$(if $(filter FORCE,$^),,$(info {_MARK_PLAIN}\t$(CURDIR)\t$@\t$?\t))"
_QUIET_STEPS = ("LINK", "AR", "GEN", "CC", "CXX", "CLANG", "FLEX", "BISON", "GENSKEL", "INSTALL")
"""Recipes under tools/ without Kbuild's macros begin with ``$(QUIET_…)`` (tools/scripts/Makefile.include)."""
_REPLACED = {
    **dict.fromkeys(("if_changed", "if_changed_dep", "if_changed_rule", "if_changed_except"), _DECIDES),
    **dict.fromkeys(("filechk", "cmd"), "@:"),
    **dict.fromkeys((f"QUIET_{step}" for step in _QUIET_STEPS), f"{_PRINTS_PLAIN}@exit 0; "),
    "echo-cmd": f"{_PRINTS_PLAIN}exit 0; ",
}
_CHANGES_THE_ANSWER = str.maketrans("", "", "Bnqt")
"""An outer make's ``-B`` would call everything stale; under ``-n`` the skipped rules count as run."""
_NO_SYNC = {"may-sync-config": "", "need-compiler": "1"}


class Answer(NamedTuple):
    """One target that Kbuild would make again."""

    target: str
    """Absolute."""
    newer: tuple[str, ...]
    """Absolute paths of what ``$?`` holds: newer, or missing."""
    command: str
    """The command it would run now, where that differs from the recorded one; else empty."""
    plain: bool = False
    """Its recipe is none that Kbuild records; the target may be the mere name of a step."""


class KbuildAnswer(NamedTuple):
    """Kbuild's answer to one question."""

    answers: tuple[Answer, ...]
    errors: tuple[str, ...]
    """What make stopped at, so that the answer may not be whole."""


def ask_kbuild(survey: Survey, environ: dict[str, str]) -> Survey:
    """Replace the record's answer by Kbuild's own.

    Args:
        survey: What the record says; gives the tree, the graph and the reasons Kbuild does not see.
        environ: The environment make would get.

    Returns:
        The survey with a verdict whose ``source`` is Kbuild.

    Raises:
        KbuildError: make could not be started, or did not come back.
    """
    started = time.perf_counter()
    tree = survey.tree
    questions: list[tuple[Scope, list[str]]] = []
    if not tree.prebuilt:
        arguments = _make_words(tree, tree.args.kept)
        goal = "all" if survey.rules.whole else "modules_prepare"
        questions.append((Scope.KERNEL, [*arguments, goal]))
    if tree.module is not None:
        words = [
            *tree.args.kept,
            *(w for w in tree.args.words if w not in tree.args.kept and w not in tree.args.goals),
        ]
        extra = [] if _names_module(tree) else [f"M={tree.module}"]
        questions.append((Scope.MODULE, [*_make_words(tree, tuple(words)), *extra, "modules"]))
    answers: dict[str, tuple[Scope, Answer]] = {}
    errors: list[str] = []
    for scope, arguments in questions:
        given = run_question(scope, arguments, tree.make_directory, environ)
        errors += given.errors
        for answer in given.answers:
            known = answers.get(answer.target)
            if known is None or (answer.command and not known[1].command):
                answers[answer.target] = (scope, answer)
    rules = _with_unknown(survey.rules, answers, tree)
    graph = build_graph(rules, tree.objtree)
    by_record = _direct_reasons(survey)
    stops = [line for line in errors if not _would_be_made(line, answers, tree)]
    problems = tuple(Problem(tree.objtree, f"make stopped: {line}") for line in dict.fromkeys(stops))
    stamps = survey.snapshot.mtime_ns
    # Silence is an answer only from who was asked, and came to an end.
    answered = set() if stops else {scope for scope, _ in questions}
    direct = [
        _merge(
            rule,
            by_record.get(rule.target, ()),
            answers.get(rule.target),
            stamps,
            whole=rule.scope in answered,
        )
        for rule in graph.rules
    ]
    verdict = conclude(
        graph,
        direct,
        Source.KBUILD,
        survey.verdict.findings,
        (*survey.rules.problems, *survey.snapshot.problems, *problems),
    )
    elapsed_ms = survey.elapsed_ms + (time.perf_counter() - started) * 1000
    return survey._replace(rules=rules, graph=graph, verdict=verdict, elapsed_ms=elapsed_ms)


def run_question(scope: Scope, arguments: list[str], directory: str, environ: dict[str, str]) -> KbuildAnswer:
    """Run make with its deciding macros replaced.

    Args:
        scope: Whether it is asked about the kernel or about a module.
        arguments: Variables and goal.
        directory: Where make shall stand.
        environ: The environment make would get; a job server in it is not joined.

    Raises:
        KbuildError: make could not be started, or did not come back in time.
    """
    folder = tempfile.mkdtemp(prefix="kdeps-")
    try:
        os.symlink(shutil.which("true", path=os.defpath) or "/bin/true", os.path.join(folder, "ln"))
        _write_mkdir(folder)
        replaced = {**_REPLACED, "TMPOUT": f"{folder}/.tmp_$$$$"}
        if scope is Scope.KERNEL:
            replaced.update(_NO_SYNC)
        with open(os.path.join(folder, "ask.mk"), "w", encoding="utf-8") as file:
            file.writelines(f"override {name} = {value}\n" for name, value in replaced.items())
        command = ["make", "-k", "-s", *arguments]
        return _parse_answer(*_run(command, directory, _environment(environ, folder, scope)))
    except _Told as told:
        number = told.number
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    signal.raise_signal(number)
    raise SystemExit(128 + number)  # the signal came first


def _write_mkdir(folder: str) -> None:
    """Put a mkdir in front of PATH that makes folders below ``folder`` and nowhere else.

    Makefiles make the folders they are about to fill; compiler probes need theirs, in ``TMPOUT``.
    """
    path = os.path.join(folder, "mkdir")
    real = shutil.which("mkdir", path=os.defpath) or "/bin/mkdir"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nfor last; do :; done\ncase $last in {folder}/*) exec {real} "$@" ;; esac\n')
    os.chmod(path, 0o755)


def _run(command: list[str], directory: str, environ: dict[str, str]) -> tuple[str, str]:
    """Run make in a session of its own, so that nothing it started outlives the question."""
    try:
        process = subprocess.Popen(
            command, cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise KbuildError(f"make: {error.strerror}; --exact needs it in PATH") from error
    try:
        with _polite_signals():
            output, messages = process.communicate(timeout=TIMEOUT_S)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise KbuildError(f"{directory}: make did not answer within {TIMEOUT_S} s") from error
        raise
    return output.decode("utf-8", "surrogateescape"), messages.decode("utf-8", "surrogateescape")


class _Told(BaseException):
    """A signal that ends this program; what it has started comes first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _polite_signals() -> Iterator[None]:
    """Raise ``_Told`` for a signal that would end this program at once, and leave make to itself."""

    def tell(number: int, _frame: FrameType | None) -> None:
        raise _Told(number)

    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    try:
        for number in numbers:
            signal.signal(number, tell)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _environment(environ: dict[str, str], folder: str, scope: Scope) -> dict[str, str]:
    changed = kernel_environment(environ) if scope is Scope.KERNEL else dict(environ)
    changed["PATH"] = f"{folder}:{environ.get('PATH', os.defpath)}"
    letters, *flags = changed.get("MAKEFLAGS", "").split(" ")
    if letters.isalpha():
        letters = letters.translate(_CHANGES_THE_ANSWER)
    # With -j the lines of several makes would be torn apart; and a job server of
    # an outer make is not ours to read from.
    changed["MAKEFLAGS"] = " ".join(
        f for f in (letters, *flags) if not f.startswith(("-j", "--jobserver", "--sync", "-O"))
    )
    changed["MAKEFILES"] = f"{environ.get('MAKEFILES', '')} {folder}/ask.mk".strip()
    changed.pop("MAKELEVEL", None)
    return changed


def _make_words(tree: Tree, words: tuple[str, ...]) -> list[str]:
    """The user's assignments. No option changes a command, and the caller stands where ``-C`` leads."""
    kept = [word for word in words if "=" in word and not word.startswith("-")]
    if tree.args.variables.get("MO") and not os.path.isabs(tree.args.variables["MO"]):
        kept = [f"MO={tree.module_output}" if w.startswith("MO=") else w for w in kept]
    return kept


def _names_module(tree: Tree) -> bool:
    return any(name in tree.args.variables for name in ("M", "KBUILD_EXTMOD"))


def _parse_answer(output: str, messages: str) -> KbuildAnswer:
    answers: list[Answer] = []
    for line in output.split("\n"):
        # make may have written a message of its own before the mark.
        said = re.search(f"({_MARK}|{_MARK_PLAIN})\t(.*)", line)
        if said is None:
            continue
        fields = said[2].split("\t")
        if len(fields) != 4:
            continue
        directory, target, newer, command = fields
        answers.append(
            Answer(
                _absolute(target, directory),
                tuple(dict.fromkeys(_absolute(name, directory) for name in newer.split() if name != "FORCE")),
                " ".join(command.replace(_SPACE, " ").split()),
                plain=said[1] == _MARK_PLAIN,
            )
        )
    errors = [line.partition("***")[2].strip() for line in messages.split("\n") if "***" in line]
    # Empty lines frame a banner; what begins with a bracket an outer make only passes on.
    real = [line for line in errors if line and not line.startswith("[")]
    return KbuildAnswer(tuple(answers), tuple(dict.fromkeys(real)))


def _would_be_made(error: str, answers: dict[str, tuple[Scope, Answer]], tree: Tree) -> bool:
    """Whether make stopped only for want of a file that it would have made, had it been let.

    Several makes run one after the other; a later one has no rule for what an
    earlier one writes (modpost's make: modules.order).
    """
    said = re.match(r"No rule to make target '([^']+)'", error)
    if said is None:
        return False
    bases = (tree.objtree, tree.module_output or tree.objtree)
    return any(_absolute(said[1], base) in answers for base in bases)


def _absolute(name: str, directory: str) -> str:
    return os.path.normpath(os.path.join(directory, name))


def _direct_reasons(survey: Survey) -> dict[str, tuple[Reason, ...]]:
    """What the record said of each rule, without what was only carried along edges."""
    return {
        state.rule.target: tuple(r for r in state.reasons if r.kind is not ReasonKind.STALE_PREREQUISITE)
        for state in (*survey.verdict.stale, *survey.verdict.pending)
    }


def _with_unknown(rules: Rules, answers: dict[str, tuple[Scope, Answer]], tree: Tree) -> Rules:
    """Add a rule for each target that Kbuild would make and that has never been made.

    A plain recipe's target that is no file is the name of a step (6.12: ``install_headers`` of
    tools/lib/subcmd), which make takes each time and which leaves nothing that could be stale.
    """
    known = {rule.target for rule in rules.rules}
    added: list[Rule] = []
    for target, (scope, answer) in answers.items():
        if target in known or (answer.plain and not os.path.isfile(target)):
            continue
        base = (tree.module_output if scope is Scope.MODULE else None) or tree.objtree
        name = target[len(base) + 1 :] if target.startswith(base + "/") else target
        added.append(
            Rule(
                target=target, name=name, scope=scope, action=Action.IF_CHANGED, outputs=(target,),
                prerequisites=answer.newer, source=None, optional=(), config=(), config_dir=base, unseen=(),
                replaced_if_changed=frozenset(), record=None, state=None, where="", command="", depfile=None,
            )
        )  # fmt: skip
    return rules._replace(rules=(*rules.rules, *added)) if added else rules


def _merge(
    rule: Rule,
    recorded: tuple[Reason, ...],
    answered: tuple[Scope, Answer] | None,
    stamps: dict[str, int],
    *,
    whole: bool,
) -> tuple[Reason, ...]:
    """Join what Kbuild answered with what it cannot see. Where the two differ, Kbuild is right."""
    if answered is None:
        if not whole or rule.action is Action.FILECHK:
            return recorded
        return tuple(reason for reason in recorded if not reason.kbuild)
    answer = answered[1]
    reasons = list(recorded)
    target = stamps.get(rule.target)
    blamed = {reason.path for reason in recorded}
    if target is not None:
        for path in answer.newer:
            if path not in blamed:
                mtime = stamps.get(path) or mtime_of(path)
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
