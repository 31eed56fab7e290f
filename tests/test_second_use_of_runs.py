"""A run after an error, and after its end: it goes on as if nothing had been, or says that it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.authoring import tick_kernel
from fintech_toolkit.engines.memory import wavefront
from tests.frames import same, ticks

PIPELINE = ft.Pipeline(ft.midprice(), ft.ewma("mid", span=5), ft.rolling_mean("price", window="2s"))
BARS = ft.Pipeline(ft.time_bars(frequency="2s"))
PAIRS = ft.Pipeline(ft.hayashi_yoshida_cov(), session="America/New_York")


def frame() -> pd.DataFrame:
    return ticks(300, symbols=4).reset_index(drop=True).drop(columns=["venue", "note"]).assign(leg=0)


def naive(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows, of symbols never seen before, on a clock of another kind, in some other order of arrival."""
    return rows.assign(symbol="NEW" + rows["symbol"].astype("str"), ts=rows["ts"].dt.tz_localize(None))


def without_symbol(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(symbol=rows["symbol"].where(np.arange(len(rows)) != len(rows) - 1))


def backwards(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(ts=[*rows["ts"][:-1], rows["ts"].iloc[0] - pd.Timedelta("1D")])


REFUSED: dict[str, Callable[[pd.DataFrame], Any]] = {
    "no such column": lambda rows: naive(rows).drop(columns="price"),
    "no time column": lambda rows: naive(rows).drop(columns="ts"),
    "a column that is there already": lambda rows: naive(rows).assign(ewma=1.0, open=1.0, hy_cov=1.0),
    "text for numbers": lambda rows: naive(rows).assign(price="text"),
    "a row without symbol": lambda rows: without_symbol(naive(rows)),
    "a row without time": lambda rows: naive(rows).assign(ts=naive(rows)["ts"].where(rows.index != rows.index[-1])),
    "time going backwards": lambda rows: backwards(naive(rows)),
    "time going backwards in a symbol that is known": backwards,
    "time of no sort": lambda rows: naive(rows).assign(ts=1.5),
    "milliseconds": lambda rows: naive(rows).assign(ts=1_704_189_598_123),
    "symbols of mixed sorts": lambda rows: naive(rows).assign(symbol=np.array(["NEW", 7] * (len(rows) // 2), object)),
    "an Arrow table without symbol": lambda rows: pa.Table.from_pandas(without_symbol(naive(rows))),
    "a value out of its domain": lambda rows: naive(rows).assign(leg=[*[0] * (len(rows) - 1), 2]),
    "no frame": lambda rows: rows["price"],
}
# What accept takes, with rows left out, and what some pipelines do not look at.
TAKEN = {
    ("accept", "a row without symbol"),
    ("accept", "a row without time"),
    ("accept", "time going backwards"),
    ("accept", "time going backwards in a symbol that is known"),
    ("accept", "an Arrow table without symbol"),
    ("accept", "a value out of its domain"),
}


@pytest.mark.parametrize("call", ["run", "peek", "accept"])
@pytest.mark.parametrize("seen", [0, 150])
@pytest.mark.parametrize("pipeline", [PIPELINE, BARS, PAIRS], ids=["columns", "bars", "pairs"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_frame_leaves_no_trace(case: str, pipeline: ft.Pipeline, seen: int, call: str) -> None:
    if (call, case) in TAKEN:
        pytest.skip("taken, but for the row")
    if (case == "a value out of its domain") != (pipeline is PAIRS) and case == "a value out of its domain":
        pytest.skip("nobody reads it")
    if case == "a column that is there already" and pipeline.emits:
        pytest.skip("its rows are its own")
    whole = frame()
    run, untouched = pipeline.start(), pipeline.start()
    for one in (run, untouched):
        one(whole.iloc[:seen])
    if not seen:
        run, untouched = pipeline.start(), pipeline.start()
    wrong = REFUSED[case](whole.iloc[seen : seen + 50])
    with pytest.raises(ft.FintechToolkitError):
        (run if call == "run" else getattr(run, call))(wrong)
    assert run.state.time_kind == untouched.state.time_kind
    assert run.state.symbols == untouched.state.symbols
    same(run.state.frame(), untouched.state.frame())
    same(run(whole.iloc[seen:]), untouched(whole.iloc[seen:]))
    if pipeline.emits:
        same(run.flush(), untouched.flush())


@pytest.mark.parametrize("call", ["peek", "accept", "run"])
def test_disorder_in_a_new_symbol_names_it(call: str) -> None:
    whole = frame()
    run = PIPELINE.start()
    run(whole.iloc[:100])
    late = whole.iloc[100:120].assign(symbol="LATER")
    late = late.iloc[[*range(10), 3, *range(10, 20)]]
    message = "goes backwards for symbol 'LATER' at row 10 "
    if call == "accept":
        good, rejected = run.accept(late)
        assert (len(good), rejected["row"].tolist()) == (20, [10])
        assert message in rejected["reason"].iloc[0]
        return
    with pytest.raises(ft.DataError, match=message):
        (run if call == "run" else run.peek)(late)
    assert "LATER" not in run.state.symbols


def test_a_peek_at_new_symbols_leaves_no_trace() -> None:
    whole = frame()
    for pipeline in (PIPELINE, BARS):
        run, untouched = pipeline.start(), pipeline.start()
        for one in (run, untouched):
            one(whole.iloc[:100])
        new = whole.iloc[100:200].assign(symbol="NEW")
        peeked = run.peek(new)
        same(run.peek(new), peeked)
        assert run.state.symbols == untouched.state.symbols
        same(run(whole.iloc[100:]), untouched(whole.iloc[100:]))


def test_rows_that_are_all_rejected_leave_no_trace() -> None:
    whole = frame()
    run = PIPELINE.start()
    good, rejected = run.accept(naive(whole).assign(symbol=None))
    assert (len(good), len(rejected)) == (0, 300)
    assert list(good.columns) == [*whole.columns, *PIPELINE.gives]
    assert run.state.symbols == []
    good, rejected = PIPELINE.start().accept(whole.iloc[:0])
    assert (len(good), len(rejected)) == (0, 0)


def test_after_its_end_a_run_starts_afresh() -> None:
    whole = frame()
    run = BARS.start()
    first = pd.concat([run(whole), run.flush()], ignore_index=True)
    assert len(run.flush()) == 0
    assert run.state.symbols == []
    again = pd.concat([run(whole), run.flush()], ignore_index=True)
    same(again, first)
    # Another day may have another clock.
    other = pd.concat([run(naive(whole)), run.flush()], ignore_index=True)
    assert other["count"].tolist() == first["count"].tolist()
    assert str(other["known_at"].dtype) == "datetime64[ns]"


def test_runs_from_one_state_do_not_touch_each_other(tmp_path: Path) -> None:
    whole = frame()
    begun = PIPELINE.start()
    begun(whole.iloc[:100])
    begun.state.save(tmp_path / "state.parquet")
    before = begun.state.frame()
    expected = PIPELINE(whole).iloc[100:]
    for start in (begun.state, begun.state, tmp_path / "state.parquet", str(tmp_path / "state.parquet")):
        same(PIPELINE.start(start)(whole.iloc[100:]), expected)
    stream = Stream()
    received = PIPELINE.live(stream, str(tmp_path / "state.parquet")).sink_to_list()
    stream.emit(whole.iloc[100:])
    same(received[0], expected)
    same(begun.state.frame(), before)
    for wrong in ({"A": 1}, 7, begun, whole):
        with pytest.raises(ft.StateError, match="starts from a State or the path of a saved one, not"):
            PIPELINE.start(wrong)
    with pytest.raises(ft.StateError, match="belongs to another pipeline"):
        BARS.start(tmp_path / "state.parquet")


@tick_kernel(reads="x", gives="counted", state=[("rows", "i8")], source="definition", cases=[{}])
def brittle(s: Any, x: float) -> float:
    """Count the rows of a symbol; 13 is more than it can take."""
    if x == 13.0:
        raise ValueError("thirteen")
    s.rows += 1
    return float(s.rows)


BRITTLE = ft.Pipeline(brittle("price"), brittle("size").named("again"))


@pytest.mark.parametrize("morsel", [1 << 17, 10])
def test_a_frame_that_stops_half_way_stops_the_run(morsel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wavefront, "MORSEL", morsel)
    whole = frame()
    wrong = whole.iloc[100:].assign(size=np.where(np.arange(200) == 150, 13, 1))
    run, untouched = BRITTLE.start(), BRITTLE.start()
    for one in (run, untouched):
        one(whole.iloc[:100])
    saved = run.state.copy()
    # A look is on a copy.
    with pytest.raises(ValueError, match="thirteen"):
        run.peek(wrong)
    good = whole.iloc[100:]
    same(run.peek(good), untouched.peek(good))
    with pytest.raises(ValueError, match="thirteen"):
        run(wrong)
    for use in (run, run.peek, run.accept, lambda frame: run.state):
        with pytest.raises(ft.StateError, match=r"stopped half-way \(ValueError: thirteen\).*start again"):
            use(good)
    same(BRITTLE.start(saved)(good), untouched(good))


def test_after_a_dask_frame_that_cannot_be_used_one_begins_from_the_state_before_it() -> None:
    whole = frame()
    run, untouched = PIPELINE.start_dask(), PIPELINE.start()
    untouched(whole.iloc[:150])
    run(dd.from_pandas(whole.iloc[:150], npartitions=2), plan="chain")
    before = run.state
    run(dd.from_pandas(backwards(whole.iloc[150:200]), npartitions=1), plan="chain")
    with pytest.raises(ft.DataError, match="goes backwards"):
        run.state.compute()
    with pytest.raises(ft.DataError, match="goes backwards"):
        run(dd.from_pandas(whole.iloc[200:], npartitions=2), plan="chain").compute()
    state = before.compute()
    same(state.frame(), untouched.state.frame())
    same(PIPELINE.start(state)(whole.iloc[150:]), untouched(whole.iloc[150:]))


def test_a_run_over_dask_frames_begins_where_one_in_memory_ended_and_the_other_way_round() -> None:
    whole = frame()
    run = BARS.start()
    parts = [run(whole.iloc[:100])]
    on_dask = BARS.start_dask(run.state)
    rows, state = dask.compute(on_dask(dd.from_pandas(whole.iloc[100:], npartitions=3)), on_dask.state)
    parts += [rows, BARS.start(state).flush()]
    expected = BARS(whole)
    same(pd.concat(parts, ignore_index=True), expected)


def test_a_wrong_call_leaves_a_run_as_it_was() -> None:
    whole = frame()
    run, untouched = PIPELINE.start(), PIPELINE.start()
    for one in (run, untouched):
        one(whole.iloc[:100])
    with pytest.raises(ft.PipelineError, match="no event step"):
        run.flush()
    for use in (run, run.peek, run.accept):
        with pytest.raises(ft.PipelineError, match=r"one of Dask.*start_dask"):
            use(dd.from_pandas(whole, npartitions=2))
    same(run(whole.iloc[100:]), untouched(whole.iloc[100:]))


def test_a_wrong_call_leaves_a_run_over_dask_frames_as_it_was() -> None:
    whole = dd.from_pandas(frame(), npartitions=2)
    run = PIPELINE.start_dask()
    for wrong in (BARS.start().state, whole, {}):
        with pytest.raises(ft.StateError):
            PIPELINE.start_dask(wrong)
    with pytest.raises(ft.ParameterError, match="plan="):
        run(whole, plan="other")
    with pytest.raises(ft.PipelineError, match="takes a DataFrame of Dask's, not pandas's"):
        run(frame())
    assert run.state.compute().symbols == []
