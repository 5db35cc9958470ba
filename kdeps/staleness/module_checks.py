# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What can be wrong with a finished module where every time stamp is in order, or none can be trusted.

Headers of another release are often *older* than the module, for a package keeps the times
of its build; then make does nothing, and the kernel refuses to load what is there. And where
artifacts are dated in the future, make takes every edit until then for an old one.
"""

from __future__ import annotations

import mmap
import os
import re
import time
from collections.abc import Collection, Mapping

from kdeps.formats.kconfig import parse_symbols, parse_value
from kdeps.kbuild.graph import Graph
from kdeps.kbuild.rule import Owner
from kdeps.kbuild.tree import Tree, read_vermagic_release
from kdeps.staleness.reasons import Finding, ReasonKind, Remedy, Status, Verdict
from kdeps.staleness.snapshot import BEFORE_EPOCH, SLACK_NS, Snapshot, find_mtime_ns
from kdeps.system.files import open_to_read, read_text
from kdeps.system.text import list_some

_CONSTANTS = "rust/bindings/bindings_generated.rs"
_MARK = b"vermagic="
_MAX_VERMAGIC = 512


def check_clock(graph: Graph, mtime_ns: Mapping[str, int], auto_conf: str) -> tuple[Finding, ...]:
    """Find artifacts that are dated in the future; what is newer than ``auto_conf`` is not synced."""
    now = time.time_ns()
    ahead = [
        (mtime, output)
        for at, rule in enumerate(graph.rules)
        if rule.owner is Owner.MODULE or at in graph.used
        for output in rule.outputs
        if (mtime := mtime_ns.get(output, 0)) > now + SLACK_NS
    ]
    synced = find_mtime_ns(auto_conf) or 0
    if synced > now + SLACK_NS:
        ahead.append((synced, auto_conf))
    if not ahead:
        return ()
    mtime, path = max(ahead)
    others = f" (and {len(ahead) - 1} more)" if len(ahead) > 1 else ""
    ahead_of = f"is dated {_duration(mtime - now)} in the future by this machine's clock"
    if mtime == BEFORE_EPOCH:
        ahead_of = "is dated before 1970, which make takes for the far future"
    message = f"{ahead_of}{others}: until then make does not notice any edit"
    help_text = "set the clock; if it is right, `touch` these files, and then what you have edited since"
    return (Finding(ReasonKind.CLOCK, path, message, help_text, Status.UNKNOWN, remedy=Remedy.MANUAL),)


def check_release(tree: Tree, verdict: Verdict, graph: Graph) -> tuple[Finding, ...]:
    """Find modules that were built for another release, or another configuration, than the tree's, or for symbols unknown.

    Source: linux ``include/linux/vermagic.h``; the architecture's own words are left alone.
    """
    if tree.module is None:
        return ()
    known = verdict.states
    own = [rule for rule in graph.rules if rule.owner is Owner.MODULE]
    configuration = release = ""
    is_finished = False
    found: list[Finding] = []
    for rule in own:
        if not rule.target.endswith(".ko") or rule.target in known:
            continue
        said = _find_vermagic(rule.target)
        if said is None:
            continue
        is_finished = True
        configuration = configuration or read_text(f"{tree.objtree}/include/config/auto.conf")
        release = release or read_vermagic_release(tree)
        differing = compare_vermagic(said.split(), release, configuration) if release else []
        if differing:
            message = f"was built {', '.join(differing)}; this tree is {release}: it will not load"
            objects = tuple(r.target for r in own if r.target.endswith(".o"))
            found.append(
                Finding(ReasonKind.OTHER_KERNEL, rule.target, message, "", Status.STALE, remove=objects)
            )
    symvers = f"{tree.objtree}/Module.symvers"
    if is_finished and not found and find_mtime_ns(symvers) is None:
        message = "without it kdeps cannot tell whether the kernel has the symbols that the module needs"
        help_text = "build the whole kernel once, or copy the Module.symvers of the kernel that will run to this place"
        found.append(Finding(ReasonKind.MISSING_SYMVERS, symvers, message, help_text, Status.FRESH))
    return tuple(found)


def check_compilers(tree: Tree, verdict: Verdict, graph: Graph, snapshot: Snapshot) -> tuple[Finding, ...]:
    """Find crates that another rustc made than that of the configuration: rustc takes none of them, and no make looks."""
    if not snapshot.compilers:
        return ()
    text = read_text(f"{tree.objtree}/include/config/auto.conf")
    expected = (parse_value(text, "RUSTC_VERSION_TEXT") or "").strip()
    known = verdict.states
    others: dict[str, dict[str, str]] = {}
    for rule in graph.rules:
        if rule.target not in known:
            for output in rule.outputs:
                compiler = snapshot.compilers.get(output, expected)
                if compiler != expected:
                    others.setdefault(compiler, {})[output] = rule.target
    return tuple(report_compiler(made, compiler, expected) for compiler, made in others.items() if expected)


def check_constants(tree: Tree, verdict: Verdict, graph: Graph, snapshot: Snapshot) -> tuple[Finding, ...]:
    """Find values of configuration symbols that Rust reads from the bindings and that are older there than the symbol.

    bindgen makes a constant of each symbol, and make runs it again only for those that a header names.
    """
    target = f"{tree.objtree}/{_CONSTANTS}"
    made_ns = snapshot.mtime_ns.get(target)
    if tree.prebuilt or made_ns is None or target in verdict.states:
        return ()
    stamps = snapshot.config.get(tree.objtree, {})
    symbols: set[str] = set()
    users: dict[str, set[str]] = {}
    for rule in graph.rules:
        if rule.name in ("rust/bindings.o", "rust/uapi.o"):
            symbols.update(rule.config)  # all that there are
        elif rule.source is not None and rule.source.endswith(".rs"):
            for name in rule.config:
                if stamps.get(name, 0) > made_ns:
                    read = (rule.source, *rule.prerequisites, *rule.optional_prerequisites)
                    users.setdefault(name, set()).update(path for path in read if path.endswith(".rs"))
    newer = symbols.intersection(users)
    values = parse_symbols(read_text(f"{tree.objtree}/include/config/auto.conf")) if newer else {}
    # What is y or m is read by cfg.
    numbers = (name for name in newer if values.get(f"CONFIG_{name}", "y") not in ("y", "m"))
    named = sorted(f"CONFIG_{name}" for name in numbers if _is_read(f"CONFIG_{name}", users[name]))
    if not named:
        return ()
    message = f"has the value of {list_some(named)} from before it changed, and no make runs bindgen for that"
    return (Finding(ReasonKind.CONFIG_NOT_FOLLOWED, target, message, "", Status.STALE, remove=(target,)),)


def _is_read(symbol: str, sources: Collection[str]) -> bool:
    """Whether Rust code reads the constant of a symbol. In a comment it is for fixdep, and ``cfg`` has its own list."""
    read = re.compile(rf"^(?:(?!//|\bcfg).)*\b{symbol}\b", re.MULTILINE)
    return any(read.search(read_text(path)) for path in sources)


def report_compiler(made: Mapping[str, str], compiler: str, expected: str) -> Finding:
    """Report what another rustc made.

    Args:
        made: Artifact → the target whose step makes it.
        compiler: Who made it, in the words of ``rustc --version``.
        expected: The rustc of the configuration, in the same words.
    """
    outputs = list(made)
    message = (
        f"{list_some(outputs, 1, os.path.basename)} made by {compiler}, the configuration has {expected}"
    )
    remove = tuple(dict.fromkeys(made.values()))
    return Finding(ReasonKind.OTHER_COMPILER, outputs[0], message, "", Status.STALE, remove)


def compare_vermagic(said: list[str], release: str, configuration: str) -> list[str]:
    """Compare the words of a vermagic as the loader does; say what differs. ``configuration`` is the text of
    ``auto.conf``.
    """
    configuration = f"\n{configuration}"
    symbols = {"SMP": "SMP", "mod_unload": "MODULE_UNLOAD", "modversions": "MODVERSIONS"}
    if "\nCONFIG_PREEMPT_RT=" not in configuration:
        symbols["preempt"] = "PREEMPT_BUILD"
    differing = [
        f"{'with' if word in said else 'without'} {word}"
        for word, symbol in symbols.items()
        if (word in said) != (f"\nCONFIG_{symbol}=y\n" in configuration)
    ]
    if said[:1] != [release]:
        differing.insert(0, f"for {said[0] if said else 'no release'}")
    return differing


def _find_vermagic(ko: str) -> str | None:
    """The vermagic of a module, or None if none is found.

    It is compiled into one small object (``.module-common.o`` from 6.13 on, ``X.mod.o`` before),
    which is cheaper to read than the module.
    """
    for path in (f"{os.path.dirname(ko)}/.module-common.o", f"{ko[:-3]}.mod.o", ko):
        try:
            with (
                open_to_read(path) as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                at = data.find(_MARK)
                if at >= 0:
                    value = data[at + len(_MARK) : at + len(_MARK) + _MAX_VERMAGIC]
                    return value.partition(b"\0")[0].decode("utf-8", "replace")
        except (OSError, ValueError):  # gone, unreadable, or empty
            continue
    return None


def _duration(ns: int) -> str:
    seconds = ns // 1_000_000_000
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
