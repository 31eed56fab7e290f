"""What signals earned: profit and loss, its ratios, and whether there is an edge at all."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

import fintech_toolkit as ft
from fintech_toolkit.errors import ColumnError, did_you_mean
from fintech_toolkit.signals.settings import SignalSettings

CONFIDENCE = 0.95
EVEN = 50.0
SURE = 1.96


@dataclass(frozen=True)
class Performance:
    """What came of the signals of a table.

    A signal is held from its row to the contract's next price; the portfolio gives every contract of a time the same
    weight. All of it is in percent, after costs unless said otherwise.

    Attributes
    ----------
    rows, unknown : int
        Rows of the table, and those without a signal: their change or the VIX is missing.
    trades, good, bad, neutral : int
        Signals to buy or sell of which the next price is known, and what came of them.
    unanswered : int
        Those of which it is not: of the last row of a contract, or without a price after it.
    win_rate, win_rate_low, win_rate_high : float
        Share of good trades among all, and its 95 % interval (Wilson), which takes trades as independent; those of
        contracts that move together are not, and it is narrower than it should be. NaN without trades.
    mean_per_trade : float
        What a trade earned on average.
    total : float
        What the portfolio earned, compounded.
    costs : float
        What the portfolio paid, summed over time.
    turnover : float
        Share of the portfolio that is traded at a time, on average; 200 if all of it goes from long to short.
    sharpe_per_period, sharpe_annualised : float
        Mean over standard deviation of what the portfolio earned from a time to the next, and that times the root of
        `SignalSettings.periods_per_year`.
    t_statistic : float
        Mean over its standard error of the same: beyond 1.96 either way it is hardly chance. Contracts that move
        together are one portfolio here.
    max_drawdown : float
        How far the portfolio was below its peak at the worst, 0 or negative.
    periods : DataFrame
        ``timestamp``, ``pnl_pct``, ``cost_pct``, ``turnover_pct``, ``equity`` (1 at the start) and ``drawdown_pct``.
    by_contract : DataFrame
        ``contract``, ``rows``, ``trades``, ``good``, ``bad``, ``neutral``, ``win_rate`` and ``mean_per_trade``.
    """

    rows: int
    unknown: int
    trades: int
    good: int
    bad: int
    neutral: int
    unanswered: int
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    mean_per_trade: float
    total: float
    costs: float
    turnover: float
    sharpe_per_period: float
    sharpe_annualised: float
    t_statistic: float
    max_drawdown: float
    periods: pd.DataFrame
    by_contract: pd.DataFrame

    @property
    def edge(self) -> bool:
        """Whether more than half of the trades were good and the portfolio earned something, neither by chance: all of
        the interval is above 50 %, and `t_statistic` above 1.96.
        """
        return self.win_rate_low > EVEN and self.t_statistic > SURE

    @property
    def verdict(self) -> str:
        """A sentence that says so."""
        if not self.trades:
            return "No edge: there are no trades."
        seen = f"{self.win_rate:.2f} % of {self.trades:,} trades were good, {CONFIDENCE:.0%} interval "
        seen += f"{self.win_rate_low:.2f} to {self.win_rate_high:.2f} %"
        earned = f"the portfolio earned {self.mean_per_trade:.4f} % a trade (t = {self.t_statistic:.1f})"
        return f"{'An edge' if self.edge else 'No edge'}: {seen}; {earned}."

    def summary(self) -> dict[str, int | float | bool | str]:
        """Return all but the frames, with the verdict, as JSON can hold it but for NaN."""
        numbers = {field.name: getattr(self, field.name) for field in fields(self)}
        del numbers["periods"], numbers["by_contract"]
        return numbers | {"edge": self.edge, "verdict": self.verdict}

    def __str__(self) -> str:
        return self.verdict


def performance(frame: pd.DataFrame, settings: SignalSettings | None = None) -> Performance:
    """Return what came of the signals of a table.

    Parameters
    ----------
    frame : DataFrame
        What `signals` gives, of one contract or several, each in order of time.
    settings : SignalSettings, optional
        The defaults, if left out; `cost_bp` and `periods_per_year` are used.

    Returns
    -------
    Performance
        Trades that are not answered earn nothing and cost nothing.

    Raises
    ------
    ColumnError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.signals import performance
    >>> table = pd.DataFrame({
    ...     "timestamp": pd.date_range("2024-01-02 14:30", periods=4, freq="h", tz="UTC"), "contract": "AAPL",
    ...     "signal": [1.0, 0.0, -1.0, 1.0], "next_price_change_pct": [0.5, 0.1, 0.2, None],
    ...     "trade_quality": ["good", "neutral", "bad", "neutral"],
    ... })
    >>> earned = performance(table)
    >>> earned.trades, earned.win_rate, round(earned.mean_per_trade, 2), earned.edge
    (2, 50.0, 0.15, False)
    """
    settings = settings or SignalSettings()
    for name in ("timestamp", "contract", "signal", "next_price_change_pct", "trade_quality"):
        if name not in frame:
            raise ColumnError(f"The table has no column {name!r}. {did_you_mean(name, map(str, frame.columns))}")
    signal, change = (frame[name].to_numpy(dtype=float) for name in ("signal", "next_price_change_pct"))
    signalled = np.nan_to_num(signal) != 0
    held = np.where(signalled & ~np.isnan(change), signal, 0.0)
    rows = frame[["timestamp", "contract"]].assign(
        rows=1,
        trades=np.abs(held).astype(np.int64),
        **{name: (held != 0) & (frame["trade_quality"] == name).to_numpy() for name in ("good", "bad", "neutral")},
        held=held,
    )
    before = rows.groupby("contract", observed=True, sort=False)["held"].shift(fill_value=0.0)
    traded = np.abs(held - before)
    rows["turnover_pct"] = 100.0 * traded
    rows["cost_pct"] = traded * (settings.cost_bp / 100.0)
    rows["pnl_pct"] = np.where(held != 0, held * change, 0.0) - rows["cost_pct"]
    return _summed(rows, settings, int(np.isnan(signal).sum()), int(signalled.sum()))


def _summed(rows: pd.DataFrame, settings: SignalSettings, unknown: int, signalled: int) -> Performance:
    figures = ["pnl_pct", "cost_pct", "turnover_pct"]
    periods = rows.groupby("timestamp")[figures].mean().reset_index()
    periods["equity"] = (1.0 + periods["pnl_pct"] / 100.0).cumprod()
    down = ft.drawdown(np.append(1.0, periods["equity"])).drawdown[1:]  # nothing earned yet is a peak, too
    periods["drawdown_pct"] = 100.0 * down
    earned = periods["pnl_pct"]
    deviation = earned.std()
    sharpe = float(earned.mean() / deviation) if deviation > 0 else math.nan
    counts = ["rows", "trades", "good", "bad", "neutral"]
    by_contract = rows.groupby("contract", observed=True)[[*counts, "pnl_pct"]].sum().reset_index()
    trades = by_contract["trades"].where(by_contract["trades"] > 0)
    by_contract["win_rate"] = 100.0 * by_contract["good"] / trades
    by_contract["mean_per_trade"] = by_contract.pop("pnl_pct") / trades
    total = {name: int(by_contract[name].sum()) for name in counts}
    low = high = math.nan
    if total["trades"]:
        from statsmodels.stats.proportion import proportion_confint  # two seconds that only this needs

        low, high = proportion_confint(total["good"], total["trades"], 1 - CONFIDENCE, method="wilson")
    return Performance(
        **total,
        unknown=unknown,
        unanswered=signalled - total["trades"],
        win_rate=100.0 * total["good"] / total["trades"] if total["trades"] else math.nan,
        win_rate_low=100.0 * low,
        win_rate_high=100.0 * high,
        mean_per_trade=float(rows["pnl_pct"].sum() / total["trades"]) if total["trades"] else math.nan,
        total=100.0 * (float(periods["equity"].iloc[-1]) - 1.0) if len(periods) else 0.0,
        costs=float(periods["cost_pct"].sum()),
        turnover=float(periods["turnover_pct"].mean()),
        sharpe_per_period=sharpe,
        sharpe_annualised=sharpe * math.sqrt(settings.periods_per_year),
        t_statistic=sharpe * math.sqrt(len(periods)),
        max_drawdown=float(periods["drawdown_pct"].min()),
        periods=periods,
        by_contract=by_contract,
    )
