"""What the lit fills would have cost in the dark pool, for the one who asks: sentences, plots and tables."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd

from fintech_toolkit.dashboards.page import LOOK, Page, bar
from fintech_toolkit.dashboards.plots import ABOVE, BELOW, DOTS, LINES
from fintech_toolkit.orders.aggregates import Aggregates
from fintech_toolkit.orders.inference import Paired, paired
from fintech_toolkit.orders.settings import SCENARIOS, Market

_MOST = 10
_SHOWN = ("cost_bps", "weighted_cost_bps", "shortfall_bps", "first_fill_seconds", "weighted_seconds")
_PEOPLE = {
    "cost_bps": "cost against the mid on arrival (bp)",
    "weighted_cost_bps": "cost against the mid at each fill (bp)",
    "shortfall_bps": "shortfall of all that was ordered (bp)",
    "first_fill_seconds": "time to the first fill (s)",
    "weighted_seconds": "mean time to fill (s)",
}
_REAL, _POOL = "real", "dark pool"


class Report(Page):
    """The answer in words and currency, and what it rests on.

    A notebook shows it after ``panel.extension(inline=True)``; `save` makes one file of HTML of it.

    Parameters
    ----------
    aggregates : Aggregates
        Of all securities and days.

    Examples
    --------
    >>> from fintech_toolkit.orders.aggregates import Aggregates
    >>> from fintech_toolkit.orders.report import Report
    >>> Report(Aggregates()).lead[0]
    'What would our fills have cost in the dark pool? There is no answer: no order was compared.'
    """

    def __init__(self, aggregates: Aggregates) -> None:
        import hvplot.pandas  # noqa: F401 - loads what draws

        tables = aggregates.tables()
        sample, market = aggregates.sample, aggregates.market
        scenarios = aggregates.scenarios
        plots: dict[str, Any] = {}
        if len(sample):
            plots["cost"] = _cost(sample, scenarios)
            plots["saving by hour"] = _saving_by_hour(tables["paired_tests"], scenarios[0])
        for name, key, by in (
            ("by_hour", "arrival_hour", "hour of arrival"),
            ("by_size", "size", "size"),
            ("by_participant", "participantid", "participant"),
        ):
            plots[f"fill rates by {by}"] = _fill_rates(tables[name], key, by, scenarios)
        plots["saving by day"] = _by_day(tables, scenarios, market)
        plots["what did not match"] = _why(tables["unmatched"])
        lead = _lead(tables, sample, scenarios, market)
        super().__init__("Our fills, and what they would have cost in the dark pool", lead, plots, _tables(tables))


def _money(value: float, market: Market) -> str:
    digits = 0 if abs(value) >= 1000 else 2
    return f"{market.currency} {value:,.{digits}f}"


def _interval(low: float, high: float, market: Market) -> str:
    """Say between which savings the truth may lie."""
    if low > 0:
        return f"{_money(low, market)} to {_money(high, market)} less"
    if high < 0:
        return f"{_money(-high, market)} to {_money(-low, market)} more"
    return f"from {_money(-low, market)} more to {_money(high, market)} less: it may be chance"


def _name(scenario: str) -> str:
    return SCENARIOS.get(scenario, scenario)


def _saving(sample: pd.DataFrame, scenario: str) -> Paired:
    """Test what a trader saves per order against 0, in price units."""
    saved = sample.loc[sample["scenario"] == scenario, "saving"].astype("float64")
    return paired(saved, np.zeros(len(saved)))


def _lead(tables: dict[str, pd.DataFrame], sample: pd.DataFrame, scenarios: list[str], market: Market) -> list[str]:
    """Answer the question first, then say how sure that is, and who is not in it."""
    question = "What would our fills have cost in the dark pool?"
    total = tables["global_summary"].iloc[0]
    if not len(sample):
        return [f"{question} There is no answer: no order was compared.", *_left_out(tables)]
    answers: list[str] = []
    for scenario in scenarios:
        saved, orders = float(total[f"{scenario}_saving"]), int(total[f"{scenario}_orders"])
        really = float(total[f"{scenario}_real_price"]) * int(total[f"{scenario}_quantity"])
        per_order = _saving(sample, scenario)
        unit = orders / market.units_per_currency
        low, high = per_order.low * unit, per_order.high * unit
        bps = abs(total[f"{scenario}_saving_bps"])
        words = "less" if saved > 0 else "more"
        answer = f"{_money(abs(saved), market)} {words} ({bps:.2f} basis points)" if saved else "the same"
        if np.isnan(low):
            sure = "there is no interval, as " + per_order.note.removesuffix(": t is undefined")
        else:
            sure = f"95 % interval {_interval(low, high, market)}"
        if not answers:
            answers.append(
                f"{question} {orders:,} of the {int(total[f'{scenario}_asked']):,} orders that had something left to "
                f"fill after their arrival would have found some of it there. What they really traded for "
                f"{_money(really, market)} would, {_name(scenario)}, have cost {answer}; {sure}."
            )
        else:
            answers.append(f"{_name(scenario).capitalize()}: {answer}; {sure}.")
    filled = float(total[f"{scenarios[0]}_fill_rate"])
    first = answers[0]
    pool = f"The pool would have filled {filled:.1%} of the quantity that was left to fill."
    rest = " ".join(answers[1:])
    drawn = sample.loc[sample["scenario"] == scenarios[0], "order_id"].size
    how = "Costs are compared order by order over equal quantities, the first units of each. "
    how += "A cost below 0 was earned: what is left of an order waits at its limit. "
    how += "An interval takes orders as independent of each other."
    if drawn < int(total[f"{scenarios[0]}_orders"]):
        how += f" Intervals and tests are made over a sample of {drawn:,} orders."
    return [first, *([rest] if rest else []), f"{pool} {how}", *_left_out(tables)]


def _left_out(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Say how many orders are not in the answer, and why."""

    def listed(table: pd.DataFrame) -> str:
        return ", ".join(f"{many:,} {reason}" for reason, many in zip(table["reason"], table["orders"], strict=True))

    found = []
    left_out, missed = tables["left_out"], tables["unmatched"]
    missed = missed[missed["reason"] != "instantly filled"].sort_values("orders", ascending=False, kind="stable")
    if len(left_out):
        found.append(f"{left_out['orders'].sum():,} sweeps were left out: {listed(left_out)}.")
    if len(missed):
        found.append(f"{missed['orders'].sum():,} that took part were not filled, or not wholly: {listed(missed)}.")
    return found


