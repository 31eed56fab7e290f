"""What every kernel must pass, run over the registry: a new kernel is held to it without a line here."""

from __future__ import annotations

import doctest
import inspect
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.parameters import Choice, Flag, Window
from fintech_toolkit.scan.values import MISSING
from tests.kernels import draw
from tests.kernels.draw import Ticks

KERNELS = {name: kernel for name, kernel in kernels.registry().items() if name == kernel.name}
SCANNED = {name: kernel for name, kernel in KERNELS.items() if kernel.kind not in ("plan", "matrix")}

each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
each_scanned = pytest.mark.parametrize("kernel", SCANNED.values(), ids=SCANNED)
each_case = pytest.mark.parametrize(
    ("kernel", "case"),
    [
        pytest.param(
            kernel.variant(case), case, id=f"{name}-{','.join(f'{key}={value}' for key, value in case.items())}"
        )
        for name, kernel in SCANNED.items()
        for case in kernel.cases
    ],
)
drawn = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def pipeline_of(kernel: Kernel, case: Any) -> ft.Pipeline:
    return ft.Pipeline(draw.step_of(kernel, case))


def given_by(pipeline: ft.Pipeline, frame: Any) -> dict[str, Any]:
    """Return what a pipeline gave, as NumPy arrays: its own columns, without those that it passed on."""
    if isinstance(frame, pd.DataFrame):
        frame = pa.Table.from_pandas(frame, preserve_index=False)
    if isinstance(frame, pa.RecordBatch):
        frame = pa.table(frame)
    if isinstance(frame, pa.Table):
        frame = {name: frame.column(name) for name in frame.column_names}
        whole = {name for name, column in frame.items() if pa.types.is_integer(column.type)}
        frame = {name: (c.fill_null(MISSING) if name in whole else c).to_numpy() for name, c in frame.items()}
    return {name: plain_array(frame[name]) for name in pipeline.gives}


def plain_array(values: Any) -> Any:
    nullable = isinstance(values, pd.arrays.IntegerArray)
    return values.to_numpy("i8", na_value=MISSING) if nullable else np.asarray(values)


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal to the last bit: names, dtypes, NaNs, values."""
    assert list(actual) == list(expected)
    for name, values in expected.items():
        assert actual[name].dtype == values.dtype, name
        assert_array_equal(actual[name], values, err_msg=name, strict=True)


def carried(pipeline: ft.Pipeline, pieces: Iterable[Ticks]) -> dict[str, Any]:
    """Return what a run gives, piece by piece, put together."""
    run = pipeline.start()
    parts = [given_by(pipeline, run(piece)) for piece in pieces]
    if pipeline.emits:
        parts.append(given_by(pipeline, run.flush()))
    return {name: np.concatenate([part[name] for part in parts]) for name in pipeline.gives}


def on_arrays(kernel: Kernel, case: Any, frame: Ticks) -> dict[str, Any]:
    """Return what a kernel gives when it is called on arrays."""
    given = {} if "ts" in kernel.reads else {"ts": frame["ts"]}
    result = kernel(*(frame[name] for name in draw.columns_of(kernel)), **given, **case)
    names = kernel.output_names(draw.WIDTH)
    return dict(zip(names, [result] if isinstance(result, np.ndarray) else result, strict=True))


def by_oracle(kernel: Kernel, case: Any, frame: Ticks) -> dict[str, Any]:
    """Return what the kernel's independent definition gives."""
    (oracle,) = kernel.oracles
    takes = inspect.signature(oracle).parameters
    times = {"ts": frame["ts"]} if "ts" in takes and "ts" not in kernel.reads else {}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = oracle(*(frame[name] for name in draw.columns_of(kernel)), **times, **case)
    names = kernel.output_names(draw.WIDTH)
    if kernel.emits:
        assert all(list(row) == names or set(row) == set(names) for row in result)
        return {name: np.array([row[name] for row in result]) for name in names}
    return dict(zip(names, result if isinstance(result, tuple) else [result], strict=True))


