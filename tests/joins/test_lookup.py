"""Lookups by key: which row of a reference each row meets, against dicts and pandas, for all types of keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import hash_table, lookup
from fintech_toolkit.engines.memory.lookup import match_keys
from fintech_toolkit.frames.key_bytes import KeyBytes, KeyColumns
from fintech_toolkit.frames.views import wrap
from fintech_toolkit.scan.threads import one_thread

UTC = dt.UTC
KINDS: dict[str, tuple[Any, Any]] = {
    "string": (pa.string(), st.text(max_size=20)),
    "large_string": (pa.large_string(), st.sampled_from(["", "a", "ab", "a" * 8, "a" * 9, "é", "0" * 16, "0" * 17])),
    "string_view": (pa.string_view(), st.text("ab", max_size=14)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1, 0, -1])),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1) | st.sampled_from([2**63, 2**64 - 1, 7])),
    "int8": (pa.int8(), st.integers(-128, 127)),
    "bool": (pa.bool_(), st.booleans()),
    "date32": (pa.date32(), st.dates()),
    "date64": (pa.date64(), st.dates()),
    "timestamp": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    "naive": (pa.timestamp("ms"), st.integers(-(2**40), 2**40).map(lambda n: np.datetime64(n, "ms").item())),
}


def row_of(left: Sequence[Any], right: Sequence[Any]) -> list[int]:
    """What a dict finds. None, or a tuple with None in it, is found nowhere."""
    places = {key: row for row, key in enumerate(right)}
    return [-1 if key is None or (isinstance(key, tuple) and None in key) else places.get(key, -1) for key in left]


def cut_up(data: Any, values: list[Any], kind: pa.DataType) -> Any:
    """A column in one of the shapes in which Arrow has it: sliced, in chunks, dictionary-encoded."""
    shape = data.draw(st.sampled_from(["whole", "sliced", "chunks", "dictionary", "dictionaries", "run ends"]))
    array = pa.array(values, kind)
    if shape == "sliced":
        return pa.array([*values[:1], *values, *values[:2]], kind).slice(len(values[:1]), len(values))
    at = len(values) // 3
    if shape == "chunks":
        return pa.chunked_array([array.slice(0, at), array.slice(at, 0), array.slice(at)], kind)
    if kind == pa.string_view() or shape == "whole":
        return array
    if shape == "run ends" and len(values):
        return pa.chunked_array([pa.compute.run_end_encode(array)])
    if shape == "dictionaries":
        chunks = [array.slice(0, at).dictionary_encode(), array.slice(at).dictionary_encode()]
        return pa.chunked_array(chunks)
    return array.dictionary_encode()


@given(st.data(), st.sampled_from(sorted(KINDS)))
@settings(deadline=None, max_examples=200)
def test_finds_what_a_dict_finds(data: Any, name: str) -> None:
    kind, values = KINDS[name]
    right = data.draw(st.lists(values, max_size=30, unique=True)) + data.draw(st.sampled_from([[], [None, None]]))
    left = data.draw(st.lists(st.sampled_from([*right, None]) | values, max_size=40))
    found = match_keys(
        wrap(pa.table({"k": cut_up(data, left, kind)})),
        ["k"],
        wrap(pa.table({"key": cut_up(data, right, kind)})),
        ["key"],
    )
    assert found.dtype == np.int64
    assert_array_equal(found, row_of(left, right))


@given(st.data(), st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=3))
@settings(deadline=None, max_examples=100)
def test_keys_of_several_columns_are_tuples(data: Any, names: list[str]) -> None:
    values = st.tuples(*(KINDS[name][1] for name in names))
    right = data.draw(st.lists(values, max_size=12, unique=True))
    mixed = st.tuples(*(st.sampled_from([None, *(key[j] for key in right)]) for j in range(len(names))))
    left = data.draw(st.lists(st.sampled_from(right) | mixed if right else values, max_size=30))
    tables = [
        pa.table({f"k{j}": cut_up(data, [key[j] for key in keys], KINDS[name][0]) for j, name in enumerate(names)})
        for keys in (left, right)
    ]
    on = [f"k{j}" for j in range(len(names))]
    assert_array_equal(match_keys(wrap(tables[0]), on, wrap(tables[1]), on), row_of(left, right))


def test_where_one_text_ends_and_the_next_begins_counts() -> None:
    right = pa.table({"a": ["x", "xy", ""], "b": ["yz", "z", "xyz"]})
    left = pa.table({"a": ["xy", "", "x", "xyz"], "b": ["z", "xyz", "yz", ""]})
    assert_array_equal(match_keys(wrap(left), ["a", "b"], wrap(right), ["a", "b"]), [1, 2, 0, -1])


@pytest.mark.parametrize("rows", [(300, 40), (40, 300)])
@pytest.mark.parametrize(
    "forced", [lambda h: h * 0, lambda h: h & np.uint64(3), lambda h: h >> np.uint64(62) << np.uint64(62)]
)
def test_keys_that_collide_are_told_apart(monkeypatch: pytest.MonkeyPatch, rows: tuple[int, int], forced: Any) -> None:
    """All of one hash, or of four that begin at the same slot, or of four tags that are equal."""
    hashes = hash_table.hashes
    monkeypatch.setattr(hash_table, "hashes", lambda keys: forced(hashes(keys)))
    rng = np.random.default_rng(5)
    keys = [f"{n:x}" * (1 + n % 4) for n in range(400)]
    left, right = ([str(key) for key in rng.choice(keys, size, replace=size < 300)] for size in rows)
    right = list(dict.fromkeys(right))
    found = match_keys(wrap(pa.table({"k": left})), ["k"], wrap(pa.table({"k": right})), ["k"])
    assert_array_equal(found, row_of(left, right))
    assert (found >= 0).any()
    assert (found < 0).any()


def test_keys_of_one_hash_that_differ_in_one_byte_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_table, "hashes", lambda keys: np.full(keys.rows, 7, np.uint64))
    for length in range(42):
        keys = ["a" * length, *("a" * at + "b" + "a" * (length - at - 1) for at in range(length))]
        found = match_keys(wrap(pa.table({"k": keys[::-1]})), ["k"], wrap(pa.table({"k": keys})), ["k"])
        assert_array_equal(found, np.arange(length, -1, -1))


def test_texts_of_all_lengths_have_hashes_of_their_own() -> None:
    texts = ["", *("\0" * n for n in range(1, 30)), *(f"{n:0{width}d}" for width in range(6, 30) for n in range(5_000))]
    columns = KeyColumns(wrap(pa.table({"k": texts})), ["k"])
    hashed = hash_table.hashes(columns.read(columns.kinds))
    assert len(np.unique(hashed)) == len(texts)
    assert np.bincount((hashed >> np.uint64(47)).astype(np.int64)).max() < 12


@pytest.mark.parametrize("morsel", [1, 7, 131_072])
def test_chunks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch, morsel: int) -> None:
    monkeypatch.setattr(lookup, "MORSEL", morsel)
    rng = np.random.default_rng(6)
    right = pd.DataFrame({"k": rng.permutation(500)[:300]})
    for size in (100, 900):
        left = pd.DataFrame({"k": rng.integers(0, 500, size)})
        expected = left.merge(right.assign(row=np.arange(300)), on="k", how="left")["row"].fillna(-1)
        for threads in (one_thread(), None):
            if threads is None:
                found = match_keys(wrap(left), ["k"], wrap(right), ["k"])
            else:
                with threads:
                    found = match_keys(wrap(left), ["k"], wrap(right), ["k"])
            assert_array_equal(found, expected)


PANDAS = {
    "str": lambda values: pd.Series(values, dtype="str"),
    "object": lambda values: pd.Series(values, dtype=object),
    "category": lambda values: pd.Series(values, dtype="category"),
    "python strings": lambda values: pd.Series(values, dtype=pd.StringDtype("python")),
    "arrow": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.string())),
}


@pytest.mark.parametrize("here", PANDAS)
@pytest.mark.parametrize("there", PANDAS)
def test_texts_of_pandas_are_equal_whatever_their_dtype(here: str, there: str) -> None:
    left, right = ["b", None, "", "zz", "a", "b"], ["a", "b", "", "c"]
    frames = pd.DataFrame({"k": PANDAS[here](left)}), pd.DataFrame({"k": PANDAS[there](right)})
    assert_array_equal(match_keys(wrap(frames[0]), ["k"], wrap(frames[1]), ["k"]), row_of(left, right))
    assert_array_equal(match_keys(wrap(frames[0]), ["k"], wrap({"k": np.array(right)}), ["k"]), row_of(left, right))
    polars = pl.DataFrame({"k": right})
    assert_array_equal(match_keys(wrap(frames[0]), ["k"], wrap(polars), ["k"]), row_of(left, right))


@pytest.mark.parametrize("here", ["int8", "int64", "uint32", "Int64", "UInt64", "uint64", "int64[pyarrow]"])
@pytest.mark.parametrize("there", ["int16", "int64", "UInt8", "uint64", "Int32"])
def test_integers_are_equal_whatever_their_width(here: str, there: str) -> None:
    left, right = [1, 0, 100, 5], [100, 7, 1]
    frames = pd.DataFrame({"k": pd.Series(left, dtype=here)}), pd.DataFrame({"k": pd.Series(right, dtype=there)})
    assert_array_equal(match_keys(wrap(frames[0]), ["k"], wrap(frames[1]), ["k"]), [2, -1, 0, -1])


def test_integers_beyond_int64_equal_no_negative_ones() -> None:
    unsigned, signed = np.array([2**64 - 1, 5, 2**63], np.uint64), np.array([-1, 5, -(2**63)], np.int64)
    assert unsigned.view(np.int64)[0] == signed[0]
    for left, right in ((unsigned, signed), (signed, unsigned)):
        assert_array_equal(match_keys(wrap({"k": left}), ["k"], wrap({"k": right}), ["k"]), [-1, 1, -1])
    assert_array_equal(match_keys(wrap({"k": unsigned}), ["k"], wrap({"k": unsigned}), ["k"]), [0, 1, 2])


def test_integers_near_each_other_beyond_float64_are_told_apart() -> None:
    big = 2**62 + np.arange(5)
    assert len(set(big.astype(float))) == 1
    assert_array_equal(match_keys(wrap({"k": big[::-1]}), ["k"], wrap({"k": big[1:]}), ["k"]), [3, 2, 1, 0, -1])


@pytest.mark.parametrize("here", ["s", "ms", "us"])
@pytest.mark.parametrize("there", ["s", "ms", "us", "ns"])
def test_times_are_compared_as_instants(here: str, there: str) -> None:
    """Half a second is none of whole seconds, and the year 9999 none of nanoseconds, which cannot hold it."""
    left = np.array(["2024-01-01", "1969-12-31T23:59:59", "9999-12-31", "2024-01-02", "NaT"], "M8[s]")
    right = np.array(["1969-12-31T23:59:59", "2024-01-01", "NaT"], "M8[s]")
    tables = [
        pa.table({"k": pa.array(values).cast(pa.timestamp(unit))}) for values, unit in ((left, here), (right, there))
    ]
    found = match_keys(wrap(tables[0]), ["k"], wrap(tables[1]), ["k"])
    assert_array_equal(found, [1, 0, -1, -1, -1])
    half = pa.array([1_500, -500, -1_000, 2_000], pa.timestamp("ms"))
    whole = pa.array([1, 0, -1, 2], pa.timestamp("s"))
    assert_array_equal(
        match_keys(wrap(pa.table({"k": half})), ["k"], wrap(pa.table({"k": whole})), ["k"]), [-1, -1, 2, 3]
    )


@given(
    st.lists(st.integers(-3, 12) | st.none(), max_size=40),
    st.lists(st.integers(0, 12) | st.none(), max_size=60),
    st.sampled_from([1, 5, 100]),
)
@settings(deadline=None, max_examples=200)
def test_a_key_that_is_there_twice_is_an_error_if_somebody_asks_for_it(
    left: list[int | None], right: list[int | None], morsel: int
) -> None:
    """Whichever side the table is built of, the same: the first row that repeats a key that is asked for."""
    asked = set(left) - {None}
    seen: dict[int, int] = {}
    twice = None
    for row, key in enumerate(right):
        if key in asked and twice is None:
            if key in seen:
                twice = (key, seen[key], row)
            seen.setdefault(key, row)
    frames = [pd.DataFrame({"k": pd.array(values, "Int64")}) for values in (left, right)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "MORSEL", morsel)
        if twice is None:
            found = match_keys(wrap(frames[0]), ["k"], wrap(frames[1]), ["k"])
            assert_array_equal(found, [-1 if key is None else seen.get(key, -1) for key in left])
        else:
            with pytest.raises(ft.DataError, match=rf"Key {twice[0]} of 'k' .* rows {twice[1]} and {twice[2]}:"):
                match_keys(wrap(frames[0]), ["k"], wrap(frames[1]), ["k"])


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (pa.array([1]), pa.array(["1"]), r"'k' on the left holds integers \(int64\) and 'k' on the right texts"),
        (pa.array([True]), pa.array([1]), r"booleans \(bool\) and 'k' on the right integers"),
        (pa.array([1], pa.date32()), pa.array([1], pa.timestamp("s")), "dates .* times without a zone"),
        (pa.array([1], pa.timestamp("s", "UTC")), pa.array([1], pa.timestamp("s")), "with a zone .* without a zone"),
        (pa.array([1.0]), pa.array([1]), "'k' holds double, which cannot be a key; float64 cannot keep keys exact"),
        (pa.array([1]), pa.array([[1]]), "'k' holds list.*, which cannot be a key; convert it"),
    ],
)
def test_keys_that_do_not_compare_are_refused(left: pa.Array, right: pa.Array, message: str) -> None:
    with pytest.raises(ft.DataError, match=message):
        match_keys(wrap(pa.table({"k": left})), ["k"], wrap(pa.table({"k": right})), ["k"])


def test_objects_of_several_types_are_refused() -> None:
    mixed = pd.DataFrame({"k": pd.Series(["a", 1], dtype=object)})
    with pytest.raises(ft.DataError, match="'k' holds values of which Arrow makes no one type"):
        match_keys(wrap(mixed), ["k"], wrap(pd.DataFrame({"k": ["a"]})), ["k"])


def test_columns_that_are_not_there_are_named() -> None:
    frame = wrap({"isin": np.array(["a"])})
    with pytest.raises(ft.ColumnError, match=r"no column 'isni' on the right\. Did you mean 'isin'"):
        match_keys(frame, ["isin"], frame, ["isni"])
    for left_on, right_on in ((["isin"], ["isin", "isin"]), ([], [])):
        with pytest.raises(ft.ParameterError, match="as many columns on the left as on the right"):
            match_keys(frame, left_on, frame, right_on)


@pytest.mark.parametrize("left", [0, 3])
@pytest.mark.parametrize("right", [0, 2])
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.int64(), pa.null(), pa.dictionary(pa.int8(), pa.string())]
)
def test_no_rows_and_only_nulls(left: int, right: int, kind: pa.DataType) -> None:
    tables = [pa.table({"k": pa.array([None] * rows, kind)}) for rows in (left, right)]
    assert_array_equal(match_keys(wrap(tables[0]), ["k"], wrap(tables[1]), ["k"]), [-1] * left)
    empty = [table.slice(0, 0).select(["k"]) for table in tables]
    chunkless = pa.table({"k": pa.chunked_array([], kind)})
    assert_array_equal(match_keys(wrap(empty[0]), ["k"], wrap(chunkless), ["k"]), [])


def test_a_column_of_nulls_compares_with_anything() -> None:
    nothing, something = pa.table({"k": pa.nulls(2)}), pa.table({"k": ["a", "b", "c"]})
    assert_array_equal(match_keys(wrap(nothing), ["k"], wrap(something), ["k"]), [-1, -1])
    assert_array_equal(match_keys(wrap(something), ["k"], wrap(nothing), ["k"]), [-1, -1, -1])


def test_a_table_of_many_keys_spreads_them() -> None:
    """A search that has to walk far would show as time; here it shows as slots between a key's home and its place."""
    data = np.arange(200_000, dtype=np.int64)
    keys = KeyBytes(data.view(np.uint8), np.empty(0, np.int64), 8, np.empty(0, np.bool_), len(data))
    hashed = hash_table.hashes(keys)
    assert len(np.unique(hashed)) == len(data)
    homes = np.bincount((hashed >> np.uint64(44)).astype(np.int64), minlength=2**20)
    assert homes.max() <= 8
    assert len(np.unique(hashed & np.uint64(2**24 - 1))) > 195_000


def test_neither_frame_is_changed() -> None:
    left, right = pd.DataFrame({"k": ["a", None]}), pd.DataFrame({"k": ["b", "a"]})
    before = left.copy(), right.copy()
    match_keys(wrap(left), ["k"], wrap(right), ["k"])
    pd.testing.assert_frame_equal(left, before[0])
    pd.testing.assert_frame_equal(right, before[1])
