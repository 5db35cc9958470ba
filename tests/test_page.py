# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The page of ``kdeps graph``, in a real browser."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.demo.miniature import MODULE, Miniature
from kdeps.picture.page import Json, assemble
from kdeps.survey import survey
from kdeps.verdict import ReasonKind

from .browser import Browser, needs_browser, start_browser
from .conftest import RunKdeps

pytestmark = needs_browser


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


def test_the_page_names_the_verdict_and_what_is_wrong(opened: Browser) -> None:
    """Who opens the page reads first what the cause is."""
    assert opened.run("return document.getElementById('verdict').innerText") == "stale"
    assert "rust/kernel/io.rs" in opened.panel()
    assert {"kernel", "bindings", "nova-core.ko", "rust/kernel/io.rs"} <= opened.shown()
    assert "kernel.o" not in opened.shown()


def test_the_page_asks_nobody_for_anything(opened: Browser, page: Path) -> None:
    """The page is one file: no request is made, and none would be allowed."""
    assert opened.run("return performance.getEntriesByType('resource').length") == 0
    assert "default-src 'none'" in page.read_text(encoding="utf-8")


def test_a_click_unfolds_and_another_one_folds(opened: Browser) -> None:
    """A click with the mouse opens a crate; one on its button in the panel closes it."""
    kernel = opened.node("kernel", "crate")
    opened.click_node(kernel)
    assert {"kernel", "kernel.o"} <= opened.shown()
    assert "Fold" in opened.panel()
    opened.run("document.querySelector('#panel .row button').click()")
    assert "kernel.o" not in opened.shown()


def test_unfolding_down_to_the_files(opened: Browser) -> None:
    """Folders stand between a crate and its files, and a file has its own edges while it is chosen."""
    opened.run("kdeps.unfoldAll()")
    opened.run("kdeps.canvas.fit()")
    file = opened.run(
        "return kdeps.model.nodes.find(n => n.kind === 'file' && kdeps.model.endsAt(n.id) !== n.id).id"
    )
    opened.run("kdeps.visit(arguments[0])", file)
    assert opened.run("return kdeps.canvas.cy.edges('.extra.near').length") > 0
    reads = opened.run("return kdeps.model.outOf[arguments[0]].length", file)
    assert f"GOES INTO ({reads})" in opened.panel().upper()
    # To choose it again draws its edges again, and they look the same.
    looks = "return kdeps.canvas.cy.edges('.extra').map(e => [e.style('width'), e.style('line-color')])"
    before = opened.run(looks)
    opened.run("kdeps.choose(arguments[0])", file)
    assert opened.run(looks) == before


def test_a_step_shows_its_command_its_reasons_and_its_files(opened: Browser) -> None:
    """A click on a step says what runs, why it would, and what it reads."""
    opened.click_node(opened.node("kernel", "crate"))
    opened.run("kdeps.canvas.fit()")
    opened.click_node(opened.node("kernel.o", "rule"))
    words = opened.panel()
    assert "rust/kernel/io.rs is newer by" in words
    assert "--emit=metadata=rust/libkernel.rmeta" in words
    assert "rust/.kernel.o.cmd" in words
    assert "bindings.o" in words


def test_search_finds_and_shows(opened: Browser) -> None:
    """``/``, a part of a name, Enter: the file is unfolded and chosen."""
    opened.keys("/")
    opened.keys("kernel device")
    assert "device" in opened.run("return document.getElementById('results').innerText")
    opened.keys("\ue007")
    assert opened.run("return document.getElementById('results').hidden")
    chosen = opened.run("return kdeps.model.nodes[kdeps.canvas.chosen].path")
    assert "kernel" in chosen
    assert "device" in chosen
    assert opened.run("return kdeps.canvas.cy.getElementById(String(kdeps.canvas.chosen)).hasClass('chosen')")
    assert opened.run(
        "const p = kdeps.canvas.cy.getElementById(String(kdeps.canvas.chosen)).renderedPosition();"
        "return p.x > 0 && p.y > 0 && p.x < kdeps.canvas.cy.width() && p.y < kdeps.canvas.cy.height()"
    )


def test_search_finds_the_edited_file_before_its_namesakes(browser: Browser, tmp_path: Path) -> None:
    """A cause is labelled with its path; its bare name finds it all the same, and first."""
    cause, other = "rust/kernel/io.rs", "rust/kernel/pci/io.rs"
    data = _data(
        [
            ["crate", "kernel", "", -1, "stale"],
            ["file", "io.rs", f"/s/{other}", 0, "fresh"],
            ["cause", cause, f"/s/{cause}", -1, "stale"],
        ]
    )
    path = tmp_path / "page.html"
    path.write_text(assemble(data), encoding="utf-8")
    browser.open(path)
    assert browser.run("return kdeps.model.search('io.rs')") == [2, 1]


