# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the file system says now: the one module that calls ``stat``.

A snapshot is taken once and judged as a whole; a file that changes between two
looks is seen in one of its two states, never in both.
"""

from __future__ import annotations

import os
from stat import S_ISDIR
from typing import NamedTuple

from kdeps.rules import Action, Problem, Rules, Scope

SOLID = (".o", ".so", ".rlib", ".rmeta", ".ko", ".a")
"""Outputs that are never empty; an empty header or list may be right."""


class Snapshot(NamedTuple):
    """The stamp of every file that a judgement needs."""

    mtime_ns: dict[str, int]
    """Path → mtime. A file that is not there is not in it."""
    empty: frozenset[str]
    """Outputs that exist, must have content, and have none."""
    config: dict[str, dict[str, int]]
    """Folder → configuration symbol → mtime of its stamp file, for symbols that have one."""
    problems: tuple[Problem, ...]
    dangling: frozenset[str] = frozenset()
    """Outputs that are symbolic links to nowhere: gone to stat, there to make's ``$(wildcard)``."""
    unreadable: frozenset[str] = frozenset()
    """Files of which it cannot be told whether they are there; each has its problem."""


def take_snapshot(rules: Rules, more: tuple[str, ...] = (), config_dirs: tuple[str, ...] = ()) -> Snapshot:
    """Stat every file that the rules name.

    Args:
        rules: Whose outputs, prerequisites and records to look at.
        more: Further files that the judgement asks for.
        config_dirs: Further folders whose ``include/config`` is looked at for the module's symbols.
    """
    paths: set[str] = set(more)
    outputs: list[str] = []
    symbols: dict[str, set[str]] = {}
    for rule in rules.rules:
        paths.update(rule.prerequisites)
        paths.update(rule.optional)
        paths.update(rule.unseen)
        outputs += rule.outputs
        if rule.config:
            symbols.setdefault(rule.config_dir, set()).update(rule.config)
            if rule.scope is Scope.MODULE:
                for folder in config_dirs:
                    symbols.setdefault(folder, set()).update(rule.config)
        if rule.depfile in rules.leftovers and rule.record is not None and rule.action is Action.IF_CHANGED:
            paths.update((rule.depfile or "", rule.record))
    mtime_ns: dict[str, int] = {}
    empty: set[str] = set()
    problems: list[Problem] = []
    unreadable: set[str] = set()
    paths.difference_update(outputs)
    stat = os.stat
    for path in paths:
        try:
            mtime_ns[path] = stat(path).st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            problems.append(Problem(path, _why(error)))
            unreadable.add(path)
    dangling: set[str] = set()
    for path in outputs:
        try:
            found = stat(path)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(path):
                dangling.add(path)
            continue
        except (OSError, ValueError) as error:
            problems.append(Problem(path, _why(error)))
            unreadable.add(path)
            continue
        if S_ISDIR(found.st_mode) and path.endswith(SOLID):
            # To make it is there, and the compiler that would replace it fails.
            problems.append(Problem(path, "a folder lies where this file belongs; move it away"))
            continue
        mtime_ns[path] = found.st_mtime_ns
        if found.st_size == 0 and path.endswith(SOLID):
            empty.add(path)
    config = {
        folder: _config_stamps(f"{folder}/include/config", names, problems)
        for folder, names in symbols.items()
    }
    return Snapshot(
        mtime_ns,
        frozenset(empty),
        config,
        tuple(sorted(problems)),
        frozenset(dangling),
        frozenset(unreadable),
    )


def mtime_of(path: str) -> int | None:
    """The mtime of one file; ``None`` where there is none to be had."""
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return None


def _config_stamps(folder: str, names: set[str], problems: list[Problem]) -> dict[str, int]:
    """Stat the stamp files of the symbols that have one; most have none, so list the folder first."""
    try:
        present = names.intersection(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        problems.append(Problem(folder, _why(error)))
        return {}
    stamps: dict[str, int] = {}
    for name in present:
        try:
            stamps[name] = os.stat(f"{folder}/{name}").st_mtime_ns
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(Problem(f"{folder}/{name}", _why(error)))
    return stamps


def _why(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{reason}: cannot tell whether it changed"
