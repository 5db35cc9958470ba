# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The page of ``kdeps graph`` with hostile names, and with many of them."""

from __future__ import annotations

import json
from pathlib import Path

from kdeps.report.graph.html import assemble
from tests.support.browser import Browser, needs_browser
from tests.support.graph_page import browser, large_data, page, page_data, page_rule

__all__ = ["browser", "page"]
pytestmark = needs_browser


HOSTILE = '</script><img src=x onerror="window.hacked=1">\'"`${1}\\<!--'


def test_hostile_names_are_only_text(browser: Browser, tmp_path: Path) -> None:
    """A name that would end the script, or open an element, is shown as it is and does nothing."""
    data = page_data([["crate", HOSTILE, "", -1, "fresh"], ["rule", HOSTILE, f"/{HOSTILE}", 0, "stale"]])
    data["rules"]["1"] = page_rule(command=HOSTILE, reasons=[HOSTILE])
    data["title"] = data["release"] = HOSTILE
    data["lit"] = [{"text": HOSTILE, "nodes": [1], "edges": [], "reached": 1}]
    path = tmp_path / "hostile.html"
    path.write_text(assemble(data), encoding="utf-8")
    browser.open(path)
    browser.run("kdeps.visit(1)")
    assert browser.panel().count(HOSTILE) >= 3
    browser.keys("/")
    browser.keys("img")
    assert HOSTILE in browser.run("return document.getElementById('results').innerText")
    browser.keys("\ue00c")
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.images.length") == 0
    assert browser.run("return document.getElementById('title').textContent") == HOSTILE
    assert browser.complaints() == []


def test_five_thousand_nodes(browser: Browser, tmp_path: Path) -> None:
    """All of 5,000 nodes unfolded at once: everything is drawn, and edges rest while the picture moves."""
    path = tmp_path / "large.html"
    path.write_text(assemble(large_data()), encoding="utf-8")
    browser.open(path)
    assert browser.run("return kdeps.model.nodes.length") > 5000
    browser.run("kdeps.unfoldAll()")
    assert browser.run("return kdeps.canvas.cy.nodes().length") > 5000
    # Files have no edges of their own until one is chosen; else there would be 14,000.
    assert browser.run("return kdeps.canvas.cy.edges().length") < 2500
    assert browser.run("return kdeps.canvas.cy.renderer().hideEdgesOnViewport") is True
    browser.run("kdeps.visit(arguments[0])", browser.node("file_17_33.h", "file"))
    assert "file_17_33.h" in browser.panel()
    browser.run("kdeps.foldAll()")
    assert browser.run("return kdeps.canvas.cy.nodes().length") < 100
    assert browser.complaints() == []


def test_the_data_is_json_that_ends_no_element(page: Path) -> None:
    """Between the data's tags there is JSON, without a single angle bracket."""
    text = page.read_text(encoding="utf-8")
    inside = text.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    assert "<" not in inside
    assert json.loads(inside)["verdict"] == "stale"
