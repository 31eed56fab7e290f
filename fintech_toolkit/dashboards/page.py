"""A page of plots and tables as one file of HTML, in which all is that it needs."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import holoviews as hv
import pandas as pd
from bokeh.embed import components
from bokeh.resources import Resources

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
{head}{script}
<style>
body {{ font-family: Helvetica, Arial, sans-serif; margin: 1.5em; color: #333 }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(520px, 1fr)); gap: 1em }}
.plots > div {{ min-width: 0 }}
.tables {{ display: flex; flex-wrap: wrap; gap: 1em 4em }}
td, th {{ text-align: right; padding: 2px 10px; font-size: 85% }}
td:first-child, th:first-child {{ text-align: left }}
</style></head>
<body><h1>{title}</h1>{lead}<div class="plots">{plots}</div><div class="tables">{tables}</div></body></html>
"""


def page(title: str, plots: Iterable[Any], tables: Iterable[str], lead: str = "") -> str:
    """Return a page of HoloViews plots, and of parts in HTML before and after them."""
    models = [hv.render(plot, backend="bokeh") for plot in plots]
    script, drawn = components(models) if models else ("", ())
    # Not all that `Resources.render` gives: Panel adds what comes from a server.
    library = Resources(mode="inline", components=["bokeh"]).js_raw
    return _PAGE.format(
        title=escape(title),
        head="".join(f"<script>{text}</script>" for text in library),
        script=script,
        lead=lead,
        plots="".join(f"<div>{each}</div>" for each in drawn),
        tables="".join(f"<div>{each}</div>" for each in tables),
    )


def titled(name: str, table: pd.DataFrame) -> str:
    """Return a table in HTML under its name."""

    def shown(value: float) -> str:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"

    html = table.to_html(float_format=shown, border=0, na_rep="", index=False)
    return f"<h3>{escape(name[:1].upper() + name[1:])}</h3>{html}"
