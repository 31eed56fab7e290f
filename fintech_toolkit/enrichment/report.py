"""An enriched market as tables and plots: in a notebook, and as one file of HTML that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

import fintech_toolkit as ft
from fintech_toolkit.dashboards.page import LOOK, Page, bar
from fintech_toolkit.dashboards.plots import ABOVE, BELOW, DOTS, LINES
from fintech_toolkit.enrichment.in_pandas import in_pandas
from fintech_toolkit.enrichment.intake import Taken
from fintech_toolkit.enrichment.limits import spread_alerts, volume_alerts
from fintech_toolkit.enrichment.per_dealer import FIGURES
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.frames.views import is_dask, sort_of

PLACES = {1.0: "inside", 2.0: "at the best", 3.0: "outside"}
"""What the numbers in ``place`` say: where a trade was done, seen from the best quotes."""
_MARKOUT = "markout_bps_"
_COUNTED = ("dealer", "venue", "ts", "window_end", "trades", "volume", "known_at")
"""What of the execution by venue is no mean over trades."""
_MOST = 10
_COLORS = (*LINES, ABOVE, BELOW, DOTS)


class Report(Page):
    """Tables and plots of an enriched market. A notebook shows it after ``panel.extension(inline=True)``.

    Parameters
    ----------
    enriched : Enrichment
        Its frames are in memory or on Dask; of large ones the columns that are shown are computed.
    inputs : dict of str to Taken, optional
        Of each data set, what became of its rows, as `enrich_folder` returns it.

    Examples
    --------
    >>> import data_generators, fintech_toolkit as ft
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities", "trades")}
    >>> report = ft.enrich(**market).report()
    >>> list(report.tables)[:6]
    ['spreads by segment', 'dealers', 'trades by venue', 'busiest instruments', 'unusual spreads', 'unusual volumes']
    """

    def __init__(self, enriched: Any, inputs: Mapping[str, Taken] | None = None) -> None:
        super().__init__("The market, enriched", (), {}, {} if inputs is None else _rows(inputs))
        self._spreads(enriched.segments)
        self._book(enriched.windows, enriched.depth)
        self._dealers(enriched.dealers)
        self._trades(enriched.trades, enriched.execution)
        self.plots = {name: plot for name, plot in self.plots.items() if plot is not None}
        instruments = _pandas(enriched.instruments, ["symbol", "trades", "volume"])
        traded = instruments.groupby("symbol", observed=True)[["trades", "volume"]].sum()
        self.tables["busiest instruments"] = traded.nlargest(_MOST, "volume")
        self._unusual(enriched)

    def _spreads(self, segments: Any) -> None:
        """Mean best spreads of segments over time, and the table of them."""
        frame = _pandas(segments, ["segment", "ts", "quotes", "mean_spread_bps", "min_spread_bps", "max_spread_bps"])
        frame["segment"] = frame["segment"].fillna("unknown").astype(str)
        frame["weighted"] = frame["mean_spread_bps"] * frame["quotes"]
        frame["counted"] = frame["quotes"].where(frame["mean_spread_bps"].notna(), 0)
        by_time = frame.groupby(["segment", "ts"], as_index=False)[["weighted", "counted"]].sum()
        by_time["spread"] = by_time["weighted"] / by_time["counted"].where(by_time["counted"] > 0)
        self.plots["spreads by segment and time"] = _line(
            by_time, "spread", by="segment", title="Best spread by segment", ylabel="basis points"
        )
        whole = frame.groupby("segment").agg(
            quotes=("quotes", "sum"),
            weighted=("weighted", "sum"),
            counted=("counted", "sum"),
            least_bps=("min_spread_bps", "min"),
            most_bps=("max_spread_bps", "max"),
        )
        whole.insert(1, "mean_bps", whole.pop("weighted") / whole.pop("counted"))
        self.tables["spreads by segment"] = whole

    def _book(self, windows: Any, depth: Any) -> None:
        """The best bid and offer of the instrument that is quoted most, over time, and the last levels of its book."""
        frame = _pandas(windows, ["symbol", "ts", "quotes", "best_bid", "best_ask"])
        if frame.empty:
            return
        busiest = frame.groupby("symbol", observed=True)["quotes"].sum().idxmax()
        best = frame[frame["symbol"] == busiest].rename(columns={"best_bid": "bid", "best_ask": "ask"})
        self.plots["best bid and offer"] = _line(
            best,
            ["bid", "ask"],
            title=f"Best bid and offer of {busiest}",
            ylabel="price",
            color=[ABOVE, BELOW],
            group_label="side",
        )
        sides = [f"{side}_" for side in ("bid", "ask")]
        names = [name for name in _columns(depth) if name.startswith(tuple(sides))]
        levels = _pandas(depth, ["symbol", "ts", *names])
        last = levels[levels["symbol"] == busiest].sort_values("ts").iloc[-1]
        rows = [
            {"price": last[f"{side}_{level}"], "size": last[f"{side}_size_{level}"] / 1e6, "side": side}
            for side in ("bid", "ask")
            for level in range(1, 6)
        ]
        book = pd.DataFrame(rows).dropna().sort_values("price")
        book["price"] = book["price"].map("{:.3f}".format)
        self.plots["depth"] = bar(
            book,
            x="price",
            y="size",
            by="side",
            title=f"Last book of {busiest}: its levels",
            ylabel="millions",
            stacked=True,
            color=[ABOVE, BELOW],
        )

    def _dealers(self, dealers: Any) -> None:
        """How much each dealer quotes and stands at the best."""
        figures = ["mean_spread_bps", *FIGURES]
        frame = _pandas(dealers, ["dealer", "quotes", *figures])
        by_dealer = frame.groupby("dealer", observed=True).agg({"quotes": "sum", **dict.fromkeys(figures, "mean")})
        by_dealer.insert(1, "share_of_quotes", by_dealer["quotes"] / by_dealer["quotes"].sum())
        by_dealer = by_dealer.sort_values("quotes", ascending=False)
        self.tables["dealers"] = by_dealer
        for figure, title in (("share_of_quotes", "share of quotes"), ("time_at_best", "share of time at the best")):
            self.plots[f"dealers: {title}"] = bar(
                by_dealer.reset_index(), x="dealer", y=figure, title=f"Dealers: {title}", ylabel="share", rot=60
            )

    def _trades(self, trades: Any, execution: Any) -> None:
        """Where trades were done, how the market moved after them, and the same by venue."""
        markouts = [name for name in _columns(trades) if name.startswith(_MARKOUT)]
        frame = _pandas(trades, ["place", *markouts])
        if len(frame):
            places = frame["place"].map(PLACES).fillna("no quote").value_counts(normalize=True)
            shares = places.reindex([*PLACES.values(), "no quote"], fill_value=0.0).rename("share").reset_index()
            title = "Trades, seen from the best quotes"
            self.plots["trade quality"] = bar(shares, x="place", y="share", title=title, ylabel="share of trades")
            after = frame[markouts].mean().rename("markout").rename_axis("after").reset_index()
            after["after"] = after["after"].str.removeprefix(_MARKOUT)
            title = "How the mid moves the client's way after a trade"
            self.plots["markouts"] = bar(after, x="after", y="markout", title=title, ylabel="basis points")
        figures = [name for name in _columns(execution) if name not in _COUNTED]
        done = _pandas(execution, ["venue", "trades", "volume", *figures])
        weighted = done[figures].mul(done["trades"], axis=0).where(done[figures].notna())
        weights = done[figures].notna().mul(done["trades"], axis=0)
        venue = done["venue"].fillna("unknown")
        means = weighted.groupby(venue, observed=True).sum() / weights.groupby(venue, observed=True).sum()
        counts = done.groupby(venue, observed=True)[["trades", "volume"]].sum()
        self.tables["trades by venue"] = counts.join(means).sort_values("volume", ascending=False)

    def _unusual(self, enriched: Any) -> None:
        """What somebody should look at: spreads by instrument, windows of trades, and who leads in the busiest one."""
        quoted, traded = ft.source("enriched_quotes"), ft.source("enriched_trades")
        alerts = spread_alerts(quoted).select("symbol", "ts", "best_spread_bps", "spread_zscore")
        spreads = in_pandas(enriched.apply(alerts))
        by_symbol = spreads.groupby("symbol", observed=True).agg(
            quotes=("ts", "count"), least_bps=("best_spread_bps", "min"), most_bps=("best_spread_bps", "max")
        )
        self.tables["unusual spreads"] = by_symbol.nlargest(_MOST, "quotes")
        volumes = in_pandas(enriched.apply(volume_alerts(over=traded)))
        columns = ["symbol", "ts", "trades", "volume", "volume_zscore"]
        self.tables["unusual volumes"] = volumes[columns].nlargest(_MOST, "volume_zscore").set_index("symbol")
        for symbol in self.tables["busiest instruments"].index[:1]:
            try:
                shares = enriched.price_discovery(symbol)
            except (DataError, ParameterError):
                continue  # nobody quotes it, or one dealer
            self.tables[f"who finds the price of {symbol}"] = shares.head(_MOST).set_index("dealer")


def _rows(inputs: Mapping[str, Taken]) -> dict[str, pd.DataFrame]:
    """Return what became of rows, why some were rejected, and what else was noted of some."""
    rows = {
        name: {
            "in": each.rows,
            "out": each.taken,
            "rejected": sum(each.reasons.values()),
            "put in order": each.reordered,
        }
        for name, each in inputs.items()
    }
    why = [(name, reason, count) for name, each in inputs.items() for reason, count in sorted(each.reasons.items())]
    rejected = pd.DataFrame(why, columns=["data set", "reason", "rows"]).set_index(["data set", "reason"])
    as_meant = [(name, note, count) for name, each in inputs.items() for note, count in sorted(each.notes.items())]
    noted = pd.DataFrame(as_meant, columns=["data set", "note", "rows"]).set_index(["data set", "note"])
    tables = {
        "rows": pd.DataFrame(rows).T.rename_axis("data set"),
        "rejected rows": rejected,
        "rows with a note": noted,
    }
    return {name: table for name, table in tables.items() if len(table)}


def _columns(frame: Any) -> list[str]:
    return list(frame.columns if is_dask(frame) or sort_of(frame) == "pandas" else frame.column_names)


def _pandas(frame: Any, columns: Sequence[str]) -> pd.DataFrame:
    """Return some columns as a pandas frame of its own, times without a zone, as axes know them."""
    if is_dask(frame):
        found = frame[list(columns)].compute()
    else:
        found = frame[list(columns)].copy() if sort_of(frame) == "pandas" else frame.select(list(columns)).to_pandas()
    if "ts" in found:
        found["ts"] = found["ts"].dt.tz_convert("UTC").dt.tz_localize(None)
    made: pd.DataFrame = found
    return made


def _line(frame: pd.DataFrame, y: Any, **options: Any) -> Any:
    """Draw columns over time, each day by itself; nothing, if there is no row."""
    import hvplot.pandas  # noqa: F401 - gives frames their hvplot

    told = {"xlabel": "time (UTC)", "color": list(_COLORS), "legend": "right", **LOOK, **options}
    day = frame["ts"].dt.normalize().rename("day")
    keys = [options["by"]] if "by" in options else []
    ends = frame.groupby([*keys, day], observed=True)["ts"].max().reset_index().drop(columns="day")
    ends["ts"] += pd.Timedelta("1ms")  # where there is no value a line ends
    drawn = pd.concat([frame, ends]).sort_values("ts", kind="stable").hvplot.line
    return drawn(x="ts", y=y, **told).opts(toolbar=None) if len(frame) else None
