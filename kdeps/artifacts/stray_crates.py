# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find files that rustc would take for one of the crates (E0464).

rustc searches the folder of the crates. It opens every file there that begins with ``lib`` and a crate's name and
ends like a crate. A file that no record of this build names can therefore stop the next compile.

Source: rustc ``compiler/rustc_metadata/src/locator.rs``, ``find_library_crate``.
"""

from __future__ import annotations

import os

from kdeps.kbuild.rule import Action, Owner
from kdeps.staleness.check import CheckResult
from kdeps.staleness.racy_edits import short_name
from kdeps.staleness.reasons import Finding, ReasonKind, Status

_SUFFIXES = (".rmeta", ".rlib", ".so")


def check_stray_crates(result: CheckResult, roots: tuple[str, ...]) -> list[Finding]:
    """Find files beside the crates of a build that no rule writes and that bear a crate's name."""
    used = {
        state.rule.target
        for state in result.verdict.states.values()
        if state.silent or state.rule.owner is Owner.MODULE
    }
    # A rule without a record only stands for its file, unless the build uses that file.
    outputs = {
        output
        for rule in result.rules.rules
        if rule.record is not None or rule.action is not Action.IF_CHANGED or rule.target in used
        for output in rule.outputs
    }
    if result.tree.prebuilt:
        # Installed crates have no records; what bears exactly the name of one is that one.
        outputs.update(output for rule in result.graph.rules for output in rule.outputs)
    crates: dict[str, set[str]] = {}
    for rule in result.graph.rules:
        for output in rule.outputs:
            folder, _, name = output.rpartition("/")
            if _is_crate_file(name):
                crates.setdefault(folder, set()).add(_stem(name))
    findings = []
    for folder, names in sorted(crates.items()):
        for file in _list_folder(folder):
            path = f"{folder}/{file}"
            crate = _candidate_for(file, names)
            if crate and path not in outputs:
                findings.append(_finding(path, crate, roots))
    return findings


def _is_crate_file(name: str) -> bool:
    return name.startswith("lib") and name.endswith(_SUFFIXES)


def _stem(name: str) -> str:
    return name[3 : name.rindex(".")]


def _list_folder(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return []


def _candidate_for(name: str, crates: set[str]) -> str:
    """The crate that rustc may take a file for; empty for none."""
    if not _is_crate_file(name):
        return ""
    return max((crate for crate in crates if _stem(name).startswith(crate)), key=len, default="")


def _finding(path: str, crate: str, roots: tuple[str, ...]) -> Finding:
    message = (
        f"{short_name(path, roots)}: no record of this build names this file, but rustc would read it as "
        f"another `{crate}`: the next compile may stop with E0464"
    )
    return Finding(ReasonKind.FILE_WITHOUT_RECORD, path, message, "", Status.STALE, (path,))