def _mean(values: pd.Series) -> tuple[float, float]:
    """Return a mean and half of its 95 % interval."""
    from scipy import stats

    known = values.dropna().to_numpy("float64")
    if len(known) < 2:
        return (float(known.mean()) if len(known) else np.nan), np.nan
    return float(known.mean()), float(stats.t.ppf(0.975, len(known) - 1) * stats.sem(known))


def _with_intervals(
    points: pd.DataFrame, ticks: list[tuple[float, str]], colors: dict[str, str], **options: Any
) -> Any:
    """Draw means by group at places along an axis, with their intervals."""
    drawn = []
    for name, part in points.groupby("of", sort=False):
        color = colors[str(name)]
        drawn.append(hv.ErrorBars(part.dropna(), "place", ["mean", "half"]).opts(color=color, line_width=2))
        drawn.append(hv.Scatter(part, "place", "mean", label=str(name)).opts(color=color, size=9))
    zero = hv.HLine(0).opts(color=DOTS, line_width=1)
    look = {"show_grid": True, "height": LOOK["height"], "responsive": True, "toolbar": None}
    edges = (ticks[0][0] - 0.5, ticks[-1][0] + 0.5)
    return hv.Overlay([zero, *drawn]).opts(
        hv.opts.Overlay(**look, xticks=ticks, xlim=edges, legend_position="right", **options)
    )


def _cost(sample: pd.DataFrame, scenarios: list[str]) -> Any:
    rows = []
    for place, scenario in enumerate(scenarios):
        mine = sample[sample["scenario"] == scenario]
        for shift, of, column in ((-0.1, _REAL, "real_cost_bps"), (0.1, _POOL, "simulated_cost_bps")):
            mean, half = _mean(mine[column])
            rows.append({"place": place + shift, "of": of, "mean": mean, "half": half})
    return _with_intervals(
        pd.DataFrame(rows),
        [(float(place), scenario) for place, scenario in enumerate(scenarios)],
        {_REAL: LINES[2], _POOL: LINES[0]},
        title="Cost against the mid on arrival, mean of orders with 95 % interval",
        xlabel="scenario",
        ylabel="basis points",
    )


def _saving_by_hour(tests: pd.DataFrame, scenario: str) -> Any:
    of = tests[(tests["scenario"] == scenario) & (tests["measure"] == "cost_bps") & (tests["by"] == "arrival_hour")]
    of = of[of["mean_difference"].notna()]
    hours = of["group"].astype("int64")
    points = pd.DataFrame(
        {"place": hours, "of": "saving", "mean": of["mean_difference"], "half": (of["high"] - of["low"]) / 2}
    )
    if not len(points):
        return None
    return _with_intervals(
        points,
        [(float(hour), f"{hour:02}") for hour in hours],
        {"saving": ABOVE},
        title=f"What an order saves, {_name(scenario)}: mean with 95 % interval",
        xlabel="hour of arrival",
        ylabel="basis points",
    )


