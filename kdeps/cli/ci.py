# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci``: is this tree, with these modules, consistent?"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.ci.inspection import Inspection, inspect_build, with_problems
from kdeps.ci.options import CiFormat, Extent
from kdeps.cli.check import STATUS_EXITS, Colour
from kdeps.cli.query import is_unicode, make_pen
from kdeps.cli.start import where
from kdeps.errors import KdepsError, UsageError
from kdeps.printable import printable
from kdeps.report.issues import Report, find_repository, make_report
from kdeps.survey import Survey

_PATIENCE_S = 1.0
"""From when on a person wants to see that something is going on."""


class Request(NamedTuple):
    """What somebody wants to know."""

    words: tuple[str, ...]
    extent: Extent
    output: CiFormat
    """For standard output."""
    files: tuple[tuple[CiFormat, str], ...]
    """What else to write, and where."""
    colour: Colour
    root: str | None
    """The repository, if it was named."""
    record: str | None
    against: str | None
    outside: bool
    """Whether to hash files outside the roots, too."""
    exact: bool
    built: bool


def parse_output(text: str) -> tuple[CiFormat, str]:
    """Take ``FORMAT=FILE`` apart.

    Raises:
        UsageError: It is not that.
    """
    name, equals, path = text.partition("=")
    try:
        chosen = CiFormat(name)
    except ValueError:
        names = ", ".join(choice.value for choice in CiFormat)
        raise UsageError(f"--output {text}: no such format; there are {names}") from None
    if not equals or not path:
        raise UsageError(f"--output {text}: wants FORMAT=FILE, as in {name}=report.{name}")
    return chosen, path


def run_ci(request: Request) -> int:
    """Judge, write every report that was asked for, and return the exit status.

    Raises:
        UsageError: A file or folder that was named cannot be one.
        KdepsError: A ledger or a report can be none of that; every other report is written all the same,
            for otherwise whoever collects them would find those of the run before.
    """
    cwd = where()
    environ = dict(os.environ)
    if request.root and not os.path.isdir(request.root):
        raise UsageError(f"--root {request.root}: no such folder")
    for option, name in (("--record", request.record), ("--against", request.against)):
        if name == "":
            raise UsageError(f"{option}: wants the name of a file")
    rules_needed = request.exact or request.record is not None or request.against is not None
    inspection = inspect_build(request.words, request.extent, cwd, environ, rules_needed=rules_needed)
    if request.exact:
        inspection = _ask_kbuild(inspection, environ)
    inspection = _look_beyond(inspection)
    failures: list[str] = []
    if request.record is not None or request.against is not None:
        from kdeps.cli.ledger import use_ledgers

        inspection, failures = use_ledgers(
            inspection, request.record, request.against, environ, outside=request.outside
        )
    report = make_report(inspection, cwd=cwd, root="", built=request.built)
    root = os.path.realpath(request.root) if request.root else find_repository(cwd, environ, report.roots)
    report = report._replace(root=root)
    failures += _write(report, request, cwd)
    if failures:
        for message in failures[:-1]:
            print(f"kdeps: error: {printable(message)}", file=sys.stderr)
        raise KdepsError(failures[-1])
    return STATUS_EXITS[report.status]


def _ask_kbuild(inspection: Inspection, environ: dict[str, str]) -> Inspection:
    """Put Kbuild's own answer in the place of the records', part for part."""
    from kdeps.exact import ask_kbuild

    def ask(survey: Survey | None) -> tuple[Survey | None, str]:
        try:
            return (None if survey is None else ask_kbuild(survey, environ)), ""
        except KdepsError as error:
            return None, str(error)

    parts = []
    for part in inspection.parts:
        survey, error = ask(part.survey)
        parts.append(part._replace(survey=survey, error=error or part.error))
    return Inspection(tuple(parts))


def _look_beyond(inspection: Inspection) -> Inspection:
    """Ask the artifacts themselves."""
    from kdeps.ci.beyond import look_beyond

    parts = []
    for part in inspection.parts:
        if (
            part.survey is not None and not part.survey.rules.whole
        ):  # that has looked, or remembers what it saw
            beyond = look_beyond(part.survey)
            part = part._replace(discoveries=(*part.discoveries, *beyond.discoveries))
            part = with_problems(part, beyond.problems)
        parts.append(part)
    return Inspection(tuple(parts))


def _write(report: Report, request: Request, cwd: str) -> list[str]:
    """Write every report; returns why some of them were not."""
    from kdeps.outfile import write_file

    failures = []
    for chosen, path in request.files:
        text = render(report, chosen, cwd, Colour.NEVER, unicode=True)
        try:
            write_file(path, text.encode("utf-8", "replace"))
        except KdepsError as error:
            failures.append(str(error))
    unicode = is_unicode()
    text = render(report, request.output, cwd, request.colour, unicode=unicode)
    encoding = sys.stdout.encoding or "ascii"
    if not unicode:
        text = text.encode(encoding, "replace").decode(encoding)
    else:
        text = text.encode("utf-8", "replace").decode("utf-8")
    sys.stdout.write(text)
    return failures


def render(report: Report, chosen: CiFormat, cwd: str, colour: Colour, *, unicode: bool) -> str:
    """Render a report in one format; always ends in a newline."""
    if chosen is CiFormat.TEXT:
        from kdeps.report.ci_text import ci_text

        return ci_text(report, make_pen(cwd, colour), unicode=unicode)
    return _renderer(chosen)(report) + "\n"


def _renderer(chosen: CiFormat) -> Callable[[Report], str]:
    if chosen is CiFormat.JSON:
        from kdeps.report.ci_json import ci_json

        return ci_json
    if chosen is CiFormat.SARIF:
        from kdeps.report.sarif import sarif

        return sarif
    if chosen is CiFormat.JUNIT:
        from kdeps.report.junit import junit

        return junit
    if chosen is CiFormat.GITHUB:
        from kdeps.report.github import github

        return github
    from kdeps.report.gitlab import gitlab

    return gitlab


def progress_line(what: str) -> Callable[[int], None] | None:
    """A line on the terminal that says how many bytes were read; shown after a second."""
    from kdeps.cli.progress import is_terminal, write_progress

    if not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        return None
    started = time.monotonic()
    shown = started

    def show(done: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - started > _PATIENCE_S and now - shown > 0.1:
            shown = now
            write_progress(f"kdeps: {what}: {done >> 20} MB ({now - started:.0f} s)")

    return show
