"""What every kernel must pass: a check takes a kernel and ticks, and raises an AssertionError that says what is wrong.

The tests of this package and `check_kernel` use the same checks, on ticks that they draw differently.
"""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.testing import assert_allclose, assert_array_equal
from streamz import Stream

from fintech_toolkit.checking.ticks import Ticks, columns_of, dtypes_of, split, step_of, take, ticks
from fintech_toolkit.frames.views import wrap
from fintech_toolkit.pipeline import Pipeline
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.values import MISSING

Case = Mapping[str, Any]
"""Parameters of a kernel."""

Results = dict[str, Any]
"""Columns of NumPy arrays."""


def expect(holds: bool, what: str) -> None:
    """Raise an AssertionError unless something holds."""
    if not holds:
        raise AssertionError(what)


def pipeline_of(kernel: Kernel, case: Case) -> Pipeline:
    """Return a pipeline of the kernel alone."""
    return Pipeline(step_of(kernel, case))


def given_by(pipeline: Pipeline, frame: Any) -> Results:
    """Return what a pipeline gave, as NumPy arrays: its own columns, without those that it passed on."""
    view = wrap(frame)
    return {name: plain_array(view.column(name)) for name in pipeline.gives}


def plain_array(values: Any) -> Any:
    """Return a column of any library as a NumPy array; whole numbers that are missing are `MISSING`."""
    if isinstance(values, np.ndarray):
        return values
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    whole = pa.types.is_integer(column.type)
    return (column.fill_null(MISSING) if whole else column).to_numpy(zero_copy_only=False)


def assert_same(actual: Results, expected: Results) -> None:
    """Equal to the last bit: names, dtypes, NaNs, values."""
    expect(list(actual) == list(expected), f"columns {list(actual)} instead of {list(expected)}")
    for name, values in expected.items():
        expect(actual[name].dtype == values.dtype, f"{name} is {actual[name].dtype} instead of {values.dtype}")
        assert_array_equal(actual[name], values, err_msg=name, strict=True)


def carried(pipeline: Pipeline, pieces: Iterable[Ticks]) -> Results:
    """Return what a run gives, piece by piece, put together."""
    run = pipeline.start()
    parts = [given_by(pipeline, run(piece)) for piece in pieces]
    if pipeline.emits:
        parts.append(given_by(pipeline, run.flush()))
    return {name: np.concatenate([part[name] for part in parts]) for name in pipeline.gives}


def names_of(kernel: Kernel, case: Case) -> list[str]:
    """Return what the columns that a kernel gives are called."""
    return kernel.output_names(step_of(kernel, case).width)


def on_arrays(kernel: Kernel, case: Case, frame: Ticks) -> Results:
    """Return what a kernel gives when it is called on arrays."""
    given = {} if "ts" in kernel.reads else {"ts": frame["ts"]}
    result = kernel(*(frame[name] for name in columns_of(kernel)), **given, **case)
    names = names_of(kernel, case)
    return dict(zip(names, [result] if isinstance(result, np.ndarray) else result, strict=True))


def by_oracle(kernel: Kernel, case: Case, frame: Ticks) -> Results:
    """Return what the kernel's independent definition gives."""
    (oracle,) = kernel.oracles
    takes = inspect.signature(oracle).parameters
    times = {"ts": frame["ts"]} if "ts" in takes and "ts" not in kernel.reads else {}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = oracle(*(frame[name] for name in columns_of(kernel)), **times, **case)
    names = names_of(kernel, case)
    if kernel.emits:
        expect(all(set(row) == set(names) for row in result), f"the oracle's rows must have the columns {names}")
        return {name: np.array([row[name] for row in result]) for name in names}
    return dict(zip(names, result if isinstance(result, tuple) else [result], strict=True))


def says_about_missing_values(kernel: Kernel) -> None:
    """Its documentation says what it does about missing values."""
    definition = (inspect.getdoc(kernel) or "").split("Parameters\n------")[0]
    expect(bool(definition.strip()), "it has no docstring")
    said = any(word in definition for word in ("NaN", "missing"))
    expect(said, "its docstring says nothing about NaN or missing values")


def agrees_with_oracle(kernel: Kernel, case: Case, frame: Ticks) -> None:
    """Its numbers are those of its independent definition."""
    actual, expected = on_arrays(kernel, case, frame), by_oracle(kernel, case, frame)
    for name, values in expected.items():
        if actual[name].dtype.kind == "f" and len(values):
            floats = values.astype(np.float64)
            scale = np.max(np.abs(floats), where=np.isfinite(floats), initial=0.0)
            assert_allclose(actual[name], floats, rtol=1e-9, atol=1e-9 * scale, err_msg=name)
        else:
            assert_array_equal(actual[name], values, err_msg=name)


