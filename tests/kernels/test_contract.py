"""What every kernel must pass, run over the registry: a new kernel is held to it without a line here."""

from __future__ import annotations

import doctest
import inspect
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.checking import contract
from fintech_toolkit.checking.report import resume
from fintech_toolkit.checking.ticks import dtypes_of, step_of, ticks
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.parameters import Choice, Flag, Window
from tests.kernels import draw
from tests.stress import stress

KERNELS = {name: kernel for name, kernel in kernels.registry().items() if name == kernel.name}
SCANNED = {name: kernel for name, kernel in KERNELS.items() if kernel.tickwise}

each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
each_scanned = pytest.mark.parametrize("kernel", SCANNED.values(), ids=SCANNED)


def cases(*, each_loop_once: bool) -> pytest.MarkDecorator:
    """Each kernel under each of its cases; or in the short form only where a case has a loop of its own."""
    params = []
    for name, kernel in SCANNED.items():
        loops: set[tuple[Kernel, int, bool]] = set()
        for case in kernel.cases:
            variant = kernel.variant(case)
            loop = (variant, variant.width(1, dict(case)), variant.by_time(dict(case)))
            marks = [stress] if each_loop_once and loop in loops else []
            loops.add(loop)
            label = f"{name}-{','.join(f'{key}={value}' for key, value in case.items())}"
            params.append(pytest.param(variant, case, id=label, marks=marks))
    return pytest.mark.parametrize(("kernel", "case"), params)


each_case = cases(each_loop_once=False)
each_loop = cases(each_loop_once=True)
drawn = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@each_kernel
def test_a_kernel_is_complete(kernel: Kernel) -> None:
    assert len(kernel.oracles) == 1, "an oracle, marked @kernel.oracle"
    assert kernel.source, "the paper, standard or library that defines it"
    assert kernel.warmup, "when the first result can be expected"
    assert kernel.cases, "parameters to test it under"
    document = inspect.getdoc(kernel) or ""
    definition = document.split("Parameters\n------")[0]
    assert definition.strip()
    if kernel.tickwise:
        contract.says_about_missing_values(kernel)
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
@pytest.mark.parametrize(
    "dirt", [{}, {"missing": 0.1, "infinite": 0.03}, {"ties": 1.0}], ids=["clean", "dirty", "ties"]
)
def test_it_agrees_with_its_oracle(kernel: Kernel, case: Any, dirt: dict[str, float]) -> None:
    for rows in (1, 2, 5, 400):
        contract.agrees_with_oracle(kernel, case, ticks(dtypes_of(kernel), rows, seed=rows, **dirt))


@each_loop
@drawn
@given(data=st.data())
def test_any_split_gives_the_same_bits(kernel: Kernel, case: Any, data: st.DataObject) -> None:
    frame, shares = data.draw(draw.frames(dtypes_of(kernel))), data.draw(draw.SHARES)
    contract.any_split_gives_the_same(kernel, case, frame, shares)


@each_loop
@drawn
@given(data=st.data())
def test_ticks_one_at_a_time_give_the_same_bits(kernel: Kernel, case: Any, data: st.DataObject) -> None:
    frame, shares = data.draw(draw.frames(dtypes_of(kernel))), data.draw(draw.SHARES)
    contract.any_ticks_give_the_same(kernel, case, frame, shares)


@each_loop
@drawn
@given(data=st.data())
def test_any_interleaving_gives_the_bits_of_each_symbol_alone(kernel: Kernel, case: Any, data: st.DataObject) -> None:
    contract.any_interleaving_gives_the_same(kernel, case, data.draw(draw.frames(dtypes_of(kernel))))


@each_loop
@drawn
@given(data=st.data())
def test_later_ticks_change_nothing_and_peeking_neither(kernel: Kernel, case: Any, data: st.DataObject) -> None:
    frame, share = data.draw(draw.frames(dtypes_of(kernel))), data.draw(st.floats(0, 1))
    contract.later_ticks_change_nothing(kernel, case, frame, share)


