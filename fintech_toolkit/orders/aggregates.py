"""Figures of many securities and days, put together in bounded memory and in any order, to the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.orders.classify import FILLED, NOT_EXECUTED, PARTLY_FILLED, SIZES
from fintech_toolkit.orders.inference import FACTORS, TESTED, adjusted, anova_tests, paired_tests, trend
from fintech_toolkit.orders.settings import SCENARIOS, Market

KEYS = ("security_code", "day", "participantid", "arrival_hour", "size")
"""What the orders of a summary are grouped by."""
BY: dict[str, tuple[str, ...]] = {
    "global_summary": (),
    "by_security": ("security_code",),
    "by_date": ("day",),
    "by_participant": ("participantid",),
    "by_hour": ("arrival_hour",),
    "by_size": ("size",),
}
"""The aggregated tables, and what each has a row for."""
DAYS = ("security_code", "day")
_SAVED = ("saving", "saving_bps")
_DRAWN = 100_000
"""Orders that tests are made over; of more than these it is a sample."""
_FIXED = 1_000
"""Sums are of whole numbers, in thousandths: only these come to the same in any order."""
_ORDERS = ("orders", "filled", "partly_filled", "not_executed", "qualifying", "quantity", "traded", "value")
_FIGURES = {
    "orders": _ORDERS,
    "scenarios": ("asked", "compared", "to_fill", "filled", "quantity", "real_value", "simulated_value", "saving"),
    "reasons": ("orders", "missing"),
}
_EXTRA: dict[str, tuple[str, ...]] = {"orders": (), "scenarios": ("scenario",), "reasons": ("reason",)}
"""What sums are by, besides the keys."""
_SAMPLED = (
    "order_id",
    "scenario",
    *FACTORS,
    "security_code",
    "day",
    "quantity",
    "saving",
    *(f"{side}_{name}" for side in ("real", "simulated") for name in TESTED),
)


@dataclass(frozen=True)
class Summary:
    """What of a security and day goes into the figures of all.

    Attributes
    ----------
    orders : pandas.DataFrame
        Counts and sums of orders by `KEYS`, all int64.
    scenarios : pandas.DataFrame
        Sums of what was compared, by `KEYS` and scenario; values in thousandths of a price unit.
    reasons : pandas.DataFrame
        Orders that the pool did not wholly fill, by `KEYS` and reason.
    sample : pandas.DataFrame
        What tests are made over: rows of `compare`, of at most 100,000 orders, those whose hashes are the smallest.
    left_out : pandas.DataFrame
        ``reason`` and ``orders``: sweeps that were not simulated.
    """

    orders: pd.DataFrame
    scenarios: pd.DataFrame
    reasons: pd.DataFrame
    sample: pd.DataFrame
    left_out: pd.DataFrame


def summarise(
    classified: pd.DataFrame, metrics: pd.DataFrame, missed: pd.DataFrame, left_out: Mapping[str, int]
) -> Summary:
    """Sum up a security and day, or several.

    Parameters
    ----------
    classified : pandas.DataFrame
        Final states with what each order traded, as `match_trades` gives them.
    metrics : pandas.DataFrame
        As `compare` gives it.
    missed : pandas.DataFrame
        As `unmatched` gives it.
    left_out : mapping of str to int
        How many sweeps were not simulated, by reason, as `simulate` counts them.

    Returns
    -------
    Summary
    """

    def of(frame: pd.DataFrame, *names: str) -> dict[str, Any]:
        return {name: frame[name].values for name in names}

    orders = of(classified, *KEYS) | {
        "orders": np.ones(len(classified)),
        "filled": classified["state"] == FILLED,
        "partly_filled": classified["state"] == PARTLY_FILLED,
        "not_executed": classified["state"] == NOT_EXECUTED,
        "quantity": classified["quantity"],
        "traded": classified["traded"],
        "value": _whole(classified["trade_vwap"] * classified["traded"]),
        "qualifying": classified["qualifies"],
    }
    scenarios = of(metrics, *KEYS, "scenario") | {
        "asked": np.ones(len(metrics)),
        "compared": metrics["quantity"] > 0,
        "to_fill": metrics["to_fill"],
        "filled": metrics["filled"],
        "quantity": metrics["quantity"],
        "real_value": _whole(metrics["real_vwap"] * metrics["quantity"]),
        "simulated_value": _whole(metrics["simulated_vwap"] * metrics["quantity"]),
        "saving": _whole(metrics["saving"]),
    }
    at = pd.Index(classified["order_id"]).get_indexer(missed["order_id"])
    known = missed[at >= 0]
    reasons = {name: each.take(at[at >= 0]) for name, each in of(classified, *KEYS).items()} | {
        "reason": known["reason"].array,
        "missing": known["missing"],
        "orders": np.ones(len(known)),
    }
    sample = metrics.loc[metrics["quantity"] > 0, list(_SAMPLED)]
    return Summary(
        _sums(orders, KEYS),
        _sums(scenarios, (*KEYS, "scenario")),
        _sums(reasons, (*KEYS, "reason")),
        _smallest(sample),
        pd.DataFrame({"reason": list(left_out), "orders": list(left_out.values())}).astype({"reason": "str"}),
    )


def _whole(values: pd.Series) -> pd.Series:
    return (values.fillna(0.0) * _FIXED).round().astype("int64")


def _sums(columns: Mapping[str, Any], keys: tuple[str, ...]) -> pd.DataFrame:
    """Return the sums of all other columns for each combination of keys that there is, sorted by these."""
    cells = np.zeros(len(columns[keys[0]]), np.int64)
    for name in keys:
        codes, there = pd.factorize(columns[name], sort=True)
        cells = cells * len(there) + codes
    order = np.argsort(cells, kind="stable")
    begin = np.flatnonzero(np.diff(cells[order], prepend=-1))
    made = {name: columns[name].take(order[begin]) for name in keys}
    for name in columns.keys() - made.keys():
        figures = np.asarray(columns[name], "int64")[order]
        made[name] = np.add.reduceat(figures, begin) if len(begin) else figures
    return pd.DataFrame(made, columns=list(columns))


def _smallest(sample: pd.DataFrame) -> pd.DataFrame:
    """Keep the orders of the smallest hashes: a sample that does not depend on what comes first."""
    hashes = pd.util.hash_pandas_object(sample[["order_id", "day"]].astype({"day": "str"}), index=False)
    distinct = np.unique(hashes.to_numpy())
    kept = sample if len(distinct) <= _DRAWN else sample[(hashes <= distinct[_DRAWN - 1]).to_numpy()]
    return kept.sort_values(["security_code", "day", "order_id", "scenario"], ignore_index=True)


class Aggregates:
    """The aggregated tables of as many summaries as are added.

    What is held grows with the rows of the tables (a security and day is a row of one of them), not with orders.

    Parameters
    ----------
    market : Market, optional
        For the currency: prices and savings in tables are in it.

    Examples
    --------
    >>> from fintech_toolkit.orders.aggregates import Aggregates
    >>> Aggregates().tables()["global_summary"][["orders", "fill_rate"]].to_dict("records")
    [{'orders': 0, 'fill_rate': nan}]
    """

    def __init__(self, market: Market | None = None) -> None:
        self.market = market or Market()
        self.sample = pd.DataFrame(columns=list(_SAMPLED))
        self._left_out: Counter[str] = Counter()
        self._tables: dict[str, pd.DataFrame] | None = None
        self._sums: dict[tuple[str, tuple[str, ...]], dict[tuple[Any, ...], np.ndarray[Any, Any]]] = {}

    def add(self, summary: Summary) -> None:
        """Take in a security and day, each once, or what of several was put one after the other."""
        for kind, figures in _FIGURES.items():
            cells, extra = getattr(summary, kind), _EXTRA[kind]
            for by in {*BY.values(), DAYS}:
                keys = [*by, *extra]
                sums = cells.groupby(keys, observed=True)[list(figures)].sum() if keys else cells[list(figures)].sum()
                grouped = sums if keys else sums.to_frame().T
                held = self._sums.setdefault((kind, by), {})
                labels = grouped.index.to_frame().itertuples(index=False, name=None) if keys else [()]
                # Of Python's whole numbers, which do not overflow over a year of a whole exchange.
                for label, row in zip(labels, grouped.to_numpy().astype(object), strict=True):
                    held[label] = held[label] + row if label in held else row
        for reason, orders in zip(summary.left_out["reason"], summary.left_out["orders"], strict=True):
            self._left_out[reason] += int(orders)
        self._tables = None
        if len(summary.sample):
            self.sample = _smallest(pd.concat([self.sample, summary.sample]) if len(self.sample) else summary.sample)

    @property
    def scenarios(self) -> list[str]:
        """The scenarios that there are: those of the simulation first, in its order."""
        found = {key[-1] for key in self._sums.get(("scenarios", ()), {})}
        return sorted(found, key=lambda name: (_place(name, tuple(SCENARIOS)), name))

    def frame(self, kind: str, by: tuple[str, ...]) -> pd.DataFrame:
        """Return sums by keys, sorted: of ``orders``, or of ``scenarios`` or ``reasons``, which then are a key too."""
        keys = [*by, *_EXTRA[kind]]
        held = self._sums.get((kind, by), {})
        rows = [[*key, *row] for key, row in held.items()]
        made = pd.DataFrame(rows, columns=[*keys, *_FIGURES[kind]])
        made = made if len(made) else made.astype(dict.fromkeys(_FIGURES[kind], "int64"))
        for name in keys:
            made[name] = made[name].infer_objects()
        order = {"size": lambda column: column.map(lambda size: _place(size, SIZES))}
        for name in reversed(keys):
            made = made.sort_values(name, kind="stable", key=order.get(name), ignore_index=True)
        return made

    def table(self, by: tuple[str, ...]) -> pd.DataFrame:
        """Return the figures of orders and scenarios by keys: see `tables`."""
        units = self.market.units_per_currency * _FIXED
        orders = self.frame("orders", by)
        if not len(orders) and not by:
            orders = pd.DataFrame([dict.fromkeys(_ORDERS, 0)])
        made = orders[list(by)].copy()
        for name in _ORDERS[:-1]:
            made[name] = orders.get(name, 0)
        made["fill_rate"] = _ratio(orders, "traded", "quantity")
        made["average_price"] = _ratio(orders, "value", "traded") / units
        every = self.frame("scenarios", by)
        for name in self.scenarios:
            mine = every[every["scenario"] == name].drop(columns="scenario")
            part = orders[list(by)].merge(mine, on=list(by), how="left") if by else mine.reset_index(drop=True)
            prefix = f"{name}_"
            made[f"{prefix}asked"] = part["asked"].fillna(0).astype("int64")
            made[f"{prefix}orders"] = part["compared"].fillna(0).astype("int64")
            made[f"{prefix}quantity"] = part["quantity"].fillna(0).astype("int64")
            made[f"{prefix}fill_rate"] = _ratio(part, "filled", "to_fill")
            made[f"{prefix}real_price"] = _ratio(part, "real_value", "quantity") / units
            made[f"{prefix}simulated_price"] = _ratio(part, "simulated_value", "quantity") / units
            made[f"{prefix}saving"] = part["saving"].astype("float64").fillna(0.0) / units
            made[f"{prefix}saving_bps"] = _ratio(part, "saving", "real_value") * 1e4
        return made

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the aggregated tables by name.

        Returns
        -------
        dict of str to pandas.DataFrame
            - ``global_summary``, ``by_security``, ``by_date``, ``by_participant``, ``by_hour``, ``by_size``: counts of
              ``orders``, ``filled``, ``partly_filled``, ``not_executed`` and ``qualifying`` ones; ``quantity``,
              ``traded`` and ``fill_rate`` = traded / quantity; ``average_price``. Of each scenario ``…_asked`` (orders
              that had something left to fill), ``…_orders`` (that found some of it, and were compared), ``…_quantity``
              (equal on both sides), ``…_fill_rate`` (of what was left to fill), ``…_real_price``,
              ``…_simulated_price``, ``…_saving`` and ``…_saving_bps`` (of what it really cost). Prices and savings are
              in the currency.
            - ``time_series_analysis``: of each figure of a day, for each security and for all, its `Trend`; ``q``:
              p-values adjusted over all rows.
            - ``unmatched``: orders that the pool did not wholly fill: ``reason``, ``orders``, ``missing``.
            - ``left_out``: sweeps that were not simulated: ``reason``, ``orders``.
            - ``paired_tests``, ``anova_tests``: over the orders that were compared, a sample of 100,000 if they are
              more.
        """
        if self._tables is None:  # a run writes them, and its report shows them
            self._tables = self._made()
        return self._tables

    def _made(self) -> dict[str, pd.DataFrame]:
        made = {name: self.table(by) for name, by in BY.items()}
        made["time_series_analysis"] = self._trends()
        made["unmatched"] = self.frame("reasons", ())
        left_out = sorted(self._left_out.items(), key=lambda item: (-item[1], item[0]))
        made["left_out"] = pd.DataFrame(left_out, columns=["reason", "orders"])
        made["paired_tests"] = paired_tests(self.sample)
        made["anova_tests"] = anova_tests(self.sample)
        return made

    def _trends(self) -> pd.DataFrame:
        # A day of which nothing was compared saves nothing, but says nothing of a trend either.
        counted = {"orders": "orders", "fill_rate": "orders", "average_price": "traded"}
        counted |= {f"{name}_fill_rate": f"{name}_asked" for name in self.scenarios}
        counted |= {f"{name}_{figure}": f"{name}_orders" for name in self.scenarios for figure in _SAVED}
        rows: list[Mapping[str, Any]] = []
        of_all, of_each = self.table(("day",)), self.table(DAYS)
        groups = [("all", of_all), *((str(key), part) for key, part in of_each.groupby("security_code"))]
        for security, part in groups:
            for figure, count in counted.items():
                found = trend(part["day"], part[figure].astype("float64").where(part[count] > 0))
                rows.append({"security": security, "figure": figure, **asdict(found)})
        table = pd.DataFrame(rows)
        return table.assign(q=adjusted(table["p"]))


def _place(name: str, known: tuple[str, ...]) -> int:
    return known.index(name) if name in known else len(known)


def _ratio(frame: pd.DataFrame, above: str, below: str) -> pd.Series:
    if above not in frame:
        return pd.Series(np.nan, index=frame.index)
    over = frame[below].astype("float64")
    ratio: pd.Series = frame[above].astype("float64") / over.where(over > 0)
    return ratio
