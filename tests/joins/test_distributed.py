"""As-of joins of Dask frames give the bits of the join in memory, however both sides are partitioned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.dataframe.dask_expr.io.parquet import ReadParquet
from distributed import Client

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.shuffle import PartitionBySymbol
from tests.frames import same
from tests.joins.feeds import Options, feed
from tests.joins.layouts import as_pandas, by_symbol, by_time, split, unknown
from tests.stress import crossed

HOW: list[Options] = [
    {},
    {"tolerance": "3ns", "allow_exact_matches": False},
    {"direction": "forward"},
    {"direction": "forward", "allow_exact_matches": False},
    {"direction": "nearest", "tolerance": "3ns"},
    {"direction": "nearest", "allow_exact_matches": False},
]


@pytest.fixture(autouse=True)
def plain() -> Any:
    with dask.config.set({"scheduler": "threads", "dataframe.convert-string": False}):
        yield


@pytest.fixture(scope="module")
def both() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    left, right = feed(rng, 90, 5), feed(rng, 130, 4)
    left["symbol"] = left["symbol"].replace("S00", "only left")
    return left, right.assign(kind=pd.Categorical(rng.choice(["x", "y"], 130)))


@pytest.mark.parametrize(
    ("layout", "route"),
    [(by_time, "by time"), (by_symbol, "by symbol"), (unknown, "shuffle"), (as_pandas, "whole right")],
)
def test_the_route_is_told(both: tuple[pd.DataFrame, pd.DataFrame], layout: Callable[..., Any], route: str) -> None:
    left, right = by_time(both[0], 3), layout(both[1], 4)
    plan = ft.asof_explain(left, right)
    assert plan.name == route
    assert plan.chunks == f"left 3 partitions, right {'one frame' if route == 'whole right' else '4 partitions'}"
    assert ("stays where it is" in plan.how) == (layout in (by_time, by_symbol))
    if layout is not as_pandas:
        shuffles = [e for e in ft.asof_join(left, right).expr.walk() if isinstance(e, PartitionBySymbol)]
        assert bool(shuffles) == (route in ("shuffle", "by symbol"))
        assert ft.asof_explain(left, right.repartition(npartitions=1)).reason == "right is one partition"
    with pytest.raises(ft.ColumnError, match="no column 'time' on the left"):
        ft.asof_explain(left, right, time="time")


@crossed(how=HOW, partitions=[(1, 1), (2, 7), (7, 2), (7, 7)], layout=[by_time, by_symbol, unknown])
def test_partitions_do_not_matter(
    both: tuple[pd.DataFrame, pd.DataFrame], how: Options, partitions: tuple[int, int], layout: Callable[..., Any]
) -> None:
    left, right = both
    here, there = by_time(left, partitions[0]), layout(right, partitions[1])
    # The order of partitions is the order of rows, and says which of several at one instant is the last.
    result = ft.asof_join(left, there.compute().sort_values("ts", kind="stable"), **how)
    lazy = ft.asof_join(here, there, **how)
    assert lazy.npartitions == here.npartitions
    assert lazy.dtypes.equals(result.dtypes)
    same(lazy.compute(), result)


def test_without_symbols_time_tells_which_partition_answers(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    left, right = (frame.drop(columns="symbol") for frame in both)
    for how in HOW:
        joined = ft.asof_join(by_time(left, 3), by_time(right, 4), by=None, **how)
        same(joined.compute(), ft.asof_join(left, right, by=None, **how))


@pytest.mark.parametrize("layout", [by_symbol, unknown])
def test_left_keeps_its_partitions_whatever_they_are(
    both: tuple[pd.DataFrame, pd.DataFrame], layout: Callable[..., Any]
) -> None:
    left, right = both
    here = layout(left, 4)
    joined = ft.asof_join(here, by_time(right, 3))
    for part, whole in zip(joined.partitions, here.partitions, strict=True):
        same(part.compute()[list(left.columns)], whole.compute())
    same(joined.compute(), ft.asof_join(left, right).loc[here.compute().index])


def test_right_may_be_a_pandas_frame(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    left, right = both
    same(ft.asof_join(by_time(left, 3), right).compute(), ft.asof_join(left, right))
    with pytest.raises(ft.PipelineError, match="left must be one too, not DataFrame"):
        ft.asof_join(left, by_time(right, 3))


@pytest.mark.parametrize("partitions", [1, 3])
def test_no_more_is_read_than_is_asked_for(
    both: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path, partitions: int
) -> None:
    sides = []
    for name, frame in zip(("left", "right"), both, strict=True):
        by_time(frame, partitions).to_parquet(tmp_path / name, write_index=False)
        sides.append(dd.read_parquet(tmp_path / name))
    joined = ft.asof_join(*sides, suffixes=("_l", "_r"))
    whole = ft.asof_join(*both, suffixes=("_l", "_r")).reset_index(drop=True)
    for columns, read in (
        (["price_r"], ["price", "symbol", "ts"]),
        (["kind"], ["kind", "symbol", "ts"]),
        (["ts", "id_l"], ["id", "symbol", "ts"]),
    ):
        lazy = joined[columns]
        leaves = list(lazy.simplify().expr.find_operations(ReadParquet))
        assert sorted({name for leaf in leaves for name in leaf.columns}) == read
        same(lazy.compute().reset_index(drop=True), whole[columns])


def test_empty_partitions_are_no_trouble(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    left, right = both
    here, there = (by_time(frame, 4) for frame in both)
    late = right["ts"].iloc[60]
    joined = ft.asof_join(here[here["symbol"] == "S01"], there[there["ts"] > late])
    same(joined.compute(), ft.asof_join(left[left["symbol"] == "S01"], right[right["ts"] > late]))
    assert ft.asof_join(here, there[there["symbol"] == "none"]).compute()["price_right"].isna().all()


def test_nothing_is_computed_before_it_is_asked_for(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    def never(part: pd.DataFrame) -> pd.DataFrame:
        raise AssertionError("computed")

    sides = [dd.from_map(never, split(frame, 3), meta=frame.iloc[:0]) for frame in both]
    joined = ft.asof_join(*sides, direction="nearest")
    summary = ft.asof_summary(*sides)
    for lazy in (joined, summary):
        with pytest.raises(AssertionError, match="computed"):
            lazy.compute()


@pytest.mark.parametrize("layout", [by_time, by_symbol, unknown])
def test_summary_is_that_of_the_whole(both: tuple[pd.DataFrame, pd.DataFrame], layout: Callable[..., Any]) -> None:
    left, right = both
    how: Options = {"tolerance": "2ns", "allow_exact_matches": False}
    summary = ft.asof_summary(by_time(left, 3), layout(right, 4), **how).compute()
    assert summary == ft.asof_summary(left, right, **how)


def first_backwards(frame: pd.DataFrame) -> tuple[str, int]:
    """Return the symbol and the position of the first row that is earlier than one of its symbol before it."""
    latest: dict[str, pd.Timestamp] = {}
    for row, (symbol, ts) in enumerate(zip(frame["symbol"], frame["ts"], strict=True)):
        if ts < latest.get(symbol, ts):
            return symbol, row
        latest[symbol] = ts
    raise AssertionError("in order")


def test_disorder_is_found_out_as_it_runs(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    left, right = both
    swapped = right.iloc[[*range(100), 129, *range(100, 129)]]
    symbol, row = first_backwards(swapped)
    for there in (by_time(swapped, 1), swapped):
        with pytest.raises(
            ft.DataError, match=f"right frame: column 'ts' goes backwards for symbol '{symbol}' at row {row} "
        ):
            ft.asof_join(by_time(left, 2), there).compute()
    # Claimed to be in time order by divisions of an index that does not tell the truth.
    lying = dd.from_map(
        lambda part: part, split(right.set_index("ts"), 3)[::-1], meta=right.set_index("ts").iloc[:0],
        divisions=[right["ts"].iloc[0], right["ts"].iloc[40], right["ts"].iloc[80], right["ts"].iloc[-1]],
    ).reset_index()  # fmt: skip
    with pytest.raises(ft.DataError, match=r"Partition 1 of right starts at .* before partition 0 ends"):
        ft.asof_join(by_time(left, 2), lying).compute()
    backwards = by_time(left.iloc[::-1], 2)
    with pytest.raises(ft.DataError, match=r"left frame: column 'ts' goes backwards .*Partition \d of left"):
        ft.asof_join(backwards, by_time(right, 3)).compute()


@pytest.mark.parametrize("layout", [by_time, by_symbol, unknown])
def test_symbols_of_another_sort_are_no_mere_strangers(
    both: tuple[pd.DataFrame, pd.DataFrame], layout: Callable[..., Any]
) -> None:
    """Not one row would find a match, without a word."""
    left, right = both
    numbered = left.assign(symbol=left["symbol"].str.len())
    with pytest.raises(ft.DataError, match="one is a string, one an integer"):
        ft.asof_join(by_time(numbered, 2), layout(right, 3)).compute()


def test_row_numbers_in_errors_are_those_of_the_partition(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    left, right = both
    bad = right.copy()
    bad.iloc[100, bad.columns.get_loc("symbol")] = None
    for direction in ("backward", "forward"):
        with pytest.raises(ft.DataError, match=r"no symbol at row 35.*Partition 1 of right"):
            ft.asof_join(by_time(left, 2), by_time(bad, 2), direction=direction).compute()


def test_what_is_wrong_with_columns_is_said_at_once(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    left, right = (by_time(frame, 2) for frame in both)
    with pytest.raises(ft.ColumnError, match="no column 'symbol' in the right frame"):
        ft.asof_join(left, right.drop(columns="symbol"))
    with pytest.raises(ft.DataError, match="naive times in the left frame and aware ones in the right"):
        ft.asof_join(left.assign(ts=left["ts"].dt.tz_localize(None)), right)
    with pytest.raises(ft.PipelineError, match="not known to be in time order"):
        ft.asof_join(left, unknown(both[1], 3), by=None)


@pytest.mark.parametrize("backwards", [False, True])
def test_recorded_ticks_in_files_on_processes(real_data: Path, client: Client, tmp_path: Path, backwards: bool) -> None:
    sides = {}
    for name, files in (("trades", 3), ("quotes", 5)):
        frame = pd.read_parquet(real_data / "market_ticks" / f"{name}.parquet").rename(columns={"received_at": "ts"})
        folder = tmp_path / name
        folder.mkdir()
        for number, part in enumerate(split(frame, files)):
            # Named against the order of time, which the files' statistics still tell.
            called = files - number if backwards and name == "quotes" else number
            part.to_parquet(folder / f"{called}.parquet", index=False)
        sides[name] = frame, dd.read_parquet(folder)
    (trades, here), (quotes, there) = sides.values()
    result = ft.asof_join(trades, quotes)
    joined = ft.asof_join(here, there)
    same(joined.compute().reset_index(drop=True), result)
    same(joined[["ask_price"]].compute().reset_index(drop=True), result[["ask_price"]])
