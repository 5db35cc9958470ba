# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Pages of ``kdeps graph``, opened in a browser, and the data of a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.report.graph.html import Json
from tests.conftest import RunKdeps
from tests.support.browser import Browser, start_browser
from tests.support.miniature import MODULE, Miniature


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with start_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> Path:
    """A page of a miniature whose core code was edited."""
    tree.touch("rust/kernel/io.rs")
    path = tmp_path / "page.html"
    done = kdeps(tree, "graph", f"--output={path}", f"M={MODULE}")
    assert (done.returncode, done.stderr) == (0, "")
    return path


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The page, opened. Nobody may have complained in the end."""
    browser.open(page)
    yield browser
    assert browser.complaints() == []


def large_data() -> Json:
    """Sixty crates of five steps each, a hundred folders of headers."""
    nodes: list[list[object]] = []
    rules: dict[str, Json] = {}
    edges: list[list[int]] = []
    steps: list[int] = []
    for crate in range(60):
        nodes.append(["crate", f"crate_{crate}", "", -1, "fresh"])
        group = len(nodes) - 1
        for step in range(5):
            nodes.append(["rule", f"step_{crate}_{step}.o", f"/o/step_{crate}_{step}.o", group, "fresh"])
            at = len(nodes) - 1
            rules[str(at)] = page_rule()
            edges += [[before, at, 0] for before in {*steps[-2:], *steps[-11:-10]}]
            steps.append(at)
    nodes.append(["headers", "C headers", "", -1, "fresh"])
    headers = len(nodes) - 1
    for folder in range(100):
        nodes.append(["folder", f"include/folder_{folder}", f"/s/folder_{folder}", headers, "fresh"])
        above = len(nodes) - 1
        for file in range(47):
            name = f"file_{folder}_{file}.h"
            nodes.append(["file", name, f"/s/folder_{folder}/{name}", above, "fresh"])
            edges += [
                [len(nodes) - 1, steps[(folder * 3 + file * 7 + turn * 50) % len(steps)], 0]
                for turn in range(3)
            ]
    return {**page_data(nodes), "rules": rules, "edges": edges}


def page_data(nodes: list[list[object]]) -> Json:
    return {
        "kdeps": "0", "title": "t", "verdict": "stale", "release": "", "objtree": "/o", "srctree": "/s", "made": "", "cwd": "/", "cure": "",
        "counts": {"rules": 0, "files": 0, "stale": 0, "pending": 0}, "findings": [], "problems": [],
        "nodes": nodes, "rules": {}, "edges": [], "lit": [],
    }  # fmt: skip


def page_rule(command: str = "true", reasons: list[str] | None = None) -> Json:
    return {
        "name": "r", "scope": "kernel", "outputs": ["r"], "record": ".r.cmd", "command": command, "unrecorded": "",
        "silent": False, "pending": False, "certainty": "",
        "reasons": [{"kind": "newer-prerequisite", "text": text, "when": text, "path": text, "kbuild": True} for text in reasons or []],
    }  # fmt: skip
