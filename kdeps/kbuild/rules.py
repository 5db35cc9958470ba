# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every record of a tree as rules.

The records are read from the folders that ``make modules_prepare`` and ``make M=…``
work in; what Kbuild keeps only in Makefiles comes from ``kdeps.kbuild.makefile_rules``. Nothing
here knows a time stamp.
"""

from __future__ import annotations

from kdeps import TYPE_CHECKING
from kdeps.kbuild.module import read_module
from kdeps.kbuild.other_modules import add_other_modules, find_given_lists
from kdeps.kbuild.prepared import add_wrappers, read_kernel
from kdeps.kbuild.records import RecordReader
from kdeps.kbuild.rule import Owner, Rules

if TYPE_CHECKING:
    from kdeps.kbuild.tree import Tree


def read_rules(tree: Tree) -> Rules:
    """Read every record that matters to a build: the rules by name (kernel first), and what could not be read.

    Without a module only the kernel's own rules are read. What plain ``make`` builds ``check_tree`` reads.
    """
    reader = RecordReader(tree)
    read_kernel(reader)
    read_module(reader)
    own = (rule for rule in reader.rules.values() if rule.owner is Owner.MODULE)
    add_wrappers(reader, set().union(*(rule.prerequisites for rule in own)))
    if reader.leftovers:
        from kdeps.kbuild.leftovers import add_leftovers

        add_leftovers(reader)
    add_other_modules(reader, _read_other, {tree.module_output or ""})
    return as_rules(reader)


def _read_other(tree: Tree, seen: set[str]) -> RecordReader:
    """Read another module, and those that it reads."""
    reader = RecordReader(tree)
    read_module(reader)
    add_other_modules(reader, _read_other, seen)
    return reader


def as_rules(reader: RecordReader) -> Rules:
    """Everything that a reader has read."""
    return Rules(
        tuple(reader.rules.values()),
        tuple(reader.problems),
        frozenset(reader.leftovers),
        frozenset(reader.reads_any),
        tuple(reader.others),
        reader.whole,
        find_given_lists(reader.tree),
    )
