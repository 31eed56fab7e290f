"""References that are partitioned by key on Dask: what those give that are sent whole, to the bit, and memory gives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from dask.dataframe.utils import UNKNOWN_CATEGORIES
from dask.sizeof import sizeof
from distributed import Client

import fintech_toolkit as ft
from fintech_toolkit.engines.dask import references
from tests.frames import same
from tests.live.topics import SECONDS
from tests.stress import crossed

TRADES, BONDS = ft.source("trades"), ft.source("bonds")
UNIT = pd.DatetimeTZDtype("s", "UTC")


def trades(rows: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Rows with keys of several types, of which some are missing and some are nowhere in the reference."""
    rng = np.random.default_rng(seed)
    number = rng.integers(-50, 300, rows)
    seconds = rng.integers(0, 7, rows) * 10**9 + rng.choice([0, 1], rows, p=[0.9, 0.1])
    return pd.DataFrame(
        {
            "isin": pd.array(np.where(rng.random(rows) < 0.1, None, [f"B{n}" for n in number]), dtype="str"),
            "number": number.astype(np.int32),
            "large": np.where(number % 3 == 0, 2**63 + 5, 7).astype(np.uint64),
            "day": pd.to_datetime(seconds, utc=True),
            "price": rng.normal(size=rows),
        },
        index=pd.Index(np.arange(rows)[::-1] // 2, name="row"),
    )


def bonds(seed: int = 1) -> pd.DataFrame:
    """One row a key, in no order, with values of all sorts; the last rows have no key."""
    rows = 700
    number = np.random.default_rng(seed).permutation(rows) // 2
    name = [f"B{n}" for n in number]
    return pd.DataFrame(
        {
            "isin": pd.array([*name[:-5], *[None] * 5], dtype="str"),
            "number": number.astype(np.uint64),
            "large": np.where(np.arange(rows) % 2, 2**63 + 5, 7).astype(np.uint64),
            "day": pd.array(pd.to_datetime(number % 7, unit="s", utc=True).astype(UNIT)),
            "rating": pd.Categorical([f"R{n // 90}" for n in range(rows)]),
            "issued": 2**60 + np.arange(rows),
            "listed": number % 2 == 0,
            "what": pd.Series([(n,) for n in range(rows)], dtype=object),
        }
    )


def alone(frame: pd.DataFrame, *on: str) -> pd.DataFrame:
    return frame.drop_duplicates(list(on), ignore_index=True)


def cut(frame: pd.DataFrame, partitions: int) -> list[pd.DataFrame]:
    """Parts of a frame, the second of them empty, whose categories are their own."""
    parts = [frame.iloc[rows] for rows in np.array_split(np.arange(len(frame)), partitions)]
    parts.insert(1, frame.iloc[:0])
    unlike = {name for name, kind in frame.dtypes.items() if kind == "category"}
    return [part.assign(**{name: part[name].cat.remove_unused_categories() for name in unlike}) for part in parts]


def lazy(frame: pd.DataFrame, partitions: int = 4) -> Any:
    """Partitions of which nobody knows how large they are."""
    unknown = {name: pd.CategoricalDtype([UNKNOWN_CATEGORIES]) for name in frame.select_dtypes("category")}
    return dd.from_map(lambda part: part, cut(frame, partitions), meta=frame.iloc[:0].astype(unknown))


def held(frame: pd.DataFrame) -> Any:
    return dd.from_pandas(frame, npartitions=3, sort=False)


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_WHOLE", 10_000)


def both_ways(flow: ft.Flow, monkeypatch: pytest.MonkeyPatch, **inputs: Any) -> tuple[Any, Any]:
    """What a flow gives of references that are sent whole, and that are partitioned."""
    found = []
    for most, name in ((2**30, "whole reference"), (5_000, "partitioned reference")):
        monkeypatch.setattr(references, "MOST_WHOLE", most)
        (plan,) = flow.explain(**inputs).plans.values()
        assert plan.name == name
        found.append(flow(**inputs))
    return found[0], found[1]


KEYS = [("day", "number", "large"), ("isin",), ("number", "large"), ("isin", "large")]


def kept(frame: pd.DataFrame) -> Any:
    return frame


@crossed(on=KEYS, how=["inner", "left"], reference=[held, kept])
def test_the_bits_of_those_sent_whole(
    on: tuple[str, ...], how: str, reference: Callable[[pd.DataFrame], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = trades(), alone(bonds(), *on)
    flow = TRADES.join(BONDS, on=list(on), how=how, select=["rating", "issued", "listed", "what"])
    expected = flow(trades=left, bonds=right)
    assert 100 < expected["issued"].notna().sum() < len(left)
    with dask.config.set({"dataframe.convert-string": False}, scheduler="sync"):
        here = lazy(left, 5)
        ways = both_ways(flow, monkeypatch, trades=here, bonds=reference(right))
        for result in ways:
            assert result.npartitions == here.npartitions
            assert result.dtypes.equals(expected.dtypes)
            same(result.compute(), expected)
        for whole, part in zip(dask.compute(*ways[0].partitions), ways[1].partitions, strict=True):
            same(part.compute(), whole)


def test_categories_that_differ_from_partition_to_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows how large such a reference is either, so it is partitioned unless it is one partition."""
    left, right = trades(), alone(bonds(), "isin")
    flow = TRADES.join(BONDS, on="isin", how="left", select=["rating"])
    with dask.config.set({"dataframe.convert-string": False}, scheduler="sync"):
        there = lazy(right, 6)
        (plan,) = flow.explain(trades=lazy(left), bonds=there).plans.values()
        assert (plan.name, plan.chunks) == (
            "partitioned reference", "left 5 partitions, reference 7 partitions in 7 pieces by key"
        )  # fmt: skip
        assert plan.reason == "nobody knows how large the reference is before it is read, and it is 7 partitions"
        whole = there.repartition(npartitions=1)
        (plan,) = flow.explain(trades=lazy(left), bonds=whole).plans.values()
        assert (plan.name, plan.reason) == ("whole reference", "the reference is one partition")
        same(flow(trades=lazy(left), bonds=there).compute(), flow(trades=lazy(left), bonds=whole).compute())


def test_rows_without_a_key_fill_no_piece() -> None:
    frame = pd.DataFrame(
        {"isin": [None, "A", None, "B", "A"], "day": pd.to_datetime([0, None, 0, 1, 2]), "v": range(5)}
    )
    for on, there in ((["isin"], [1, 3, 4]), (["day", "isin"], [3, 4]), (["day"], [0, 2, 3, 4])):
        pieces = references.split(frame, ["v"], on, 3, "left", 0)
        rows = pd.concat(pieces)
        assert len(pieces) == 3
        assert sorted(rows.index) == rows["v"].sort_values().tolist() == there


def test_times_that_nanoseconds_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    days = pd.Series(np.array(["3000-01-01", "1999-01-01", "4000-01-01", "2000-01-01"] * 50, "datetime64[s]"))
    left = pd.DataFrame({"day": days.astype("datetime64[ms]"), "price": 1.0})
    right = pd.DataFrame({"day": days.iloc[:4], "issued": range(4)})
    flow = TRADES.join(BONDS, on="day", how="left")
    monkeypatch.setattr(references, "MOST_WHOLE", 20)
    expected = flow(trades=left, bonds=right)
    assert expected["issued"].tolist() == [0, 1, 2, 3] * 50
    same(flow(trades=held(left), bonds=held(right)).compute(scheduler="sync"), expected)


@pytest.mark.parametrize("twice", [(3, 650), (3, 4)], ids=["in two partitions", "in one"])
def test_a_key_that_is_there_twice(twice: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    right = alone(bonds(), "number")
    right = pd.concat([right, right.assign(number=right["number"] + 350)], ignore_index=True)
    first, second = twice
    right.loc[second, "number"] = right.loc[first, "number"] = 12
    right.loc[(right["number"] == 12) & ~right.index.isin(twice), "number"] = 9_999
    flow = TRADES.join(BONDS, on="number", select=["issued"])
    left = trades().query("number != 12")
    asked = pd.concat([left, left.iloc[:1].assign(number=np.int32(12))])
    said = set()
    with dask.config.set(scheduler="sync"):
        for way in both_ways(flow, monkeypatch, trades=held(left), bonds=held(right)):
            assert len(way.compute()) == len(flow(trades=left, bonds=right))
        for way in both_ways(flow, monkeypatch, trades=held(asked), bonds=held(right)):
            with pytest.raises(ft.DataError, match="Key 12 of 'number' is there twice") as caught:
                way.compute()
            said.add(str(caught.value))
    (message,) = said
    assert f"at rows {first} and {second}:" in message
    assert message.endswith("(Partition 2 of left.)")


def test_what_is_wrong_with_keys(small_limit: None) -> None:
    flow = TRADES.join(BONDS, on="isin", select=["issued"])
    here, there = held(trades()), held(alone(bonds(), "isin"))
    with pytest.raises(ft.DataError, match=r"holds integers .* which are never equal"):
        flow(trades=here.assign(isin=here["number"]), bonds=there)
    with pytest.raises(ft.ColumnError, match="no column 'isin'"):
        flow(trades=here, bonds=there.drop(columns="isin"))
    with dask.config.set({"dataframe.convert-string": False}, scheduler="sync"):
        floats = [held(frame.assign(isin=np.full(len(frame), 0.5, object))) for frame in (trades(), bonds())]
        for message, inputs in (
            (r"Partition \d of left", {"trades": floats[0], "bonds": there}),
            (r"Partition \d of the reference", {"trades": here, "bonds": floats[1]}),
        ):
            with pytest.raises(ft.DataError, match=f"cannot be a key.*{message}"):
                flow(**inputs).compute()


def test_the_size_is_that_of_the_columns_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Footers tell of files, frames tell of themselves; nothing is computed."""
    right = alone(bonds(), "isin").drop(columns=["what", "rating"])
    for k, part in enumerate(np.array_split(np.arange(len(right)), 3)):
        right.iloc[part].to_parquet(tmp_path / f"{k}.parquet", index=False, row_group_size=50)
    flow = TRADES.join(BONDS, on="isin", select=["issued"], where=("listed", "==", True))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was computed")

    read = {"isin", "issued", "listed"}
    groups = [
        pq.read_metadata(path).row_group(g)
        for path in tmp_path.glob("*.parquet")
        for g in range(pq.read_metadata(path).num_row_groups)
    ]
    stored = sum(
        group.column(c).total_uncompressed_size
        for group in groups
        for c in range(group.num_columns)
        if group.column(c).path_in_schema in read
    )
    with dask.config.set({"dataframe.convert-string": False}, scheduler=refuse):
        for there, size in (
            (str(tmp_path), stored),
            (dd.read_parquet(tmp_path), stored),
            (dd.read_parquet(tmp_path, filesystem="arrow"), stored),
            (held(right), sizeof(right[["isin", "issued", "listed"]])),
        ):
            for most, name, pieces in (
                (size, "whole reference", ""),
                (size - 1, "partitioned reference", " in 2 pieces by key"),
            ):
                monkeypatch.setattr(references, "MOST_WHOLE", most)
                (plan,) = flow.explain(trades=held(trades()), bonds=there).plans.values()
                assert (plan.name, plan.chunks) == (name, f"left 3 partitions, reference 3 partitions{pieces}")
                assert plan.reason.startswith(f"the reference is {'large' if pieces else 'small'}: ")


def test_processes_and_a_worker_that_is_killed(client: Client, small_limit: None) -> None:
    left, right = trades(40_000), alone(bonds(), "isin").drop(columns="what")
    flow = TRADES.join(BONDS.rename({"number": "n", "large": "l", "day": "d"}), on="isin", how="left")
    expected = flow(trades=left, bonds=right)
    with dask.config.set({"dataframe.convert-string": False}):
        result = flow(trades=lazy(left, 12), bonds=held(right))
        same(result.compute(), expected)
        again = client.compute(flow(trades=lazy(left, 13), bonds=held(right)))
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        same(again.result(timeout=SECONDS), expected)
