"""Statistics of quotes and trades, the same for generated and for recorded markets."""

from typing import Any

import numpy as np
import pandas as pd


def best_quotes(quotes: pd.DataFrame) -> pd.DataFrame:
    """Return the best bid and offer over all dealers after each quote.

    Parameters
    ----------
    quotes : pandas.DataFrame
        symbol, ts, bid, ask and dealer, in time order; a dealer's quote stands until the next one.

    Returns
    -------
    pandas.DataFrame
        symbol, ts, bid and ask; one row a quote, in the same order.

    Examples
    --------
    >>> import data_generators
    >>> best = best_quotes(data_generators.sample("quotes", rows=500))
    >>> bool((best["bid"] < best["ask"]).all())
    True
    """
    parts = []
    for symbol, own in quotes.groupby("symbol", sort=False):
        one_each = pd.DataFrame({"row": np.arange(len(own)), "dealer": own["dealer"].to_numpy()})
        best = {}
        for column, best_of in (("bid", "max"), ("ask", "min")):
            table = one_each.assign(value=own[column].to_numpy()).pivot(index="row", columns="dealer", values="value")
            best[column] = getattr(table.ffill(), best_of)(axis=1).to_numpy()
        parts.append(pd.DataFrame({"symbol": symbol, "ts": own["ts"], **best}, index=own.index))
    return pd.concat(parts).sort_index()


def against_best(trades: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """Return the trades with the best bid and ask that stood just before each, and where they took place.

    Parameters
    ----------
    trades : pandas.DataFrame
        symbol, ts, price and side, in time order.
    best : pandas.DataFrame
        symbol, ts, bid and ask, in time order.

    Returns
    -------
    pandas.DataFrame
        The trades with bid, ask, and ``where``: inside, at or through; missing where no quote stood.
    """
    joined = pd.merge_asof(
        trades, best[["symbol", "ts", "bid", "ask"]], on="ts", by="symbol", allow_exact_matches=False
    )
    touch = np.where(joined["side"] > 0, joined["ask"], joined["bid"])
    # How far towards the other side, in the trade's own direction; a billionth of rounding counts as at.
    better = (touch - joined["price"]) * joined["side"]
    slack = 1e-9 * joined["price"]
    where = np.select([better > slack, better < -slack], ["inside", "through"], "at")
    return joined.assign(where=pd.Series(where, index=joined.index).where(joined["bid"].notna()))


def autocorrelation(values: Any, lag: int) -> float:
    """Return the autocorrelation of a series at a lag."""
    centred = np.asarray(values, dtype=float) - np.mean(values)
    return float(np.sum(centred[lag:] * centred[:-lag]) / np.sum(centred * centred))


def mean_by_symbol(frame: pd.DataFrame, statistic: Any, least_rows: int) -> float:
    """Return the mean of a statistic over the symbols that have enough rows, weighted by their rows."""
    groups = [own for _, own in frame.groupby("symbol", sort=False) if len(own) >= least_rows]
    return float(np.average([statistic(own) for own in groups], weights=[len(own) for own in groups]))


def mid_returns(best: pd.DataFrame, interval: str) -> pd.DataFrame:
    """Return symbol, ts and the logarithmic returns of the mid price over intervals of equal length."""
    mid = np.log((best["bid"] + best["ask"]) / 2)
    sampled = mid.groupby([best["symbol"], best["ts"].dt.floor(interval)]).last().unstack(0).ffill()
    sampled = sampled.resample(interval).ffill().diff()
    returns: pd.DataFrame = sampled.rename_axis(columns="symbol").stack().rename("log_return").dropna().reset_index()
    return returns


def excess_kurtosis(values: Any) -> float:
    """Return the fourth standardised moment less 3: 0 for a normal distribution."""
    centred = np.asarray(values, dtype=float) - np.mean(values)
    return float(np.mean(centred**4) / np.mean(centred**2) ** 2 - 3)


def hill_tail_index(values: Any, share: float = 0.02) -> float:
    """Return Hill's estimate of the tail exponent of absolute values, from the largest of them."""
    ordered = np.sort(np.abs(np.asarray(values, dtype=float)))[::-1]
    count = max(int(share * len(ordered)), 10)
    return float(1 / np.mean(np.log(ordered[:count] / ordered[count])))


def zipf_exponent(counts: Any, ranks: int = 200) -> float:
    """Return the exponent s of ``count ~ rank ** -s``, by least squares over the first ranks."""
    ordered = np.sort(np.asarray(counts))[::-1][:ranks]
    return float(-np.polyfit(np.log(np.arange(1, len(ordered) + 1)), np.log(ordered), 1)[0])


def dispersion(ts: pd.Series, interval: str = "1s") -> float:
    """Return variance over mean of the counts in intervals of equal length: 1 for independent arrivals."""
    counts = ts.dt.floor(interval).value_counts()
    counts = counts.reindex(pd.date_range(counts.index.min(), counts.index.max(), freq=interval), fill_value=0)
    return float(counts.var() / counts.mean())


def gap_variation(ts: pd.Series) -> float:
    """Return standard deviation over mean of the times between arrivals: 1 for independent arrivals."""
    gaps = ts.diff().dt.total_seconds().iloc[1:]
    return float(gaps.std() / gaps.mean())
