# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Refresh what is stale, if the user wants that. Never waits.

A refresh is that of ``kdeps make``: the same plan, the same lock, the same commands,
but the module itself is not built. One runs at a time.

A refresh that did not help is tried again only after a change that could matter: of a
cause, or of a source next to one. A file that a compile misses is in no record, so
after a failure every new source beside the known ones counts.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kdeps.contents.reuse import Reuser
from kdeps.formats.makeflags import kernel_environment
from kdeps.kbuild.rule import Owner, Rule
from kdeps.refresh.background_make import BackgroundMake, status_in_words
from kdeps.refresh.make_run import remove_files
from kdeps.refresh.plan import kernel_command, plan_refresh
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.confirmed import Confirmation, confirm, take_inputs
from kdeps.staleness.racy_edits import find_observed_edits
from kdeps.staleness.reasons import Status
from kdeps.system.errors import KdepsError
from kdeps.system.lock import Lock, take_lock
from kdeps.system.text import printable
from kdeps.watch.module import Causes, WatchedModule

LOCK_RETRY_S = 1.0
MAX_STREAK = 3
"""How many refreshes may follow each other without curing a module; a synced configuration may need two."""
_SOURCE = re.compile(r".*\.(rs|c|h|S)|(Makefile|Kbuild|Kconfig).*", re.DOTALL)


class _Locked(Exception):
    """Another kdeps refreshes this tree."""


class _Refresh(NamedTuple):
    """One refresh, from its plan on."""

    module: WatchedModule
    causes: Causes
    before: Confirmation | None
    """What Kbuild is about to be given."""
    rules: dict[str, Rule]
    """Of the kernel, by Kbuild's name."""
    expected: frozenset[str]
    """What it is to make, by Kbuild's name."""
    sources: frozenset[str]
    """The folders of the sources that it compiles."""
    began: float


@dataclass
class _Attempts:
    """What was tried to cure one module since it was last fresh."""

    count: int = 0
    tried: Causes | None = None
    """What the last refresh was to cure."""
    given_up: Causes | None = None
    """What is known not to be cured by a refresh."""
    note: str = ""
    """For people."""


