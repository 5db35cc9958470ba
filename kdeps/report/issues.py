# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The issues that a pipeline gets, the same for every format: one list, each once.

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

from kdeps.contents.roots import Roots
from kdeps.kbuild.rule import Owner
from kdeps.refresh.plan import find_new_flags, plan_refresh, refresh_goal
from kdeps.report.refresh_commands import make_command, refresh_commands
from kdeps.report.sentences import ResultText, Style, cause_sentence, finding_sentence
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.root_causes import RootCause, find_root_causes
from kdeps.staleness.scope import SEVERITY, ScopedResult, ScopeResults, worst
from kdeps.system.text import printable, shell_quoted

UNREADABLE = "unreadable"
NOT_JUDGED = "not-judged"
NOT_BUILT = "not-built"

KINDS = (*(kind.value for kind in ReasonKind), UNREADABLE, NOT_JUDGED, NOT_BUILT)
"""Every kind of issue; each has a page. They are stable, because every format carries them."""


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
    part: ScopedResult
    """The first of the parts it was found in."""
    cause: RootCause | None = None
    """What it says in full, where it is a root cause of that part's verdict."""
    finding: Finding | None = None
    """The same, where it is about that part as a whole."""


class Report(NamedTuple):
    """Everything that every format says."""

    inspection: ScopeResults
    issues: tuple[Issue, ...]
    refresh_commands: tuple[str, ...]
    """Shell commands that bring the stale parts to fresh, one after the other."""
    status: Status
    root: str
    """The repository: what relative paths are relative to."""
    roots: dict[str, str]
    """``srctree``, ``objtree`` → absolute path; empty where no tree was found."""
    statuses: tuple[Status, ...]
    """Of the parts, in their order."""