def test_search_says_when_nothing_has_that_name(opened: Browser) -> None:
    """No silence after a typing mistake."""
    opened.keys("/")
    opened.keys("nothinglikethat")
    assert "Nothing here has that name" in opened.run("return document.getElementById('results').innerText")
    opened.keys("\ue00c")


def test_the_lit_path_goes_from_the_edited_file_to_the_module(opened: Browser, tree: Miniature) -> None:
    """What is lit is every stale way from the cause to the module, found here from the verdict alone."""
    lit = opened.run(
        "return kdeps.model.data.lit[0].edges.map(e => kdeps.model.edges[e])"
        ".map(e => [kdeps.model.nodes[e.source].path, kdeps.model.nodes[e.target].path])"
    )
    assert {tuple(way) for way in lit} == _stale_ways(tree)
    drawn = opened.run(
        "return kdeps.canvas.cy.edges('.lit').map(e => [e.source().id(), e.target().id()]"
        ".map(id => kdeps.model.nodes[Number(id)].label))"
    )
    assert {tuple(way) for way in drawn} == {("rust/kernel/io.rs", "kernel"), ("kernel", "nova-core.ko")}
    unseen = opened.run(
        "return kdeps.canvas.cy.edges('.lit.unseen').map(e => kdeps.model.nodes[Number(e.target().id())].label)"
    )
    assert unseen == ["kernel"]


def test_what_is_lit_goes_around_what_is_unfolded(opened: Browser) -> None:
    """Unfolded, other steps stand between the edited file and the crate's object; no lit line runs behind one."""
    opened.click_node(opened.node("kernel", "crate"))
    opened.click_node(opened.node("nova-core.ko", "module"))
    assert opened.run(_HIDDEN, True), "nothing stands in the way of the curves: this tests nothing"
    assert opened.run(_HIDDEN, False) == []


_HIDDEN = """
const [straight] = arguments, canvas = kdeps.canvas, { model } = kdeps;
if (straight) canvas.straighten();
const leaves = canvas.cy.nodes().filter(n => !model.unfolded.has(Number(n.id())));
const hidden = canvas.cy.edges(".lit").map(edge => {
    const [from, to] = [edge.sourceEndpoint(), edge.targetEndpoint()];
    const points = edge.hasClass("detour") ? [from, ...edge.segmentPoints(), to] : sampled(from, to);
    return leaves.filter(n => n !== edge.source() && n !== edge.target()).filter(n => {
        const box = n.boundingBox({ includeLabels: false, includeOverlays: false, includeUnderlays: false });
        for (let at = 1; at < points.length; at++) for (let t = 0; t <= 1; t += 1 / 64) {
            const x = points[at - 1].x * (1 - t) + points[at].x * t, y = points[at - 1].y * (1 - t) + points[at].y * t;
            if (x > box.x1 && x < box.x2 && y > box.y1 && y < box.y2) return true;
        }
        return false;
    }).map(n => edge.target().data("text") + " behind " + n.data("text"));
}).flat();
if (straight) canvas.paint();
return hidden;
"""


def test_lighting_one_cause_dims_the_rest(opened: Browser) -> None:
    """``p`` goes through the causes, Escape lets go."""
    opened.keys("p")
    assert opened.run("return kdeps.canvas.cy.nodes('.dim').length") > 5
    assert opened.run("return kdeps.canvas.cy.nodes('.lit.dim').length") == 0
    opened.keys("\ue00c")
    assert opened.run("return kdeps.canvas.cy.nodes('.dim').length") == 0


def test_what_a_fresh_crate_reaches_is_not_shown_as_stale(opened: Browser) -> None:
    """Only ways that carry staleness have its colour, whatever was asked for."""
    opened.run("kdeps.reach(arguments[0])", opened.node("core", "crate"))
    red = opened.run(
        "const red = kdeps.canvas.cy.nodes('.cause').style('background-color');"
        "return kdeps.canvas.cy.edges('.lit').filter(e => e.style('line-color') === red)"
        ".map(e => [e.source().id(), e.target().id()].map(id => kdeps.model.nodes[Number(id)].label))"
    )
    assert opened.run("return kdeps.canvas.cy.edges('.lit').length") > 5
    assert red == [["kernel", "nova-core.ko"]]


def test_the_title_of_what_is_unfolded_is_whole(browser: Browser, tmp_path: Path) -> None:
    """A folder with one short file in it is as wide as its own name needs."""
    data = _data(
        [
            ["headers", "C headers", "", -1, "fresh"],
            *(["folder", f"include/a/long/way/down/{at}", f"/s/{at}", 0, "fresh"] for at in (1, 2)),
            ["file", "a.h", "/s/1/a.h", 1, "fresh"],
        ]
    )
    path = tmp_path / "page.html"
    path.write_text(assemble(data), encoding="utf-8")
    browser.open(path)
    browser.run("kdeps.visit(3)")
    assert browser.run(
        "return textWidth(textOf(kdeps.model, kdeps.model.nodes[1]), `600 ${FONT}`)"
        " <= kdeps.canvas.cy.getElementById('1').data('wt')"
    )