class Refresher:
    """Runs one refresh at a time."""

    def __init__(self, environ: dict[str, str], cwd: str, log: Callable[[str], None]) -> None:
        self.environ, self.cwd, self.log = environ, cwd, log
        self.folders: frozenset[str] = frozenset()
        """Where sources may appear that a failed refresh has missed."""
        self.retry_at: float | None = None
        """When to try again to get the lock."""
        self._attempts: dict[str, _Attempts] = {}
        self._now: _Refresh | None = None
        """The one that runs, or ran last."""
        self._lock: Lock | None = None
        self._make: BackgroundMake | None = None
        self._edited: set[str] = set()
        """What has changed while it runs."""
        self._left: list[list[str]] = []
        self._repeated = 0

    @property
    def running(self) -> bool:
        """Whether our make runs."""
        return self._make is not None

    @property
    def progress(self) -> str:
        """How far it is."""
        return "" if self._make is None else self._make.progress

    @property
    def descriptor(self) -> int | None:
        """Readable when our make prints something."""
        return None if self._make is None else self._make.descriptor

    def read(self) -> None:
        """Read what our make prints."""
        if self._make is not None:
            self._make.read()

    def note_of(self, name: str) -> str:
        """What there is to say of a module's refresh; empty if there is nothing."""
        return self._attempts[name].note if name in self._attempts else ""

    def note_change(self, paths: list[str]) -> None:
        """Something has changed: a source beside those of a failed refresh makes another one worth it."""
        if self._make is not None:
            self._edited.update(paths)
        elif self.folders and any(_is_source_in(self.folders, path) for path in paths):
            self._attempts = {name: _Attempts(note=each.note) for name, each in self._attempts.items()}

    def forget(self, name: str, *, fresh: bool) -> None:
        """A module is not stale (any more)."""
        if self.running:
            return
        attempts, last = self._attempts.pop(name, None), self._now
        was_tried = attempts is not None and attempts.tried is not None
        if fresh and was_tried and last is not None and last.module.name == name:
            self.log(f"{name}: refreshed in {time.monotonic() - last.began:.1f} s")
            self._confirm(last)
        if all(each.given_up is None for each in self._attempts.values()):
            self.folders = frozenset()

    def _is_worth_it(self, name: str, causes: Causes) -> bool:
        """Whether a refresh of a stale module might cure it; logs if not."""
        own = self._attempts.setdefault(name, _Attempts())
        if own.given_up is not None:
            if own.given_up == causes:
                return False
            own.given_up, own.count = None, 0
        elif any(each.given_up == causes for each in self._attempts.values()):
            return self._give_up(name, causes, "waiting for the next change, as the refresh has failed")
        elif own.tried == causes:
            return self._give_up(name, causes, "refreshed, but still stale; waiting for the next change")
        if own.count >= MAX_STREAK:
            return self._give_up(name, causes, "does not become fresh; waiting for the next change")
        return True

    def _give_up(self, name: str, causes: Causes, why: str) -> bool:
        """Do not try again before something changes; always False."""
        own = self._attempts[name]
        own.given_up, own.tried = causes, None
        self.folders = self._now.sources if self._now is not None else frozenset()
        if own.note != why:
            own.note = why
            self.log(f"{name}: {why}")
        return False

    def begin(self, module: WatchedModule, causes: Causes) -> bool:
        """Begin to refresh a stale module, unless that is known not to help; whether make runs now."""
        self.retry_at = None
        if not self._is_worth_it(module.name, causes):
            return False
        try:
            lock = take_lock(module.tree.objtree, self.environ, _refuse_to_wait)
        except _Locked as locked:
            self._attempts[module.name].note = f"another kdeps{locked} refreshes this tree"
            self.retry_at = time.monotonic() + LOCK_RETRY_S
            return False
        try:
            return self._begin_locked(module, causes, lock)
        except KdepsError as error:
            return self._give_up(module.name, causes, f"cannot be refreshed: {error}")
        finally:
            if self._make is None:
                lock.release()
                self._lock = None

    def _begin_locked(self, module: WatchedModule, causes: Causes, lock: Lock) -> bool:
        result = check_build(module.words, self.cwd, self.environ)
        reuser = Reuser(
            lambda: check_build(module.words, self.cwd, self.environ), self.environ, self._ignore_unwritable,
            lambda said: self.log(f"{module.name}: {said}"),
        )  # fmt: skip
        result = reuser.reuse(result, restored=True)
        if result.verdict.status is not Status.STALE:
            return False
        plan = plan_refresh(result)
        if plan.manual or plan.empty:
            helps = [finding.help for finding in result.verdict.findings if finding.help]
            what = helps[0] if helps else "`kdeps check` with the same arguments shows what is stale"
            return self._give_up(module.name, causes, f"a refresh cannot help here: {what}")
        before = take_inputs(result, kernel_environment(self.environ))
        remove_files(plan.remove)
        self._left = [kernel_command(result.tree, self.cwd, goal) for goal in plan.goals]
        self._now = _Refresh(
            module,
            causes,
            before,
            rules={rule.name: rule for rule in result.graph.rules if rule.owner is Owner.KERNEL},
            expected=frozenset(s.rule.name for s in result.verdict.stale if s.rule.owner is Owner.KERNEL),
            sources=_source_folders(result),
            began=time.monotonic(),
        )
        self._repeated = 0
        own = self._attempts[module.name]
        own.tried, own.count, own.note = causes, own.count + 1, ""
        if not self._left:
            return False  # only files were to go; the module's own make does the rest
        self._lock = lock
        return self._start(self._now)

    @contextlib.contextmanager
    def _ignore_unwritable(self, _: CheckResult, otherwise: str) -> Iterator[None]:
        """The tree is locked already; say so where a file cannot be written, and go on."""
        try:
            yield
        except OSError as error:
            self.log(f"{error.filename}: {error.strerror}: {otherwise}")

    def _start(self, now: _Refresh) -> bool:
        command = self._left.pop(0)
        assert self._lock is not None
        self.log(f"{now.module.name}: refreshing: {printable(' '.join(command))}")
        inherited = () if self._lock.descriptor is None else (self._lock.descriptor,)
        environ = kernel_environment(self.environ)
        self._edited.clear()
        try:
            self._make = BackgroundMake(command, self.cwd, environ, inherited, now.expected)
        except OSError as error:
            self._make = None
            self._give_up(now.module.name, now.causes, f"cannot be refreshed: make: {error.strerror}")
            return False
        self._lock.note_holder(self._make.pid)
        return True

    def reap(self) -> bool:
        """Go on when a make has ended; return whether the whole refresh has."""
        make, now = self._make, self._now
        if make is None or now is None:
            return False
        status = make.poll()
        if status is None:
            return False
        self._make = None
        if status == 0:
            self._repeat_edited(make, now)
            if self._left and self._start(now):
                return False
        else:
            for line in make.find_error():
                self.log(f"  {line}")
            why = f"the refresh failed ({status_in_words(status)}); waiting for the next change"
            self._give_up(now.module.name, now.causes, why)
        self._end()
        return True

    def _repeat_edited(self, make: BackgroundMake, now: _Refresh) -> None:
        """Make again what was edited while it was compiled."""
        edited = find_observed_edits(now.rules, make.output.begun_ns, self._edited)
        if edited and self._repeated < MAX_STREAK:
            self._repeated += 1
            names = ", ".join(os.path.basename(path) for path in edited)
            self.log(f"{now.module.name}: edited while it was compiled: {names}; once more")
            remove_files(tuple(edited))
            self._left.insert(0, make.command)

    def _end(self) -> None:
        self._left = []
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _confirm(self, last: _Refresh) -> None:
        """Kbuild has just made everything by these arguments: remember that for ``kdeps make``."""
        if last.before is None:
            return
        with contextlib.suppress(KdepsError, OSError):
            result = check_build(last.module.words, self.cwd, self.environ)
            # Of other modules it made those that were stale, perhaps none.
            if result.verdict.status is Status.FRESH and not result.rules.others:
                confirm(result, last.before, kernel_environment(self.environ))

    def stop(self) -> None:
        """End our make, and wait for it."""
        if self._make is not None:
            self._make.stop()
            self._make = None
            self._end()


def _is_source_in(folders: frozenset[str], path: str) -> bool:
    folder, name = os.path.split(path)
    return folder in folders and _SOURCE.fullmatch(name) is not None


def _source_folders(result: CheckResult) -> frozenset[str]:
    return frozenset(
        os.path.dirname(path)
        for state in result.verdict.stale
        for path in state.rule.prerequisites
        if path.startswith(result.tree.srctree + "/") and path.endswith((".rs", ".c"))
    ) | {f"{result.tree.srctree}/rust"}


def _refuse_to_wait(pid: int) -> None:
    raise _Locked(f" (pid {pid})" if pid else "")
