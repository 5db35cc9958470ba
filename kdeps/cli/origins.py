# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Name a build by its build id: what ``kdeps make`` remembered here, and what ledgers record."""

from __future__ import annotations

import sys

from kdeps.running.provenance import Origin, find_edited, find_origin
from kdeps.system.text import printable


class Origins:
    """From what builds were made, by build id."""

    def __init__(self, ledgers: tuple[str, ...], environ: dict[str, str]) -> None:
        self._environ = environ
        self._recorded: dict[str, Origin] = {}
        for path in ledgers:
            from kdeps.contents.ledger_file import read_ledger

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

        With edits, also find which of its sources have another content now.
        """
        origin = find_origin(build_id, self._environ)
        if origin is None:
            return self._recorded.get(build_id)
        return origin._replace(edited=find_edited(origin)) if with_edits else origin
