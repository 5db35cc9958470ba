# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The build as brute force sees it: nothing here is kdeps' own.

Files are nodes. Edges come from make, which is asked for ``$^`` of every recipe (as
``tests.lab.kbuild_oracle`` asks for its conditions), and from the raw records: what
they list, what else their commands write, which configuration symbols they name.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import networkx as nx

from tests.lab.kbuild_oracle import _NO_SYNC, _OVERRIDES, _run_make, canonical
from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch

_EMIT = re.compile(r"--emit=(?:link|obj|metadata)=(\S+)")
_BITCODE = re.compile(r"(?<=\s)(\S+/helpers/\S+\.bc)(?=\s)")
"""The helpers that llvm-link puts into a Rust object: no Makefile names them for a module."""
_SYMBOL = re.compile(r"\$\(wildcard include/config/(\w+)\)")
_TELL = "$(info KP|$(CURDIR)|$@|$(filter-out $(PHONY) FORCE,$^)|{kind})"
_OWN = {
    "if": _TELL.format(kind="if") + "@:",
    "filechk": _TELL.format(kind="filechk") + "@:",
    "plain": _TELL.format(kind="plain") + "@: ",
    "quiet": _TELL.format(kind="plain") + "@exit 0; ",
    "echo": _TELL.format(kind="plain") + "exit 0; ",
}


@dataclass(slots=True)
class Brute:
    """One build, by make's word and the raw records. Paths are real."""

    files: nx.DiGraph[str] = field(default_factory=nx.DiGraph)
    """Edge: what is read → what is made from it. Attribute ``soft``: the reader, or what
    wrote the file, replaces its output only when the content differs."""
    targets: set[str] = field(default_factory=set)
    """Whatever a recipe is for."""
    sides: dict[str, str] = field(default_factory=dict)
    """Side output → the target whose recipe writes it."""
    symbols: dict[str, set[str]] = field(default_factory=dict)
    """Configuration symbol → targets whose record names it."""
    filechk: set[str] = field(default_factory=set)
    unfollowed: dict[str, set[str]] = field(default_factory=dict)
    """Target of the module → stamps of symbols that its record names and make, from 6.13 on, does
    not find. No edge of make's, but a step depends on them all the same."""

    def step_of(self, path: str) -> str:
        """The target whose recipe writes a file; a source stands for itself."""
        return self.sides.get(path, path)


PLAIN = (
    "tools/objtool/arch/x86/lib/inat-tables.c",
    "tools/objtool/arch/x86/lib/cpu-feature-names.c",
    "tools/objtool/fixdep",
    "tools/objtool/libsubcmd/fixdep",
    "tools/objtool/libsubcmd.a",
    "tools/objtool/libsubcmd/libsubcmd.a",
    "tools/objtool/objtool",
)
"""Made by plain recipes, which make only comes to where the file is out of date."""


def read_brute(layout: Layout, module: Module, private: str, scratch: Scratch | None = None) -> Brute:
    """Ask make and read the records of one module and the kernel beneath it.

    To see the plain recipes, their files are deleted for a moment; without a scratch they are left out.
    """
    brute = Brute()
    if layout.prepare:
        _ask(brute, layout, ["modules_prepare"], private, sync=False)
    if layout.prepare and scratch is not None:
        plain = [f"{layout.objtree}/{name}" for name in PLAIN]
        plain = [path for path in plain if os.path.exists(path)]
        for path in plain:
            os.unlink(path)
        _ask(brute, layout, ["modules_prepare"], private, sync=False, only=frozenset(plain))
        _restore(scratch)
    _ask(brute, layout, module.make, private, sync=True)
    _add_wrappers(brute, layout)
    for target in list(brute.targets):
        _read_record(brute, target)
    for symbol, targets in brute.symbols.items():
        stamp = os.path.realpath(f"{layout.objtree}/include/config/{symbol}")
        for target in targets:
            if os.path.exists(stamp) and not brute.files.has_edge(stamp, target):
                brute.unfollowed.setdefault(target, set()).add(stamp)
    for target in list(brute.targets):
        # modpost writes every .mod.c of a module, each only if it differs: no record says so.
        if target.endswith(".mod.o"):
            source = f"{target[:-2]}.c"
            symvers = f"{module.output}/Module.symvers"
            brute.sides[source] = symvers
            if brute.files.has_edge(source, target):
                brute.files.edges[source, target]["soft"] = True
    return brute


_VERSION = "/include/generated/uapi/linux/version.h"
OTHERS = ("/Makefile", "/include/generated/compile.h", "/include/generated/package.h")
"""Written anew by every make and read by the whole kernel alone: no steps of this build."""


def _restore(scratch: Scratch) -> None:
    """Put back what make did without those files: it rebuilds its tools/build/fixdep before anything else."""
    for path in scratch.written():
        below = scratch.below(path)
        if os.path.isdir(below):
            continue  # the memory of builds, which a scratch removes
        if os.path.lexists(path):
            os.unlink(path)
        if os.path.lexists(below):
            shutil.copy2(below, path, follow_symlinks=False)


def widen(brute: Brute) -> Brute:
    """The same build with what make does not follow, for questions about how things are made."""
    files = brute.files.copy()
    files.graph.clear()
    for target, stamps in brute.unfollowed.items():
        for stamp in stamps:
            files.add_edge(stamp, target, soft=False)
    return replace(brute, files=files)


