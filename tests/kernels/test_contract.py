"""What every kernel must pass, run over the registry: a new kernel is held to it without a line here."""

from __future__ import annotations

import doctest
import inspect
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.kernels.declare import Kernel
from fintech_toolkit.kernels.parameters import Choice, Flag, Window
from tests.kernels import draw
from tests.kernels.draw import Ticks

KERNELS = {name: kernel for name, kernel in kernels.registry().items() if name == kernel.name}
SCANNED = {name: kernel for name, kernel in KERNELS.items() if kernel.kind not in ("plan", "matrix")}

each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
each_scanned = pytest.mark.parametrize("kernel", SCANNED.values(), ids=SCANNED)
each_case = pytest.mark.parametrize(
    ("kernel", "case"),
    [
        pytest.param(kernel, case, id=f"{name}-{','.join(f'{key}={value}' for key, value in case.items())}")
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
        frame = {name: frame.column(name).to_numpy() for name in frame.column_names}
    return {name: np.asarray(frame[name]) for name in pipeline.gives}


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
