"""The table of signals: the worked example, a loop over rows, regressions of other libraries, and what it refuses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.errors import ColumnError, DataError
from fintech_toolkit.signals import COLUMNS, SignalSettings, outcomes_flow, signals, signals_flow
from tests.frames import same
from tests.signals.worlds import START, World, by_rows, world

RATIO = SignalSettings(beta="ratio_beta")


@pytest.fixture(scope="module")
def gappy() -> World:
    return world()


def test_the_worked_example() -> None:
    """At a VIX of 15 the thresholds are ±0.5: three trades, of which the last was bad."""
    at = pd.date_range(START, periods=7, freq="h")
    price = [150, 151, 151.5, 150.5, 150, 151, 150.5]
    table = signals(
        pd.DataFrame({"timestamp": at, "contract": "AAPL", "price": price}),
        pd.DataFrame({"timestamp": at, "vix": 15.0}),
        pd.DataFrame({"timestamp": at, "spx": np.arange(4700.0, 4707)}),
    )
    assert tuple(table.columns) == COLUMNS
    assert_array_equal(table["price_change"], [np.nan, 1, 0.5, -1, -0.5, 1, -0.5])
    assert_array_equal(table["price_change_pct"].round(2), [np.nan, 0.67, 0.33, -0.66, -0.33, 0.67, -0.33])
    assert (table["buy_threshold"] == 0.5).all()
    assert (table["sell_threshold"] == -0.5).all()
    assert_array_equal(table["signal"], [np.nan, 1, 0, -1, 0, 1, 0])
    assert_array_equal(table["next_price_change_pct"], table["price_change_pct"].shift(-1))
    assert list(table["trade_quality"]) == ["neutral", "good", "neutral", "good", "neutral", "bad", "neutral"]
    outcomes = outcomes_flow(ft.source("table"))(table=table)
    assert outcomes["quality"].tolist() == [1, 1, -1]
    assert outcomes["win_rate"].round(2).tolist() == [100, 100, 66.67]


def test_a_loop_over_rows(gappy: World) -> None:
    expected = by_rows(**gappy, settings=RATIO)
    table = signals(**gappy, settings=RATIO)
    assert {"good", "bad", "neutral"} == set(table["trade_quality"])
    assert table["signal"].isna().any()
    for name in ("timestamp", "contract", "signal", "trade_quality"):
        assert_array_equal(table[name].to_numpy(), expected[name].to_numpy(), err_msg=name)
    for name in COLUMNS[3:12] + COLUMNS[13:14]:
        assert_allclose(table[name], expected[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_rows_come_out_as_they_came(gappy: World) -> None:
    """Contracts one after the other, and one alone, are what they are among the others."""
    whole = signals(**gappy)
    grouped = gappy["prices"].sort_values(["contract", "timestamp"], ignore_index=True)
    order = gappy["prices"].sort_values(["contract", "timestamp"]).index
    same(signals(**gappy | {"prices": grouped}), whole.loc[order].reset_index(drop=True))
    for contract in ("C0", "C2"):
        alone = gappy["prices"][gappy["prices"]["contract"] == contract]
        same(signals(**gappy | {"prices": alone}), whole[whole["contract"] == contract])
    nothing = signals(**gappy | {"prices": gappy["prices"].iloc[:0]})
    assert len(nothing) == 0
    assert nothing.dtypes.equals(whole.dtypes)


def test_outcomes_say_what_the_table_says(gappy: World) -> None:
    """What is known one row later, as events, and beside its own row."""
    table = signals(**gappy)
    trades = table[table["signal"].isin([1, -1]) & table["price"].notna()]
    outcomes = outcomes_flow()(**gappy)
    marked = outcomes.merge(trades, left_on=["contract", "ts"], right_on=["contract", "timestamp"], validate="1:1")
    assert len(marked) == len(outcomes) == len(trades) > 50
    assert marked["quality"].map({1: "good", 0: "neutral", -1: "bad"}).tolist() == marked["trade_quality"].tolist()
    assert (marked["known_at"].dropna() > marked["timestamp"][marked["complete"]]).all()


@given(st.integers(1, 600))
@settings(max_examples=8, deadline=None)
def test_nothing_looks_ahead(rows: int) -> None:
    """Of any first rows the table is that of all rows, but for what the last of a contract came to."""
    everything = world(seed=1)
    whole = signals(**everything).iloc[:rows]
    upto = everything["prices"]["timestamp"].iloc[rows - 1]
    prefix = {name: frame[frame["timestamp"] <= upto] for name, frame in everything.items()}
    prefix["prices"] = everything["prices"].iloc[:rows]
    same(signals(**prefix)[list(COLUMNS[:-2])], whole[list(COLUMNS[:-2])])


def test_thresholds_grow_with_the_vix(gappy: World) -> None:
    """At any level, and so there are never more trades where it is higher."""
    trades = []
    for level in (5.0, 15.0, 15.000001, 40.0, 90.0):
        table = signals(**gappy | {"vix": gappy["spx"].assign(vix=level)})
        known = table["VIX"].notna()
        assert_allclose(table["buy_threshold"][known], level / 30, rtol=1e-15)
        trades.append(set(table.index[table["signal"].abs() == 1]))
    assert all(later <= earlier for earlier, later in pairwise(trades))
    assert len(trades[0]) > len(trades[-1])


def test_settings_come_back_from_json() -> None:
    flow = signals_flow(SignalSettings(beta="rolling_beta", window=20, max_age="30min"))
    assert ft.Flow.from_json(flow.to_json()) == flow != signals_flow()


REFUSED = {
    "no zone": ("prices", lambda f: f.assign(timestamp=f["timestamp"].dt.tz_localize(None)), "prices: .*tz_localize"),
    "price of zero": ("prices", lambda f: f.assign(price=f["price"].where(f.index != 4, 0.0)), "0.0 in row 4 of .*'C"),
    "price as text": (
        "prices",
        lambda f: f.assign(price="9.5"),
        "prices: column 'price' is str, and must hold numbers",
    ),
    "infinite price": ("prices", lambda f: f.assign(price=f["price"].where(f.index != 4, np.inf)), "inf in row 4"),
    "no VIX": ("vix", lambda f: f.assign(vix=f["vix"].where(f.index != 7, -1.0)), "vix: vix -1.0 in row 7 must be pos"),
    "twice": ("prices", lambda f: pd.concat([f, f.tail(1)]), "is there twice"),
    "backwards": ("spx", lambda f: f.iloc[::-1], r"spx: .*in row 1 is earlier .*\(\d+ such rows\)"),
    "no contract": ("prices", lambda f: f.assign(contract=f["contract"].where(f.index != 3)), "row 3.*is missing"),
    "no time": ("vix", lambda f: f.assign(timestamp=f["timestamp"].where(f.index != 3)), "vix: .*row 3 is missing"),
    "daily": ("vix", lambda f: f[f["timestamp"].dt.hour == 3].head(1), "vix: no price .*longer max_age"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_refused(gappy: World, which: str) -> None:
    frame, spoil, message = REFUSED[which]
    given = gappy if which != "daily" else {n: f[f["timestamp"] > START + pd.Timedelta("2D")] for n, f in gappy.items()}
    with pytest.raises(DataError, match=message):
        signals(**given | {frame: spoil(gappy[frame])})


def test_a_column_that_is_missing(gappy: World) -> None:
    with pytest.raises(ColumnError, match=r"prices has no column 'contract'\. Did you mean 'contracts'\?"):
        signals(**gappy | {"prices": gappy["prices"].rename(columns={"contract": "contracts"})})
