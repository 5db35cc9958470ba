# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The networkx view says what the graph and the verdict say."""

from __future__ import annotations

import networkx as nx

from kdeps.report.graph.network import build_network
from kdeps.staleness.check import CheckResult, check_build
from tests.support.miniature import Miniature


def _survey(tree: Miniature) -> CheckResult:
    return check_build((*tree.tree_args, "M=drivers/gpu/nova-core"), str(tree.srctree), tree.environment())


def test_the_closures_are_those_of_the_graph(tree: Miniature) -> None:
    """What the module reads, however indirectly, is the same in both forms."""
    found = _survey(tree)
    network = build_network(found.graph, found.verdict)
    assert nx.is_directed_acyclic_graph(network)
    above: list[set[str]] = [set() for _ in found.graph.rules]
    for at in found.graph.order:
        rule = found.graph.rules[at]
        for path in (*rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs):
            producer = found.graph.producers.get(path)
            if producer == at:
                continue
            above[at].add(path if producer is None else found.graph.rules[producer].target)
            if producer is not None:
                above[at] |= above[producer]
        assert nx.ancestors(network, rule.target) == above[at]


def test_the_stale_edges_lead_from_the_edit_to_the_module(tree: Miniature) -> None:
    """Along edges marked stale, and only there, the edited file reaches what is stale."""
    edited = str(tree.touch("rust/kernel/io.rs"))
    found = _survey(tree)
    network = build_network(found.graph, found.verdict)
    stale = network.edge_subgraph([e for e in network.edges if network.edges[e]["stale"]])
    states = (*found.verdict.stale, *found.verdict.pending)
    assert nx.descendants(stale, edited) == {state.rule.target for state in states}
    o, m = tree.objtree, tree.module
    assert network.edges[f"{o}/rust/kernel.o", f"{m}/nova_core.o"] == {
        "via": f"{o}/rust/libkernel.rmeta",
        "kind": "prerequisite",
        "taken": True,
        "stale": True,
    }
    assert network.nodes[f"{o}/rust/kernel.o"]["state"] == "stale"
    assert network.nodes[f"{m}/nova_core.o"]["silent"]


def test_symbols_are_nodes_where_asked_for(tree: Miniature) -> None:
    """A configuration symbol feeds the rules whose record names it."""
    found = _survey(tree)
    network = build_network(found.graph, found.verdict, symbols=True)
    assert f"{tree.objtree}/rust/kernel.o" in nx.descendants(network, "CONFIG_PCI")
    assert "CONFIG_PCI" not in build_network(found.graph, found.verdict)
