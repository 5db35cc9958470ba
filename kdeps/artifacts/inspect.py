# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find what is wrong with a build that no time stamp shows, from the artifacts themselves.

Which compiler made each of them, which kernel a module was made for, which symbols it
wants, and whether its flags fit those of the crates it uses. Only the few kilobytes with this are
read, from plain files below the trees.
"""

from __future__ import annotations

import os

from kdeps.artifacts.flags import check_flags
from kdeps.artifacts.linked import check_linked
from kdeps.artifacts.reading import opened, opened_elf, pread, read_symvers
from kdeps.artifacts.stray_crates import check_stray_crates
from kdeps.formats.elf import Elf, find_compilers, find_metadata_compiler, find_undefined, parse_modinfo
from kdeps.formats.kconfig import parse_symbols
from kdeps.kbuild.configuration import read_configuration
from kdeps.kbuild.rule import Owner, Problem, Rule
from kdeps.kbuild.tree import Tree, read_vermagic_release, roots_of
from kdeps.staleness.check import CheckResult
from kdeps.staleness.inspection import Inspection
from kdeps.staleness.module_checks import compare_vermagic, report_compiler
from kdeps.staleness.racy_edits import find_racy_edits, report_edits
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.system.demangle import Demangler
from kdeps.system.files import AllowedRoots
from kdeps.system.text import list_some


def inspect_artifacts(result: CheckResult) -> Inspection:
    """Look for what the artifacts of a build say of themselves that does not fit."""
    tree = result.tree
    fence = AllowedRoots(roots_of((tree,)))
    configuration = read_configuration(tree).auto_conf
    symbols = parse_symbols(configuration)
    whole = result.rules.whole
    told = {path for finding in result.verdict.findings for path in finding.remove}
    artifacts = [
        (rule, output)
        for at, rule in enumerate(result.graph.rules)
        if rule.target not in told
        if rule.owner is Owner.MODULE or at in result.graph.used
        for output in rule.outputs
        if output.endswith((".o", ".ko", ".rmeta")) or (whole and rule.name == "vmlinux")
    ]
    # What was linked has the word of every compiler in it: of a whole kernel ask that first.
    linked = [(rule, output) for rule, output in artifacts if not (whole and output.endswith(".o"))]
    found = _judge_compilers(linked, symbols, fence)
    if found or not any(rule.name == "vmlinux" for rule, _ in linked):
        found = _judge_compilers(artifacts, symbols, fence)
    exported: frozenset[str] | None = None
    for rule, output in linked:
        if (whole or rule.owner is Owner.MODULE) and output.endswith(".ko"):
            with opened_elf(output, fence) as elf:
                if elf is not None:
                    if whole:
                        found += _judge_vermagic(output, elf, tree, configuration)
                    if exported is None:
                        exported = _find_exported(result, fence)
                    found += _judge_symbols(output, elf, exported, f"{tree.objtree}/Module.symvers")
    found += check_flags(result)
    judged = [
        rule
        for at, rule in enumerate(result.graph.rules)
        if rule.owner is Owner.MODULE or (at in result.graph.used and not tree.prebuilt)
    ]
    found += check_linked(result, fence, symbols)
    found += check_stray_crates(result, roots_of((tree,)))
    found += report_edits(find_racy_edits(judged, result.snapshot.mtime_ns), roots_of((tree,)))
    problems = tuple(Problem(path, f"{why}: cannot tell what is in it") for path, why in fence.errors.items())
    return Inspection(tuple(found), problems, fence.ctimes)


# -- which compiler ---------------------------------------------------------------


def _judge_compilers(
    artifacts: list[tuple[Rule, str]], symbols: dict[str, str], fence: AllowedRoots
) -> list[Finding]:
    rustc = _version(symbols.get("CONFIG_RUSTC_VERSION_TEXT", ""))
    cc = symbols.get("CONFIG_CC_VERSION_TEXT", "").strip('"').strip()
    others: dict[tuple[str, str], dict[str, str]] = {}
    for rule, output in artifacts:
        for text in _compilers_of(output, fence):
            language, said = _language(text)
            expected = rustc if language == "rustc" else _version(cc) if language == "gcc" else cc
            if language and expected and said != expected:
                others.setdefault((language, said), {})[output] = rule.target
    found = []
    for (language, said), made in others.items():
        if language == "rustc":
            found.append(report_compiler(made, f"rustc {said}", f"rustc {rustc}"))
        else:  # Kbuild only warns
            found.append(
                report_compiler(made, f"{language} {said}", cc)._replace(status=Status.FRESH, remove=())
            )
    return found


def _version(text: str) -> str:
    """What follows the compiler's name."""
    return text.strip('"').strip().partition(" ")[2].strip()


