"""Small files, read whole."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fintech_toolkit.orders.reading import read_orders, read_trades


def test_the_real_day_is_read_to_the_digit(real_data: Path) -> None:
    day = real_data / "asx_day"
    orders, trades = read_orders(day / "orders.parquet"), read_trades(day / "trades.csv.gz")
    assert (len(orders), orders["order_id"].nunique(), len(trades)) == (28_452, 8_262, 8_302)
    assert sorted(orders["timestamp"].dt.tz_convert("Australia/Sydney").dt.day.value_counts()) == [52, 28_400]
    raw = pd.read_parquet(day / "orders.parquet").sort_values(["timestamp", "sequence"], ignore_index=True)
    for name in ("order_id", "quantity", "exchangeordertype", "totalmatchedquantity"):
        assert orders[name].tolist() == raw[name].tolist()
    last = orders.groupby("order_id")["totalmatchedquantity"].last()
    traded = trades.groupby("order_id")["quantity"].sum().reindex(last.index, fill_value=0)
    assert last.sum() == 2_755_413
    assert last.tolist() == traded.tolist()
