"""Rows out of order are one error, in pandas and by every plan; what is shuffled comes back as it was, but in order."""

from __future__ import annotations

from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from tests.engines.ticks import PLANS, parts_of, prepared, ticks
from tests.frames import features, same

ROWS = 400


def disordered(row: int = 250) -> pd.DataFrame:
    frame = ticks(ROWS, symbols=4)
    same_symbol = frame.index[(frame["symbol"] == frame.loc[row, "symbol"]) & (frame.index < row)]
    frame.loc[row, "ts"] = frame.loc[same_symbol[-1], "ts"] - pd.Timedelta("1s")
    return frame


@pytest.mark.parametrize("plan", [None, *PLANS, "partition-wise"])
def test_rows_out_of_order_are_an_error_by_every_plan(plan: str | None) -> None:
    frame = disordered()
    steps = ft.Pipeline(ft.midprice()) if plan == "partition-wise" else features()
    with pytest.raises(ft.DataError, match=r"'ts' goes backwards for symbol 'S0\d' at row 250"):
        steps(frame)
    ddf = parts_of(frame, [100, 200, 300])
    if plan == "by_symbol":  # in the order in which they are, as somebody's own partitions might be
        ddf = partition_by_symbol(ddf, 4, time=None)
        wanted = r"Partition \d: .*'ts' goes backwards for symbol 'S0\d' at row \d+"
    elif plan in ("shuffle", None):
        wanted = r"'ts' goes backwards for symbol 'S0\d' at row 50 of partition 2 .*partition_by_symbol"
    else:
        wanted = r"Partition 2: .*'ts' goes backwards for symbol 'S0\d' at row 50"
    lazy = steps(ddf, plan=None if plan == "partition-wise" else plan)
    for expression in (lazy, lazy["bid"].sum()):
        if plan == "partition-wise" and expression is not lazy:
            continue  # no row of the steps is asked for
        with pytest.raises(ft.DataError, match=wanted):
            expression.compute(scheduler="sync")


def test_a_row_without_time_is_an_error_by_every_plan() -> None:
    frame = ticks(ROWS, symbols=4)
    frame.loc[250, "ts"] = pd.NaT
    with pytest.raises(ft.DataError, match="no time at row 250"):
        features()(frame)
    for plan in ("chain", "shuffle"):
        with pytest.raises(ft.DataError, match=r"(?i)partition 2.*no time at row 50|no time at row 50 of partition 2"):
            features()(parts_of(frame, [100, 200, 300]), plan=plan).compute(scheduler="sync")


def test_preparing_sorts() -> None:
    frame = disordered()
    for npartitions in (1, 3):
        with dask.config.set(scheduler="sync"):
            got = features()(partition_by_symbol(parts_of(frame, [100, 300]), npartitions)).compute().sort_index()
        same(got, features()(frame.sort_values("ts", kind="stable")).sort_index())


def test_partitions_that_overlap_are_merged() -> None:
    """Each in order, like the files of two sources: the shuffle merges them, ties in the order of partitions."""
    frame = ticks(ROWS, symbols=4)
    odd = frame.index % 2 == 1
    ddf = parts_of(pd.concat([frame[odd], frame[~odd]]), [100, int(odd.sum())])
    got = features()(ddf, plan="shuffle").compute(scheduler="sync")
    merged = pd.concat([frame[odd], frame[~odd]]).sort_values("ts", kind="stable")
    same(got.sort_index(), features()(merged).sort_index())


@pytest.mark.parametrize("plan", [*PLANS, "partition-wise"])
def test_the_order_of_rows_is_as_said(plan: str) -> None:
    frame = ticks(ROWS, symbols=9)
    steps = ft.Pipeline(ft.midprice()) if plan == "partition-wise" else features()
    ddf = prepared(frame, 4, plan)
    given = None if plan == "partition-wise" else plan
    told = repr(steps.explain(ddf, given))
    assert "Rows: " in told
    assert "Rows: " in steps.explain(ddf, given)._repr_html_()
    parts = dask.compute(*steps(ddf, plan=given).to_delayed(), scheduler="sync")
    if plan == "shuffle":
        assert "by partitions that hold symbols whole, within a partition in order of time, ties as they were" in told
        for part in parts:
            in_order = part.sort_values("number").sort_values("ts", kind="stable")
            assert part["number"].tolist() == in_order["number"].tolist()
        assert pd.concat(parts).groupby("symbol")["number"].is_monotonic_increasing.all()
    else:
        assert "Rows: as they were" in told
        for got, before in zip(parts, dask.compute(*ddf.to_delayed(), scheduler="sync"), strict=True):
            assert got["number"].tolist() == before["number"].tolist()