def test_the_keyboard_reaches_everything(opened: Browser) -> None:
    """Arrows move to neighbours, Enter unfolds, r lights what is reached, c folds, ? lists the keys."""
    opened.keys("\ue014")
    assert opened.run("return kdeps.model.nodes[kdeps.canvas.chosen].label") == "rust/kernel/io.rs"
    opened.keys("\ue014")
    first = opened.run("return kdeps.canvas.chosen")
    assert first != opened.node("rust/kernel/io.rs", "cause")
    opened.run("kdeps.choose(arguments[0])", opened.node("kernel", "crate"))
    opened.keys("\ue007")
    assert "kernel.o" in opened.shown()
    opened.keys("r")
    assert opened.run("return kdeps.canvas.focused && kdeps.canvas.lit.size") > 0
    opened.keys("c")
    assert "kernel.o" not in opened.shown()
    opened.keys("?")
    assert opened.run("return document.getElementById('keys').open")
    opened.keys("\ue00c")
    assert not opened.run("return document.getElementById('keys').open")


def test_light_and_dark(browser: Browser, page: Path, tmp_path: Path) -> None:
    """The page follows the system's setting; ``t`` and the button turn it over."""
    browser.open(page)
    assert browser.run("return document.documentElement.dataset.theme") == "light"
    light = browser.run("return kdeps.canvas.cy.nodes('.fresh.group')[0].style('background-color')")
    browser.keys("t")
    assert browser.run("return document.documentElement.dataset.theme") == "dark"
    assert browser.run("return kdeps.canvas.cy.nodes('.fresh.group')[0].style('background-color')") != light
    browser.keys("t")
    with start_browser(tmp_path / "dark", dark=True) as other:
        other.open(page)
        assert other.run("return document.documentElement.dataset.theme") == "dark"
        assert other.complaints() == []


HOSTILE = '</script><img src=x onerror="window.hacked=1">\'"`${1}\\<!--'


def test_hostile_names_are_only_text(browser: Browser, tmp_path: Path) -> None:
    """A name that would end the script, or open an element, is shown as it is and does nothing."""
    data = _data([["crate", HOSTILE, "", -1, "fresh"], ["rule", HOSTILE, f"/{HOSTILE}", 0, "stale"]])
    data["rules"]["1"] = _rule(command=HOSTILE, reasons=[HOSTILE])
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
            rules[str(at)] = _rule()
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
    return {**_data(nodes), "rules": rules, "edges": edges}


def _data(nodes: list[list[object]]) -> Json:
    return {
        "kdeps": "0", "title": "t", "verdict": "stale", "release": "", "objtree": "/o", "srctree": "/s", "made_ms": 0,
        "counts": {"rules": 0, "files": 0, "stale": 0, "pending": 0}, "findings": [], "problems": [],
        "nodes": nodes, "rules": {}, "edges": [], "lit": [],
    }  # fmt: skip


def _rule(command: str = "true", reasons: list[str] | None = None) -> Json:
    return {
        "name": "r", "scope": "kernel", "outputs": ["r"], "record": ".r.cmd", "command": command, "unrecorded": "",
        "silent": False, "pending": False, "certainty": "",
        "reasons": [{"kind": "newer-prerequisite", "text": text, "when": text, "path": text, "kbuild": True} for text in reasons or []],
    }  # fmt: skip


def _stale_ways(tree: Miniature) -> set[tuple[str, str]]:
    """Every stale way to the module, by walking the reasons backwards from its .ko."""
    environ = dict(os.environ)
    found = survey((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), environ)
    states = {s.rule.target: s for s in (*found.verdict.stale, *found.verdict.pending)}
    producer = {output: s.rule.target for s in states.values() for output in s.rule.outputs}
    ways: set[tuple[str, str]] = set()
    waiting = [target for target in states if target.endswith(".ko")]
    while waiting:
        target = waiting.pop()
        for reason in states[target].reasons:
            before = producer[reason.path] if reason.kind is ReasonKind.STALE_PREREQUISITE else reason.path
            if (before, target) not in ways:
                ways.add((before, target))
                waiting += [before] if before in states else []
    return ways


def test_the_data_is_json_that_ends_no_element(page: Path) -> None:
    """Between the data's tags there is JSON, without a single angle bracket."""
    text = page.read_text(encoding="utf-8")
    inside = text.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    assert "<" not in inside
    assert json.loads(inside)["verdict"] == "stale"