def any_split_gives_the_same(kernel: Kernel, case: Case, frame: Ticks, shares: list[float]) -> None:
    """Frame by frame, from the state that each leaves, it gives the same bits."""
    pipeline = pipeline_of(kernel, case)
    assert_same(carried(pipeline, split(frame, shares)), given_by(pipeline, pipeline(frame)))


def tick_by_tick(pipeline: Pipeline, pieces: Iterable[Ticks]) -> list[dict[str, Any]]:
    """Return the rows that a run gives of frames and, every other piece, of their ticks one at a time."""
    run, rows = pipeline.start(), list[dict[str, Any]]()
    for j, piece in enumerate(pieces):
        if j % 2:
            rows += _rows(given_by(pipeline, run(piece)))
            continue
        for tick in _rows(piece):
            given = run.tick(tick.pop("symbol"), tick["ts"], **{name: v for name, v in tick.items() if name != "ts"})
            rows += given if pipeline.emits else [given]
    return rows + (_rows(given_by(pipeline, run.flush())) if pipeline.emits else [])


def _rows(columns: Results) -> list[dict[str, Any]]:
    values = (column.tolist() for column in columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def any_ticks_give_the_same(kernel: Kernel, case: Case, frame: Ticks, shares: list[float]) -> None:
    """Tick by tick, alternating with frames, it gives the same bits."""
    pipeline = pipeline_of(kernel, case)
    expected = given_by(pipeline, pipeline(frame))
    rows = tick_by_tick(pipeline, split(frame, shares))
    for name, values in expected.items():
        found = [MISSING if row[name] is None else row[name] for row in rows]
        assert_array_equal(np.array(found, values.dtype), values, err_msg=name, strict=True)


def any_interleaving_gives_the_same(kernel: Kernel, case: Case, frame: Ticks) -> None:
    """Among the ticks of others, a symbol gets the bits that it gets alone, as a frame and as arrays."""
    pipeline = pipeline_of(kernel, case)
    whole = given_by(pipeline, pipeline(frame))
    for symbol in np.unique(frame["symbol"]):
        own = take(frame, frame["symbol"] == symbol)
        rows = (whole["symbol"] if pipeline.emits else frame["symbol"]) == symbol
        alone = given_by(pipeline, pipeline(own))
        assert_same(take(whole, rows), alone)
        arrays = on_arrays(kernel, case, own)
        for (name, values), step_name in zip(arrays.items(), pipeline.steps[0].outputs, strict=True):
            assert_array_equal(values, alone[step_name], err_msg=name, strict=True)


def later_ticks_change_nothing(kernel: Kernel, case: Case, frame: Ticks, share: float) -> None:
    """What it gave stays when later ticks come, and peeking at them changes nothing."""
    pipeline = pipeline_of(kernel, case)
    early, late = split(frame, [share])
    whole = given_by(pipeline, pipeline.start()(frame))
    run = pipeline.start()
    peeked = given_by(pipeline, run.peek(early))
    known = given_by(pipeline, run(early))
    assert_same(known, take(whole, slice(len(known[pipeline.gives[0]]))))
    assert_same(take(peeked, slice(len(known[pipeline.gives[0]]))), known)
    run.peek(late)
    rest = given_by(pipeline, run(late))
    assert_same({name: np.concatenate([known[name], rest[name]]) for name in known}, whole)


def reads_floats(kernel: Kernel) -> list[str]:
    """Return the columns in which it can meet a missing value."""
    return [name for name, dtype in dtypes_of(kernel).items() if dtype.kind == "f"]


def recovers_after_a_gap(kernel: Kernel, case: Case, gap: float) -> None:
    """Some rows of `gap` (NaN, or infinite) do not spoil all that follow."""
    clean = ticks(dtypes_of(kernel), 500)
    torn = {name: column.copy() for name, column in clean.items()}
    for name in reads_floats(kernel):
        torn[name][200:220] = gap
    pipeline = pipeline_of(kernel, case)
    expected, actual = (given_by(pipeline, pipeline.start()(frame)) for frame in (clean, torn))
    for shown, name in zip(names_of(kernel, case), pipeline.steps[0].outputs, strict=True):
        finite = [np.isfinite(result[name][-100:].astype(np.float64)).mean() for result in (expected, actual)]
        expect(finite[0] > 0 or len(expected[name]) == 0, f"{shown}: 500 ticks are too few for a result")
        expect(finite[1] >= 0.9 * finite[0], f"{shown} is not finite again after 20 rows of {gap}")


def short_groups_give_the_same_columns(kernel: Kernel, case: Case, rows: int) -> None:
    """No rows, or few, give the same columns as many."""
    pipeline = pipeline_of(kernel, case)
    frame = ticks(dtypes_of(kernel), rows)
    long = given_by(pipeline, pipeline(ticks(dtypes_of(kernel), 50)))
    short = given_by(pipeline, pipeline(frame))
    dtypes = [{name: values.dtype for name, values in given.items()} for given in (short, long)]
    expect(dtypes[0] == dtypes[1], f"of {rows} rows {dtypes[0]}, of many {dtypes[1]}")
    if not pipeline.emits:
        lengths = {len(values) for given in (short, on_arrays(kernel, case, frame)) for values in given.values()}
        expect(lengths == {rows}, f"of {rows} rows it gives {lengths}")


def leaves_its_input_alone(kernel: Kernel, case: Case) -> None:
    """What it reads is never changed, nor part of what it gives."""
    pipeline = pipeline_of(kernel, case)
    frame = ticks(dtypes_of(kernel), 100, missing=0.1)
    before = {name: column.copy() for name, column in frame.items()}
    expected = given_by(pipeline, pipeline(frame))
    arrays = on_arrays(kernel, case, frame)
    table = pd.DataFrame(frame)
    given_by(pipeline, pipeline(table))
    pd.testing.assert_frame_equal(table, pd.DataFrame(before))
    for name, column in frame.items():
        assert_array_equal(column, before[name], err_msg=name)
        expect(not any(np.shares_memory(column, result) for result in arrays.values()), f"{name} is part of a result")
        column.flags.writeable = False
    assert_same(given_by(pipeline, pipeline(frame)), expected)
    assert_same(on_arrays(kernel, case, frame), arrays)


def market(dtypes: dict[str, np.dtype[Any]]) -> pd.DataFrame:
    """Return dirty ticks of five symbols as a pandas frame."""
    frame = pd.DataFrame(ticks(dtypes, 1200, seed=1, symbols=5, missing=0.05, infinite=0.02))
    return frame.assign(ts=pd.to_datetime(frame["ts"], utc=True), symbol=frame["symbol"].astype("str"))


def in_order(pipeline: Pipeline, frame: Any) -> Results:
    """Return what a pipeline gave; emitted rows symbol by symbol, since plans differ in which symbol comes first."""
    given = given_by(pipeline, frame)
    return take(given, np.argsort(given["symbol"], kind="stable")) if pipeline.emits else given


def as_arrow(pipeline: Pipeline, frame: pd.DataFrame) -> Any:
    """Run it on an Arrow table."""
    return pipeline(pa.Table.from_pandas(frame, preserve_index=False))


def on_dask(npartitions: int, scheduler: str | None = None) -> Callable[[Pipeline, pd.DataFrame], Any]:
    """Return a function that runs a pipeline along a chain of partitions; on the client's workers, if there is one."""

    def run(pipeline: Pipeline, frame: pd.DataFrame) -> Any:
        lazy = pipeline(dd.from_pandas(frame, npartitions=npartitions), plan="chain")
        return lazy.compute(scheduler=scheduler) if scheduler else lazy.compute()

    return run


def shuffled(pipeline: Pipeline, frame: pd.DataFrame) -> Any:
    """Run it on Dask, after a shuffle."""
    lazy = pipeline(dd.from_pandas(frame, npartitions=7), plan="shuffle")
    result = lazy.compute()
    return result if pipeline.emits else result.sort_index()


def live(pipeline: Pipeline, frame: pd.DataFrame) -> Any:
    """Run it on a stream of frames."""
    source = Stream()
    enriched = pipeline.live(source)
    batches = enriched.sink_to_list()
    for rows in np.array_split(np.arange(len(frame)), 9):
        source.emit(frame.iloc[rows])
    if pipeline.emits:
        batches.append(enriched.run.flush())
    return pd.concat(batches)


def gives_the_same(pipeline: Pipeline, way: Callable[[Pipeline, pd.DataFrame], Any], frame: pd.DataFrame) -> None:
    """Whatever the way, it gives the bits that it gives on pandas."""
    assert_same(in_order(pipeline, way(pipeline, frame)), in_order(pipeline, pipeline(frame)))


def goes_on(
    pipeline: Pipeline, frame: pd.DataFrame, save: Callable[[Any], Any], resume: Callable[..., list[pd.DataFrame]]
) -> None:
    """It goes on from its state as if it had never stopped; `save` keeps the state, and `resume` starts from that."""
    run = pipeline.start()
    first = run(frame.iloc[:700])
    save(run.state)
    rest = resume(pipeline.to_json(), frame.iloc[700:])
    assert_same(given_by(pipeline, pd.concat([first, *rest])), given_by(pipeline, pipeline(frame)))
