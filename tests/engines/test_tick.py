"""One tick at a time: the bits of frames, whatever the form of a tick, and nothing changed by one that is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.checking.contract import tick_by_tick
from fintech_toolkit.checking.ticks import START, split, ticks

FLOATS = {name: np.dtype("f8") for name in ("bid", "ask", "bid_size", "ask_size")}
QUOTE = {"bid": 10.0, "ask": 10.5, "bid_size": 3.0, "ask_size": 4.0}


def features(**options: Any) -> ft.Pipeline:
    return ft.Pipeline(
        ft.midprice(),
        ft.log_returns("mid"),
        ft.ewma("log_return", halflife=50),
        ft.ofi(),
        ft.rolling_zscore("ofi", window=20),
        ft.rolling_max("mid", window="3s"),
        **options,
    )


def assert_rows(rows: list[dict[str, Any]], expected: Any, names: list[str]) -> None:
    assert all(list(row) == names for row in rows)
    for name in names:
        values = np.asarray(expected[name])
        assert_array_equal(np.array([row[name] for row in rows], values.dtype), values, err_msg=name, strict=True)


@pytest.mark.parametrize("session", [None, "America/New_York", "UTC 06:30"])
@pytest.mark.parametrize("shares", [[], [0.3, 0.6], [0.0, 0.01, 0.5, 0.9]])
def test_ticks_and_frames_alternate(shares: list[float], session: str | None) -> None:
    frame = ticks(FLOATS, 600, seed=3, symbols=5, missing=0.03, infinite=0.01)
    frame["ts"] = START + (frame["ts"] - START) * 5_000  # over days
    pipeline = features(session=session)
    assert_rows(tick_by_tick(pipeline, split(frame, shares)), pipeline(frame), pipeline.gives)


def test_the_state_after_ticks_is_the_state_after_frames() -> None:
    frame = ticks(FLOATS, 300, seed=4, symbols=4)
    by_ticks, by_frames = features().start(), features().start()
    by_frames(frame)
    rows = pd.DataFrame(frame).to_dict("records")
    for row in rows:
        by_ticks.tick(row.pop("symbol"), row.pop("ts"), **row)
    pd.testing.assert_frame_equal(by_ticks.state.frame(), by_frames.state.frame(), check_exact=True)


@pytest.mark.parametrize(
    "form",
    [
        int,
        np.int64,
        pytest.param(pd.Timestamp, id="naive Timestamp"),
        pytest.param(lambda ns: pd.Timestamp(ns, tz="UTC"), id="aware Timestamp"),
        pytest.param(lambda ns: pd.Timestamp(ns, tz="Asia/Tokyo").as_unit("us"), id="Timestamp of another zone, in us"),
        pytest.param(lambda ns: np.datetime64(ns, "ns"), id="datetime64"),
        pytest.param(lambda ns: pd.Timestamp(ns).to_pydatetime(), id="naive datetime"),
        pytest.param(lambda ns: pd.Timestamp(ns, tz=UTC).to_pydatetime(), id="aware datetime"),
    ],
)
def test_times_come_in_any_form(form: Callable[[int], Any]) -> None:
    run = ft.Pipeline(ft.rolling_mean("x", window="3s")).start()
    at = [START // 1000 * 1000 + j * 1_000_000_000 for j in range(6)]
    given = [run.tick("A", form(ns), x=float(j))["rolling_mean"] for j, ns in enumerate(at)]
    assert given == [0.0, 0.5, 1.0, 2.0, 3.0, 4.0]
    assert run.state.last.tolist() == at[-1:]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_integer_times_mean_what_they_mean_in_frames(unit: str) -> None:
    run = ft.Pipeline(ft.diff("x"), unit=unit).start()
    assert [run.tick("A", time, x=2.0)["diff"] for time in (5, 5, 6)][1:] == [0.0, 0.0]
    assert run.state.last.tolist() == [6 * {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[unit]]
    before = run.state.copy()
    with pytest.raises(ft.DataError, match="goes backwards"):
        run.tick("A", 4, x=1.0)
    if unit != "ns":
        with pytest.raises(ft.DataError, match="int64 nanoseconds cannot"):
            run.tick("A", 2**62, x=1.0)
    pd.testing.assert_frame_equal(run.state.frame(), before.frame())


@pytest.mark.parametrize("known", [True, False], ids=["a known symbol", "the first tick"])
@pytest.mark.parametrize(
    ("tick", "error", "words"),
    [
        ({"ask": None}, ft.ColumnError, "no column 'ask'"),
        ({"ask": None, "aks": 1.0}, ft.ColumnError, "No step reads 'aks'. Did you mean 'ask'"),
        ({"dealer": 1.0}, ft.ColumnError, "No step reads 'dealer'"),
        ({"bid": "10"}, ft.DataError, "Column 'bid' must hold numbers"),
        ({"bid": 2**53 + 1}, ft.DataError, "beyond the 2\\*\\*53"),
        ({"bid": pd.Timestamp(0)}, ft.DataError, "Column 'bid' holds times"),
        ({"ts": None}, ft.ColumnError, "no column 'ts' for event times"),
        ({"ts": 1.5}, ft.DataError, "float64 cannot keep nanoseconds"),
        ({"ts": 1_704_189_598_123}, ft.DataError, "looks like milliseconds"),
        ({"ts": 2**63}, ft.DataError, "Column 'ts'"),
        ({"ts": pd.NaT}, ft.DataError, "Column 'ts'"),
        ({"ts": "2024-01-02"}, ft.DataError, "must hold times"),
        ({"symbol": None}, ft.ColumnError, "no column 'symbol' for symbols"),
        ({"symbol": 1.5}, ft.DataError, "symbols must be all strings"),
        ({"symbol": ["A"]}, ft.DataError, "symbols must be all strings"),
        ({"side": 2.0}, ft.DataError, "Column 'side' holds 2.0 at row 0; 'side' must be -1, 0 or 1"),
    ],
)
def test_a_tick_that_is_refused_changes_nothing(
    tick: dict[str, Any], error: type[Exception], words: str, known: bool
) -> None:
    run = ft.Pipeline(ft.midprice(), ft.ewma("mid", span=5), ft.position()).start()
    good = {"symbol": "A", "ts": START, "bid": 1.0, "ask": 2.0, "price": 1.5, "size": 1.0, "side": 1.0}
    if known:
        run.tick(**good)
        run.tick(**good)
    before = run.state.copy()
    wrong = {name: value for name, value in (good | {"ts": START + 1} | tick).items() if value is not None}
    with pytest.raises(error, match=words):
        run.tick(**wrong)
    pd.testing.assert_frame_equal(run.state.frame(), before.frame(), check_exact=True)
    assert run.state.symbols == before.symbols
    assert run.state.time_kind == before.time_kind
    run.tick(**good)


def test_of_a_known_symbol_other_kinds_are_refused() -> None:
    run = ft.Pipeline(ft.diff("x")).start()
    run.tick("A", pd.Timestamp(5), x=1.0)
    with pytest.raises(ft.DataError, match="aware times, the frames before had naive ones"):
        run.tick("A", pd.Timestamp(5, tz="UTC"), x=1.0)
    with pytest.raises(ft.DataError, match="int times, the frames before had naive ones"):
        run.tick("A", START, x=1.0)
    with pytest.raises(ft.DataError, match="one is a string, one an integer"):
        run.tick(1, pd.Timestamp(6), x=1.0)
    with pytest.raises(ft.DataError, match=r"for symbol 'A' at row 0 .*sort the rows"):
        run.tick("A", pd.Timestamp(4), x=1.0)
    assert run.tick("A", datetime(1970, 1, 1, 0, 0, 1), x=3.0) == {"diff": 2.0}


def test_symbols_are_told_apart_by_type() -> None:
    run = ft.Pipeline(ft.diff("x"), time=None).start()
    run.tick(1, x=1.0)
    assert run.tick(np.int64(1), x=2.0) == {"diff": 1.0}
    for symbol in (True, 1.0):
        with pytest.raises(ft.DataError, match="symbols must be"):
            run.tick(symbol, x=2.0)
    assert run.state.symbols == [1]


def test_without_symbols_and_without_times() -> None:
    run = ft.Pipeline(ft.diff("x"), symbol=None, time=None).start()
    assert [run.tick(x=value)["diff"] for value in (1.0, 2.0, 4.0)][1:] == [1.0, 2.0]
    with pytest.raises(ft.ColumnError, match="has no symbols, so a tick has no symbol"):
        run.tick("A", x=1.0)
    with pytest.raises(ft.ColumnError, match="has no times, so a tick has no ts"):
        run.tick(ts=START, x=1.0)
    assert run.tick(x=5.0) == {"diff": 1.0}


def test_numbers_come_in_any_form() -> None:
    run = ft.Pipeline(ft.diff("x"), time=None).start()
    forms = [1, np.int32(2), np.float32(3), np.float64(4), True, None, pd.NA, 9.0, np.array(10)[()]]
    given = [run.tick("A", x=value)["diff"] for value in forms]
    frame = pd.DataFrame({"symbol": "A", "x": [1.0, 2.0, 3.0, 4.0, 1.0, np.nan, np.nan, 9.0, 10.0]})
    assert_array_equal(np.array(given), ft.Pipeline(ft.diff("x"), time=None)(frame)["diff"])


def test_whole_numbers_stay_exact_and_may_be_missing() -> None:
    run = ft.Pipeline(ft.diff("id", dtype="int64"), time=None).start()
    big = 2**60 + 1
    given = [run.tick("A", id=value) for value in (big, big + 3, None, np.int64(big + 4))]
    whole = ft.Pipeline(ft.diff("id", dtype="int64"), time=None)(
        pd.DataFrame({"symbol": "A", "id": pd.array([big, big + 3, None, big + 4], "Int64")})
    )["diff"]
    assert [row["diff"] for row in given] == [None if pd.isna(v) else v for v in whole]
    assert given[1] == {"diff": 3}


def test_columns_have_the_names_of_the_frame() -> None:
    run = ft.Pipeline(ft.midprice(), columns={"bid": "best_bid", "symbol": "ticker", "ts": "time"}).start()
    for _ in range(2):
        assert run.tick("A", START, **{"best_bid": 1.0, "ask": 2.0}) == {"mid": 1.5}
    with pytest.raises(ft.ColumnError, match=r"No step reads 'bid'\. Known: ask, best_bid"):
        run.tick("A", START, bid=1.0, ask=2.0)


def test_a_column_that_steps_read_in_two_ways() -> None:
    pipeline = ft.Pipeline(ft.diff("x"), ft.lag("x", dtype="int64").named("before"), time=None)
    run = pipeline.start()
    rows = [run.tick("A", x=value) for value in (3, 5, 9)]
    whole = pipeline(pd.DataFrame({"symbol": "A", "x": [3, 5, 9]}))
    assert_array_equal([row["diff"] for row in rows], whole["diff"])
    assert [row["before"] for row in rows] == [None, 3, 5]


def test_rows_that_are_emitted_say_when_they_were_known() -> None:
    pipeline = ft.Pipeline(ft.time_bars(frequency="1s"))
    base = pd.Timestamp("2024-01-02 09:30", tz="UTC")
    run = pipeline.start()
    given = [
        run.tick("A", base + pd.Timedelta(ms, "ms"), price=float(ms), size=1.0) for ms in (0, 400, 900, 1200, 2500)
    ]
    assert [len(rows) for rows in given] == [0, 0, 0, 1, 1]
    (bar,) = given[3]
    assert list(bar) == pipeline.gives
    assert (bar["symbol"], bar["open"], bar["close"]) == ("A", 0.0, 900.0)
    assert bar["ts"] == base
    assert bar["known_at"] == base + pd.Timedelta("1200ms")
    assert len(run.flush()) == 1
    assert run.tick("A", base, price=1.0, size=1.0) == []  # afresh


def test_more_rows_than_there_was_room_for() -> None:
    pipeline = ft.Pipeline(ft.realized_spread(mid="mid", horizon="1min"))
    frame = ticks({name: np.dtype("f8") for name in pipeline.numeric_reads}, 2_000, seed=5)
    frame["ts"] = START + np.arange(2_000)
    late = {name: column[-1:].copy() for name, column in frame.items()} | {"ts": frame["ts"][-1:] + 10**12}
    by_ticks, by_frames = pipeline.start(), pipeline.start()
    rows = pd.DataFrame(frame).to_dict("records") + pd.DataFrame(late).to_dict("records")
    found = [row for tick in rows for row in by_ticks.tick(tick.pop("symbol"), tick.pop("ts"), **tick)]
    by_frames(frame)
    expected = by_frames(late)
    assert len(found) > 1_000
    assert_rows(found, expected, pipeline.gives)


def test_rings_grow_where_there_is_no_room() -> None:
    frame = ticks({"x": np.dtype("f8")}, 3_000, seed=6, symbols=300)
    pipeline = ft.Pipeline(ft.rolling_median("x", window=40), ft.rolling_mean("x", window="1000s"))
    run = pipeline.start()
    rows = [
        run.tick(symbol, ts, x=x)
        for symbol, ts, x in zip(frame["symbol"], frame["ts"].tolist(), frame["x"].tolist(), strict=True)
    ]
    assert_rows(rows, pipeline(frame), pipeline.gives)


def test_a_tick_that_stops_half_way_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = features().start()
    run.tick("A", START, **QUOTE)
    run.tick("A", START, **QUOTE)
    ticker = run._ticker
    assert ticker is not None

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ticker, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.tick("A", START + 1, **QUOTE)
    with pytest.raises(ft.StateError, match="stopped half-way"):
        run.tick("A", START + 2, **QUOTE)


@ft.tick_kernel(reads="x", gives="counted", state=[("rows", "i8")], source="definition", cases=[{}])
def up_to_two(s: Any, x: float) -> float:
    """Count the rows of a symbol; a third is more than it can take."""
    if s.rows == 2:
        raise ValueError("three")
    s.rows += 1
    return float(s.rows)


@pytest.mark.parametrize("as_frame", [False, True])
def test_what_a_kernel_raises_stops_the_run(as_frame: bool) -> None:
    run = ft.Pipeline(ft.diff("x"), up_to_two("x"), ft.ewma("counted", span=3), time=None).start()
    run.tick("A", x=1.0)
    assert run.tick("A", x=3.0) == {"diff": 2.0, "counted": 2.0, "ewma": 5 / 3}
    with pytest.raises(ValueError, match="three"):
        run({"symbol": ["A"], "x": [4.0]}) if as_frame else run.tick("A", x=4.0)
    with pytest.raises(ft.StateError, match=r"stopped half-way \(ValueError: three\)"):
        run.tick("A", x=5.0)


def test_a_copy_of_the_state_is_left_alone_by_ticks() -> None:
    run = features().start()
    run.tick("A", START, **QUOTE)
    run.tick("A", START, **QUOTE)
    kept = run.state.copy()
    before = kept.frame()
    run.tick("A", START + 1, **QUOTE | {"bid": 9.0})
    run.peek({"symbol": ["B"], "ts": [START + 1], **{name: [value] for name, value in QUOTE.items()}})
    assert run.state.symbols == ["A"]
    pd.testing.assert_frame_equal(kept.frame(), before, check_exact=True)
    assert run.state.last.tolist() == [START + 1]
