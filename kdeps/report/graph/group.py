# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Fold a build into what a person can look at: a tree of groups, folders, steps and files.

A group is a crate, a module, a tool, or a set of headers. Every rule is in one. A file is in the
group of the rules that read it if that is one group, else in the group of its folder. Folders are
between a group and its files.

Files that are to blame are in no group: the user wants to see them first.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import NamedTuple

from kdeps.kbuild.rule import Owner, Rule
from kdeps.kbuild.tree import Tree
from kdeps.report.graph.network import Network, build_network, edges_between
from kdeps.staleness.check import CheckResult
from kdeps.staleness.root_causes import RootCause, find_root_causes, is_config_stamp


class NodeKind(str, Enum):
    """What a node is. The page draws by it."""

    CRATE = "crate"
    MACRO = "macro"
    """A crate that runs in the compiler."""
    MODULE = "module"
    HEADERS = "headers"
    GENERATED = "generated"
    TOOL = "tool"
    SOURCES = "sources"
    FOLDER = "folder"
    RULE = "rule"
    FILE = "file"
    CAUSE = "cause"
    """A file that is to blame; it has no parent."""


class Node(NamedTuple):
    """One thing in the picture."""

    kind: NodeKind
    label: str
    path: str
    """Absolute path of a file or of a rule's target; of a folder, where it lies; of a group empty."""
    parent: int
    """Position of the node that contains it; -1 if none does."""
    state: str
    """``fresh``, ``stale``, ``possible`` or ``pending``; of a group the worst within."""
    position: int = -1
    """Of a rule in ``graph.rules``."""


class Edge(NamedTuple):
    """One thing feeds another; positions of nodes."""

    source: int
    target: int
    via: str
    taken: bool
    """``make M=…`` takes this step."""
    stale: bool
    """Staleness is carried along it."""


class HighlightedPath(NamedTuple):
    """The ways from one root cause to the modules."""

    cause: RootCause
    nodes: tuple[int, ...]
    """The files to blame, or the rules, where no file is."""
    edges: tuple[int, ...]
    """Positions of the edges on any stale way from there to a module (or, without one, anywhere)."""


class Picture(NamedTuple):
    """A folded build."""

    nodes: tuple[Node, ...]
    """A parent comes before what it contains."""
    edges: tuple[Edge, ...]
    lit: tuple[HighlightedPath, ...]
    """The cause that reaches most first."""


_WORST = {"fresh": 0, "pending": 1, "possible": 2, "stale": 3}
_HEADERS = re.compile(r"(?:^|/)include/|\.h$")
_RUSTLIB = re.compile(r"/rustlib/")
_GENERATED = re.compile(r"^(?:include/|arch/[^/]+/include/|kernel/|arch/[^/]+/kernel/)")


def group_build(result: CheckResult) -> Picture:
    """Fold a build, with its verdict."""
    network = build_network(result.graph, result.verdict)
    causes = find_root_causes(result)
    _add_symbols(network, causes)
    return _Grouper(result, network, causes).build()


