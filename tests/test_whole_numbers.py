"""Whole numbers beyond 2**53: exact where they are asked for, refused elsewhere, in every frame."""

from __future__ import annotations

from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_series_equal

import fintech_toolkit as ft
from fintech_toolkit.scan.values import MISSING

IDS = 2**60 + np.array([5, 3, 9, 9, 1, 12, 4, 8])
EXACT = [ft.diff("id", dtype="int64"), ft.lag("id", k=2, dtype="int64"), ft.rolling_min("id", window=3, dtype="int64")]
EXACT += [ft.rolling_max("id", window=3, min_periods=1, dtype="int64")]


def test_whole_numbers_are_exact() -> None:
    assert_array_equal(ft.diff(IDS, dtype="int64"), [MISSING, -2, 6, 0, -8, 11, -8, 4])
    assert_array_equal(ft.lag(IDS, k=3, dtype="int64"), [*[MISSING] * 3, *IDS[:5]])
    assert_array_equal(ft.rolling_min(IDS, window=3, min_periods=1, dtype="int64") - 2**60, [5, 3, 3, 3, 1, 1, 1, 4])
    assert_array_equal(ft.rolling_max(IDS, window=3, min_periods=1, dtype="int64") - 2**60, [5, 5, 9, 9, 9, 12, 12, 12])
    assert ft.diff(IDS.astype("int8"), dtype="int64").dtype == np.dtype("i8")
    edges = np.array([MISSING + 1, 2**63 - 1, MISSING, 5, -1, 2**63 - 1])
    assert_array_equal(ft.diff(edges, dtype="int64"), [MISSING, MISSING, MISSING, MISSING, -6, MISSING])
    nullable = pd.Series([7, pd.NA, 2**60], dtype="Int64", index=[3, 1, 2])
    expected = pd.Series([pd.NA, 7, pd.NA], dtype="Int64", index=[3, 1, 2], name="lagged")
    assert_series_equal(ft.lag(nullable, dtype="int64"), expected)
    wide = ft.lag(pd.DataFrame({"a": IDS, "b": IDS}), dtype="int64")
    assert wide.dtypes.tolist() == [pd.Int64Dtype()] * 2
    assert wide["b"].tolist()[1:] == IDS[:-1].tolist()
    assert wide.isna().sum().sum() == 2
    assert ft.lag(IDS, k=[1, 2], dtype="int64").shape == (2, 8)


@pytest.mark.parametrize("kind", ["pandas", "arrow", "dict", "dask", "run", "saved"])
def test_whole_numbers_are_exact_in_every_frame(kind: str, tmp_path: Path) -> None:
    ids = pd.array([*IDS, *IDS], "Int64")
    ids[6] = pd.NA
    frame = pd.DataFrame({"symbol": ["A", "B"] * 8, "ts": np.arange(16), "id": ids})
    pipeline = ft.Pipeline(*EXACT)
    expected = {name: [] for name in pipeline.gives}
    for symbol in ("A", "B"):
        own = [None if pd.isna(v) else v for v in frame["id"][frame["symbol"] == symbol]]
        for j, now in enumerate(own):
            expected["diff"].append(None if not j or None in (now, own[j - 1]) else now - own[j - 1])
            expected["lagged"].append(own[j - 2] if j > 1 else None)
            window = [v for v in own[max(0, j - 2) : j + 1] if v is not None]
            expected["rolling_min"].append(min(window) if len(window) == 3 else None)
            expected["rolling_max"].append(max(window, default=None))
    if kind == "arrow":
        result = pipeline(pa.Table.from_pandas(frame))
        assert [result.schema.field(name).type for name in pipeline.gives] == [pa.int64()] * 4
        result = result.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    elif kind == "dict":
        result = pipeline({name: frame[name] for name in frame})
        assert all(result[name].dtype == np.dtype("i8") for name in pipeline.gives)
        result = pd.DataFrame(result).replace(MISSING, pd.NA)
    elif kind == "dask":
        lazy = pipeline(dd.from_pandas(frame, npartitions=3))
        assert lazy.dtypes[pipeline.gives].tolist() == [pd.Int64Dtype()] * 4
        result = lazy.compute()
    elif kind in ("run", "saved"):
        run = pipeline.start()
        first = run(frame[:5])
        if kind == "saved":
            run.state.save(tmp_path / "state.parquet")
            run = pipeline.start(ft.State.load(tmp_path / "state.parquet"))
        result = pd.concat([first, run(frame[5:])])
    else:
        result = pipeline(frame)
    if kind in ("pandas", "dask", "run", "saved"):
        assert result.dtypes[pipeline.gives].tolist() == [pd.Int64Dtype()] * 4
    for name, values in expected.items():
        found = result.sort_values("symbol", kind="stable")[name]
        assert [None if pd.isna(value) else value for value in found] == values


def test_integers_that_float64_would_round_are_refused_with_the_way_out() -> None:
    message = "holds 1152921504606846981 at row 0, beyond the 2\\*\\*53 .*dtype='int64'"
    for call in (
        lambda: ft.diff(IDS),
        lambda: ft.ewma(pd.Series(IDS), span=3),
        lambda: ft.diff(list(map(int, IDS))),
        lambda: ft.diff(pa.array(IDS)),
        lambda: ft.diff(pd.DataFrame({"id": IDS}), "id", symbol=None, time=None),
        lambda: ft.diff([*map(int, IDS), 0.5]),
    ):
        with pytest.raises(ft.DataError, match=message):
            call()
    assert_array_equal(ft.diff(np.array([2**53 - 1, 2**53])), [np.nan, 1.0])


def test_steps_agree_on_the_dtype_of_what_they_hand_on() -> None:
    lagged = ft.lag("id", dtype="int64")
    assert ft.Pipeline(lagged, ft.diff("lagged", dtype="int64")).gives == ["lagged", "diff"]
    with pytest.raises(ft.PipelineError, match=r"reads 'lagged' as float64, but .* gives int64"):
        ft.Pipeline(lagged, ft.ewma("lagged", span=3))
    with pytest.raises(ft.PipelineError, match=r"reads 'mid' as int64, but .* gives float64"):
        ft.Pipeline(ft.midprice(), ft.lag("mid", dtype="int64"))
    both = ft.Pipeline(ft.ewma("id", span=3), lagged, symbol=None, time=None)({"id": np.array([1, 2, 3])})
    assert both["ewma"].dtype == np.dtype("f8")
    assert_array_equal(both["lagged"], [MISSING, 1, 2])
    with pytest.raises(ft.DataError, match="Column 'id' must hold whole numbers, not float64"):
        ft.diff(pd.DataFrame({"id": [1.0, 2.0]}), "id", dtype="int64", symbol=None, time=None)
    with pytest.raises(ft.ParameterError, match="dtype='int32' is not known; one of 'float64', 'int64'"):
        ft.diff(IDS, dtype="int32")
