# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 2: every record of a tree as rules.

The records are read from the folders that ``make modules_prepare`` and ``make M=…``
work in; what Kbuild keeps only in Makefiles comes from ``kdeps.edges``. Nothing
here knows a time stamp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdeps.rules.kernel import read_kernel
from kdeps.rules.model import Action, Problem, Rule, Rules, Scope
from kdeps.rules.module import read_module
from kdeps.rules.reader import MAX_RECORD_BYTES, Reader, path_of_target

if TYPE_CHECKING:
    from kdeps.tree import Tree

__all__ = [
    "MAX_RECORD_BYTES",
    "Action",
    "Problem",
    "Reader",
    "Rule",
    "Rules",
    "Scope",
    "gather",
    "path_of_target",
    "read_rules",
]


def read_rules(tree: Tree, *, whole: bool = False) -> Rules:
    """Read every record that matters to a build.

    Args:
        tree: Where to read. Without a module only the kernel's own rules are read.
        whole: Read what plain ``make`` builds instead: the whole kernel and its modules.

    Returns:
        The rules by name (kernel first), and what could not be read.
    """
    reader = Reader(tree, whole=whole)
    if whole:
        from kdeps.rules.whole import read_whole

        read_whole(reader)
        return gather(reader)
    read_kernel(reader)
    read_module(reader)
    return gather(reader)


def gather(reader: Reader) -> Rules:
    """Everything that a reader has read."""
    return Rules(
        tuple(reader.rules.values()),
        tuple(reader.problems),
        frozenset(reader.leftovers),
        reader.any_crate,
        reader.whole,
    )
