"""The report of a run, as a browser without a network shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from distributed import Client
from playwright.sync_api import Browser

from fintech_toolkit.signals import performance, read_results
from fintech_toolkit.signals.configuration import run_settings
from fintech_toolkit.signals.orchestrator import run
from tests.browser import COLORED, browser, complaints, new_page, wait_until  # noqa: F401 - a fixture
from tests.signals.folders import PRICES, write_folder

# What the browser holds of a column for each of the glyphs that draw it.
EVERY = """column => window.Bokeh.documents.flatMap(document => [...document._all_models.values()])
    .filter(model => model.type == "ColumnDataSource" && column in model.data)
    .map(model => Array.from(model.data[column]))"""


def test_the_report_of_a_run_in_a_browser(browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    """Every contract in the colour of its state, what failed and why, curves that end where the numbers do."""
    names = ["A<b>&", *(f"C{number:02d}" for number in range(23))]
    folder = tmp_path / "in"
    frames = write_folder(folder, names)
    prices = frames[PRICES]
    (bad,) = prices.index[(prices["contract"] == "C01")][[7]]
    prices.assign(price=prices["price"].where(prices.index != bad, -1.0)).to_parquet(folder / f"{PRICES}.parquet")
    with Client(processes=False, n_workers=1, dashboard_address="127.0.0.1:0") as client:
        record = run(run_settings(input=str(folder), output=str(tmp_path / "out")), client)
    rows = read_results(str(tmp_path / "out"))
    first = sorted(set(names) - {"C01"})[:10]
    page = new_page(browser)
    heard = complaints(page)
    page.goto(f"file://{tmp_path}/out/runs/{record.run}/report.html")
    wait_until(lambda: len([n for n in page.evaluate(COLORED) if n > 200]) == 5, page)
    states = {state: page.locator(f"svg.fan-out g.{state} rect") for state in ("done", "failed", "skipped")}
    assert {state: found.count() for state, found in states.items()} == {"done": 23, "failed": 1, "skipped": 0}
    colours = {
        state: states[state].first.evaluate("node => getComputedStyle(node).fill") for state in ("done", "failed")
    }
    assert colours == {"done": "rgb(42, 140, 90)", "failed": "rgb(200, 70, 60)"}
    assert page.locator("svg.fan-out path").count() == 24
    body = page.inner_text("body")
    assert "24 contracts in = 23 done + 1 failed + 0 skipped" in body
    assert "price -1 is not positive, first in row 7" in body
    assert "A<b>&" in body
    whole = performance(rows[rows["contract"].isin(first)])
    assert whole.verdict in body
    own = rows[rows["contract"].isin(first)]
    sums = (own["signal"] * own["next_price_change_pct"]).groupby(own["contract"]).sum()
    ends = [line[-1] for line in page.evaluate(EVERY, "equity")]
    np.testing.assert_allclose(sorted(ends), sorted([*sums, whole.periods["equity"].iloc[-1]]), rtol=1e-12)
    assert sum(map(sum, page.evaluate(EVERY, "trades"))) == performance(rows).trades
    assert heard == []
