# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One watched module: check it, compare the verdict with the last one, and describe its status.

No check uses the result of an earlier one. Only what is needed to see a change, and
the paths to watch, are kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.contents.recall import ContentVerdict, Recollection, judge_contents, list_recalled
from kdeps.contents.steps import remember_build
from kdeps.formats.makeargs import parse_make_args
from kdeps.kbuild.rule import Owner
from kdeps.kbuild.tree import Tree, find_tree
from kdeps.running.build_id import find_other_loaded
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.dependencies import Dependencies, list_dependencies, list_places_searched
from kdeps.staleness.reasons import ReasonKind, Status
from kdeps.system.background import run_in_background
from kdeps.system.errors import KdepsError, describe_bug
from kdeps.system.text import counted, printable, short_path
from kdeps.watch.debounce import Activity
from kdeps.watch.status_files import StatusFiles, module_key

SYSFS = "/sys"
Json = dict[str, object]
Causes = frozenset[tuple[str, str, int]]
"""What a refresh would have to cure: kind, path and mtime of every direct reason."""


class Describe(NamedTuple):
    """How a verdict is put into words. The caller passes it: wording belongs to ``report``."""

    headlines: Callable[[CheckResult, str], list[str]]
    """Result, folder of the user → one sentence for each thing that is wrong, worst first."""
    document: Callable[[CheckResult, CheckResult, tuple[str, ...]], Json]
    """Verdict by content, verdict by time, touched files → the document of ``kdeps check --format json``."""
    unknown: Callable[[Tree, str, str], Json]
    """Tree, path, message → the same document for a build that cannot be judged."""
    dump: Callable[[Json], str]
    """A document as one line of JSON."""


class ModuleStatus(NamedTuple):
    """One module at one moment, as the terminal, the status files and the socket show it.

    The fields are those of the ``watch`` part of a JSON document.
    """

    name: str
    """As the user names it."""
    status: str
    """``fresh``, ``stale``, ``unknown``: the last verdict that counted."""
    headline: str
    """The root cause that reaches most, in one sentence; empty where all is well."""
    more: int
    since: float
    """When this verdict came to be: seconds since the epoch."""
    state: Activity = Activity.CURRENT
    detail: str = ""
    """Of the state: the command line of make, how far the refresh is."""
    change: str = ""
    """The file that changed last, as the user would type it."""
    changed_at: float = 0.0
    note: str = ""
    """What limits the watch: a refresh that failed, folders that it must poll."""

    @property
    def sentence(self) -> str:
        """The verdict in one line, without the name."""
        more = f" (and {counted(self.more, 'more cause')})" if self.more else ""
        return f"{self.status}: {self.headline}{more}" if self.headline else self.status

    def as_json(self) -> Json:
        """Write it as a part of a JSON document."""
        times = {"since": round(self.since, 3), "changed_at": round(self.changed_at, 3)}
        return {**self._asdict(), "state": self.state.value, **times}


class Change(NamedTuple):
    """What has changed last."""

    path: str = ""
    at: float = 0.0
    """Seconds since the epoch."""


class Check(NamedTuple):
    """What one check of a module found, and how to tell it from the next one."""

    status: Status
    headline: str
    more: int
    document: Json
    """As ``kdeps check --format json`` prints it."""
    answer: str
    """Equal for equal verdicts: without how long it took."""
    fingerprint: int
    """Equal (within one process) where everything that was read was the same."""
    stamps: dict[str, int] = {}  # noqa: RUF012  never written to
    """Path → mtime in ns."""
    causes: Causes = frozenset()
    modules: frozenset[tuple[str, int]] = frozenset()
    """The ``.ko`` files that exist, with their mtimes."""
    has_pending: bool = False
    """``make M=…`` would run rules of the module."""

    def has_become_fresh(self, before: Check) -> bool:
        """Whether a refresh or a build lies between two checks and ended fresh."""
        if self.status is not Status.FRESH:
            return False
        return before.status is not Status.FRESH or (self.modules != before.modules and not self.has_pending)


class _Last(NamedTuple):
    result: CheckResult
    """The verdict by time."""
    recalled: Recollection | None
    folders: frozenset[str]
    """Those whose names the verdict by content goes by."""
    began_ns: int
    listed: bool = False
    """Whether its paths were listed."""


