"""How the generated market compares with a recorded one: ``python -m data_generators.realism``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from data_generators import securities, statistics
from data_generators.market import Market


@dataclass(frozen=True)
class Ticks:
    """Quotes and trades of a few instruments, and an interval in which some quotes of each arrive."""

    quotes: pd.DataFrame
    trades: pd.DataFrame
    interval: str


def generated_ticks(seed: int = 0) -> Ticks:
    """Return a day of eight generated instruments."""
    quotes, trades = Market(seed, 8).day(0)
    return Ticks(quotes.to_pandas(), trades.to_pandas(), "10s")


def recorded_ticks(folder: Path) -> Ticks:
    """Return recorded ticks: ``quotes.parquet`` and ``trades.parquet`` in ``market_ticks`` below a folder.

    Each venue's own book is one dealer: its best bid and ask are the best.
    """
    names = {"received_at": "ts", "bid_price": "bid", "ask_price": "ask"}
    quotes = pd.read_parquet(folder / "market_ticks" / "quotes.parquet").rename(columns=names)
    trades = pd.read_parquet(folder / "market_ticks" / "trades.parquet").rename(columns=names)
    side = trades["aggressor"].map({"BUY": 1, "SELL": -1})
    return Ticks(quotes.assign(dealer="book"), trades.assign(side=side), "1s")


def tick_statistics(ticks: Ticks) -> dict[str, float]:
    """Return the statistics by which two markets can be compared, whatever they trade.

    Parameters
    ----------
    ticks : Ticks
        Quotes in time order with symbol, ts, bid, ask and dealer; trades with symbol, ts, price and side.

    Returns
    -------
    dict of str to float
        Shares are of trades that met a standing quote. Statistics of a series are taken by instrument, and
        averaged over instruments with their rows as weights.
    """
    quotes, trades = ticks.quotes, ticks.trades
    best = statistics.best_quotes(quotes)
    met = statistics.against_best(trades, best).dropna(subset="where")
    shares = met["where"].value_counts(normalize=True)
    middle = (met["bid"] + met["ask"]) / 2
    returns = statistics.mid_returns(best, ticks.interval)

    def mean(frame: pd.DataFrame, statistic: Any) -> float:
        return statistics.mean_by_symbol(frame, statistic, least_rows=100)

    def of_returns(statistic: Any) -> float:
        return mean(returns, lambda own: statistic(own["log_return"]))

    return {
        "trades inside the best spread": float(shares["inside"]),
        "trades at the best bid or offer": float(shares["at"]),
        "trades through it": float(shares["through"]),
        "trades on their side of the middle": float(((met["price"] - middle) * met["side"] >= 0).mean()),
        **{
            f"autocorrelation of trade signs, lag {lag}": mean(
                trades, lambda own, lag=lag: statistics.autocorrelation(own["side"], lag)
            )
            for lag in (1, 10, 100)
        },
        "variation of the times between quotes (Poisson: 1)": mean(
            quotes, lambda own: statistics.gap_variation(own["ts"])
        ),
        "variation of the times between trades (Poisson: 1)": mean(
            trades, lambda own: statistics.gap_variation(own["ts"])
        ),
        "tail exponent of returns (Hill, largest 2 %)": of_returns(statistics.hill_tail_index),
        "excess kurtosis of returns (normal: 0)": of_returns(statistics.excess_kurtosis),
        "autocorrelation of returns, lag 1": of_returns(lambda own: statistics.autocorrelation(own, 1)),
        "autocorrelation of absolute returns, lag 1": of_returns(lambda own: statistics.autocorrelation(own.abs(), 1)),
    }


def market_statistics(seed: int = 0, symbols: int = 1_000) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return quoted spreads by segment, and the shape of activity, of a generated day.

    Returns
    -------
    (pandas.DataFrame, dict of str to float)
        Quantiles of the quoted spread in basis points by segment; Zipf exponent of quotes over instruments,
        and the activity in the first and last half hour against that in the middle of the session.
    """
    market = Market(seed, symbols)
    quotes = market.day(0)[0].to_pandas()
    names = [securities.SEGMENTS[code] for code in market.universe.segment]
    segment = quotes["symbol"].map(dict(zip(market.universe.symbol.to_pylist(), names, strict=True)))
    spread = (quotes["ask"] - quotes["bid"]) / ((quotes["ask"] + quotes["bid"]) / 2) * 1e4
    table = spread.groupby(segment).quantile([0, 0.05, 0.5, 0.95, 1]).unstack().reindex(securities.SEGMENTS)
    half_hours = quotes["ts"].dt.floor("30min").value_counts().sort_index().to_numpy()
    middle = np.median(half_hours)
    shape = {
        "Zipf exponent": statistics.zipf_exponent(quotes["symbol"].value_counts()),
        "first half hour / median half hour": float(half_hours[0] / middle),
        "last half hour / median half hour": float(half_hours[-1] / middle),
    }
    return table, shape


def markdown(recorded: Ticks | None) -> str:
    """Return the tables of the package's documentation."""
    generated = tick_statistics(generated_ticks())
    other = tick_statistics(recorded) if recorded is not None else {}
    lines = ["| statistic | generated | recorded |", "|---|---|---|"]
    for name, value in generated.items():
        lines.append(f"| {name} | {value:.2f} | {f'{other[name]:.2f}' if other else 'not here'} |")
    table, shape = market_statistics()
    lines += ["", "| segment | least | 5 % | median | 95 % | most |", "|---|---|---|---|---|---|"]
    lines += [f"| {row.Index} | {' | '.join(f'{value:.1f}' for value in row[1:])} |" for row in table.itertuples()]
    lines += ["", "| activity of a generated day | |", "|---|---|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in shape.items()]
    return "\n".join(lines)


def main(
    recorded: Annotated[
        Path | None,
        typer.Option(envvar="FINTECH_TOOLKIT_REAL_DATA", help="Folder with market_ticks/ to compare with."),
    ] = None,
) -> None:
    """Print how the generated market compares with recorded ticks, as Markdown."""
    if recorded is not None and not (recorded / "market_ticks").is_dir():
        raise typer.BadParameter(f"{recorded} has no folder market_ticks", param_hint="--recorded")
    typer.echo(markdown(recorded_ticks(recorded) if recorded is not None else None))


if __name__ == "__main__":
    typer.run(main)
