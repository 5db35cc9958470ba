# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A build as a networkx graph, for paths, closures and exports.

A node is a rule (by its target) or a file that no rule writes; an edge goes from
what is read to what reads it. The side outputs of a rule (``libkernel.rmeta``) are
no nodes of their own: the edge says through which file the one feeds the other.

The one module that imports networkx, which costs half a second; import this
module where it is used, not at the top.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import networkx as nx

from kdeps import __version__
from kdeps.kbuild.graph import Graph
from kdeps.kbuild.rule import Owner, Rule
from kdeps.report.verdict_json import tree_document
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Verdict
from kdeps.system.text import printable

if TYPE_CHECKING:
    Network = nx.DiGraph[str]
else:
    Network = nx.DiGraph


SCHEMA = "kdeps.graph/1"


def render_graphml(result: CheckResult) -> str:
    """Write every step and every file as GraphML; what XML cannot hold in a name is escaped."""
    network = build_network(result.graph, result.verdict, symbols=True)
    return to_graphml(relabelled(network, printable)) + "\n"


def render_json(result: CheckResult) -> str:
    """Write every step, file and configuration symbol as one JSON object, in networkx's node-link form.

    ``networkx.node_link_graph(json.load(file), edges="edges")`` reads it.
    """
    network = build_network(result.graph, result.verdict, symbols=True)
    document = {
        "schema": SCHEMA,
        "kdeps": __version__,
        "tree": tree_document(result.tree),
        "verdict": result.verdict.status.value,
        **nx.node_link_data(network, edges="edges"),
    }
    return json.dumps(document, separators=(",", ":")) + "\n"


def build_network(graph: Graph, verdict: Verdict, *, symbols: bool = False) -> Network:
    """Turn a judged build into networkx's form; with ``symbols`` its some 1,400 configuration symbols are nodes, too.

    Nodes are absolute paths, ``CONFIG_X`` for symbols. Their attributes, all of them plain numbers, booleans and
    strings:

    * ``kind``: ``rule``, ``file`` or ``symbol``
    * of rules ``name``, ``scope`` (``kernel``, ``module``), ``position`` in ``graph.rules``, ``used`` (the module build
      reads it), ``state`` (``fresh``, ``stale``, ``pending``), ``silent``, ``direct`` and ``certainty`` (``""`` where
      fresh)

    Edges, from what is read to what reads it, have

    * ``via``: the file that is read, an output of the one where that is a rule
    * ``kind``: ``prerequisite``, ``optional`` (compared while it exists), ``unseen`` (only the command names it) or
      ``config``
    * ``taken``: ``make M=…`` looks at it: it is a step of the module's own
    * ``stale``: along this edge staleness is carried
    """
    network: Network = nx.DiGraph()
    states = verdict.states
    pending = {state.rule.target for state in verdict.pending}
    for at, rule in enumerate(graph.rules):
        state = states.get(rule.target)
        network.add_node(
            rule.target, kind="rule", name=rule.name, scope=rule.owner.value, position=at, used=at in graph.used,
            state="fresh" if state is None else "pending" if rule.target in pending else "stale",
            silent=state is not None and state.silent,
            direct=state is not None and state.direct,
            certainty="" if state is None else state.certainty.value,
        )  # fmt: skip
    for rule in graph.rules:
        blamed = {reason.path for reason in states[rule.target].reasons} if rule.target in states else set()
        taken = rule.owner is Owner.MODULE
        for path, kind in _reads(rule):
            at_producer = graph.producers.get(path)
            node = path if at_producer is None else graph.rules[at_producer].target
            if node == rule.target:
                continue
            if node not in network:
                network.add_node(node, kind="file")
            stale = path in blamed
            if network.has_edge(node, rule.target) and (
                not stale or network.edges[node, rule.target]["stale"]
            ):
                continue  # kernel.o and libkernel.rmeta are one edge; the stale way is the one to show
            network.add_edge(node, rule.target, via=path, kind=kind, taken=taken, stale=stale)
        for symbol in rule.config if symbols else ():
            stamp = f"/include/config/{symbol}"
            network.add_node(f"CONFIG_{symbol}", kind="symbol")
            network.add_edge(
                f"CONFIG_{symbol}", rule.target, via=rule.config_dir + stamp, kind="config", taken=taken,
                stale=any(path.endswith(stamp) for path in blamed),
            )  # fmt: skip
    return network


def _reads(rule: Rule) -> list[tuple[str, str]]:
    """Everything a rule reads, with how."""
    return [
        *((path, "prerequisite") for path in rule.prerequisites),
        *((path, "optional") for path in rule.optional_prerequisites),
        *((path, "unseen") for path in rule.uncompared_inputs),
    ]


def edges_between(network: Network, starts: list[str], goals: list[str]) -> list[tuple[str, str]]:
    """Find every edge on a stale way from some nodes to others, in a network.

    Starts that are not in it are passed over. Where no goal can be reached, every stale way from the starts counts.
    """
    stale = nx.subgraph_view(network, filter_edge=lambda a, b: network.edges[a, b]["stale"])
    after = set(starts) & set(network)
    for start in list(after):
        after |= nx.descendants(stale, start)
    reached = [goal for goal in goals if goal in after]
    before = set(reached)
    for goal in reached:
        before |= nx.ancestors(stale, goal)
    within = after & before if reached else after
    return [(a, b) for a, b in stale.edges(within) if b in within]


def relabelled(network: Network, rename: Callable[[str], str]) -> Network:
    """Copy a network with other names for its nodes, and in the text of its attributes."""
    copy: Network = nx.relabel_nodes(network, {node: rename(node) for node in network})
    for _, data in copy.nodes(data=True):
        data.update({key: rename(value) for key, value in data.items() if isinstance(value, str)})
    for _, _, data in copy.edges(data=True):
        data.update({key: rename(value) for key, value in data.items() if isinstance(value, str)})
    return copy


def to_graphml(network: Network) -> str:
    """Write a network as GraphML.

    An id there is an NMTOKEN, which has no ``/``: nodes are numbered, and named by their ``path``.
    """
    numbered: Network = nx.relabel_nodes(network, {node: f"n{at}" for at, node in enumerate(network)})
    for at, node in enumerate(network):
        numbered.nodes[f"n{at}"]["path"] = node
    return "\n".join(nx.generate_graphml(numbered))
