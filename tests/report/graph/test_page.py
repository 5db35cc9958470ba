# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The page of ``kdeps graph``, in a real browser."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

import pytest

from kdeps.report.graph.html import assemble
from kdeps.staleness.check import check_build
from kdeps.staleness.reasons import ReasonKind
from tests.conftest import RunKdeps
from tests.support.browser import Browser, needs_browser, start_browser
from tests.support.graph_page import browser, opened, page, page_data
from tests.support.miniature import MODULE, Miniature

__all__ = ["browser", "opened", "page"]

pytestmark = needs_browser


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
    data = page_data(
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


def test_times_are_those_of_a_clock(opened: Browser, tree: Miniature) -> None:
    """A page is read later, perhaps in another zone: the date, the time and the zone of each change."""
    words = opened.panel()
    assert not re.search(r"\bago\b", words)
    changed = re.search(
        r"changed (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d) \(.* before this page\)", words
    )
    assert changed
    mtime_ns = tree.path("rust/kernel/io.rs").stat().st_mtime_ns
    assert datetime.fromisoformat(changed[1]).timestamp() == mtime_ns // 1_000_000_000
    assert re.search(r"kdeps \S+, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", words)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_cure_is_copied_from_a_page_that_is_a_file(opened: Browser, allowed: bool) -> None:
    """By the clipboard, or, where the browser denies that, by a selection; then it can be pasted."""
    opened.run("document.getElementById('query').value = ''")
    if not allowed:
        opened.run("navigator.clipboard.writeText = () => Promise.reject(new Error('denied'))")
    cure = opened.run("return document.getElementById('cure').textContent")
    assert cure.startswith("make ")
    assert " modules_prepare &&\nmake " in cure
    opened.run("return document.querySelector('#panel .copy')").click()
    opened.until("return document.querySelector('#panel .copy').textContent === 'Copied'")
    opened.keys("/")
    opened.paste()
    assert opened.run("return document.getElementById('query').value") == cure.replace(
        "\n", " "
    )  # a field of one line
    opened.keys("\ue000", "\ue00c")


def test_only_what_is_stale(opened: Browser) -> None:
    """The switch leaves out what is fresh, folded or not; what is looked for brings it back."""
    before = opened.shown()
    opened.run("return document.getElementById('only')").click()
    assert opened.shown() == {"rust/kernel/io.rs", "kernel", "nova-core.ko"}
    opened.run("kdeps.unfoldAll()")
    states = opened.run(
        "return kdeps.model.shown().map(id => kdeps.model.nodes[id]).filter(n => n.kind === 'rule').map(n => n.state)"
    )
    assert states
    assert "fresh" not in states
    assert not opened.run("return kdeps.canvas.cy.nodes('.file').length")
    opened.run("kdeps.foldAll(); kdeps.visit(arguments[0])", opened.node("core", "crate"))
    assert opened.shown() >= before
    assert opened.run("return document.getElementById('only').getAttribute('aria-pressed')") == "false"
    opened.keys("s")
    assert "core" not in opened.shown()
    opened.keys("s")
    assert opened.shown() >= before


def test_the_paths_of_two_causes_lie_side_by_side(
    browser: Browser, tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Where both lead through one step each has a line and a colour of its own, which the panel has as well."""
    tree.touch("rust/kernel/io.rs")
    tree.touch("include/linux/device.h")
    path = tmp_path / "page.html"
    assert kdeps(tree, "graph", f"--output={path}", f"M={MODULE}").returncode == 0
    browser.open(path)
    kernel, module = browser.node("kernel", "crate"), browser.node("nova-core.ko", "module")
    lines = (
        "return kdeps.canvas.cy.edges('.lit').filter(e => e.source().id() == arguments[0] && e.target().id() == arguments[1])"
        ".map(e => [e.style('line-color'), e.sourceEndpoint().y, e.targetEndpoint().y])"
    )
    one, two = browser.run(lines, kernel, module)
    assert one[0] != two[0]
    assert abs(one[1] - two[1]) > 3
    assert abs(one[2] - two[2]) > 3
    borders = browser.run(
        "return [...document.querySelectorAll('#panel .cause')].map(e => getComputedStyle(e).borderLeftColor)"
    )
    causes = browser.run("return kdeps.canvas.cy.nodes('.cause').map(n => n.style('background-color'))")
    assert {one[0], two[0]} == set(causes) == {text.replace(" ", "") for text in borders}
    browser.keys("p")
    (alone,) = browser.run(lines, kernel, module)
    assert alone[0] == one[0]
    browser.keys("p")
    (alone,) = browser.run(lines, kernel, module)
    assert alone[0] == two[0]
    assert browser.complaints() == []


def test_no_button_speaks_of_light_but_the_theme(opened: Browser) -> None:
    """ "Light path" read as a theme."""
    labels = opened.run(
        "return [...document.querySelectorAll('#tools button')].map(e => e.title + e.textContent)"
    )
    assert [label for label in labels if "ight" in label] == ["Light or dark (t)◐"]


@pytest.mark.parametrize("width", [1440, 700])
def test_the_head_fits_the_window(opened: Browser, width: int) -> None:
    """No button is outside, none is broken into two lines, and the search can be read."""
    opened.driver.set_window_size(width, 900)
    try:
        boxes = opened.run(
            "return [...document.querySelectorAll('header button, #query')].map(e => e.getBoundingClientRect())"
            ".filter(b => b.width).map(b => [b.left, b.right, b.height, b.width])"
        )
        assert all(left >= 0 and right <= width and height < 40 for left, right, height, _ in boxes)
        assert opened.run("return document.getElementById('query').getBoundingClientRect().width") > 150
    finally:
        opened.driver.set_window_size(1440, 900)


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
    data = page_data(
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


def _stale_ways(tree: Miniature) -> set[tuple[str, str]]:
    """Every stale way to the module, by walking the reasons backwards from its .ko."""
    environ = dict(os.environ)
    result = check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), environ)
    states = {s.rule.target: s for s in (*result.verdict.stale, *result.verdict.pending)}
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
