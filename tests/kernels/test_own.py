"""Kernels of the user's own: used like those of the library, and never taken for one another."""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from distributed import Client
from numpy.testing import assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.authoring import DTYPE, MISSING, Kernel, Number, Window, helper, tick_kernel
from tests.live.topics import SCHEMA, ticks

FACTOR = 2.0


@helper
def scaled(x: float) -> float:
    return x * FACTOR


@tick_kernel(
    reads="x",
    gives="peak",
    state=[("peak", "f8"), ("seen", "?")],
    parameters=[Number("margin", "added to the peak", 0.0)],
    cases=[{}, {"margin": 1.5}],
)
def running_peak(s: Any, x: float, margin: float) -> float:
    """Greatest value so far, doubled. What is missing is no value."""
    if np.isfinite(x) and (not s.seen or x > s.peak):
        s.peak = x
        s.seen = True
    return scaled(s.peak) + margin if s.seen else np.nan


@running_peak.oracle
def _(x: Any, margin: float = 0.0) -> Any:
    return 2.0 * pd.Series(np.where(np.isfinite(x), x, np.nan)).cummax().ffill().to_numpy() + margin


@tick_kernel(reads="x", gives="before", state=[("last", "f8"), ("seen", "?")], parameters=[DTYPE])
def own_before(s: Any, x: float) -> float:
    before = s.last if s.seen else np.nan
    s.last = x
    s.seen = True
    return before


@own_before.exact
def _(s: Any, x: int) -> int:
    before = s.last if s.seen else MISSING
    s.last = x
    s.seen = True
    return before


def summed(factor: float) -> Kernel:
    """Declare a kernel as a cell does that is run again, with another number in it or the same."""

    @ft.tick_kernel(reads="x", gives="total", state=[("total", "f8")])
    def own_total(s: Any, x: float) -> float:
        s.total += factor * x
        return s.total

    return own_total


@pytest.fixture
def frame() -> pd.DataFrame:
    return ticks(1_000)


def test_it_gives_the_same_however_it_is_called(frame: pd.DataFrame) -> None:
    expected = 2.0 * frame.groupby("symbol")["bid"].cummax().to_numpy() + 1.0
    pipeline = ft.Pipeline(running_peak("bid", margin=1))
    assert_array_equal(running_peak(frame["bid"].to_numpy(), symbol=frame["symbol"], margin=1), expected)
    assert_array_equal(running_peak(frame, "bid", margin=1)["peak"], expected)
    assert_array_equal(pipeline(frame)["peak"], expected)
    assert_array_equal(pipeline(pa.Table.from_pandas(frame))["peak"].to_numpy(), expected)
    assert_array_equal(ft.Pipeline.from_json(pipeline.to_json())(frame)["peak"], expected)
    assert ft.Pipeline.from_json(pipeline.to_json()) == pipeline


def test_it_is_listed_as_ones_own() -> None:
    assert ft.running_peak is running_peak
    assert ft.catalogue().loc["running_peak", "family"] == "own"
    assert "running_peak" not in ft.kernels.registry()


@pytest.mark.parametrize("plan", ["chain", "shuffle"])
def test_it_travels_to_the_processes_of_a_cluster(frame: pd.DataFrame, client: Client, plan: str) -> None:
    pipeline = ft.Pipeline(running_peak("bid"), own_before("id", dtype="int64"), summed(0.5)("peak"))
    expected = pipeline(frame)
    given = pipeline(dd.from_pandas(frame, npartitions=5), plan=plan).compute().sort_index()
    for name in pipeline.gives:
        assert_array_equal(given[name], expected[name])
    assert client.submit(running_peak, np.ones(2), margin=1).result().tolist() == [3.0, 3.0]
    # The cell is run again: workers have both, and each frame gets its own.
    anew = ft.Pipeline(running_peak("bid"), own_before("id", dtype="int64"), summed(2.0)("peak"))
    assert_array_equal(anew(dd.from_pandas(frame, npartitions=5)).compute()["total"], 4.0 * expected["total"])
    again = pipeline(dd.from_pandas(frame, npartitions=5), plan=plan).compute().sort_index()
    assert_array_equal(again["total"], expected["total"])


def test_kernels_of_the_library_are_written_as_ever() -> None:
    assert ft.Pipeline(ft.ewma("mid", span=9)).to_json() == (
        '{"columns": {}, "format": 2, "session": null, "steps": [{"columns": ["mid"], "kernel": "ewma", "names": [], '
        '"parameters": {"span": 9}, "resolved": {"adjust": true, "alpha": 0.2, "ignore_na": false, '
        '"min_periods": 0}}], "symbol": "symbol", "time": "ts", "unit": null}'
    )


def test_a_kernel_of_the_library_travels_as_its_name() -> None:
    assert pickle.loads(pickle.dumps(ft.ewma)) is ft.ewma
    assert b"halflife" not in pickle.dumps(ft.ewma)


def test_a_name_of_the_library_is_refused() -> None:
    def ewma(x: float) -> float:
        return x

    with pytest.raises(ft.KernelError, match=r"ewma is a kernel of the library, .*; give yours another name"):
        ft.tick_kernel(reads="x", gives="y")(ewma)
    assert ft.ewma.family == "statistics"


