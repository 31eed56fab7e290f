"""Panels of any columns, in a real browser; and what is no panel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect
from streamz import Stream

import data_generators
from fintech_toolkit.dashboards import Panel, live_dashboard, plot_panels, serve
from fintech_toolkit.errors import ColumnError, DataError, ParameterError
from fintech_toolkit.live import from_kafka_frames
from tests.browser import COLORED, DRAWN, complaints, new_page, wait_until

POINTS = 300


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Quotes of several symbols, with what a panel may meet: a change of sign, whole numbers, some of them missing."""
    quotes = data_generators.sample("quotes", rows=3_000, symbols=3)
    change = quotes["bid"].diff()
    return quotes.assign(change=change, rises=pd.array(np.where(change > 0, 1, None), "Int64"))


@pytest.fixture
def source() -> Any:
    """A feed that has not begun."""
    return from_kafka_frames("quotes", {"bootstrap.servers": "127.0.0.1:1"}, schema={"symbol": "str"}, group="panels")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = new_page(browser, 1280, 1200)
    heard = complaints(page)
    yield page
    page.close()
    assert heard == []


def test_panels_are_those_that_were_declared(rows: pd.DataFrame, source: Any, page: Page) -> None:
    """Of a table whose symbols and times have names of their own."""
    names = {"symbol": "ticker", "ts": "when"}
    rows = rows.rename(columns=names)
    stream = Stream()
    table = stream.to_table(columns=names)
    panels = [
        Panel(("bid", "ask"), unit="% of par", title="Best bid and ask"),
        Panel(("bid_size", "ask_size"), "trend", labels=("Bid", "Ask")),
        Panel("change", "signed", height=150),
        Panel("rises"),
    ]
    with serve(lambda: live_dashboard(table, source, panels, columns=names, points=POINTS)) as address:
        page.goto(address)
        expect(page.get_by_text("Waiting for the first rows")).to_be_visible()
        stream.emit(rows)
        picker = page.get_by_label("Symbol")
        wait_until(lambda: picker.input_value() != "", page)
        expected = rows[rows["ticker"] == picker.input_value()].tail(POINTS)
        wait_until(lambda: len(page.evaluate(COLORED)) == 4 and min(page.evaluate(COLORED)) > 50, page)
        for name in ("bid", "ask", "bid_size", "ask_size"):
            np.testing.assert_array_equal(page.evaluate(DRAWN, name), expected[name])
        rises = np.array(page.evaluate(DRAWN, "rises"), float)
        np.testing.assert_array_equal(rises, expected["rises"].to_numpy("float64", na_value=np.nan))
        for name, side in (("above 0: change", {"lower": 0}), ("below 0: change", {"upper": 0})):
            drawn = np.array(page.evaluate(DRAWN, name), float)
            np.testing.assert_array_equal(drawn, expected["change"].clip(**side))


@pytest.mark.parametrize(
    ("panel", "kind", "said"),
    [
        (Panel("bidd"), ColumnError, "There is no column 'bidd'. Did you mean 'bid'?"),
        (Panel("dealer"), DataError, "Column 'dealer' holds str; a panel draws numbers."),
    ],
    ids=["missing", "not a number"],
)
def test_what_a_panel_cannot_draw_is_said_on_the_page(
    rows: pd.DataFrame, source: Any, page: Page, panel: Panel, kind: type[Exception], said: str
) -> None:
    rows = rows.astype({"dealer": "str"})
    stream = Stream()
    table = stream.to_table()
    with serve(lambda: live_dashboard(table, source, [panel])) as address:
        page.goto(address)
        stream.emit(rows)
        expect(page.get_by_text(said)).to_be_visible()
    with pytest.raises(kind, match=re.escape(said)):
        plot_panels(rows, [panel])


def test_times_without_a_zone_are_refused(rows: pd.DataFrame) -> None:
    naive = rows.assign(ts=rows["ts"].dt.tz_localize(None))
    with pytest.raises(DataError, match=re.escape("use .dt.tz_localize('UTC')")):
        plot_panels(naive, [Panel("bid")])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"columns": "mid", "kind": "line"}, "kind='line' must be 'lines', 'trend' or 'signed'. Did you mean 'lines'?"),
        ({"columns": ()}, "columns=() must be the names of columns, each once"),
        ({"columns": ("a", "a")}, "columns=('a', 'a') must be the names of columns, each once"),
        ({"columns": ("a", "b"), "kind": "signed"}, "kind='signed' draws one column"),
        ({"columns": "a", "kind": "trend"}, "kind='trend' draws dots and lines through them"),
        ({"columns": "a", "labels": ("b", "c")}, "labels=('b', 'c') must be 1: for a"),
        ({"columns": "a", "kind": "signed", "labels": ("b",)}, "labels=('b',) must be 2: for a > 0, a < 0"),
    ],
)
def test_what_is_no_panel_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(said)):
        Panel(**arguments)


@pytest.mark.parametrize("panels", [[], ["mid"], Panel("mid"), None])
def test_a_dashboard_needs_panels(panels: Any) -> None:
    with pytest.raises(ParameterError, match="must be a list of panels"):
        live_dashboard(None, None, panels)
