"""The dashboard of a live feed: panels of a symbol's rows, and how the feed itself is doing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.models.widgets.markups import Div

from fintech_toolkit.dashboards.panels import Panel
from fintech_toolkit.dashboards.plots import TIME, Figures, bokeh_pane, checked, plot_data
from fintech_toolkit.errors import ColumnError, DataError
from fintech_toolkit.schema import key_columns

_FONT = ":host, .bk-input, select { font-family: system-ui, 'Helvetica Neue', Arial, sans-serif; color: #222; }"
_SMALL = "font-size:13px;color:#5b6570"


class _Page(pn.Column):
    """A column that is drawn and heard by one thread at a time.

    JupyterLab hands what a browser says to a thread of its own, and Panel then throws away what is about to be drawn.
    """

    def __init__(self, *objects: Any, lock: threading.RLock, **params: Any) -> None:
        self._lock = lock
        super().__init__(*objects, **params)

    def _on_msg(self, ref: str, manager: Any, msg: Any) -> None:
        with self._lock:
            super()._on_msg(ref, manager, msg)


def live_dashboard(
    table: Any,
    source: Any,
    panels: Sequence[Panel],
    *,
    time: str = "ts",
    columns: Mapping[str, str] | None = None,
    title: str = "Live",
    status: Callable[[], str] | None = None,
    points: int = 2_000,
    frames_per_second: float = 5.0,
) -> pn.Column:
    """Return a dashboard of a live feed, for one visitor.

    It shows the panels of a symbol that one picks, and the health, rate, lag and counts of the feed. If the rows lack a
    column of a panel, it says so.

    Parameters
    ----------
    table : to_table
        The sink ``stream.to_table(…)`` with the last enriched rows; its ``symbol=`` names the column of symbols.
    source : from_kafka_frames
        Where the rows come from; its `health`, `rate`, `lag` and `counts` are shown.
    panels : list of Panel
        What to draw, such as ``[Panel(("mid", "ewma"), "trend", unit="price")]``; those of enriched quotes are
        `quote_panels`.
    time : str
        The column of event times, with a zone.
    columns : mapping, optional
        What it is called, as for a pipeline: ``{"ts": "time"}``.
    title : str
        Heading of the page.
    status : callable, optional
        Gives a line to show below the heading, asked for at every frame.
    points : int
        Most points in a plot: the last ones of the symbol.
    frames_per_second : float
        Most frames a second. One that takes longer delays the next, which then shows what is new by then: frames are
        skipped, they do not pile up.

    Returns
    -------
    panel.Column
        It updates itself for as long as a browser shows it: served (see `serve`), or in a notebook after
        ``panel.extension(inline=True)``. All plots and numbers of an update reach the browser together.

    Raises
    ------
    ParameterError
        If `panels` are none.
    """
    panels = checked(panels)
    _, time = key_columns("symbol", time, columns)
    lock = threading.RLock()
    head = Div(syncable=False, stylesheets=[_FONT], sizing_mode="stretch_width")
    plots = Figures(panels)
    plots.layout.visible = False
    picker = pn.widgets.Select(  # type: ignore[no-untyped-call]
        label="Symbol", options=[], width=150, stylesheets=[_FONT]
    )
    page = _Page(
        pn.Row(bokeh_pane(head), picker, sizing_mode="stretch_width"),
        bokeh_pane(plots.layout),
        lock=lock,
        sizing_mode="stretch_width",
        max_width=1400,
        styles={"margin": "0 auto"},
    )

    def update() -> None:
        with lock, _one_message(page):
            lines = [] if status is None else [status()]
            rows = table.snapshot()
            try:
                if len(rows):
                    show(rows)
                else:
                    lines.append("Waiting for the first rows …")
            except (ColumnError, DataError) as error:
                lines.append(str(error))
            head.text = _head(title, source, lines)

    def show(rows: pd.DataFrame) -> None:
        if table.symbol not in rows:
            raise ColumnError(f"There is no column {table.symbol!r}; to_table(symbol=…) says what symbols are called.")
        known = rows[table.symbol].value_counts()
        if new := set(known.index) - set(picker.options):
            picker.param.update(options=sorted({*picker.options, *new}), value=picker.value or known.index[0])
        data = plot_data(rows[rows[table.symbol] == picker.value].iloc[-points:], panels, time)
        if len(data[TIME]) and not _same(data, plots.source.data):
            plots.source.data = data
            plots.layout.visible = True

    picker.param.watch(lambda _: update(), "value")
    update()
    period = round(1_000 / frames_per_second)

    def begin() -> None:
        pn.state.add_periodic_callback(lambda: update() if _is_watched() else None, period=period)

    # Not before the browser has the page: what Panel changes while it is on its way is lost.
    pn.state.onload(begin)
    return page


def _head(title: str, source: Any, lines: list[str]) -> str:
    counts, health = source.counts, source.health
    numbers = {
        "Rate": f"{source.rate:,.0f} /s",
        "Lag, records": f"{sum(source.lag.values()):,}",
        "In": f"{counts.received:,}",
        "Out": f"{counts.emitted:,}",
        "Rejected": f"{counts.rejected:,}",
    }
    color = "#c8463c" if health.died else "#5b6570"
    return (
        "<div style='display:flex;flex-wrap:wrap;gap:4px 28px;align-items:flex-start'>"
        f"<div style='width:440px'><div style='font-size:22px;font-weight:600'>{escape(title)}</div>"
        + "".join(f"<div style='{_SMALL}'>{escape(line)}</div>" for line in lines if line)
        + f"<div style='font-size:13px;color:{color}'>Feed: <span>{escape(health.status)}</span></div></div>"
        + "".join(
            f"<div style='min-width:75px'><div style='font-size:12px'>{name}</div>"
            f"<div style='font-size:19px'>{value}</div></div>"
            for name, value in numbers.items()
        )
        + "</div>"
    )


def _same(data: dict[str, Any], shown: Any) -> bool:
    return all(np.array_equal(data[name], shown[name], equal_nan=True) for name in data)


@contextmanager
def _one_message(page: pn.Column) -> Iterator[None]:
    """Send what is changed within to the browser in one message: parts of a page that come one by one may differ."""
    if pn.state.curdoc is not None:
        with pn.io.unlocked():
            yield
    else:
        yield
        pn.io.push_notebook(page)


def _is_watched() -> bool:
    """Return whether a browser shows the page: the server keeps a page for some time after its visitor has left."""
    document = pn.state.curdoc
    context: Any = document.session_context if document is not None else None
    return context is None or context.session is None or context.session.connection_count > 0
