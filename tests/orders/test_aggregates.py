"""Figures of many securities and days: as pandas finds them in all rows, and the same bytes in any order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fintech_toolkit.orders import aggregates
from fintech_toolkit.orders.aggregates import Aggregates, summarise
from fintech_toolkit.orders.inference import paired, trend
from tests.orders.measured import LEFT_OUT, Day, added, analysed


@pytest.fixture(scope="module")
def days() -> list[Day]:
    return [analysed(number) for number in range(12)]


@pytest.fixture(scope="module")
def tables(days: list[Day]) -> dict[str, pd.DataFrame]:
    return added([summarise(*each, LEFT_OUT) for each in days]).tables()


def in_bytes(made: Aggregates) -> dict[str, bytes]:
    return {name: table.to_csv(index=False).encode() for name, table in made.tables().items()}


def test_as_pandas_finds_them_in_all_rows(days: list[Day], tables: dict[str, pd.DataFrame]) -> None:
    final, metrics, missed = (pd.concat(parts, ignore_index=True) for parts in zip(*days, strict=True))
    for name, key in {"by_security": "security_code", "by_date": "day", "by_participant": "participantid"}.items():
        found = tables[name].set_index(key)
        groups = final.groupby(key)
        assert found["orders"].to_dict() == groups.size().to_dict()
        assert found["partly_filled"].to_dict() == (final["state"] == 2).groupby(final[key]).sum().to_dict()
        np.testing.assert_allclose(found["fill_rate"], groups["traded"].sum() / groups["quantity"].sum())
        value = (final["trade_vwap"] * final["traded"]).groupby(final[key]).sum()
        np.testing.assert_allclose(found["average_price"], value / groups["traded"].sum() / 1000)
        mid = metrics[metrics["scenario"] == "mid"]
        by_key = mid.groupby(key)
        np.testing.assert_allclose(found["mid_saving"], by_key["saving"].sum() / 1000, rtol=1e-9)
        np.testing.assert_allclose(found["mid_fill_rate"], by_key["filled"].sum() / by_key["to_fill"].sum())
        assert found["mid_orders"].to_dict() == (mid["quantity"] > 0).groupby(mid[key]).sum().to_dict()
        paid = (mid["real_vwap"] * mid["quantity"]).groupby(mid[key]).sum()
        np.testing.assert_allclose(found["mid_saving_bps"], by_key["saving"].sum() / paid * 1e4)
    assert tables["by_size"]["size"].tolist() == ["tiny", "small", "medium"]
    assert tables["by_hour"]["arrival_hour"].tolist() == [10, 11, 12, 13, 14]
    total = tables["global_summary"].iloc[0]
    assert (total["orders"], total["qualifying"]) == (len(final), len(final))
    assert total["half_saving"] == pytest.approx(metrics.loc[metrics["scenario"] == "half", "saving"].sum() / 1000)
    reasons = tables["unmatched"].set_index("reason")
    assert reasons["orders"].to_dict() == missed["reason"].value_counts().to_dict()
    assert reasons["missing"].sum() == missed["missing"].sum()
    assert tables["left_out"].values.tolist() == [["without trades", 36], ["filled on arrival", 24]]


def test_tests_and_trends_are_those_of_all_rows(days: list[Day], tables: dict[str, pd.DataFrame]) -> None:
    metrics = pd.concat([each[1] for each in days])
    mid = metrics[(metrics["scenario"] == "mid") & (metrics["quantity"] > 0)]
    row = tables["paired_tests"].set_index(["scenario", "measure", "by", "group"]).loc[("mid", "cost_bps", "all", "")]
    expected = paired(mid["real_cost_bps"], mid["simulated_cost_bps"])
    assert (row["pairs"], row["t"], row["low"]) == (
        expected.pairs,
        pytest.approx(expected.t),
        pytest.approx(expected.low),
    )
    trends = tables["time_series_analysis"].set_index(["security", "figure"])
    assert len(trends) == len(tables["time_series_analysis"]) == 4 * (3 + 2 * 3)
    saving = metrics[(metrics["scenario"] == "mid") & (metrics["security_code"] == 101)].groupby("day")["saving"].sum()
    line = trend(pd.Series(saving.index), saving / 1000)
    assert trends.loc[("101", "mid_saving"), "slope"] == pytest.approx(line.slope)
    assert trends.loc[("all", "orders"), "note"] == "all days are equal: tau is undefined"


def test_any_order_and_any_parts_give_the_same_bytes(days: list[Day], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "_DRAWN", 150)  # so that it is a sample
    summaries = [summarise(*each, LEFT_OUT) for each in days]
    expected = added(summaries)
    assert expected.sample.groupby(["order_id", "day"]).ngroups == 150
    whole = in_bytes(expected)
    twice = {reason: 2 * many for reason, many in LEFT_OUT.items()}
    pairs = [
        summarise(*(pd.concat(parts) for parts in zip(*days[n : n + 2], strict=True)), twice) for n in range(0, 12, 2)
    ]
    assert in_bytes(added([pairs[number] for number in (3, 0, 5, 1, 4, 2)])) == whole


def test_sums_do_not_overflow(days: list[Day]) -> None:
    final, metrics, missed = days[0]
    large = summarise(final, metrics, missed, LEFT_OUT)
    large.orders["value"] = 2**56
    total = added([large] * 4).frame("orders", ())
    assert total["value"].iloc[0] == 4 * len(large.orders) * 2**56


def test_a_day_without_orders_or_without_a_simulated_one(days: list[Day]) -> None:
    final, metrics, missed = days[0]
    nothing = summarise(final.iloc[:0], metrics.iloc[:0], missed.iloc[:0], {})
    assert in_bytes(added([nothing, summarise(*days[0], LEFT_OUT)])) == in_bytes(
        added([summarise(*days[0], LEFT_OUT), nothing])
    )
    empty = added([nothing]).tables()
    assert empty["global_summary"]["orders"].tolist() == [0]
    assert len(empty["paired_tests"]) == len(empty["by_date"]) == 0
    unsimulated = added([summarise(final, metrics.iloc[:0], missed.iloc[:0], {})]).tables()
    assert unsimulated["global_summary"]["orders"].tolist() == [len(final)]
    assert "mid_orders" not in unsimulated["by_size"]