def _language(text: str) -> tuple[str, str]:
    """Which compiler a line of ``.comment`` names, and its version as the configuration would write it."""
    if text.startswith("rustc version "):
        return "rustc", text[len("rustc version ") :].strip()
    if text.startswith("GCC: "):
        return "gcc", text[len("GCC: ") :].strip()
    return ("clang", text) if "clang version " in text else ("", text)


def _compilers_of(path: str, fence: AllowedRoots) -> tuple[str, ...]:
    if path.endswith(".rmeta"):
        with opened(path, fence) as descriptor:
            version = find_metadata_compiler(pread(descriptor, 0, 4096)) if descriptor is not None else None
        return (f"rustc version {version}",) if version else ()
    with opened_elf(path, fence) as elf:
        return find_compilers(elf) if elf is not None else ()


# -- which kernel -----------------------------------------------------------------


def _judge_vermagic(path: str, elf: Elf, tree: Tree, configuration: str) -> list[Finding]:
    """Compare a module of a whole kernel with its tree; that of ``M=`` every check compares."""
    vermagic = parse_modinfo(elf).get("vermagic")
    release = read_vermagic_release(tree)
    if vermagic is None or not release:
        return []
    differing = compare_vermagic(vermagic.split(), release, configuration)
    if not differing:
        return []
    message = f"was built {', '.join(differing)}; this tree is {release}: it will not load"
    return [Finding(ReasonKind.OTHER_KERNEL, path, message, "build it again", Status.STALE)]


# -- which symbols ----------------------------------------------------------------


def _find_exported(result: CheckResult, fence: AllowedRoots) -> frozenset[str]:
    """Everything that modules may want; empty where the kernel's own list is missing."""
    tree = result.tree
    kernel = frozenset(read_symvers(f"{tree.objtree}/Module.symvers", fence))
    if not kernel:
        return kernel
    listed = {f"{tree.module_output}/Module.symvers"} if tree.module_output else set()
    listed |= {p for rule in result.graph.rules for p in rule.uncompared_inputs if p.endswith(".symvers")}
    return kernel.union(*(read_symvers(p, fence) for p in sorted(listed)))


def _judge_symbols(path: str, elf: Elf, exported: frozenset[str], symvers: str) -> list[Finding]:
    """Look up the symbols that a module wants; without the kernel's own list, note that."""
    wanted = [s for s in find_undefined(elf) if s not in exported]
    if not wanted:
        return []
    if not exported:
        number = f"{len(wanted)} symbols" if len(wanted) > 1 else "a symbol"
        message = (
            f"{os.path.basename(path)} needs {number}, and without the kernel's Module.symvers "
            "kdeps cannot tell whether the kernel has them"
        )
        help_text = "build the whole kernel once, or copy the Module.symvers of the kernel that will run to this place"
        return [Finding(ReasonKind.MISSING_SYMVERS, symvers, message, help_text, Status.FRESH)]
    readable = Demangler().readable(wanted[:3])
    names = list_some(wanted, 3, readable.__getitem__)
    message = f"{os.path.basename(path)} needs {names}, which no Module.symvers has: it will not load"
    help_text = "build the kernel, or the module that exports it, then this module again"
    return [Finding(ReasonKind.UNDEFINED_SYMBOL, path, message, help_text, Status.STALE)]
