# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --record``, ``--against`` and ``--compare``."""

from __future__ import annotations

import sys

from kdeps.ci.against import judge_by_content
from kdeps.ci.contents import Contents
from kdeps.ci.inspection import Inspection, with_problems
from kdeps.ci.ledger import LedgerError, read_ledger, roots_of, take_ledger, unsynced_inputs, write_ledger
from kdeps.cli.progress import clear_progress
from kdeps.cli.start import Exit
from kdeps.errors import KdepsError
from kdeps.rules import Problem
from kdeps.verdict import Status


def use_ledgers(
    inspection: Inspection, record: str | None, against: str | None, environ: dict[str, str], *, outside: bool
) -> tuple[Inspection, list[str]]:
    """Judge every part against a ledger, and write a new one of what is fresh then.

    Returns:
        What is known then, and why a ledger could not be read or written. Without the one that was
        to decide nothing is fresh.
    """
    from kdeps.cli.ci import progress_line

    failures: list[str] = []
    ledger = None
    if against is not None:
        try:
            ledger = read_ledger(against)
        except LedgerError as error:
            failures.append(str(error))
            unread = Problem(against, str(error).removeprefix(f"{against}: "))
            inspection = Inspection(tuple(with_problems(part, (unread,)) for part in inspection.parts))
    if not inspection.surveys:
        return inspection, failures
    trees = tuple(survey.tree for survey in inspection.surveys)
    roots = ("/",) if outside else roots_of(trees)
    contents = Contents(roots, environ, trees[0].objtree, progress_line("hashing"))
    unsynced = frozenset(
        path for survey in inspection.surveys for path in unsynced_inputs(survey.verdict.findings)
    )
    parts = []
    for part in inspection.parts:
        if ledger is not None and part.survey is not None:
            judged = judge_by_content(part.survey, ledger, contents, trees, part.discoveries)
            part = part._replace(survey=judged.survey, discoveries=judged.discoveries)
        parts.append(part)
    inspection = Inspection(tuple(parts))
    if record is not None:
        suspect = frozenset(
            path for part in inspection.parts for found in part.discoveries if found.status is Status.STALE for path in found.remove
        )  # fmt: skip
        written, problems = take_ledger(inspection.surveys, contents, environ, suspect, unsynced)
        parts = [with_problems(part, problems) for part in inspection.parts]
        inspection = Inspection(tuple(parts))
        try:
            write_ledger(record, written)
        except KdepsError as error:
            failures.append(str(error))
    contents.store()
    if contents.files_read:
        clear_progress_of_terminal()
    return inspection, failures


def clear_progress_of_terminal() -> None:
    """Take the line away again."""
    if sys.stderr is not None and sys.stderr.isatty():
        clear_progress()


def run_compare(old: str, new: str) -> int:
    """Say in words how two ledgers differ; 0 where they do not, 1 where they do."""
    from kdeps.ci.compare import compare_ledgers

    lines = compare_ledgers(read_ledger(old), read_ledger(new))
    from kdeps.printable import printable

    for line in lines:
        print(printable(line))
    if not lines:
        print("the ledgers are of the same contents")
    return Exit.STALE if lines else Exit.FRESH
