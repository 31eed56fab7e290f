"""Kernels as plots, and the page of all of them."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pytest
from playwright.sync_api import Browser

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.authoring import tick_kernel
from fintech_toolkit.checking.ticks import columns_of, dtypes_of
from fintech_toolkit.dashboards import KernelCatalogue, kernel_definitions, plot_kernel
from fintech_toolkit.dashboards.drawn_kernels import _alike, _Line
from fintech_toolkit.dashboards.sample_ticks import sample_market, sample_ticks
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.scan.parameters import Number
from tests.browser import new_page

KERNELS = [kernel for name, kernel in kernels.registry().items() if name == kernel.name]


def drawn(plots: Any) -> dict[str, Any]:
    """What is drawn, by name: the columns of a curve's frame."""
    return {curve.label: curve.data for plot in plots for curve in (plot if isinstance(plot, hv.Overlay) else [plot])}


def test_there_are_ticks_for_every_kernel() -> None:
    for kernel in (kernel for kernel in KERNELS if kernel.tickwise):
        ticks = sample_ticks(kernel)
        assert set(columns_of(kernel)) <= set(ticks), kernel.name
        for name, dtype in dtypes_of(kernel).items():
            assert ticks[name].dtype == dtype, f"{kernel.name}: {name}"
            assert len(ticks[name]) == len(ticks["ts"]) > 300
        assert (np.diff(ticks["ts"]) >= 0).all()


def test_ticks_are_a_market() -> None:
    quotes, bars = sample_ticks(ft.best_bid_offer), sample_ticks(ft.garman_klass)
    assert (quotes["bid"] < quotes["ask"]).all()
    assert (quotes["bid_size"] > 0).all()
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    levels = sample_ticks(ft.multilevel_ofi)
    assert (levels["bid_0"] > levels["bid_1"]).all()
    assert (levels["ask_3"] < levels["ask_4"]).all()


def test_what_is_drawn_is_what_the_kernel_gives() -> None:
    curves = drawn(plot_kernel("kyle_lambda"))
    assert set(curves) == {"r", "signed_volume", "kyle_lambda"}
    given = sample_ticks(ft.kyle_lambda)
    expected = ft.kyle_lambda(given["r"], given["signed_volume"], **ft.kyle_lambda.cases[0])
    np.testing.assert_array_equal(curves["kyle_lambda"]["kyle_lambda"], expected)
    np.testing.assert_array_equal(curves["r"]["r"], given["r"])
    assert curves["r"]["time"].astype("int64").tolist() == given["ts"].tolist()


def test_rows_of_its_own_are_drawn_at_their_times() -> None:
    curves, ticks = drawn(plot_kernel("volume_bars")), sample_ticks(ft.volume_bars)
    bars = ft.volume_bars(ticks["price"], ticks["size"], ts=ticks["ts"], **ft.volume_bars.cases[0])
    assert not bars.complete[-1]  # which is not drawn
    assert curves["vwap"]["time"].astype("int64").tolist() == bars.ts[:-1].tolist()
    np.testing.assert_array_equal(curves["vwap"]["vwap"], bars.vwap[:-1])
    assert not {"ts", "complete"} & set(curves)


def test_functions_of_arrays_are_drawn_as_in_their_example() -> None:
    (slices,) = plot_kernel("iceberg_slicer")
    assert slices.data["iceberg_slicer"].tolist() == [300, 300, 300, 100]
    shrunk = plot_kernel("ledoit_wolf_shrinkage")
    (covariance,) = shrunk
    assert isinstance(covariance, hv.HeatMap)
    assert "shrinkage = 0.870421" in covariance.opts.get("plot").kwargs["title"]


def test_kernels_across_symbols_are_drawn_on_a_market() -> None:
    market = sample_market()
    read, ranks = plot_kernel("cs_rank")
    expected = ft.cross_section(ft.cs_rank("x", **ft.cs_rank.cases[0]), every="15s")(market)
    assert len(read) == len(ranks) == market["symbol"].nunique() == 5
    for curve in read:
        np.testing.assert_array_equal(curve.data[curve.label], market.loc[market["symbol"] == curve.label, "x"])
    for curve in ranks:
        own = expected[expected["symbol"] == curve.label]
        np.testing.assert_array_equal(curve.data[curve.label], own["cs_rank"])
        assert curve.data["time"].astype("int64").tolist() == own["ts"].astype("int64").tolist()
    _, (level,) = plot_kernel("index_level")
    levels = ft.cross_section(ft.index_level("x"), every="15s")(market)["index_level"]
    np.testing.assert_array_equal(level.data["index_level"], levels)


def test_columns_that_are_alike_share_a_plot() -> None:
    def line(name: str, *values: float) -> _Line:
        return _Line(name, np.arange(len(values)), np.array(values), given=True)

    columns = [line("price", 100, 102), line("near", 101, 103), line("wide", 0, 200), line("share", 0, 1)]
    assert [[each.name for each in group] for group in _alike(columns)] == [["price", "near"], ["wide"], ["share"]]
    assert line("none", np.nan, np.inf).empty
    assert line("alone", 1, np.nan, 2).dots
    assert not line("joined", 1, 2, np.nan).dots
    least = np.iinfo(np.int64).min
    fix = _Line("fix_ts", np.array([0, 1]), np.array([2_000_000_000, least]), given=True)
    np.testing.assert_array_equal(fix.values, [2, np.nan])  # seconds after its row, and none
    buckets = _Line("buckets", np.array([5, 6]), np.array([1, 2]), given=True)
    np.testing.assert_array_equal(buckets.values, [1, 2])  # no times


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'microprice'"):
        plot_kernel("microprize")
    with pytest.raises(ParameterError, match="Did you mean 'liquidity'"):
        KernelCatalogue("liqidity")


def test_a_page_shows_what_is_asked_for_and_draws_it_once() -> None:
    page = KernelCatalogue("labels")
    assert page.shown == ["label_next_move"]
    (first,) = page.layout[1]
    page.search.value = " Iceberg"
    assert page.shown == []
    page.family.value = "all families"
    assert page.shown == ["iceberg_slicer"]
    page.family.value = "labels"
    page.search.value = ""
    assert list(page.layout[1]) == [first]
    assert [type(part).__name__ for part in first] == ["HTML", "HoloViews", "HTML"]


def test_the_users_own_are_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_own", {})

    @tick_kernel(reads="x", gives="y", parameters=[Number("scale", "by what")])
    def scaled(x: float, *, scale: float) -> float:
        """``scale * x`` & no more; NaN stays NaN."""
        return scale * x

    (card,) = KernelCatalogue("own").layout[1]
    assert "<code>scale * x</code> &amp; no more" in card[0].object
    assert "scaled: scale is required" in card[1].object  # it says no parameters to try it under


def test_definitions_are_found_without_python(browser: Browser) -> None:
    page = new_page(browser)
    page.set_content(kernel_definitions().object)
    shown = page.locator("details:not([hidden]) > summary > b")
    assert shown.all_inner_texts() == [*ft.catalogue().index]
    page.locator("input").fill("Informed")
    assert shown.all_inner_texts() == ["vpin"]
    page.get_by_text("vpin", exact=True).first.click()
    assert "Volume-synchronised probability" in page.inner_text("body")
    page.close()
