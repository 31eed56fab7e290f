"""Symbols as codes: every kind of column, what is refused, and a table that forgets what it must."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import wavefront
from fintech_toolkit.engines.memory.wavefront import cut, run_wavefront
from fintech_toolkit.frames.symbol_table import SymbolTable, code_steps
from fintech_toolkit.frames.symbols import NULL, check_same_kind, encode
from fintech_toolkit.scan.columns import read_only
from tests.frames import features, ticks

NAMES: list[Any] = ["B", None, "A", "B", None, "C", "A"]
NUMBERS: list[Any] = [2, None, 1, 2, None, 3, 1]
UNUSED = ["X", "C", "A", "Y", "B", "Z"]


def codes_of(column: Any, table: SymbolTable, size: int = 3) -> list[int | None]:
    """Return the codes of a column that is cut into chunks of `size` rows, None where there is no symbol."""
    codes = np.zeros(len(column), np.uint32)
    chunks = cut(len(column), size)
    run_wavefront(len(chunks), code_steps(column, "symbol", table, chunks, lambda c: codes[chunks[c]]))
    return [None if code == NULL else int(code) for code in codes]


def dictionary(values: list[Any], width: pa.DataType, kind: pa.DataType) -> pa.DictionaryArray:
    """Return a dictionary array that has values which no row uses, a null row, and a null among the values."""
    listed = sorted({value for value in values if value is not None}, reverse=True)
    unused = ["unused"] if isinstance(listed[0], str) else [99]
    levels = [*unused, *listed, None]
    indices = [levels.index(value) if value is not None else None for value in values]
    return pa.DictionaryArray.from_arrays(pa.array(indices, width), pa.array(levels, kind))


def with_a_null_level() -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 0, None, 3, 2], pa.int8()), pa.array(["B", None, "A", "C"])
    )


COLUMNS: dict[str, Any] = {
    "str": pd.Series(NAMES, dtype="str"),
    "object": pd.Series(NAMES, dtype=object),
    "string": pd.Series(NAMES, dtype="string"),
    "pandas' Arrow strings": pd.Series(NAMES, dtype=pd.ArrowDtype(pa.string())),
    "pandas' Arrow dictionary": dictionary(NAMES, pa.int32(), pa.string()).to_pandas(types_mapper=pd.ArrowDtype),
    "category": pd.Series(pd.Categorical(NAMES, categories=UNUSED)),
    "ordered category": pd.Series(pd.Categorical(NAMES, categories=UNUSED, ordered=True)),
    "NumPy": np.array(NAMES, dtype=object),
    "Arrow": pa.array(NAMES),
    "Arrow large": pa.array(NAMES, pa.large_string()),
    "Arrow view": pa.array(NAMES, pa.string_view()).cast(pa.string()),
    "Arrow dictionary": dictionary(NAMES, pa.int8(), pa.string()),
    "Arrow dictionary 64": dictionary(NAMES, pa.int64(), pa.string()),
    "Arrow dictionary unsigned": dictionary(NAMES, pa.uint8(), pa.string()),
    "Arrow dictionary unsigned 32": dictionary(NAMES, pa.uint32(), pa.large_string()),
    "Arrow dictionary of a null": with_a_null_level(),
    "Arrow chunks": pa.chunked_array([pa.array(NAMES[:2]), pa.array(NAMES[2:2], pa.string()), pa.array(NAMES[2:])]),
    "Arrow chunks of dictionaries": pa.chunked_array(
        [pa.array(NAMES[:3]).dictionary_encode(), pa.array(NAMES[3:]).dictionary_encode()]
    ),
    "Int64": pd.Series(NUMBERS, dtype="Int64"),
    "Arrow integers": pa.array(NUMBERS, pa.int16()),
    "category of integers": pd.Series(pd.Categorical(NUMBERS, categories=[9, 3, 2, 1])),
    "Arrow dictionary of integers": dictionary(NUMBERS, pa.int16(), pa.int64()),
}


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("name", COLUMNS)
def test_codes_are_given_to_what_is_there_once_each(name: str, size: int) -> None:
    column = COLUMNS[name]
    table = SymbolTable()
    codes = codes_of(column, table, size)
    expected = NUMBERS if "nteger" in name or name == "Int64" else NAMES
    assert [None if code is None else table.symbols[code] for code in codes] == expected
    assert sorted(table.symbols) == sorted({value for value in expected if value is not None}), "no unused ones"
    assert {type(symbol) for symbol in table.symbols} == {type(expected[0])}
    assert codes_of(column, table, size) == codes
    assert len(table) == 3


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([], dtype="str"),
        pd.Series(pd.Categorical([], categories=["A"])),
        pa.array([], pa.string()),
        pa.chunked_array([], pa.string()),
        pa.chunked_array([], pa.dictionary(pa.int32(), pa.string())),
        pa.array([None, None], pa.null()),
        pd.Series([None, None], dtype="str"),
        pd.Series(pd.Categorical([None, None], categories=["A"])),
    ],
)
def test_a_column_without_symbols_adds_none(column: Any) -> None:
    table = SymbolTable(["A"])
    assert codes_of(column, table) == [None] * len(column)
    assert table.symbols == ["A"]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1.5, 2.0]),
        pd.Series([True, False]),
        pd.Series(pd.Categorical([1.5, 2.0])),
        pd.Series(pd.Categorical(["A", 1])),
        pd.Series(["A", 1], dtype=object),
        pa.array([b"A"]),
        pa.array([1.5]).dictionary_encode(),
        pd.Series(pd.to_datetime(["2024-01-01"])),
    ],
    ids=lambda column: str(getattr(column, "dtype", None) or column.type),
)
def test_what_are_no_symbols_is_refused(column: Any) -> None:
    with pytest.raises(ft.DataError, match=r"Column 'ticker' (holds|mixes) .*symbols must be all strings"):
        encode(column, "ticker")


def test_strings_and_integers_never_meet() -> None:
    check_same_kind("A", "B")
    check_same_kind(1, 2)
    for one, other in (("1", 1), (1, "1")):
        with pytest.raises(ft.DataError, match=f"Of symbols {one!r} and {other!r} one is a string, one an integer"):
            check_same_kind(one, other)
    table = SymbolTable(["A"])
    with pytest.raises(ft.DataError, match="one is a string"):
        codes_of(pd.Series([1, 2]), table)
    assert table.symbols == ["A"]


def test_a_table_adds_forgets_and_is_copied() -> None:
    table = SymbolTable(["A", "B"])
    assert [table.add("B"), table.add("C"), table.add("A"), table.add("C")] == [1, 2, 0, 2]
    copy = table.copy()
    table.truncate(1)
    assert (table.symbols, len(table)) == (["A"], 1)
    assert table.add("C") == 1, "what was forgotten is new"
    assert copy.symbols == ["A", "B", "C"]
    assert copy.add("D") == 3
    assert table.symbols == ["A", "C"]
    table.truncate(2)
    assert table.symbols == ["A", "C"]


def test_codes_are_looked_up_for_what_is_known() -> None:
    table = SymbolTable(["A", "B", "C"])
    found = table.indices_of(["C", "X", "A"])
    assert_array_equal(found, [2, 0])
    assert found.dtype == np.int64
    assert table.indices_of([]).dtype == np.int64
    assert len(table) == 3


def test_codes_are_of_this_frame_also_when_another_thread_has_seen_the_symbols() -> None:
    """Values that are used for the first time in a late chunk get codes then, in the order of arrival."""
    table = SymbolTable()
    column = pd.Series(pd.Categorical(["B", "B", "C", "B", "A"], categories=["A", "B", "C"]))
    assert codes_of(column, table, size=2) == [0, 0, 1, 0, 2]
    assert table.symbols == ["B", "C", "A"]


def test_read_only_views_are_contiguous_and_leave_the_column_as_it_is() -> None:
    column = np.arange(6)
    view = read_only(column)
    assert np.shares_memory(view, column)
    assert not view.flags.writeable
    assert column.flags.writeable
    assert read_only(column[::2]).flags.c_contiguous
    assert_array_equal(read_only(column[::2]), [0, 2, 4])


def test_more_symbols_than_a_cache_holds_get_the_numbers_that_few_of_them_get() -> None:
    """Their states are fetched ahead of their rows, which must change nothing, also in the last rows."""
    random = np.random.default_rng(5)
    symbols, rows = 30_000, 400_000
    frame = pd.DataFrame({"symbol": random.integers(0, symbols, rows), "price": random.normal(size=rows)})
    pipeline = ft.Pipeline(
        ft.ewma("price", span=3), ft.rolling_zscore("price", window=5), ft.rolling_max("price", window=20), time=None
    )
    whole = pipeline(frame)
    for remainder in range(10):
        some = frame["symbol"] % 10 == remainder
        assert_array_equal(pipeline(frame[some]).to_numpy(), whole[some].to_numpy())
    coded = frame.assign(symbol=frame["symbol"].astype("category"))
    assert_array_equal(pipeline(coded).iloc[:, 1:].to_numpy(), whole.iloc[:, 1:].to_numpy())


def test_the_codes_that_a_column_has_give_the_numbers_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever values its rows leave unused, fewer than there are rows or more."""
    monkeypatch.setattr(wavefront, "MORSEL", 97)
    frame = ticks()
    expected = features()(frame)
    for unused in (0, 200, 2 * len(frame)):
        levels = [*(f"unused {j}" for j in range(unused)), *sorted(set(frame["symbol"]), reverse=True)]
        coded = frame.assign(symbol=pd.Categorical(frame["symbol"], categories=levels))
        assert_array_equal(features()(coded)[features().gives], expected[features().gives])
        table = pa.Table.from_pandas(coded, preserve_index=False)
        assert_array_equal(features()(table).to_pandas()[features().gives], expected[features().gives])
