# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the file system says now: all the files of a build, each looked at once.

A snapshot is taken once and judged as a whole. A file that changes meanwhile is seen in one of
its two states, never in both.
"""

from __future__ import annotations

import os
import re
from stat import S_ISDIR

from kdeps import NamedTuple
from kdeps.kbuild.rule import Action, Owner, Problem, Rule, Rules
from kdeps.system.executable import is_foreign
from kdeps.system.files import read_ends
from kdeps.system.stat import status_of

SOLID = (".o", ".so", ".rlib", ".rmeta", ".ko", ".a", ".bc", ".lds", ".json", ".mod")
"""Outputs that are never empty; an empty header may be right, and a list of nothing."""

_LIST = "/modules.order"
"""Never empty where it names an object; lists of folders without any are."""

CRATES = (".rmeta", ".so", ".rlib")
"""What rustc takes crates from."""


DANGLING = (1 << 63) - 1
"""Stands for the mtime of a stamp file that is a symbolic link to nowhere: ``$(wildcard)`` lists it,
and a prerequisite that is missing counts as newer than everything."""


BEFORE_EPOCH = DANGLING - 1
"""Stands for every mtime before 1970: make takes a negative time for one out of range, and that for the
newest there is.

Source: GNU make ``src/file.c``, ``file_timestamp_cons``, whose seconds are unsigned.
"""
_MAGIC, _FOOTER = b"rust\0\0\0", b"rust-end-file"
SLACK_NS = 2_000_000_000
"""Clocks of a file server and of this machine may differ by that much."""
_LANGUAGES = (".S", ".rs", ".c")
"""Source: linux ``scripts/Makefile.build``, whose pattern rules for objects stand in the opposite order."""
_ARCHIVE = b"!<arch>\n"
_ELF, _ELF64 = b"\x7fELF", b"\x7fELF\x02\x01"
"""64 bits, little endian: every machine that kernels with Rust are built on."""
_HEAD_BYTES = 128
_RUSTC = re.compile(rb"rustc (?:(\d+)\.(\d+))?[\x20-\x7e]+(?![\x20-\x7e\0])")
_FOOTER_SINCE = (1, 80)
"""rustc writes the footer from 1.80 on. Source: rust ``compiler/rustc_metadata``, ``rustc_serialize``."""


class Snapshot(NamedTuple):
    """The stamp of every file that a judgement needs."""

    mtime_ns: dict[str, int]
    """Path → mtime. A file that is not there is not in it."""
    empty: frozenset[str]
    """Outputs that exist, must have content, and have none that could be used."""
    config: dict[str, dict[str, int]]
    """Folder → configuration symbol → mtime of its stamp file, for symbols that have one."""
    problems: tuple[Problem, ...]
    dangling: frozenset[str] = frozenset()
    """Outputs that are symbolic links to nowhere: gone to stat, there to make's ``$(wildcard)``."""
    unreadable: frozenset[str] = frozenset()
    """Files that may or may not be there; each has its problem."""
    stats: dict[str, os.stat_result] = {}  # noqa: RUF012 (the default is never changed)
    """Path → all that stat said, of Kconfig files too; for what compares more than times."""
    damaged: frozenset[str] = frozenset()
    """Those of ``empty`` that have content: metadata of crates that rustc cannot read."""
    compilers: dict[str, str] = {}  # noqa: RUF012 (the default is never changed)
    """Metadata of a crate → the rustc that wrote it, in the words of ``rustc --version``."""
    instead: dict[str, str] = {}  # noqa: RUF012 (the default is never changed)
    """Source that is gone → the one beside it, of another language, that make compiles now."""


