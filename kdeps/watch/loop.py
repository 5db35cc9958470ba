# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Wake, look again, tell, act.

The order that makes the answer trustworthy: watch first, then look, then read what
events came meanwhile. An answer during whose look something changed is thrown
away, and one that found new folders to watch is followed by another look.

A look begins while the quiet is still waited for. If nothing at all happens until it is
over, that look is the answer: nothing has changed since before it began.

Once a minute it looks without being asked. If that finds a change that no event
told of, the file system it is on does not tell, and is polled from then on.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from kdeps.verdict import Status
from kdeps.watch.busy import Writers
from kdeps.watch.execute import Executor
from kdeps.watch.looking import Looker, Looks
from kdeps.watch.modules import Watchlist
from kdeps.watch.reactor import PRIORITY, READABLE, WRITABLE, Reactor
from kdeps.watch.refresher import Refresher
from kdeps.watch.settle import QUIET_S, RECHECK_S, SLOW_RECHECK_S, Busy, Settle
from kdeps.watch.show import Show, Terminal
from kdeps.watch.sources import Sources
from kdeps.watch.telling import Change, Situation, Teller
from kdeps.watch.view import State, View

HEARTBEAT_S, MAX_HEARTBEAT_S = 60.0, 300.0
"""How often to look without being asked; less often where a look takes long."""
MAX_SHARE = 0.002
"""Of a processor's time that those looks may take."""
CALM_S = 1.0
"""A state that passes within this time is not worth drawing; the verdict follows at once."""
MAX_ROUNDS = 4
"""How often in a row to look again because new folders came to be watched."""
_STATES = {
    Busy.NOBODY: State.SETTLING,
    Busy.GIT: State.GIT,
    Busy.MAKE: State.MAKE,
    Busy.REFRESH: State.REFRESH,
}


class Options(NamedTuple):
    """How to watch."""

    quiet_s: float = QUIET_S
    only_poll: bool = False
    rebuild: bool = False
    """Refresh what is stale."""
    fail: bool = False
    """End with status 1 as soon as something is stale."""
    command: str = ""
    """To run with each new verdict."""
    all_modules: bool = False
    notify: Callable[[View], None] | None = None


