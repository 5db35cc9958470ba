# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a pipeline is told beyond the verdict: facts that no time stamp shows."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from kdeps.verdict import Status


class Kind(str, Enum):
    """What was found. Every report carries these values."""

    TOUCHED_ONLY = "touched-only"
    """Newer by time, the same by content: make would run the step for nothing."""
    NOT_IN_LEDGER = "not-in-ledger"
    """The ledger cannot speak of an artifact: it was made, or replaced, after it was written."""
    OTHER_COMPILER = "other-compiler"
    """An artifact says that another compiler made it than the one of the configuration."""
    OTHER_KERNEL = "other-kernel"
    """The vermagic of a module is not that of the tree: the kernel would refuse to load it."""
    UNDEFINED_SYMBOL = "undefined-symbol"
    """A module needs a symbol that no ``Module.symvers`` has."""
    FLAGS_DIFFER = "flags-differ"
    """A crate and the module were compiled with flags that do not go together."""
    CHANGED_MEANWHILE = "changed-meanwhile"
    """An input was changed while it was compiled: newer than the step's beginning, older than its end."""
    RECORD_WITHOUT_FILE = "record-without-file"
    """A ``.cmd`` whose target is not there, of nothing that is built here any more."""
    FILE_WITHOUT_RECORD = "file-without-record"
    """An artifact that no record of this build has."""
    MIXED_BUILDS = "mixed-builds"
    """Artifacts that belong together are of different builds, by what they hold."""


class Discovery(NamedTuple):
    """One such fact."""

    kind: Kind
    path: str
    """The file it is about, absolute."""
    message: str
    """One line: what is wrong."""
    help: str
    """What to do; may be empty."""
    status: Status
    """What the answer is if nothing else is wrong; ``fresh``: a note."""
    remove: tuple[str, ...] = ()
    """Artifacts that have to go, so that make sees that it must make them again."""
