"""Joins with windows: against looking at all rows, against Polars, and the same bits in every way to run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import waiting_join
from tests.frames import same
from tests.joins.feeds import feed
from tests.joins.layouts import as_pandas, by_symbol, by_time, unknown
from tests.joins.ways import in_pieces, on_streams, same_without_rules

AGG = {
    "n": ("price", "count"),
    "notes": ("note", "count"),
    "total": ("price", "sum"),
    "whole": ("size", "sum"),
    "average": ("price", "mean"),
    "sizes": ("size", "mean"),
    "vwap": ("price", "mean", "size"),
    "low": ("price", "min"),
    "high": ("price", "max"),
    "least_id": ("id", "min"),
    "greatest_id": ("id", "max"),
    "first_note": ("note", "first"),
    "last_price": ("price", "last"),
    "last_size": ("size", "last"),
}


def world(rng: np.random.Generator, rows: int, symbols: int = 3) -> pd.DataFrame:
    """A feed with missing values and integers that float64 cannot hold."""
    frame = feed(rng, rows, symbols)
    price = np.where(rng.random(rows) < 0.3, np.nan, frame["price"])
    size = pd.array(rng.integers(-3, 9, rows), "Int64")
    size[rng.random(rows) < 0.2] = None
    return frame.assign(price=price, size=size, note=pd.array(rng.choice(["a", "b", None], rows), "str"))


def oracle(left: pd.DataFrame, right: pd.DataFrame, before: int, after: int) -> pd.DataFrame:
    """For each row, look at all rows of right, and add their values one by one."""
    found: dict[str, list[Any]] = {name: [] for name in AGG}
    for symbol, ts in zip(left["symbol"], left["ts"], strict=True):
        apart = (right["ts"] - ts).map(lambda span: span.value)
        near = right[(right["symbol"] == symbol).to_numpy() & ((apart >= -before) & (apart <= after)).to_numpy()]
        values = {name: near[name].dropna().tolist() for name in ("price", "size", "id", "note")}
        pairs = near[["price", "size"]].dropna().astype(float).to_numpy().tolist()
        total = lambda numbers: sum(numbers, 0.0)  # noqa: E731
        price, size = values["price"], values["size"]
        weight = total(w for _, w in pairs)
        found["n"].append(len(price))
        found["notes"].append(len(values["note"]))
        found["total"].append(total(price))
        found["whole"].append(sum(size))
        found["average"].append(total(price) / len(price) if price else np.nan)
        found["sizes"].append(sum(size) / len(size) if size else np.nan)
        weighted = total(p * w for p, w in pairs)
        found["vwap"].append(np.nan if weight == 0 == weighted else np.divide(weighted, weight))
        found["low"].append(min(price, default=np.nan))
        found["high"].append(max(price, default=np.nan))
        found["least_id"].append(min(values["id"], default=None))
        found["greatest_id"].append(max(values["id"], default=None))
        found["first_note"].append(values["note"][0] if values["note"] else None)
        found["last_price"].append(price[-1] if price else np.nan)
        found["last_size"].append(size[-1] if size else None)
    types = {"n": "int64", "notes": "int64", "whole": "int64", "least_id": "Int64", "greatest_id": "Int64",
             "first_note": "str", "last_size": "Int64"}  # fmt: skip
    added = {
        name: pd.Series(values, index=left.index, dtype=object).astype(types.get(name, "float64"))
        for name, values in found.items()
    }
    return left.assign(**added, known_at=left["ts"] + pd.Timedelta(after, "ns"))


@pytest.mark.filterwarnings("ignore:(invalid value|divide by zero) encountered:RuntimeWarning")
@pytest.mark.parametrize("seed", range(25))
def test_every_way_is_the_oracle(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    left, right = feed(rng, 2 * seed, 3), world(rng, 60 - 2 * seed)
    before, after = int(rng.choice([0, 3, 30])), int(rng.choice([0, 2, 15]))
    monkeypatch.setattr(waiting_join, "FEW", int(rng.choice([1, 4, 1000])))
    kept = left.copy(), right.copy()
    result = ft.window_join(left, right, before, after, agg=AGG)
    same(result, oracle(left, right, before, after))
    same(left, kept[0])
    same(right, kept[1])
    flow = ft.source("left").window_join(ft.source("right"), before, after, agg=AGG)
    same(flow(left=left, right=right), result)
    if len(left):
        same(in_pieces(flow, left, right, rng), result)
        same(in_pieces(flow, left, right, rng, tmp_path), result)
        same(on_streams(flow, left, right, rng), result)
    left_sorted, right_sorted = (frame.sort_values("symbol", kind="stable") for frame in (left, right))
    together = ft.window_join(left_sorted, right_sorted, before, after, agg=AGG)
    same(together, result.loc[left_sorted.index])
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (left, right)]
    joined = ft.window_join(*tables, before, after, agg=AGG)
    same(
        joined.to_pandas()[["n", "total", "average", "vwap"]],
        result[["n", "total", "average", "vwap"]].reset_index(drop=True),
    )
    assert (
        joined["greatest_id"].to_pylist()
        == result["greatest_id"].astype(object).where(result["greatest_id"].notna(), None).tolist()
    )
    assert joined["first_note"].to_pylist() == [n if isinstance(n, str) else None for n in result["first_note"]]


def test_is_what_polars_finds() -> None:
    pl = pytest.importorskip("polars")
    rng = np.random.default_rng(5)
    left, right = feed(rng, 60, 3), world(rng, 90)
    here = pl.DataFrame({"row": range(60), "s": left["symbol"].tolist(), "t": left["ts"].astype("int64").to_numpy()})
    there = pl.DataFrame({
        "s": right["symbol"].tolist(), "u": right["ts"].astype("int64").to_numpy(), "id": right["id"].to_numpy(),
    })  # fmt: skip
    near = here.join_where(
        there, pl.col("s") == pl.col("s_right"), pl.col("u") >= pl.col("t") - 4, pl.col("u") <= pl.col("t") + 3
    )
    grouped = near.group_by("row").agg(pl.len().alias("n"), pl.col("id").min().alias("low"))
    wanted = here.select("row").join(grouped, on="row", how="left", maintain_order="left")
    result = ft.window_join(left, right, "4ns", "3ns", agg={"n": ("id", "count"), "low": ("id", "min")})
    assert result["n"].tolist() == wanted["n"].fill_null(0).to_list()
    assert [None if value is pd.NA else value for value in result["low"]] == wanted["low"].to_list()


@pytest.mark.parametrize("layout", [by_time, by_symbol, unknown, as_pandas])
def test_partitions_do_not_matter(layout: Any) -> None:
    rng = np.random.default_rng(0)
    left, right = feed(rng, 90, 5), world(rng, 130, 4)
    left["symbol"] = left["symbol"].replace("S00", "only left")
    with dask.config.set({"scheduler": "threads", "dataframe.convert-string": False}):
        for lefts, rights in ((1, 1), (2, 5), (5, 2)):
            there = layout(right, rights)
            known = there if layout is as_pandas else there.compute()
            result = ft.window_join(left, known.sort_values("ts", kind="stable"), 5, 3, agg=AGG)
            lazy = ft.window_join(by_time(left, lefts), there, 5, 3, agg=AGG)
            assert lazy.dtypes.equals(result.dtypes)
            assert lazy.npartitions == by_time(left, lefts).npartitions
            same(lazy.compute(), result)
            same(lazy[["vwap", "id"]].compute(), result[["vwap", "id"]])
            flow = ft.source("left").window_join(ft.source("right"), 5, 3, agg=AGG)
            same(flow(left=by_time(left, lefts), right=there).compute(), result)


def test_processes_give_the_same_with_and_without_symbols() -> None:
    rng = np.random.default_rng(1)
    left, right = feed(rng, 60, 4), world(rng, 90, 4)
    with dask.config.set({"scheduler": "processes", "dataframe.convert-string": False}):
        lazy = ft.window_join(by_time(left, 3), by_time(right, 4), 5, 3, agg=AGG)
        same(lazy.compute(), ft.window_join(left, right, 5, 3, agg=AGG))
    with dask.config.set({"scheduler": "threads", "dataframe.convert-string": False}):
        lazy = ft.window_join(by_time(left, 3), by_time(right, 4), 5, 3, agg=AGG, by=None)
        same(lazy.compute(), ft.window_join(left, right, 5, 3, agg=AGG, by=None))


def test_rules_change_nothing_and_read_less() -> None:
    rng = np.random.default_rng(2)
    left, right = feed(rng, 80, 4), world(rng, 120, 4)
    flow = ft.source("left").window_join(ft.source("right"), "5ns", "3ns", agg=AGG)
    same(same_without_rules(flow, left=left, right=right), ft.window_join(left, right, 5, 3, agg=AGG))
    less = flow.filter([("price", ">", 100), ("symbol", "!=", "S01")]).select("symbol", "vwap")
    result = same_without_rules(less, left=left, right=right)
    whole = ft.window_join(left, right, 5, 3, agg=AGG)
    same(result, whole[(whole["price"] > 100) & (whole["symbol"] != "S01")][["symbol", "vwap"]])
    plan = repr(less.explain(left=left, right=right))
    assert "source 'right', reads symbol, ts, price, size, where symbol != 'S01'" in plan
    assert "source 'left', reads symbol, ts, where price > 100 and symbol != 'S01'" in plan
    assert "5ns before to 3ns after: vwap = mean of price" in plan


def test_the_window_is_closed_and_known_when_it_ends() -> None:
    left = pd.DataFrame({"symbol": "A", "ts": [10, 20]})
    right = pd.DataFrame({"symbol": "A", "ts": [7, 8, 12, 13], "x": [1, 2, 4, 8]})
    result = ft.window_join(left, right, "2ns", "2ns", agg={"x": ("x", "sum")})
    assert result["x"].tolist() == [6, 0]
    assert result["known_at"].tolist() == [12, 22]
    run = ft.source("left").window_join(ft.source("right"), 2, 2, agg={"x": ("x", "sum")}).start()
    assert run(left=left, right=right[:3]) is None
    assert run(right=right[3:])["x"].tolist() == [6]
    assert run.flush()["x"].tolist() == [0]


def test_sums_of_whole_numbers_are_exact_or_refused() -> None:
    left = pd.DataFrame({"symbol": "A", "ts": [1]})
    right = pd.DataFrame({"symbol": "A", "ts": [1, 1, 1], "x": [2**62, 2**62 - 1, -(2**61) + 1]})
    total = ft.window_join(left, right, 0, agg={"x": ("x", "sum")})["x"]
    assert total.tolist() == [2**63 - 2**61]
    with pytest.raises(ft.DataError, match="sum of column 'x' is beyond int64 in the window of row 0"):
        ft.window_join(left, right.assign(x=2**62), 0, agg={"x": ("x", "sum")})
    flags = ft.window_join(left, right.assign(x=[True, False, True]), 0, agg={"x": ("x", "sum")})
    assert flags["x"].tolist() == [2]


def test_an_end_of_a_window_beyond_all_times_is_the_last_one() -> None:
    most = np.iinfo(np.int64).max
    left = pd.DataFrame({"symbol": "A", "ts": np.array([-most + 1, most - 1])})
    right = pd.DataFrame({"symbol": "A", "ts": np.array([-most, most]), "x": 1})
    result = ft.window_join(left, right, 10, 10, agg={"x": ("x", "count")}, unit="ns")
    assert result["x"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"agg": {}}, "must say what columns come to"),
        ({"agg": {"n": "price"}}, "must be a column and what it comes to"),
        ({"agg": {"n": ("price", "median")}}, "must be one of count, sum"),
        ({"agg": {"n": ("price", "sum", "size")}}, "only a mean is weighted"),
        ({"before": "-1s"}, "before='-1s' must not be negative"),
        ({"after": "a while"}, "after='a while' is not a duration"),
    ],
)
def test_options_that_are_wrong_are_told(given: dict[str, Any], message: str) -> None:
    how = {"before": "1s", "agg": {"n": ("price", "count")}, **given}
    frame = pd.DataFrame({"symbol": ["A"], "ts": [1], "price": [1.0]})
    with pytest.raises(ft.ParameterError, match=message):
        ft.window_join(frame, frame, **how)
    with pytest.raises(ft.ParameterError, match=message):
        ft.source("left").window_join(ft.source("right"), **how)


def test_columns_that_are_wrong_are_told() -> None:
    frame = pd.DataFrame({"symbol": ["A"], "ts": [1], "price": [1.0], "note": ["a"]})
    with pytest.raises(ft.ColumnError, match="no column 'prise' on the right"):
        ft.window_join(frame, frame, 1, agg={"n": ("prise", "count")})
    for name in ("price", "known_at"):
        with pytest.raises(ft.ColumnError, match=f"two columns called '{name}'"):
            ft.window_join(frame, frame, 1, agg={name: ("price", "count")})
    with pytest.raises(ft.DataError, match="'note' on the right must hold numbers for 'sum'"):
        ft.window_join(frame, frame, 1, agg={"n": ("note", "sum")})
    with pytest.raises(ft.DataError, match="numbers beyond int64"):
        ft.window_join(frame, frame.assign(price=np.array([2**63], "uint64")), 1, agg={"n": ("price", "sum")})
    with pytest.raises(ft.DataError, match="holds int times in the left frame and aware ones"):
        ft.window_join(frame, frame.assign(ts=pd.to_datetime([1], utc=True)), 1, agg={"n": ("price", "sum")})