def _fill_rates(table: pd.DataFrame, key: str, by: str, scenarios: list[str]) -> Any:
    busiest = table.nlargest(_MOST, "orders").index if key == "participantid" else table.index
    kept = table.loc[sorted(busiest)]
    sides = {_REAL: "fill_rate"} | ({_POOL: f"{scenarios[0]}_fill_rate"} if scenarios else {})
    parts = [pd.DataFrame({by: kept[key].astype("str"), "of": of, "rate": kept[name]}) for of, name in sides.items()]
    rates = pd.concat(parts).dropna()
    if not len(rates):
        return None
    drawn = bar(
        rates,
        x=by,
        y="rate",
        by="of",
        title=f"Filled of all orders, and by the pool of the sweeps, by {by}",
        xlabel=by,
        ylabel="share of the quantity",
        color=[LINES[2], LINES[0]],
        legend="right",
    )
    return drawn.opts(multi_level=False)


def _by_day(tables: dict[str, pd.DataFrame], scenarios: list[str], market: Market) -> Any:
    """Draw savings of days, and the trend where there is one."""
    days = tables["by_date"]
    days = days[days[f"{scenarios[0]}_orders"] > 0] if scenarios else days.iloc[:0]
    if len(days) < 2:
        return None
    figure = f"{scenarios[0]}_saving"
    points = pd.DataFrame({"day": pd.to_datetime(days["day"]), "saving": days[figure]})
    look = {**LOOK, "x": "day", "ylabel": market.currency}
    drawn = points.hvplot.scatter(**look, y="saving", color=LINES[0], size=60, label="a day")
    trends = tables["time_series_analysis"]
    line = trends[(trends["security"] == "all") & (trends["figure"] == figure)].iloc[0]
    title = f"Saving a day, {_name(scenarios[0])}"
    if not np.isnan(line["p"]):
        since = (points["day"] - points["day"].median()).dt.total_seconds() / 86_400
        fitted = points.assign(trend=points["saving"].median() + line["slope"] * since)
        drawn *= fitted.hvplot.line(**look, y="trend", color=BELOW, label="Theil-Sen trend")
        title += f": {line['slope']:+,.2f} {market.currency} a day (Mann-Kendall p = {line['p']:.2g})"
    return drawn.opts(title=title, toolbar=None, shared_axes=False)


def _why(missed: pd.DataFrame) -> Any:
    return bar(
        missed.sort_values("orders", ascending=False),
        x="reason",
        y="orders",
        title="Orders that the pool did not fill, or not wholly, and why",
        ylabel="orders",
        rot=20,
    )


def _tables(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Choose what somebody reads below the plots."""
    whole = tables["global_summary"].T.rename(columns={0: "all"}).rename_axis("figure")
    tests = tables["paired_tests"]
    of_all = tests[(tests["by"] == "all") & tests["measure"].isin(_SHOWN)]
    shown = ["scenario", "measure", "pairs", "mean_real", "mean_simulated", "mean_difference", "low", "high"]
    shown += ["q_t", "q_wilcoxon", "d_pairs", "d_pooled", "note"]
    groups = tables["anova_tests"]
    groups = groups[groups["measure"] == "cost_bps"][["scenario", "by", "groups", "f", "p", "q", "eta_squared", "note"]]
    trends = tables["time_series_analysis"]
    trends = trends[(trends["security"] == "all") & trends["p"].notna()].drop(columns=["security", "note"])
    made = {
        "the whole": whole,
        "real against the pool, order by order": of_all[shown].replace({"measure": _PEOPLE}).set_index("scenario"),
        "do groups differ in what they save?": groups.set_index("scenario"),
        "securities": _largest(tables["by_security"], "security_code"),
        "participants": _largest(tables["by_participant"], "participantid"),
        "sizes": _largest(tables["by_size"], "size"),
        "trends": trends.set_index("figure"),
        "what did not match": tables["unmatched"].set_index("reason"),
        "left out": tables["left_out"].set_index("reason"),
    }
    return {name: table for name, table in made.items() if len(table)}


def _largest(table: pd.DataFrame, key: str) -> pd.DataFrame:
    columns = [key, "orders", "fill_rate", "average_price"]
    columns += [name for name in map(str, table) if name.endswith(("_saving", "_saving_bps"))]
    kept = table if key == "size" else table.nlargest(_MOST, "orders")
    return kept[columns].set_index(key)
