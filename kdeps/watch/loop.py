# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Wake, check again, publish, act.

The order that makes the answer trustworthy: watch first, then check, then read what
events came meanwhile. An answer is thrown away if something changed during its check,
and one that found new folders to watch is followed by another check.

A check begins during the quiet period. If nothing happens until that period is over, the check
is the answer: nothing has changed since before it began.

Once a minute it checks without being woken. If that finds a change that no event announced,
the file system of that file sends no events, and is polled from then on.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from kdeps.staleness.dependencies import Dependencies
from kdeps.staleness.reasons import Status
from kdeps.watch.debounce import QUIET_S, RECHECK_S, SLOW_RECHECK_S, Activity, Debounce
from kdeps.watch.events import Sources, name_some
from kdeps.watch.hooks import Hook
from kdeps.watch.module import Change, Describe
from kdeps.watch.modules import Checks, WatchedModules
from kdeps.watch.publish import Publisher
from kdeps.watch.reactor import PRIORITY, READABLE, WRITABLE, Handler, Reactor
from kdeps.watch.refresher import Refresher
from kdeps.watch.terminal import Show
from kdeps.watch.writers import Writers, find_repository

HEARTBEAT_S, MAX_HEARTBEAT_S = 60.0, 300.0
"""How often to check without being woken; less often where a check takes long."""
MAX_SHARE = 0.002
"""Of a processor's time that those checks may take."""
CALM_S = 1.0
"""An activity that ends within this time is not worth drawing; the verdict follows at once."""
MAX_ROUNDS = 4
"""How often in a row to check again because new folders came to be watched."""


class Options(NamedTuple):
    """How to watch."""

    quiet_s: float = QUIET_S
    only_poll: bool = False
    rebuild: bool = False
    fail: bool = False
    command: str = ""
    on_fresh: str = ""
    """To run after each refresh or build that ended fresh."""
    all_modules: bool = False
    notifier: str = ""


