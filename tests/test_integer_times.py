"""Event times as integers: in a unit that is said, or nanoseconds that look like nothing else."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from tests.frames import same, ticks

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
WINDOWED = (ft.rolling_mean("price", window="7s"), ft.ewma("price", span=5))
BARS = ft.time_bars(frequency="10s")


def seconds(unit: str, kind: str = "int64") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ticks on whole seconds of 2024 with integer times, and the same with timestamps."""
    aware = ticks().reset_index(drop=True).drop(columns=["venue", "note"])
    whole = aware["ts"].dt.floor("s")
    aware["ts"] = whole + (pd.Timestamp("2024-01-02", tz="UTC") - whole[0])
    return aware.assign(ts=(aware["ts"].astype("int64") // UNITS[unit]).astype(kind)), aware


def as_integers(times: Any, unit: str) -> Any:
    return (pd.Series(times).astype("int64") // UNITS[unit]).to_numpy()


@pytest.mark.parametrize("kind", ["int64", "Int64", "uint64", "int64[pyarrow]"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_gives_the_bits_of_the_same_timestamps(unit: str, kind: str) -> None:
    frame, aware = seconds(unit, kind)
    expected = ft.Pipeline(*WINDOWED)(aware)
    result = ft.Pipeline(*WINDOWED, unit=unit)(frame)
    same(result.drop(columns="ts"), expected.drop(columns="ts"))
    assert_array_equal(result["ts"], frame["ts"])


@pytest.mark.parametrize("sort", ["pandas", "table", "batch", "dict", "run", "chain", "shuffle"])
@pytest.mark.parametrize("unit", UNITS)
def test_emitted_times_come_in_the_unit_of_the_ticks(unit: str, sort: str) -> None:
    frame, aware = seconds(unit)
    expected = ft.Pipeline(BARS)(aware)
    bars = ft.Pipeline(BARS, unit=unit)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    known_at: Any
    if sort in ("chain", "shuffle"):
        lazy = bars(dd.from_pandas(frame, npartitions=3), plan=sort)
        result = lazy.compute(scheduler="sync").sort_values(["symbol", "ts"], ignore_index=True)
        expected = expected.sort_values(["symbol", "ts"], ignore_index=True)
        assert lazy.dtypes.astype(str).tolist() == result.dtypes.astype(str).tolist()
    elif sort == "run":
        run = bars.start()
        result = pd.concat([run(frame[:200]), run(frame[200:]), run.flush()], ignore_index=True)
    else:
        given = {"pandas": frame, "table": table, "batch": table.to_batches()[0], "dict": dict(frame.items())}
        result = bars(given[sort])
    if isinstance(result, pa.Table | pa.RecordBatch):
        assert result.schema.field("known_at").type == pa.int64()
        known_at = result.column("known_at").to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    else:
        known_at = pd.Series(result["known_at"])
        assert known_at.dtype == "Int64"
    assert_array_equal(np.asarray(result["ts"], "i8"), as_integers(expected["ts"], unit))
    assert_array_equal(known_at.isna(), expected["known_at"].isna())
    assert known_at.isna().any()
    finished = expected["known_at"].notna().to_numpy()
    assert_array_equal(known_at[finished].astype("int64"), as_integers(expected["known_at"][finished], unit))


def test_a_peek_at_a_dict_joins_what_is_finished_and_what_is_not() -> None:
    frame, _ = seconds("ms")
    bars = ft.Pipeline(BARS, unit="ms")
    peeked = bars.start().peek({name: frame[name].to_numpy() for name in frame})
    assert isinstance(peeked, dict)
    same(pd.DataFrame(peeked), bars(frame).astype({"symbol": "str"}))


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("hole", ["none", "zero", "null", "zero and null"])
def test_another_unit_than_nanoseconds_is_not_taken_for_them(unit: str, hole: str) -> None:
    frame, _ = seconds(unit, "Int64")
    if "zero" in hole:
        frame.loc[:40, "ts"] = 0
    if "null" in hole:
        frame.loc[50:450, "ts"] = pd.NA
    first = 41 if "zero" in hole else 0
    message = f"Column 'ts' looks like .*seconds: {frame['ts'][first]} at row {first} would be 2024-01-02T.*{unit!r}"
    for entrance in (
        ft.Pipeline(*WINDOWED),
        ft.Pipeline(*WINDOWED).start().accept,
        ft.Pipeline(BARS).start().peek,
        lambda frame: ft.Pipeline(BARS)(pa.Table.from_pandas(frame)),
        lambda frame: ft.Pipeline(BARS)(dict(frame.items())),
        lambda frame: ft.Pipeline(BARS)(dd.from_pandas(frame, npartitions=1)).compute(scheduler="sync"),
    ):
        with pytest.raises(ft.DataError, match=message):
            entrance(frame)


@pytest.mark.parametrize("plan", ["chain", "shuffle"])
def test_a_wrong_unit_is_found_in_every_plan(plan: str) -> None:
    frame, _ = seconds("ms")
    lazy = ft.Pipeline(*WINDOWED)(dd.from_pandas(frame, npartitions=3), plan=plan)
    with pytest.raises(ft.DataError, match=r"Partition \d: Column 'ts' looks like milliseconds"):
        lazy.compute(scheduler="sync")


@pytest.mark.parametrize(
    ("values", "looks"),
    [
        ([0, 1, 2], None),
        ([0, 631_151_999], None),
        ([0, 631_152_000], "seconds: 631152000 at row 1 would be 1990-01-01T00:00:00"),
        ([4_102_444_799], "seconds"),
        ([4_102_444_800], None),
        ([631_151_999_999], None),
        ([631_152_000_000], "milliseconds"),
        ([4_102_444_799_999], "milliseconds"),
        ([4_102_444_800_000], None),
        ([631_151_999_999_999], None),
        ([631_152_000_000_000], "microseconds"),
        ([4_102_444_799_999_999], "microseconds"),
        ([4_102_444_800_000_000, 1_704_189_598_000_000_000], None),
        ([1_704_189_598_000_000_000, 1_704_189_599], "seconds: 1704189599 at row 1"),
    ],
)
def test_where_a_unit_begins_and_ends(values: list[int], looks: str | None) -> None:
    frame = {"symbol": list("ABC")[: len(values)], "ts": values, "price": np.ones(len(values))}
    if looks is None:
        assert_array_equal(ft.Pipeline(*WINDOWED)(frame)["ts"], values)
    else:
        with pytest.raises(ft.DataError, match=f"Column 'ts' looks like {looks}"):
            ft.Pipeline(*WINDOWED)(frame)
    # A unit that is given is taken at its word.
    assert_array_equal(ft.Pipeline(*WINDOWED, unit="ns")(frame)["ts"], values)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_times_that_do_not_fit_are_refused_with_their_row(unit: str) -> None:
    most = (2**63 - 1) // UNITS[unit]
    pipeline = ft.Pipeline(ft.ewma("price", span=5), unit=unit)
    for values in ([-most, most], [-most, 0]):
        pipeline({"symbol": ["A", "A"], "ts": values, "price": [1.0, 2.0]})
    for wrong in (most + 1, -most - 1):
        with pytest.raises(ft.DataError, match=f"Column 'ts' .*int64 nanoseconds cannot: {wrong} {unit} at row 1"):
            pipeline({"symbol": ["A", "B"], "ts": [0, wrong], "price": [1.0, 2.0]})


def test_bars_that_start_between_units_are_rounded_down() -> None:
    frame = {"symbol": ["A"] * 3, "ts": [-1, 1, 3], "price": [1.0, 2.0, 3.0], "size": [1.0] * 3}
    bars = ft.Pipeline(ft.time_bars(frequency="1500ms"), unit="s")(frame)
    assert_array_equal(bars["ts"], [-2, 0, 3])


def test_the_unit_is_part_of_the_pipeline() -> None:
    plain, ms = ft.Pipeline(*WINDOWED), ft.Pipeline(*WINDOWED, unit="ms")
    assert ms != plain
    assert ft.Pipeline.from_json(ms.to_json()) == ms
    assert "unit='ms'" in repr(ms)
    assert "unit" not in repr(plain)
    assert (ms | ft.midprice()).unit == "ms"
    with pytest.raises(ft.PipelineError, match="do not fit together"):
        ms | plain
    with pytest.raises(ft.StateError, match="another pipeline"):
        ms.start(plain.start().state)
    for wrong in ("m", "seconds", 3, ["ms"], pd.Timedelta("1ms")):
        with pytest.raises(ft.ParameterError, match=r"unit=.* must be one of 's', 'ms', 'us', 'ns'"):
            ft.Pipeline(*WINDOWED, unit=wrong)
    with pytest.raises(ft.PipelineError, match="time=None leaves it without one"):
        ft.Pipeline(ft.midprice(), time=None, unit="ms")
