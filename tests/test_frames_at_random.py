"""Frames put together at random of columns of all sorts: a right result, or an error of ours that names a column."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fintech_toolkit as ft

PIPELINE = ft.Pipeline(ft.ewma("price", span=3), ft.rolling_mean("price", window="2s"))
SECOND = 1_000_000_000
START = 1_704_189_598 * SECOND

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-9, 9),
    st.floats(),
    st.text(st.characters(), max_size=3),
    st.binary(max_size=3),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.sampled_from([pd.NA, pd.NaT, np.nan, [], {}, "A", "\ud800", pd.Timestamp("2024", tz="UTC"), np.float32(1)]),
)
DTYPES = st.sampled_from(
    [
        *("int8", "uint8", "int64", "uint64", "float16", "float64", "bool", "str", "object", "complex128", "category"),
        *(
            "Int64",
            "Float64",
            "boolean",
            "string",
            "Sparse[int]",
            "datetime64[s]",
            "datetime64[ns, UTC]",
            "timedelta64[ns]",
        ),
        *("int64[pyarrow]", "double[pyarrow]", "string[pyarrow]", "timestamp[ms][pyarrow]", "bool[pyarrow]"),
    ]
)


@st.composite
def columns(draw: st.DrawFn, rows: int, good: Any) -> Any:
    """Draw a column: a good one, the same in another dtype, one of Python objects, or one of Arrow."""
    how = draw(st.sampled_from(["good", "cast", "objects", "spoiled"]))
    if how == "good":
        return good
    if how == "cast":
        dtype = draw(DTYPES)
        try:
            with np.errstate(all="ignore"):
                return pd.Series(good).astype(dtype)
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            return good
    values = np.empty(rows, object)
    values[:] = list(good)
    places = range(rows) if how == "objects" else [draw(st.integers(0, rows - 1))]
    for place in places:
        values[place] = draw(SCALARS)
    return values


@st.composite
def frames(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.integers(1, 6))
    return {
        "symbol": draw(columns(rows, np.array(list("ABAABA")[:rows], object))),
        "ts": draw(columns(rows, START + SECOND * np.arange(rows))),
        "price": draw(columns(rows, np.arange(rows, dtype=np.float64))),
    }


def in_words(values: Any) -> Any:
    """Return a column as plain floats, read in the slowest way."""
    missing = [value is None or value is pd.NA or str(value).lstrip("-") in ("NaN", "sNaN") for value in values]
    return np.array([np.nan if none else float(value) for none, value in zip(missing, values, strict=True)])


@settings(max_examples=300, deadline=None)
@given(frame=frames(), sort=st.sampled_from(["dict", "pandas", "arrow"]))
def test_a_frame_of_anything_is_right_or_refused(frame: dict[str, Any], sort: str) -> None:
    try:
        made: Any = {
            "dict": lambda: frame,
            "pandas": lambda: pd.DataFrame(frame),
            "arrow": lambda: pa.table({name: pa.array(values) for name, values in frame.items()}),
        }[sort]()
    except (ValueError, TypeError, OverflowError, pa.ArrowException, pd.errors.OutOfBoundsDatetime):
        return  # such a frame cannot be made
    run = PIPELINE.start()
    try:
        result = run(made)
    except ft.FintechToolkitError as error:
        named = any(repr(name) in str(error) for name in frame)
        refused = run.state.symbols
    else:
        ts = pd.Series(frame["ts"])
        if pd.api.types.is_integer_dtype(ts.dtype):  # those that are timestamps have a table of their own
            plain = {
                "symbol": np.array([str(symbol) for symbol in frame["symbol"]], object),
                "ts": ts.to_numpy(np.int64),
                "price": in_words(frame["price"]),
            }
            expected = PIPELINE(plain)
            for name in PIPELINE.gives:
                assert_array_equal(np.asarray(result[name]), expected[name])
        return
    assert named
    assert refused == []


def test_what_is_drawn_is_refused_and_taken() -> None:
    """The fuzz above means something only if both happen."""
    prices = [decimal.Decimal(1), decimal.Decimal("sNaN")]
    taken = PIPELINE({"symbol": ["A", "A"], "ts": [START, START], "price": prices})
    assert (
        taken["ewma"].tolist()
        == PIPELINE({"symbol": ["A", "A"], "ts": [START, START], "price": [1, np.nan]})["ewma"].tolist()
    )
    with pytest.raises(ft.DataError, match="'ts'"):
        PIPELINE({"symbol": ["A"], "ts": [datetime.date(2024, 1, 1)], "price": [1.0]})