@each_kernel
def test_a_kernel_is_complete(kernel: Kernel) -> None:
    assert len(kernel.oracles) == 1, "an oracle, marked @kernel.oracle"
    assert kernel.source, "the paper, standard or library that defines it"
    assert kernel.warmup, "when the first result can be expected"
    assert kernel.cases, "parameters to test it under"
    document = inspect.getdoc(kernel) or ""
    definition = document.split("Parameters\n------")[0]
    assert definition.strip()
    if kernel.kind not in ("plan", "matrix"):
        assert any(word in definition for word in ("NaN", "missing")), "what it does with missing values"
        for parameter in kernel.keywords:
            assert parameter in document
        for parameter in kernel.parameters:
            assert all(meaning.strip() for _, meaning in parameter.documentation), "what a parameter means, its unit"
        for name in kernel.output_names(1):
            assert f"{name} : " in document
        assert kernel.warmup in document
        assert kernel.source in document


@each_kernel
def test_a_kernel_has_an_example_that_runs(kernel: Kernel) -> None:
    module = sys.modules[kernel.__module__]
    found = [test for test in doctest.DocTestFinder().find(module) if test.name == f"{module.__name__}.{kernel.name}"]
    examples = [example for test in found for example in test.examples]
    assert any(f"ft.{kernel.name}(" in example.source for example in examples)
    assert any(example.want for example in examples)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert [runner.run(test).failed for test in found] == [0]


@each_scanned
def test_its_cases_try_its_options(kernel: Kernel) -> None:
    cases = [kernel.keywords | dict(case) for case in kernel.cases]
    for parameter in kernel.parameters:
        tried = [case[parameter.keyword if isinstance(parameter, Window) else parameter.name] for case in cases]
        if isinstance(parameter, Window):
            assert any(Window.is_duration(window) for window in tried), "a window of time"
            assert any(isinstance(window, int) for window in tried), "a window of rows"
        elif isinstance(parameter, Choice):
            assert set(tried) == set(parameter.options), parameter.name
        elif isinstance(parameter, Flag):
            assert set(tried) == {True, False}, parameter.name


@each_case
@pytest.mark.parametrize("rows", [1, 2, 5, 400])
@pytest.mark.parametrize(
    "dirt", [{}, {"missing": 0.1, "infinite": 0.03}, {"ties": 1.0}], ids=["clean", "dirty", "ties"]
)
def test_it_agrees_with_its_oracle(kernel: Kernel, case: Any, rows: int, dirt: dict[str, float]) -> None:
    frame = draw.ticks(draw.dtypes_of(kernel), rows, seed=rows, **dirt)
    actual, expected = on_arrays(kernel, case, frame), by_oracle(kernel, case, frame)
    for name, values in expected.items():
        if actual[name].dtype.kind == "f" and len(values):
            floats = values.astype(np.float64)
            scale = np.max(np.abs(floats), where=np.isfinite(floats), initial=0.0)
            assert_allclose(actual[name], floats, rtol=1e-9, atol=1e-9 * scale, err_msg=name)
        else:
            assert_array_equal(actual[name], values, err_msg=name)


@each_case
@drawn
@given(data=st.data())
def test_any_split_gives_the_same_bits(kernel: Kernel, case: Any, data: st.DataObject) -> None:
    pipeline = pipeline_of(kernel, case)
    frame = data.draw(draw.frames(draw.dtypes_of(kernel)))
    pieces = draw.split(frame, data.draw(draw.SHARES))
    assert_same(carried(pipeline, pieces), given_by(pipeline, pipeline(frame)))


@each_case
@drawn
@given(data=st.data())
def test_any_interleaving_gives_the_bits_of_each_symbol_alone(kernel: Kernel, case: Any, data: st.DataObject) -> None:
    pipeline = pipeline_of(kernel, case)
    frame = data.draw(draw.frames(draw.dtypes_of(kernel)))
    whole = given_by(pipeline, pipeline(frame))
    for symbol in np.unique(frame["symbol"]):
        own = draw.take(frame, frame["symbol"] == symbol)
        rows = (whole["symbol"] if pipeline.emits else frame["symbol"]) == symbol
        alone = given_by(pipeline, pipeline(own))
        assert_same(draw.take(whole, rows), alone)
        arrays = on_arrays(kernel, case, own)
        for (name, values), step_name in zip(arrays.items(), pipeline.steps[0].outputs, strict=True):
            assert_array_equal(values, alone[step_name], err_msg=name, strict=True)


