# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether the kernel that was linked is the kernel a module is built for.

``make M=…`` and ``make modules_prepare`` never link vmlinux, and only a build of
the whole kernel rewrites ``Module.symvers``. These findings are notes and make no build
stale: only that build cures them, and many trees never have a vmlinux. But the module
will be loaded into *some* kernel.
"""

from __future__ import annotations

import os

from kdeps.formats.symvers import has_garbled_end
from kdeps.kbuild.module_folder import builds_objects
from kdeps.kbuild.rule import Owner, Rules
from kdeps.kbuild.tree import Tree
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.files import list_names, read_bytes, read_ends
from kdeps.system.text import list_some

_END = 4096
_GARBLED = "is no list of symbols, or garbled: modpost fails, or calls symbols undefined"


def check_linked_kernel(tree: Tree, rules: Rules, environ: dict[str, str]) -> list[Finding]:
    """Compare crates with the vmlinux they are linked into, and it with the symbols modpost reads."""
    if tree.prebuilt or tree.module is None:
        return []
    found: list[Finding] = []
    vmlinux = f"{tree.objtree}/vmlinux"
    linked = find_mtime_ns(vmlinux)
    if linked is not None:
        newer = sorted(
            rule.name
            for rule in rules.rules
            if rule.owner is Owner.KERNEL
            and _is_linked(rule.name)
            and (find_mtime_ns(rule.target) or 0) > linked
        )
        if newer:
            message = f"was linked before {list_some(newer)}: the module is built for crates that this kernel does not have"
            help_text = "build and boot that kernel before loading the module"
            found.append(Finding(ReasonKind.OLD_KERNEL, vmlinux, message, help_text, Status.FRESH))
    symvers = f"{tree.objtree}/Module.symvers"
    dumped = find_mtime_ns(symvers)
    head = read_bytes(symvers, 2)
    if dumped is None or not head:
        own = [rule for rule in rules.rules if rule.record and rule.owner is Owner.MODULE]
        # A module that was linked without the list shows that its author can live without.
        has_lived_without = any(rule.name.endswith(".ko") for rule in own) and not any(
            " -i " in rule.command and "Module.symvers is missing" not in rule.command for rule in own
        )
        given = tree.args.variables.get("KBUILD_MODPOST_WARN", environ.get("KBUILD_MODPOST_WARN", ""))
        if not has_lived_without and not given:
            message = "modpost knows no symbol of the kernel without it, and fails"
            help_text = "build the whole kernel once, or give KBUILD_MODPOST_WARN=1 to link without it"
            found.append(Finding(ReasonKind.MISSING_SYMVERS, symvers, message, help_text, Status.FRESH))
        return found
    if _is_garbled(symvers):
        return [
            *found,
            Finding(ReasonKind.INTERRUPTED, symvers, _GARBLED, "build the whole kernel once", Status.UNKNOWN),
        ]
    described = f"{tree.objtree}/vmlinux.o"
    if (find_mtime_ns(described) or 0) > dumped:
        message = (
            "is older than vmlinux.o, whose symbols it lists: modpost may miss some, or give old versions"
        )
        help_text = "finish the build of the whole kernel"
        found.append(Finding(ReasonKind.OLD_SYMVERS, symvers, message, help_text, Status.FRESH))
    return found


def check_given_lists(tree: Tree, rules: Rules) -> list[Finding]:
    """Look at the lists of other modules' symbols: whether they are lists, and older than what they list.

    A list that has a record is judged by its rule, like any other output.
    """
    found: list[Finding] = []
    for path, has_record in find_lists(tree, rules).items():
        written = find_mtime_ns(path)
        if written is None:
            if path in rules.given and not has_record:
                message = "modpost stops without it, and KBUILD_EXTRA_SYMBOLS names it"
                help_text = "build the module that makes it first, or name another list"
                found.append(Finding(ReasonKind.MISSING_SYMVERS, path, message, help_text, Status.UNKNOWN))
        elif _is_garbled(path):
            help_text = f"build the module in {os.path.dirname(path)}"
            found.append(Finding(ReasonKind.INTERRUPTED, path, _GARBLED, help_text, Status.UNKNOWN))
        elif not has_record and (newer := _find_newer_sources(os.path.dirname(path), written)):
            message = f"is older than {list_some(newer)} beside it, and has no record that tells whether it lists them"
            help_text = f"build the module in {os.path.dirname(path)}"
            found.append(Finding(ReasonKind.OLD_SYMVERS, path, message, help_text, Status.FRESH))
    return found


def find_lists(tree: Tree, rules: Rules) -> dict[str, bool]:
    """Find the lists of other modules' symbols that a module is given, and whether each has a record."""
    own = f"{tree.module_output}/Module.symvers"
    inputs = (path for rule in rules.rules if rule.target == own for path in rule.uncompared_inputs)
    named = [path for path in inputs if path.endswith(".symvers")]
    if not named and not rules.given:
        return {}
    made = {path for rule in rules.rules for path in rule.outputs}
    return {path: path in made for path in (*named, *rules.given)}


def _find_newer_sources(folder: str, written_ns: int) -> list[str]:
    """Find the sources of a module that are newer than its list of symbols; none in a folder that builds none."""
    if not builds_objects(folder):
        return []
    names = [name for name in list_names(folder) if name.endswith((".rs", ".c", ".h", ".S"))]
    return [name for name in names if (find_mtime_ns(f"{folder}/{name}") or 0) > written_ns]


def _is_garbled(symvers: str) -> bool:
    ends = read_ends(symvers, _END, _END)
    return ends is not None and has_garbled_end(*ends)


def _is_linked(name: str) -> bool:
    """Whether a rule of ``rust/`` makes an object of the kernel, not a macro or a tool for one."""
    folder, _, file = name.rpartition("/")
    return folder in ("rust", "rust/helpers") and file.endswith(".o")
