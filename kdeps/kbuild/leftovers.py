# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read the ``.d`` files that broken-off steps left behind.

A compiler writes ``.T.d`` while it makes T; fixdep turns it into the record ``.T.cmd``, and Kbuild then deletes it. One
that is still there belongs to a step that failed or was stopped, or whose record is gone. It names what that step read:
a new file, a header that a record from before does not have, everything where there is no usable record.

Kbuild does not read it, so its names become inputs that make does not compare.
"""

from __future__ import annotations

from kdeps import TYPE_CHECKING
from kdeps.formats.depfile import parse_depfile
from kdeps.system.files import read_bytes

if TYPE_CHECKING:
    from kdeps.kbuild.records import RecordReader
    from kdeps.kbuild.rule import Rule

_MAX_BYTES = 4 << 20
"""The largest ``.d`` file seen has 0.2 MB."""
_IGNORED = "include/generated/autoconf.h"
"""fixdep replaces it by the symbols that a file mentions: every change of the configuration touches it."""


def add_leftovers(reader: RecordReader) -> None:
    """Add what left-over ``.d`` files name to the rules of their targets."""
    for path in sorted(reader.leftovers):
        folder, _, name = path.rpartition("/")
        rule = reader.rules.get(f"{folder}/{name[1:-2]}")
        if rule is None or rule.name.startswith("tools/"):
            continue  # tools/build leaves its own bootstrap's behind, each time
        named = parse_depfile(read_bytes(path, _MAX_BYTES))
        names = [name for name in named if not name.endswith(_IGNORED)]
        reader.rules[rule.target] = _with_inputs(rule, reader.paths(names, rule.config_dir), path)


def _with_inputs(rule: Rule, paths: list[str], depfile: str) -> Rule:
    known = {*rule.outputs, *rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs}
    more = tuple(path for path in dict.fromkeys(paths) if path not in known)
    source = rule.source or (paths[0] if paths else None)
    return rule._replace(uncompared_inputs=(*rule.uncompared_inputs, *more), source=source, depfile=depfile)
