"""The report answers in words and currency, says who is not in it, and shows itself in a browser without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser
from scipy import stats

from fintech_toolkit.orders.aggregates import Aggregates, summarise
from fintech_toolkit.orders.report import Report
from tests.browser import COLORED, browser, complaints, new_page, wait_until  # noqa: F401
from tests.orders.measured import LEFT_OUT, Day, added, analysed


@pytest.fixture(scope="module")
def days() -> list[Day]:
    return [analysed(number) for number in range(0, 12, 3)]  # a security, four days


@pytest.fixture(scope="module")
def report(days: list[Day]) -> Report:
    return Report(added([summarise(*each, LEFT_OUT) for each in days]))


def test_the_first_lines_answer_the_question(days: list[Day], report: Report) -> None:
    metrics = pd.concat([each[1] for each in days])
    mid = metrics[metrics["scenario"] == "mid"]
    compared = mid[mid["quantity"] > 0]
    saving = compared["saving"] / 1000
    interval = stats.ttest_1samp(saving, 0).confidence_interval()
    paid = (compared["real_vwap"] * compared["quantity"]).sum() / 1000
    words = "less" if saving.sum() > 0 else "more"
    low, high = (
        f"AUD {abs(bound) * len(saving):,.{0 if abs(bound) * len(saving) >= 1000 else 2}f}" for bound in interval
    )
    assert report.lead[0] == (
        f"What would our fills have cost in the dark pool? {len(compared)} of the {len(mid)} orders that had something "
        f"left to fill after their arrival would have found some of it there. What they really traded for "
        f"AUD {paid:,.0f} would, all at the mid, have cost AUD {abs(saving.sum()):,.2f} {words} "
        f"({abs(saving.sum() / paid * 1e4):.2f} basis points); 95 % interval from {low} more to {high} less: "
        "it may be chance."
    )
    assert interval[0] < 0 < interval[1]
    assert report.lead[1].startswith("Half of the size at the mid: AUD ")
    assert f"filled {mid['filled'].sum() / mid['to_fill'].sum():.1%} of the quantity" in report.lead[2]
    assert report.lead[3] == "20 sweeps were left out: 12 without trades, 8 filled on arrival."
    assert report.lead[4].startswith("240 that took part were not filled, or not wholly: ")


def test_plots_show_what_the_tables_say(days: list[Day], report: Report) -> None:
    metrics = pd.concat([each[1] for each in days])
    mid = metrics[(metrics["scenario"] == "mid") & (metrics["quantity"] > 0)]
    drawn = report.plots["cost"]
    assert drawn.Scatter.Real.dimension_values("mean")[0] == pytest.approx(mid["real_cost_bps"].mean())
    half = stats.t.interval(0.95, len(mid) - 1, 0, stats.sem(mid["real_cost_bps"]))[1]
    bars = next(each for each in drawn if type(each).__name__ == "ErrorBars")
    assert bars.dimension_values("half")[0] == pytest.approx(half)
    rates = report.plots["fill rates by size"].data
    pool = rates[rates["of"] == "dark pool"].set_index("size")["rate"]
    by_size = mid.assign(all=1).groupby("size")
    every = metrics[metrics["scenario"] == "mid"].groupby("size")
    np.testing.assert_allclose(pool.sort_index(), every["filled"].sum() / every["to_fill"].sum())
    assert set(pool.index) == set(by_size.groups)
    trend = report.tables["trends"].loc["mid_saving"]
    assert f"{trend['slope']:+,.2f} AUD a day" in report.plots["saving by day"].opts.get().kwargs["title"]


def test_one_file_shows_itself_without_a_network(report: Report, tmp_path: Path, browser: Browser) -> None:  # noqa: F811
    report.save(tmp_path / "report.html")
    page = new_page(browser)
    heard = complaints(page)
    page.goto((tmp_path / "report.html").as_uri())
    wait_until(lambda: sum(colored > 300 for colored in page.evaluate(COLORED)) == len(report.plots) == 7, page)
    text = page.inner_text("body")
    for shown in (*report.lead, *(name[0].upper() + name[1:] for name in report.tables)):
        assert shown in text
    assert not heard
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_what_was_not_compared_is_said_and_not_drawn(days: list[Day], tmp_path: Path) -> None:
    nothing = Report(Aggregates())
    assert nothing.lead == (
        "What would our fills have cost in the dark pool? There is no answer: no order was compared.",
    )
    assert nothing.plots == {}
    nothing.save(tmp_path / "nothing.html")
    assert nothing.lead[0] in (tmp_path / "nothing.html").read_text()
    final, metrics, missed = days[0]
    one = metrics[metrics["quantity"] > 0].groupby("scenario").head(1)
    few = Report(added([summarise(final, one, missed, {})]))
    assert "there is no interval, as one pair: nothing to test" in few.lead[0]
    assert "saving by day" not in few.plots
    few.save(tmp_path / "few.html")
