# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a pipeline is told, the same for every format: one list of issues, each once.

The kernel's artifacts are the same for every module of a tree, so that one edit of
the core makes ten modules stale; that is one issue, which names ten modules.

An issue is told apart by its fingerprint: kind, file and, where there is no file
of its own, the message, all relative to the roots. Neither the time, nor the folder
the tree lies in, nor other issues change it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import NamedTuple

from kdeps.causes import Cause, find_causes
from kdeps.ci.discovery import Kind
from kdeps.ci.inspection import Inspection, Part
from kdeps.ci.ledger import Roots
from kdeps.printable import printable, shell_quoted
from kdeps.repair.plan import plan_repair, refresh_goal
from kdeps.report.commands import cure, make_command
from kdeps.report.words import Style, Writer, say_cause, say_finding
from kdeps.rules import Scope
from kdeps.survey import Survey
from kdeps.verdict import ReasonKind, Status

UNREADABLE = "unreadable"
NOT_JUDGED = "not-judged"
NOT_BUILT = "not-built"

SUMMARIES: dict[str, str] = {
    ReasonKind.MISSING_TARGET: "An artifact of the kernel is missing",
    ReasonKind.NEWER_PREREQUISITE: "An artifact of the kernel is older than a file it is made from",
    ReasonKind.MISSING_PREREQUISITE: "A file that an artifact of the kernel was made from is gone",
    ReasonKind.MISSING_RECORD: "An artifact of the kernel has no usable record",
    ReasonKind.COMMAND_CHANGED: "An artifact of the kernel would be made by another command now",
    ReasonKind.STALE_PREREQUISITE: "An artifact of the kernel is made from something stale",
    ReasonKind.MISSING_OUTPUT: "A file made together with an artifact is gone or empty",
    ReasonKind.INTERRUPTED: "A compile was broken off, and left parts behind",
    ReasonKind.CONTENT_CHANGED: "An artifact is stale behind its mtime: an input is not what the ledger has",
    ReasonKind.CONFIG_NOT_SYNCED: "The configuration is not synced, and M= builds never sync it",
    ReasonKind.CONFIG_NOT_FOLLOWED: "The module was built before a configuration symbol changed",
    ReasonKind.TOOLCHAIN_CHANGED: "The compilers are not those the kernel was built with",
    ReasonKind.NO_OBJECTS: "The folder that M= names builds nothing",
    ReasonKind.OLD_KERNEL: "The kernel that was linked is older than its crates",
    ReasonKind.OLD_SYMVERS: "The list of exported symbols is older than the kernel",
    ReasonKind.MISSING_SYMVERS: "The list of exported symbols is missing",
    Kind.TOUCHED_ONLY: "Files are newer, with the content of the ledger",
    Kind.NOT_IN_LEDGER: "The ledger does not speak of an artifact",
    Kind.OTHER_COMPILER: "An artifact was made by another compiler than the configuration has",
    Kind.OTHER_KERNEL: "A module was built for another kernel",
    Kind.UNDEFINED_SYMBOL: "A module needs a symbol that nothing exports",
    Kind.FLAGS_DIFFER: "A module and a crate were compiled with flags that do not go together",
    Kind.CHANGED_MEANWHILE: "A file was changed while it was compiled, which make never notices",
    Kind.RECORD_WITHOUT_FILE: "A record's file is not there",
    Kind.FILE_WITHOUT_RECORD: "An artifact has no record: this build did not make it",
    Kind.MIXED_BUILDS: "Artifacts of different builds are used together",
    UNREADABLE: "A file that the answer depends on cannot be read",
    NOT_JUDGED: "A module could not be judged at all",
    NOT_BUILT: "A module is not up to date itself",
}
"""One line for every kind of issue. The keys are stable: every format carries them."""


class Issue(NamedTuple):
    """One thing that is wrong, or good to know."""

    kind: str
    status: Status
    """``fresh``: a note."""
    paths: tuple[str, ...]
    """The files to blame, absolute, the one that tells most first; never empty."""
    location: str
    """Where to show it: a source file, where there is one."""
    message: str
    """One sentence."""
    help: str
    target: str
    """What is stale for it, as Kbuild writes it; may be empty."""
    modules: tuple[str, ...]
    """Names of the parts it was found in."""
    fingerprints: tuple[str, ...]
    """One for each of ``paths``."""
    part: Part
    """The first of the parts it was found in."""
    cause: Cause | None = None
    """What it says in full, where it is a root cause of that part's verdict."""


