"""The dashboard in a real browser, fed through a real (embedded) Kafka broker."""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect
from streamz import Stream

import data_generators
from fintech_toolkit.dashboards import live_dashboard, quote_panels, serve
from fintech_toolkit.demo import build_pipeline
from fintech_toolkit.live import EmbeddedBroker
from tests.browser import COLORED, DRAWN, SECONDS, complaints, new_page, wait_until
from tests.stress import dealt, stress

POINTS = 300


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


class Feed:
    """Quotes on their way through a broker into a dashboard, and what the pipeline makes of all of them at once."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        config = {"bootstrap.servers": broker.bootstrap_servers}
        topic = f"quotes-{uuid.uuid4().hex[:8]}"
        self.quotes = data_generators.sample("quotes", rows=6_000, symbols=3)
        self.enriched = build_pipeline()(self.quotes)
        self.sent = 0
        self.feed = Stream()
        self.feed.to_kafka_frames(topic, config, key="symbol")
        schema = {str(name): str(dtype) for name, dtype in self.quotes.dtypes.items()}
        self.source = Stream.from_kafka_frames(topic, config, schema=schema, group=topic)
        self.table = build_pipeline().live(self.source).to_table(maxlen=6_000)

    def send(self, rows: int) -> None:
        self.feed.emit(self.quotes.iloc[self.sent : self.sent + rows])
        self.sent += rows
        self.source.start()  # once there is a topic

    def expected(self, symbol: str) -> pd.DataFrame:
        sent = self.enriched.iloc[: self.sent]
        return sent[sent["symbol"] == symbol].tail(POINTS)


@pytest.fixture
def feed(broker: EmbeddedBroker) -> Iterator[Feed]:
    feed = Feed(broker)
    yield feed
    feed.source.stop()
    if feed.source.exception is None:
        feed.source.wait(SECONDS)


@pytest.fixture
def address(feed: Feed) -> Iterator[str]:
    def dashboard() -> Any:
        return live_dashboard(
            feed.table,
            feed.source,
            quote_panels(),
            title="Test of quotes",
            status=lambda: f"{feed.sent} <sent>",
            points=POINTS,
        )

    with serve(dashboard) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = new_page(browser)
    heard = complaints(page)
    page.goto(address)
    yield page
    page.close()
    assert heard == []


def shows(page: Page, rows: pd.DataFrame) -> bool:
    columns = ["mid", "mid_ewma", "spread_bps", "spread_ewma"]
    return all(np.array_equal(np.array(page.evaluate(DRAWN, name), float), rows[name].to_numpy()) for name in columns)


def symbol_of(page: Page) -> str:
    """The symbol that the page has chosen: the busiest of the rows that had come when it first drew some."""
    picker = page.get_by_label("Symbol")
    wait_until(lambda: picker.input_value() != "", page)
    return picker.input_value()


def is_drawn(page: Page) -> bool:
    """Whether all three plots have lines on their canvas, and nothing is waited for."""
    colored = page.evaluate(COLORED)
    waiting = page.get_by_text("Waiting for the first rows").count()
    return len(colored) == 3 and min(colored) > 500 and not waiting


@pytest.mark.parametrize("moment", dealt(["page made", "document sent", "after", "before", "websocket open"], 3))
def test_the_first_rows_are_shown_whenever_they_come(feed: Feed, browser: Browser, moment: str):
    enriched, stream = feed.enriched, Stream()
    table = stream.to_table(6_000)
    arrive = threading.Event()

    def arrives() -> None:
        if not arrive.is_set():
            arrive.set()
            stream.emit(enriched.iloc[:1_000])

    def dashboard() -> Any:
        made = live_dashboard(table, feed.source, quote_panels(), points=POINTS, frames_per_second=100)
        if moment == "page made":
            arrives()
        return made

    if moment == "before":
        arrives()
    with serve(dashboard) as address:
        page = new_page(browser)
        heard = complaints(page)
        # A browser so slow that many frames fall between its websocket and the end of its loading.
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
        if moment == "websocket open":
            page.on("websocket", lambda _: arrives())
        elif moment == "document sent":
            page.on("websocket", lambda ws: ws.on("framereceived", lambda text: len(text) > 10_000 and arrives()))
        page.goto(address)
        if moment == "after":
            expect(page.get_by_text("Waiting for the first rows")).to_be_visible()
            arrives()
        wait_until(lambda: is_drawn(page), page)
        rows = enriched.iloc[:1_000]
        assert shows(page, rows[rows["symbol"] == rows["symbol"].mode()[0]].tail(POINTS))
        page.close()
    assert arrive.is_set()
    assert heard == []


@stress
def test_ten_pages_that_load_at_once_while_rows_flow(feed: Feed, browser: Browser):
    feed.send(1_000)

    def flow() -> None:
        while feed.sent < 6_000:
            feed.send(50)

    with serve(lambda: live_dashboard(feed.table, feed.source, quote_panels(), points=POINTS)) as address:
        flowing = threading.Thread(target=flow)
        flowing.start()
        pages = [new_page(browser) for _ in range(10)]
        heard = [complaints(page) for page in pages]
        for page in pages:
            page.goto(address, wait_until="commit")
        flowing.join()
        for page in pages:
            rows = feed.expected(symbol_of(page))
            wait_until(lambda page=page, rows=rows: is_drawn(page) and shows(page, rows), page)
            expect(page.get_by_text("6,000", exact=True)).to_have_count(2)  # in and out
            expect(page.get_by_text("running", exact=True)).to_be_visible()
            page.close()
    assert heard == [[]] * 10


def test_plots_follow_the_feed_and_the_symbol(page: Page, feed: Feed):
    expect(page.get_by_text("Waiting for the first rows")).to_be_visible()

    feed.send(2_000)
    first = symbol_of(page)
    figures = page.locator(".bk-Figure")
    wait_until(lambda: shows(page, feed.expected(first)), page)
    before = [figure.screenshot() for figure in figures.all()]

    feed.send(4_000)
    wait_until(lambda: shows(page, feed.expected(first)), page)
    assert len(page.evaluate(DRAWN, "mid")) == POINTS
    expect(page.get_by_text("6,000", exact=True)).to_have_count(2)  # in and out
    expect(page.get_by_text("6000 <sent>")).to_be_visible()
    after = [figure.screenshot() for figure in figures.all()]
    assert all(old != new for old, new in zip(before, after, strict=True))

    second = next(symbol for symbol in feed.quotes["symbol"].unique() if symbol != first)
    page.get_by_label("Symbol").select_option(second)
    wait_until(lambda: shows(page, feed.expected(second)), page)
    other = [figure.screenshot() for figure in figures.all()]
    assert all(old != new for old, new in zip(after, other, strict=True))


def test_a_visitor_who_comes_late_sees_the_plots_at_once(feed: Feed, address: str, browser: Browser):
    feed.send(1_000)
    page = new_page(browser)
    wait_until(lambda: len(feed.table.snapshot()) == 1_000, page)
    page.goto(address)
    expect(page.locator(".bk-Figure")).to_have_count(3)
    wait_until(lambda: is_drawn(page), page)
    assert shows(page, feed.expected(symbol_of(page)))
    page.close()


def test_it_says_that_the_feed_died_and_why(page: Page, feed: Feed):
    expect(page.get_by_text("not started", exact=True)).to_be_visible()

    def fail(frame: pd.DataFrame) -> None:
        raise ZeroDivisionError("the disk is <full>")

    feed.source.sink(fail)
    feed.send(100)
    expect(page.get_by_text("died: ZeroDivisionError: the disk is <full>", exact=True)).to_be_visible()


def test_nothing_is_drawn_for_a_visitor_who_has_left(feed: Feed, browser: Browser):
    frames = []
    drawn = threading.Event()

    def status() -> str:
        frames.append(1)
        drawn.set()
        return ""

    def dashboard() -> Any:
        return live_dashboard(feed.table, feed.source, quote_panels(), status=status)

    with serve(dashboard) as address:
        page = new_page(browser)
        page.goto(address)
        wait_until(lambda: len(frames) > 3, page)  # it is being drawn
        page.close()
        deadline = time.monotonic() + SECONDS
        while drawn.wait(1):  # five frames' time without one
            assert time.monotonic() < deadline
            drawn.clear()


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
        connection = http.client.HTTPConnection("localhost", port, timeout=SECONDS)
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
