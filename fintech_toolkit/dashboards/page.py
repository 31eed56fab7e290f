"""A page of sentences, plots and tables: in a notebook, and as one file of HTML that needs no network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
from bokeh.embed import components
from bokeh.resources import Resources

from fintech_toolkit.dashboards.plots import LINES
from fintech_toolkit.engines.memory.whole_file import write_text

LOOK: dict[str, Any] = {"height": 300, "responsive": True, "grid": True}
"""How every plot of a page looks."""
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
{head}{script}
<style>
body {{ font-family: Helvetica, Arial, sans-serif; margin: 1.5em; color: #333 }}
.lead {{ max-width: 60em; line-height: 1.5 }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(520px, 1fr)); gap: 1em }}
.plots > div {{ min-width: 0 }}
.tables {{ display: flex; flex-wrap: wrap; gap: 1em 4em }}
td, th {{ text-align: right; padding: 2px 10px; font-size: 85% }}
td:first-child, th:first-child {{ text-align: left }}
</style></head>
<body><h1>{title}</h1>{lead}<div class="plots">{plots}</div><div class="tables">{tables}</div></body></html>
"""


class Page:
    """Sentences, plots and tables. A notebook shows it after ``panel.extension(inline=True)``.

    Parameters
    ----------
    title : str
        What stands above it.
    lead : sequence of str
        Paragraphs below the title.
    plots : mapping of str to HoloViews objects
        By name; those that are None are left out.
    tables : mapping of str to pandas.DataFrame
        By name, which stands above each.
    picture : str
        HTML below the paragraphs.
    """

    def __init__(
        self,
        title: str,
        lead: Sequence[str],
        plots: Mapping[str, Any],
        tables: Mapping[str, pd.DataFrame],
        picture: str = "",
    ) -> None:
        self.title = title
        self.lead = tuple(lead)
        self.picture = picture
        self.plots = {name: plot for name, plot in plots.items() if plot is not None}
        self.tables = dict(tables)

    @property
    def layout(self) -> pn.Column:
        """The page: a Panel object."""
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        parts: list[Any] = [pn.pane.HTML(self._lead(), **wide)] if self._lead() else []  # type: ignore[no-untyped-call]
        parts += [pn.pane.HoloViews(plot, linked_axes=False, **wide) for plot in self.plots.values()]  # type: ignore[no-untyped-call]
        parts += [pn.pane.HTML(html, **wide) for html in self._tables()]  # type: ignore[no-untyped-call]
        return pn.Column(*parts, **wide)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one file of HTML, in which all is that it needs.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        write_text(Path(path), self.html())

    def html(self) -> str:
        """The page as one text, in which all is that it needs."""
        models = [hv.render(plot, backend="bokeh") for plot in self.plots.values()]
        script, drawn = components(models) if models else ("", ())
        # Not all that `Resources.render` gives: Panel adds what comes from a server.
        library = Resources(mode="inline", components=["bokeh"]).js_raw
        parts = {
            "head": "".join(f"<script>{text}</script>" for text in library),
            "plots": "".join(f"<div>{each}</div>" for each in drawn),
            "tables": "".join(f"<div>{each}</div>" for each in self._tables()),
        }
        return _PAGE.format(title=escape(self.title), lead=self._lead(), script=script, **parts)

    def _lead(self) -> str:
        return "".join(f'<p class="lead">{escape(paragraph)}</p>' for paragraph in self.lead) + self.picture

    def _tables(self) -> list[str]:
        def shown(value: float) -> str:
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"

        return [
            f"<h3>{escape(name[:1].upper() + name[1:])}</h3>"
            + table.reset_index()
            .map(lambda value: f"{value:,}" if isinstance(value, int | np.integer) else value)
            .to_html(float_format=shown, border=0, na_rep="", index=False)
            for name, table in self.tables.items()
        ]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.layout._repr_mimebundle_(include, exclude)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join([*self.plots, *self.tables])}>"


def bar(frame: pd.DataFrame, **options: Any) -> Any:
    """Draw bars; nothing, if there is no row."""
    import hvplot.pandas  # noqa: F401 - gives frames their hvplot

    told = {"color": LINES[0], "yformatter": "%.4g", **LOOK, **options}
    return frame.hvplot.bar(**told).opts(toolbar=None) if len(frame) else None
