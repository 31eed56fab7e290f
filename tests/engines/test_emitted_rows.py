"""Rows that an event step emits, as frames of every sort: whose they are, of what types, and in memory of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.authoring import event_kernel
from fintech_toolkit.engines.memory import wavefront

ROWS = 300
TRADES = np.random.default_rng(8)
NAMES = ["C", "Ä", "B"]
CODES = TRADES.integers(0, 3, ROWS)
PRICE, SIZE = 100 + TRADES.normal(size=ROWS), TRADES.uniform(1, 9, ROWS)
TIMES = 1_700_000_000_000_000_000 + np.cumsum(TRADES.integers(0, 3, ROWS)) * 10**6
BARS = ft.Pipeline(ft.tick_bars(bar_size=7))
SYMBOLS: dict[str, Any] = {
    "strings": np.array(NAMES, object)[CODES],
    "categories": pd.Categorical.from_codes(CODES, NAMES),
    "integers": CODES * 10**17 + 2**60,
}
STAMPS: dict[str, Any] = {
    "aware": pd.Series(pd.to_datetime(TIMES, utc=True)),
    "naive": pd.Series(pd.to_datetime(TIMES)),
    "int": pd.Series(TIMES),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wavefront, "MORSEL", 97)


def trades(symbols: str = "strings", times: str = "aware") -> pd.DataFrame:
    return pd.DataFrame({"symbol": SYMBOLS[symbols], "ts": STAMPS[times], "price": PRICE, "size": SIZE})


def expected(symbols: str) -> list[tuple[Any, int, int | None, int, float]]:
    """Of each bar: whose, from when, known when, how many trades, the last price; the unfinished ones last, by name."""
    complete, unfinished = [], []
    for code in dict.fromkeys(CODES.tolist()):
        rows = np.flatnonzero(code == CODES)
        for first in range(0, len(rows), 7):
            bar = rows[first : first + 7]
            symbol, begin, end = SYMBOLS[symbols][bar[0]], TIMES[bar[0]], TIMES[bar[-1]]
            if len(bar) == 7:
                complete.append((bar[-1], (symbol, begin, end, 7, PRICE[bar[-1]])))
            else:
                unfinished.append((symbol, begin, None, len(bar), PRICE[bar[-1]]))
    return [bar for _, bar in sorted(complete, key=lambda bar: bar[0])] + sorted(unfinished)


def found(bars: Any, times: str) -> list[tuple[Any, ...]]:
    """Return bars of any sort in the form of `expected`."""
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in dict(bars).items()})
    if times != "int":
        for name in ("ts", "known_at"):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table[name].cast(pa.timestamp("ns")).cast(pa.int64()))
    columns = (table[name].to_pylist() for name in ("symbol", "ts", "known_at", "count", "close"))
    rows = list(zip(*columns, strict=True))
    known = [row for row in rows if row[2] is not None]
    assert rows[: len(known)] == known, "the unfinished ones come last"
    return known + sorted(rows[len(known) :])


@pytest.mark.parametrize("times", STAMPS)
@pytest.mark.parametrize("symbols", SYMBOLS)
def test_rows_come_in_the_order_in_which_they_are_known_and_as_the_frame_has_its_columns(
    symbols: str, times: str
) -> None:
    frame, bars = trades(symbols, times), expected(symbols)
    given = BARS(frame)
    assert found(given, times) == bars
    assert given.dtypes["symbol"] == ("int64" if symbols == "integers" else "str")
    assert given.dtypes["ts"] == frame.dtypes["ts"]
    assert given.dtypes["known_at"] == ("Int64" if times == "int" else frame.dtypes["ts"])
    assert_array_equal(given.index, np.arange(len(bars)))

    table = BARS(pa.Table.from_pandas(frame, preserve_index=False))
    assert found({name: table[name].combine_chunks() for name in table.column_names}, times) == bars
    assert table.schema.field("symbol").type == (pa.int64() if symbols == "integers" else pa.string())

    arrays = BARS({name: frame[name] if name == "ts" else frame[name].to_numpy() for name in frame})
    assert found(arrays, times) == bars
    assert arrays["symbol"].dtype == (np.int64 if symbols == "integers" else object)

    run = BARS.start()
    parts = [run(frame.iloc[:100]), run(frame.iloc[100:101]), run(frame.iloc[101:]), run.flush(frame)]
    assert [bar for part in parts for bar in found(part, times)] == bars
    assert [part.dtypes.to_dict() for part in parts] == [given.dtypes.to_dict()] * 4


@pytest.mark.parametrize("times", STAMPS)
def test_every_column_has_memory_of_its_own(times: str) -> None:
    frame = trades(times=times)
    frame.insert(0, "known_at", frame["ts"])
    before, given = frame.copy(), BARS(frame)
    for name in given.columns:
        changed, expected = BARS(frame), given.copy()
        changed.loc[3, name] = expected.loc[3, name] = given.loc[5, name]
        pd.testing.assert_frame_equal(changed, expected)
    pd.testing.assert_frame_equal(frame, before)


def test_what_a_peek_gives_is_no_part_of_what_comes_next() -> None:
    frame = trades()
    run, other = BARS.start(), BARS.start()
    first = run(frame.iloc[:150])
    kept = first.copy()
    pd.testing.assert_frame_equal(other(frame.iloc[:150]), first)
    peeked = run.peek(frame.iloc[150:])
    rest = other(frame.iloc[150:])
    pd.testing.assert_frame_equal(peeked, pd.concat([rest, other.flush()], ignore_index=True))
    pd.testing.assert_frame_equal(run(frame.iloc[150:]), rest)
    pd.testing.assert_frame_equal(first, kept)


def test_ticks_that_emit_share_no_memory() -> None:
    run, rows = BARS.start(), []
    for symbol, ts, price, size in trades().itertuples(index=False):
        rows += run.tick(symbol, ts, price=price, size=size)
    assert [(row["symbol"], row["close"]) for row in rows] == [
        (symbol, close) for symbol, _, known, _, close in expected("strings") if known
    ]


def test_chunks_of_an_event_step_without_state_do_not_write_over_each_other() -> None:
    def nothing(s: Any, row: Any) -> bool:
        return False

    @event_kernel(reads="size", gives=["ts:i8", "large"], flush=nothing, state=[], source="a test")
    def large_trades(s: Any, row: Any, size: float, ts: int, again: bool) -> bool:
        """Emit trades of a size of 5 and more, each twice as large as it is."""
        if again or size < 5:
            return False
        row.ts = ts
        row.large = 2 * size
        return True

    step, random = large_trades("size"), np.random.default_rng(1)
    sizes = random.uniform(0, 10, 40_000)
    given = ft.Pipeline(step)({"symbol": random.integers(0, 3, 40_000), "ts": np.arange(40_000), "size": sizes})
    assert_array_equal(given["ts"], np.flatnonzero(sizes >= 5))
    assert_array_equal(given["large"], 2 * sizes[sizes >= 5])
