# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A real browser for the tests of the page: Chromium without a window."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
PATIENCE_S = 60
"""How long to wait for something that must happen; only a failing test waits as long."""


class Browser:
    """One page in Chromium, and a person in front of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path) -> None:
        """Open a page from a file, and wait until it is drawn."""
        self.driver.get(page.as_uri())
        self.until("return !!window.kdeps && kdeps.canvas.cy.nodes().nonempty()")
        # What moves is hard to click.
        self.run("kdeps.canvas.still = true; kdeps.canvas.cy.stop(true); kdeps.canvas.fit()")

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: object) -> None:
        """Wait until a script returns something true."""
        given_up = time.monotonic() + PATIENCE_S
        while not self.run(script, *arguments):
            assert time.monotonic() < given_up, f"never true: {script}"
            time.sleep(0.02)

    def node(self, label: str, kind: str) -> int:
        found = self.run(
            "return kdeps.model.nodes.filter(n => n.label === arguments[0] && n.kind === arguments[1]).map(n => n.id)",
            label,
            kind,
        )
        assert len(found) == 1, f"{kind} {label}: {found}"
        return int(found[0])

    def click_node(self, node: int) -> None:
        """Click where a node is drawn, with the mouse."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.by import By

        graph = self.driver.find_element(By.ID, "graph")
        where = self.run(
            "const p = kdeps.canvas.cy.getElementById(String(arguments[0])).renderedPosition(); return [p.x, p.y]",
            node,
        )
        # Offsets are from the middle of the element.
        size = graph.size
        dx, dy = round(where[0] - size["width"] / 2), round(where[1] - size["height"] / 2)
        ActionChains(self.driver).move_to_element_with_offset(graph, dx, dy).click().perform()

    def keys(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def paste(self) -> None:
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("v").key_up(Keys.CONTROL).perform()

    def shown(self) -> set[str]:
        """The labels of the nodes that are drawn."""
        return set(
            self.run("return kdeps.canvas.cy.nodes().map(n => kdeps.model.nodes[Number(n.id())].label)")
        )

    def panel(self) -> str:
        return str(self.run("return document.getElementById('panel').innerText"))

    def complaints(self) -> list[str]:
        """Everything on the console since the last call."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]


@contextmanager
def start_browser(folder: Path, *, dark: bool = False) -> Iterator[Browser]:
    """Start Chromium, with an empty folder for its profile, in a light or dark system."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM or ""
    for flag in (*_FLAGS, "--window-size=1440,900", f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    try:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield Browser(driver)
    finally:
        driver.quit()


needs_browser: Callable[..., Any] = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium with its driver here; apt-get install chromium chromium-driver",
)