def test_a_cell_that_is_run_again_replaces_the_kernel(frame: pd.DataFrame) -> None:
    before, again, after = summed(1.0), summed(1.0), summed(3.0)
    assert ft.own_total is after
    assert before.digest == again.digest
    assert before.digest != after.digest
    assert ft.Pipeline(before("bid")) == ft.Pipeline(again("bid")) != ft.Pipeline(after("bid"))
    x = np.array([1.0, 2.0])
    assert [kernel(x).tolist() for kernel in (before, after, again)] == [[1.0, 3.0], [3.0, 9.0], [1.0, 3.0]]
    # What was written with either is read as what it was.
    texts = [ft.Pipeline(kernel("bid")).to_json() for kernel in (before, after)]
    first, second = (ft.Pipeline.from_json(text)(frame)["total"].iloc[-1] for text in texts)
    assert second == pytest.approx(3 * first)


def test_the_state_of_what_a_kernel_was_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    run = ft.Pipeline(summed(1.0)("bid")).start()
    run(frame[:600])
    run.state.save(tmp_path / "state.parquet")
    changed = ft.Pipeline(summed(2.0)("bid"))
    for state in (run.state, tmp_path / "state.parquet"):
        with pytest.raises(ft.StateError, match="own_total has been declared anew since"):
            changed.start(state)
    same = ft.Pipeline(summed(1.0)("bid")).start(tmp_path / "state.parquet")
    assert_array_equal(same(frame[600:])["total"], run(frame[600:])["total"])


def test_the_live_state_of_what_a_kernel_was_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    config = {"bootstrap.servers": "127.0.0.1:1"}
    source = Stream.from_kafka_frames("quotes", config, schema=SCHEMA, group="own")
    ft.Pipeline(summed(1.0)("bid")).live(source).state.save(tmp_path / "live.parquet")
    with pytest.raises(ft.StateError, match="own_total has been declared anew since"):
        ft.Pipeline(summed(2.0)("bid")).live(source, tmp_path / "live.parquet")
    ft.Pipeline(summed(1.0)("bid")).live(source, tmp_path / "live.parquet")


def test_what_is_not_loaded_is_said_by_name() -> None:
    data = json.loads(ft.Pipeline(running_peak("bid")).to_json())
    data["steps"][0]["kernel"] = "nowhere_declared"
    with pytest.raises(
        ft.KernelError, match=r"'nowhere_declared', one of your own \(py3.*\), is not loaded; run its cell"
    ):
        ft.Pipeline.from_json(json.dumps(data))
    data["steps"][0]["kernel"] = "running_peak"
    data["steps"][0]["digest"] = running_peak.digest[:-4] + "beef"
    with pytest.raises(ft.KernelError, match=r"'running_peak' was .*beef where .* a helper or a constant differs"):
        ft.Pipeline.from_json(json.dumps(data))
    data["steps"][0]["digest"] = "py2.7-" + running_peak.digest.partition("-")[2]
    with pytest.raises(ft.KernelError, match=r"that was py2\.7, this is py3"):
        ft.Pipeline.from_json(json.dumps(data))
    data["steps"][0]["digest"] = ["a list"]
    with pytest.raises(ft.PipelineError, match="not a pipeline's JSON"):
        ft.Pipeline.from_json(json.dumps(data))


def test_a_constant_that_changes_later_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    running_peak(np.ones(3))
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    for call in (lambda: running_peak(np.ones(3)), lambda: running_peak("bid")):
        with pytest.raises(ft.KernelError, match="running_peak uses a helper or a constant that has changed"):
            call()


def digest(text: str, **names: Any) -> str:
    """The digest of the kernel that a cell declares."""
    namespace = {"ft": ft, "np": np, "helper": helper, "Number": Number, "__name__": "__main__", **names}
    exec(inspect.cleandoc(text), namespace)
    kernel: Kernel = namespace["digested"]
    return kernel.digest


CELL = """
@helper
def part(x, least=0.5):
    return x * SCALE + least

@ft.tick_kernel(reads="x", gives="y", state=[("n", "i8")], parameters=[Number("k", "a factor", 1.0, above=0)])
def digested(s, x, k):
    '''What it is.'''
    s.n += 1
    return part(x) * k
"""


def test_a_digest_is_of_all_that_numbers_depend_on() -> None:
    same = digest(CELL, SCALE=2.0)
    for was, becomes in (("What it is", "What it was"), ("a factor", "how much"), ("s.n += 1", "s.n += 1  # one")):
        assert was in CELL
        assert digest(CELL.replace(was, becomes), SCALE=2.0) == same
    changes = [
        ("x * SCALE", "x - SCALE"),
        ("s.n += 1", "s.n += 2"),
        ("s.n += 1", "s.n -= 1"),
        ('"i8"', '"i4"'),
        ("1.0, above", "2.0, above"),
        ("least=0.5", "least=0.25"),
        ("+ least", "+ abs(least)"),
        ("part(x) * k", "part(x) / k"),
        ('gives="y"', 'gives="z"'),
    ]
    digests = [digest(CELL.replace(was, becomes), SCALE=2.0) for was, becomes in changes]
    digests += [digest(CELL, SCALE=scale) for scale in (2, 2.5, (2.0,), np.float32(2.0))]
    assert len({same, *digests}) == 1 + len(digests)


