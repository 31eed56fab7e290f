"""A pipeline is one object: the same numbers from every kind of frame, however it is cut."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import wavefront
from fintech_toolkit.scan.threads import one_thread, threads
from tests.frames import features, same, ticks


def test_pandas_keeps_rows_order_index_and_dtypes_and_appends_columns() -> None:
    frame = ticks()
    result = features()(frame)
    same(result[frame.columns.tolist()], frame)
    assert list(result.columns[len(frame.columns) :]) == [
        "mid",
        "log_return",
        "ewma",
        "ewstd",
        "zscore",
        "rolling_max",
        "slow",
        "lagged",
    ]
    assert_array_equal(result["mid"], (frame["bid"] + frame["ask"]) / 2)


def test_each_symbol_is_as_if_it_were_alone() -> None:
    frame = ticks()
    result = features()(frame)
    for symbol, alone in frame.groupby("symbol"):
        same(features()(alone), result[result["symbol"] == symbol])


@pytest.mark.parametrize("kind", ["table", "batch", "chunked", "dict", "category", "dictionary", "integers"])
def test_every_kind_of_frame_gives_the_same_bits(kind: str) -> None:
    frame = ticks().drop(columns=["venue", "note"])
    expected = features()(frame)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if kind == "table":
        result = features()(table)
        assert isinstance(result, pa.Table)
    elif kind == "batch":
        result = features()(table.to_batches()[0])
        assert isinstance(result, pa.RecordBatch)
    elif kind == "chunked":
        result = features()(pa.concat_tables([table.slice(0, 123), table.slice(123, 7), table.slice(130)]))
    elif kind == "dict":
        result = features()({name: frame[name].to_numpy() for name in frame} | {"ts": frame["ts"].to_numpy("M8[ns]")})
        assert isinstance(result, dict)
    elif kind == "category":
        levels = ["unused", *sorted(set(frame["symbol"]), reverse=True)]
        result = features()(frame.assign(symbol=pd.Categorical(frame["symbol"], categories=levels)))
        assert list(result["symbol"].cat.categories) == levels
    elif kind == "dictionary":
        result = features()(table.set_column(0, "symbol", table["symbol"].dictionary_encode()))
    else:
        result = features()(frame.assign(symbol=frame["symbol"].str[1:].astype("int64") + 2**60))
    for name in features().gives:
        assert_array_equal(np.asarray(result[name]), expected[name].to_numpy())


def test_the_wavefront_gives_the_bits_of_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = ticks(3000)
    whole = features()(frame)
    monkeypatch.setattr(wavefront, "MORSEL", 97)
    same(features()(frame), whole)
    bars = ft.Pipeline(ft.time_bars(frequency="1s"))
    many = bars(frame)
    monkeypatch.undo()
    same(bars(frame), many)


def test_the_wavefront_passes_on_the_first_error() -> None:
    def fail(chunk: int) -> None:
        if chunk == 3:
            raise ZeroDivisionError("chunk 3")

    with pytest.raises(ZeroDivisionError, match="chunk 3"):
        wavefront.run_wavefront(9, [(False, fail), (True, lambda chunk: None)])


def test_a_run_continues_where_the_last_frame_left() -> None:
    frame = ticks()
    run = features().start()
    parts = [run(frame.iloc[a:b]) for a, b in [(0, 1), (1, 1), (1, 250), (250, 500)]]
    same(pd.concat(parts), features()(frame))


def test_peek_does_not_advance() -> None:
    frame = ticks()
    run = features().start()
    run(frame.iloc[:300])
    peeked = run.peek(frame.iloc[300:])
    same(run.peek(frame.iloc[300:]), peeked)
    same(run(frame.iloc[300:]), peeked)


def test_peek_shows_the_forming_bar() -> None:
    frame = ticks(50, symbols=1)
    run = ft.Pipeline(ft.time_bars(frequency="1h")).start()
    assert len(run(frame)) == 0
    forming = run.peek(frame.iloc[:0])
    assert forming[["count", "complete"]].values.tolist() == [[50, False]]
    assert forming["known_at"].isna().all()
    same(run.flush(), forming)
    with pytest.raises(ft.PipelineError, match="no event step"):
        features().start().flush()


def test_an_event_step_gives_a_frame_of_its_own() -> None:
    frame = ticks()
    bars = ft.Pipeline(ft.time_bars(frequency="10s"))(frame)
    assert list(bars.columns[:2]) == ["symbol", "ts"]
    assert bars["count"].sum() == len(frame)
    assert str(bars["known_at"].dtype) == "datetime64[ns, UTC]"
    finished = bars[bars["complete"]]
    assert (finished["known_at"] >= finished["ts"] + pd.Timedelta("10s")).all()
    with pytest.raises(ft.PipelineError, match="must be the last step"):
        ft.Pipeline(ft.time_bars(frequency="1s"), ft.midprice())


def test_pipelines_compose_print_and_travel_as_json() -> None:
    left, right = ft.Pipeline(ft.midprice()), ft.Pipeline(ft.ewma("mid", span=9).named("fast"))
    both = left | right
    assert both == ft.Pipeline(ft.midprice(), ft.ewma("mid", span=9).named("fast"))
    assert ft.midprice() | right == both
    assert ft.midprice() | ft.ewma("mid", span=9).named("fast") == both
    assert isinstance(ft.midprice() | ft.ewma("mid", span=9), ft.Pipeline)
    assert left | ft.ewma("mid", span=9).named("fast") == both
    assert ft.Pipeline.from_json(both.to_json()) == both
    assert pickle.loads(pickle.dumps(both)) == both
    assert "ewma('mid', span=9).named('fast')" in repr(both)
    assert all(word in both._repr_html_() for word in ("midprice", "fast", "stateless"))
    for text in (
        "{",
        "{}",
        "[]",
        both.to_json().replace("ewma", "emwa"),
        both.to_json().replace('"format": 2', '"format": 9'),
    ):
        with pytest.raises(ft.PipelineError):
            ft.Pipeline.from_json(text)


@pytest.mark.parametrize(
    ("option", "mine", "theirs"),
    [
        ("symbol", "symbol", "ticker"),
        ("time", "ts", None),
        ("unit", None, "ms"),
        ("session", None, "Europe/London"),
        ("columns", {}, {"bid": "best_bid"}),
    ],
)
def test_pipelines_in_a_row_have_the_same_options(option: str, mine: Any, theirs: Any) -> None:
    first, second = ft.Pipeline(ft.midprice()), ft.Pipeline(ft.ewma("mid", span=9), **{option: theirs})
    clash = re.escape(f"{option}={mine!r} and {option}={theirs!r}")
    with pytest.raises(ft.PipelineError, match=clash):
        first | second
    assert getattr(ft.midprice() | second, option) == theirs
    assert getattr(second | ft.midprice(), option) == theirs


@pytest.mark.parametrize("sort", [lambda frame: frame, pa.Table.from_pandas, lambda frame: dict(frame.items())])
def test_how_a_frame_in_memory_runs_is_told(sort: Any) -> None:
    frame = ticks()
    plan = features().explain(sort(frame))
    assert (plan.name, plan.chunks) == ("one scan", "1 chunk of up to 131,072 rows")
    assert "500 rows" in plan.reason
    assert dict(plan.steps)["midprice('bid', 'ask')"].endswith("needs no state")
    assert "state" not in dict(plan.steps)["ewma('log_return', halflife=20)"]
    assert repr(plan).startswith("Plan: one scan (1 chunk of up to 131,072 rows)\nWhy: the frame is in memory")
    assert "midprice(&#x27;bid&#x27;" in plan._repr_html_()
    with pytest.raises(ft.ColumnError, match="no column 'bid'"):
        features().explain(sort(frame.drop(columns="bid")))
    with pytest.raises(ft.PipelineError, match="plan= is for Dask frames"):
        features().explain(sort(frame), plan="chain")


def test_chunks_that_run_side_by_side_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wavefront, "MORSEL", 100)
    plan = features().explain(ticks(401))
    assert plan.chunks == "5 chunks of up to 100 rows"
    with one_thread():
        alone = features().explain(ticks(401))
    assert (alone.name, alone.chunks) == ("one scan", plan.chunks)
    assert "on the calling thread" in alone.how
    if threads(5) == 1:
        pytest.skip("this machine has one core")
    assert plan.name == "wavefront"
    assert f"side by side on {threads(5)} threads" in plan.how
    assert plan.steps[0][1] == "chunks in any order, needs no state"
    assert plan.steps[1][1] == "chunk after chunk"


def test_how_a_stream_runs_is_told() -> None:
    plan = features().explain(Stream())
    assert (plan.name, plan.chunks, plan.rows) == ("live", "frame by frame", "as they were")
    assert "where the last one left" in plan.how
    bars = ft.Pipeline(ft.time_bars(frequency="10s"))
    assert "emits" in bars.explain(Stream()).rows
    assert "emits" in bars.explain(ticks()).rows


@pytest.mark.parametrize("other", [ft.ewma, "ewma", ["a", "list"]])
def test_what_is_no_step_does_not_follow_one(other: Any) -> None:
    for first in (ft.midprice(), ft.Pipeline(ft.midprice())):
        with pytest.raises(ft.PipelineError, match=r"Step 2 is .* not a step"):
            first | other
    with pytest.raises(ft.PipelineError, match=r"Step 1 is .* not a step"):
        other | ft.Pipeline(ft.midprice())


def test_columns_are_mapped_once() -> None:
    frame = ticks()
    renamed = frame.rename(columns={"bid": "b", "ask": "a", "symbol": "ticker", "ts": "when"})
    mapped = ft.Pipeline(ft.midprice(), symbol="ticker", time="when", columns={"bid": "b", "ask": "a"})
    assert_array_equal(mapped(renamed)["mid"], ft.Pipeline(ft.midprice())(frame)["mid"])


def test_one_series_needs_neither_symbol_nor_time() -> None:
    prices = ticks()["price"].to_numpy()
    alone = ft.Pipeline(ft.ewma("price", span=9), symbol=None, time=None)
    assert_array_equal(alone({"price": prices})["ewma"], ft.ewma(prices, span=9))
    with pytest.raises(ft.PipelineError, match="needs event times"):
        ft.Pipeline(ft.rolling_mean("price", window="1s"), time=None)


def test_sessions_reset_every_state_at_local_midnight() -> None:
    # New York's midnight is 05:00 UTC in winter and 04:00 UTC after the clocks change on 2024-03-10.
    times = pd.to_datetime(
        ["2024-03-09 04:59:59", "2024-03-09 05:00:00", "2024-03-11 03:59:59", "2024-03-11 04:00:00"], utc=True
    )
    frame = pd.DataFrame({"symbol": "A", "ts": times, "price": [1.0, 2.0, 3.0, 5.0], "size": 1.0})
    daily = ft.Pipeline(ft.welford("price"), session="America/New_York")
    assert_array_equal(daily(frame)["mean"], [1.0, 2.0, 3.0, 5.0])
    evening = ft.Pipeline(ft.welford("price"), session="America/New_York 17:00")
    assert_array_equal(evening(frame)["mean"], [1.0, 1.5, 3.0, 4.0])
    bars = ft.Pipeline(ft.time_bars(frequency="1D"), session="America/New_York")(frame)
    assert bars["count"].tolist() == [1, 1, 1, 1]
    assert bars["complete"].tolist() == [True, True, True, False]


def test_pairs_are_symbols_like_any_other() -> None:
    frame = ticks(400, symbols=4)
    pairs = [("S00", "S01"), ("S01", "S02")]
    paired = ft.to_pairs(frame, pairs)
    assert len(paired) == sum(frame["symbol"].isin(pair).sum() for pair in pairs)
    together = ft.Pipeline(ft.hayashi_yoshida_cov())(paired)
    for a, b in pairs:
        alone = ft.to_pairs(frame[frame["symbol"].isin([a, b])], [(a, b)])
        expected = ft.hayashi_yoshida_cov(alone["leg"].to_numpy(), alone["price"].to_numpy(), ts=alone["ts"])
        mine = together[together["symbol"] == f"{a}/{b}"]
        assert_array_equal(mine["hy_cov"], expected)
    table = ft.to_pairs(pa.Table.from_pandas(frame), pairs)
    assert_array_equal(table["leg"].to_numpy(), paired["leg"])
    for wrong in ([("A", "A")], [("A",)], [("A", "B"), ("A", "B")]):
        with pytest.raises(ft.ParameterError, match="pair"):
            ft.to_pairs(frame, wrong)