class Watch:
    """A watch of one or several modules of one tree.

    Raises:
        KdepsError: There is nothing to watch.
        Taken: Another watch has one of the modules.
    """

    def __init__(
        self,
        lines: list[tuple[str, ...]],
        cwd: str,
        environ: dict[str, str],
        show: Show,
        options: Options,
    ) -> None:
        self.show, self.options = show, options
        self.modules = Watchlist(lines, cwd, environ, all_modules=options.all_modules, log=show.log)
        self.sources = Sources(only_poll=options.only_poll)
        self.settle = Settle(options.quiet_s)
        self.writers = Writers(environ)
        self.looker = Looker(self.modules, self.sources, self.writers, show.log)
        self.executor = Executor(options.command, environ, cwd, show.log)
        self.teller = Teller(
            self.modules, environ, show, self.executor, notify=options.notify, about=self.looker.about
        )
        self.refresher = Refresher(environ, cwd, show.log)
        self.told = False
        self.ended: int | None = None
        self._change = Change()
        self._pending_since: float | None = None
        self._rounds = 0
        self._heartbeat_at = 0.0
        self._poll_at = 0.0

    # -- life ----------------------------------------------------------------

    def run(self) -> int:
        """Watch until told to end; the exit status."""
        handlers: dict[signal.Signals, Callable[[int], object]] = {
            signal.SIGINT: self._end,
            signal.SIGTERM: self._end,
            signal.SIGHUP: self._end,
            signal.SIGCHLD: lambda _number: None,  # it only has to wake us
        }
        if isinstance(self.show, Terminal):
            handlers.update(self.show.handlers())
        with Reactor(handlers) as self.reactor:
            try:
                self._prepare()
                self.teller.service.ready("looking for the first time")
                self.settle.note_change(time.monotonic() - self.options.quiet_s)
                while self.ended is None:
                    self._wait()
                    self._step()
                return self.ended
            finally:
                self.close()

    def close(self) -> None:
        """End everything that was begun, our own make first."""
        self.teller.service.say("STOPPING=1")
        self.executor.stop()
        self.refresher.stop()
        self.teller.close()
        self.writers.forget()
        self.sources.close()

    def _end(self, number: int) -> None:
        self.ended = 130 if number == signal.SIGINT else 0

    # -- waiting -------------------------------------------------------------

    def _wait(self) -> None:
        """Sleep until something happens or is due, and take it in."""
        reactor, server = self.reactor, self.teller.server
        reactor.register(self.sources.descriptor, READABLE)
        reactor.register(self.sources.mount_descriptor, PRIORITY)
        reactor.register(server.fileno(), READABLE)
        for descriptor, client in server.clients.items():
            reactor.register(descriptor, READABLE | (WRITABLE if client.waiting else 0))
        reactor.register(self.refresher.fileno(), READABLE)
        reactor.register(self.executor.descriptor, READABLE)
        reactor.register(self.writers.descriptor, READABLE)
        ready = reactor.wait(self._wake_at() - time.monotonic())
        now = time.monotonic()
        for descriptor in ready:
            if descriptor == self.sources.descriptor:
                self._take_events(now)
            elif descriptor == self.sources.mount_descriptor:
                self.sources.renew()
                self.settle.note_change(now)
            elif descriptor == server.fileno():
                server.accept()
            elif descriptor in server.clients:
                reactor.unregister(descriptor)
                server.serve(descriptor)
            elif descriptor == self.writers.descriptor:
                reactor.unregister(descriptor)
                self.writers.forget()
                self.settle.note_end(now)
            elif descriptor == self.executor.descriptor:
                self.executor.read()
            else:
                reactor.unregister(descriptor)
                if descriptor == self.refresher.fileno():
                    self.refresher.read()

    def _wake_at(self) -> float:
        """The next moment at which there is something to do without an event."""
        moments = [self.settle.due_at(), self.settle.early_at(), self.teller.service.due_at()]
        if not self.settle.pending:
            moments += [self._heartbeat_at, self.refresher.due_at()]
        elif self._pending_since is not None and self._pending_since + CALM_S > time.monotonic():
            moments.append(self._pending_since + CALM_S)
        if len(self.sources.poller):
            moments.append(self._poll_at)
        return min(
            (moment for moment in moments if moment is not None), default=time.monotonic() + HEARTBEAT_S
        )

    def _take_events(self, now: float) -> bool:
        """Read the queue; tell whether anything of interest was in it."""
        events = self.sources.read()
        lock = self.writers.repository.lock if self.writers.repository else None
        paths = [path for path in events.paths if path != lock]
        if len(paths) < len(events.paths):
            self.settle.note_git(now)
        if events.lost:
            self.show.log("events were lost: looking at everything anew")
            self.sources.renew()
        if not paths and not events.lost:
            return False
        self._note_change(now, paths)
        return True

    def _note_change(self, now: float, paths: list[str]) -> None:
        if paths:
            self._change = Change(paths[-1], time.time())
        self.modules.note_change(paths)
        self.settle.note_change(now)
        self.refresher.note_change(paths)

    # -- looking -------------------------------------------------------------

    def _step(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        self.executor.reap()
        if self.refresher.reap():
            self.settle.note_change(now)
            self.settle.note_end(now)
        if len(self.sources.poller) and now >= self._poll_at:
            folders = self.sources.poll()
            if folders:
                self._note_change(now, list(folders))
            self._poll_at = time.monotonic() + self.sources.interval_s
        if self.settle.pending and self._pending_since is None:
            self._pending_since = now
            self.teller.tell_situation(self._situation())
        if self.settle.is_due(now):
            if self._is_nobody_busy(now):
                self._look()
        elif self.settle.is_early_due(now):
            self.settle.note_early()
            if self._is_nobody_busy(now):
                self._look_early()
        elif not self.settle.pending and now >= self._heartbeat_at:
            self.sources.renew()
            self._prepare()
            self._look(by_clock=True)
        retry_at = self.refresher.due_at()
        if retry_at is not None and now >= retry_at:
            self._act()
        self.teller.service.beat()
        self._draw()

    def _is_nobody_busy(self, now: float) -> bool:
        """Ask who writes to the tree; whether to look now."""
        was = self.settle.busy
        if self.refresher.running:
            busy = Busy.REFRESH
        else:
            if self.writers.descriptor is not None:
                self.reactor.unregister(self.writers.descriptor)
            busy = self.writers.find(one.target.tree for one in self.modules)
        # Where an event or the kernel will tell of the end there is no hurry to ask again.
        told = busy is not Busy.MAKE or self.writers.descriptor is not None
        if self.settle.found_busy(busy, now, recheck_s=SLOW_RECHECK_S if told else RECHECK_S):
            return True
        if busy is not was:
            self.teller.tell_situation(self._situation())
        return False

    def _look_early(self) -> None:
        """Look before the quiet is over; the looks count if nothing happens until it is."""
        if self._take_events(time.monotonic()):
            return
        looks = self._take_looks()
        if not self._prepare():
            self.looker.keep(looks)

    def _take_looks(self) -> Looks:
        looks = self.looker.look(self.settle.changes)
        self.settle.look_s = self.looker.took_s
        return looks

    def _look(self, *, by_clock: bool = False) -> None:
        """Look at every module, and tell what is new if nothing changed meanwhile."""
        now = time.monotonic()
        looks = None
        added = 0
        if self.modules.is_due(now):
            self.modules.scan()
            self._prepare()
        elif not by_clock:
            self._take_events(now)  # whatever is in the queue by now is seen by this look
            looks = self.looker.take_early(self.settle.changes)
        if looks is None:
            looks = self._take_looks()
            added = self._prepare()  # before the queue is read: it may name what is of interest only now
        after = time.monotonic()
        self.settle.looked(after, still_changing=False)
        disturbed = self._take_events(after)
        same = self.looker.is_same(looks)
        if disturbed and not same:
            return
        if by_clock and not disturbed:
            self.looker.count_missed(looks)
        if added and self._rounds < MAX_ROUNDS:
            # Nothing is said before everything is watched.
            self._rounds += 1
            self.settle.note_change(after - self.settle.quiet_s)
            return
        self._rounds = 0
        if not self.settle.pending:
            self._pending_since = None
        for one, look in looks.all:
            note = self.refresher.note_of(one.target.name)
            self.teller.tell(one, look, self._situation(), self._change, note)
        self._heartbeat_at = time.monotonic() + min(
            max(HEARTBEAT_S, self.looker.took_s / MAX_SHARE), MAX_HEARTBEAT_S
        )
        if self.options.fail and any(one.is_stale for one in self.modules):
            self.ended = 1
        if self.settle.pending:
            return
        self.told = True
        self.teller.tell_current()
        self._act()
        if self.refresher.folders != self.looker.more:
            self._prepare()  # a refresh is known not to help; what would make it worth another try?

    def _prepare(self) -> int:
        """Watch what all modules depend on; how many folders are new."""
        self.looker.more = self.refresher.folders
        return self.looker.prepare()

    # -- telling -------------------------------------------------------------

    def _situation(self) -> Situation:
        if self.refresher.running:
            return Situation(State.REFRESH, self.refresher.progress)
        if not self.settle.pending:
            return Situation(State.CURRENT)
        make = self.writers.make
        if self.settle.busy is Busy.MAKE and make is not None:
            return Situation(State.MAKE, f"{make.name} (pid {make.pid})")
        return Situation(_STATES[self.settle.busy])

    def _draw(self) -> None:
        calm = self._pending_since is None or time.monotonic() - self._pending_since < CALM_S
        quick = self.settle.busy is Busy.NOBODY and not self.refresher.running
        situation = self._situation()
        if calm and quick:
            situation = situation._replace(state=State.CURRENT)
        if self.told or not calm:
            self.teller.draw(situation, self.sources.note)

    # -- acting --------------------------------------------------------------

    def _act(self) -> None:
        """Begin a refresh of the first module that is stale and may be cured, if that was asked for."""
        if (
            not self.options.rebuild
            or self.refresher.running
            or self.settle.pending
            or self.ended is not None
        ):
            return
        for one in self.modules:
            name = one.target.name
            if one.look is None or not one.is_stale:
                self.refresher.forget(name, fresh=one.look is not None and one.look.status is Status.FRESH)
                continue
            if self.refresher.begin(one.target, one.look.causes):
                self._pending_since = time.monotonic()
                self.settle.note_change(time.monotonic())
                self.teller.tell_note(one, "")  # what was said of the last one
                self.teller.tell_situation(self._situation())
                return
            self.teller.tell_note(one, self.refresher.note_of(name))