@each_case
@drawn
@given(data=st.data())
def test_later_ticks_change_nothing_and_peeking_neither(kernel: Kernel, case: Any, data: st.DataObject) -> None:
    pipeline = pipeline_of(kernel, case)
    frame = data.draw(draw.frames(draw.dtypes_of(kernel)))
    early, late = draw.split(frame, [data.draw(st.floats(0, 1))])
    whole = given_by(pipeline, pipeline.start()(frame))
    run = pipeline.start()
    peeked = given_by(pipeline, run.peek(early))
    known = given_by(pipeline, run(early))
    assert_same(known, draw.take(whole, slice(len(known[pipeline.gives[0]]))))
    assert_same(draw.take(peeked, slice(len(known[pipeline.gives[0]]))), known)
    run.peek(late)
    rest = given_by(pipeline, run(late))
    assert_same({name: np.concatenate([known[name], rest[name]]) for name in known}, whole)


@each_case
@pytest.mark.parametrize("gap", [np.nan, np.inf], ids=["NaN", "inf"])
def test_it_recovers_after_a_gap(kernel: Kernel, case: Any, gap: float) -> None:
    clean = draw.ticks(draw.dtypes_of(kernel), 500)
    floats = [name for name, dtype in draw.dtypes_of(kernel).items() if dtype.kind == "f"]
    if not floats:
        pytest.skip("reads no floats, so nothing can be missing")
    torn = {name: column.copy() for name, column in clean.items()}
    for name in floats:
        torn[name][200:220] = gap
    pipeline = pipeline_of(kernel, case)
    expected, actual = (given_by(pipeline, pipeline.start()(frame)) for frame in (clean, torn))
    for name in pipeline.steps[0].outputs:
        finite = [np.isfinite(result[name][-100:].astype(np.float64)).mean() for result in (expected, actual)]
        assert finite[0] > 0 or len(expected[name]) == 0, f"{name}: the test's ticks are too few for a result"
        assert finite[1] >= 0.9 * finite[0], name


@each_case
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_short_groups_give_the_same_columns(kernel: Kernel, case: Any, rows: int) -> None:
    pipeline = pipeline_of(kernel, case)
    frame = draw.ticks(draw.dtypes_of(kernel), rows)
    long = given_by(pipeline, pipeline(draw.ticks(draw.dtypes_of(kernel), 50)))
    short = given_by(pipeline, pipeline(frame))
    assert {n: v.dtype for n, v in short.items()} == {n: v.dtype for n, v in long.items()}
    if not pipeline.emits:
        assert {len(values) for values in short.values()} == {rows}
        assert {len(values) for values in on_arrays(kernel, case, frame).values()} == {rows}


@each_case
def test_its_input_is_never_changed(kernel: Kernel, case: Any) -> None:
    pipeline = pipeline_of(kernel, case)
    frame = draw.ticks(draw.dtypes_of(kernel), 100, missing=0.1)
    before = {name: column.copy() for name, column in frame.items()}
    expected = given_by(pipeline, pipeline(frame))
    arrays = on_arrays(kernel, case, frame)
    table = pd.DataFrame(frame)
    given_by(pipeline, pipeline(table))
    pd.testing.assert_frame_equal(table, pd.DataFrame(before))
    for name, column in frame.items():
        assert_array_equal(column, before[name], err_msg=name)
        assert not any(np.shares_memory(column, result) for result in arrays.values())
        column.flags.writeable = False
    assert_same(given_by(pipeline, pipeline(frame)), expected)
    assert_same(on_arrays(kernel, case, frame), arrays)


def all_in_one() -> dict[str, ft.Pipeline]:
    """Every kernel that gives a value for each row, under each of its cases, in one pipeline; the others alone."""
    columns, alone = [], {}
    for name, kernel in SCANNED.items():
        for j, case in enumerate(kernel.cases):
            step = draw.step_of(kernel, case, prefix=f"{name}_{j}")
            if kernel.emits:
                alone[f"{name}-{j}"] = ft.Pipeline(step)
            else:
                columns.append(step)
    return {"columns": ft.Pipeline(*columns), **alone}


