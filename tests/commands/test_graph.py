# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps graph``: every format is read back by a program that is not ours."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from kdeps.report.graph.drawing import Detail, to_dot, to_mermaid
from kdeps.report.graph.group import Edge, Node, NodeKind, Picture
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature

HOSTILE = 'a"b\\c<d>&e#f;g{h}|i`j\x1b[1m\n\udc80'


@pytest.fixture
def stale(tree: Miniature) -> Miniature:
    """A miniature whose core code was edited."""
    tree.touch("rust/kernel/io.rs")
    return tree


def write(tree: Miniature, kdeps: RunKdeps, *options: str) -> str:
    done = kdeps(tree, "graph", *options, f"M={MODULE}")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("detail", [detail.value for detail in Detail])
def test_graphviz_reads_dot(stale: Miniature, kdeps: RunKdeps, detail: str) -> None:
    """Graphviz parses the drawing and finds the nodes and the stale way in it."""
    if shutil.which("dot") is None:
        pytest.skip("no Graphviz here; apt-get install graphviz")
    text = write(stale, kdeps, "--format=dot", f"--detail={detail}")
    done = subprocess.run(["dot", "-Tjson"], input=text, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    drawn = json.loads(done.stdout)
    labels = {
        entry["_gvid"]: entry["label"]
        for entry in drawn["objects"]
        if not entry["name"].startswith("cluster")
    }
    red = {
        (labels[e["tail"]], labels[e["head"]]) for e in drawn["edges"] if e.get("color") == "#d1372c"
    }  # fmt: skip
    if detail == "groups":
        assert red == {("rust/kernel/io.rs", "kernel"), ("kernel", "nova-core.ko")}
    else:
        assert {("rust/kernel/io.rs", "kernel.o"), ("kernel.o", "nova_core.o")} <= red
    assert "io.rs" in str(labels)
    assert ("device.rs" in str(labels)) == (detail == "files")


def test_svg_is_a_picture(stale: Miniature, kdeps: RunKdeps) -> None:
    """Through Graphviz, and well-formed."""
    if shutil.which("dot") is None:
        pytest.skip("no Graphviz here; apt-get install graphviz")
    root = ET.fromstring(write(stale, kdeps, "--format=svg"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "nova-core.ko" in "".join(root.itertext())


def test_without_graphviz_svg_says_what_to_do(stale: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """One line, with the way out."""
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("python3", "make", "sh"):
        found = shutil.which(name)
        assert found
        (path / name).symlink_to(found)
    done = kdeps(stale, "graph", "--format=svg", f"M={MODULE}", env={"PATH": str(path)})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("kdeps: error: dot: not found; install Graphviz")


def test_a_name_that_says_another_format_is_refused(
    stale: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """A page in a picture's name helps nobody; a name that says nothing gets the page."""
    done = kdeps(stale, "graph", f"--output={tmp_path / 'g'}", f"M={MODULE}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "g").read_text().startswith("<!DOCTYPE html>")
    done = kdeps(stale, "graph", f"--output={tmp_path / 'g.png'}", f"M={MODULE}")
    assert done.returncode == 2
    assert "g.png: kdeps draws no .png; name it .html or .svg, or choose with --format" in done.stderr
    assert not (tmp_path / "g.png").exists()
    done = kdeps(stale, "graph", "--format=dot", f"--output={tmp_path / 'g.png'}", f"M={MODULE}")
    assert done.returncode == 0


def test_networkx_reads_graphml_and_json(stale: Miniature, kdeps: RunKdeps) -> None:
    """Both hold the same graph, every step and every file, and the stale way in it."""
    text = write(stale, kdeps, "--format=graphml")
    numbered = nx.read_graphml(io.BytesIO(text.encode()))
    from_xml = nx.relabel_nodes(numbered, dict(numbered.nodes(data="path")))
    data = json.loads(write(stale, kdeps, "--format=json"))
    assert data["schema"] == "kdeps.graph/1"
    from_json = nx.node_link_graph(data, edges="edges")
    assert set(from_xml) == set(from_json)
    assert set(from_xml.edges) == set(from_json.edges)
    assert {n: d["kind"] for n, d in from_xml.nodes(data=True)} == {
        n: d["kind"] for n, d in from_json.nodes(data=True)
    }
    io_rs, module = str(stale.path("rust/kernel/io.rs")), str(stale.module / "nova-core.ko")
    stale_ways = nx.subgraph_view(from_xml, filter_edge=lambda a, b: from_xml.edges[a, b]["stale"])
    names = [from_xml.nodes[n].get("name", "") for n in nx.shortest_path(stale_ways, io_rs, module)]
    assert names[1:3] == ["rust/kernel.o", "nova_core.o"]


@pytest.mark.parametrize("detail", [detail.value for detail in Detail])
def test_mermaid_reads_its_flowchart(stale: Miniature, kdeps: RunKdeps, detail: str, mermaid: Path) -> None:
    """Mermaid's own parser takes it, and sees the nodes and edges that are meant."""
    text = write(stale, kdeps, "--format=mermaid", f"--detail={detail}")
    drawn = parse_mermaid(text, mermaid)
    assert drawn["type"] == "flowchart-v2"
    assert len(drawn["edges"]) == text.count(" --> ") + text.count(" -.-> ")
    assert {"nova-core.ko"} <= {*drawn["labels"].values(), *drawn["groups"]}


@pytest.fixture(scope="session")
def mermaid() -> Path:
    """Where npm has put Mermaid."""
    folder = CHECKOUT / "tests/mermaid"
    if shutil.which("node") is None or not (folder / "node_modules/mermaid").is_dir():
        pytest.skip("no Mermaid here; install Node.js, then: npm ci --prefix tests/mermaid")
    return folder


def parse_mermaid(text: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["node", str(folder / "parse.mjs")], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hostile_picture() -> Picture:
    nodes = (
        Node(NodeKind.CRATE, HOSTILE, "", -1, "stale"),
        Node(NodeKind.RULE, HOSTILE, f"/{HOSTILE}", 0, "stale", 0),
        Node(NodeKind.CAUSE, HOSTILE, f"/c{HOSTILE}", -1, "stale"),
    )
    return Picture(nodes, (Edge(2, 1, HOSTILE, False, True),), ())


@pytest.mark.parametrize("detail", list(Detail))
def test_hostile_names_in_dot(detail: Detail) -> None:
    """No name can end its string."""
    text = to_dot(hostile_picture(), detail)
    assert text.isprintable() or set(re.sub(r"[^\x00-\x1f\x7f-\xa0]", "", text)) == {"\n"}
    if shutil.which("dot"):
        done = subprocess.run(["dot", "-Tjson"], input=text, capture_output=True, text=True, check=True)
        assert len(json.loads(done.stdout)["edges"]) == 1
        assert done.stderr == ""


@pytest.mark.parametrize("detail", list(Detail))
def test_hostile_names_in_mermaid(detail: Detail, mermaid: Path) -> None:
    """No name can end its string, nor be read as Markdown."""
    drawn = parse_mermaid(to_mermaid(hostile_picture(), detail), mermaid)
    assert len(drawn["edges"]) == 1


def test_the_name_of_the_file_says_the_format(stale: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """``--output=x.dot`` needs no ``--format``; a folder that is not there is told."""
    for name, opening in (
        ("x.dot", "digraph"),
        ("x.mmd", "flowchart"),
        ("x.json", "{"),
        ("x.html", "<!DOCTYPE html>"),
    ):
        assert write(stale, kdeps, f"--output={tmp_path / name}") == ""
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(opening)
    done = kdeps(stale, "graph", f"--output={tmp_path}/none/x.dot", f"M={MODULE}")
    assert (done.returncode, done.stderr) == (
        2,
        f"kdeps: error: {tmp_path}/none/x.dot: cannot be written: No such file or directory\n",
    )


def test_looking_changes_nothing(stale: Miniature, kdeps: RunKdeps) -> None:
    """Every byte and every mtime of the trees is as it was."""
    before = stale.listing()
    for output_format in ("html", "dot", "mermaid", "graphml", "json"):
        write(stale, kdeps, f"--format={output_format}")
    assert stale.listing() == before


def test_the_vendored_libraries_are_what_npm_has() -> None:
    """Their hashes are pinned, and their licences stand in the page."""
    done = subprocess.run(
        [str(CHECKOUT / ".ci/vendor-page.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("cytoscape", "dagre"):
        text = (CHECKOUT / f"kdeps/report/graph/page/vendor/{name}.LICENSE.txt").read_text(encoding="utf-8")
        assert "Permission is hereby granted, free of charge" in text
