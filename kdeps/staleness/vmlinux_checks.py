# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether the kernel that was linked is the kernel a module is built for.

``make M=…`` and ``make modules_prepare`` never link vmlinux, and only a build of
the whole kernel rewrites ``Module.symvers``. These findings are notes and make no build
stale: only that build cures them, and many trees never have a vmlinux. But the module
will be loaded into *some* kernel.
"""

from __future__ import annotations

from kdeps.kbuild.rule import Owner, Rules
from kdeps.kbuild.tree import Tree
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.files import read_bytes
from kdeps.system.text import list_some


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
    if head != b"0x":
        message = "is no list of symbols: modpost fails, or calls every symbol undefined"
        return [
            *found,
            Finding(ReasonKind.INTERRUPTED, symvers, message, "build the whole kernel once", Status.UNKNOWN),
        ]
    described = f"{tree.objtree}/vmlinux.o"
    if (find_mtime_ns(described) or 0) > dumped:
        message = (
            "is older than vmlinux.o, whose symbols it lists: modpost may miss some, or give old versions"
        )
        help_text = "finish the build of the whole kernel"
        found.append(Finding(ReasonKind.OLD_SYMVERS, symvers, message, help_text, Status.FRESH))
    return found


def _is_linked(name: str) -> bool:
    """Whether a rule of ``rust/`` makes an object of the kernel, not a macro or a tool for one."""
    folder, _, file = name.rpartition("/")
    return folder in ("rust", "rust/helpers") and file.endswith(".o")
