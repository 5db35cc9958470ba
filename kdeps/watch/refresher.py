# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Refreshing what is stale, if that was asked for. Never waits.

A refresh is that of ``kdeps make``: the same plan, the same lock, the same commands,
but the module itself is not built. One runs at a time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.errors import KdepsError
from kdeps.makeenv import kernel_environment
from kdeps.printable import printable
from kdeps.repair.lock import Lock, take_lock
from kdeps.repair.memory import Confirmation, confirm, take_inputs
from kdeps.repair.plan import kernel_command, plan_repair
from kdeps.repair.refresh import remove_files
from kdeps.rules import Rule, Scope
from kdeps.survey import Survey, survey
from kdeps.verdict import Status
from kdeps.watch.attempts import MAX_STREAK, Attempts, Causes
from kdeps.watch.making import Making, say_status
from kdeps.watch.target import Target

LOCK_RETRY_S = 1.0


class _Busy(Exception):
    """Somebody else refreshes this tree."""


class _Refresh(NamedTuple):
    """One refresh, from its plan on."""

    target: Target
    causes: Causes
    before: Confirmation | None
    """What Kbuild is about to be given."""
    rules: dict[str, Rule]
    """Of the kernel, by Kbuild's name."""
    expected: frozenset[str]
    """What it is to make, by Kbuild's name."""
    began: float


