# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which times let make see that something is up to date: pure, for ninja's runs and for the memory.

A rule is *good* if none of its prerequisites is newer than the moment at which the rule was
last known to be right; without such a moment, the time of its target counts. A good rule,
and everything good behind it, gets the time of its newest prerequisite.

That is make's own question, asked with the times from before. A file that is edited
later is newer than that moment and keeps its rule stale. No time ever goes back: what was
built from an older output would look up to date.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from kdeps.kbuild.graph import Graph
from kdeps.kbuild.rule import Action, Rule
from kdeps.staleness.snapshot import Snapshot


class NewTimes(NamedTuple):
    """New times for outputs of one rule."""

    rule: Rule
    paths: tuple[str, ...]
    """In the order in which they get it: the target last, because side outputs are never newer."""
    mtime_ns: int


def plan_new_times(
    graph: Graph,
    snapshot: Snapshot,
    proven: Mapping[str, int],
    *,
    objtree: str,
    given: Mapping[str, int] | None = None,
    leave: Collection[str] = (),
) -> tuple[NewTimes, ...]:
    """Find the rules that need another time, and which, by a graph and a snapshot of the same moment.

    Args:
        proven: Target → a moment at which every output of it was known to be right.
        given: Path → a time that it gets before anything here.
        leave: Targets that are known not to be right, whatever the times are.
    """
    before = snapshot.mtime_ns
    after = dict(given or {})
    raised: list[NewTimes] = []
    for at in graph.order:
        rule = graph.rules[at]
        target = before.get(rule.target)
        if target is None or rule.action is Action.FILECHK or at in graph.cycles or rule.target in leave:
            continue
        right = max(target, proven.get(rule.target, target))
        sides = [before.get(path, right + 1) for path in rule.outputs[1:]]
        if any(mtime > right for mtime in sides):
            continue  # a step that was broken off
        newest = 0
        for path in list_compared(rule, snapshot, objtree):
            mtime = before.get(path)
            if mtime is None or mtime > right:
                break
            newest = max(newest, after.get(path, mtime))
        else:
            newest = max([newest, *(mtime for mtime in sides if mtime > target)])
            paths = (*rule.outputs[1:], rule.target)
            if newest <= target:
                # modpost leaves a .mod.c alone that would not differ, and make does not mind; ninja does.
                paths = tuple(p for p in paths if p in rule.replaced_if_changed and before[p] < newest)
            if paths:
                raised.append(NewTimes(rule, paths, newest))
                after.update(dict.fromkeys(paths, newest))
    return tuple(raised)


def list_compared(rule: Rule, snapshot: Snapshot, objtree: str) -> list[str]:
    """List what ``judge`` compares the target with, where make looks and where it should.

    Stamps of symbols are taken from ``snapshot.config``.
    """
    stamps = {
        f"{folder}/include/config/{name}": mtime
        for folder in dict.fromkeys((rule.config_dir, objtree))
        for name in rule.config
        if (mtime := snapshot.config.get(folder, {}).get(name)) is not None
    }
    snapshot.mtime_ns.update(stamps)
    optional = (path for path in rule.optional_prerequisites if path in snapshot.mtime_ns)
    return [*rule.prerequisites, *optional, *stamps]
