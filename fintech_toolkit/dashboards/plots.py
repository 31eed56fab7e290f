"""Plots of one symbol's rows, for notebooks and for the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, DataRange1d, DatetimeTickFormatter, LayoutDOM
from bokeh.plotting import figure

from fintech_toolkit.dashboards.panels import Panel
from fintech_toolkit.errors import ColumnError, DataError, ParameterError, did_you_mean
from fintech_toolkit.schema import key_columns

LINES = ("#1556a8", "#7a4a94", "#c77b1a", "#1b8a8f", "#5b6570")
DOTS, ABOVE, BELOW = "#9aa7b5", "#2a8c5a", "#c8463c"

TIME = "time (UTC)"
"""What times are called among the data."""
_CLOCK: dict[str, Any] = {
    **dict.fromkeys(["microseconds", "milliseconds"], "%H:%M:%S.%3N"),
    **dict.fromkeys(["seconds", "minsec"], "%H:%M:%S"),
    **dict.fromkeys(["minutes", "hourmin", "hours"], "%H:%M"),
}


def plot_data(frame: pd.DataFrame, panels: Sequence[Panel], time: str) -> dict[str, Any]:
    """Return what the plots draw, times as Bokeh's axes know them (UTC, without a zone), areas by their sign.

    Raises
    ------
    ColumnError, DataError
        If a column is missing or does not hold numbers, or times are not times with a zone.
    """
    for name in [time, *(name for panel in panels for name in panel.columns)]:
        if name not in frame:
            raise ColumnError(f"There is no column {name!r}. {did_you_mean(name, map(str, frame.columns))}")
        if name != time and not pd.api.types.is_numeric_dtype(frame[name]):
            raise DataError(f"Column {name!r} holds {frame[name].dtype}; a panel draws numbers.")
    if not isinstance(frame[time].dtype, pd.DatetimeTZDtype):
        raise DataError(f"Column {time!r} holds {frame[time].dtype}; use .dt.tz_localize('UTC').")
    data = {TIME: frame[time].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()}
    for panel in panels:
        values = {name: frame[name].to_numpy("float64", na_value=np.nan) for name in panel.columns}
        if panel.kind == "signed":
            above, below = _parts(panel)
            (drawn,) = values.values()
            values = {above: np.clip(drawn, 0, None), below: np.clip(drawn, None, 0)}
        data |= values
    return data


def _parts(panel: Panel) -> tuple[str, str]:
    """Return what the two parts of an area are called among the data."""
    return f"above 0: {panel.columns[0]}", f"below 0: {panel.columns[0]}"


def checked(panels: Sequence[Panel]) -> list[Panel]:
    """Return panels as a list.

    Raises
    ------
    ParameterError
        If there is none, or one is something else.
    """
    listed = list(panels) if isinstance(panels, Sequence) else []
    if not listed or not all(isinstance(panel, Panel) for panel in listed):
        raise ParameterError(f"panels={panels!r} must be a list of panels: [Panel(('mid', 'ewma'), unit='price')].")
    return listed


class Figures:
    """A figure for each panel under one another, of one source: what it is given shows in all of them, or in none.

    Attributes
    ----------
    source : ColumnDataSource
        Set its ``data`` to what `plot_data` gives.
    layout : bokeh Column
        The figures.
    """

    def __init__(self, panels: Sequence[Panel]) -> None:
        names = [TIME]
        for panel in panels:
            names += _parts(panel) if panel.kind == "signed" else panel.columns
        self.source = ColumnDataSource({name: np.empty(0) for name in names})
        times = DataRange1d(range_padding=0.01)
        figures = []
        for j, panel in enumerate(panels):
            drawn = self._figure(times, panel)
            colors = cycle([*LINES[j % len(LINES) :], *LINES[: j % len(LINES)]])
            self._draw(drawn, panel, colors)
            figures.append(drawn)
        for upper in figures[:-1]:
            upper.xaxis.major_label_text_font_size = "0pt"
        figures[-1].xaxis.axis_label = "Time (UTC)"
        self.layout = column(*figures, sizing_mode="stretch_width")
        for drawn in figures:
            drawn.legend.orientation = "horizontal"
            drawn.legend.padding = drawn.legend.margin = 0
            drawn.legend.border_line_color = None
            drawn.add_layout(drawn.legend[0], "above")
        for model in self.layout.references():
            model.syncable = False  # or a notebook's browser sends back all that it is given

    def _figure(self, times: DataRange1d, panel: Panel) -> Any:
        drawn: Any = figure(
            x_range=times,
            y_range=DataRange1d(),
            x_axis_type="datetime",
            height=panel.height,
            sizing_mode="stretch_width",
            title=panel.title,
            y_axis_label=panel.unit,
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

    def _draw(self, drawn: Any, panel: Panel, colors: Any) -> None:
        if panel.kind == "signed":
            for name, label, color in zip(_parts(panel), panel.labels, (ABOVE, BELOW), strict=True):
                drawn.varea(TIME, 0, name, source=self.source, color=color, legend_label=label)
            return
        lines = list(zip(panel.columns, panel.labels, strict=True))
        if panel.kind == "trend":
            name, label = lines.pop(0)
            drawn.scatter(TIME, name, source=self.source, color=DOTS, size=2, legend_label=label)
        for name, label in lines:
            drawn.line(TIME, name, source=self.source, color=next(colors), line_width=2, legend_label=label)


def plot_panels(
    frame: pd.DataFrame,
    panels: Sequence[Panel],
    *,
    time: str = "ts",
    columns: Mapping[str, str] | None = None,
) -> Any:
    """Return the plots of one symbol's rows under one another, with linked time axes.

    Parameters
    ----------
    frame : DataFrame
        Rows of one symbol, with the panels' columns.
    panels : list of Panel
        What to draw.
    time : str
        The column of event times, with a zone.
    columns : mapping, optional
        What it is called, as for a pipeline: ``{"ts": "time"}``.

    Returns
    -------
    panel.pane.Bokeh
        Shown by notebooks after ``panel.extension(inline=True)``.

    Raises
    ------
    ColumnError, DataError
        If a column is missing or cannot be drawn.

    Examples
    --------
    >>> import data_generators, fintech_toolkit as ft
    >>> quotes = data_generators.sample("quotes", rows=500, symbols=1)
    >>> features = ft.midprice() | ft.ewma("mid", halflife=50) | ft.ofi()
    >>> plots = plot_panels(features(quotes), [Panel(("mid", "ewma"), "trend", "% of par"), Panel("ofi", "signed")])
    >>> len(plots.object.children)
    2
    """
    panels = checked(panels)
    _, time = key_columns("symbol", time, columns)
    plots = Figures(panels)
    plots.source.data = plot_data(frame, panels, time)
    return bokeh_pane(plots.layout)


def bokeh_pane(model: LayoutDOM) -> pn.pane.Bokeh:
    """Return a Bokeh model as a part of a page, as wide as the page."""
    return pn.pane.Bokeh(model, sizing_mode="stretch_width")  # type: ignore[no-untyped-call]
