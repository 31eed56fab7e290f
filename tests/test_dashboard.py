"""The dashboard in a real browser, fed through a real (embedded) Kafka broker."""

from __future__ import annotations

import http.client
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from streamz import Stream

import data_generators
from fintech_toolkit.dashboards import live_dashboard, serve
from fintech_toolkit.demo import build_pipeline
from fintech_toolkit.live import EmbeddedBroker

POINTS = 300
# What the browser holds of the glyphs that draw a column.
DRAWN = """column => {
    for (const document of Bokeh.documents)
        for (const model of document._all_models.values())
            if (model.type == "ColumnDataSource" && column in model.data)
                return Array.from(model.data[column]);
    return [];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        if found is None and not os.path.exists(playwright.chromium.executable_path):
            how = "no browser: apt-get install chromium, or .venv/bin/playwright install chromium"
            pytest.fail(how) if os.environ.get("CI") == "true" else pytest.skip(how)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Feed:
    """Quotes on their way through a broker into a dashboard, and what the pipeline makes of all of them at once."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        config = {"bootstrap.servers": broker.bootstrap_servers}
        self.quotes = data_generators.sample("quotes", rows=6_000, symbols=3)
        self.enriched = build_pipeline()(self.quotes)
        self.sent = 0
        self.feed = Stream()
        self.feed.to_kafka_frames("quotes", config, key="symbol")
        schema = {str(name): str(dtype) for name, dtype in self.quotes.dtypes.items()}
        self.source = Stream.from_kafka_frames("quotes", config, schema=schema, group="dashboard")
        self.table = build_pipeline().live(self.source).to_table(maxlen=6_000)

    def send(self, rows: int) -> None:
        self.feed.emit(self.quotes.iloc[self.sent : self.sent + rows])
        self.sent += rows
        self.source.start()  # once there is a topic

    def expected(self, symbol: str) -> pd.DataFrame:
        sent = self.enriched.iloc[: self.sent]
        return sent[sent["symbol"] == symbol].tail(POINTS)

    def busiest(self) -> list[str]:
        return self.quotes["symbol"].iloc[: self.sent].value_counts().index.tolist()


@pytest.fixture
def feed() -> Iterator[Feed]:
    with EmbeddedBroker() as broker:
        feed = Feed(broker)
        yield feed
        feed.source.stop()
        feed.source.wait(10)


@pytest.fixture
def address(feed: Feed) -> Iterator[str]:
    def dashboard() -> Any:
        return live_dashboard(
            feed.table, feed.source, title="Test of quotes", status=lambda: f"{feed.sent} <sent>", points=POINTS
        )

    with serve(dashboard) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: complaints.append(request.url) if elsewhere(request.url) else None)
    page.goto(address)
    yield page
    page.close()
    assert complaints == []


def elsewhere(url: str) -> bool:
    return not url.startswith(("http://localhost:", "ws://localhost:", "data:", "blob:"))


def wait_until(condition: Callable[[], bool], page: Page) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the page does not show what it should"
        page.wait_for_timeout(100)


def shows(page: Page, rows: pd.DataFrame) -> bool:
    columns = ["mid", "mid_ewma", "spread_bps", "spread_ewma"]
    return all(np.array_equal(np.array(page.evaluate(DRAWN, name), float), rows[name].to_numpy()) for name in columns)


def test_plots_follow_the_feed_and_the_symbol(page: Page, feed: Feed):
    expect(page.get_by_text("Waiting for the first quotes")).to_be_visible()

    feed.send(2_000)
    busiest, second, *_ = feed.busiest()
    figures = page.locator(".bk-Figure")
    expect(figures).to_have_count(3, timeout=30_000)
    wait_until(lambda: shows(page, feed.expected(busiest)), page)
    before = [figure.screenshot() for figure in figures.all()]

    feed.send(4_000)
    wait_until(lambda: shows(page, feed.expected(busiest)), page)
    assert len(page.evaluate(DRAWN, "mid")) == POINTS
    expect(page.get_by_text("6,000", exact=True)).to_have_count(2)  # in and out
    expect(page.get_by_text("6000 <sent>")).to_be_visible()
    after = [figure.screenshot() for figure in figures.all()]
    assert all(old != new for old, new in zip(before, after, strict=True))

    page.get_by_label("Symbol").select_option(second)
    wait_until(lambda: shows(page, feed.expected(second)), page)
    other = [figure.screenshot() for figure in figures.all()]
    assert all(old != new for old, new in zip(after, other, strict=True))


def test_a_visitor_who_comes_late_sees_the_plots_at_once(feed: Feed, address: str, browser: Browser):
    feed.send(1_000)
    page = browser.new_page()
    wait_until(lambda: len(feed.table.snapshot()) == 1_000, page)
    page.goto(address)
    expect(page.locator(".bk-Figure")).to_have_count(3)
    assert shows(page, feed.expected(feed.busiest()[0]))
    page.close()


def test_nothing_is_drawn_for_a_visitor_who_has_left(feed: Feed, browser: Browser):
    frames = []

    def dashboard() -> Any:
        return live_dashboard(feed.table, feed.source, status=lambda: frames.append(1) or "")

    with serve(dashboard) as address:
        page = browser.new_page()
        page.goto(address)
        wait_until(lambda: len(frames) > 3, page)  # it is being drawn
        page.close()
        deadline = time.monotonic() + 10
        before = -1
        while len(frames) != before:  # five frames' time without one
            assert time.monotonic() < deadline
            before = len(frames)
            time.sleep(1)


def test_only_this_machine_and_its_own_pages_may_connect(address: str):
    port = int(address.rsplit(":", 1)[1])
    listening = {
        connection.laddr.ip
        for connection in psutil.Process().net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening <= {"127.0.0.1", "::1"}
    assert listening

    def upgrade(origin: str) -> int:
        connection = http.client.HTTPConnection("localhost", port, timeout=10)
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": "bokeh, token",
            "Origin": origin,
        }
        connection.request("GET", "/ws", headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status

    assert upgrade("http://evil.example") == 403
    assert upgrade(f"http://localhost:{port + 1}") == 403
    assert upgrade(address) != 403


def test_a_port_that_is_taken_is_an_error(address: str):
    with pytest.raises(OSError, match="in use"), serve(lambda: None, port=int(address.rsplit(":", 1)[1])):
        pass


def test_when_it_stops_the_port_is_free_again():
    with serve(lambda: "a page") as address:
        port = int(address.rsplit(":", 1)[1])
    with serve(lambda: "another", port=port) as again:
        assert again == address
