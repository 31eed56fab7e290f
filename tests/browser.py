"""A real browser without a network: what pages show, and what they complain of."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

SECONDS = 60  # nothing takes this long unless a test fails
expect.set_options(timeout=SECONDS * 1000)

# What the browser holds of the glyphs that draw a column.
DRAWN = """column => {
    for (const document of window.Bokeh?.documents ?? [])
        for (const model of document._all_models.values())
            if (model.type == "ColumnDataSource" && column in model.data)
                return Array.from(model.data[column]);
    return [];
}"""
# For each figure on the page, how many pixels of its canvas have a colour: what frames and texts are drawn in has none.
COLORED = """() => {
    const found = new Map();
    const visit = node => {
        for (const child of node.querySelectorAll("*")) {
            if (child.shadowRoot) visit(child.shadowRoot);
            if (child.tagName != "CANVAS" || child.width * child.height < 10_000) continue;
            const {data} = child.getContext("2d").getImageData(0, 0, child.width, child.height);
            let colored = found.get(child.parentNode) ?? 0;
            if (child.checkVisibility())
                for (let i = 0; i < data.length; i += 4) {
                    const red = data[i], green = data[i + 1], blue = data[i + 2];
                    colored += Math.max(red, green, blue) - Math.min(red, green, blue) > 20;
                }
            found.set(child.parentNode, colored);
        }
    };
    visit(document);
    return [...found.values()];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that knows no address but this machine's."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        if found is None and not os.path.exists(playwright.chromium.executable_path):
            how = "no browser: apt-get install chromium, or .venv/bin/playwright install chromium"
            pytest.fail(how) if os.environ.get("CI") == "true" else pytest.skip(how)
        rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", rules])
        yield browser
        browser.close()


def new_page(browser: Browser, width: int = 1280, height: int = 900) -> Page:
    """Open a page that is waited for on the slowest of machines."""
    page = browser.new_page(viewport=ViewportSize(width=width, height=height))
    page.set_default_timeout(SECONDS * 1000)
    return page


def complaints(page: Page) -> list[str]:
    """A list that fills with a page's errors, and with addresses elsewhere that it asks for."""
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: heard.append(request.url) if elsewhere(request.url) else None)
    return heard


def elsewhere(url: str) -> bool:
    here = ("http://localhost:", "ws://localhost:", "http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "file:")
    return not url.startswith(here)


def wait_until(condition: Callable[[], bool], page: Page, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the page does not show what it should:\n{page.inner_text('body')}"
        page.wait_for_timeout(50)
