# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Why something is stale: the reasons, the findings and the verdict that carries them."""

from __future__ import annotations

from enum import Enum

from kdeps import NamedTuple
from kdeps.kbuild.rule import Problem, Rule


class ReasonKind(str, Enum):
    """Why a rule is stale, or what is wrong with the build as a whole. JSON carries these values.

    Kbuild's own come first, in the order its ``why`` asks (``scripts/Kbuild.include``).
    """

    MISSING_TARGET = "missing-target"
    NEWER_PREREQUISITE = "newer-prerequisite"
    MISSING_PREREQUISITE = "missing-prerequisite"
    MISSING_RECORD = "missing-record"
    COMMAND_CHANGED = "command-changed"
    STALE_PREREQUISITE = "stale-prerequisite"
    MISSING_OUTPUT = "missing-output"
    INTERRUPTED = "interrupted"
    CONTENT_CHANGED = "content-changed"
    """By contents, from the memory of builds or a ledger: make sees nothing, because the file is no newer."""
    CONFIG_NOT_SYNCED = "config-not-synced"
    CONFIG_NOT_FOLLOWED = "config-not-followed"
    TOOLCHAIN_CHANGED = "toolchain-changed"
    NO_OBJECTS = "no-objects"
    KERNEL_GUESSED = "kernel-guessed"
    """Neither the arguments nor a Makefile names the kernel: it is the running one's."""
    OLD_KERNEL = "old-kernel"
    OLD_SYMVERS = "old-symvers"
    MISSING_SYMVERS = "missing-symvers"
    CLOCK = "clock"
    """Artifacts are dated in the future, so that make takes edits for old ones."""
    OLD_MTIME = "old-mtime"
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
    FILE_WITHOUT_RECORD = "file-without-record"
    """A file that no record of this build has, and that rustc would take for one of its crates."""
    MIXED_BUILDS = "mixed-builds"
    """Artifacts that belong together are of different builds, by what they hold."""


class Certainty(str, Enum):
    """Whether Kbuild, once started, is bound to run the rule."""

    CERTAIN = "certain"
    POSSIBLE = "possible"
    """A step between replaces its output only when the content differs."""


class Reason(NamedTuple):
    """One ground for calling a rule stale, with its evidence."""

    kind: ReasonKind
    kbuild: bool
    """Whether Kbuild sees it when make builds the target."""
    path: str
    """The file that makes the difference; the target itself where that is missing."""
    mtime_ns: int | None = None
    target_mtime_ns: int | None = None
    detail: str = ""
    """For people: what is wrong with a record."""
    added: tuple[str, ...] = ()
    """``command-changed``: words of the command now that the recorded one does not have."""
    removed: tuple[str, ...] = ()
    """``command-changed``: words of the recorded command that are gone."""


class Stale(NamedTuple):
    """A rule that is stale, with all its reasons."""

    rule: Rule
    reasons: tuple[Reason, ...]
    """Direct ones first; never empty."""
    silent: bool
    """``make M=…`` would use what it made, without a word."""
    certainty: Certainty

    @property
    def direct(self) -> bool:
        """Stale by itself, not only through what feeds it."""
        return any(reason.kind is not ReasonKind.STALE_PREREQUISITE for reason in self.reasons)


class Remedy(Enum):
    """What helps against a finding."""

    REFRESH = "refresh"
    """The usual refresh: Kbuild brings its own artifacts up to date."""
    CONFIGURE = "configure"
    """A refresh after new symbols got their defaults; syncconfig would ask about them on the terminal."""
    SYNC = "sync"
    """The same, and then syncconfig, for Kbuild goes by time and does not notice by itself. It compares the new
    values with the old ones; without ``auto.conf`` it would not see that a symbol is no longer set."""
    MANUAL = "by hand"
    """Only the user can; a refresh would fail, or do what the user did not ask for."""


class Finding(NamedTuple):
    """Something that is wrong with the build as a whole, or with an artifact; not with one rule."""

    kind: ReasonKind
    path: str
    message: str
    """One line: what is wrong."""
    help: str
    """What to do, a command where there is one; empty where the usual refresh cures it."""
    status: Status
    """What the verdict is if nothing else is wrong."""
    remove: tuple[str, ...] = ()
    """Files that have to go first, so that make sees that it must make them again."""
    remedy: Remedy = Remedy.REFRESH


class Status(str, Enum):
    """The answer. Exit status 0, 1 and 2."""

    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


class Source(str, Enum):
    """Who gave the answer."""

    RECORD = "record"
    KBUILD = "kbuild"


class Verdict(NamedTuple):
    """What kdeps says of one build."""

    status: Status
    source: Source
    stale: tuple[Stale, ...]
    """What ``make M=…`` will not rebuild, in topological order."""
    pending: tuple[Stale, ...]
    """What ``make M=…`` will itself rebuild, in topological order."""
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]

    @property
    def states(self) -> dict[str, Stale]:
        """All that is to be made again, by target: what is stale and what is pending."""
        return {state.rule.target: state for state in (*self.stale, *self.pending)}
