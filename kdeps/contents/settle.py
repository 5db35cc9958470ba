# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Let make see what contents prove to be up to date.

After ``git checkout other && git checkout -`` every source has its old content and a new
time. make would build everything behind it again. So outputs of steps that are proven
(``kdeps.contents.recall``) get the time of their newest input, and so does everything
behind them that is up to date. make then finds nothing newer.

* Only outputs get another time, never a source: other object trees may share it. An output
  with a second hard link is copied first, so that the other name keeps file and time; one
  that is a symbolic link is left alone.
* No output gets a time later than one of its known inputs has. An edit that comes after
  is newer, and make sees it.
* A time in the future is not given: an edit of today would be older.
* Just before, the output must still be the file whose content was compared.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from kdeps.contents.inputs import configuration_inputs, configuration_outputs, configuration_target
from kdeps.contents.memory import save_memory
from kdeps.staleness.new_times import plan_new_times
from kdeps.system.stat import mtime_ns, stamp_of

if TYPE_CHECKING:
    from kdeps.contents.recall import Recollection
    from kdeps.staleness.check import CheckResult


class Settling(NamedTuple):
    """New times for the outputs of one step."""

    name: str
    """The target as Kbuild writes it."""
    target: str
    paths: tuple[str, ...]
    """In the order in which they get it, the target last."""
    mtime_ns: int


def plan_settling(
    result: CheckResult, recalled: Recollection, environ: dict[str, str]
) -> tuple[Settling, ...]:
    """Decide which outputs get which time, by the verdict by time and what the memory says of the same build."""
    now_ns = time.time_ns()
    first = _plan_configuration(result, recalled, environ)
    given = {path: one.mtime_ns for one in first for path in one.paths}
    raised = plan_new_times(
        result.graph,
        result.snapshot,
        dict.fromkeys(recalled.proven, now_ns),
        objtree=result.tree.objtree,
        given=given,
        leave=recalled.changed,
    )
    planned = [Settling(one.rule.name, one.rule.target, one.paths, one.mtime_ns) for one in raised]
    return tuple(one for one in (*first, *planned) if one.mtime_ns <= now_ns and are_ours(one.paths))


def _plan_configuration(
    result: CheckResult, recalled: Recollection, environ: dict[str, str]
) -> list[Settling]:
    """Give the synced configuration the time of what it was synced from, so that syncconfig does not run."""
    if not recalled.configuration_proven:
        return []
    newest = max(map(mtime_ns, configuration_inputs(result.tree, environ)), default=0)
    paths = [p for p in configuration_outputs(result.tree) if os.stat(p).st_mtime_ns < newest]
    target = configuration_target(result.tree)
    return [Settling("include/config/auto.conf", target, tuple(reversed(paths)), newest)] if paths else []


def are_ours(paths: tuple[str, ...]) -> bool:
    """Whether all of these are plain files, and no links to those of another tree."""
    try:
        return all(stat.S_ISREG(os.lstat(path).st_mode) for path in paths)
    except OSError:
        return False


def give_time(path: str, mtime_ns: int) -> None:
    """Give an output a time; another name of the same file, which a copy of the tree may have, keeps its own."""
    if has_other_name(path):
        temporary = temporary_name(path)
        try:
            shutil.copy2(path, temporary)
            os.replace(temporary, path)
        except OSError:
            remove(temporary)
            raise
    os.utime(path, ns=(mtime_ns, mtime_ns))


def has_other_name(path: str) -> bool:
    """Whether a file has a second hard link."""
    return os.stat(path).st_nlink > 1


def temporary_name(path: str) -> str:
    """Where a file is made before it replaces another one: git does not list that name, and ``make clean`` removes it."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.tmp_kdeps_{name}"


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def carry_out(
    settlings: tuple[Settling, ...], result: CheckResult, recalled: Recollection, environ: dict[str, str]
) -> int:
    """Give the outputs their times; return how many steps were settled.

    An output that was replaced since it was judged keeps its time, and so does everything planned after it.
    """
    done = 0
    memory = recalled.memory
    entries = memory.entries
    moved: dict[str, int] = {}
    for one in settlings:
        if not all(is_as_judged(path, result) for path in one.paths):
            break
        for path in one.paths:
            give_time(path, one.mtime_ns)
        done += 1
        moved[one.target] = one.mtime_ns
    records = {rule.target for rule in result.graph.rules if rule.record is not None}
    for target, moved_ns in moved.items():
        # Of a step without a record the time of its target tells when it ran.
        if target in entries and target not in records:
            entries[target] = entries[target]._replace(built_ns=moved_ns)
    if moved.keys() & entries.keys() - records:
        save_memory(memory, result.tree.objtree, environ, whole=result.rules.whole)
    return done


def is_as_judged(path: str, result: CheckResult) -> bool:
    judged = result.snapshot.stats.get(path)
    try:
        return judged is None or stamp_of(os.stat(path)) == stamp_of(judged)
    except OSError:
        return False
