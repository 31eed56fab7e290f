"""All dataflows of the market at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_dealer import dealers, execution
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades
from fintech_toolkit.enrichment.windowed import instruments, segments, windows


@dataclass(frozen=True, repr=False)
class Enrichment:
    """The frames that `enrich` gives, of the sort of its inputs.

    Attributes
    ----------
    quotes, trades : frame
        Every row that came in, with what is said beside it.
    dealers, execution : frame
        What each dealer quoted, and how it traded, day by day.
    windows, segments : frame
        Quotes of each instrument and of each segment in windows of time.
    instruments : frame
        What was traded of each instrument, day by day.
    """

    quotes: Any
    trades: Any
    dealers: Any
    execution: Any
    windows: Any
    segments: Any
    instruments: Any

    def __repr__(self) -> str:
        return f"<Enrichment: {', '.join(field.name for field in fields(self))}>"


def dataflows(*, every: str = "5min") -> dict[str, ft.Flow]:
    """Return the flow of each frame of an `Enrichment`, in an order in which they can run.

    A source is an input (``quotes``, ``securities``, ``trades``) or what an earlier flow gives (``enriched_quotes``,
    ``enriched_trades``), so that no row is enriched twice.

    Parameters
    ----------
    every : str
        How long windows of quotes are.

    Examples
    --------
    >>> from fintech_toolkit import enrichment
    >>> {name: flow.sources for name, flow in enrichment.dataflows().items()}["windows"]
    ['enriched_quotes']
    """
    quoted, traded = ft.source("enriched_quotes"), ft.source("enriched_trades")
    return {
        "quotes": quotes(),
        "trades": trades(quoted),
        "dealers": dealers(over=quoted),
        "execution": execution(over=traded),
        "windows": windows(every, quoted),
        "segments": segments(every, quoted),
        "instruments": instruments(over=traded),
    }


def enrich(quotes: Any, securities: Any, trades: Any, *, every: str = "5min") -> Enrichment:
    """Return what is to be known of a market, by its quotes, its securities and its trades.

    Parameters
    ----------
    quotes, securities, trades : frame or path
        What flows take: pandas or Dask frames, Arrow tables, paths of Parquet or CSV.
    every : str
        How long windows of quotes are.

    Returns
    -------
    Enrichment
        Frames of the sort of the inputs; of Dask frames lazy ones.

    Raises
    ------
    FintechToolkitError
        If something is wrong with a column or a row; the message says in which node of which flow.

    Examples
    --------
    >>> import data_generators, fintech_toolkit as ft
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities", "trades")}
    >>> enriched = ft.enrich(**market)
    >>> len(enriched.quotes), len(enriched.trades), int(enriched.instruments["trades"].sum())
    (500, 500, 500)
    """
    frames = {"quotes": quotes, "securities": securities, "trades": trades}
    made = {}
    for name, flow in dataflows(every=every).items():
        made[name] = flow(**{source: frames[source] for source in flow.sources})
        frames[f"enriched_{name}"] = made[name]
    return Enrichment(**made)
