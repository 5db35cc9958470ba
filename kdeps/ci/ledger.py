# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ledger: what every step was built from, by content.

A JSON object, one line for each file and each rule, sorted, so that two ledgers of the
same contents are the same bytes but for ``roots`` (and the checksum, with which a damaged one is refused). Names are relative to the roots
(``$(srctree)/rust/kernel/io.rs``), so that it holds for a tree that was moved.

A ledger is only true for what was fresh when it was written: a rule that was stale
then was built from something that is gone, and is left out. What lies outside
the roots (the compiler's own library, system headers) is not hashed unless that is
asked for; the texts of the compilers stand for it.

With a name that ends in ``.gz`` it is compressed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from kdeps import __version__
from kdeps.ci.contents import GONE, OUTSIDE, Content, Contents
from kdeps.errors import KdepsError
from kdeps.findings import find_findings, make_variables, read_configuration
from kdeps.formats.kconfig import parse_symbols
from kdeps.outfile import write_file
from kdeps.rules import Action, Problem, Rule
from kdeps.stamps import mtime_of
from kdeps.survey import Survey
from kdeps.toolchain import version_text
from kdeps.tree import Tree, open_nonblocking
from kdeps.verdict import Finding, ReasonKind

SCHEMA = "kdeps.ledger/1"
MAX_BYTES = 256 << 20
"""A ledger of a whole kernel has some MB."""
CONFIGURATION = "$(objtree)/include/config/auto.conf"
"""The step that synced the configuration; it leaves no record."""
_NAMED_FILE = re.compile(r"(?:^|\s)(?:@|--target=)(\S+/\S+|\S+\.json)")

_CHANGED = "it changed while the ledger was written; write it again"


class LedgerError(KdepsError):
    """A ledger cannot be read, or is none."""


class Entry(NamedTuple):
    """One rule of a ledger."""

    command: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Ledger(NamedTuple):
    """What every rule was built from. All names are relative to the roots."""

    roots: dict[str, str]
    """Where the roots were: ``objtree`` → an absolute path."""
    release: str
    toolchain: dict[str, str]
    """``RUSTC`` → the first line of its ``--version``."""
    config: dict[str, str]
    """Every symbol that is set, with its value."""
    files: dict[str, Content]
    """Inputs and outputs; ``GONE`` for an optional one that was not there."""
    rules: dict[str, Entry]


class Roots:
    """Turns paths into names that hold for a moved tree, and back."""

    def __init__(self, trees: tuple[Tree, ...], former: dict[str, str] | None = None) -> None:
        """Name the roots of some trees.

        Args:
            trees: Of one object tree.
            former: Where the same roots lay once. Where nothing lies any more the tree was moved from,
                and paths below it mean the present ones.
        """
        self.paths: dict[str, str] = {"srctree": trees[0].srctree, "objtree": trees[0].objtree}
        modules = [
            folder
            for folder in sorted({f for tree in trees for f in (tree.module, tree.module_output) if f})
            if not any(_is_below(folder, known) for known in self.paths.values())
        ]
        modules = [f for f in modules if not any(_is_below(f, other) for other in modules if other != f)]
        former = {name: path for name, path in (former or {}).items() if os.path.isabs(path)}
        names = _former_names(modules, trees[0].srctree, former)
        taken = {*former, *names.values()}
        for folder in modules:
            name = base = f"module:{os.path.basename(folder)}"
            while name in taken:
                base += "+"
                name = base
            self.paths[names.get(folder, name)] = folder
            taken.add(names.get(folder, name))
        places: dict[str, str] = {}
        # In a tree that is built where its sources lie, objtree is the name.
        for name in ("objtree", *self.paths):
            places.setdefault(f"{self.paths[name]}/", f"$({name})/")
        for name, path in former.items():
            if name in self.paths and not os.path.exists(path):
                places.setdefault(f"{path}/", f"$({name})/")
        # The innermost root names a path: an object tree may lie inside the source tree.
        self._prefixes = sorted(places.items(), key=lambda pair: (-len(pair[0]), pair))
        self._in_text = [
            (re.compile(rf"{re.escape(p[:-1])}(?=[/\s'\",:;)]|$)"), n[:-1]) for p, n in self._prefixes
        ]

    def name(self, path: str) -> str:
        for prefix, name in self._prefixes:
            if path.startswith(prefix):
                return name + path[len(prefix) :]
        return path

    def path(self, name: str) -> str:
        """Where a name is now."""
        if name.startswith("$("):
            root, _, rest = name[2:].partition(")/")
            if root in self.paths:
                return f"{self.paths[root]}/{rest}"
        return name

    def text(self, text: str) -> str:
        """Replace the roots within a command."""
        for pattern, name in self._in_text:
            text = pattern.sub(lambda _, name=name: name, text)  # type: ignore[misc]
        return text


def _former_names(modules: list[str], srctree: str, former: dict[str, str]) -> dict[str, str]:
    """Find the names that external modules have in a ledger, wherever they lay then.

    Of two that are called the same, the one in the same place is meant, beside the sources or
    by the most folders above it; where that tells nothing, neither is. What still lies where it
    lay is itself, and no other one.
    """
    found: dict[str, str] = {}
    for folder in modules:
        likeness: dict[str, tuple[bool, bool, int]] = {}
        for name, path in former.items():
            if name.startswith("module:") and os.path.basename(path) == os.path.basename(folder):
                alike = _likeness(folder, srctree, path, former.get("srctree", ""))
                if any(alike[:2]) or not os.path.isdir(path):
                    likeness[name] = alike
        best = [name for name, alike in likeness.items() if alike == max(likeness.values())]
        if len(best) == 1:
            found[folder] = best[0]
    meant = list(found.values())
    return {folder: name for folder, name in found.items() if meant.count(name) == 1}


def _likeness(folder: str, srctree: str, former: str, former_srctree: str) -> tuple[bool, bool, int]:
    same = os.path.relpath(folder, srctree) == os.path.relpath(former, former_srctree or "/")
    ends = zip(reversed(folder.split("/")), reversed(former.split("/")), strict=False)
    above = next((at for at, (now, then) in enumerate(ends) if now != then), len(former))
    return folder == former, same, above


def _is_below(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(root + "/")


def roots_of(trees: tuple[Tree, ...]) -> tuple[str, ...]:
    """The folders below which files may be read."""
    folders = {f for t in trees for f in (t.srctree, t.objtree, t.module, t.module_output) if f}
    return tuple(sorted(folders))


def inputs_of(rule: Rule, srctree_base: str) -> list[str]:
    """Every file that decides what a rule makes: what make compares, and what only its command names.

    ``@…/rustc_cfg`` and ``--target=…/target.json`` are prerequisites of nothing.
    """
    named = [
        path if path.startswith("/") else os.path.normpath(f"{srctree_base}/{path}")
        for path in _NAMED_FILE.findall(rule.command)
        if path.endswith((".json", "rustc_cfg"))
    ]
    source = (rule.source,) if rule.source else ()
    inputs = dict.fromkeys((*rule.prerequisites, *source, *rule.optional, *rule.unseen, *named))
    return [path for path in inputs if not is_only_named(rule, path)]


def is_only_named(rule: Rule, path: str) -> bool:
    """Whether a step writes down the name of an input and does not read it: the objects in a modules.order."""
    return rule.name.endswith("modules.order") and path.endswith(".o")


def base_of(rule: Rule, tree: Tree) -> str:
    """The folder that names in a rule's command are relative to."""
    return tree.objtree if rule.config_dir == tree.objtree else tree.module_records_base


def symbols_of(tree: Tree) -> dict[str, str]:
    return parse_symbols(read_configuration(tree).auto_conf)


def configuration_inputs(tree: Tree) -> list[str]:
    """What the configuration was synced from."""
    config = tree.args.variables.get("KCONFIG_CONFIG", ".config")
    files = read_configuration(tree).inputs.files
    return [os.path.join(tree.objtree, config), *(os.path.normpath(os.path.join(tree.srctree, f)) for f in files)]  # fmt: skip


def tool_texts(tree: Tree, environ: dict[str, str]) -> dict[str, str]:
    variables = make_variables(tree, environ)
    return {
        name: version_text(variables[name], environ, tree.make_directory)
        for name in ("RUSTC", "BINDGEN", "CC")
        if name in variables
    }


def take_ledger(
    surveys: tuple[Survey, ...],
    contents: Contents,
    environ: dict[str, str],
    but: frozenset[str] = frozenset(),
    unsynced: frozenset[str] = frozenset(),
) -> tuple[Ledger, tuple[Problem, ...]]:
    """Write down what every fresh rule of some builds was built from.

    Args:
        surveys: The builds, of one object tree.
        contents: To hash with.
        environ: For the compilers' versions.
        but: Further targets of which it is not known what they were built from.
        unsynced: What the configuration was not synced with by time, when that was judged.

    Returns:
        The ledger, and the files whose content cannot be known.
    """
    trees = tuple(survey.tree for survey in surveys)
    roots = Roots(trees)
    files: dict[str, Content] = {}
    rules: dict[str, Entry] = {}
    problems: dict[str, Problem] = {}
    hashed: dict[str, int | None] = {}

    def is_as_judged(path: str, judged: dict[str, int]) -> bool:
        """Whether a file that was hashed is still the one that its times were judged of."""
        if path not in hashed:
            hashed[path] = mtime_of(path)
        return hashed[path] == judged[path] if path in judged else True

    def take(paths: Iterable[str], judged: dict[str, int], *, absent: bool) -> tuple[str, ...] | None:
        """Name what is in the ledger of some files; ``None``: the content of one of them is not known."""
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

    for survey in surveys:
        stale, judged = stale_directly(survey) | but, survey.snapshot.mtime_ns
        for rule in survey.graph.rules:
            if rule.action is Action.FILECHK or rule.target in stale or roots.name(rule.target) in rules:
                continue
            inputs = take(inputs_of(rule, base_of(rule, survey.tree)), judged, absent=True)
            outputs = take(rule.outputs, judged, absent=False)
            if inputs is not None and outputs is not None:
                rules[roots.name(rule.target)] = Entry(roots.text(rule.command), inputs, outputs)
    first = surveys[0]
    if not first.tree.prebuilt and not any(unsynced_inputs(s.verdict.findings) for s in surveys):
        judged = first.snapshot.mtime_ns
        inputs = take(configuration_inputs(first.tree), judged, absent=True)
        outputs = take((roots.path(CONFIGURATION),), judged, absent=False)
        newer = unsynced_inputs(find_findings(first.tree, first.rules, environ)) - unsynced
        problems |= {path: Problem(path, _CHANGED) for path in newer}
        if inputs is not None and outputs and not newer:
            rules[CONFIGURATION] = Entry("", inputs, outputs)
    ledger = Ledger(
        roots.paths, first.tree.release, tool_texts(first.tree, environ), symbols_of(first.tree), files, rules
    )
    return ledger, tuple(problems.values())


def unsynced_inputs(findings: Iterable[Finding]) -> frozenset[str]:
    """What the configuration is not synced with."""
    return frozenset(found.path for found in findings if found.kind is ReasonKind.CONFIG_NOT_SYNCED)


def stale_directly(survey: Survey) -> frozenset[str]:
    """Targets of the rules that are stale by themselves, by time."""
    states = (*survey.verdict.stale, *survey.verdict.pending)
    return frozenset(state.rule.target for state in states if state.direct)


# -- as a file -------------------------------------------------------------------


def format_ledger(ledger: Ledger) -> bytes:
    """Write a ledger as text: one file, one rule a line, everything sorted."""
    names = sorted(ledger.files)
    position = {name: at for at, name in enumerate(names)}

    def text(value: object) -> str:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    def block(pairs: Iterable[tuple[str, object]]) -> str:
        return ",\n".join(f"  {text(name)}: {text(value)}" for name, value in pairs)

    files = block(
        (name, None if ledger.files[name] is GONE else [ledger.files[name].size, ledger.files[name].digest])
        for name in names
    )
    rules = block(
        (
            name,
            {
                "command": entry.command,
                "inputs": [position[i] for i in entry.inputs],
                "outputs": [position[o] for o in entry.outputs],
            },
        )
        for name, entry in sorted(ledger.rules.items())
    )
    body = (
        f'"kdeps": {text(__version__)},\n"release": {text(ledger.release)},\n'
        f'"roots": {text(ledger.roots)},\n"toolchain": {{\n{block(sorted(ledger.toolchain.items()))}\n}},\n'
        f'"config": {{\n{block(sorted(ledger.config.items()))}\n}},\n'
        f'"files": {{\n{files}\n}},\n"rules": {{\n{rules}\n}}\n}}\n'
    ).encode("ascii")
    return _head(body) + body


def _head(body: bytes) -> bytes:
    """What goes before the body: a ledger with one flipped bit must not be believed."""
    checksum = hashlib.blake2b(body, digest_size=20).hexdigest()
    return f'{{\n"schema": "{SCHEMA}",\n"checksum": "{checksum}",\n'.encode("ascii")


def write_ledger(path: str, ledger: Ledger) -> None:
    data = format_ledger(ledger)
    write_file(path, gzip.compress(data, mtime=0) if path.endswith(".gz") else data)


def read_ledger(path: str) -> Ledger:
    """Read a ledger.

    Raises:
        LedgerError: It is none, it is damaged, or a later kdeps wrote it in another way.
    """
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            data = file.read(MAX_BYTES)
        if data[:2] == b"\x1f\x8b":
            data = _unpack(data)
        ledger = _ledger(json.loads(data), path)
        body = data.split(b"\n", 3)[3]
        if not data.startswith(_head(body)):
            raise LedgerError(f"{path}: damaged; write a new one with --record")
        return ledger
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror or 'damaged'}; write one with --record") from error
    except (zlib.error, EOFError, RecursionError) as error:
        raise LedgerError(f"{path}: damaged; write a new one with --record") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise LedgerError(f"{path}: not a ledger of kdeps; write one with --record") from error


def _unpack(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(data, MAX_BYTES)
    if not unpacker.eof:
        raise EOFError
    return text


def _ledger(document: Any, path: str) -> Ledger:
    if document["schema"] != SCHEMA:
        raise LedgerError(f"{path}: written as {document['schema']}, this kdeps reads {SCHEMA}")
    files = {
        str(name): GONE if value is None else Content(_digest(value[1]), int(value[0]))
        for name, value in document["files"].items()
    }
    names = list(files)
    rules = {
        str(name): Entry(
            str(value["command"]),
            tuple(names[_position(at)] for at in value["inputs"]),
            tuple(names[_position(at)] for at in value["outputs"]),
        )
        for name, value in document["rules"].items()
    }
    texts = ({str(k): str(v) for k, v in document[key].items()} for key in ("roots", "toolchain", "config"))
    roots, toolchain, config = texts
    return Ledger(roots, str(document["release"]), toolchain, config, files, rules)


def _digest(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{40}", value):
        raise ValueError("digest")
    return value


def _position(at: object) -> int:
    if not isinstance(at, int) or at < 0:
        raise ValueError("position")
    return at
