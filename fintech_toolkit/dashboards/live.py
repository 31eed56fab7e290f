"""The dashboard of a live feed: its quotes, their features, and how the feed itself is doing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from html import escape
from typing import Any

import holoviews as hv
import pandas as pd
import panel as pn

from fintech_toolkit.dashboards.plots import flow_plot, mid_plot, plot_data, spread_plot

_FONT = ":host, .bk-input, select { font-family: system-ui, 'Helvetica Neue', Arial, sans-serif; color: #222; }"
_HEADING = "<div style='font-size:22px;font-weight:600'>{}</div><div style='font-size:13px;color:#5b6570'>{}</div>"


def live_dashboard(
    table: Any,
    source: Any,
    *,
    title: str = "Live quotes",
    status: Callable[[], str] | None = None,
    price_unit: str = "price",
    size_unit: str = "size",
    points: int = 2_000,
    frames_per_second: float = 5.0,
) -> pn.Column:
    """Return a dashboard of a live feed, for one visitor.

    It shows mid and spread with their EWMA and the order-flow imbalance of a symbol that one picks, and the rate,
    lag and counts of the feed.

    Parameters
    ----------
    table : to_table
        The sink ``stream.to_table(…)`` with the last enriched rows; they have the columns that `quote_plots` reads.
    source : from_kafka_frames
        Where the rows come from; its `rate`, `lag` and `counts` are shown.
    title : str
        Heading of the page.
    status : callable, optional
        Gives a line to show below the heading, asked for at every frame.
    price_unit, size_unit : str
        What prices and sizes are counted in, for the labels of the axes.
    points : int
        Most points in a plot: the last ones of the symbol.
    frames_per_second : float
        Most frames a second. One that takes longer delays the next, which then shows what is new by then: frames are
        skipped, they do not pile up.

    Returns
    -------
    panel.Column
        It updates itself for as long as a browser shows it. See `serve`.
    """
    heading = pn.pane.HTML(  # type: ignore[no-untyped-call]
        width=440, stylesheets=[_FONT]
    )
    rate, lag, received, emitted, rejected = numbers = [
        pn.indicators.Number(  # type: ignore[no-untyped-call]
            label=name,
            value=0,
            format=form,
            font_size="19px",
            title_size="12px",
            default_color="#222",
            stylesheets=[_FONT],
            width=105,
        )
        for name, form in [
            ("Rate", "{value:,.0f} /s"),
            ("Lag, records", "{value:,.0f}"),
            ("In", "{value:,.0f}"),
            ("Out", "{value:,.0f}"),
            ("Rejected", "{value:,.0f}"),
        ]
    ]
    picker = pn.widgets.Select(  # type: ignore[no-untyped-call]
        label="Symbol", options=[], width=150, stylesheets=[_FONT]
    )
    body = pn.Column("Waiting for the first quotes …", sizing_mode="stretch_width", stylesheets=[_FONT])
    pipe = hv.streams.Pipe(data=None)

    def draw(quotes: pd.DataFrame) -> None:
        rows = quotes[quotes["symbol"] == picker.value].iloc[-points:]
        if not len(rows):
            return
        data = plot_data(rows).reset_index(drop=True)
        if data.equals(pipe.data):
            return
        if pipe.data is not None:
            document = pn.state.curdoc  # None in a notebook
            with document.models.freeze() if document is not None else nullcontext():
                pipe.send(data)
            return
        pipe.send(data)
        # hvPlot draws once; from then on its elements are given new data, which costs a fraction of that.
        drawn = [mid_plot(data, price_unit), spread_plot(data), flow_plot(data, size_unit)]
        body[:] = [
            pn.pane.HoloViews(  # type: ignore[no-untyped-call]
                _renewed(plot, pipe), sizing_mode="stretch_width", linked_axes=False
            )
            for plot in drawn
        ]

    def update() -> None:
        counts = source.counts
        rate.value, lag.value = source.rate, sum(source.lag.values())
        received.value, emitted.value, rejected.value = counts.received, counts.emitted, counts.rejected
        heading.object = _HEADING.format(escape(title), escape(status() if status is not None else ""))
        quotes = table.snapshot()
        if not len(quotes):
            return
        known = quotes["symbol"].value_counts()
        if new := set(known.index) - set(picker.options):
            busiest = known.index[0]
            picker.param.update(options=sorted({*picker.options, *new}), value=picker.value or busiest)
        draw(quotes)

    picker.param.watch(lambda _: draw(table.snapshot()), "value")
    update()
    pn.state.add_periodic_callback(lambda: update() if _is_watched() else None, period=round(1_000 / frames_per_second))
    return pn.Column(
        pn.FlexBox(  # type: ignore[no-untyped-call]
            heading, *numbers, picker, justify_content="space-between", sizing_mode="stretch_width"
        ),
        body,
        sizing_mode="stretch_width",
        max_width=1400,
        styles={"margin": "0 auto"},
    )


def _is_watched() -> bool:
    """Return whether a browser shows the page: the server keeps a page for some time after its visitor has left."""
    document = pn.state.curdoc
    context: Any = document.session_context if document is not None else None
    return context is None or context.session is None or context.session.connection_count > 0


def _renewed(plot: Any, pipe: Any) -> Any:
    """Return a plot whose elements show the pipe's data."""
    return hv.DynamicMap(lambda data: plot.map(lambda element: element.clone(data), [hv.Element]), streams=[pipe]).opts(
        framewise=True
    )