class Report(NamedTuple):
    """Everything that every format says."""

    inspection: Inspection
    issues: tuple[Issue, ...]
    cure: tuple[str, ...]
    """Shell commands that bring the stale parts to fresh, one after the other."""
    status: Status
    root: str
    """The repository: what relative paths are relative to."""
    roots: dict[str, str]
    """``srctree``, ``objtree`` → absolute path; empty where no tree was found."""
    statuses: tuple[Status, ...]
    """Of the parts, in their order."""


class _Dated(Writer):
    """Says when, not how long ago: a report is read later."""

    def ago(self, mtime_ns: int | None) -> str:
        if mtime_ns is None:
            return "at an unknown time"
        try:
            moment = datetime.fromtimestamp(mtime_ns // 1_000_000_000, timezone.utc)
        except (OverflowError, ValueError, OSError):
            return "at an impossible time"
        return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def make_report(inspection: Inspection, *, cwd: str, root: str, built: bool = False) -> Report:
    """Gather everything that is to be told of an inspection.

    Args:
        inspection: What was judged.
        cwd: Where the user stands; the commands of the cure are for there.
        root: The repository.
        built: Whether a module has to be up to date itself.
    """
    found: dict[tuple[str, tuple[str, ...], str], Issue] = {}
    statuses: list[Status] = []
    for part in inspection.parts:
        own = list(_issues(part, cwd, built=built))
        statuses.append(_status(part, own))
        for issue in own:
            key = (issue.kind, issue.paths, "" if issue.kind in _BY_FILE else issue.message)
            known = found.get(key)
            if known is None:
                found[key] = issue
            elif part.name not in known.modules:
                worse = issue if _RANK[issue.status] > _RANK[known.status] else known
                found[key] = worse._replace(modules=(*known.modules, part.name))
    order = sorted(found.values(), key=lambda i: (-_RANK[i.status],))
    return Report(
        inspection,
        tuple(order),
        _cure(inspection, statuses, order, cwd),
        max(statuses, key=_RANK.__getitem__, default=Status.UNKNOWN),
        root,
        _roots(inspection),
        tuple(statuses),
    )


_RANK = {Status.FRESH: 0, Status.UNKNOWN: 1, Status.STALE: 2}
_BY_FILE = frozenset(
    kind.value
    for kind in (
        ReasonKind.NEWER_PREREQUISITE,
        ReasonKind.MISSING_PREREQUISITE,
        ReasonKind.MISSING_TARGET,
        ReasonKind.CONTENT_CHANGED,
    )
)


def _status(part: Part, issues: list[Issue]) -> Status:
    return max((part.status, *(issue.status for issue in issues)), key=_RANK.__getitem__)


def _roots(inspection: Inspection) -> dict[str, str]:
    trees = tuple(survey.tree for survey in inspection.surveys)
    return dict(Roots(trees).paths) if trees else {}


def _cure(inspection: Inspection, statuses: list[Status], issues: list[Issue], cwd: str) -> tuple[str, ...]:
    """The commands for all stale parts, each once: what the kernel needs is the same for all of them."""
    removals: dict[str, None] = {}
    goals: dict[str, None] = {}
    modules: dict[str, None] = {}
    unbuilt = {
        part.name: any(issue.kind == NOT_BUILT and part.name in issue.modules for issue in issues)
        for part in inspection.parts
    }
    for part, status in zip(inspection.parts, statuses, strict=True):
        if part.survey is None or status is not Status.STALE:
            continue
        tree, plan = part.survey.tree, plan_repair(part.survey)
        own = [path for found in part.discoveries if found.status is Status.STALE for path in found.remove]
        silent = part.survey.verdict.status is Status.STALE
        if plan.by_hand or tree.prebuilt:
            continue  # what a person must do first is said with the finding
        if not own and (plan.empty if silent else not unbuilt[part.name]):
            continue  # no command of ours would help
        lines = cure(part.survey, cwd)
        if tree.module is not None:
            modules[lines.pop()] = None
        if own:
            removals["rm -f " + " ".join(shell_quoted(path) for path in own)] = None
            if any(not path.startswith(f"{tree.module_output}/") for path in own):
                goals[make_command(tree, cwd, refresh_goal(part.survey.rules))] = None
        for line in lines:
            (removals if line.startswith("rm -f ") else goals)[line] = None
    return (*removals, *goals, *modules)


def _issues(part: Part, cwd: str, *, built: bool) -> Iterator[Issue]:
    survey = part.survey
    if survey is None:
        path = part.error.partition(":")[0]
        path = path if path.startswith("/") else cwd
        yield _issue(part, NOT_JUDGED, Status.UNKNOWN, (path,), path, part.error, key=part.error)
        return
    writer = _Dated(survey, cwd, Style.PLAIN, True, 0)
    for problem in survey.verdict.problems:
        message = f"{writer.path(problem.path)}: {problem.message}"
        yield _issue(part, UNREADABLE, Status.UNKNOWN, (problem.path,), problem.path, message)
    for finding in survey.verdict.findings:
        message = say_finding(writer, finding)
        yield _issue(
            part, finding.kind.value, finding.status, (finding.path,), finding.path, message, finding.help,
            key=finding.message,
        )  # fmt: skip
    for discovery in part.discoveries:
        yield _issue(
            part, discovery.kind.value, discovery.status, (discovery.path,), discovery.path, discovery.message,
            discovery.help, key=discovery.message,
        )  # fmt: skip
    for cause in find_causes(survey):
        yield _cause_issue(part, survey, writer, cause, cause.reason.kind.value)
    if built:
        for cause in find_causes(survey, among=survey.verdict.pending):
            yield _cause_issue(part, survey, writer, cause, NOT_BUILT)
        folder = survey.tree.module
        if folder is not None and not part.built:
            yield _issue(part, NOT_BUILT, Status.STALE, (folder,), folder, "it was never built here")
        elif folder is not None and not part.built_against:
            message = "it was last built against another object tree"
            yield _issue(part, NOT_BUILT, Status.STALE, (folder,), folder, message)


def _cause_issue(part: Part, survey: Survey, writer: Writer, cause: Cause, kind: str) -> Issue:
    first = cause.direct[0]
    # The representative file of a joined cause goes first, the others by name.
    paths = (cause.reason.path, *sorted(set(cause.paths) - {cause.reason.path}))
    location = cause.reason.path
    if location in survey.graph.producers and first.rule.source:
        location = first.rule.source
    elif "/include/config/" in location:
        location = first.rule.source or f"{survey.tree.objtree}/.config"
    issue = _issue(
        part, kind, Status.STALE, paths, location, say_cause(writer, cause), target=first.rule.name
    )
    return issue._replace(cause=cause)


def _issue(
    part: Part, kind: str, status: Status, paths: tuple[str, ...], location: str, message: str, help_text: str = "",
    *, target: str = "", key: str = "",
) -> Issue:  # fmt: skip
    survey = part.survey
    roots = None if survey is None else Roots((survey.tree,))
    return Issue(
        kind, status, paths, location, printable(message), printable(help_text), target, (part.name,),
        tuple(_fingerprint(roots, kind, path, key) for path in paths), part,
    )  # fmt: skip


def _fingerprint(roots: Roots | None, kind: str, path: str, message: str) -> str:
    if roots is not None:
        path = roots.name(path)
        message = roots.text(message)
    text = "\0".join((kind, path, message))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def relative_to(path: str, root: str) -> str | None:
    """A path as a repository names it; ``None`` where it lies outside."""
    path, root = os.path.normpath(path), os.path.normpath(root)
    if path == root:
        return "."
    above = root.rstrip("/") + "/"
    return path[len(above) :] if path.startswith(above) else None


def find_repository(cwd: str, environ: dict[str, str], roots: dict[str, str]) -> str:
    """The folder that a pipeline's paths are relative to: where it says its checkout is, else git's top, else the source tree."""
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        given = environ.get(name, "")
        if os.path.isdir(given):
            return os.path.realpath(given)
    folder = os.path.realpath(cwd)
    while not os.path.exists(f"{folder}/.git"):
        above = os.path.dirname(folder)
        if above == folder:
            return roots.get("srctree", os.path.realpath(cwd))
        folder = above
    return folder


def module_stats(part: Part) -> tuple[int, int, int]:
    """How many rules and files were looked at, and how many kernel artifacts are silently stale."""
    if part.survey is None:
        return 0, 0, 0
    survey = part.survey
    rules, files = part.looked_at or (len(survey.graph.rules), len(survey.snapshot.mtime_ns))
    kernel = sum(1 for s in survey.verdict.stale if s.silent and s.rule.scope is Scope.KERNEL)
    return rules, files, kernel