def _ask(
    brute: Brute,
    layout: Layout,
    args: Sequence[str],
    private: str,
    *,
    sync: bool,
    only: frozenset[str] | None = None,
) -> None:
    overrides = {
        name: _OWN["if"]
        if name.startswith("if_changed")
        else _OWN["filechk"]
        if name == "filechk"
        else _OWN["echo"]
        if name == "echo-cmd"
        else _OWN["quiet"]
        if name.startswith("QUIET")
        else _OWN["plain"]
        for name in _OVERRIDES
    }
    if not sync:
        overrides |= _NO_SYNC
    done = _run_make(layout, args, overrides, private)
    for line in done.stdout.decode(errors="surrogateescape").splitlines():
        if not line.startswith("KP|"):
            continue
        _, folder, name, names, kind = line.split("|", 4)
        target = os.path.realpath(canonical(folder, name))
        if only is not None and target not in only:
            continue
        if not os.path.exists(target) and only is None:
            continue  # phony, whatever it says: missing-syscalls, outputmakefile
        if target.endswith(OTHERS):
            continue
        if target.endswith(_VERSION):
            # No prerequisite, for make always comes by; its content is the Makefile's own numbers.
            names += f" {layout.srctree}/Makefile"
        brute.targets.add(target)
        if kind == "filechk":
            brute.filechk.add(target)
        brute.files.add_node(target)
        for read in names.split():
            _add(brute, os.path.realpath(canonical(folder, read)), target)


def _add_wrappers(brute: Brute, layout: Layout) -> None:
    """Add the wrappers of asm-generic headers that a step reads.

    Recipes of what is up to date print nothing, and these have no other macro.
    """
    for wrapper in Path(layout.objtree).glob("arch/*/include/generated/**/asm/*.h"):
        path = os.path.realpath(wrapper)
        if (
            brute.files.has_node(path)
            and wrapper.read_text(errors="replace") == f"#include <asm-generic/{wrapper.name}>\n"
        ):
            kind = "uapi/" if wrapper.parent.parent.name == "uapi" else ""
            brute.targets.add(path)
            _add(brute, f"{layout.srctree}/include/{kind}asm-generic/{wrapper.name}", path)


def _add(brute: Brute, source: str, target: str) -> None:
    if source != target:
        brute.files.add_edge(source, target, soft=target in brute.filechk)


def _read_record(brute: Brute, target: str) -> None:
    """Read one record: the first line is the command, then a list between ``deps_… :=`` and an empty line."""
    folder, name = os.path.split(target)
    try:
        with open(f"{folder}/.{name}.cmd", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return
    base = _base(target, lines)
    for found in _EMIT.findall(lines[0]):
        side = os.path.realpath(canonical(base, found))
        if side != target:
            brute.sides[side] = target
    for found in _BITCODE.findall(lines[0]):
        linked = os.path.realpath(canonical(base, found))
        if brute.files.has_node(linked) and not brute.files.has_edge(linked, target):
            brute.unfollowed.setdefault(target, set()).add(linked)
    for line in lines:
        for symbol in _SYMBOL.findall(line):
            brute.symbols.setdefault(symbol, set()).add(target)


def _base(target: str, lines: list[str]) -> str:
    """The folder that a record's names are relative to: the end of the target's path is its name there."""
    name = lines[0].partition("cmd_")[2].partition(" :=")[0].removeprefix("./")
    return target[: -len(name) - 1] if target.endswith("/" + name) else os.path.dirname(target)


def steps_between(brute: Brute, source: str, target: str) -> int | None:
    """The number of steps on the shortest way from a file to a target; ``None``: there is none."""
    try:
        return int(nx.shortest_path_length(step_graph(brute), brute.step_of(source), brute.step_of(target)))
    except (nx.NetworkXNoPath, nx.NodeNotFound):
        return None


def step_graph(brute: Brute) -> nx.DiGraph[str]:
    """The same graph with side outputs folded into the step that writes them."""
    folded = brute.files.graph.get("folded")
    if folded is None:
        folded = nx.DiGraph()
        folded.add_nodes_from(map(brute.step_of, brute.files))
        for source, target in brute.files.edges:
            soft: bool = brute.files.edges[source, target]["soft"]
            a, b = brute.step_of(source), brute.step_of(target)
            if a != b:
                before = folded.get_edge_data(a, b)
                folded.add_edge(a, b, soft=soft and (before is None or before["soft"]))
        brute.files.graph["folded"] = folded
    return folded


def rebuilt_by(brute: Brute, sources: set[str]) -> tuple[set[str], set[str]]:
    """What a change of some files rebuilds: for certain, and at most."""
    graph = step_graph(brute)
    certain: set[str] = set()
    possible: set[str] = set()
    first = {
        (brute.step_of(target), data["soft"])
        for source in sources
        if source in brute.files
        for target, data in brute.files[source].items()
    }
    possible = {target for target, _ in first}
    for target in list(possible):
        possible |= nx.descendants(graph, target)
    hard = nx.subgraph_view(graph, filter_edge=lambda a, b: not graph.edges[a, b]["soft"])
    for target, soft in first:
        if not soft:
            certain |= {target} | nx.descendants(hard, target)
    return certain, possible