class Refresher:
    """Runs one refresh at a time."""

    def __init__(self, environ: dict[str, str], cwd: str, log: Callable[[str], None]) -> None:
        self.environ, self.cwd, self.log = environ, cwd, log
        self.attempts = Attempts(log)
        self._now: _Refresh | None = None
        """The one that runs, or ran last."""
        self._lock: Lock | None = None
        self._making: Making | None = None
        self._left: list[list[str]] = []
        self._repeated = 0
        self._retry_at: float | None = None

    @property
    def running(self) -> bool:
        """Whether our make runs."""
        return self._making is not None

    @property
    def progress(self) -> str:
        """How far it is."""
        return "" if self._making is None else self._making.progress

    @property
    def folders(self) -> frozenset[str]:
        """Where sources may appear that a failed refresh has missed."""
        return self.attempts.folders

    def note_of(self, name: str) -> str:
        """What there is to say of a module's refresh; empty: nothing."""
        return self.attempts.note_of(name)

    def due_at(self) -> float | None:
        """When to try again to get the lock."""
        return self._retry_at

    def fileno(self) -> int | None:
        """Readable when our make says something."""
        return None if self._making is None else self._making.fileno()

    def read(self) -> None:
        """Read what our make says."""
        if self._making is not None:
            self._making.read()

    def note_change(self, paths: list[str]) -> None:
        """Something has changed."""
        if self._making is not None:
            self._making.note_change(paths)
        else:
            self.attempts.note_change(paths)

    def forget(self, name: str, *, fresh: bool) -> None:
        """A module is not stale (any more)."""
        if self.running:
            return
        last = self._now
        if fresh and last is not None and last.target.name == name and self.attempts.was_tried(name):
            self.log(f"{name}: refreshed in {time.monotonic() - last.began:.1f} s")
            self._confirm(last)
        self.attempts.forget(name)

    def begin(self, target: Target, causes: Causes) -> bool:
        """Begin to refresh a stale module, unless that is known not to help.

        Args:
            target: The module.
            causes: What makes it stale.

        Returns:
            Whether make runs now.
        """
        name = target.name
        self._retry_at = None
        if not self.attempts.is_worth_it(name, causes):
            return False
        try:
            lock = take_lock(target.tree.objtree, self.environ, _refuse_to_wait)
        except _Busy as busy:
            self.attempts.note(name, f"another kdeps{busy} refreshes this tree")
            self._retry_at = time.monotonic() + LOCK_RETRY_S
            return False
        try:
            return self._begin_locked(target, causes, lock)
        except KdepsError as error:
            return self.attempts.give_up(name, causes, f"cannot be refreshed: {error}")
        finally:
            if self._making is None:
                lock.release()
                self._lock = None

    def _begin_locked(self, target: Target, causes: Causes, lock: Lock) -> bool:
        found = survey(target.words, self.cwd, self.environ)
        if found.verdict.status is not Status.STALE:
            return False
        plan = plan_repair(found)
        if plan.by_hand or plan.empty:
            helps = [finding.help for finding in found.verdict.findings if finding.help]
            what = helps[0] if helps else "run `kdeps check` for what to do"
            return self.attempts.give_up(target.name, causes, f"a refresh cannot help here: {what}")
        before = take_inputs(found, kernel_environment(self.environ))
        remove_files(plan.remove)
        self._left = [kernel_command(found.tree, self.cwd, goal) for goal in plan.goals]
        self._now = _Refresh(
            target,
            causes,
            before,
            rules={rule.name: rule for rule in found.graph.rules if rule.scope is Scope.KERNEL},
            expected=frozenset(s.rule.name for s in found.verdict.stale if s.rule.scope is Scope.KERNEL),
            began=time.monotonic(),
        )
        self._repeated = 0
        self.attempts.note_begin(target.name, causes)
        self.attempts.sources = _source_folders(found)
        if not self._left:
            return False  # only files were to go; the module's own make does the rest
        self._lock = lock
        return self._start(self._now)

    def _start(self, now: _Refresh) -> bool:
        """Start the next make; whether it runs."""
        command = self._left.pop(0)
        assert self._lock is not None
        self.log(f"{now.target.name}: refreshing: {printable(' '.join(command))}")
        inherited = () if self._lock.descriptor is None else (self._lock.descriptor,)
        environ = kernel_environment(self.environ)
        try:
            self._making = Making(command, self.cwd, environ, inherited, now.expected)
        except OSError as error:
            self._making = None
            self.attempts.give_up(now.target.name, now.causes, f"cannot be refreshed: make: {error.strerror}")
            return False
        self._lock.note_holder(self._making.pid)
        return True

    def reap(self) -> bool:
        """Go on when a make has ended; return whether the whole refresh has."""
        making, now = self._making, self._now
        if making is None or now is None:
            return False
        status = making.poll()
        if status is None:
            return False
        self._making = None
        if status == 0:
            self._repeat_torn(making, now)
            if self._left and self._start(now):
                return False
        else:
            for line in making.find_error():
                self.log(f"  {line}")
            why = f"the refresh failed ({say_status(status)}); waiting for the next change"
            self.attempts.give_up(now.target.name, now.causes, why)
        self._end()
        return True

    def _repeat_torn(self, making: Making, now: _Refresh) -> None:
        """Make again what was edited while it was compiled."""
        torn = making.find_torn(now.rules)
        if torn and self._repeated < MAX_STREAK:
            self._repeated += 1
            names = ", ".join(os.path.basename(path) for path in torn)
            self.log(f"{now.target.name}: edited while it was compiled: {names}; once more")
            remove_files(tuple(torn))
            self._left.insert(0, making.command)

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
            found = survey(last.target.words, self.cwd, self.environ)
            if found.verdict.status is Status.FRESH:
                confirm(found, last.before, kernel_environment(self.environ))

    def stop(self) -> None:
        """End our make, and wait for it."""
        if self._making is not None:
            self._making.stop()
            self._making = None
            self._end()


def _source_folders(found: Survey) -> frozenset[str]:
    return frozenset(
        os.path.dirname(path)
        for state in found.verdict.stale
        for path in state.rule.prerequisites
        if path.startswith(found.tree.srctree + "/") and path.endswith((".rs", ".c"))
    ) | {f"{found.tree.srctree}/rust"}


def _refuse_to_wait(pid: int) -> None:
    raise _Busy(f" (pid {pid})" if pid else "")