COUNT = 0
WEIGHTS = [1.0, 2.0]


def not_a_helper(x: float) -> float:
    return x


def field(s: Any, x: float) -> float:
    s.last = x
    return s.lost  # here


def undefined(s: Any, x: float) -> float:
    s.last = x
    return nowhere(x)  # type: ignore[name-defined]  # noqa: F821  # here


def calls_plain(s: Any, x: float) -> float:
    return not_a_helper(x)  # here


def attribute(s: Any, x: float) -> float:
    return x.mean()  # type: ignore[attr-defined]  # here


def no_such(s: Any, x: float) -> float:
    return np.nosuch(x)  # type: ignore[attr-defined]  # here


def text(s: Any, x: float) -> str:
    return f"{x:.2f}"  # here


def two_types(s: Any, x: float) -> Any:
    y = (x, x) if x > 1 else 0  # here
    s.last = x + s.last * 2.0
    return y


def two_returns(s: Any, x: float) -> Any:
    return (x, x) if x > 1 else 0  # here


def stores(s: Any, x: float) -> float:
    global COUNT  # noqa: PLW0603
    COUNT = x  # type: ignore[assignment]  # here
    return x


def returns_nothing(s: Any, x: float) -> None:  # here
    s.last = x


def returns_two(s: Any, x: float) -> Any:  # here
    return x, x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (field, r"no field 'lost' .* Name it in state=\[\('lost'"),
        (undefined, "'nowhere' is not defined. Define it above"),
        (calls_plain, "'not_a_helper'.* Mark the function with @helper"),
        (attribute, "Unknown attribute 'mean'.* one tick at a time"),
        (no_such, "no attribute 'nosuch'"),
        (text, r"(f-strings not supported|FORMAT_WITH_SPEC).* no strings"),
        (two_types, "Cannot unify .* Give the variable, or .* one type"),
        (two_returns, "(Cannot unify|Can't unify return type).* what is returned, one type"),
        (stores, r"STORE_GLOBAL.* name it in state="),
        (returns_nothing, r"returns none, which does not fit gives=\['y'\]"),
        (returns_two, r"returns UniTuple\(float64 x 2\), which does not fit"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_compiled_is_told_at_its_line(function: Callable[..., Any], message: str) -> None:
    lines, first = inspect.getsourcelines(function)
    (line,) = [first + j for j, source in enumerate(lines) if "# here" in source]
    kernel = ft.tick_kernel(reads="x", gives="y", state=[("last", "f8")])(function)
    with pytest.raises(ft.KernelError, match=message) as caught:
        kernel(np.ones(3))
    assert f'File "{__file__}", line {line}\n    {lines[line - first].strip()}' in str(caught.value)
    assert str(caught.value).startswith(f"{function.__name__} cannot be compiled.")


def uses_module(x: float) -> Any:
    return pd.isna(x)


def uses_list(x: float) -> float:
    return WEIGHTS[0] * x


def uses_generator(x: float) -> float:
    return sum(v for v in (x, x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (uses_module, "uses pd, a module.* from pandas import …, and mark it @helper"),
        (uses_list, "uses WEIGHTS, a list.* as a tuple is"),
        (uses_generator, "a function or a comprehension within; write a loop"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_digest_cannot_hold_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(ft.KernelError, match=message):
        ft.tick_kernel(reads="x", gives="y")(function)(np.ones(3))


def test_a_declaration_that_says_what_there_is_not_is_refused() -> None:
    with pytest.raises(ft.KernelError, match=r"called 'stat'\. Did you mean 'state'"):
        ft.tick_kernel(reads="x", gives="y", stat=[("n", "i8")])


def test_a_window_and_events_of_ones_own() -> None:
    @helper
    def enter(s: Any, x: float) -> None:
        s.ups += x > 0

    @helper
    def leave(s: Any, x: float) -> None:
        s.ups -= x > 0

    @ft.window_kernel(
        reads="x", gives="ups", enter=enter, leave=leave, state=[("ups", "i8")], parameters=[Window(min_periods=False)]
    )
    def own_ups(s: Any, x: float) -> float:
        return s.ups

    assert own_ups(np.array([1.0, -1.0, 2.0, 3.0]), window=2).tolist() == [1, 1, 1, 2]
    step = ft.Pipeline(own_ups("x", window="2s"))
    assert ft.Pipeline.from_json(step.to_json()) == step


def test_a_large_record_is_no_matter_of_the_stack() -> None:
    @ft.tick_kernel(reads="x", gives="y", state=[("seen", "i8"), ("sums", "(2000000,)f8")], source="mine")
    def sixteen_megabytes(s: Any, x: float) -> float:
        s.sums[s.seen % 2] += x
        s.seen += 1
        return s.sums[0]

    np.testing.assert_array_equal(sixteen_megabytes(np.arange(5.0)), [0.0, 0.0, 2.0, 2.0, 6.0])
