# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Name a build by its build id: what ``kdeps make`` remembered here, and what ledgers record."""

from __future__ import annotations

import sys

from kdeps.contents.ledger import Build, Ledger
from kdeps.contents.ledger_file import read_ledger
from kdeps.contents.roots import Roots
from kdeps.kbuild.rule import Owner
from kdeps.running.provenance import Origin, describe_commit, find_edited, find_origin
from kdeps.running.quick import read_file_id
from kdeps.staleness.check import CheckResult
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.text import printable


class Origins:
    """From what builds were made, by build id."""

    def __init__(self, ledgers: tuple[str, ...], environ: dict[str, str]) -> None:
        """Read the ledgers.

        Args:
            ledgers: Their paths.
            environ: For the place of the cache.

        Raises:
            LedgerError: One cannot be read.
        """
        self._environ = environ
        self._recorded: dict[str, Origin] = {}
        for path in ledgers:
            builds = read_ledger(path).builds
            if not builds:
                print(
                    f"kdeps: note: {printable(path)}: has no build ids; `kdeps ci --record` writes them now",
                    file=sys.stderr,
                )
            for build_id, build in builds.items():
                origin = Origin(build.file, None, build.commit, ledger=path)
                self._recorded.setdefault(build_id, origin)

    def find(self, build_id: str, *, with_edits: bool) -> Origin | None:
        """Return what is known of a build id, first of all what is remembered here.

        Args:
            build_id: In hexadecimal.
            with_edits: Also find which of its sources have another content now.
        """
        origin = find_origin(build_id, self._environ)
        if origin is None:
            return self._recorded.get(build_id)
        return origin._replace(edited=find_edited(origin)) if with_edits else origin


def read_builds(
    ledger: Ledger, results: tuple[CheckResult, ...], environ: dict[str, str]
) -> dict[str, Build]:
    """Read the build ids of the modules and of the vmlinux that a ledger describes.

    Args:
        ledger: Of the results.
        results: The builds, of one object tree.
        environ: For git.

    Returns:
        Build id → the file, and the commit of its sources.
    """
    roots = Roots(tuple(result.tree for result in results))
    commits: dict[str, str] = {}
    builds: dict[str, Build] = {}
    for result in results:
        for rule in result.graph.rules:
            path, name = rule.target, roots.name(rule.target)
            if name not in ledger.rules or not (path.endswith(".ko") or name == "$(objtree)/vmlinux"):
                continue
            build_id = read_file_id(path)
            if build_id is None or find_mtime_ns(path) != result.snapshot.mtime_ns.get(path):
                continue  # it changed since it was hashed
            module = result.tree.module if rule.owner is Owner.MODULE else None
            folder = module or result.tree.srctree
            if folder not in commits:
                commits[folder] = describe_commit(folder, environ)
            builds[build_id] = Build(name, commits[folder])
    return builds
