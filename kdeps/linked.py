# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether the kernel that was linked is the kernel a module is built for.

``make M=…`` and ``make modules_prepare`` never link vmlinux, and only a build of
the whole kernel writes ``Module.symvers`` anew. Nothing here makes a build
stale: no refresh short of that build cures it, and many trees never have a
vmlinux at all. But the module will be loaded into *some* kernel.
"""

from __future__ import annotations

from kdeps.rules import Rules, Scope
from kdeps.stamps import mtime_of
from kdeps.tree import Tree
from kdeps.verdict import Finding, ReasonKind, Status


def judge_linked_kernel(tree: Tree, rules: Rules, environ: dict[str, str]) -> list[Finding]:
    """Compare crates with the vmlinux they are linked into, and it with the symbols modpost reads."""
    if tree.prebuilt or tree.module is None:
        return []
    found: list[Finding] = []
    vmlinux = f"{tree.objtree}/vmlinux"
    linked = mtime_of(vmlinux)
    if linked is not None:
        newer = sorted(
            rule.name
            for rule in rules.rules
            if rule.scope is Scope.KERNEL and _is_linked(rule.name) and (mtime_of(rule.target) or 0) > linked
        )
        if newer:
            shown = ", ".join(newer[:3]) + (f" and {len(newer) - 3} more" if len(newer) > 3 else "")
            message = (
                f"was linked before {shown}: the module is built for crates that this kernel does not have"
            )
            help_text = "build and boot that kernel before loading the module"
            found.append(Finding(ReasonKind.OLD_KERNEL, vmlinux, message, help_text, Status.FRESH))
    symvers = f"{tree.objtree}/Module.symvers"
    dumped = mtime_of(symvers)
    if dumped is None:
        built = any(
            rule.record and rule.scope is Scope.MODULE and rule.name.endswith(".ko") for rule in rules.rules
        )
        given = tree.args.variables.get("KBUILD_MODPOST_WARN", environ.get("KBUILD_MODPOST_WARN", ""))
        if not built and not given:
            # Whoever has a .ko here knows how to live without.
            message = "modpost will not know any symbol of the kernel, and fail"
            help_text = "build the whole kernel once, or give KBUILD_MODPOST_WARN=1 to link all the same"
            found.append(Finding(ReasonKind.MISSING_SYMVERS, symvers, message, help_text, Status.FRESH))
        return found
    described = f"{tree.objtree}/vmlinux.o"
    if (mtime_of(described) or 0) > dumped:
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
