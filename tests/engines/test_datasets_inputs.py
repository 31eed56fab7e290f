"""What data sets are made of: Arrow tables, indexes, Dask partitions that differ; and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft
from tests.engines.test_datasets_dtypes import DAYS, NA, NAN, PLAIN, read, stamps, wide
from tests.engines.ticks import parts_of

ARROW: dict[str, tuple[pa.Array, Any]] = {
    "int64 with nulls": (pa.array([2**53 + 1, None, -1, 0]), "Int64"),
    "int64 without": (pa.array([2**53 + 1, 1, -1, 0]), "Int64"),
    "uint16": (pa.array([1, None, 3, 4], pa.uint16()), "UInt16"),
    "bool": (pa.array([True, None, False, True]), "boolean"),
    "float": (pa.array([0.5, None, 1, 2], pa.float32()), "float32"),
    "string": (pa.array(["a", None, "", "é"]), "str"),
    "string_view": (pa.array(["a", None, "", "é"], pa.string_view()), "str"),
    "decimal": (pa.array([Decimal("1.10"), None, Decimal(2), Decimal(3)]), pd.ArrowDtype(pa.decimal128(3, 2))),
    "date": (pa.array(DAYS), pd.ArrowDtype(pa.date32())),
    "binary": (pa.array([b"a", None, b"", b"\xff"]), pd.ArrowDtype(pa.binary())),
    "list": (pa.array([[1], None, [], [2]]), pd.ArrowDtype(pa.list_(pa.int64()))),
    "timestamp": (pa.array([0, None, 1, 2], pa.timestamp("s", "Asia/Kolkata")), "datetime64[s, Asia/Kolkata]"),
    "naive": (pa.array([0, None, 1, 2], pa.timestamp("us")), "datetime64[us]"),
    "duration": (pa.array([0, None, 1, 2], pa.duration("ms")), "timedelta64[ms]"),
    **{
        f"dictionary, {width}": (
            pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 1], width), pa.array(["y", "x"])),
            pd.CategoricalDtype(["y", "x"]),
        )
        for width in (pa.uint8(), pa.uint32(), pa.int64())
    },
    "dictionary with a null, and one twice": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3], pa.int8()), pa.array(["x", None, "y", "x"])),
        pd.CategoricalDtype(["x", "y"]),
    ),
    "dictionary of int": (
        pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 1], pa.int8()), pa.array([2**60 + 1, 5])),
        pd.CategoricalDtype(pd.Index([2**60 + 1, 5])),
    ),
}


@pytest.mark.parametrize("name", list(ARROW))
def test_an_arrow_table_there_and_back(name: str, tmp_path: Path) -> None:
    values, comes_back = ARROW[name]
    keys = {"symbol": ["A", "A", "B", "C"], "ts": pa.array([1, 2, 1, 1], pa.timestamp("us", "UTC"))}
    table = pa.table({**keys, "x": values})
    for source in (table, table.combine_chunks().to_batches()[0], pa.concat_tables([table[:1], table[1:]])):
        ft.write_partitioned(source, tmp_path / "set", npartitions=2, overwrite=True)
        _, got = read(tmp_path / "set")
        assert got["x"].dtype == comes_back
        got = got.sort_values(["symbol", "ts"])["x"]
        missing = got.isna().tolist()
        plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
        plain = plain.cast(pa.string()) if name == "string_view" else plain
        assert missing == [value is None for value in plain.to_pylist()]
        expected = pa.array(got[~got.isna()].astype(object).tolist()) if name != "list" else pa.array(got.dropna())
        assert expected.cast(plain.type).to_pylist() == plain.drop_null().to_pylist()
    required = pa.schema(
        [pa.field("symbol", pa.string()), pa.field("ts", keys["ts"].type), pa.field("x", "int8", False)]
    )
    ft.write_partitioned(pa.table([*table.columns[:2], pa.array([1, 2, 3, 4], pa.int8())], required), tmp_path / "two")
    assert read(tmp_path / "two")[1]["x"].dtype == "int8"


INDEXES: dict[str, tuple[Any, list[str]]] = {
    "range": (pd.RangeIndex(4), []),
    "without a name": (pd.Index([4, 3, 2, 1]), []),
    "named": (pd.Index([4, 3, 2, 1], name="id"), ["id"]),
    "named range": (pd.RangeIndex(4, name="id"), ["id"]),
    "times": (pd.DatetimeIndex(stamps("ns", "UTC"), name="seen"), ["seen"]),
    "category": (pd.CategoricalIndex(["x", "y", "x", None], name="kind"), ["kind"]),
    "levels": (pd.MultiIndex.from_arrays([["a", "b", "c", "d"], [1, 2, 3, 4]], names=["u", "v"]), ["u", "v"]),
    "levels, one named": (pd.MultiIndex.from_arrays([["a", "b", "c", "d"], [1, 2, 3, 4]], names=[None, "v"]), ["v"]),
}


@pytest.mark.parametrize("name", list(INDEXES))
def test_named_levels_of_an_index_become_columns(name: str, tmp_path: Path) -> None:
    index, names = INDEXES[name]
    frame = wide()[["symbol", "ts", "int64"]].set_axis(index)
    ft.write_partitioned(frame, tmp_path / "set")
    _, got = read(tmp_path / "set")
    assert list(got.columns) == [*names, "symbol", "ts", "int64"]
    expected = frame.reset_index()[names]
    assert_frame_equal(got[names], expected, check_exact=True, check_freq=False)


def test_a_dask_index_becomes_a_column(tmp_path: Path) -> None:
    frame = wide()[["symbol", "ts", "int64"]].set_axis(pd.Index([1, 2, 3, 4], name="id"))
    with dask.config.set(PLAIN):
        ft.write_partitioned(parts_of(frame, [2]), tmp_path / "set")
    assert sorted(read(tmp_path / "set")[1]["id"]) == [1, 2, 3, 4]


def differing(*values: Any, meta: Any) -> Any:
    """A Dask frame whose partitions hold a column in other dtypes than it says."""
    frames = [
        pd.DataFrame(
            {
                "symbol": pd.Series([f"S{number}"] * len(part), dtype="str"),
                "ts": pd.to_datetime(range(len(part)), utc=True),
                "x": part,
            }
        )
        for number, part in enumerate(values)
    ]
    whole = frames[0].iloc[:0].assign(x=pd.Series([], dtype=meta))
    return dd.from_map(_Part(frames), range(len(frames)), meta=whole)


class _Part:
    """Partitions that are by symbol already, so that they are written one by one, as they are."""

    partitioned_by = "symbol"

    def __init__(self, frames: list[pd.DataFrame]) -> None:
        self.frames = frames

    def __call__(self, number: int, columns: Any = None) -> pd.DataFrame:
        return self.frames[number]


UNKNOWN = pd.CategoricalDtype(["__UNKNOWN_CATEGORIES__"])
ORDERED = pd.CategoricalDtype(["low", "high"], ordered=True)
DIFFERING: dict[str, tuple[list[Any], Any, Any]] = {
    "integers among floats": ([np.array([1, 2]), np.array([0.5, NAN])], "float64", "float64"),
    "narrow among wide": ([np.array([1, 2], "int8"), np.array([2**60])], "int64", "int64"),
    "objects among strings": (
        [pd.Series(["a", None], dtype=object), pd.array(["b"], dtype="string")],
        "string",
        "string",
    ),
    "categories among strings": ([pd.Categorical(["a", None]), pd.array(["b"], dtype="str")], "str", "str"),
    "strings among categories": (
        [pd.array(["a"], dtype="str"), pd.Categorical(["b"], ["b", "c"])],
        UNKNOWN,
        ["a", "b", "c"],
    ),
    "categories that differ": ([pd.Categorical(["b"], ["b", "a"]), pd.Categorical(["c"])], UNKNOWN, ["b", "a", "c"]),
    "more categories than said": (
        [pd.Categorical(["b"], ["b", "a"]), pd.Categorical(["c"])],
        pd.CategoricalDtype(["z"]),
        ["z", "b", "a", "c"],
    ),
    "ordered categories": ([pd.Categorical(["low"], dtype=ORDERED)] * 2, UNKNOWN, ORDERED),
    "no categories at all": ([pd.Categorical([None]), pd.Categorical([])], UNKNOWN, []),
    "Decimals of other scales": (
        [pd.Series([Decimal("1.5")], dtype=object), pd.Series([Decimal("100.25"), None], dtype=object)],
        object,
        object,
    ),
    "objects, one partition of none": (
        [pd.Series([None], dtype=object), pd.Series([b"x"], dtype=object)],
        object,
        object,
    ),
    "zones": (
        [stamps("ns", "Europe/Berlin"), stamps("us", "UTC")[2:].array],
        "datetime64[ns, UTC]",
        "datetime64[ns, UTC]",
    ),
    "nullable": ([pd.array([1, NA], dtype="Int64"), np.array([3])], "Int64", "Int64"),
}


@pytest.mark.parametrize("name", list(DIFFERING))
def test_partitions_of_differing_dtypes(name: str, tmp_path: Path) -> None:
    parts, meta, comes_back = DIFFERING[name]
    with dask.config.set(PLAIN):
        ft.write_partitioned(differing(*parts, meta=meta), tmp_path / "set")
    _, got = read(tmp_path / "set")
    if isinstance(comes_back, list):
        comes_back = pd.CategoricalDtype(pd.Index(comes_back, dtype="str"))
        assert list(got["x"].cat.categories) == list(comes_back.categories)
    assert got["x"].dtype == comes_back
    expected = [value for part in parts for value in pd.Series(part).astype(object)]
    missing = pd.isna(pd.Series(expected, dtype=object)).to_numpy()
    np.testing.assert_array_equal(got["x"].isna(), missing)
    assert got["x"][~missing].tolist() == [value for value, none in zip(expected, missing, strict=True) if not none]


REFUSED: dict[str, tuple[list[Any], Any, str]] = {
    "a fraction among integers": (
        [np.array([1]), np.array([0.5])],
        "int64",
        r"'x' is float64 here and int64 elsewhere",
    ),
    "a large integer among floats": ([np.array([0.5]), np.array([2**53 + 1])], "float64", r"'x' is int64 here"),
    "a gap among integers": ([np.array([1]), np.array([2.0, NAN])], "int64", r"no value here at row 1"),
    "naive among aware": ([stamps("ns", "UTC"), stamps("ns")], "datetime64[ns, UTC]", r"datetime64\[ns\] here"),
    "objects of other types": (
        [pd.Series([Decimal(1)], dtype=object), pd.Series([b"x"], dtype=object)],
        object,
        r"decimal128\(38, 0\) in one partition and binary in another",
    ),
    "ordered categories that differ": (
        [pd.Categorical(["low"], dtype=ORDERED), pd.Categorical(["mid"], ["low", "mid"], ordered=True)],
        UNKNOWN,
        r"ordered categories that differ",
    ),
    "text among integers": ([np.array([1]), pd.array(["a"], dtype="str")], "int64", r"'x' is str here and int64"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_partitions_that_cannot_be_had_in_one_dtype(name: str, tmp_path: Path) -> None:
    parts, meta, why = REFUSED[name]
    with dask.config.set(PLAIN), pytest.raises(ft.DataError, match=why):
        ft.write_partitioned(differing(*parts, meta=meta), tmp_path / "set")
    assert not (tmp_path / "set").exists()


UNWRITABLE: dict[str, tuple[Any, str]] = {
    "mixed objects": (pd.Series([1, "a", None, 2.5], dtype=object), "of which Arrow makes no one type"),
    "naive and aware": (
        pd.Series([pd.Timestamp("2024"), pd.Timestamp("2024", tz="UTC"), None, None], dtype=object),
        r"at row 1, which would become",
    ),
    "too large": (pd.Series([2**70, None, 1, 2], dtype=object), "of which Arrow makes no one type"),
    "complex": (np.array([1j, 2, 3, 4]), "is complex128, which Arrow does not have"),
    "sparse": (pd.arrays.SparseArray([0, 0, 1, 0]), r"is Sparse\[int64, 0\], which Arrow does not have"),
    "other byte order": (np.array([1, 2, 3, 4], ">f8"), "is >f8, which Arrow does not have"),
    "mixed categories": (pd.Categorical.from_codes([0, 1, 0, 1], [1, "a"]), "of which Arrow makes no one type"),
}


@pytest.mark.parametrize("name", list(UNWRITABLE))
def test_what_cannot_come_back_is_refused(name: str, tmp_path: Path) -> None:
    values, why = UNWRITABLE[name]
    frame = wide()[["symbol", "ts"]].assign(x=values)
    with pytest.raises(ft.DataError, match=f"Column 'x' .*{why}"):
        ft.write_partitioned(frame, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_type_of_objects_is_told_once_from_all_rows(tmp_path: Path) -> None:
    """Each partition holds values of one type; which one does not depend on how the frame is split."""
    keys = {"symbol": ["A", "B"], "ts": pd.to_datetime([1, 2], utc=True)}
    apart = {"A": 0, "B": 1}
    numbers = pd.DataFrame({**keys, "x": pd.Series([1, 2.5], dtype=object)})
    ft.write_partitioned(numbers, tmp_path / "set", assignment=apart)
    _, got = read(tmp_path / "set")
    assert [(type(value), value) for value in got["x"]] == [(float, 1.0), (float, 2.5)]
    times = pd.DataFrame({**keys, "x": pd.Series([pd.Timestamp("2024"), pd.Timestamp("2024", tz="UTC")], dtype=object)})
    with pytest.raises(ft.DataError, match=r"Column 'x' .* at row 1, which would become"):
        ft.write_partitioned(times, tmp_path / "times", assignment=apart)


def test_names_of_columns_are_texts_that_differ(tmp_path: Path) -> None:
    frame = wide()[["symbol", "ts"]]
    twice = pd.concat([frame, frame["ts"]], axis=1)
    for wrong, why in (
        (frame.assign(**{"x": 1}).rename(columns={"x": 0}), "Column 0 has no text"),
        (twice, "called 'ts'"),
        (frame.set_axis(pd.Index(range(4), name="ts")), "called 'ts'"),
        (pa.table([frame["symbol"], frame["ts"], frame["ts"]], names=["symbol", "ts", "ts"]), "called 'ts'"),
    ):
        with pytest.raises(ft.ColumnError, match=why):
            ft.write_partitioned(wrong, tmp_path / "set")
    for wrong in ({"symbol": ["A"]}, [1], frame["ts"], dd.from_pandas(frame, npartitions=1)["ts"]):
        with pytest.raises(ft.PipelineError, match="A data set is written from"):
            ft.write_partitioned(wrong, tmp_path / "set")
    assert not (tmp_path / "set").exists()
