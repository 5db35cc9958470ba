# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The whole graph as data for other programs: GraphML and networkx's node-link JSON."""

from __future__ import annotations

import json

from kdeps import __version__
from kdeps.report.graph.network import build_network, relabelled, to_graphml, to_node_link
from kdeps.staleness.check import CheckResult
from kdeps.system.text import printable

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
    tree = result.tree
    head = {
        "schema": SCHEMA,
        "kdeps": __version__,
        "tree": {
            "srctree": tree.srctree,
            "objtree": tree.objtree,
            "module": tree.module,
            "module_output": tree.module_output,
            "kernelrelease": tree.release,
        },
        "verdict": result.verdict.status.value,
    }
    return json.dumps({**head, **to_node_link(network)}, separators=(",", ":")) + "\n"
