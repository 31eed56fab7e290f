"""Frames at the engine's own edges: rows that fill chunks exactly, what comes first in a late chunk, ties at the edge.

Chunks are cut small here, so that a small frame has many; one test has as many rows as the real ones hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import keys, wavefront
from fintech_toolkit.engines.memory.wavefront import MORSEL, cut
from fintech_toolkit.frames.symbol_table import CHUNK
from tests.frames import same
from tests.stress import crossed

SECOND = 1_000_000_000
FEW_ROWS, MORE_ROWS = 40, 160
"""Rows of a morsel, and of a chunk of codes, where they are cut small."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut frames into small chunks."""
    monkeypatch.setattr(wavefront, "MORSEL", FEW_ROWS)
    monkeypatch.setattr(keys, "CHUNK", MORE_ROWS)


def growing(rows: int, every: int = 25) -> pd.DataFrame:
    """Return ticks among which a symbol that was never seen comes up every so many rows, the last row included."""
    number = np.arange(rows)
    codes = np.random.default_rng(rows).integers(0, np.maximum(number // every, 1))
    new = number % every == 0
    codes[new] = number[new] // every
    codes[-1:] = rows
    return pd.DataFrame(
        {
            "symbol": pd.array([f"S{code}" for code in codes], dtype="str"),
            "ts": pd.to_datetime(number // 3 * SECOND, utc=True),
            "price": np.random.default_rng(rows + 1).integers(0, 100, rows).astype(float),
        }
    )


def steps() -> ft.Pipeline:
    return ft.Pipeline(
        ft.diff("price"),
        ft.lag("price", k=2).named("lag"),
        ft.rolling_max("price", window=7, min_periods=1),
        ft.ewma("diff", span=5),
    )


def by_pandas(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what pandas gives, symbol by symbol."""
    price = frame.groupby("symbol", sort=False)["price"]
    highest = price.rolling(7, min_periods=1).max().droplevel(0).reindex(frame.index)
    return {"diff": price.diff(), "lag": price.shift(2), "rolling_max": highest}


def assert_is_pandas(result: Any, frame: pd.DataFrame) -> None:
    for name, values in by_pandas(frame).items():
        assert_array_equal(np.asarray(result[name]), values.to_numpy(), err_msg=name)


def arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def in_chunks(table: pa.Table) -> pa.Table:
    """Return the table in chunks of its own, which end elsewhere than the engine's."""
    return pa.concat_tables([table.slice(at, 53) for at in range(0, max(len(table), 1), 53)])


KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "str": lambda frame: frame,
    "object": lambda frame: frame.assign(symbol=frame["symbol"].astype(object)),
    "category": lambda frame: frame.assign(symbol=frame["symbol"].astype("category")),
    "int64": lambda frame: frame.assign(symbol=frame["symbol"].str[1:].astype("int64") + 2**60),
    "Int64": lambda frame: frame.assign(symbol=frame["symbol"].str[1:].astype("Int64")),
    "Arrow's string": arrow,
    "Arrow's dictionary": lambda frame: arrow(frame).set_column(
        0, "symbol", arrow(frame)["symbol"].dictionary_encode()
    ),
    "Arrow's chunks": lambda frame: in_chunks(arrow(frame)),
    "Arrow's dictionaries in chunks": lambda frame: in_chunks(
        arrow(frame).set_column(0, "symbol", arrow(frame)["symbol"].dictionary_encode())
    ),
    "dict": lambda frame: (
        {name: frame[name].to_numpy(object if name == "symbol" else None) for name in ("symbol", "price")}
        | {"ts": frame["ts"].to_numpy("M8[ns]")}
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@crossed(
    kind=list(KINDS),
    edge=[FEW_ROWS, 2 * FEW_ROWS, MORE_ROWS, 2 * MORE_ROWS, 3 * MORE_ROWS + FEW_ROWS],
    beyond=[-1, 0, 1],
)
@pytest.mark.usefixtures("small")
def test_rows_that_fill_chunks_with_symbols_that_come_late(kind: str, edge: int, beyond: int) -> None:
    frame = growing(edge + beyond)
    assert_is_pandas(steps()(KINDS[kind](frame)), frame)


@pytest.mark.parametrize("rows", [MORSEL - 1, MORSEL, MORSEL + 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_rows_that_fill_real_chunks(rows: int) -> None:
    frame = growing(rows, every=rows // 50)
    frame["symbol"] = frame["symbol"].astype("category")
    result = ft.Pipeline(ft.diff("price"))(frame)
    assert_array_equal(result["diff"], frame.groupby("symbol", observed=True)["price"].diff())


def test_rows_are_cut_without_a_rest() -> None:
    assert cut(0, 10) == [slice(0, 0)]
    assert cut(9, 10) == [slice(0, 9)]
    assert cut(10, 10) == [slice(0, 10)]
    assert cut(11, 10) == [slice(0, 10), slice(10, 11)]


@each_kind
@pytest.mark.usefixtures("small")
def test_nulls_that_come_late_are_named_by_their_row_in_the_frame(kind: Any) -> None:
    frame = growing(3 * MORE_ROWS + 10)
    row = 2 * MORE_ROWS + 3
    frame["symbol"] = frame["symbol"].where(frame.index != row)
    if kind is KINDS["int64"]:
        pytest.skip("these integers cannot be missing")
    run = steps().start()
    with pytest.raises(ft.DataError, match=f"Column 'symbol' has no symbol at row {row}"):
        run(kind(frame))
    assert len(run.state.symbols) == 0
    good, rejected = run.accept(kind(frame))
    assert rejected["row"].tolist() == [row]
    assert_is_pandas(good, frame.drop(index=row).reset_index(drop=True))


@pytest.mark.parametrize("row", [1, FEW_ROWS - 1, FEW_ROWS, MORE_ROWS - 1, MORE_ROWS, MORE_ROWS + 1, 479])
@pytest.mark.usefixtures("small")
def test_disorder_is_found_wherever_it_is(row: int) -> None:
    frame = growing(3 * MORE_ROWS).assign(symbol="S0")
    frame["ts"] = pd.to_datetime(np.arange(len(frame)) * SECOND, utc=True)
    frame.loc[row, "ts"] = frame["ts"][row - 1]
    steps()(frame)  # a tie is in order
    behind = frame.assign(symbol="S1", ts=frame["ts"] - pd.Timedelta(1, "h"))
    steps()(pd.concat([frame, behind]).sort_index(kind="stable"))  # and is so where symbols are looked at one by one
    frame.loc[row, "ts"] -= pd.Timedelta(1, "ns")
    run = steps().start()
    with pytest.raises(ft.DataError, match=f"goes backwards for symbol 'S0' at row {row} "):
        run(frame)
    assert len(run.state.symbols) == 0


@pytest.mark.usefixtures("small")
def test_disorder_between_frames_is_found_to_the_nanosecond() -> None:
    frame = growing(MORE_ROWS + 20)
    run = steps().start()
    first = run(frame)
    last = frame.iloc[[-1]]
    with pytest.raises(ft.DataError, match="goes backwards for symbol 'S180' at row 0 "):
        run(last.assign(ts=last["ts"] - pd.Timedelta(1, "ns")))
    tied = run(last)
    assert_is_pandas(pd.concat([first, tied], ignore_index=True), pd.concat([frame, last], ignore_index=True))


@pytest.mark.parametrize("late", [MORE_ROWS, 2 * MORE_ROWS + 7, 3 * MORE_ROWS - 1])
@pytest.mark.usefixtures("small")
def test_an_error_in_a_late_chunk_leaves_the_run_as_it_was(late: int) -> None:
    frame = growing(3 * MORE_ROWS)
    mixed = frame.assign(symbol=frame["symbol"].astype(object).where(frame.index != late, 7))
    run, untouched = steps().start(), steps().start()
    before, rest = frame.iloc[:30], frame.iloc[30:]
    same(run(before), untouched(before))
    with pytest.raises(ft.DataError, match="symbols must be all strings"):
        run(mixed.iloc[30:])
    assert run.state.symbols == untouched.state.symbols
    same(run(rest), untouched(rest))


@pytest.mark.parametrize("kind", ["str", "category"])
@pytest.mark.usefixtures("small")
def test_frames_without_a_new_symbol_and_frames_with_new_ones_take_turns(kind: str) -> None:
    frame = growing(5 * MORE_ROWS)
    old = frame["symbol"].isin(frame["symbol"][:MORE_ROWS].unique())
    known = frame[old & (frame.index >= MORE_ROWS)].iloc[: 2 * MORE_ROWS]
    turns = [frame.iloc[:MORE_ROWS], known.iloc[:45], known.iloc[45:], frame.iloc[int(known.index[-1]) + 1 :]]
    run = steps().start()
    parts, counts = [], []
    for turn in turns:
        parts.append(run(turn.assign(symbol=turn["symbol"].astype(kind))))
        counts.append(len(run.state.symbols))
    assert counts[0] == counts[1] == counts[2] < counts[3]
    together = pd.concat(turns, ignore_index=True)
    assert_is_pandas(pd.concat(parts, ignore_index=True), together)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_window_as_long_as_the_frame(beyond: int) -> None:
    rows = FEW_ROWS
    frame = growing(rows).assign(symbol="S0")
    window = rows + beyond
    given = {"window": window, "min_periods": rows - 1}
    mean = ft.Pipeline(ft.rolling_mean("price", **given))(frame)["rolling_mean"]
    assert_array_equal(mean, frame["price"].rolling(window, min_periods=rows - 1).mean())
    full = ft.Pipeline(ft.rolling_mean("price", window=window))(frame)["rolling_mean"]
    assert full.notna().sum() == max(0, 1 - beyond)


@pytest.mark.parametrize("at", [5, FEW_ROWS, MORE_ROWS])
@pytest.mark.usefixtures("small")
def test_a_value_leaves_a_window_of_time_when_it_is_as_old_as_the_window(at: int) -> None:
    """A window of 10 s at time t holds what came after t - 10 s, and all that came at t so far."""
    frame = growing(2 * MORE_ROWS).assign(symbol="S0")
    seconds = np.arange(len(frame)) // 3 * 5
    frame["ts"] = pd.to_datetime(seconds * SECOND, utc=True)
    pipeline = ft.Pipeline(ft.rolling_max("price", window="10s"))
    price = frame["price"].to_numpy()
    expected = [price[: j + 1][seconds[: j + 1] > seconds[j] - 10].max() for j in range(len(frame))]
    whole = pipeline(frame)
    assert_array_equal(whole["rolling_max"], expected)
    run = pipeline.start()  # cut within a tie, and between ties
    same(pd.concat([run(frame.iloc[:at]), run(frame.iloc[at:])]), whole)
