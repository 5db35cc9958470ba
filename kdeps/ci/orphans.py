# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Records without their files, and files without a record: what another configuration, a rename or a hand left.

Looked at are the folders that the judged steps write into. A record says what Kbuild made;
a file of a kind that Kbuild records, and that no record has, was not made there by this build.
Nothing that make uses is told here: a step of the build whose target is gone, or whose record is, is stale already.
What is left over is visited by nobody, so it is a note; but not beside a crate: rustc is told to look for
crates in that folder, and takes whatever begins with the crate's name for a candidate (E0464).

What Kbuild itself makes without a record stands in ``UNRECORDED``, with its source; a fresh tree gives nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.ci.discovery import Discovery, Kind
from kdeps.ci.meanwhile import short_name
from kdeps.rules import Action, Rule, Scope
from kdeps.survey import Survey
from kdeps.verdict import Status

_KINDS = (".o", ".ko", ".rmeta", ".so", ".rlib", ".a")
"""Of these Kbuild keeps a record of each; headers and lists are often written without."""
_CRATE_FILES = (".rmeta", ".rlib", ".so")
_MAX_SHOWN = 3


class Unrecorded(NamedTuple):
    """Files that Kbuild makes without a record."""

    names: re.Pattern[str]
    """Relative to the object tree."""
    source: str
    """Where it makes them, and since when, or until when, it was seen or read."""


UNRECORDED: tuple[Unrecorded, ...] = (
    Unrecorded(re.compile(r"tools/.+\.(?:a|so)"), "tools/build/Makefile.build archives by plain rules, as tools/lib/subcmd/Makefile: $(LIBFILE): (6.1 to 7.3)"),
    Unrecorded(re.compile(r"\.tmp_vmlinux.*\.o"), "scripts/link-vmlinux.sh: kallsyms, gen_btf (6.1 to 7.2, read)"),
    Unrecorded(re.compile(r"\.btf\.vmlinux\.bin\.o"), "scripts/link-vmlinux.sh: gen_btf (6.1, read)"),
)  # fmt: skip
"""Besides: the side outputs of a record (``lib*.rmeta``), and what is copied from a ``_shipped`` file (scripts/Makefile.lib: ``cmd_shipped``)."""


class Orphans(NamedTuple):
    """What was found in some folders; paths, sorted."""

    records: tuple[str, ...]
    """Records whose target is not there."""
    files: tuple[str, ...]
    """Artifacts that no record has."""


def find_orphans(
    folders: Iterable[str], outputs: frozenset[str], objtree: str, sources: dict[str, str] | None = None
) -> Orphans:
    """Compare the records of some folders with the files there.

    Args:
        folders: Absolute; those below them are not looked at.
        outputs: Every file that a known rule writes, its target or not.
        objtree: What names in the table are relative to.
        sources: Folder → the folder of its sources, where that is another one.
    """
    records: list[str] = []
    files: list[str] = []
    for folder in sorted(set(folders)):
        try:
            with os.scandir(folder) as entries:
                names = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        except OSError:
            continue
        for name in names:
            path = f"{folder}/{name}"
            if name[0] == "." and name.endswith(".cmd") and len(name) > 5:
                if name[1:-4] not in names and not os.path.lexists(f"{folder}/{name[1:-4]}"):
                    records.append(path)
            elif name.endswith(_KINDS) and f".{name}.cmd" not in names and path not in outputs:
                if _is_side_output(name, names) or _is_shipped(folder, name, sources or {}):
                    continue
                relative = path[len(objtree) + 1 :] if path.startswith(objtree + "/") else name
                if not any(row.names.fullmatch(relative) for row in UNRECORDED):
                    files.append(path)
    return Orphans(tuple(sorted(records)), tuple(sorted(files)))


def _is_side_output(name: str, names: set[str]) -> bool:
    """Whether it is the metadata of a crate whose object has a record beside it."""
    return name.startswith("lib") and name.endswith(".rmeta") and f".{name[3:-6]}.o.cmd" in names


def _is_shipped(folder: str, name: str, sources: dict[str, str]) -> bool:
    return any(os.path.lexists(f"{place}/{name}_shipped") for place in (folder, sources.get(folder, folder)))


# -- of one build -------------------------------------------------------------------


