"""Signals of contracts: a dataflow, and the table of what is known of each row in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import fintech_toolkit as ft
from fintech_toolkit.errors import ColumnError, DataError, did_you_mean
from fintech_toolkit.signals.settings import SignalSettings

COLUMNS = (
    "timestamp",
    "price",
    "contract",
    "VIX",
    "SPX",
    "price_change",
    "price_change_pct",
    "spx_change_pct",
    "beta",
    "vix_multiplier",
    "buy_threshold",
    "sell_threshold",
    "signal",
    "next_price_change_pct",
    "trade_quality",
)
"""The columns of the table, in its order; the last two are known one row later."""

KNOWN_AT_ONCE = COLUMNS[:-2]
QUALITIES = pd.Index(["bad", "neutral", "good"])
BY_CONTRACT = {"symbol": "contract", "time": "timestamp"}


def signals_flow(settings: SignalSettings | None = None) -> ft.Flow:
    """Return the flow of signals: what is known of each row of prices when it is there.

    Parameters
    ----------
    settings : SignalSettings, optional
        The defaults, if left out.

    Returns
    -------
    Flow
        Its sources are ``prices`` (``timestamp``, ``contract``, ``price``), ``vix`` (``timestamp``, ``vix``) and
        ``spx`` (``timestamp``, ``spx``), each in order of time. Every row of prices comes out with the columns of
        `COLUMNS` but the last two. ``VIX`` and ``SPX`` are the last values at or before the row, NaN where these are
        older than `max_age`. Changes are from the contract's row before, in the unit of the price and in percent, the
        index's over the same two rows; NaN where either price is missing. ``signal`` is 1 (buy) where the change is
        above ``buy_threshold``, -1 (sell) where it is below ``sell_threshold``, else 0 (hold); NaN where the change or
        the VIX is missing.

    Notes
    -----
    Live, a row waits until both indices have passed its time. Of Kafka topics each partition is joined by itself: give
    the three topics one partition, or write both indices to every partition of theirs.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.signals import signals_flow
    >>> at = pd.date_range("2024-01-02 14:30", periods=3, freq="h", tz="UTC")
    >>> table = signals_flow()(
    ...     prices=pd.DataFrame({"timestamp": at, "contract": "AAPL", "price": [150.0, 151.0, 151.5]}),
    ...     vix=pd.DataFrame({"timestamp": at, "vix": [15.0, 15.0, 30.0]}),
    ...     spx=pd.DataFrame({"timestamp": at, "spx": [4700.0, 4710.0, 4720.0]}),
    ... )
    >>> table[["VIX", "buy_threshold", "signal"]].to_numpy().tolist()
    [[15.0, 0.5, nan], [15.0, 0.5, 1.0], [30.0, 1.0, 0.0]]
    """
    settings = settings or SignalSettings()
    rows = ft.source("prices").select("timestamp", "contract", "price")
    for name, shown in (("vix", "VIX"), ("spx", "SPX")):
        index = ft.source(name).select("timestamp", name).rename({name: shown})
        rows = rows.asof_join(index, symbol=None, time="timestamp", tolerance=settings.max_age)
    return rows.pipe(
        ft.price_change("price"),
        ft.price_change("SPX").named("spx_change", "spx_change_pct"),
        _beta(settings).named("beta"),
        ft.vix_threshold("VIX", base=settings.base, reference=settings.reference).named(
            "buy_threshold", "sell_threshold", "vix_multiplier"
        ),
        ft.threshold_signal("price_change_pct", "buy_threshold", "sell_threshold"),
        **BY_CONTRACT,
    ).select(*KNOWN_AT_ONCE)


def _beta(settings: SignalSettings) -> ft.Step:
    parameters: dict[str, dict[str, float | bool]] = {
        "ew_beta": {"halflife": settings.halflife},
        "rolling_beta": {"window": settings.window},
        "ratio_beta": {"limit": settings.limit, "least_move": 0.0, "or_one": True},
    }
    name = settings.beta
    beta: ft.Step = getattr(ft, name)("price_change_pct", "spx_change_pct", **parameters[name])
    return beta


def outcomes_flow(over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of what came of signals: a row for each trade, once the contract's next price is known.

    Parameters
    ----------
    over : Flow, optional
        The signals; `signals_flow`, if left out.

    Returns
    -------
    Flow
        The rows of `fintech_toolkit.trade_quality`: ``quality`` (1 good, -1 bad, 0 neutral), the counts of these so far
        and the ``win_rate`` in percent, neutral trades counted among all.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> from fintech_toolkit.signals import outcomes_flow
    >>> at = pd.date_range("2024-01-02 14:30", periods=3, freq="h", tz="UTC")
    >>> rows = pd.DataFrame({"timestamp": at, "contract": "AAPL", "price": [1.0, 2.0, 3.0], "signal": [0.0, 1.0, 0.0]})
    >>> outcomes_flow(ft.source("rows"))(rows=rows)[["quality", "win_rate"]].to_numpy().tolist()
    [[1.0, 100.0]]
    """
    return (signals_flow() if over is None else over).pipe(ft.trade_quality("signal", "price"), **BY_CONTRACT)


