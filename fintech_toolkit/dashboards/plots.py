"""Plots of one symbol's enriched quotes, for notebooks and for the dashboard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, DataRange1d, DatetimeTickFormatter, LayoutDOM
from bokeh.plotting import figure

QUOTES, MID, SPREAD, BUYING, SELLING = "#9aa7b5", "#1556a8", "#7a4a94", "#2a8c5a", "#c8463c"

_COLUMNS = ["ts", "mid", "mid_ewma", "spread_bps", "spread_ewma", "buying", "selling"]
_CLOCK: dict[str, Any] = {
    **dict.fromkeys(["microseconds", "milliseconds"], "%H:%M:%S.%3N"),
    **dict.fromkeys(["seconds", "minsec"], "%H:%M:%S"),
    **dict.fromkeys(["minutes", "hourmin", "hours"], "%H:%M"),
}


def plot_data(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what the plots draw, times as Bokeh's axes know them (UTC, without a zone), buying and selling apart."""
    flow = frame["ofi_mean"]
    data = frame[["mid", "mid_ewma", "spread_bps", "spread_ewma"]].assign(
        ts=frame["ts"].dt.tz_convert("UTC").dt.tz_localize(None), buying=flow.clip(lower=0), selling=flow.clip(upper=0)
    )
    return {name: data[name].to_numpy() for name in _COLUMNS}


class QuoteFigures:
    """The three plots under one another, of one source: what it is given shows in all of them, or in none.

    Attributes
    ----------
    source : ColumnDataSource
        Set its ``data`` to what `plot_data` gives.
    layout : bokeh Column
        The figures.
    """

    def __init__(self, price_unit: str, size_unit: str) -> None:
        self.source = ColumnDataSource({name: np.empty(0) for name in _COLUMNS})
        times = DataRange1d(range_padding=0.01)
        mid = self._figure(times, 330, "Mid of each quote, and its EWMA", price_unit)
        self._trend(mid, "mid", "mid_ewma", MID)
        spread = self._figure(times, 190, "Quoted spread, and its EWMA", "bp of mid")
        self._trend(spread, "spread_bps", "spread_ewma", SPREAD)
        flow = self._figure(times, 220, "Order-flow imbalance, mean of the last quotes", size_unit)
        for name, label, color in [("buying", "Buying", BUYING), ("selling", "Selling", SELLING)]:
            flow.varea("ts", 0, name, source=self.source, color=color, legend_label=label)
        for upper in (mid, spread):
            upper.xaxis.major_label_text_font_size = "0pt"
        flow.xaxis.axis_label = "Time (UTC)"
        self.layout = column(mid, spread, flow, sizing_mode="stretch_width")
        for drawn in (mid, spread, flow):
            drawn.legend.orientation = "horizontal"
            drawn.legend.padding = drawn.legend.margin = 0
            drawn.legend.border_line_color = None
            drawn.add_layout(drawn.legend[0], "above")
        for model in self.layout.references():
            model.syncable = False  # or a notebook's browser sends back all that it is given

    def _figure(self, times: DataRange1d, height: int, title: str, unit: str) -> Any:
        drawn: Any = figure(
            x_range=times,
            y_range=DataRange1d(),
            x_axis_type="datetime",
            height=height,
            sizing_mode="stretch_width",
            title=title,
            y_axis_label=unit,
            toolbar_location=None,
            tools="",
            min_border_left=80,  # so that the time axes stand under one another
            min_border_right=20,
            outline_line_color=None,
        )
        drawn.title.text_color = "#333333"
        drawn.title.text_font_size = "10pt"
        drawn.axis.axis_label_text_font_style = "normal"
        drawn.yaxis.minor_tick_line_color = None
        drawn.yaxis.formatter.use_scientific = False
        drawn.xaxis.formatter = DatetimeTickFormatter(**_CLOCK)
        return drawn

    def _trend(self, drawn: Any, dots: str, line: str, color: str) -> None:
        drawn.scatter("ts", dots, source=self.source, color=QUOTES, size=2, legend_label="Quotes")
        drawn.line("ts", line, source=self.source, color=color, line_width=2, legend_label="EWMA")


def quote_plots(frame: pd.DataFrame, *, price_unit: str = "price", size_unit: str = "size") -> Any:
    """Return the three plots of one symbol's enriched quotes under one another, with linked time axes.

    Parameters
    ----------
    frame : DataFrame
        Rows of one symbol: `ts` (tz-aware), `mid`, `mid_ewma`, `spread_bps`, `spread_ewma` (in basis points) and
        `ofi_mean` (float64). NaN is a gap.
    price_unit, size_unit : str
        What prices and sizes are counted in, for the labels of the axes.

    Returns
    -------
    panel.pane.Bokeh
        Shown by notebooks after ``panel.extension(inline=True)``.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import data_generators, fintech_toolkit as ft
    >>> quotes = data_generators.sample("quotes", rows=500, symbols=1)
    >>> features = ft.Pipeline(
    ...     ft.midprice(), ft.quoted_spread(), ft.ofi(), ft.ewma("mid", halflife=50).named("mid_ewma"),
    ...     ft.ewma("spread_bps", halflife=50).named("spread_ewma"),
    ...     ft.rolling_mean("ofi", window=100).named("ofi_mean"))
    >>> plots = quote_plots(features(quotes), price_unit="% of par", size_unit="face value")
    >>> len(plots.object.children)
    3
    """
    plots = QuoteFigures(price_unit, size_unit)
    plots.source.data = plot_data(frame)
    return bokeh_pane(plots.layout)


def bokeh_pane(model: LayoutDOM) -> pn.pane.Bokeh:
    """Return a Bokeh model as a part of a page, as wide as the page."""
    return pn.pane.Bokeh(model, sizing_mode="stretch_width")  # type: ignore[no-untyped-call]