def test_partitions_taken_in_the_order_of_time_say_so() -> None:
    frame = ticks(ROWS, symbols=9)
    frame["ts"] = pd.to_datetime(np.roll(np.arange(ROWS), 100), unit="s", utc=True)
    ddf = dd.from_pandas(frame, npartitions=4)
    assert "Rows: in order of time by partitions, within a partition as they were" in repr(features().explain(ddf))
    got = features()(ddf).compute(scheduler="sync")
    same(got, features()(frame.sort_values("ts")))


NAMES = [f"S{k:02d}" for k in range(300)]
DTYPES: dict[str, Any] = {
    "str": "str",
    "string[python]": "string[python]",
    "string[pyarrow]": "string[pyarrow]",
    "object": object,
    "arrow string": pd.ArrowDtype(pa.string()),
    "arrow large string": pd.ArrowDtype(pa.large_string()),
    "arrow dictionary": pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())),
    "arrow int64": pd.ArrowDtype(pa.int64()),
    "category": pd.CategoricalDtype(NAMES),
    "category backwards": pd.CategoricalDtype([*NAMES[::-1], "nobody"], ordered=True),
    "category of integers": pd.CategoricalDtype(range(300)),
    "int64": "int64",
    "int16": "int16",
    "uint16": "uint16",
    "uint64": "uint64",
    "Int64": "Int64",
    "Int32": "Int32",
    "UInt16": "UInt16",
}


@pytest.mark.parametrize("kind", DTYPES)
def test_symbols_come_back_from_a_shuffle_as_they_were(kind: str) -> None:
    """Values, dtype and, of categories, all of them and their order."""
    frame = ticks(ROWS, symbols=300)
    frame.index = pd.Index(np.arange(ROWS)[::-1], name="row")
    integers = any(word in kind.lower() for word in ("int", "integers"))
    names = frame["symbol"].str[1:].astype("int64") if integers else frame["symbol"].astype(object)
    frame["symbol"] = pd.Series(pd.array(names, dtype=DTYPES[kind]), index=frame.index)
    with dask.config.set({"scheduler": "sync", "dataframe.convert-string": False}):
        parts = [
            dd.from_pandas(frame.iloc[a:b], npartitions=1, sort=False) for a, b in ((0, 150), (150, 150), (150, ROWS))
        ]
        ddf = dd.concat(parts)
        lazy = features()(ddf, plan="shuffle")
        assert lazy.dtypes["symbol"] == ddf.dtypes["symbol"]
        for part in dask.compute(*lazy.to_delayed()):
            assert part.dtypes["symbol"] == frame.dtypes["symbol"]
        got = lazy.compute().sort_values("number")
    pd.testing.assert_series_equal(got["symbol"], frame["symbol"], check_freq=False)
    same(got.drop(columns="symbol"), features()(frame).drop(columns="symbol"))


TAKEN = ["_partitions", "order", "__fintech_toolkit_order", "0", "1", "index", "frame", "partition", "codes"]


@pytest.mark.parametrize("method", ["tasks", "disk"])
def test_no_name_of_a_column_is_taken(method: str) -> None:
    frame = ticks(ROWS, symbols=9)
    for j, name in enumerate(TAKEN):
        frame[name] = np.arange(ROWS) * 10 + j
    ddf = dd.from_pandas(frame, npartitions=3)
    with dask.config.set({"scheduler": "sync", "dataframe.shuffle.method": method}):
        for plan in ("chain", "shuffle"):
            same(features()(ddf, plan=plan).compute().sort_index(), features()(frame))
        same(partition_by_symbol(ddf, 2).compute().sort_index(), frame)
        lazy = features()(ddf, plan="shuffle")
        same(lazy[["_partitions", "zscore"]].compute().sort_index(), features()(frame)[["_partitions", "zscore"]])


def test_no_name_of_a_column_is_taken_on_a_cluster(client: Any) -> None:
    frame = ticks(ROWS, symbols=9)
    for j, name in enumerate(TAKEN):
        frame[name] = np.arange(ROWS) * 10 + j
    got = features()(dd.from_pandas(frame, npartitions=3), plan="shuffle").compute()
    same(got.sort_index(), features()(frame))
