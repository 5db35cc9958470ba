# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Files that every module build needs and no record names: whether they are there and can be used."""

from __future__ import annotations

import os

from kdeps.formats.kconfig import parse_value
from kdeps.kbuild.configuration import Configuration, list_module_tools
from kdeps.kbuild.module_folder import list_rust
from kdeps.kbuild.rule import Owner, Rules
from kdeps.kbuild.tree import Tree
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.system.executable import why_not_started
from kdeps.system.files import read_bytes
from kdeps.system.stat import is_gone


def check_presence(tree: Tree, rules: Rules, configuration: Configuration) -> list[Finding]:
    """Find missing artifacts that every module build needs and no record names."""
    objtree = tree.objtree
    if parse_value(configuration.auto_conf, "RUST") == "y" and not any(
        rule.name == "rust/core.o" for rule in rules.rules
    ):
        path = f"{objtree}/rust/libcore.rmeta"
        if is_gone(path):
            if not tree.prebuilt:
                message = "CONFIG_RUST=y, but the Rust crates are not built here"
                return [Finding(ReasonKind.MISSING_OUTPUT, path, message, "", Status.STALE)]
            message = "these headers say CONFIG_RUST=y but come without the crates: no Rust module can be built against them"
            return [
                Finding(
                    ReasonKind.MISSING_OUTPUT, path, message,
                    "build the kernel yourself, or ask its packager to ship rust/*.rmeta and rust/*.so",
                    Status.UNKNOWN if _is_rust_module(tree, rules) else Status.FRESH,
                )
            ]  # fmt: skip
    if (
        parse_value(configuration.auto_conf, "RUST") != "y"
        and not tree.prebuilt
        and _is_rust_module(tree, rules)
    ):
        path = f"{objtree}/rust/libcore.rmeta"
        message = "left over: CONFIG_RUST is not set, so no make builds the crates that this module needs"
        help_text = "see `make rustavailable`, then set CONFIG_RUST"
        return [Finding(ReasonKind.FILE_WITHOUT_RECORD, path, message, help_text, Status.UNKNOWN)]
    missing = [
        name
        for name in (
            "include/config/auto.conf.cmd",
            "include/generated/autoconf.h",
            "include/generated/rustc_cfg",
        )
        if is_gone(f"{objtree}/{name}")
    ]
    found = [
        Finding(
            ReasonKind.CONFIG_NOT_SYNCED,
            f"{objtree}/{name}",
            "missing; M= builds do not notice",
            "",
            Status.STALE,
        )
        for name in missing
        if not tree.prebuilt
    ]
    known = {rule.name for rule in rules.rules}
    tools = list_module_tools(objtree)
    wanted = [name for name in tools if name not in known and is_gone(f"{objtree}/{name}")]
    found += [
        _cannot_be_run(tree, name, fault)
        for name in tools
        if name not in wanted and (fault := _find_fault(f"{objtree}/{name}"))
    ]
    if wanted and not tree.prebuilt:
        message = "module builds need it, but modules_prepare never made it, or it was deleted"
        found.append(Finding(ReasonKind.MISSING_TARGET, f"{objtree}/{wanted[0]}", message, "", Status.STALE))
    return found


def check_clean_folder(tree: Tree) -> list[Finding]:
    """Find the objects of a build without ``MO=`` in a module's folder: with ``MO=`` make stops there.

    Source: linux ``Makefile``, "The external module source tree is not clean" (6.13 on).
    """
    path = f"{tree.module}/modules.order"
    if tree.module is None or tree.module_output in (None, tree.module) or is_gone(path):
        return []
    message = "left over of a build without MO=: make stops, because the module's source folder is not clean"
    help_text = "give the same command once with `clean` and without MO=, then this one again"
    return [Finding(ReasonKind.FILE_WITHOUT_RECORD, path, message, help_text, Status.UNKNOWN)]


def _find_fault(path: str) -> str:
    """Say why a tool cannot be run, or a script for the linker not be read; what is gone is found otherwise."""
    if not path.endswith(".lds"):
        return why_not_started(path)
    is_read = not os.path.exists(path) or (os.path.isfile(path) and read_bytes(path, 1) != b"\0")
    return "" if is_read else "is damaged"


def _cannot_be_run(tree: Tree, name: str, fault: str) -> Finding:
    path = f"{tree.objtree}/{name}"
    message = f"{fault}: a module build stops there, or links with rubbish"
    if os.path.isdir(path):
        message, help_text = (
            "is a folder: module builds stop there",
            "move it away, then `make modules_prepare`",
        )
        return Finding(ReasonKind.INTERRUPTED, path, message, help_text, Status.UNKNOWN)
    if tree.prebuilt:
        help_text = "install the headers for this machine and this system again"
        return Finding(ReasonKind.INTERRUPTED, path, message, help_text, Status.UNKNOWN)
    return Finding(ReasonKind.INTERRUPTED, path, message, "", Status.STALE, remove=(path,))


def _is_rust_module(tree: Tree, rules: Rules) -> bool:
    """Whether a module has Rust in it: by its records, or by its sources where it was never built."""
    if tree.module is None:
        return False
    built = [rule for rule in rules.rules if rule.owner is Owner.MODULE]
    if built:
        return any(rule.source is not None and rule.source.endswith(".rs") for rule in built)
    return list_rust(tree.module) != []
