# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find a new answer for ``kdeps check``: judge, print, and then keep the answer in a process of its own."""

from __future__ import annotations

import os
import sys
import time

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.cli.choices import By, Format
from kdeps.cli.exits import exit_of
from kdeps.cli.terminal import write_answer
from kdeps.contents.memory import memory_file
from kdeps.contents.recall import Recollection, judge_contents, list_recalled
from kdeps.kbuild.slips import find_slip
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.reasons import ReasonKind, Status
from kdeps.system.errors import UsageError
from kdeps.system.text import encodable

if TYPE_CHECKING:
    from kdeps.staleness.answers import Question

_ELAPSED = '"elapsed_ms": '


class Answer(NamedTuple):
    """A verdict, and how it came about."""

    result: CheckResult
    by_time: CheckResult | None
    """The verdict by time, where contents decided."""
    recalled: Recollection | None
    """What the memory of builds had to say."""
    keepable: bool
    """Whether all that it rests on can be listed."""
    listed: frozenset[str] = frozenset()
    """Folders whose names the verdict by content goes by."""

    @property
    def touched(self) -> tuple[str, ...]:
        """Inputs that are newer than what was made from them, with the same content."""
        return () if self.recalled is None else self.recalled.touched


def find_answer(question: Question, *, exact: bool) -> int:
    """Judge, print the verdict, and return the exit status."""
    started_ns = time.time_ns()
    slip = find_slip(question.words, question.cwd)
    if slip is not None:
        raise UsageError(slip)
    answer = judge(question, exact=exact)
    write_answer(render(question, answer), question.manner[1])
    sys.stdout.flush()
    if answer.keepable:
        from kdeps.system.background import run_in_background

        run_in_background(lambda: keep(question, answer, started_ns), question.environ)
    return exit_of(answer.result.verdict.status)


def judge(question: Question, *, exact: bool = False) -> Answer:
    """Judge as the question wants it."""
    environ = question.environ
    result = check_build(question.words, question.cwd, environ)
    if exact:
        result = _ask_kbuild(result, environ)
    keepable = not exact and result.tree.steady
    if question.manner[2] == By.TIME:
        return Answer(result, None, None, keepable and result.verdict.status is not Status.UNKNOWN)
    by_content = judge_contents(result, environ)
    # A note on late files rests on the files beside them; one on commands ends when Kbuild confirms these.
    verdict = by_content.result.verdict
    doubted = any(finding.kind is ReasonKind.COMMAND_CHANGED for finding in verdict.findings)
    keepable = keepable and not by_content.late and not doubted and verdict.status is not Status.UNKNOWN
    return Answer(by_content.result, result, by_content.recalled, keepable, by_content.listed)


def _ask_kbuild(result: CheckResult, environ: dict[str, str]) -> CheckResult:
    """Ask Kbuild for the commands, and remember that it confirmed them."""
    from kdeps.formats.makeflags import kernel_environment
    from kdeps.staleness.confirmed import confirm, take_inputs
    from kdeps.staleness.exact import ask_kbuild

    kernel = kernel_environment(environ)
    before = take_inputs(result, kernel)
    answered = ask_kbuild(result, environ)
    if answered.verdict.status is Status.FRESH:
        confirm(answered, before, kernel)
    return answered


def render(question: Question, answer: Answer, time_mark: str = "") -> str:
    """Return what is printed; ``time_mark`` is as ``kdeps.report.verdict_text.render`` has it."""
    _, output, _, style, encoding, every = question.manner
    if output == Format.JSON:
        from kdeps.report.verdict_json import verdict_json

        return verdict_json(answer.result, by_time=answer.by_time, touched=answer.touched) + "\n"
    from kdeps.report import verdict_text
    from kdeps.report.sentences import Style

    unicode = encoding.lower().replace("-", "") == "utf8"
    text = verdict_text.render(
        answer.result,
        cwd=question.cwd,
        style=Style(style),
        unicode=unicode,
        touched=len(answer.touched),
        time_mark=time_mark,
        every=bool(every),
    )
    return text if unicode else encodable(text, encoding)


def keep(question: Question, answer: Answer, started_ns: int) -> None:
    """Keep what was printed until something changes that it rests on."""
    status = int(exit_of(answer.result.verdict.status))
    keep_value(question, answer, (status, _take_apart(question, answer)), started_ns)


def keep_value(question: Question, answer: Answer, value: object, started_ns: int) -> None:
    """Keep something that follows from an answer until something changes that the answer rests on.

    ``started_ns`` is when the first file was read for the answer. The value is what ``marshal`` can write.
    """
    from kdeps.staleness.dependencies import list_dependencies

    result = answer.by_time or answer.result
    rests_on = list_dependencies(result, question.words, question.cwd, question.environ)
    if answer.by_time is not None:
        more = list_recalled(answer.recalled)
        memory = memory_file(result.tree.objtree, question.environ)
        rests_on = rests_on._replace(
            files=rests_on.files.union(more, (memory,)), folders=rests_on.folders | answer.listed
        )
    question.keep(value, result, started_ns, rests_on)


def _take_apart(question: Question, answer: Answer) -> list[str | int | None]:
    """The output without what changes by itself: how long ago something was, how long the check took."""
    mark = os.urandom(8).hex()  # no path has it by chance, or by intent
    text = render(question, answer, mark)
    if question.manner[1] == Format.JSON:
        before, key, after = text.rpartition(_ELAPSED)
        return [before + key, None, after.lstrip("0123456789.")]
    parts = text.split(mark)
    return [int(part) if at % 2 else part for at, part in enumerate(parts)]
