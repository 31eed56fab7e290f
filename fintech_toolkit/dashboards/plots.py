"""Plots of one symbol's enriched quotes, for notebooks and for the dashboard."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import hvplot.pandas  # noqa: F401  registers .hvplot on frames
import pandas as pd

QUOTES, MID, SPREAD, BUYING, SELLING = "#9aa7b5", "#1556a8", "#7a4a94", "#2a8c5a", "#c8463c"

_CLOCK = {
    **dict.fromkeys(["microseconds", "milliseconds"], "%H:%M:%S.%3N"),
    **dict.fromkeys(["seconds", "minsec"], "%H:%M:%S"),
    **dict.fromkeys(["minutes", "hourmin", "hours"], "%H:%M"),
}


def plot_data(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what the plots draw, times as Bokeh's axes know them (UTC, without a zone), buying and selling apart."""
    flow = frame["ofi_mean"]
    return frame[["mid", "mid_ewma", "spread_bps", "spread_ewma"]].assign(
        ts=frame["ts"].dt.tz_convert("UTC").dt.tz_localize(None), buying=flow.clip(lower=0), selling=flow.clip(upper=0)
    )


def mid_plot(data: pd.DataFrame, unit: str) -> Any:
    """Return the plot of mids, a dot a quote, and of their EWMA."""
    return _trend(data, "mid", "mid_ewma", MID, title="Mid of each quote, and its EWMA", ylabel=unit, height=330)


def spread_plot(data: pd.DataFrame) -> Any:
    """Return the plot of spreads, a dot a quote, and of their EWMA."""
    title = "Quoted spread, and its EWMA"
    return _trend(data, "spread_bps", "spread_ewma", SPREAD, title=title, ylabel="bp of mid", height=190)


def flow_plot(data: pd.DataFrame, unit: str) -> Any:
    """Return the plot of order-flow imbalance, buying and selling pressure in their colours."""
    title = "Order-flow imbalance, mean of the last quotes"
    look = _look(title=title, ylabel=unit, height=220, line_width=0)
    buying = data.hvplot.area(y="buying", label="Buying", color=BUYING, **look)
    selling = data.hvplot.area(y="selling", label="Selling", color=SELLING, **look)
    return (buying * selling).opts(**_overlay(xaxis="bottom"))


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
    holoviews.Layout

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
    >>> len(quote_plots(features(quotes), price_unit="% of par", size_unit="face value"))
    3
    """
    data = plot_data(frame)
    plots = [mid_plot(data, price_unit), spread_plot(data), flow_plot(data, size_unit)]
    return hv.Layout(plots).cols(1).opts(toolbar=None)


def _trend(data: pd.DataFrame, dots: str, line: str, color: str, **look: Any) -> Any:
    quotes = data.hvplot.scatter(y=dots, label="Quotes", color=QUOTES, size=4, **_look(**look))
    trend = data.hvplot.line(y=line, label="EWMA", color=color, line_width=2, **_look(**look))
    return (quotes * trend).opts(**_overlay(xaxis="bare"))


def _look(**options: Any) -> dict[str, Any]:
    return {
        "x": "ts",
        "xlabel": "Time (UTC)",
        "responsive": True,
        "grid": True,
        "hover": False,
        **options,
    }


def _overlay(xaxis: str) -> dict[str, Any]:
    return {
        "xaxis": xaxis,
        "legend_position": "top_left",
        "legend_cols": 2,
        "toolbar": None,
        "padding": (0.005, (0.05, 0.25)),  # room for the legend above the data
        "fontsize": {"title": "10pt", "labels": "9pt", "ticks": "9pt", "legend": "9pt"},
        "backend_opts": {
            "plot.min_border_left": 80,  # so that the time axes stand under one another
            "plot.min_border_right": 20,
            "plot.outline_line_color": None,
            "plot.title.text_color": "#333333",
            "plot.yaxis.axis_label_text_font_style": "normal",
            "plot.xaxis.axis_label_text_font_style": "normal",
            "plot.yaxis.minor_tick_line_color": None,
            "plot.yaxis.formatter.use_scientific": False,
            **{f"plot.xaxis.formatter.{scale}": form for scale, form in _CLOCK.items()},
            "plot.legend.border_line_color": None,
            "plot.legend.background_fill_alpha": 0.7,
            "plot.legend.padding": 2,
            "plot.legend.margin": 4,
        },
    }