def take_snapshot(rules: Rules, config_dirs: tuple[str, ...] = ()) -> Snapshot:
    """Stat every file that the rules name.

    Args:
        rules: Whose outputs, prerequisites and records to look at.
        config_dirs: Further folders whose ``include/config`` is looked at for the module's symbols.
    """
    paths: set[str] = set()
    outputs: list[str] = []
    listing: set[str] = set()
    symbols: dict[str, set[str]] = {}
    for rule in rules.rules:
        paths.update(rule.prerequisites)
        paths.update(rule.optional_prerequisites)
        paths.update(rule.uncompared_inputs)
        paths.update(rule.needed)
        outputs += rule.outputs
        is_list = rule.owner is Owner.MODULE and rule.target.endswith(_LIST)
        if is_list and any(not path.endswith(_LIST) for path in rule.prerequisites):
            listing.add(rule.target)
        if rule.config:
            symbols.setdefault(rule.config_dir, set()).update(rule.config)
            if rule.owner is not Owner.KERNEL:
                for folder in config_dirs:
                    symbols.setdefault(folder, set()).update(rule.config)
        if rule.depfile in rules.leftovers and rule.record is not None and rule.action is Action.IF_CHANGED:
            paths.update((rule.depfile or "", rule.record))
    mtime_ns: dict[str, int] = {}
    empty: set[str] = set()
    damaged: set[str] = set()
    compilers: dict[str, str] = {}
    problems: list[Problem] = []
    unreadable: set[str] = set()
    paths.difference_update(outputs)
    stats: dict[str, os.stat_result] = {}
    stat = os.stat
    for path in paths:
        try:
            found = stats[path] = stat(path)
            mtime_ns[path] = found.st_mtime_ns
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
            problems.append(Problem(path, "there is a folder where this file belongs; move it away"))
            continue
        stats[path] = found
        mtime_ns[path] = found.st_mtime_ns
        if found.st_size == 0 and (path.endswith(SOLID) or path in listing):
            empty.add(path)
        elif path.endswith(CRATES) and not os.access(path, os.R_OK):
            problems.append(Problem(path, "Permission denied: rustc cannot read it, nor can kdeps"))
        elif path.endswith(CRATES):
            is_whole, compiler = _look_into_crate(path)
            if not is_whole:
                damaged.add(path)
            elif compiler:
                compilers[path] = compiler
    _replace_negative(mtime_ns)
    gone = {rule.source for rule in rules.rules if rule.source and rule.source not in mtime_ns}
    instead = {source: other for source in gone for other in list_stand_ins(source) if os.path.exists(other)}
    config = {
        folder: _config_stamps(f"{folder}/include/config", names, problems)
        for folder, names in symbols.items()
    }
    return Snapshot(
        mtime_ns,
        frozenset(empty | damaged),
        config,
        tuple(sorted(problems)),
        frozenset(dangling),
        frozenset(unreadable),
        stats,
        frozenset(damaged),
        compilers,
        instead,
    )


def list_stand_ins(source: str) -> list[str]:
    """List the sources that make would compile to the same object if this one were gone, the first choice last."""
    stem, suffix = os.path.splitext(source)
    return [stem + other for other in _LANGUAGES if other != suffix] if suffix in _LANGUAGES else []


def find_gone_source(rule: Rule, snapshot: Snapshot) -> str:
    """The source of a step, if a pattern rule finds it and it is gone, so that the rule no longer matches; else empty."""
    source = rule.source
    if source is None or source in snapshot.mtime_ns or source in snapshot.unreadable:
        return ""
    return source if source in rule.optional_prerequisites else ""


def is_damaged(path: str) -> bool:
    """Whether a crate's file was zeroed by a crash, or cut off. An unreadable file counts as whole."""
    return not _look_into_crate(path)[0]


def _look_into_crate(path: str) -> tuple[bool, str]:
    """Whether a crate's file is whole, and the rustc that wrote it if it is metadata.

    Its first bytes and its last ones are looked at, which costs less than what stat costs elsewhere.
    """
    ends = read_ends(path, _HEAD_BYTES, len(_FOOTER))
    if ends is None:
        return True, ""
    head, tail = ends
    if path.endswith(".rlib"):
        return head.startswith(_ARCHIVE), ""
    if path.endswith(".so"):
        is_cut = head.startswith(_ELF64) and _is_cut(path, head)
        return head.startswith(_ELF) and not is_cut and not is_foreign(head), ""
    version = _RUSTC.search(head) if head.startswith(_MAGIC) else None
    if version is None:
        # rustc writes who it is right behind the magic, since before there was Rust in Linux.
        return False, ""
    has_footer = version[1] is not None and (int(version[1]), int(version[2])) >= _FOOTER_SINCE
    return not has_footer or tail == _FOOTER, version[0].decode("ascii")


def _is_cut(path: str, head: bytes) -> bool:
    """Whether a library ends before its table of sections does, which linkers write last."""
    if len(head) < 64:
        return True
    start = int.from_bytes(head[40:48], "little")
    size, number = (int.from_bytes(head[at : at + 2], "little") for at in (58, 60))
    st = status_of(path)
    return st is not None and st.st_size < start + size * number


def find_mtime_ns(path: str) -> int | None:
    """Return the mtime of one file; None if it cannot be looked at."""
    st = status_of(path)
    if st is None:
        return None
    return st.st_mtime_ns if st.st_mtime_ns >= 0 else BEFORE_EPOCH


def _replace_negative(mtime_ns: dict[str, int]) -> None:
    """Give every file the time that make takes its own for."""
    if min(mtime_ns.values(), default=0) < 0:
        mtime_ns.update({path: BEFORE_EPOCH for path, mtime in mtime_ns.items() if mtime < 0})


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
            if os.path.islink(f"{folder}/{name}"):
                stamps[name] = DANGLING
        except OSError as error:
            problems.append(Problem(f"{folder}/{name}", _why(error)))
    _replace_negative(stamps)
    return stamps


def _why(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{reason}: cannot tell whether it changed"
