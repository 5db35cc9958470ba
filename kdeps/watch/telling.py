# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Telling everybody: the terminal, the status files, the socket, systemd, the user's own command."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kdeps.report.verdict_json import Json
from kdeps.watch.execute import Executor
from kdeps.watch.modules import Watchlist
from kdeps.watch.runtime import Server
from kdeps.watch.service import Service
from kdeps.watch.show import Show
from kdeps.watch.target import Look
from kdeps.watch.view import State, View, say
from kdeps.watch.watched import Watched


class Situation(NamedTuple):
    """Why the verdicts are those of this moment, or not."""

    state: State
    detail: str = ""
    """What make was called with, how far the refresh is."""


class Change(NamedTuple):
    """What has changed last."""

    path: str = ""
    at: float = 0.0
    """Seconds since the epoch."""


class Teller:
    """Everybody who is told."""

    def __init__(
        self,
        modules: Watchlist,
        environ: dict[str, str],
        show: Show,
        executor: Executor,
        *,
        notify: Callable[[View], None] | None,
        about: Callable[[], Json],
    ) -> None:
        self.modules, self.show, self.executor = modules, show, executor
        self._notify, self._about = notify, about
        self.server = Server(environ, self._documents)
        self.service = Service(environ)

    def tell(self, one: Watched, look: Look, situation: Situation, change: Change, note: str) -> None:
        """A look has settled: bring everything up to date, and tell what is new."""
        before = one.look
        is_new = one.take(look, situation.state, change.path, change.at)
        one.view = one.view._replace(note=note)
        document = one.document(self._about())
        if is_new:
            self.show.tell(one.view, document)  # first: somebody waits for it
        one.write(document)
        self.server.tell(document)  # also that the verdict is what it was: it had been called in question
        if not is_new:
            return
        self.executor.run(document, one.view)
        if self._notify is not None and before is not None and before.status is not look.status:
            self._notify(one.view)

    def tell_note(self, one: Watched, note: str) -> None:
        """There is something else to say of a refresh."""
        if note != one.view.note:
            one.view = one.view._replace(note=note)
            one.write(one.document(self._about()))

    def tell_situation(self, situation: Situation) -> None:
        """The verdicts are no longer those of this moment; whoever reads them shall know at once."""
        for one in self.modules:
            one.view = one.view._replace(state=situation.state, detail=situation.detail)
            document = one.document(self._about())
            one.write(document)
            self.server.tell(document)

    def tell_current(self) -> None:
        """Everything is current: say so to whoever waits for that."""
        self.service.ready("; ".join(f"{one.view.name}: {say(one.view)}" for one in self.modules))

    def draw(self, situation: Situation, note: str) -> None:
        """Draw everything as it is now.

        Args:
            situation: As it shall look.
            note: Of the watch as a whole; a module's own goes first.
        """
        self.show.draw(
            [
                one.view._replace(state=situation.state, detail=situation.detail, note=one.view.note or note)
                for one in self.modules
            ]
        )

    def close(self) -> None:
        """Hang up. The modules are let go first: who followed us takes over now."""
        self.modules.close()
        self.server.close()
        self.service.close()

    def _documents(self) -> list[str]:
        return [one.document(self._about()) for one in self.modules]
