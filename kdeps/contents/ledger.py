# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ledger: what every step was built from, by content.

A JSON object, one line for each file and each rule, sorted, so that two ledgers of the
same contents are the same bytes but for ``roots`` and the commit (and the checksum, with which a damaged one is refused). Names are relative to the roots
(``$(srctree)/rust/kernel/io.rs``), so that it holds for a tree that was moved.

A ledger is only true for what was fresh when it was written: a rule that was stale
then was built from something that is gone, and is left out. What lies outside
the roots (the compiler's own library, system headers) is not hashed unless that is
asked for; the texts of the compilers stand for it.

With a name that ends in ``.gz`` it is compressed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from kdeps.contents.hashes import GONE, OUTSIDE, FileHash, FileHasher
from kdeps.contents.inputs import Surroundings, configuration_inputs, configuration_outputs, is_only_named
from kdeps.contents.roots import Roots
from kdeps.contents.shadows import Shadows, searched_folders
from kdeps.kbuild.configuration import find_flags, make_variables, read_configuration
from kdeps.kbuild.rule import Action, Problem, Rule
from kdeps.kbuild.toolchain import version_text
from kdeps.kbuild.tree import Tree
from kdeps.staleness.build_checks import check_build_as_a_whole
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, ReasonKind
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.errors import KdepsError

CONFIGURATION = "$(objtree)/include/config/auto.conf"
"""The step that synced the configuration; it leaves no record."""
_NAMED_FILE = re.compile(r"(?:^|\s)(?:@|--target=)(\S+/\S+|\S+\.json)")

_CHANGED = "it changed while the ledger was written; write it again"


class LedgerError(KdepsError):
    """A file cannot be read, or is not a ledger."""


class Entry(NamedTuple):
    """One rule of a ledger."""

    command: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    record: str = ""
    """Digest of Kbuild's record; empty without a record, and in ledgers of older versions."""
    also: tuple[str, ...] = ()
    """Programs and scripts that its command starts, which make does not compare."""
    shadows: str = ""
    """Digest of the names that could stand in for an input (``kdeps.contents.shadows``)."""


class Build(NamedTuple):
    """A module or a vmlinux of a ledger."""

    file: str
    """Relative to a root: ``$(srctree)/drivers/gpu/nova-core/nova-core.ko``."""
    commit: str
    """Of its sources, as ``git describe --dirty`` names it; empty without git."""


class Ledger(NamedTuple):
    """What every rule was built from. All names are relative to the roots."""

    roots: dict[str, str]
    """Where the roots were: ``objtree`` → an absolute path."""
    release: str
    toolchain: dict[str, str]
    """``RUSTC`` → the first line of its ``--version``; ``KCFLAGS`` → its value, if it has one."""
    config: dict[str, str]
    """Every symbol that is set, with its value."""
    files: dict[str, FileHash]
    """Inputs and outputs; ``GONE`` for an optional one that was not there."""
    rules: dict[str, Entry]
    tools: dict[str, str]
    """Digests of the programs that build: ``CC`` → of the file that it starts. Older ledgers have none."""
    builds: Mapping[str, Build] = {}
    """Build id → what has it. A log or a running machine that shows the id is of these sources."""

    def other_values(self, rule: Rule, symbols: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Yield the symbols of a rule that had another value: name without ``CONFIG_``, value then, value now."""
        for symbol in dict.fromkeys(rule.config):
            then, now = (values.get(f"CONFIG_{symbol}", "n") for values in (self.config, symbols))
            if then != now:
                yield symbol, then, now


def inputs_of(rule: Rule) -> list[str]:
    """Every file that decides what a rule makes: what make compares, and what only its command names.

    ``@…/rustc_cfg`` and ``--target=…/target.json`` are prerequisites of nothing.
    """
    named = [
        path if path.startswith("/") else os.path.normpath(f"{rule.config_dir}/{path}")
        for path in _NAMED_FILE.findall(rule.command)
        if path.endswith((".json", "rustc_cfg"))
    ]
    source = (rule.source,) if rule.source else ()
    inputs = dict.fromkeys(
        (*rule.prerequisites, *source, *rule.optional_prerequisites, *rule.uncompared_inputs, *named)
    )
    return [path for path in inputs if not is_only_named(rule, path)]


def tool_texts(tree: Tree, environ: dict[str, str]) -> dict[str, str]:
    """How the compilers name themselves, and the flags that they are given by hand."""
    variables = make_variables(tree, environ)
    texts = {
        name: version_text(variables[name], environ, tree.make_directory)
        for name in ("RUSTC", "BINDGEN", "CC")
        if name in variables
    }
    return texts | find_flags(tree, environ)


def tool_digests(around: Surroundings, environ: dict[str, str]) -> dict[str, str]:
    """Hash the programs that build: another compiler may have the same name and the same version."""
    contents = FileHasher(("/",), environ, "tools")
    digests = {name: contents.read(path).digest for name, path in around.tools.files().items()}
    contents.store()
    return digests


def shadow_digest(rule: Rule, roots: Roots, shadows: Shadows) -> str:
    """Hash the names that could stand in for an input of a rule, as they are called in a ledger."""
    folders = searched_folders(rule.command, rule.config_dir)
    names = "\0".join(sorted(map(roots.name, shadows.find(folders, inputs_of(rule)))))
    return hashlib.blake2b(names.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def take_ledger(
    results: tuple[CheckResult, ...],
    contents: FileHasher,
    environ: dict[str, str],
    but: frozenset[str] = frozenset(),
    unsynced: frozenset[str] = frozenset(),
) -> tuple[Ledger, tuple[Problem, ...]]:
    """Write down what every fresh rule of some builds of one object tree was built from.

    ``but`` are further targets of which that is not known. ``unsynced`` is what the configuration was not synced with
    by time. Returns the files whose content cannot be known as well.
    """
    trees = tuple(result.tree for result in results)
    roots = Roots(trees)
    files: dict[str, FileHash] = {}
    rules: dict[str, Entry] = {}
    problems: dict[str, Problem] = {}
    hashed: dict[str, int | None] = {}
    shadows = Shadows()

    def is_as_judged(path: str, judged: dict[str, int]) -> bool:
        """Whether a file that was hashed is still the one that its times were judged of."""
        if path not in hashed:
            hashed[path] = find_mtime_ns(path)
        return hashed[path] == judged[path] if path in judged else True

    def take(paths: Iterable[str], judged: dict[str, int], *, absent: bool) -> tuple[str, ...] | None:
        """Name what the ledger has of some files. Returns None if the content of one of them is not known."""
        names: list[str] = []
        known = True
        for path in paths:
            content = contents.read(path)
            if content is OUTSIDE:
                continue
            if not is_as_judged(path, judged):
                problems[path] = Problem(path, _CHANGED)
                known = False
                continue
            if content is GONE and not absent:
                continue
            if not content.digest:
                problems[path] = Problem(path, f"{content.why}: its content is not in the ledger")
                known = False
                continue
            name = roots.name(path)
            files[name] = content
            names.append(name)
        return tuple(sorted(names)) if known else None

    for result in results:
        stale, judged = stale_directly(result) | but, result.snapshot.mtime_ns
        around = Surroundings(result.tree, environ)
        for rule in result.graph.rules:
            if rule.action is Action.FILECHK or rule.target in stale or roots.name(rule.target) in rules:
                continue
            inputs = take(inputs_of(rule), judged, absent=True)
            outputs = take(rule.outputs, judged, absent=False)
            also = take(around.also_read(rule), judged, absent=False)
            record = contents.read(rule.record).digest if rule.record else ""
            if inputs is not None and outputs is not None and also is not None:
                stand_ins = shadow_digest(rule, roots, shadows)
                command = roots.text(rule.command)
                rules[roots.name(rule.target)] = Entry(command, inputs, outputs, record, also, stand_ins)
    first = results[0]
    if not first.tree.prebuilt and not any(unsynced_inputs(s.verdict.findings) for s in results):
        judged = first.snapshot.mtime_ns
        inputs = take(configuration_inputs(first.tree, environ), judged, absent=True)
        outputs = take(configuration_outputs(first.tree), judged, absent=False)
        newer = unsynced_inputs(check_build_as_a_whole(first.tree, first.rules, environ)) - unsynced
        problems |= {path: Problem(path, _CHANGED) for path in newer}
        if inputs is not None and outputs and not newer:
            rules[CONFIGURATION] = Entry("", inputs, outputs)
    texts, tools = tool_texts(first.tree, environ), tool_digests(Surroundings(first.tree, environ), environ)
    ledger = Ledger(
        roots.paths, first.tree.release, texts, read_configuration(first.tree).symbols, files, rules, tools
    )
    return ledger, tuple(problems.values())


def unsynced_inputs(findings: Iterable[Finding]) -> frozenset[str]:
    """What the configuration is not synced with."""
    return frozenset(found.path for found in findings if found.kind is ReasonKind.CONFIG_NOT_SYNCED)


def stale_directly(result: CheckResult) -> frozenset[str]:
    """Targets of the rules that are stale by themselves, by time."""
    return frozenset(target for target, state in result.verdict.states.items() if state.direct)