class _Dated(ResultText):
    """Says when, not how long ago: a report is read later."""

    def ago(self, mtime_ns: int | None) -> str:
        return "at an unknown time" if mtime_ns is None else super().ago(mtime_ns)

    def when(self, mtime_ns: int) -> str:
        try:
            moment = datetime.fromtimestamp(mtime_ns // 1_000_000_000, timezone.utc)
        except (OverflowError, ValueError, OSError):
            return "at an impossible time"
        return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def make_report(inspection: ScopeResults, *, cwd: str, built: bool = False) -> Report:
    """Gather all issues of an inspection; the commands of the cure are for ``cwd``, and the repository is left open.

    With ``built`` a module has to be up to date itself.
    """
    found: dict[tuple[str, tuple[str, ...], str], Issue] = {}
    statuses: list[Status] = []
    for part in inspection.parts:
        own = list(_issues(part, cwd, built=built))
        statuses.append(worst((part.status, *(issue.status for issue in own))))
        for issue in own:
            key = (issue.kind, issue.paths, "" if issue.kind in _BY_FILE else issue.message)
            known = found.get(key)
            if known is None:
                found[key] = issue
            elif part.name not in known.modules:
                worse = issue if SEVERITY[issue.status] > SEVERITY[known.status] else known
                found[key] = worse._replace(modules=(*known.modules, part.name))
    order = sorted(found.values(), key=lambda issue: -SEVERITY[issue.status])
    return Report(
        inspection,
        tuple(order),
        _cure(inspection, statuses, order, cwd),
        worst(statuses),
        "",
        _roots(inspection),
        tuple(statuses),
    )


_BY_FILE = frozenset(
    kind.value
    for kind in (
        ReasonKind.NEWER_PREREQUISITE,
        ReasonKind.MISSING_PREREQUISITE,
        ReasonKind.MISSING_TARGET,
        ReasonKind.CONTENT_CHANGED,
    )
)


def _roots(inspection: ScopeResults) -> dict[str, str]:
    trees = tuple(result.tree for result in inspection.results)
    return dict(Roots(trees).paths) if trees else {}


def _cure(inspection: ScopeResults, statuses: list[Status], issues: list[Issue], cwd: str) -> tuple[str, ...]:
    """The commands for all stale parts, each once: what the kernel needs is the same for all of them."""
    removals: dict[str, None] = {}
    goals: dict[str, None] = {}
    modules: dict[str, None] = {}
    unbuilt = {
        part.name: any(issue.kind == NOT_BUILT and part.name in issue.modules for issue in issues)
        for part in inspection.parts
    }
    for part, status in zip(inspection.parts, statuses, strict=True):
        if part.result is None or status is not Status.STALE:
            continue
        tree, plan = part.result.tree, plan_refresh(part.result)
        own = [path for found in part.findings if found.status is Status.STALE for path in found.remove]
        silent = part.result.verdict.status is Status.STALE
        if tree.prebuilt:
            own = [path for path in own if path.startswith(f"{tree.module_output}/")]
        if plan.manual:
            continue  # the finding itself says what the user must do first
        if not own and (plan.empty if silent else not unbuilt[part.name]):
            continue  # no command of ours would help
        lines = refresh_commands(part.result, cwd)
        if tree.module is not None:
            modules[lines.pop()] = None
        if own:
            removals["rm -f " + " ".join(shell_quoted(path) for path in own)] = None
            is_ours = any(not path.startswith(f"{tree.module_output}/") for path in own)
            # With flags that the crates lack, the same words would build an object that does not fit again.
            if is_ours or find_new_flags(part.result, {}):
                goals[make_command(tree, cwd, refresh_goal(part.result.rules))] = None
        for line in lines:
            (removals if line.startswith("rm -f ") else goals)[line] = None
    return (*removals, *goals, *modules)


def _issues(part: ScopedResult, cwd: str, *, built: bool) -> Iterator[Issue]:
    result = part.result
    if result is None:
        path = part.error.partition(":")[0]
        path = path if path.startswith("/") else cwd
        yield _issue(part, NOT_JUDGED, Status.UNKNOWN, (path,), path, part.error, key=part.error)
        return
    writer = _Dated(result, cwd, Style.PLAIN, True, 0)
    for problem in result.verdict.problems:
        message = f"{writer.path(problem.path)}: {problem.message}"
        yield _issue(part, UNREADABLE, Status.UNKNOWN, (problem.path,), problem.path, message)
    counted = {discovery.path for discovery in part.findings if discovery.kind is ReasonKind.MISSING_SYMVERS}
    for finding in result.verdict.findings:
        if finding.path in counted:
            continue  # the same, with the number of symbols
        message = finding_sentence(writer, finding)
        issue = _issue(
            part, finding.kind.value, finding.status, (finding.path,), finding.path, message, finding.help,
            key=finding.message,
        )  # fmt: skip
        yield issue._replace(finding=finding)
    for discovery in part.findings:
        # That a module is as it should be is more than that nothing it is built from is stale.
        untold = built and discovery.kind is ReasonKind.MISSING_SYMVERS
        status = Status.UNKNOWN if untold else discovery.status
        yield _issue(
            part, discovery.kind.value, status, (discovery.path,), discovery.path, discovery.message,
            discovery.help, key=discovery.message,
        )  # fmt: skip
    for cause in find_root_causes(result):
        yield _cause_issue(part, result, writer, cause, cause.reason.kind.value)
    if built:
        for cause in find_root_causes(result, among=result.verdict.pending):
            yield _cause_issue(part, result, writer, cause, NOT_BUILT)
        folder = result.tree.module
        if folder is not None and not part.built:
            yield _issue(part, NOT_BUILT, Status.STALE, (folder,), folder, "it was never built here")
        elif folder is not None and not part.built_against:
            message = "it was last built against another object tree"
            yield _issue(part, NOT_BUILT, Status.STALE, (folder,), folder, message)


def _cause_issue(
    part: ScopedResult, result: CheckResult, writer: ResultText, cause: RootCause, kind: str
) -> Issue:
    first = cause.direct[0]
    # The representative file of a joined cause goes first, the others by name.
    paths = (cause.reason.path, *sorted(set(cause.paths) - {cause.reason.path}))
    location = cause.reason.path
    if location in result.graph.producers and first.rule.source:
        location = first.rule.source
    elif "/include/config/" in location:
        location = first.rule.source or f"{result.tree.objtree}/.config"
    issue = _issue(
        part, kind, Status.STALE, paths, location, cause_sentence(writer, cause), target=first.rule.name
    )
    return issue._replace(cause=cause)


def _issue(
    part: ScopedResult, kind: str, status: Status, paths: tuple[str, ...], location: str, message: str, help_text: str = "",
    *, target: str = "", key: str = "",
) -> Issue:  # fmt: skip
    result = part.result
    roots = None if result is None else Roots((result.tree,))
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
    """Return a path as a repository names it; None if it is outside."""
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


def module_stats(part: ScopedResult) -> tuple[int, int, int]:
    """How many rules and files were looked at, and how many kernel artifacts are silently stale."""
    if part.result is None:
        return 0, 0, 0
    result = part.result
    rules, files = part.looked_at or (len(result.graph.rules), len(result.snapshot.mtime_ns))
    kernel = sum(1 for s in result.verdict.stale if s.silent and s.rule.owner is Owner.KERNEL)
    return rules, files, kernel
