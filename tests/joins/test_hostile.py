"""Every hostile column of symbols and times on either side of every join: an error of ours that names it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from tests.hostile import BAD_ROW, DAY, HOSTILE, SECOND, CannotHold, Column, as_arrow, as_pandas
from tests.stress import crossed

ROWS = 6


def clean() -> dict[str, Any]:
    return {
        "symbol": np.array(list("AABABA"), dtype=object),
        "ts": DAY + SECOND * np.arange(ROWS),
        "n": np.arange(ROWS),
    }


def as_dask(columns: dict[str, Any], partitions: int = 1) -> Any:
    try:
        return dd.from_pandas(as_pandas(columns), npartitions=partitions, sort=False)
    except (ValueError, TypeError, NotImplementedError, pa.ArrowException) as error:
        raise CannotHold from error


def live(left: Any, right: Any) -> Any:
    join = ft.AsofJoin()
    join.right(right)
    join.left(left)
    return join.flush()


Make = Callable[[dict[str, Any]], Any]
ENTRANCES: dict[str, tuple[Make, Callable[[Any, Any], Any]]] = {
    "pandas": (as_pandas, ft.asof_join),
    "arrow": (as_arrow, ft.asof_join),
    "summary": (as_pandas, ft.asof_summary),
    "arrow summary": (as_arrow, ft.asof_summary),
    "live": (as_pandas, live),
    "arrow live": (as_arrow, live),
    "dask": (as_dask, lambda left, right: ft.asof_join(left, right).compute(scheduler="sync")),
    "dask, two parts": (
        functools.partial(as_dask, partitions=2),
        lambda left, right: ft.asof_join(left, right).compute(scheduler="sync"),
    ),
}

CASES = [(role, name, column) for role in ("symbol", "time") for name, column in HOSTILE[role].items()]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(("role", "name", "column"), CASES, ids=[f"{role}: {name}" for role, name, _ in CASES])
def test_a_hostile_column_is_refused_by_name(role: str, name: str, column: Column, entrance: str, side: str) -> None:
    make, join = ENTRANCES[entrance]
    in_two = entrance == "dask, two parts"
    if in_two and name == "backwards":
        pytest.skip("each partition is in order by itself")
    key = {"symbol": "symbol", "time": "ts"}[role]
    with dask.config.set({"dataframe.convert-string": False}):
        try:
            bad = make({**clean(), key: column.make(ROWS)})
            sides = {"left": make(clean()), "right": make(clean()), side: bad}
        except CannotHold:
            pytest.skip("this sort of frame cannot hold it")
        with pytest.raises(ft.FintechToolkitError) as caught:
            join(sides["left"], sides["right"])
    message = str(caught.value)
    assert repr(key) in message
    if column.row is not None and "holds" not in message:
        assert f"row {BAD_ROW % (ROWS // 2) if in_two else BAD_ROW}" in message
        assert f"(Partition 1 of {side}.)" in message or not in_two


def frames() -> dict[str, Any]:
    columns = clean()
    frame = as_pandas(columns).assign(ts=pd.to_datetime(columns["ts"], utc=True))
    return {
        "pandas": frame,
        "arrow": pa.Table.from_pandas(frame),
        "batch": pa.RecordBatch.from_pandas(frame),
        "polars": pl.DataFrame(pa.Table.from_pandas(frame)),
        "dict": columns,
        "dask": dd.from_pandas(frame, npartitions=2),
        "series": frame["ts"],
        "polars series": pl.Series([1]),
        "array": frame.to_numpy(),
        "arrow array": pa.array([1]),
        "nothing": None,
    }


ARROW = {"arrow", "batch", "polars"}
TOGETHER = {("pandas", "pandas"), ("dask", "dask"), ("dask", "pandas")} | {(a, b) for a in ARROW for b in ARROW}


@crossed(left=list(frames()), right=list(frames()), join=[ft.asof_join, ft.asof_summary])
def test_sorts_of_frames_that_go_together(left: str, right: str, join: Callable[..., Any]) -> None:
    here, there = frames()[left], frames()[right]
    if (left, right) in TOGETHER:
        joined = join(here, there)
        result = joined.compute(scheduler="sync") if left == "dask" else joined
        if join is ft.asof_summary:
            assert result.matched == ROWS
        else:
            column = result["n_right"]
            assert (column.to_pylist() if left in ARROW else column.tolist()) == list(range(ROWS))
    else:
        with pytest.raises(ft.PipelineError, match=r"A join of feeds takes two|one too|as left is|is not a frame"):
            join(here, there)


def test_polars_frames_in_time() -> None:
    """Answered as the Arrow table that it is, also frame by frame, its strings among them."""
    frame = frames()["polars"].with_columns(note=pl.Series(["x", None] * 3))
    whole = ft.asof_join(frame, frame)
    join = ft.AsofJoin()
    answers = [join.left(frame[:3]), join.right(frame[:2]), join.right(frame[2:]), join.left(frame[3:]), join.flush()]
    together = pa.concat_tables([rows for rows in answers if rows is not None])
    assert together.to_pylist() == whole.to_pylist()
    assert whole.column("note_right").to_pylist() == ["x", None] * 3