PIPELINES = all_in_one()
each_pipeline = pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    """Ticks of five symbols with everything that any kernel reads, dirty, as pandas frame."""
    everything = [variant for kernel in SCANNED.values() for variant in (kernel, *kernel.twins.values())]
    dtypes = {name: dtype for kernel in everything for name, dtype in draw.dtypes_of(kernel).items()}
    frame = pd.DataFrame(draw.ticks(dtypes, 1200, seed=1, symbols=5, missing=0.05, infinite=0.02))
    return frame.assign(ts=pd.to_datetime(frame["ts"], utc=True), symbol=frame["symbol"].astype("str"))


def in_order(pipeline: ft.Pipeline, frame: Any) -> dict[str, Any]:
    """Return what a pipeline gave; emitted rows symbol by symbol, since plans differ in which symbol comes first."""
    if pipeline.emits and isinstance(frame, pa.Table):
        frame = frame.to_pandas()
    if pipeline.emits:
        frame = frame.sort_values("symbol", kind="stable")
    return given_by(pipeline, frame)


def as_arrow(pipeline: ft.Pipeline, frame: pd.DataFrame) -> Any:
    return pipeline(pa.Table.from_pandas(frame, preserve_index=False))


def on_dask(npartitions: int, scheduler: str | None = None) -> Callable[[ft.Pipeline, pd.DataFrame], Any]:
    def run(pipeline: ft.Pipeline, frame: pd.DataFrame) -> Any:
        lazy = pipeline(dd.from_pandas(frame, npartitions=npartitions), plan="chain")
        return lazy.compute(scheduler=scheduler) if scheduler else lazy.compute()

    return run


def shuffled(pipeline: ft.Pipeline, frame: pd.DataFrame) -> Any:
    lazy = pipeline(dd.from_pandas(frame, npartitions=7), plan="shuffle")
    result = lazy.compute()
    return result if pipeline.emits else result.sort_index()


def live(pipeline: ft.Pipeline, frame: pd.DataFrame) -> Any:
    source = Stream()
    enriched = pipeline.live(source)
    batches = enriched.sink_to_list()
    for rows in np.array_split(np.arange(len(frame)), 9):
        source.emit(frame.iloc[rows])
    if pipeline.emits:
        batches.append(enriched.run.flush())
    return pd.concat(batches)


WAYS = {
    "arrow": as_arrow,
    "live": live,
    **{f"dask-threads-{n}": on_dask(n, "threads") for n in (1, 2, 7)},
    **{f"dask-processes-{n}": on_dask(n) for n in (1, 2, 7)},
    "dask-processes-shuffled": shuffled,
}


@pytest.mark.parametrize("way", WAYS)
@each_pipeline
def test_every_way_gives_the_same_bits(pipeline: ft.Pipeline, way: str, market: pd.DataFrame, client: Client) -> None:
    assert_same(in_order(pipeline, WAYS[way](pipeline, market)), in_order(pipeline, pipeline(market)))


@pytest.fixture(scope="module")
def new_process() -> Iterator[ProcessPoolExecutor]:
    """A process that shares nothing with this one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def resume(text: str, path: Path, frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Go on, from what is on disk, in a process that knows nothing else."""
    pipeline = ft.Pipeline.from_json(text)
    run = pipeline.start(ft.State.load(path))
    return [run(frame), run.flush()] if pipeline.emits else [run(frame)]


@each_pipeline
def test_a_state_is_carried_on_in_a_new_process(
    pipeline: ft.Pipeline, market: pd.DataFrame, new_process: ProcessPoolExecutor, tmp_path: Path
) -> None:
    run = pipeline.start()
    first = run(market.iloc[:700])
    run.state.save(tmp_path / "state.parquet")
    rest = new_process.submit(resume, pipeline.to_json(), tmp_path / "state.parquet", market.iloc[700:]).result()
    assert_same(given_by(pipeline, pd.concat([first, *rest])), given_by(pipeline, pipeline(market)))
