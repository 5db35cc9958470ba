# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How fluid the page of ``kdeps graph`` is: 5,000 nodes, all unfolded, dragged with the mouse.

Usage: python3 -m tests.bench.page_speed

Prints, for the folded and the unfolded picture, how long it took to lay out and draw, and
the frames of a drag across the window: the median, and the one that nine of ten beat.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from kdeps.report.graph.html import assemble
from tests.support.browser import CHROMIUM, DRIVER, Browser, start_browser
from tests.support.graph_page import large_data

_COUNT_FRAMES = """
window.frames_ms = []; let last = performance.now();
(function frame(now) { frames_ms.push(now - last); last = now; requestAnimationFrame(frame); })(last);
"""


def main() -> int:
    if not (CHROMIUM and DRIVER):
        print("page_speed: error: no Chromium with its driver here", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "large.html")
        page.write_text(assemble(large_data()), encoding="utf-8")
        with start_browser(Path(folder, "profile")) as browser:
            browser.open(page)
            browser.run(_COUNT_FRAMES)
            folded = _measure(browser, "folded", "kdeps.foldAll()")
            unfolded = _measure(browser, "unfolded", "kdeps.unfoldAll()")
    print(
        f"the median frame of the unfolded picture takes {unfolded / folded:.1f} times that of the folded one"
    )
    return 0


def _measure(browser: Browser, name: str, script: str) -> float:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    elapsed_ms = browser.run(f"const t = performance.now(); {script}; return performance.now() - t")
    nodes, edges = browser.run("return [kdeps.canvas.cy.nodes().length, kdeps.canvas.cy.edges().length]")
    # Let the first picture be drawn; a person needs longer than this to reach for the mouse.
    browser.driver.execute_async_script("setTimeout(arguments[0], 3000)")
    graph = browser.driver.find_element(By.ID, "graph")
    drag = (
        ActionChains(browser.driver, duration=16)
        .move_to_element_with_offset(graph, -480, -300)
        .click_and_hold()
    )
    for _ in range(60):
        drag = drag.move_by_offset(9, 6)
    browser.run("frames_ms.length = 0")
    drag.release().perform()
    frames = sorted(browser.run("return frames_ms"))
    median, ninth = statistics.median(frames), frames[len(frames) * 9 // 10]
    print(
        f"{name}: {nodes} nodes, {edges} edges, laid out and put up in {elapsed_ms:.0f} ms; "
        f"{len(frames)} frames of a drag: median {median:.1f} ms, 90 % below {ninth:.1f} ms, longest {frames[-1]:.0f} ms"
    )
    return float(median)


if __name__ == "__main__":
    sys.exit(main())