class WatchedModule:
    """One module, its last check that counted, and its status for others.

    Raises:
        KdepsError: There is nothing to watch.
        AlreadyWatched: Another watch has it.
    """

    def __init__(self, words: tuple[str, ...], cwd: str, environ: dict[str, str], describe: Describe) -> None:
        self.words, self.cwd, self.environ, self.describe = words, cwd, environ, describe
        self.tree = find_tree(words, cwd, environ)
        """As it was found last."""
        self.name = module_name(words, self.tree)
        self.files = StatusFiles(module_key(self.tree), environ)
        self.check: Check | None = None
        self.status = ModuleStatus(self.name, Status.UNKNOWN.value, "", 0, time.time(), Activity.SETTLING)
        self._paths: Dependencies = list_places_searched(words, cwd, environ)
        self._last: _Last | None = None
        """Of the last check, if it reached a verdict."""
        self._remembered = 0
        """Fingerprint of the check whose build was remembered last."""

    @property
    def is_stale(self) -> bool:
        """By the last check that counted."""
        return self.check is not None and self.check.status is Status.STALE

    def run_check(self) -> Check:
        """Check it now. What cannot be judged is *unknown*, whatever the reason."""
        began_ns = time.time_ns()
        try:
            result = check_build(self.words, self.cwd, self.environ)
            by_content = judge_contents(result, self.environ)
        except KdepsError as error:
            return self._unknown(str(error))
        except OSError as error:
            return self._unknown(f"{error.filename or 'the tree'}: {error.strerror}")
        except Exception as error:
            return self._unknown(f"a bug in kdeps, please report it: {describe_bug(error)}")
        self.tree = result.tree
        self._last = _Last(result, by_content.recalled, by_content.listed, began_ns)
        return _summarise(by_content, result, self.cwd, self.describe)

    def _unknown(self, message: str) -> Check:
        message = printable(message)
        document = self.describe.unknown(self.tree, self.tree.objtree, message)
        return Check(Status.UNKNOWN, message, 0, document, repr(document), hash(message))

    def find_paths(self) -> Dependencies:
        """Find what the last verdict that could be reached depends on."""
        last = self._last
        if last is not None and not last.listed:
            paths = list_dependencies(last.result, self.words, self.cwd, self.environ)
            more = list_recalled(last.recalled)
            self._paths = Dependencies(paths.files.union(more), paths.folders | last.folders)
            self._last = last._replace(listed=True)
        return self._paths

    def remember(self) -> None:
        """Remember what a fresh build was made from, in a process of its own, once for each build."""
        last, check, self._last = self._last, self.check, None
        if last is None or check is None or check.status is not Status.FRESH:
            return
        if self._remembered != check.fingerprint:
            self._remembered = check.fingerprint
            run_in_background(
                lambda: remember_build(last.result, self.environ, last.began_ns), self.environ, at_once=True
            )

    def take(self, check: Check, state: Activity, change: Change, note: str) -> bool:
        """Let a check count; tell whether its verdict differs from the last one."""
        before, self.check = self.check, check
        same_status = before is not None and before.status is check.status
        self.status = ModuleStatus(
            self.name, check.status.value, check.headline, check.more, self.status.since if same_status else time.time(),
            state, "", short_path(change.path, self.cwd) if change.path else "", change.at, note,
        )  # fmt: skip
        return before is None or before.answer != check.answer

    def document(self, about: Json) -> str:
        """Return its status as one line of JSON: what ``check`` would print, and what there is to say of the watch as
        a whole.
        """
        if self.check is not None:
            document = dict(self.check.document)
        else:
            document = self.describe.unknown(self.tree, self.tree.objtree, "not checked yet")
        own: Json = {**self.status.as_json(), "pid": os.getpid(), "args": list(self.words), **about}
        document["watch"] = own
        return self.describe.dump(document)

    def write(self, document: str) -> None:
        """Bring its files up to date with what ``document`` returned."""
        now = self.status
        line = (now.status, now.state.value, now.name, self.tree.module or "", now.headline)
        self.files.write("\t".join(line), document)


def module_name(words: tuple[str, ...], tree: Tree) -> str:
    """Name a module as the user names it."""
    given = parse_make_args(words).variables
    name = given.get("M") or given.get("KBUILD_EXTMOD") or tree.module or "the kernel"
    return printable(name.rstrip("/"))


_BESIDE = ("stats", "by_time", "touched")
"""What may differ between two equal answers."""


def _summarise(by_content: ContentVerdict, by_time: CheckResult, cwd: str, describe: Describe) -> Check:
    result = by_content.result
    verdict, snapshot = result.verdict, result.snapshot
    touched = by_content.recalled.touched if by_content.recalled is not None else ()
    document = describe.document(result, by_time, touched)
    sentences = describe.headlines(result, cwd) if verdict.status is not Status.FRESH else []
    headline, more = (sentences[0], len(sentences) - 1) if sentences else ("", 0)
    answer = repr({name: value for name, value in document.items() if name not in _BESIDE})
    config = tuple((folder, frozenset(names.items())) for folder, names in snapshot.config.items())
    stamps = snapshot.mtime_ns
    fingerprint = hash((frozenset(stamps.items()), snapshot.empty, config, result.rules.rules, answer))
    modules = [r.target for r in result.graph.rules if r.owner is Owner.MODULE and r.target.endswith(".ko")]
    if verdict.status is Status.FRESH:
        if verdict.pending:
            headline = f"{len(verdict.pending)} of its own to rebuild"
        else:
            # Not in the fingerprint: it is no file of the build, and no event announces it.
            headline = _loaded_headline(modules)
            answer += headline
    return Check(
        verdict.status, headline, more, document, answer, fingerprint, stamps, _find_causes(result),
        frozenset((path, stamps[path]) for path in modules if path in stamps), bool(verdict.pending),
    )  # fmt: skip


def _find_causes(result: CheckResult) -> Causes:
    reasons = {
        (reason.kind.value, reason.path, reason.mtime_ns or 0)
        for state in result.verdict.stale
        if state.silent
        for reason in state.reasons
        if reason.kind is not ReasonKind.STALE_PREREQUISITE
    }
    findings = {(each.kind.value, each.path + each.message, 0) for each in result.verdict.findings}
    return frozenset(reasons | findings)


def _loaded_headline(modules: list[str]) -> str:
    """Name the modules that are loaded from another build than the fresh one; empty if all are of it."""
    names = find_other_loaded(modules, SYSFS)
    return f"but the loaded {', '.join(names)} is another build" if names else ""