@each_loop
@pytest.mark.parametrize("gap", [np.nan, np.inf], ids=["NaN", "inf"])
def test_it_recovers_after_a_gap(kernel: Kernel, case: Any, gap: float) -> None:
    if not contract.reads_floats(kernel):
        pytest.skip("reads no floats, so nothing can be missing")
    contract.recovers_after_a_gap(kernel, case, gap)


@each_loop
def test_short_groups_give_the_same_columns(kernel: Kernel, case: Any) -> None:
    for rows in (0, 1, 2):
        contract.short_groups_give_the_same_columns(kernel, case, rows)


@each_loop
def test_its_input_is_never_changed(kernel: Kernel, case: Any) -> None:
    contract.leaves_its_input_alone(kernel, case)


TOGETHER = 6
"""In how many pipelines kernels stand together: in one, the first test to run it would compile for minutes."""


def all_together() -> dict[str, ft.Pipeline]:
    """Every kernel that gives a value for each row, under each of its cases, in a few pipelines; the others alone."""
    columns, alone = [], {}
    for name, kernel in SCANNED.items():
        for j, case in enumerate(kernel.cases):
            step = step_of(kernel, case, prefix=f"{name}_{j}")
            if kernel.emits:
                alone[f"{name}-{j}"] = ft.Pipeline(step)
            else:
                columns.append(step)
    return {f"columns-{n}": ft.Pipeline(*columns[n::TOGETHER]) for n in range(TOGETHER)} | alone


PIPELINES = all_together()
each_pipeline = pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    """Ticks of five symbols with everything that any kernel reads, dirty, as pandas frame."""
    everything = [variant for kernel in SCANNED.values() for variant in (kernel, *kernel.twins.values())]
    dtypes = {name: dtype for kernel in everything for name, dtype in dtypes_of(kernel).items()}
    return contract.market(dtypes)


WAYS = {
    "arrow": contract.as_arrow,
    "live": contract.live,
    "dask-threads-2": contract.on_dask(2, "threads"),
    "dask-processes-7": contract.on_dask(7),
    "dask-processes-shuffled": contract.shuffled,
    **{f"dask-threads-{n}": contract.on_dask(n, "threads") for n in (1, 7)},
    **{f"dask-processes-{n}": contract.on_dask(n) for n in (1, 2)},
}

WAYS_OF_SHORT_FORM = 5


def each_way() -> pytest.MarkDecorator:
    """Every pipeline in every way; in the short form the first ways, each of which tries another case of a kernel that
    stands alone.
    """
    params = []
    for label, pipeline in PIPELINES.items():
        name, _, case = label.rpartition("-")
        cases = 1 if name == "columns" else len(SCANNED[name].cases)
        for place, way in enumerate(WAYS):
            tried = place < WAYS_OF_SHORT_FORM and (cases == 1 or place % cases == int(case))
            params.append(pytest.param(pipeline, way, id=f"{label}-{way}", marks=[] if tried else stress))
    return pytest.mark.parametrize(("pipeline", "way"), params)


@each_way()
def test_every_way_gives_the_same_bits(pipeline: ft.Pipeline, way: str, market: pd.DataFrame, client: Client) -> None:
    contract.gives_the_same(pipeline, WAYS[way], market)


@pytest.fixture(scope="module")
def new_process() -> Iterator[ProcessPoolExecutor]:
    """A process that shares nothing with this one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@each_pipeline
def test_a_state_is_carried_on_in_a_new_process(
    pipeline: ft.Pipeline, market: pd.DataFrame, new_process: ProcessPoolExecutor, tmp_path: Path
) -> None:
    path = tmp_path / "state.parquet"
    contract.goes_on(
        pipeline,
        market,
        lambda state: state.save(path),
        lambda text, frame: new_process.submit(resume, text, path, frame).result(),
    )
