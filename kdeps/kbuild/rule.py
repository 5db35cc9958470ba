# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a rule is: one recorded step with *all* its outputs and everything make compares it with.

Paths are strings, absolute, and made canonical once, by the reader. (They are not
``pathlib`` objects: there are 20,000 of them and they are only ever compared.)
"""

from __future__ import annotations

from enum import Enum

from kdeps import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kdeps.formats.cmdfile import RecordState


class Owner(str, Enum):
    """Whose rule it is."""

    KERNEL = "kernel"
    """Made by ``make modules_prepare``, never by ``make M=…``."""
    MODULE = "module"
    """Made by ``make M=…``."""
    OTHER = "other"
    """Made by ``make M=…`` of another module, whose outputs this one reads."""


class Action(Enum):
    """How make decides about the step, which is what its outputs do to those who read them."""

    IF_CHANGED = "if_changed"
    """By time and by command; every output gets a new mtime."""
    FILECHK = "filechk"
    """Runs every time, and replaces its output only when the content differs."""
    PLAIN = "plain"
    """A make rule without Kbuild's macros: by time alone."""


class Rule(NamedTuple):
    """One step of the build."""

    target: str
    name: str
    """The target as Kbuild writes it: relative to the object tree, or to the module output."""
    owner: Owner
    action: Action
    outputs: tuple[str, ...]
    """Every file it writes, the target first."""
    prerequisites: tuple[str, ...]
    """What make compares the target with; one that is missing counts as newer."""
    config_dir: str
    """Where make stands: it looks there for the stamp files of ``config``, and names in ``command`` are relative to it.
    From 6.13 on it stands in a module's output, where no stamp file is."""
    source: str | None = None
    """The file it is compiled from. Also in ``prerequisites`` where a Makefile names it."""
    optional_prerequisites: tuple[str, ...] = ()
    """Compared while they exist: ``$(wildcard …)``, and sources found by a pattern rule."""
    config: tuple[str, ...] = ()
    """Configuration symbols whose stamp files make compares."""
    uncompared_inputs: tuple[str, ...] = ()
    """Files its command names that make does *not* compare."""
    replaced_if_changed: frozenset[str] = frozenset()
    """Outputs that the step leaves alone when their content would not differ."""
    record: str | None = None
    """Path of the ``.cmd`` file; None if the step leaves none."""
    state: RecordState | None = None
    """None if there is no record, where one should be or where none is ever written."""
    record_problem: str = ""
    """What is wrong with the record, for people."""
    command: str = ""
    depfile: str | None = None
    """Where its compiler leaves the ``.d`` file, which Kbuild deletes after success."""
    needed: tuple[str, ...] = ()
    """Files that its command names and that only have to be there: what they say is followed elsewhere."""

    @property
    def crate(self) -> str:
        """The crate that it makes, by the names that rustc gives to files; empty for anything else."""
        for output in self.outputs:
            stem, dot, suffix = output.rpartition("/")[2].rpartition(".")
            if dot and suffix in ("rmeta", "so", "rlib") and stem.startswith("lib"):
                return stem[3:]
        return ""


class Problem(NamedTuple):
    """Something that could not be read, so that the answer is not "fresh"."""

    path: str
    message: str
    remove: bool = False
    """Deleting it, and making its target again, cures it."""


class Rules(NamedTuple):
    """All rules of a build, and what stood in the way of reading more."""

    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...]
    leftovers: frozenset[str]
    """``.d`` files seen beside the records."""
    reads_any: frozenset[str] = frozenset()
    """``.rmeta``, ``.h``: what the module is built from is not all recorded, and may be any crate or header of the kernel."""
    others: tuple[tuple[str, str], ...] = ()
    """Other modules whose rules are among these, sources and output, each behind those that it reads."""
    whole: bool = False
    """They are those of plain ``make``: the whole kernel with all its modules."""
    given: tuple[str, ...] = ()
    """Lists of symbols that the user names, whether a record has them or not."""
