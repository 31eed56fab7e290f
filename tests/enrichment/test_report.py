"""The report says what the frames say, in a notebook's objects and in a browser without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

import data_generators
import fintech_toolkit as ft
from fintech_toolkit import enrichment
from fintech_toolkit.enrichment import Enrichment
from fintech_toolkit.enrichment.intake import Taken
from fintech_toolkit.enrichment.report import Report
from tests.browser import COLORED, browser, complaints, new_page, wait_until  # noqa: F401 - a fixture

INPUTS = {
    "quotes": Taken(6_000, 5_990, 5_990, 7, {"bid missing": 4, "crossed: bid above ask": 6}, {}, []),
    "trades": Taken(5_000, 5_000, 5_000, 0, {}, {"size is 0: none": 3}, []),
}


@pytest.fixture(scope="module")
def enriched() -> Enrichment:
    market = {name: data_generators.sample(name, rows=5_000) for name in ("quotes", "securities", "trades")}
    return ft.enrich(**market, every="1min")


def test_tables_are_what_the_frames_come_to(enriched: Enrichment) -> None:
    report = Report(enriched, INPUTS)
    quotes, trades = enriched.quotes, enriched.trades
    tables = report.tables
    assert tables["rows"].loc["quotes"].to_dict() == {"in": 6_000, "out": 5_990, "rejected": 10, "put in order": 7}
    assert tables["rejected rows"]["rows"].to_dict() == {
        ("quotes", "bid missing"): 4,
        ("quotes", "crossed: bid above ask"): 6,
    }
    assert tables["rows with a note"]["rows"].to_dict() == {("trades", "size is 0: none"): 3}
    spreads = quotes.groupby("segment")["best_spread_bps"].agg(["size", "mean", "min", "max"])
    found = tables["spreads by segment"]
    np.testing.assert_allclose(found.to_numpy(), spreads.loc[found.index].to_numpy(), rtol=1e-12)
    assert tables["dealers"]["quotes"].to_dict() == quotes["dealer"].value_counts().to_dict()
    assert tables["dealers"]["share_of_quotes"].sum() == pytest.approx(1)
    by_venue = trades.groupby("venue").agg(trades=("size", "size"), volume=("size", "sum"))
    pd.testing.assert_frame_equal(
        tables["trades by venue"][["trades", "volume"]].sort_index(), by_venue, check_dtype=False
    )
    costs = trades.groupby("venue")["effective_spread_bps"].mean()
    np.testing.assert_allclose(tables["trades by venue"]["effective_spread_bps"].sort_index(), costs, rtol=1e-9)
    volumes = trades.groupby("symbol")["size"].sum().nlargest(10)
    assert tables["busiest instruments"]["volume"].to_dict() == volumes.to_dict()


def test_what_somebody_should_look_at_is_there(enriched: Enrichment) -> None:
    """A trade as large as all others, and spreads wider than any and crossed: both are named."""
    trades, quotes = (getattr(enriched, name).copy() for name in ("trades", "quotes"))
    symbol = trades["symbol"].value_counts().index[0]
    traded = trades.index[trades["symbol"] == symbol]
    spaced = pd.date_range("2024-01-08 13:30", periods=len(traded), freq="30s", tz="UTC").as_unit("ns")
    trades.loc[traded, "ts"] = spaced
    trades.loc[traded[-1], "size"] = trades["size"].sum()
    quotes.loc[quotes.index[quotes["symbol"] == symbol][50:53], "best_spread_bps"] = [500.0, 400.0, -3.0]
    own = trades.loc[traded]
    changed = replace(enriched, quotes=quotes, trades=own)
    tables = changed.report().tables
    first = tables["unusual volumes"].iloc[0]
    assert (first.name, first["volume"] > trades["size"].sum() / 2) == (symbol, True)
    assert tables["unusual spreads"].loc[symbol, ["least_bps", "most_bps"]].tolist() == [-3.0, 500.0]
    discovered = enriched.price_discovery(symbol).set_index("dealer")
    pd.testing.assert_frame_equal(tables[f"who finds the price of {symbol}"], discovered.head(10))
    mids = enrichment.dealer_mids(over=ft.source("enriched_quotes"))(enriched_quotes=enriched.quotes)
    pd.testing.assert_frame_equal(discovered.reset_index(), enrichment.price_discovery(mids, symbol))


def test_any_flow_over_its_frames(enriched: Enrichment) -> None:
    held = enriched.apply(enrichment.positions(ft.source("enriched_trades"), max_long=1e9, max_short=1e9))
    bought = enriched.trades["signed_volume"].groupby([enriched.trades["symbol"], enriched.trades["dealer"]]).sum()
    last = held.groupby(["symbol", "dealer"])["position"].last()
    np.testing.assert_allclose(last.to_numpy(), bought.loc[last.index].to_numpy())
    with pytest.raises(ft.ParameterError, match=r"'trades' is no frame of an enrichment\. Did you mean 'enriched_t"):
        enriched.apply(enrichment.positions(max_long=1.0, max_short=1.0))


def test_plots_show_the_busiest_instrument_and_where_trades_are_done(enriched: Enrichment) -> None:
    report = enriched.report()
    busiest = enriched.quotes["symbol"].value_counts().idxmax()
    drawn = report.plots["best bid and offer"]
    theirs = enriched.windows[enriched.windows["symbol"] == busiest].sort_values("ts")
    for side in ("bid", "ask"):
        values = drawn[side].dimension_values("value")
        assert np.isnan(values[-1])  # so that no line leads to the next day
        np.testing.assert_array_equal(values[:-1], theirs[f"best_{side}"])
    shares = dict(report.plots["trade quality"].data[["place", "share"]].itertuples(index=False))
    assert shares["inside"] == (enriched.trades["place"] == 1).mean() > 0
    assert shares["at the best"] == (enriched.trades["place"] == 2).mean() > 0
    assert sum(shares.values()) == pytest.approx(1)


def test_arrow_and_dask_give_the_same_tables(enriched: Enrichment) -> None:
    import dask.dataframe as dd
    import pyarrow as pa

    arrow = Enrichment(**{name: pa.Table.from_pandas(frame) for name, frame in vars(enriched).items()})
    dask = Enrichment(**{name: dd.from_pandas(frame, npartitions=2) for name, frame in vars(enriched).items()})
    expected = enriched.report().tables
    for report in (arrow.report(), dask.report()):
        for name, table in report.tables.items():
            pd.testing.assert_frame_equal(table, expected[name], check_dtype=False, check_index_type=False)


def test_one_file_shows_itself_without_a_network(enriched: Enrichment, tmp_path: Path, browser: Browser) -> None:  # noqa: F811
    report = Report(enriched, INPUTS)
    report.save(tmp_path / "report.html")
    page = new_page(browser)
    heard = complaints(page)
    page.goto((tmp_path / "report.html").as_uri())
    wait_until(lambda: sum(colored > 500 for colored in page.evaluate(COLORED)) == len(report.plots), page)
    text = page.inner_text("body")
    for name in report.tables:
        assert name[0].upper() + name[1:] in text
    assert "crossed: bid above ask" in text
    assert not heard
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_a_notebook_gets_all_of_it(enriched: Enrichment) -> None:
    report = enriched.report()
    assert len(report.layout) == len(report.plots) + len(report.tables)


def test_a_report_that_cannot_be_written_is_an_error(enriched: Enrichment, tmp_path: Path) -> None:
    with pytest.raises(ft.DataError, match="cannot be written: No such file"):
        enriched.report().save(tmp_path / "nowhere" / "report.html")


def test_what_has_no_rows_has_no_plot(tmp_path: Path) -> None:
    market = {name: data_generators.sample(name, rows=50) for name in ("quotes", "securities", "trades")}
    without_trades = ft.enrich(**market | {"trades": market["trades"].iloc[:0]}).report()
    assert set(without_trades.plots) >= {"best bid and offer", "depth"}
    assert not {"trade quality", "markouts"} & set(without_trades.plots)
    nothing = ft.enrich(**market | {name: market[name].iloc[:0] for name in ("quotes", "trades")}).report()
    assert nothing.plots == {}
    nothing.save(tmp_path / "report.html")
    assert "Spreads by segment" in (tmp_path / "report.html").read_text()
