# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is watched: one module's build, judged again and again.

Nothing of an earlier look is used by a later one. What is kept is what it takes
to tell whether anything has changed, and which paths to watch.
"""

from __future__ import annotations

import os
import traceback
from typing import NamedTuple

from kdeps.errors import KdepsError
from kdeps.inputs import Paths, find_first_paths, find_paths
from kdeps.makeargs import parse_make_args
from kdeps.printable import printable
from kdeps.report.text import headlines
from kdeps.report.verdict_json import Json, unknown_document, verdict_document
from kdeps.survey import Survey, survey
from kdeps.tree import find_tree
from kdeps.verdict import ReasonKind, Status


class Look(NamedTuple):
    """One look at a module: the verdict in the forms that are needed, and how to tell it from the next one."""

    status: Status
    headline: str
    more: int
    document: Json
    """As ``kdeps check --format json`` prints it."""
    answer: str
    """Equal for equal verdicts: without how long it took."""
    stamps: dict[str, int]
    fingerprint: int
    """Equal (within one process) where everything that was looked at was the same."""
    causes: frozenset[tuple[str, str, int]]
    """What a refresh would have to cure: kind, path and mtime of every direct reason."""


class Target:
    """One module to watch.

    Raises:
        KdepsError: There is nothing to watch.
    """

    def __init__(self, words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> None:
        self.words = words
        self.cwd = cwd
        self.environ = environ
        self.tree = find_tree(words, cwd, environ)
        """As it was last found."""
        self._paths: Paths = find_first_paths(words, cwd, environ)
        self._found: Survey | None = None

    @property
    def name(self) -> str:
        """As the user names it."""
        given = parse_make_args(self.words).variables
        name = given.get("M") or given.get("KBUILD_EXTMOD") or self.tree.module
        return printable((name or "the kernel").rstrip("/"))

    def look(self) -> Look:
        """Take a look. What cannot be judged is *unknown*, whatever the reason."""
        try:
            found = survey(self.words, self.cwd, self.environ)
        except KdepsError as error:
            return self._look_without(printable(str(error)))
        except OSError as error:
            return self._look_without(printable(f"{error.filename or 'the tree'}: {error.strerror}"))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)}:{place.lineno}"
            return self._look_without(
                printable(f"a bug in kdeps, please report it: {type(error).__name__}: {error} at {where}")
            )
        self.tree = found.tree
        self._found = found
        return _describe(found, self.cwd)

    def find_paths(self) -> Paths:
        """What the last verdict that could be reached depends on."""
        if self._found is not None:
            self._paths = find_paths(self._found, self.words, self.cwd, self.environ)
            self._found = None
        return self._paths

    def nothing_yet(self) -> Json:
        """The document for before the first look."""
        return unknown_document(self.tree, self.tree.objtree, "not looked at yet")

    def _look_without(self, message: str) -> Look:
        document = unknown_document(self.tree, self.tree.objtree, message)
        return Look(Status.UNKNOWN, message, 0, document, repr(document), {}, hash(message), frozenset())


def _describe(found: Survey, cwd: str) -> Look:
    verdict = found.verdict
    document = verdict_document(found)
    sentences = headlines(found, cwd=cwd, clock=True) if verdict.status is not Status.FRESH else []
    headline, more = (sentences[0], len(sentences) - 1) if sentences else ("", 0)
    if verdict.status is Status.FRESH and verdict.pending:
        headline = f"{len(verdict.pending)} of its own to rebuild"
    stamps = found.snapshot.mtime_ns
    answer = repr({name: value for name, value in document.items() if name != "stats"})
    causes = {
        (reason.kind.value, reason.path, reason.mtime_ns or 0)
        for state in verdict.stale
        if state.silent
        for reason in state.reasons
        if reason.kind is not ReasonKind.STALE_PREREQUISITE
    }
    causes |= {(finding.kind.value, finding.path + finding.message, 0) for finding in verdict.findings}
    fingerprint = hash(
        (
            frozenset(stamps.items()),
            found.snapshot.empty,
            tuple((folder, frozenset(names.items())) for folder, names in found.snapshot.config.items()),
            found.rules.rules,
            answer,
        )
    )
    return Look(verdict.status, headline, more, document, answer, stamps, fingerprint, frozenset(causes))
