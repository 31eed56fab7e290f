"""A symbol's place: how many partitions there are, which one has it, and that it is the same one tomorrow."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import fintech_toolkit as ft

PLAIN = {"scheduler": "sync", "dataframe.shuffle.method": "tasks"}


@pytest.fixture(autouse=True)
def _in_this_thread() -> Any:
    with dask.config.set(PLAIN):
        yield


def day(symbols: list[Any], rows_each: list[int] | None = None) -> pd.DataFrame:
    counts = rows_each or [3] * len(symbols)
    names = [symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)]
    return pd.DataFrame({"symbol": names, "ts": pd.to_datetime(np.arange(len(names)), unit="s", utc=True)})


def names(count: int) -> list[str]:
    return [f"S{k:03d}" for k in range(count)]


def places(ddf: Any) -> dict[Any, int]:
    """Where every symbol really is."""
    parts = dask.compute(*ddf.to_delayed())
    found = [(symbol, number) for number, part in enumerate(parts) for symbol in part["symbol"].unique()]
    assert len(dict(found)) == len(found)
    return dict(found)


def by_hash(symbol: Any, npartitions: int) -> int:
    """The documented hash, another way: 64 bits of BLAKE2b, big-endian."""
    text = hashlib.blake2b(str(symbol).encode("utf-8"), digest_size=8).hexdigest()
    return int(text, 16) % npartitions


WRITERS = ["partition_by_symbol", "write_partitioned, pandas", "write_partitioned, dask"]


def parted(how: str, frame: pd.DataFrame, path: Path, npartitions: Any = None, **options: Any) -> Any:
    ddf = dd.from_pandas(frame, npartitions=2)
    if how == "partition_by_symbol":
        return ft.partition_by_symbol(ddf, npartitions, **options)
    ft.write_partitioned(frame if "pandas" in how else ddf, path, npartitions=npartitions, overwrite=True, **options)
    return ft.read_partitioned(path)


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("npartitions", [0, -1, True, False, np.bool_(True), 2.0, np.float64(2), "2", [2], np.int64(0)])
def test_a_number_of_partitions_that_is_none(how: str, npartitions: Any, tmp_path: Path) -> None:
    with pytest.raises(ft.ParameterError, match=r"npartitions=.* must be a whole number of at least 1"):
        parted(how, day(["A", "B"]), tmp_path / "set", npartitions)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("npartitions", [1, 2, np.int64(3), np.uint8(2), 9])
def test_a_number_of_partitions(how: str, npartitions: Any, tmp_path: Path) -> None:
    """Also more than there are symbols: the others are empty."""
    ddf = parted(how, day(["A", "B"]), tmp_path / "set", npartitions)
    assert ddf.npartitions == npartitions
    assert len(ddf) == 6
    assert set(places(ddf)) == {"A", "B"}


@pytest.mark.parametrize(("rows", "files"), [(0, 1), (1_000_000, 1), (1_000_001, 2)])
def test_left_out_there_is_a_file_for_every_million_rows(rows: int, files: int, tmp_path: Path) -> None:
    frame = pd.DataFrame({"symbol": "A", "ts": pd.to_datetime(np.arange(rows), utc=True)})
    ft.write_partitioned(frame.assign(symbol=frame["symbol"].astype("str")), tmp_path / "set")
    assert ft.read_partitioned(tmp_path / "set").npartitions == files


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("symbols", [names(60), [10**15 + k for k in range(60)], ["é", "", "a b", "日本"]])
def test_by_hash_a_symbol_has_the_place_that_is_documented(how: str, symbols: list[Any], tmp_path: Path) -> None:
    ddf = parted(how, day(symbols), tmp_path / "set", 7, assignment="hash")
    assert places(ddf) == {symbol: by_hash(symbol, 7) for symbol in symbols}
    fewer = parted(how, day(symbols[1::2]), tmp_path / "set", 7, assignment="hash")
    assert places(fewer) == {symbol: by_hash(symbol, 7) for symbol in symbols[1::2]}


def test_the_hash_is_the_same_in_every_process() -> None:
    """Known answers: a change would move every symbol of every data set there is."""
    code = (
        "import pandas as pd, fintech_toolkit as ft\n"
        "from fintech_toolkit.engines.dask.assignment import hashed\n"
        "print([hashed(symbol, 1000) for symbol in ['AAPL', 'US912810TM09', '', 'é', 0, -5, 2**63]])"
    )
    for seed in ("0", "12345"):
        said = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        assert said.stdout.decode().strip() == "[236, 375, 876, 743, 789, 270, 250]"


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("rule", ["balanced", "hash"])
def test_the_same_symbol_in_the_same_partition_tomorrow(how: str, rule: str, tmp_path: Path) -> None:
    """Three days: symbols come, go and come again, their rows change; none of them moves."""
    first, second, third = names(40), names(60)[20:], names(80)
    ft.write_partitioned(day(first, list(range(1, 41))), tmp_path / "1", npartitions=5, assignment=rule)
    one = places(ft.read_partitioned(tmp_path / "1"))
    assert {symbol: ft.partition_of(tmp_path / "1", symbol) for symbol in first} == one
    rows = list(range(40, 0, -1))
    two = places(parted(how, day(second, rows), tmp_path / "2", assignment=tmp_path / "1"))
    assert {symbol: two[symbol] for symbol in first[20:]} == {symbol: one[symbol] for symbol in first[20:]}
    if rule == "hash":
        assert two == {symbol: by_hash(symbol, 5) for symbol in second}
    if how == WRITERS[0]:
        return
    # Those of the first day that did not trade on the second still have their places.
    assert ft.partition_of(tmp_path / "2", first[0]) == one[first[0]]
    assert first[0] not in ft.read_partitioned(tmp_path / "2")["symbol"].cat.categories
    three = places(parted(how, day(third), tmp_path / "3", assignment=str(tmp_path / "2")))
    assert one.items() <= three.items()
    assert two.items() <= three.items()


def test_new_symbols_fill_the_emptiest_partitions() -> None:
    earlier = {"A": 0, "B": 1, "C": 2}
    frame = day(["A", "B", "C", "new", "small"], [100, 10, 50, 45, 20])
    found = places(ft.partition_by_symbol(dd.from_pandas(frame, npartitions=1), assignment=earlier))
    # 100, 10, 50 rows; the larger one to the second (55), the smaller to the third (70): the emptiest each time.
    assert found == {**earlier, "new": 1, "small": 2}


def test_where_symbols_were_may_be_said_in_many_ways(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(day(names(20), list(range(1, 21))), path, npartitions=4)
    one = places(ft.read_partitioned(path))
    tomorrow = dd.from_pandas(day(names(25)), npartitions=2)
    lazy = ft.read_partitioned(path)
    for earlier in (path, str(path), lazy, lazy[["symbol", "ts"]], one, pd.Series(one)):
        assert one.items() <= places(ft.partition_by_symbol(tomorrow, assignment=earlier)).items()
    assert ft.partition_by_symbol(tomorrow, assignment=path).npartitions == 4
    assert ft.partition_by_symbol(tomorrow, 6, assignment=path).npartitions == 6
    assert ft.partition_by_symbol(tomorrow).npartitions == 2
    numbers = pd.Series({np.int64(7): 1, np.int64(8): 0})
    integers = dd.from_pandas(day([8, 7]), npartitions=1)
    assert places(ft.partition_by_symbol(integers, assignment=numbers)) == {7: 1, 8: 0}


@pytest.mark.parametrize(
    ("assignment", "npartitions", "error", "why"),
    [
        ("hsah", 2, ft.ParameterError, "'hsah' must be 'balanced', 'hash'"),
        (3, 2, ft.ParameterError, "int does not say"),
        (None, 2, ft.ParameterError, "NoneType does not say"),
        ({"A": -1}, None, ft.ParameterError, "'A' is in partition -1"),
        ({"A": 0.0}, None, ft.ParameterError, "'A' is in partition 0.0"),
        ({"A": True}, None, ft.ParameterError, "'A' is in partition True"),
        ({"A": 0, 1: 0}, None, ft.ParameterError, "all strings or all integers"),
        ({1.5: 0}, None, ft.ParameterError, "all strings or all integers"),
        (pd.Series([0, 1], ["A", "A"]), None, ft.ParameterError, "twice"),
        ({"A": 4}, 4, ft.ParameterError, "has 5 partitions; leave it out"),
        ({7: 0}, None, ft.DataError, "one is a string, one an integer"),
    ],
)
def test_an_assignment_that_cannot_be(assignment: Any, npartitions: Any, error: Any, why: str, tmp_path: Path) -> None:
    frame = day(["A", "B"])
    with pytest.raises(error, match=why):
        ft.write_partitioned(frame, tmp_path / "set", assignment=assignment, npartitions=npartitions)
    ddf = dd.from_pandas(frame, npartitions=2)
    with pytest.raises(error, match=why):
        ft.partition_by_symbol(ddf, npartitions, assignment=assignment).compute()
    assert not (tmp_path / "set").exists()


def test_by_hash_the_number_of_partitions_cannot_change(tmp_path: Path) -> None:
    ft.write_partitioned(day(names(9)), tmp_path / "set", npartitions=3, assignment="hash")
    for npartitions in (2, 4):
        with pytest.raises(ft.ParameterError, match="3 partitions by hash"):
            ft.write_partitioned(day(names(9)), tmp_path / "two", npartitions=npartitions, assignment=tmp_path / "set")
    ft.write_partitioned(day(names(9)), tmp_path / "two", npartitions=3, assignment=tmp_path / "set")
    with pytest.raises(ft.DataError, match="not written by write_partitioned"):
        ft.write_partitioned(day(names(9)), tmp_path / "three", assignment=tmp_path)


def test_partition_of(tmp_path: Path) -> None:
    path = tmp_path / "set"
    frame = day(names(12), list(range(1, 13)))
    ft.write_partitioned(frame, path, npartitions=4)
    lazy = ft.partition_by_symbol(dd.from_pandas(frame, npartitions=2), 4)
    for data in (path, str(path), ft.read_partitioned(path), lazy):
        ddf = lazy if data is lazy else ft.read_partitioned(path)
        assert {symbol: ft.partition_of(data, symbol) for symbol in names(12)} == places(ddf)
    with pytest.raises(ft.DataError, match=r"no symbol 'S01'\. Did you mean"):
        ft.partition_of(path, "S01")
    for symbol in ("", "ZZZ"):
        with pytest.raises(ft.DataError, match="no symbol"):
            ft.partition_of(path, symbol)
    with pytest.raises(ft.DataError, match="one is a string, one an integer"):
        ft.partition_of(path, 5)
    for data in (ft.read_partitioned(path).partitions[1:], dd.from_pandas(frame, npartitions=2), frame, 7):
        with pytest.raises(ft.ParameterError, match="does not say which partition"):
            ft.partition_of(data, "S001")
    ft.write_partitioned(day([7, 8]), path, npartitions=2, overwrite=True)
    assert {ft.partition_of(path, np.int64(7)), ft.partition_of(path, 8)} == {0, 1}


@pytest.mark.parametrize("through", ["as it is", "filtered"])
def test_a_frame_that_is_by_symbol_is_written_as_it_is(through: str, tmp_path: Path) -> None:
    frame = day(names(30), list(range(1, 31)))
    parts = ft.partition_by_symbol(dd.from_pandas(frame, npartitions=3), 6, assignment="hash")
    if through == "filtered":
        parts = parts[parts["symbol"] != "S003"]
    ft.write_partitioned(parts, tmp_path / "1")
    # Without a word of the rule: it is known from the frame, and goes on to the next.
    again = ft.read_partitioned(tmp_path / "1")
    ft.write_partitioned(again[again["symbol"] != "S004"] if through == "filtered" else again, tmp_path / "2")
    ft.write_partitioned(day([*names(30), "new"]), tmp_path / "3", assignment=tmp_path / "2")
    found = places(ft.read_partitioned(tmp_path / "3"))
    assert found == {symbol: by_hash(symbol, 6) for symbol in [*names(30), "new"]}


def test_a_frame_that_says_so_wrongly_is_refused(tmp_path: Path) -> None:
    def part(number: int, columns: Any = None) -> pd.DataFrame:
        return day(["A", f"B{number}"])

    part.partitioned_by = "symbol"  # type: ignore[attr-defined]
    ddf = dd.from_map(part, range(2), meta=day([]).astype({"symbol": "str"}))
    with pytest.raises(ft.DataError, match="'A' is in two partitions"):
        ft.write_partitioned(ddf, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_integer_times_have_a_unit(tmp_path: Path) -> None:
    frame = day(["A", "B"])
    frame["ts"] = 1_704_189_598_123 + np.arange(len(frame))[::-1]
    ddf = dd.from_pandas(frame, npartitions=2)
    with pytest.raises(ft.DataError, match="'ts' looks like milliseconds"):
        ft.write_partitioned(frame, tmp_path / "set")
    with pytest.raises(ft.DataError, match="'ts' looks like milliseconds"):
        ft.partition_by_symbol(ddf, 2).compute()
    for call in (ft.write_partitioned, ft.partition_by_symbol):
        with pytest.raises(ft.ParameterError, match="unit='h' must be one of"):
            call(ddf, 2, unit="h")
    for source in (frame, ddf):
        ft.write_partitioned(source, tmp_path / "set", unit="ms", overwrite=True)
        got = ft.read_partitioned(tmp_path / "set").compute()
        assert got["ts"].dtype == "int64"
        assert sorted(got["ts"]) == sorted(frame["ts"])
        assert got.groupby("symbol", observed=True)["ts"].is_monotonic_increasing.all()
    parts = ft.partition_by_symbol(ddf, 2, unit="ms")
    assert all(part["ts"].is_monotonic_increasing for part in dask.compute(*parts.to_delayed()))
    assert sorted(parts.compute()["ts"]) == sorted(frame["ts"])