class _Grouper:
    """Collects nodes and gives them their places. One per picture."""

    def __init__(self, result: CheckResult, network: Network, causes: list[RootCause]) -> None:
        self.result = result
        self.tree = result.tree
        self.network = network
        self.causes = causes
        self.nodes: list[Node] = []
        self.at: dict[str, int] = {}
        """Path → position of its node."""
        self.groups: dict[tuple[NodeKind, str], int] = {}
        self.modules = sorted(
            rule.name.rpartition("/")[2][:-3]
            for rule in result.graph.rules
            if rule.owner is Owner.MODULE and rule.name.endswith(".ko")
        )
        self.users: dict[str, list[Rule]] = {}
        """File → the objects of modules that are made from it.

        What links it comes before what only reads it: another module's object may be
        compiled against it.
        """
        objects = [self.result.graph.rules[at] for at in self.result.graph.order]
        objects = [rule for rule in objects if rule.owner is Owner.MODULE and rule.name.endswith(".o")]
        for rule in sorted(objects, key=lambda rule: rule.source is not None):
            for path in rule.prerequisites:
                self.users.setdefault(path, []).append(rule)

    def build(self) -> Picture:
        blamed = {path for cause in self.causes for path in cause.paths if self._is_source(path)}
        group_of: dict[str, int] = {}
        for at, rule in enumerate(self.result.graph.rules):
            group = self.group(*self.group_of_rule(at, rule))
            group_of[rule.target] = group
            label = rule.name.rpartition("/")[2]
            self.add(Node(NodeKind.RULE, label, rule.target, group, self.state(rule.target), at))
        files: dict[int, dict[str, list[str]]] = {}
        for path in sorted(node for node, data in self.network.nodes(data=True) if data["kind"] != "rule"):
            if path in blamed:
                label = f"CONFIG_{os.path.basename(path)}" if is_config_stamp(path) else self.short(path)
                self.add(Node(NodeKind.CAUSE, label, path, -1, "stale"))
                continue
            readers = {group_of[reader] for reader in self.network.successors(path)}
            group = readers.pop() if len(readers) == 1 else self.group(*self.group_of_file(path))
            files.setdefault(group, {}).setdefault(os.path.dirname(path), []).append(path)
        with_rules = set(group_of.values())
        for group, folders in files.items():
            parent = group
            if group in with_rules and len(folders) > 1:
                parent = self.add(Node(NodeKind.FOLDER, "sources", "", group, "fresh"))
            for folder, paths in folders.items():
                above = self.add(Node(NodeKind.FOLDER, self.short(folder), folder, parent, "fresh"))
                for path in paths:
                    self.add(Node(NodeKind.FILE, os.path.basename(path), path, above, "fresh"))
        edges = [
            Edge(self.at[source], self.at[target], data["via"], data["taken"], data["stale"])
            for source, target, data in self.network.edges(data=True)
        ]
        return Picture(tuple(self.with_states()), tuple(edges), tuple(self.lit(edges)))

    # -- places --------------------------------------------------------------

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        if node.path and node.kind is not NodeKind.FOLDER:
            self.at[node.path] = len(self.nodes) - 1
        return len(self.nodes) - 1

    def group(self, kind: NodeKind, label: str) -> int:
        if (kind, label) not in self.groups:
            self.groups[kind, label] = self.add(Node(kind, label, "", -1, "fresh"))
        return self.groups[kind, label]

    def group_of_rule(self, at: int, rule: Rule) -> tuple[NodeKind, str]:
        """Find the word for what a rule belongs to."""
        name = rule.name
        if rule.owner is Owner.MODULE:
            return self.group_of_module(rule)
        crate = rule.crate
        if crate:
            return (NodeKind.CRATE if rule.target.endswith(".o") else NodeKind.MACRO), crate
        first, _, rest = name.partition("/")
        if first == "rust":
            found = re.match(r"(?:exports_)?([a-z_]+?)(?:_generated\.h|/.*)$", rest)
            crate = found[1] if found else ""
            if crate == "helpers":
                return NodeKind.GENERATED, "C helpers"
            return NodeKind.CRATE, crate or rest
        if _GENERATED.match(name):
            return NodeKind.GENERATED, "generated headers"
        if at not in self.result.graph.used:
            return NodeKind.TOOL, "other preparations"
        if first == "tools":
            return NodeKind.TOOL, name.split("/")[2 if name.startswith("tools/bpf/") else 1]
        part = rest.rpartition("/")[0].rpartition("/")[2] or rest or name
        return NodeKind.TOOL, {"basic": "fixdep", "mod": "modpost"}.get(part, part)

    def group_of_module(self, rule: Rule) -> tuple[NodeKind, str]:
        """Find the module that a step makes a part of, through the objects that are made from it."""
        if len(self.modules) == 1:
            return NodeKind.MODULE, f"{self.modules[0]}.ko"
        waiting = [rule]
        for user in waiting:  # it grows; records may name each other in a circle
            base = user.name.rpartition("/")[2]
            for module in self.modules:
                if base.startswith((f"{module}.", f"{module}-")) or user.target.endswith(f"/{module}.o"):
                    return NodeKind.MODULE, f"{module}.ko"
            waiting += [other for other in self.users.get(user.target, ()) if other not in waiting]
        return NodeKind.MODULE, "modules"

    def group_of_file(self, path: str) -> tuple[NodeKind, str]:
        """Find the group of a file that several groups read."""
        if _RUSTLIB.search(path) or path.endswith((".rlib", ".rmeta")):
            return NodeKind.SOURCES, "toolchain"
        if path.startswith(f"{self.tree.srctree}/rust/helpers/"):
            return NodeKind.GENERATED, "C helpers"
        if "/generated/" in path or path.startswith(f"{self.tree.objtree}/include/config/"):
            return NodeKind.GENERATED, "generated headers"
        if _HEADERS.search(path):
            return NodeKind.HEADERS, "C headers"
        return NodeKind.SOURCES, "shared sources"

    # -- names ---------------------------------------------------------------

    def short(self, path: str) -> str:
        """Write a path relative to the tree it is in."""
        return shorten(path, self.tree)

    # -- states --------------------------------------------------------------

    def state(self, target: str) -> str:
        data = self.network.nodes[target]
        if data["state"] == "stale" and data["certainty"] == "possible":
            return "possible"
        return str(data["state"])

    def with_states(self) -> list[Node]:
        """Give every group and folder the worst state within."""
        nodes = list(self.nodes)
        for node in reversed(self.nodes):
            parent = node.parent
            while parent >= 0:
                if _WORST[node.state] > _WORST[nodes[parent].state]:
                    nodes[parent] = nodes[parent]._replace(state=node.state)
                parent = nodes[parent].parent
        return nodes

    # -- ways ----------------------------------------------------------------

    def _is_source(self, path: str) -> bool:
        return path in self.network and self.network.nodes[path]["kind"] != "rule"

    def lit(self, edges: list[Edge]) -> list[HighlightedPath]:
        """Find the stale ways from each cause to the modules."""
        number = {(edge.source, edge.target): at for at, edge in enumerate(edges)}
        goals = [
            rule.target
            for rule in self.result.graph.rules
            if rule.owner is Owner.MODULE and rule.name.endswith(".ko")
        ]
        found = []
        for cause in self.causes:
            starts = [p for p in cause.paths if self._is_source(p)] or [s.rule.target for s in cause.direct]
            ways = edges_between(self.network, starts, goals)
            found.append(
                HighlightedPath(
                    cause,
                    tuple(self.at[start] for start in starts),
                    tuple(sorted(number[self.at[a], self.at[b]] for a, b in ways)),
                )
            )
        return found


def shorten(path: str, tree: Tree) -> str:
    """Write a path relative to the module, the object tree or the source tree it is in."""
    for base in (tree.module_output, tree.module, tree.objtree, tree.srctree):
        if base and path == base:
            return os.path.basename(base)
        if base and path.startswith(base + "/"):
            return path[len(base) + 1 :]
    found = _RUSTLIB.search(path)
    return f"…{path[found.start() :]}" if found else path


def _add_symbols(network: Network, causes: list[RootCause]) -> None:
    """Add the configuration symbols that are to blame; the others would only be in the way."""
    for cause in causes:
        for path in cause.paths:
            if is_config_stamp(path) and path not in network:
                network.add_node(path, kind="symbol")
                for state in cause.direct:
                    if any(reason.path == path for reason in state.reasons):
                        taken = state.rule.owner is Owner.MODULE
                        network.add_edge(
                            path, state.rule.target, via=path, kind="config", taken=taken, stale=True
                        )
