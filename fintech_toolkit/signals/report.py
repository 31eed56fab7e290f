"""The report of a run: one file of HTML, in which all is that it needs."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
from bokeh.palettes import Category10

from fintech_toolkit.dashboards.page import LOOK, Page, bar
from fintech_toolkit.dashboards.plots import ABOVE, BELOW, DOTS, LINES
from fintech_toolkit.signals.performance import Performance, performance
from fintech_toolkit.signals.record import Outcome, Record
from fintech_toolkit.signals.results import read_results

COLOURS = {"done": ABOVE, "failed": BELOW, "skipped": DOTS}
_WARNED = LINES[2]
_A_ROW, _WIDE, _HIGH = 20, 56, 26
_MOST_DRAWN = 10
"""Contracts whose curves are drawn; of many they would be told apart no more."""


def report(record: Record) -> Page:
    """Return a page of what a run did: contracts and their states, times, signals, their quality, and failures.

    Parameters
    ----------
    record : Record
        What it did; the rows of some contracts are read from its output.

    Returns
    -------
    Page
    """
    counts = record.counts
    became = " + ".join(f"{counts[state]} {state}" for state in COLOURS)
    lead = [f"{counts['in']} contracts in = {became}, in {record.seconds:.1f} s."]
    plots, tables = {"times": _times(record)}, _tables(record)
    done = [outcome.contract for outcome in record.of("done") if outcome.counts.rows]
    if done:
        rows = read_results(record.settings.output, done[:_MOST_DRAWN])
        first, last = record.settings.bounds
        stamps = rows["timestamp"]
        rows = rows[(stamps >= (first or stamps.min())) & (stamps <= (last or stamps.max()))]
        shown = f"first {_MOST_DRAWN} of {len(done)} contracts" if len(done) > _MOST_DRAWN else "all contracts"
        whole = performance(rows, record.settings.signals)
        plots |= {
            "quality": _signals(record),
            "thresholds": _thresholds(rows),
            "equity": _equity(rows, shown),
            "portfolio": _portfolio(whole, shown),
        }
        tables = {f"what {shown} earned": _earned(whole), **tables}
        lead.append(f"{whole.verdict} ({shown})")
    return Page(f"Signals: run {record.run}", lead, plots, tables, fan_out(record.outcomes))


def fan_out(outcomes: tuple[Outcome, ...]) -> str:
    """Draw the orchestrator and its contracts, in the colours of their states; an edge where the gate warned."""
    rows = [outcomes[start : start + _A_ROW] for start in range(0, len(outcomes), _A_ROW)]
    width = _WIDE * min(max(len(outcomes), 3), _A_ROW)
    height, top = 90 + _HIGH * len(rows), 34
    lines, boxes = [], []
    for number, row in enumerate(rows):
        left = (width - _WIDE * len(row)) / 2
        for place, outcome in enumerate(row):
            x, y = left + _WIDE * place, 80 + _HIGH * number
            lines.append(f'<path d="M{width / 2:g} {top} L{x + _WIDE / 2:g} {y}" stroke="{DOTS}" stroke-width="0.5"/>')
            warned = outcome.verdict is not None and outcome.verdict.status == "WARN"
            told = f"{outcome.contract}: {outcome.state}, {outcome.seconds:.2f} s. {outcome.why}"
            boxes.append(
                f'<g class="{outcome.state}"><title>{escape(told)}</title>'
                f'<rect x="{x + 2:g}" y="{y}" width="{_WIDE - 4}" height="{_HIGH - 6}" rx="3" '
                f'fill="{COLOURS[outcome.state]}" stroke="{_WARNED if warned else "none"}" stroke-width="2"/>'
                f'<text x="{x + _WIDE / 2:g}" y="{y + 14}" fill="white" text-anchor="middle" font-size="10">'
                f"{escape(outcome.contract[:8])}</text></g>"
            )
    head = (
        f'<rect x="{width / 2 - 55:g}" y="8" width="110" height="{top - 8}" rx="4" fill="{LINES[0]}"/>'
        f'<text x="{width / 2:g}" y="25" fill="white" text-anchor="middle" font-size="12">orchestrator</text>'
    )
    legend = " ".join(f'<span style="color:{colour}">■ {state}</span>' for state, colour in COLOURS.items())
    return (
        f'<svg class="fan-out" viewBox="0 0 {width} {height}" style="width:100%;max-width:{width}px" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join([*lines, head, *boxes])}</svg>'
        f'<p>{legend} <span style="color:{_WARNED}">□ the gate warned</span></p>'
    )


def _tables(record: Record) -> dict[str, pd.DataFrame]:
    settings = record.settings
    asked = settings.model_dump(exclude={"signals", "contracts"}, exclude_none=True) | settings.signals.model_dump()
    tables = {"scope": pd.DataFrame({"setting": list(asked), "value": [str(value) for value in asked.values()]})}
    why = [(outcome.contract, outcome.attempts, outcome.why) for outcome in record.of("failed")]
    tables["failures"] = pd.DataFrame(why, columns=["contract", "tries", "why"])
    reasons = [
        (outcome.contract, reason.status, reason.rows, reason.text)
        for outcome in record.outcomes
        for reason in (outcome.verdict.reasons if outcome.verdict is not None else ())
    ]
    tables["what the gate said"] = pd.DataFrame(reasons, columns=["contract", "status", "rows", "reason"])
    columns = ["contract", "state", "verdict", "rows", "buy", "sell", "hold", "good", "bad", "neutral", "win_rate"]
    tables["contracts"] = record.frame()[[*columns, "seconds"]]
    return {name: table.set_index(table.columns[0]) for name, table in tables.items() if len(table)}


def _times(record: Record) -> Any:
    frame = record.frame().nlargest(40, "seconds")[["contract", "seconds", "state"]]
    title = "Time by contract" if len(record.outcomes) <= 40 else "Time by contract, the longest 40"
    return bar(frame, x="contract", y="seconds", title=title, ylabel="seconds", rot=60)


def _signals(record: Record) -> Any:
    frame = record.frame()
    frame = frame[frame["state"] == "done"].nlargest(40, "rows")
    long = frame.melt("contract", ["good", "bad", "neutral"], "quality", "trades")
    title = "Trades by quality"
    colours = {"good": ABOVE, "bad": BELOW, "neutral": DOTS}
    long["quality"] = pd.Categorical(long["quality"], list(colours))
    drawn = {"by": "quality", "stacked": True, "color": list(colours.values())}
    return bar(long, x="contract", y="trades", title=title, ylabel="trades", rot=60, **drawn)


def _thresholds(rows: pd.DataFrame) -> Any:
    """The VIX over its reference, and the thresholds that it makes, of the first contract."""
    name = rows["contract"].iloc[0]
    own = _thinned(rows[rows["contract"] == name])
    # Beside the VIX itself the thresholds, which are a share of it, would be flat.
    names = ["vix_multiplier", "buy_threshold", "sell_threshold"]
    drawn = {"y": names, "color": [LINES[0], ABOVE, BELOW], "group_label": "line"}
    return _line(own[["time", *names]], title=f"VIX and thresholds of {name}", ylabel="percentage points", **drawn)


def _portfolio(earned: Performance, shown: str) -> Any:
    """What a portfolio of equal weights was worth."""
    title = f"Portfolio: {shown}, equal weights, after costs"
    return _line(_thinned(earned.periods), y="equity", title=title, ylabel="worth (1 at the start)", color=LINES[0])


def _earned(earned: Performance) -> pd.DataFrame:
    numbers = {name: value for name, value in earned.summary().items() if name not in ("edge", "verdict")}
    told = [f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" for value in numbers.values()]
    return pd.DataFrame({"figure": list(numbers), "value": told}).set_index("figure")


def _equity(rows: pd.DataFrame, shown: str) -> Any:
    """The sum of signed next changes of each contract."""
    gained = (rows["signal"] * rows["next_price_change_pct"]).fillna(0.0)
    frame = rows.assign(equity=gained.groupby(rows["contract"]).cumsum())
    drawn = pd.concat([_thinned(own) for _, own in frame.groupby("contract")])
    title = f"Equity by contract: {shown}, before costs"
    colours = list(Category10[_MOST_DRAWN])
    return _line(drawn, y="equity", by="contract", title=title, ylabel="sum of changes (%)", color=colours)


def _thinned(rows: pd.DataFrame, most: int = 1000) -> pd.DataFrame:
    """Return rows enough for a plot, the last one included, times as axes know them."""
    step = -(-len(rows) // most)
    kept = rows.iloc[:: -step or 1][::-1]
    return kept.assign(time=kept["timestamp"].dt.tz_convert("UTC").dt.tz_localize(None))


def _line(frame: pd.DataFrame, **options: Any) -> Any:
    import hvplot.pandas  # noqa: F401 - gives frames their hvplot

    told = {"x": "time", "xlabel": "time (UTC)", "legend": "right", **LOOK, **options}
    return frame.hvplot.line(**told).opts(toolbar=None)
