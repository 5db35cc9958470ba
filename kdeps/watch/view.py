# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What there is to tell of one module: the values that every way of telling shares.

A ``View`` is also what travels: it is the ``watch`` part of each JSON line, so a
second watch that joins shows exactly what the first one does.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

Json = dict[str, object]


class State(str, Enum):
    """Whether the verdict is that of this moment, and if not, why not."""

    CURRENT = "current"
    SETTLING = "settling"
    """Something has changed; the answer follows when it is quiet."""
    GIT = "checkout"
    """git is changing the files of the source tree."""
    MAKE = "building"
    """A make runs in one of the trees."""
    REFRESH = "refreshing"
    """Our own make runs."""


class View(NamedTuple):
    """One module at one moment."""

    name: str
    """As the user names it."""
    status: str
    """``fresh``, ``stale``, ``unknown``; the last settled verdict."""
    headline: str
    """The root cause that reaches most, in one sentence; empty where all is well."""
    more: int
    """How many more causes there are."""
    since: float
    """When this verdict came to be: seconds since the epoch."""
    state: State = State.CURRENT
    detail: str = ""
    """Of the state: what make was called with, how far the refresh is."""
    change: str = ""
    """The file that changed last, as the user would type it."""
    changed_at: float = 0.0
    note: str = ""
    """What the watch has to say about itself: a refresh that failed, folders it must poll."""


def view_json(view: View) -> Json:
    """Write a view as a part of a JSON document."""
    document: Json = dict(view._asdict())
    document["state"] = view.state.value
    document["since"] = round(view.since, 3)
    document["changed_at"] = round(view.changed_at, 3)
    return document


def parse_view(document: Json) -> View:
    """Read back what ``view_json`` wrote.

    Raises:
        ValueError: It is not that.
    """
    try:
        values = {name: document[name] for name in View._fields}
        view = View(**values)  # type: ignore[arg-type]  # checked by the next line
        return view._replace(
            state=State(view.state),
            since=float(view.since),
            changed_at=float(view.changed_at),
            more=int(view.more),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a view: {error}") from error


def say(view: View) -> str:
    """Say a verdict in one line, without its name."""
    more = f" (and {view.more} more cause{'s' if view.more > 1 else ''})" if view.more else ""
    return f"{view.status}: {view.headline}{more}" if view.headline else view.status
