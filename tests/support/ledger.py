# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Ledgers of a miniature, taken and judged."""

from __future__ import annotations

from pathlib import Path

from kdeps.contents.hashes import FileHasher
from kdeps.contents.ledger import Ledger, take_ledger
from kdeps.kbuild.tree import roots_of
from kdeps.staleness.check import CheckResult, check_build
from tests.support.miniature import MODULE, Miniature


def look(tree: Miniature) -> CheckResult:
    return check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), tree.environment())


def contents_of(result: CheckResult, cache: Path) -> FileHasher:
    environ = {"XDG_CACHE_HOME": str(cache)}
    return FileHasher(roots_of((result.tree,)), environ, result.tree.objtree)


def record(tree: Miniature, cache: Path) -> Ledger:
    found = look(tree)
    contents = contents_of(found, cache)
    ledger, problems = take_ledger((found,), contents, tree.environment())
    contents.store()
    assert not problems
    return ledger
