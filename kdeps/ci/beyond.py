# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is wrong with a build that no time stamp shows: the artifacts themselves say it.

Which compiler made each of them, which kernel a module was made for, which symbols it
wants, and whether it was compiled with flags that go together with those of the crates it
uses. Read are the few kilobytes that hold this, of plain files below the trees.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from kdeps.ci.contents import Fence
from kdeps.ci.discovery import Discovery, Kind
from kdeps.ci.flags import judge_flags
from kdeps.ci.ledger import roots_of
from kdeps.ci.meanwhile import find_edits, report_edits
from kdeps.ci.mixed import judge_builds
from kdeps.ci.orphans import judge_orphans
from kdeps.ci.reading import opened, opened_elf, pread, read_symvers
from kdeps.findings import read_configuration
from kdeps.formats.elf import (
    Elf,
    find_compilers,
    find_metadata_compiler,
    find_undefined,
    parse_modinfo,
)
from kdeps.formats.kconfig import parse_symbols
from kdeps.formats.rust_symbol import readable_symbol
from kdeps.rules import Problem, Rule, Scope
from kdeps.survey import Survey
from kdeps.tree import Tree
from kdeps.verdict import Status

_GIVEN_BY_LINKER = frozenset(("_GLOBAL_OFFSET_TABLE_", "__this_module", ".TOC."))
"""Source: ``ignore_undef_symbol`` in linux ``scripts/mod/modpost.c``."""
_MAX_SYMVERS = 64 << 20


class Beyond(NamedTuple):
    """What the artifacts of a build say of themselves."""

    discoveries: tuple[Discovery, ...]
    problems: tuple[Problem, ...]
    """Artifacts that could not be asked."""
    looked: dict[str, int | None]
    """Which files were read: path → ctime before that; ``None``: it could not be opened."""


def look_beyond(survey: Survey) -> Beyond:
    """Look for what the artifacts of a build say of themselves that does not fit."""
    tree = survey.tree
    fence = Fence(roots_of((tree,)))
    symbols = parse_symbols(read_configuration(tree).auto_conf)
    whole = survey.rules.whole
    artifacts = [
        (rule, output)
        for at, rule in enumerate(survey.graph.rules)
        if rule.scope is Scope.MODULE or at in survey.graph.used
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
        if (whole or rule.scope is Scope.MODULE) and output.endswith(".ko"):
            with opened_elf(output, fence) as elf:
                if elf is not None:
                    found += _judge_vermagic(output, elf, tree, symbols)
                    if exported is None:
                        exported = _find_exported(survey, fence)
                    found += _judge_symbols(output, elf, exported)
    found += judge_flags(survey, fence, symbols)
    judged = [
        rule
        for at, rule in enumerate(survey.graph.rules)
        if rule.scope is Scope.MODULE or (at in survey.graph.used and not tree.prebuilt)
    ]
    found += judge_builds(survey, fence, symbols)
    found += judge_orphans(survey, roots_of((tree,)))
    found += report_edits(find_edits(judged, survey.snapshot.mtime_ns), roots_of((tree,)))
    problems = tuple(Problem(path, f"{why}: cannot tell what is in it") for path, why in fence.unread.items())
    return Beyond(tuple(found), problems, fence.looked)


# -- which compiler ---------------------------------------------------------------


def _judge_compilers(
    artifacts: list[tuple[Rule, str]], symbols: dict[str, str], fence: Fence
) -> list[Discovery]:
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
        outputs = list(made)
        more = f" and {len(outputs) - 1} more" if len(outputs) > 1 else ""
        rust = language == "rustc"
        expected = symbols.get("CONFIG_RUSTC_VERSION_TEXT" if rust else "CONFIG_CC_VERSION_TEXT", "")
        message = f"{os.path.basename(outputs[0])}{more} made by {language} {said}, the configuration has {expected}"
        # With another rustc no crate can be loaded; with another C compiler Kbuild only warns.
        status = Status.STALE if rust else Status.FRESH
        remove = tuple(dict.fromkeys(made.values())) if rust else ()
        found.append(Discovery(Kind.OTHER_COMPILER, outputs[0], message, "", status, remove))
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


def _compilers_of(path: str, fence: Fence) -> tuple[str, ...]:
    if path.endswith(".rmeta"):
        with opened(path, fence) as descriptor:
            version = find_metadata_compiler(pread(descriptor, 0, 4096)) if descriptor is not None else None
        return (f"rustc version {version}",) if version else ()
    with opened_elf(path, fence) as elf:
        return find_compilers(elf) if elf is not None else ()


# -- which kernel -----------------------------------------------------------------


def _judge_vermagic(path: str, elf: Elf, tree: Tree, symbols: dict[str, str]) -> list[Discovery]:
    """Compare what the loader compares.

    Source: linux ``include/linux/vermagic.h``; the architecture's own words are left alone.
    """
    vermagic = parse_modinfo(elf).get("vermagic")
    if vermagic is None or not tree.release:
        return []
    said = vermagic.split()
    flags = {
        "SMP": "CONFIG_SMP" in symbols,
        "mod_unload": "CONFIG_MODULE_UNLOAD" in symbols,
        "modversions": "CONFIG_MODVERSIONS" in symbols,
    }
    if "CONFIG_PREEMPT_RT" not in symbols:
        flags["preempt"] = "CONFIG_PREEMPT_BUILD" in symbols
    differing = [
        f"{'with' if flag in said else 'without'} {flag}"
        for flag, on in flags.items()
        if (flag in said) != on
    ]
    if said[:1] != [tree.release]:
        differing.insert(0, f"for {said[0] if said else 'no release'}")
    if not differing:
        return []
    message = f"{os.path.basename(path)} was built {', '.join(differing)}; this tree is {tree.release}: it will not load"
    return [
        Discovery(
            Kind.OTHER_KERNEL, path, message, "make M=… clean, then build the module again", Status.STALE
        )
    ]


# -- which symbols ----------------------------------------------------------------


def _find_exported(survey: Survey, fence: Fence) -> frozenset[str]:
    """Everything that modules may want; empty where the kernel's own list is missing."""
    tree = survey.tree
    kernel = frozenset(read_symvers(f"{tree.objtree}/Module.symvers", fence))
    if not kernel:
        return kernel
    listed = {f"{tree.module_output}/Module.symvers"} if tree.module_output else set()
    listed |= {p for rule in survey.graph.rules for p in rule.unseen if p.endswith(".symvers")}
    return kernel.union(*(read_symvers(p, fence) for p in sorted(listed)))


def _judge_symbols(path: str, elf: Elf, exported: frozenset[str]) -> list[Discovery]:
    """Look up what a module wants; where the kernel's own list is missing nothing can be said."""
    if not exported:
        return []
    wanted = [s for s in find_undefined(elf) if s not in exported and s not in _GIVEN_BY_LINKER]
    if not wanted:
        return []
    shown = [readable_symbol(symbol) for symbol in wanted[:3]]
    names = ", ".join(f"{name} (crate {crate})" if crate else name for name, crate in shown)
    more = f" and {len(wanted) - 3} more" if len(wanted) > 3 else ""
    message = f"{os.path.basename(path)} needs {names}{more}, which no Module.symvers has: it will not load"
    help_text = "build the kernel, or the module that exports it, then this module again"
    return [Discovery(Kind.UNDEFINED_SYMBOL, path, message, help_text, Status.STALE)]
