# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One module that is watched: its target, what was last told of it, and its files for others."""

from __future__ import annotations

import os
import time

from kdeps.report.verdict_json import Json, dump
from kdeps.verdict import Status
from kdeps.watch.runtime import Post
from kdeps.watch.target import Look, Target
from kdeps.watch.view import State, View, view_json


class Watched:
    """The last settled look at one module, in every form in which it is told."""

    def __init__(self, target: Target, post: Post) -> None:
        self.target = target
        self.post = post
        self.look: Look | None = None
        """``None``: there was no settled one yet."""
        self.view = View(target.name, Status.UNKNOWN.value, "", 0, time.time(), State.SETTLING)

    @property
    def is_stale(self) -> bool:
        """By the last settled look."""
        return self.look is not None and self.look.status is Status.STALE

    def take(self, look: Look, state: State, change: str, changed_at: float) -> bool:
        """Take a look for the present; tell whether its verdict is another one than before."""
        before = self.look
        self.look = look
        same_status = before is not None and before.status is look.status
        self.view = self.view._replace(
            status=look.status.value,
            headline=look.headline,
            more=look.more,
            since=self.view.since if same_status else time.time(),
            state=state,
            detail="",
            change=_shown(change, self.target.cwd),
            changed_at=changed_at,
        )
        return before is None or before.answer != look.answer

    def document(self, about: Json) -> str:
        """Its state as one line of JSON: what ``check`` would print, and the watch's own part.

        Args:
            about: Of the watch as a whole.
        """
        document = dict(self.look.document) if self.look is not None else self.target.nothing_yet()
        own: Json = {**view_json(self.view), "pid": os.getpid(), "args": list(self.target.words), **about}
        document["watch"] = own
        return dump(document, indent=None)

    def write(self, document: str) -> None:
        """Bring its files up to date.

        Args:
            document: As ``document`` returns it.
        """
        view = self.view
        line = (view.status, view.state.value, view.name, self.target.tree.module or "", view.headline)
        self.post.write("\t".join(line), document)


def _shown(path: str, cwd: str) -> str:
    """A path as the user would type it."""
    if not path:
        return ""
    relative = os.path.relpath(path, cwd)
    return relative if len(relative) < len(path) else path