def judge_orphans(survey: Survey, roots: tuple[str, ...]) -> list[Discovery]:
    """Tell of what lies beside the steps of a build and is none of them."""
    tree = survey.tree
    rules = [r for r in survey.graph.rules if r.scope is Scope.MODULE or not tree.prebuilt]
    folders = {rule.target.rpartition("/")[0] for rule in rules}
    told = {
        state.rule.target for state in (*survey.verdict.stale, *survey.verdict.pending) if state.silent or state.rule.scope is Scope.MODULE
    }  # fmt: skip
    outputs = frozenset(
        output
        for rule in survey.rules.rules
        # A rule that was made up for a file without a record, which nothing uses, does not explain it.
        if rule.record is not None or rule.action is not Action.IF_CHANGED or rule.target in told
        for output in rule.outputs
    )
    found = find_orphans(folders, outputs, tree.objtree, _source_folders(survey, folders))
    records = [path for path in found.records if _target(path) not in told]
    crates = _crates(rules)
    taken = {path: crate for path in found.files if (crate := _taken_for(path, crates))}
    discoveries = [_crate_discovery(path, crate, roots) for path, crate in taken.items()]
    others = [path for path in found.files if path not in taken]
    if records:
        message = f"{_shown(records, roots)}: a record without its file; nothing that is built here uses it"
        help_text = "left over: delete it, or build its target again"
        discoveries.append(Discovery(Kind.RECORD_WITHOUT_FILE, records[0], message, help_text, Status.FRESH))
    if others:
        message = f"{_shown(others, roots)}: a file without a record; this build did not make it"
        help_text = "left over from another configuration or another name, or put there by hand"
        discoveries.append(Discovery(Kind.FILE_WITHOUT_RECORD, others[0], message, help_text, Status.FRESH))
    left = _left_modules(survey)
    if left:
        message = f"{_shown(left, roots)}: a module that is no longer built: modules.order does not name it"
        discoveries.append(Discovery(Kind.FILE_WITHOUT_RECORD, left[0], message, "left over: delete it, or build it again", Status.FRESH))  # fmt: skip
    return discoveries


def _target(record: str) -> str:
    folder, _, name = record.rpartition("/")
    return f"{folder}/{name[1:-4]}"


def _shown(paths: list[str], roots: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _MAX_SHOWN} more" if len(paths) > _MAX_SHOWN else ""
    return ", ".join(short_name(path, roots) for path in paths[:_MAX_SHOWN]) + more


def _source_folders(survey: Survey, folders: set[str]) -> dict[str, str]:
    """Where the sources of each folder lie, for ``O=`` and ``MO=``."""
    tree = survey.tree
    pairs = [(tree.objtree, tree.srctree)]
    if tree.module and tree.module_output:
        pairs.insert(0, (tree.module_output, tree.module))
    found: dict[str, str] = {}
    for folder in folders:
        for output, source in pairs:
            if folder == output or folder.startswith(output + "/"):
                found[folder] = source + folder[len(output) :]
                break
    return found


def _crates(rules: list[Rule]) -> dict[tuple[str, str], str]:
    """Folder and name of each crate → the file it is in."""
    crates: dict[tuple[str, str], str] = {}
    for rule in rules:
        for output in rule.outputs:
            folder, _, name = output.rpartition("/")
            if name.startswith("lib") and name.endswith(_CRATE_FILES):
                crates.setdefault((folder, name[3 : name.rindex(".")]), output)
    return crates


def _taken_for(path: str, crates: dict[tuple[str, str], str]) -> str:
    """The crate that rustc may take a file for.

    Source: rustc ``compiler/rustc_metadata/src/locator.rs``, ``find_library_crate``: every file that begins
    with ``lib`` and the crate's name and ends in one of the suffixes is opened and asked.
    """
    folder, _, name = path.rpartition("/")
    if not name.startswith("lib") or not name.endswith(_CRATE_FILES):
        return ""
    stem = name[3 : name.rindex(".")]
    names = [crate for place, crate in crates if place == folder and stem.startswith(crate)]
    return max(names, key=len, default="")


def _crate_discovery(path: str, crate: str, roots: tuple[str, ...]) -> Discovery:
    message = (
        f"{short_name(path, roots)}: no record has it, and rustc, which looks for crates there, takes it for "
        f"another `{crate}`: the next compile may stop at it (E0464)"
    )
    return Discovery(Kind.FILE_WITHOUT_RECORD, path, message, "", Status.STALE, (path,))


def _left_modules(survey: Survey) -> list[str]:
    """Modules that lie in the module's folder with a record that nothing reaches: built once, under that name."""
    output = survey.tree.module_output
    if output is None:
        return []
    known = {rule.target for rule in survey.graph.rules}
    folders = {rule.target.rpartition("/")[0] for rule in survey.graph.rules if rule.scope is Scope.MODULE}
    found = []
    for folder in folders:
        try:
            names = set(os.listdir(folder))
        except OSError:
            continue
        found += [
            f"{folder}/{name}" for name in names if name.endswith(".ko") and f".{name}.cmd" in names and f"{folder}/{name}" not in known
        ]  # fmt: skip
    return sorted(found)
