"""All dataflows of the market at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.inputs import inputs_of
from fintech_toolkit.enrichment import feeds
from fintech_toolkit.enrichment.books import LAST_TRADE, depth, last_trades
from fintech_toolkit.enrichment.discovery import dealer_mids, price_discovery
from fintech_toolkit.enrichment.in_pandas import in_pandas
from fintech_toolkit.enrichment.per_dealer import dealers, execution, quoting
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades
from fintech_toolkit.enrichment.windowed import instruments, segments, windows
from fintech_toolkit.errors import FintechToolkitError, ParameterError, did_you_mean
from fintech_toolkit.frames.views import is_dask
from fintech_toolkit.schema import nanoseconds

if TYPE_CHECKING:
    from fintech_toolkit.enrichment.report import Report


@dataclass(frozen=True, repr=False)
class Enrichment:
    """The frames that `enrich` gives, of the sort of its inputs.

    Attributes
    ----------
    quotes, trades : frame
        Every row that came in, with what is said beside it: see `fintech_toolkit.enrichment.quotes` and so on.
    windows, depth, segments : frame
        Quotes of each instrument, the levels of its book, and quotes of each segment, in windows of time.
    market : frame
        The best bid and offer of each instrument at the end of windows of time, beside its last trade.
    quoting, dealers, execution : frame
        What each dealer quoted of each instrument, and of all, and how it traded at each venue, day by day.
    instruments : frame
        What was traded of each instrument, day by day.
    """

    quotes: Any
    trades: Any
    windows: Any
    depth: Any
    segments: Any
    market: Any
    quoting: Any
    dealers: Any
    execution: Any
    instruments: Any

    def apply(self, flow: ft.Flow) -> Any:
        """Return what a flow gives of these frames, which are its sources: ``enriched_quotes``, ``enriched_trades`` ….

        So alerts and positions are had: ``enriched.apply(positions(ft.source("enriched_trades"), …))``.
        """
        known = {f"enriched_{field.name}": getattr(self, field.name) for field in fields(self)}
        for source in flow.sources:
            if source not in known:
                raise ParameterError(f"{source!r} is no frame of an enrichment. {did_you_mean(source, known)}")
        return flow(**{source: known[source] for source in flow.sources})

    def price_discovery(self, symbol: str, every: str = "1s") -> pd.DataFrame:
        """Return which dealer finds an instrument's price first: see `fintech_toolkit.enrichment.price_discovery`."""
        own = ft.source("enriched_quotes").filter(("symbol", "==", symbol))
        return price_discovery(in_pandas(self.apply(dealer_mids(every, own))), symbol)

    def top_instruments(self, most: int = 10) -> pd.DataFrame:
        """Return the instruments of which most was traded, by volume, with trades and volume over all days."""
        frame = in_pandas(self.instruments)
        traded = frame.groupby("symbol", observed=True, as_index=False)[["trades", "volume"]].sum()
        top: pd.DataFrame = traded.nlargest(most, "volume").reset_index(drop=True)
        return top

    def report(self) -> Report:
        """Return tables and plots of it, for a notebook, or one file of HTML."""
        from fintech_toolkit.enrichment.report import Report

        return Report(self)

    def __repr__(self) -> str:
        return f"<Enrichment: {', '.join(field.name for field in fields(self))}>"


def dataflows(*, every: str = "5min", max_age: str | None = None, wide: bool = False) -> dict[str, ft.Flow]:
    """Return the flow of each frame of an `Enrichment`, in an order in which they can run.

    A source is an input (``quotes``, ``securities``, ``trades``) or what an earlier flow gives (``enriched_quotes``,
    ``enriched_trades`` and so on), so that nothing is computed twice.

    All of them take streams, too, also those of Kafka topics, and of flows that run live themselves.

    Parameters
    ----------
    every, max_age : str
        As for `enrich`.
    wide : bool
        Whether the inputs have the width in which feeds come: quotes of one side, which `two_sided` makes two-sided,
        and trades of which some columns are taken, `feeds.TRADE`.

    Raises
    ------
    ParameterError
        If `every` or `max_age` is no duration.

    Examples
    --------
    >>> from fintech_toolkit import enrichment
    >>> {name: flow.sources for name, flow in enrichment.dataflows().items()}["segments"]
    ['enriched_quotes']
    """
    nanoseconds(every, "every")  # said here, as no step knows it by this name
    quoted, traded = ft.source("enriched_quotes"), ft.source("enriched_trades")
    done = ft.source("trades").select(*feeds.TRADE) if wide else None
    return {
        "quotes": quotes(feeds.two_sided() if wide else None, max_age=max_age),
        "trades": trades(quoted, done, max_age=max_age),
        "windows": windows(every, quoted),
        "depth": depth(every, quoted, max_age=max_age),
        "segments": segments(every, quoted),
        "market": last_trades(ft.source("enriched_windows"), done, select=LAST_TRADE + (feeds.YIELDS if wide else ())),
        "quoting": quoting(over=quoted),
        "dealers": dealers(over=ft.source("enriched_quoting")),
        "execution": execution(over=traded),
        "instruments": instruments(over=traded),
    }


def enrich(quotes: Any, securities: Any, trades: Any, *, every: str = "5min", max_age: str | None = None) -> Enrichment:
    """Return what is to be known of a market, by its quotes, its securities and its trades.

    Parameters
    ----------
    quotes, securities, trades : frame or path
        What flows take: pandas or Dask frames, Arrow tables, paths of Parquet or CSV. If quotes are one-sided,
        `dataflows` says what that changes.
    every : str
        How long windows of quotes are.
    max_age : str, optional
        How long a dealer's quote stands that is neither replaced nor withdrawn; for the day, if left out.

    Returns
    -------
    Enrichment
        Frames of the sort of the inputs; of Dask frames lazy ones.

    Raises
    ------
    FintechToolkitError
        If something is wrong with a column or a row; the message says in which node of which flow. Of Dask frames, with
        rows, when they are computed.

    Examples
    --------
    >>> import data_generators, fintech_toolkit as ft
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities", "trades")}
    >>> enriched = ft.enrich(**market)
    >>> len(enriched.quotes), len(enriched.trades), int(enriched.instruments["trades"].sum())
    (500, 500, 500)
    """
    frames = {"quotes": quotes, "securities": securities, "trades": trades}
    names = list(quotes.columns) if is_dask(quotes) else inputs_of({"quotes": quotes})["quotes"].names
    made = {}
    for name, flow in dataflows(every=every, max_age=max_age, wide=feeds.is_one_sided(names)).items():
        try:
            made[name] = flow(**{source: frames[source] for source in flow.sources})
        except FintechToolkitError as error:
            raise type(error)(f"In the flow of {name}: {error}") from error
        frames[f"enriched_{name}"] = made[name]
    return Enrichment(**made)
