"""A file of every dtype there and back: what comes out of every partition equals meta, and what went in."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

import fintech_toolkit as ft
from tests.engines.ticks import parts_of

PLAIN = {"scheduler": "sync", "dataframe.shuffle.method": "tasks", "dataframe.convert-string": False}
NA = pd.NA
NAN = float("nan")
DAYS = [dt.date(2024, 2, 29), None, dt.date(1969, 12, 31), dt.date(2100, 1, 1)]
STAMPS = pd.to_datetime(
    ["2024-03-31T00:59:59.999999999", None, "1969-12-31T23:59:59", "2024-10-27T01:30:00"], format="ISO8601"
)


def stamps(unit: str, tz: Any = None) -> pd.Series[Any]:
    return pd.Series(STAMPS.as_unit(unit).tz_localize("UTC").tz_convert(tz) if tz else STAMPS.as_unit(unit))


def arrow(values: list[Any], kind: pa.DataType) -> Any:
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)]))


def integers(name: str) -> Any:
    limits = np.iinfo(name.lower())
    return [limits.min, limits.max, 0, 1]


MASKED = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"]
ZONES: list[Any] = ["UTC", "Europe/Berlin", ZoneInfo("America/New_York"), dt.UTC, "+05:30", "Asia/Kolkata"]
PARAMETRIC = {
    "string": (["a", None, "", "é"], pa.string()),
    "large_string": (["a", None, "", "é"], pa.large_string()),
    "int64": ([2**53 + 1, None, -(2**63), 2**63 - 1], pa.int64()),
    "uint64": ([2**53 + 1, None, 0, 2**64 - 1], pa.uint64()),
    "double": ([0.1, None, -0.0, 1e308], pa.float64()),
    "bool": ([True, None, False, True], pa.bool_()),
    "decimal": ([Decimal("1.10"), None, Decimal("-0.01"), Decimal("99999.99")], pa.decimal128(7, 2)),
    "decimal256": ([Decimal("1.10"), None, Decimal(10) ** 40, Decimal(0)], pa.decimal256(50, 2)),
    "timestamp_s": ([0, None, 1, 2], pa.timestamp("s")),
    "timestamp_ns_tz": ([0, None, 1, 2], pa.timestamp("ns", "Europe/Berlin")),
    "date32": (DAYS, pa.date32()),
    "time64": ([dt.time(1, 2, 3, 4), None, dt.time(0), dt.time(23, 59)], pa.time64("us")),
    "duration": ([1, None, -1, 0], pa.duration("ns")),
    "list": ([[1, None], None, [], [3]], pa.list_(pa.int64())),
    "struct": (
        [{"a": 1, "b": "x"}, None, {"a": None, "b": None}, {"a": 2, "b": ""}],
        pa.struct({"a": "i8", "b": "str"}),
    ),
    "dictionary": (["a", None, "b", "a"], pa.dictionary(pa.int32(), pa.string())),
    "dictionary8": (["a", None, "b", "a"], pa.dictionary(pa.int8(), pa.string())),
    "binary": ([b"a", None, b"", b"\xff"], pa.binary()),
    "null": ([None] * 4, pa.null()),
}

COLUMNS: dict[str, Any] = {
    **{name.lower(): np.array(integers(name), name.lower()) for name in MASKED},
    **{name: pd.array([*integers(name)[:3], NA], dtype=name) for name in MASKED},  # type: ignore[call-overload]
    "boolean": pd.array([True, NA, False, True], dtype="boolean"),
    "bool": np.array([True, False, False, True]),
    "float16": np.array([1.5, NAN, -0.0, 0], "float16"),
    "float32": np.array([1.5, NAN, -0.0, np.inf], "float32"),
    "float64": np.array([0.1, NAN, -0.0, np.inf]),
    "Float32": pd.array([1.5, NA, -0.0, np.inf], dtype="Float32"),
    "Float64": pd.array([0.1, NA, -0.0, np.inf], dtype="Float64"),
    "str": pd.array(["a", None, "", "é"], dtype="str"),
    "string[python]": pd.array(["a", NA, "", "é"], dtype=pd.StringDtype("python")),
    "string[pyarrow]": pd.array(["a", NA, "", "é"], dtype=pd.StringDtype("pyarrow")),
    "str of Python": pd.array(["a", None, "", "é"], dtype=pd.StringDtype("python", na_value=np.nan)),
    "objects: str": pd.Series(["a", None, "", "é"], dtype=object),
    "objects: Decimal": pd.Series([Decimal("1.10"), None, Decimal("-12.5"), Decimal("3")], dtype=object),
    "objects: bytes": pd.Series([b"a", None, b"", b"\xff"], dtype=object),
    "objects: bool": pd.Series([True, None, False, True], dtype=object),
    "objects: int": pd.Series([2**53 + 1, None, -1, 0], dtype=object),
    "objects: date": pd.Series(DAYS, dtype=object),
    "objects: list": pd.Series([[1, 2], None, [], [3]], dtype=object),
    "objects: none": pd.Series([None] * 4, dtype=object),
    "category of str": pd.Categorical(["b", None, "a", "b"], categories=["c", "b", "a"]),
    "category, ordered": pd.Categorical(["low", None, "high", "low"], ["low", "mid", "high"], ordered=True),
    "category of int": pd.Categorical([7, None, 2**60 + 1, 7], categories=[2**60 + 1, 7, 0]),
    "category of times": pd.Categorical(stamps("ns", "UTC")),
    "category of bool": pd.Categorical([True, None, False, True]),
    "category of floats": pd.Categorical([0.5, None, 1e300, 0.5]),
    "category of intervals": pd.cut([0.5, NAN, 2.5, 1.5], [0, 1, 2, 3]),
    "category of objects": pd.Categorical.from_codes([0, -1, 1, 0], pd.Index(["x", "y"], dtype=object)),
    "category, empty": pd.Categorical([None] * 4, categories=["x"]),
    **{f"arrow {name}": arrow(*given) for name, given in PARAMETRIC.items()},
    **{f"naive {unit}": stamps(unit) for unit in ("s", "ms", "us", "ns")},
    **{f"{zone} {unit}": stamps(unit, zone) for zone in ZONES for unit in ("s", "ms", "us", "ns")},
    **{f"span {unit}": pd.Series(pd.to_timedelta([1, None, -1, 0], unit="s")).dt.as_unit(unit) for unit in ("s", "ns")},  # type: ignore[call-overload]
    "period": pd.Series(pd.PeriodIndex(["2024-01", None, "1969-12", "2100-01"], freq="M")),
    "interval": pd.Series(pd.arrays.IntervalArray.from_tuples([(0, 1), None, (1, 2), (5, 6)], closed="left")),
    "with.dots": [1, 2, 3, 4],
    "with": [5, 6, 7, 8],
    "ümläut / \"quoted\" 'name'\n": [1, 2, 3, 4],
    "": [1, 2, 3, 4],
    "_fintech_toolkit": [1, 2, 3, 4],
    "0": [1, 2, 3, 4],
}


def wide() -> pd.DataFrame:
    """Four rows in the order in which a data set has them, a column of every dtype."""
    keys = {"symbol": ["A", "A", "B", "C"], "ts": pd.to_datetime([1, 2, 1, 1], unit="s", utc=True)}
    return pd.DataFrame({**keys, **COLUMNS})


def read(path: Path) -> tuple[Any, pd.DataFrame]:
    """The lazy frame, and all of it: after every partition, whole and column by column, was held to meta."""
    ddf = ft.read_partitioned(path)
    for part in dask.compute(*ddf.to_delayed(), scheduler="sync"):
        assert_frame_equal(part.iloc[:0], ddf._meta, check_index_type=False)
    return ddf, ddf.compute(scheduler="sync").reset_index(drop=True)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("wide") / "set"
    ft.write_partitioned(wide(), path, npartitions=5)  # two of them empty
    return read(path)


@pytest.mark.parametrize("name", list(COLUMNS))
def test_a_file_of_every_dtype_there_and_back(there: Any, name: str) -> None:
    ddf, got = there
    expected = wide()[name]
    assert_series_equal(got[name], expected, check_exact=True, check_freq=False)
    if expected.dtype == "float64":
        np.testing.assert_array_equal(np.signbit(got[name]), np.signbit(expected))
    if isinstance(expected.dtype, pd.CategoricalDtype):
        assert list(got[name].cat.categories) == list(expected.cat.categories)
    alone = dask.compute(*ddf[[name]].to_delayed(), scheduler="sync")
    assert [part.dtypes[name] for part in alone] == [ddf.dtypes[name]] * ddf.npartitions
    assert_series_equal(pd.concat(alone, ignore_index=True)[name], expected, check_exact=True, check_freq=False)


def test_one_column_and_the_first_rows_have_the_dtypes_of_meta(there: Any) -> None:
    ddf, got = there
    for frame in (ddf.head(2, npartitions=-1), ddf.partitions[1].compute(scheduler="sync"), ddf.tail(1)):
        assert frame.dtypes.equals(ddf.dtypes)
    for name in ("Int64", "boolean", "objects: Decimal", "category of str", "symbol"):
        assert_series_equal(ddf[name].compute(scheduler="sync"), got[name], check_index=False)
        assert ddf[name].dtype == got[name].dtype


def test_objects_come_back_of_their_own_type(there: Any) -> None:
    _, got = there
    for name, expected in wide().items():
        if expected.dtype == object:
            assert [type(value) for value in got[name]] == [type(value) for value in expected], name


def test_what_came_out_can_be_written_again(there: Any, tmp_path: Path) -> None:
    ddf, first = there
    with dask.config.set(PLAIN):
        ft.write_partitioned(ddf, tmp_path / "as it is")
        ft.write_partitioned(ddf, tmp_path / "shuffled", npartitions=2)
    for name in ("as it is", "shuffled"):
        ddf_, got = read(tmp_path / name)
        got = got.sort_values(["symbol", "ts"], ignore_index=True)
        pd.testing.assert_frame_equal(got, first, check_exact=True, check_freq=False)
        assert ddf_.npartitions == {"as it is": 5, "shuffled": 2}[name]


SYMBOLS: dict[str, tuple[Any, Any]] = {
    **{name: (np.array([1, 0, 2, 1], name), name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint32")},
    "uint64": (np.array([2**63 - 1, 2**53 + 1, 0, 2**53 + 1], "uint64"), "uint64"),
    "Int64": (pd.array([2**60 + 1, 2, 2**60, 2], dtype="Int64"), "Int64"),
    "UInt8": (pd.array([255, 2, 0, 2], dtype="UInt8"), "UInt8"),
    "arrow int64": (arrow([5, 2, 3, 2], pa.int64()), pd.ArrowDtype(pa.int64())),
    "objects: int": (pd.Series([5, 2, 3, 2], dtype=object), "int64"),
    "category of int": (pd.Categorical([5, 2, 3, 2], categories=[9, 5, 3, 2]), "int64"),
    "str": (["b", "a", "c", "a"], "category"),
    "string": (pd.array(["b", "a", "c", "a"], dtype="string"), "category"),
    "objects: str": (pd.Series(["b", "a", "c", "a"], dtype=object), "category"),
    "arrow string": (arrow(["b", "a", "c", "a"], pa.string()), "category"),
    "arrow dictionary": (arrow(["b", "a", "c", "a"], pa.dictionary(pa.int32(), pa.string())), "category"),
    "category": (pd.Categorical(["b", "a", "c", "a"], categories=["z", "c", "b", "a"]), "category"),
    "category, ordered": (pd.Categorical(["b", "a", "c", "a"], ["c", "b", "a"], ordered=True), "category"),
}


@pytest.mark.parametrize("source", ["pandas", "dask"])
@pytest.mark.parametrize("name", list(SYMBOLS))
def test_symbols_of_every_dtype(name: str, source: str, tmp_path: Path) -> None:
    values, comes_back = SYMBOLS[name]
    frame = pd.DataFrame({"symbol": values, "ts": pd.to_datetime([4, 3, 2, 1], utc=True), "n": range(4)})
    with dask.config.set(PLAIN):
        ft.write_partitioned(parts_of(frame, [2]) if source == "dask" else frame, tmp_path / "set", npartitions=4)
    _, got = read(tmp_path / "set")
    symbols = frame["symbol"].astype(object).tolist()
    if comes_back == "category":
        comes_back = pd.CategoricalDtype(pd.Index(sorted(set(symbols)), dtype="str"))
    assert got["symbol"].dtype == comes_back
    got = got.sort_values("n")
    assert got["symbol"].astype(object).tolist() == symbols
    for symbol in set(symbols):
        place = ft.partition_of(tmp_path / "set", symbol)
        assert (
            symbol
            in ft.read_partitioned(tmp_path / "set").partitions[place].compute(scheduler="sync")["symbol"].tolist()
        )