class Watch:
    """A watch of one or several modules of one tree.

    Raises:
        KdepsError: There is nothing to watch.
        AlreadyWatched: Another watch has one of the modules.
    """

    def __init__(
        self,
        lines: list[tuple[str, ...]],
        cwd: str,
        environ: dict[str, str],
        show: Show,
        options: Options,
        describe: Describe,
    ) -> None:
        self.show, self.options = show, options
        self.modules = WatchedModules(
            lines, cwd, environ, describe, show.log, all_modules=options.all_modules
        )
        self.sources = Sources(show.log, only_poll=options.only_poll)
        self.debounce = Debounce(options.quiet_s)
        self.writers = Writers(environ)
        exec_ = Hook("--exec", options.command, environ, cwd, show.log)
        on_fresh = Hook("--on-fresh", options.on_fresh, environ, cwd, show.log, logs_failure=True)
        self.hooks = (exec_, on_fresh)
        self.publisher = Publisher(self.modules, environ, show, exec_, on_fresh, options.notifier)
        self.refresher = Refresher(environ, cwd, show.log)
        self.published = False
        """Whether there was a verdict on every module."""
        self.ended: int | None = None
        self._change = Change()
        self._early: Checks | None = None
        self._missed = 0
        """Changes that only a check of the clock's found, because no event announced them."""
        self._retry_folders: frozenset[str] = frozenset()
        """Folders that are watched only for what may make another refresh worth it."""
        self._pending_since: float | None = None
        self._rounds = 0
        self._heartbeat_at = 0.0
        self._poll_at = 0.0

    # -- life ----------------------------------------------------------------

    def run(self) -> int:
        """Watch until a signal ends it; the exit status."""
        handlers: dict[signal.Signals, Handler] = {
            signal.SIGINT: self._end,
            signal.SIGTERM: self._end,
            signal.SIGHUP: self._end,
            signal.SIGCHLD: lambda _number: None,  # it only has to wake us
            **self.show.handlers(),
        }
        with Reactor(handlers) as reactor:
            try:
                self._watch_paths()
                self.publisher.service.ready("checking for the first time")
                self.debounce.note_change(time.monotonic() - self.options.quiet_s)
                while self.ended is None:
                    self._wait(reactor)
                    self._step()
                return self.ended
            finally:
                self.close()

    def close(self) -> None:
        """End everything that was begun, our own make first."""
        self.publisher.service.say("STOPPING=1")
        for hook in self.hooks:
            hook.stop()
        self.refresher.stop()
        self.publisher.close()
        self.writers.forget()
        self.sources.close()

    def _end(self, number: int) -> None:
        self.ended = 130 if number == signal.SIGINT else 0
        self.show.end()

    # -- waiting -------------------------------------------------------------

    def _wait(self, reactor: Reactor) -> None:
        """Sleep until something happens or is due, and take it in."""
        socket = self.publisher.socket
        wanted: dict[int | None, tuple[int, Callable[[], object]]] = {
            self.sources.descriptor: (READABLE, self._take_events),
            self.sources.mount_descriptor: (PRIORITY, self._note_mounts),
            socket.descriptor: (READABLE, self.publisher.accept),
            self.writers.descriptor: (READABLE, self._note_end),
            self.refresher.descriptor: (READABLE, self.refresher.read),
        }
        for hook in self.hooks:
            wanted[hook.descriptor] = (READABLE, hook.read)
        for descriptor, client in socket.clients.items():
            events = READABLE | (WRITABLE if client.waiting else 0)
            wanted[descriptor] = (events, partial(socket.serve, descriptor))
        wanted.pop(None, None)
        masks = [(descriptor, mask) for descriptor, (mask, _) in wanted.items() if descriptor is not None]
        for descriptor in reactor.wait(masks, self._wake_at() - time.monotonic()):
            wanted[descriptor][1]()

    def _wake_at(self) -> float:
        """The next moment at which there is something to do without an event."""
        moments = [self.debounce.due_at(), self.debounce.early_at(), self.publisher.service.due_at()]
        if not self.debounce.pending:
            moments += [self._heartbeat_at, self.refresher.retry_at]
        elif self._pending_since is not None and self._pending_since + CALM_S > time.monotonic():
            moments.append(self._pending_since + CALM_S)
        if len(self.sources.poller):
            moments.append(self._poll_at)
        return min(moment for moment in moments if moment is not None)

    def _take_events(self) -> bool:
        """Read the queue; tell whether anything of interest was in it."""
        events = self.sources.read()
        lock = self.writers.repository.lock if self.writers.repository else None
        paths = [path for path in events.paths if path != lock]
        if len(paths) < len(events.paths):
            self.debounce.note_git(time.monotonic())
        if events.lost:
            self.show.log("events were lost: checking everything again")
            self.sources.renew()
        if not paths and not events.lost:
            return False
        self._note_change(paths)
        return True

    def _note_change(self, paths: list[str]) -> None:
        if paths:
            self._change = Change(paths[-1], time.time())
        self.modules.note_change(paths)
        self.debounce.note_change(time.monotonic())
        self.refresher.note_change(paths)

    def _note_mounts(self) -> None:
        self.sources.renew()
        self.debounce.note_change(time.monotonic())

    def _note_end(self) -> None:
        self.writers.forget()
        self.debounce.note_end(time.monotonic())

    # -- checking ------------------------------------------------------------

    def _step(self) -> None:
        now = time.monotonic()
        for hook in self.hooks:
            hook.reap()
        if self.refresher.reap():
            self.debounce.note_change(now)
            self.debounce.note_end(now)
        if len(self.sources.poller) and now >= self._poll_at:
            if folders := self.sources.poll():
                self._note_change(list(folders))
            self._poll_at = time.monotonic() + self.sources.interval_s
        if self.debounce.pending and self._pending_since is None:
            self._pending_since = now
            self._publish_activity()
        if self.debounce.is_due(now):
            if self._is_quiet(now):
                self._check()
        elif self.debounce.is_early_due(now):
            self.debounce.note_early()
            if self._is_quiet(now):
                self._check_early()
        elif not self.debounce.pending and now >= self._heartbeat_at:
            self.sources.renew()
            self._watch_paths()
            self._check(by_clock=True)
        if self.refresher.retry_at is not None and now >= self.refresher.retry_at:
            self._act()
        self.publisher.service.beat()
        self._draw()

    def _is_quiet(self, now: float) -> bool:
        """Look for what writes to the tree; whether to check now."""
        was = self.debounce.writer
        writer = Activity.REFRESH if self.refresher.running else self.writers.find(self.modules.trees)
        # Where an event or the kernel announces the end there is no hurry to look again.
        announced = writer is not Activity.MAKE or self.writers.descriptor is not None
        if self.debounce.note_writer(writer, now, recheck_s=SLOW_RECHECK_S if announced else RECHECK_S):
            return True
        if writer is not was:
            self._publish_activity()
        return False

    def _check_early(self) -> None:
        """Check before the quiet is over; what it finds counts if nothing happens until then."""
        if self._take_events():
            return
        checks = self._run_checks()
        if not self._watch_paths():
            self._early = checks

    def _run_checks(self) -> Checks:
        checks = self.modules.check(self.debounce.changes)
        self.debounce.check_s = self.modules.took_s
        return checks

    def _check(self, *, by_clock: bool = False) -> None:
        """Check every module, and publish what is new if nothing changed meanwhile."""
        added = 0
        early, self._early = self._early, None
        if self.modules.is_scan_due(time.monotonic()):
            self.modules.scan()
            self._watch_paths()
            early = None
        elif not by_clock:
            self._take_events()  # this check sees whatever is in the queue by now
        if early is None or early.changes != self.debounce.changes or by_clock:
            checks = self._run_checks()
            added = self._watch_paths()  # before the queue is read: it may name what is of interest only now
        else:
            checks = early
        after = time.monotonic()
        self.debounce.note_checked(after)
        disturbed = self._take_events()
        same = self.modules.is_same(checks)
        if disturbed and not same:
            return
        if by_clock and not disturbed:
            self._find_missed(checks)
        if added and self._rounds < MAX_ROUNDS:
            # Nothing is published before everything is watched.
            self._rounds += 1
            self.debounce.note_change(after - self.debounce.quiet_s)
            return
        self._rounds = 0
        if not self.debounce.pending:
            self._pending_since = None
        self._note_counts()
        state = self.debounce.activity
        for module, check in checks.all:
            self.publisher.publish(module, check, state, self._change, self.refresher.note_of(module.name))
        pause_s = min(max(HEARTBEAT_S, self.modules.took_s / MAX_SHARE), MAX_HEARTBEAT_S)
        self._heartbeat_at = time.monotonic() + pause_s
        if self.options.fail and any(module.is_stale for module in self.modules):
            self.ended = 1
        if self.debounce.pending:
            return
        self.published = True
        self.publisher.publish_ready()
        self._act()
        for module in self.modules:
            module.remember()
        if self.refresher.folders != self._retry_folders:
            self._watch_paths()  # a refresh is known not to help; what would make it worth another try?

    def _find_missed(self, checks: Checks) -> None:
        """Find the files that changed unnoticed, where a check of the clock's differs from the last one."""
        for module, check in checks.all:
            if module.check is None or module.check.fingerprint == check.fingerprint:
                continue
            before, stamps = module.check.stamps, check.stamps
            paths = [path for path in before.keys() | stamps.keys() if before.get(path) != stamps.get(path)]
            if all(os.path.realpath(os.path.dirname(path)) in self.sources.poller for path in paths):
                continue  # the next poll would have found them; or it is no file, but a compiler's version
            self._missed += 1
            some = name_some(sorted(paths), "file")
            self.show.log(f"{module.name}: {some} changed without an event; polling there from now on")
            self.sources.distrust(paths)

    def _watch_paths(self) -> int:
        """Watch what all modules depend on; how many folders are new."""
        paths = self.modules.find_paths()
        repository = self.writers.repository = find_repository(self.modules.trees[0].srctree)
        lock = {repository.lock} if repository is not None else set()
        self._retry_folders = self.refresher.folders
        added = self.sources.watch(Dependencies(paths.files | lock, paths.folders | self._retry_folders))
        self._note_counts()
        return added

    def _note_counts(self) -> None:
        self.publisher.about = {
            "looks": self.modules.count,
            "missed": self._missed,
            "watched": self.sources.watched,
            "polled": len(self.sources.poller),
        }

    # -- publishing ----------------------------------------------------------

    def _activity(self) -> tuple[Activity, str]:
        """What is going on, and the details of it."""
        if self.refresher.running:
            return Activity.REFRESH, self.refresher.progress
        state = self.debounce.activity
        return state, self.writers.detail if state is Activity.MAKE else ""

    def _publish_activity(self) -> None:
        self.publisher.publish_activity(*self._activity())

    def _draw(self) -> None:
        calm = self._pending_since is None or time.monotonic() - self._pending_since < CALM_S
        state, detail = self._activity()
        if calm and state is Activity.SETTLING:
            state = Activity.CURRENT
        if self.published or not calm:
            self.publisher.draw(state, detail, self.sources.note)

    # -- acting --------------------------------------------------------------

    def _act(self) -> None:
        """Begin a refresh of the first module that is stale and may be cured, if that is wanted."""
        if (
            not self.options.rebuild
            or self.refresher.running
            or self.debounce.pending
            or self.ended is not None
        ):
            return
        for module in self.modules:
            if module.check is None or not module.is_stale:
                is_fresh = module.check is not None and module.check.status is Status.FRESH
                self.refresher.forget(module.name, fresh=is_fresh)
            elif self.refresher.begin(module, module.check.causes):
                self._pending_since = time.monotonic()
                self.debounce.note_change(self._pending_since)
                self.publisher.publish_note(module, "")  # the note about the last one is over
                self._publish_activity()
                return
            else:
                self.publisher.publish_note(module, self.refresher.note_of(module.name))
