"""Reference tables: against pandas and dicts, kept up to date, with versions, in files, damaged ones too."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import reference_table
from tests.joins.securities import bonds, trades


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Frames drawn at random may well find nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* rows found a key", UserWarning)
        yield


def test_is_a_left_merge_of_pandas() -> None:
    reference = bonds()
    left = trades(reference)
    before = left.copy(), reference.copy()
    result = ft.ReferenceTable(reference, on="isin").lookup(left)
    merged = left.merge(reference, on="isin", how="left").set_index(left.index)
    dtypes = {"id": "Int64", "small": "Int16", "callable": "boolean", "rank": "Int64"}
    exact = [None if pd.isna(isin) else isin for isin in left["isin"]]
    ids = dict(zip(reference["isin"], reference["id"].tolist(), strict=True))
    merged["id"] = pd.array([ids.get(isin) for isin in exact], "Int64")  # which a merge makes floats of
    assert_frame_equal(result, merged.astype(dtypes), check_exact=True)
    assert_frame_equal(left, before[0])
    assert_frame_equal(reference, before[1])


def test_an_inner_lookup_is_an_inner_merge_of_pandas() -> None:
    reference = bonds()
    left = trades(reference)
    result = ft.ReferenceTable(reference, on="isin").lookup(left, how="inner")
    found = left["isin"].isin(reference["isin"])
    merged = left.merge(reference, on="isin", how="inner").set_index(left.index[found])
    assert_frame_equal(result, merged, check_exact=True)


def test_dtypes_are_those_of_an_asof_join() -> None:
    reference = bonds().drop(columns="note")  # an object stays one, where an as-of join makes a str of it
    left = trades(reference)
    joined = ft.asof_join(
        left[left["isin"].notna()].assign(ts=10), reference.assign(ts=np.int64(5)), symbol="isin", time="ts"
    )
    result = ft.ReferenceTable(reference, on="isin").lookup(left)
    assert {n: str(result[n].dtype) for n in reference} == {n: str(joined[n].dtype) for n in reference}


@pytest.mark.parametrize("how", ["left", "inner"])
def test_every_sort_of_frame_finds_the_same(how: str) -> None:
    reference = bonds().drop(columns=["sector"])
    left = trades(reference)
    expected = pa.Table.from_pandas(ft.ReferenceTable(reference, on="isin").lookup(left, how=how), preserve_index=False)
    sources = [reference, pa.Table.from_pandas(reference, preserve_index=False), pl.from_pandas(reference)]
    frames = [pa.Table.from_pandas(left, preserve_index=False), pl.from_pandas(left)]
    frames.append(pa.concat_tables([frames[0].slice(0, 100), frames[0].slice(100)]))
    for source in sources:
        table = ft.ReferenceTable(source, on="isin")
        for frame in frames:
            result = table.lookup(frame, how=how)
            assert isinstance(result, pa.Table)
            assert result.to_pylist() == expected.to_pylist()
        back = table.lookup(left, how=how)
        assert_array_equal(
            back.index, left.index if how == "left" else left.index[left["isin"].isin(reference["isin"])]
        )
        assert pa.Table.from_pandas(back, preserve_index=False).to_pylist() == expected.to_pylist()
    batch = ft.ReferenceTable(reference, on="isin").lookup(frames[0].to_batches()[0], how=how)
    assert isinstance(batch, pa.RecordBatch)
    assert batch.to_pylist() == expected.to_pylist()


def test_columns_are_chosen_and_keys_may_be_called_otherwise() -> None:
    table = ft.ReferenceTable(pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 1.5], "d": [3, 4]}), on=["a", "b"])
    left = pd.DataFrame({"k": ["y", "x"], "j": [2, 2]})
    assert table.lookup(left, on=["j", "k"], select=["d"]).to_dict("list") == {
        "k": ["y", "x"],
        "j": [2, 2],
        "d": [4, None],
    }
    assert list(table.lookup(left, on=["j", "k"], select=["b", "c"])) == ["k", "j", "b", "c"]
    assert list(table.lookup(left, on=["j", "k"], select=[], how="inner")) == ["k", "j"]
    assert (2, "y") in table
    assert (2, "x") not in table
    assert repr(table) == "ReferenceTable of 2 keys by 'a', 'b': c, d"


class Model:
    """What a table is, as dicts: for each key its versions by the instant from which they are valid."""

    def __init__(self, rows: dict[Any, Any]) -> None:
        self.keys = {key: {float("-inf"): value} for key, value in rows.items()}

    def upsert(self, rows: dict[Any, Any], since: int | None) -> None:
        for key, value in rows.items():
            if since is None:
                self.keys[key] = {float("-inf"): value}
            else:
                self.keys.setdefault(key, {})[since] = value

    def lookup(self, key: Any, ts: float = float("inf")) -> Any:
        versions = self.keys.get(key, {})
        valid = [since for since in versions if since <= ts]
        return versions[max(valid)] if valid else None


KEYS = st.integers(0, 12)
STEPS = st.one_of(
    st.tuples(st.just("upsert"), st.lists(KEYS, unique=True, max_size=8), st.none() | st.integers(0, 6)),
    st.tuples(st.just("delete"), st.lists(KEYS, max_size=4), st.none()),
    st.tuples(st.just("save"), st.just([]), st.none()),
)


@given(st.lists(KEYS, unique=True, max_size=8), st.lists(STEPS, max_size=12), st.booleans())
@settings(deadline=None, max_examples=150)
def test_what_is_put_and_deleted_is_what_dicts_hold(
    tmp_path_factory: Any, first: list[int], steps: Any, texts: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_table, "LEAST", 5)  # so that rows that hold no more are left out now and then
        follow(tmp_path_factory.mktemp("tables") / "table", first, steps, texts)


def follow(path: Path, first: list[int], steps: Any, texts: bool) -> None:
    as_key = (lambda key: "k" * key) if texts else (lambda key: key)
    dtype = "str" if texts else "int64"
    count = iter(range(1000))

    def frame(keys: list[int]) -> tuple[pd.DataFrame, dict[Any, int]]:
        values = {as_key(key): next(count) for key in keys}
        return pd.DataFrame(
            {"key": pd.Series(list(values), dtype=dtype), "value": pd.Series(list(values.values()), dtype="int64")}
        ), values

    given_first, values = frame(first)
    table, model = ft.ReferenceTable(given_first, on="key"), Model(values)
    everything = pd.DataFrame({"key": pd.Series([as_key(key) for key in range(14) for _ in range(8)], dtype=dtype)})
    everything["at"] = np.tile(np.arange(-1, 7), 14)
    for what, keys, since in steps:
        if what == "upsert":
            rows, values = frame(keys)
            table.upsert(rows, valid_from=since)
            model.upsert(values, since)
        elif what == "delete":
            table.delete([as_key(key) for key in keys])
            for key in keys:
                model.keys.pop(as_key(key), None)
        else:
            table.save(path)
            table = ft.ReferenceTable.open(path)
        assert len(table) == len(model.keys)
        latest = table.lookup(everything)["value"].astype(object)
        expected = [model.lookup(key) for key in everything["key"]]
        assert [None if value is pd.NA else value for value in latest] == expected
        at_times = table.lookup(everything, as_of="at")["value"].astype(object)
        expected = [model.lookup(key, ts) for key, ts in zip(everything["key"], everything["at"], strict=True)]
        assert [None if value is pd.NA else value for value in at_times] == expected


def test_versions_hold_from_their_instant_to_that_of_the_next() -> None:
    table = ft.ReferenceTable(pd.DataFrame({"isin": ["A"], "rating": ["AAA"]}), on="isin")
    table.upsert(pd.DataFrame({"isin": ["A"], "rating": ["B"]}), valid_from="2026-03-01T00:00Z")
    table.upsert(
        pd.DataFrame({"isin": ["A", "N"], "rating": ["AA", "C"]}), valid_from=pd.Timestamp("2026-02-01", tz="UTC")
    )
    ts = pd.to_datetime(
        ["2026-01-31T23:59:59.999999999", "2026-02-01", "2026-02-28T23:59:59.999999999", "2026-03-01", None],
        utc=True,
        format="ISO8601",
    )
    trades = pd.DataFrame({"isin": "A", "ts": ts})
    assert table.lookup(trades, as_of="ts")["rating"].tolist()[:4] == ["AAA", "AA", "AA", "B"]
    assert table.lookup(trades, as_of="ts")["rating"].isna().tolist() == [False] * 4 + [True]
    new = table.lookup(trades.assign(isin="N"), as_of="ts")["rating"]
    assert new.isna().tolist() == [True, False, False, False, True]
    assert table.lookup(trades)["rating"].tolist() == ["B"] * 5
    with pytest.raises(ft.DataError, match=r"'ts' holds times without a zone.* valid from times with a zone"):
        table.lookup(trades.assign(ts=ts.tz_localize(None)), as_of="ts")
    with pytest.raises(ft.DataError, match="'valid_from' holds integers"):
        table.upsert(pd.DataFrame({"isin": ["A"], "rating": ["B"]}), valid_from=5)
    assert table.lookup(trades)["rating"].tolist() == ["B"] * 5


def test_rows_that_are_replaced_again_and_again_take_no_more_memory() -> None:
    frame = pd.DataFrame({"k": np.arange(500), "v": 0})
    table = ft.ReferenceTable(frame, on="k")
    for n in range(400):
        table.upsert(frame.assign(v=n))
    assert table.lookup(frame[["k"]])["v"].tolist() == [399] * 500
    assert table._rows.rows < 100_000


def test_categories_that_come_later_are_known_from_then_on() -> None:
    frame = pd.DataFrame({"k": [1, 2], "c": pd.Categorical(["x", "y"])})
    table = ft.ReferenceTable(frame, on="k")
    table.upsert(pd.DataFrame({"k": [2, 3], "c": pd.Categorical(["z", "x"])}))
    found = table.lookup(pd.DataFrame({"k": [1, 2, 3, 4]}))["c"]
    assert found.tolist() == ["x", "z", "x", np.nan]
    assert set(found.cat.categories) >= {"x", "z"}
    arrow = table.lookup(pa.table({"k": [1, 2, 3]}))
    assert arrow.column("c").to_pylist() == ["x", "z", "x"]


REFUSED: list[tuple[Any, type[Exception], str]] = [
    (
        lambda t: ft.ReferenceTable(pd.DataFrame({"k": [1, 2, 1]}), on="k"),
        ft.DataError,
        "Key 1 of 'k' is there twice in the frame, at rows 0 and 2",
    ),
    (
        lambda t: ft.ReferenceTable(pd.DataFrame({"k": ["a", None]}), on="k"),
        ft.DataError,
        "Row 1 has no key that could be found: 'k' is None",
    ),
    (lambda t: ft.ReferenceTable(pd.DataFrame({"k": [1.5]}), on="k"), ft.DataError, "float64 cannot keep keys exact"),
    (
        lambda t: ft.ReferenceTable(pd.DataFrame({"key": [1]}), on="kye"),
        ft.ColumnError,
        "no column 'kye' in the reference. Did you mean 'key'",
    ),
    (lambda t: ft.ReferenceTable(pd.DataFrame({"k": [1]}), on=[]), ft.ParameterError, r"on=\[\] must name a column"),
    (lambda t: ft.ReferenceTable([1], on="k"), ft.PipelineError, "not list"),
    (lambda t: t.lookup({"k": [1]}), ft.PipelineError, "A frame that is looked up is .* not builtins's dict"),
    (lambda t: t.lookup(pd.DataFrame({"q": [1]})), ft.ColumnError, "no column 'k' in the frame"),
    (
        lambda t: t.lookup(pd.DataFrame({"k": ["1"]})),
        ft.DataError,
        "'k' on the frame holds texts .* and 'k' on the reference integers",
    ),
    (lambda t: t.lookup(pd.DataFrame({"k": [1], "v": [2]})), ft.ColumnError, "both have a column 'v'; rename one"),
    (lambda t: t.lookup(pd.DataFrame({"k": [1]}), select=["w"]), ft.ColumnError, "The table has no column 'w'"),
    (
        lambda t: t.lookup(pd.DataFrame({"k": [1]}), how="outer"),
        ft.ParameterError,
        "how='outer' must be 'left' or 'inner'",
    ),
    (
        lambda t: t.lookup(pd.DataFrame({"k": [1]}), on=["k", "q"]),
        ft.ParameterError,
        "as many columns as the table has",
    ),
    (lambda t: t.lookup(pd.DataFrame({"k": [1]}), as_of="ts"), ft.ColumnError, "no column 'ts'"),
    (
        lambda t: t.upsert(pd.DataFrame({"k": [1]})),
        ft.ColumnError,
        "no column 'v' in the frame, which must have those of the table",
    ),
    (lambda t: t.upsert(pd.DataFrame({"k": [1], "v": [1], "w": [1]})), ft.ColumnError, "The table has no column 'w'"),
    (
        lambda t: t.upsert(pd.DataFrame({"k": [1], "v": ["x"]})),
        ft.DataError,
        "Column 'v' holds large_string, and int64 in the table",
    ),
    (
        lambda t: t.upsert(pd.DataFrame({"k": [1], "v": [0.5]})),
        ft.DataError,
        "Column 'v' holds double, and int64 in the table",
    ),
    (lambda t: t.upsert(pd.DataFrame({"k": [7, 7], "v": [1, 2]})), ft.DataError, "Key 7 of 'k' is there twice"),
    (
        lambda t: t.upsert(pd.DataFrame({"k": [1], "v": [1]}), valid_from="soon"),
        ft.ParameterError,
        "valid_from='soon' is no time",
    ),
    (
        lambda t: t.upsert(pd.DataFrame({"k": [1], "v": [1]}), valid_from=pd.NaT),
        ft.ParameterError,
        "is no time; leave it out",
    ),
    (lambda t: t.delete(pd.Series(["a"])), ft.DataError, "'k' on the keys holds texts"),
    (lambda t: ft.ReferenceTable(pd.DataFrame({"k": [1]}), on=5), ft.ParameterError, "on=5 must name a column"),
    (
        lambda t: ft.ReferenceTable(pd.DataFrame({"a": [1], "b": [2]}), on=["a", "b"]).delete([1]),
        ft.ParameterError,
        "is a tuple of values for",
    ),
    (lambda t: t.delete("a"), ft.ParameterError, "must be a list of keys"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_what_is_wrong_is_named_and_changes_nothing(call: Any, error: type[Exception], message: str) -> None:
    table = ft.ReferenceTable(pd.DataFrame({"k": [1, 2], "v": [10, 20]}), on="k")
    with pytest.raises(error, match=message):
        call(table)
    assert table.lookup(pd.DataFrame({"k": [2, 1, 7]}))["v"].tolist() == [20, 10, pd.NA]
    assert len(table) == 2


def test_no_rows_on_either_side(tmp_path: Path) -> None:
    empty = pd.DataFrame({"k": pd.Series(dtype="str"), "v": pd.Series(dtype="int64")})
    table = ft.ReferenceTable(empty, on="k")
    table.save(tmp_path / "empty")
    for one in (table, ft.ReferenceTable.open(tmp_path / "empty")):
        assert len(one) == 0
        assert one.lookup(pd.DataFrame({"k": ["a"]}))["v"].tolist() == [pd.NA]
        assert "a" not in one
        one.delete([])
        one.upsert(pd.DataFrame({"k": ["a"], "v": [1]}))
        assert one.lookup(pd.DataFrame({"k": ["a"]}))["v"].tolist() == [1]
        nothing = one.lookup(empty[["k"]])
        assert nothing.dtypes.astype(str).to_dict() == {"k": "str", "v": "Int64"}
        assert len(nothing) == 0


def test_a_lookup_that_finds_next_to_nothing_says_so() -> None:
    table = ft.ReferenceTable(pd.DataFrame({"isin": ["US0378331005", "US5949181045"], "v": [1, 2]}), on="isin")
    left = pd.DataFrame({"isin": ["037833100"] * 300})
    with pytest.warns(
        UserWarning,
        match="0 of 300 rows found a key. The frame has keys such as '037833100', and the table such as 'US0378331005'",
    ):
        table.lookup(left)
    assert "identifiers" in table.explain(left).findings
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table.lookup(pd.DataFrame({"isin": ["US0378331005"] * 3 + ["x"] * 297}))
        table.lookup(left.iloc[:0])