def signals(
    prices: pd.DataFrame, vix: pd.DataFrame, spx: pd.DataFrame, settings: SignalSettings | None = None
) -> pd.DataFrame:
    """Return the table of signals: a row for each row of prices, in their order, with the columns of `COLUMNS`.

    Parameters
    ----------
    prices : DataFrame
        ``timestamp`` (with a time zone), ``contract`` (text) and ``price``; contracts one after the other, or all in
        order of time.
    vix, spx : DataFrame
        ``timestamp``, and ``vix`` or ``spx``.
    settings : SignalSettings, optional
        The defaults, if left out.

    Returns
    -------
    DataFrame
        What `signals_flow` gives, and of what came later ``next_price_change_pct``, the change in percent to the
        contract's next price, and ``trade_quality``: "good" where that is on the side of the signal, "bad" where it is
        on the other, and "neutral" where there was no trade, no change, or no next price. NaN where a price is missing.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If times are without a zone, go backwards or come twice, a price or the VIX is not positive, or no price has a
        VIX or an index that is recent enough. The message names frame, column, row and contract.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.signals import signals
    >>> at = pd.date_range("2024-01-02 14:30", periods=7, freq="h", tz="UTC")
    >>> price = [150.0, 151.0, 151.5, 150.5, 150.0, 151.0, 150.5]
    >>> table = signals(
    ...     pd.DataFrame({"timestamp": at, "contract": "AAPL", "price": price}),
    ...     pd.DataFrame({"timestamp": at, "vix": 15.0}),
    ...     pd.DataFrame({"timestamp": at, "spx": range(4700, 4707)}),
    ... )
    >>> table.loc[table["signal"].abs() == 1, "trade_quality"].tolist()
    ['good', 'good', 'bad']
    """
    given, (prices, codes) = prices, _coded(prices)
    before = _row_before(np.arange(len(prices)), codes)
    _check("prices", prices, "price", before)
    for name, frame in (("vix", vix), ("spx", spx)):
        _check(name, frame, name, np.arange(-1, len(frame) - 1))
    in_time = None
    if not prices["timestamp"].is_monotonic_increasing:
        in_time = np.argsort(pd.DatetimeIndex(prices["timestamp"]).asi8, kind="stable")
        prices, codes = prices.iloc[in_time], codes[in_time]
    # Nothing is read that is not needed, so that there is nothing for rules to save.
    table: pd.DataFrame = signals_flow(settings)(prices=prices, vix=vix, spx=spx, without=ft.Flow.rules)
    _require_some(table, prices)
    price = table["price"].to_numpy()
    change = np.full(len(table), np.nan)
    priced = np.flatnonzero(np.isfinite(price))
    if in_time is not None or len(priced) < len(table):
        before = _row_before(priced, codes[priced])
    priced, before = priced[before >= 0], before[before >= 0]
    change[before] = 100.0 * (price[priced] / price[before] - 1.0)
    quality = np.nan_to_num(np.sign(table["signal"].to_numpy()) * np.sign(change)).astype(np.int8)
    table["next_price_change_pct"] = change
    table["trade_quality"] = pd.Categorical.from_codes(quality + 1, categories=QUALITIES)
    if in_time is not None:
        table = table.iloc[np.argsort(in_time)]
    table["contract"] = given["contract"]
    return table


def _coded(prices: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Return prices whose contracts are looked at once, and the code of each."""
    if "contract" not in prices:
        raise ColumnError(f"prices has no column 'contract'. {did_you_mean('contract', map(str, prices.columns))}")
    codes, names = pd.factorize(prices["contract"])
    _refuse(codes < 0, "prices", prices, "contract", "is missing: each price is of a contract")
    return prices.assign(contract=pd.Categorical.from_codes(codes, categories=names)), codes


def _row_before(rows: np.ndarray[Any, Any], codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return for each row the one before it of the same contract; -1 where there is none."""
    before: np.ndarray[Any, Any] = np.maximum(ft.lag(rows, symbol=codes, dtype="int64"), -1)
    return before


def _check(frame: str, given: pd.DataFrame, value: str, before: np.ndarray[Any, Any]) -> None:
    """Raise unless times and values are what they must be, and times later than those of the rows before."""
    for name in ("timestamp", value):
        if name not in given:
            raise ColumnError(f"{frame} has no column {name!r}. {did_you_mean(name, map(str, given.columns))}")
    times = given["timestamp"]
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise DataError(
            f"{frame}: column 'timestamp' is {times.dtype}, and its times must have a zone: "
            "frame['timestamp'].dt.tz_localize('America/New_York') says in which they were written."
        )
    _refuse(times.isna().to_numpy(), frame, given, "timestamp", "is missing")
    if not pd.api.types.is_numeric_dtype(given[value].dtype):
        raise DataError(f"{frame}: column {value!r} is {given[value].dtype}, and must hold numbers.")
    values = given[value].to_numpy(dtype=float, na_value=np.nan)
    _refuse(
        ~(np.isnan(values) | ((values > 0) & (values < np.inf))), frame, given, value, "must be positive and finite"
    )
    since = pd.DatetimeIndex(times).asi8
    step = np.where(before >= 0, since - since[before], 1)
    _refuse(step == 0, frame, given, "timestamp", "is there twice; keep one of them")
    _refuse(step < 0, frame, given, "timestamp", "is earlier than the one before")


def _refuse(bad: np.ndarray[Any, Any], frame: str, given: pd.DataFrame, column: str, what: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        of = f" of contract {given['contract'].iloc[row]!r}" if "contract" in given else ""
        more = f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""
        raise DataError(f"{frame}: {column} {given[column].iloc[row]!s} in row {row}{of} {what}{more}.")


def _require_some(table: pd.DataFrame, prices: pd.DataFrame) -> None:
    """Raise where an index stands beside no price at all: its times are others."""
    for name in ("VIX", "SPX"):
        if len(table) and table[name].isna().all():
            first, last = prices["timestamp"].iloc[[0, -1]]
            raise DataError(
                f"{name.lower()}: no price from {first} to {last} has one that is recent enough. Are its times of the "
                "same days and hours? A daily index needs a longer max_age, such as '1D'."
            )
