"""Cross-sections as a user meets them: frames of a row, of none, of nothing but missing values; what errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.errors import ColumnError, DataError, ParameterError, PipelineError
from tests.flows.cross_sections import ACROSS, ROWS, STAMPS, flows, market, outputs
from tests.frames import same

FLOWS = flows()
NAMES = pytest.mark.parametrize("name", FLOWS)
FRAME = market()


@NAMES
def test_a_row_none_and_nothing_but_missing_values(name: str) -> None:
    flow = FLOWS[name]
    assert len(flow(FRAME[:1])) == 1
    empty = flow(FRAME[:0])
    assert len(empty) == 0
    same(empty, flow(FRAME)[:0].reset_index(drop=True) if "stamps" in name else flow(FRAME)[:0])
    missing = flow(FRAME.assign(x=np.nan))
    assert missing[outputs(missing)].isna().all(axis=None)
    run = flow.start()
    assert run(FRAME[:0]) is None
    assert len(run.flush()) == 0


def test_of_two_rows_of_a_symbol_at_a_time_the_last_counts() -> None:
    frame = pd.DataFrame({"symbol": list("ABAC"), "ts": 1, "x": [9.0, 2.0, 1.0, 3.0]})
    got = ft.cross_section(ft.cs_rank("x"), ft.cs_neutralize("x", group="symbol"))(frame)
    assert_array_equal(got["cs_rank"], [np.nan, 2, 1, 3])
    assert_array_equal(got["residual"], [np.nan, 0, 0, 0])
    assert ft.cross_section(ft.index_level("x"))(frame)["index_level"].tolist() == [2.0]
    run = ft.cross_section(ft.cs_rank("x")).start()
    parts = [run(frame[:2]), run(frame[2:]), run.flush()]
    assert_array_equal(pd.concat([part for part in parts if part is not None])["cs_rank"], [np.nan, 2, 1, 3])


def test_polars_and_integer_times() -> None:
    frame = pd.DataFrame({"symbol": list("ABAB"), "ts": [1, 1, 61, 75], "x": [3, 1, 2, 4]})
    for data in (frame, pl.from_pandas(frame)):
        rows = ft.cross_section(ft.cs_rank("x"), every="1min", unit="s")(data)
        assert list(rows["ts"].to_pylist() if isinstance(rows, pa.Table) else rows["ts"]) == [60, 60, 120, 120]
        level = ft.cross_section(ft.index_level("x"), unit="s")(data)
        assert list(level["ts"].to_pylist() if isinstance(level, pa.Table) else level["ts"]) == [1, 61, 75]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (ft.cross_section, ParameterError, "needs what is computed of it"),
        (lambda: ft.cross_section(ft.cs_rank), ParameterError, r"cs_rank is no step across symbols"),
        (lambda: ft.cross_section(ft.ewma("x", span=3)), ParameterError, r"ewma\('x', span=3\) is no step across"),
        (lambda: ft.cross_section("x"), ParameterError, "'x' is no step across symbols"),
        (
            lambda: ft.cross_section(ft.cs_rank("x"), ft.breadth("x")),
            ParameterError,
            r"cs_rank\('x'\) gives a value for each row, and breadth\('x'\) one row for each time; make two",
        ),
        (lambda: ft.cross_section(ft.cs_rank("x"), ft.cs_rank("y")), ParameterError, r"both|Two steps give 'cs_rank'"),
        (lambda: ft.cross_section(ft.cs_rank("x"), symbol=None), ParameterError, "must name the column of symbols"),
        (lambda: ft.cross_section(ft.cs_rank("x"), every="5"), ParameterError, "every='5' is a number without a unit"),
        (lambda: ft.cross_section(ft.cs_rank("x"), every="5ms", unit="s"), ParameterError, "no whole number of unit"),
        (lambda: ft.cs_rank("x", method="first"), ParameterError, r"cs_rank: method='first' is not known"),
        (lambda: ft.cs_quantile("x", q=1), ParameterError, "q=1 must be at least 2"),
        (lambda: ft.cs_neutralize("x", exposures=["a", "a"]), ParameterError, "names of columns, each once"),
        (lambda: ft.cs_neutralize("x", group=3), ParameterError, "group=3 must be the name of a column"),
        (lambda: ft.Pipeline(ft.cs_rank("x")), PipelineError, r"goes symbol by symbol; give it to ft.cross_section"),
        (lambda: ft.cs_rank(np.ones(3)), ColumnError, r"ft.cross_section\(ft.cs_rank\('x'\)\)\(frame\)"),
        (lambda: ft.cs_rank(FRAME, "x"), ColumnError, "takes names of columns"),
        (lambda: FLOWS["rows"](FRAME.drop(columns="beta")), ColumnError, "node 2, .*there is no column 'beta'"),
        (lambda: FLOWS["rows"](FRAME.assign(**{ROWS[0].outputs[0]: 1})), ColumnError, "two columns would be called"),
        (lambda: FLOWS["stamps"](FRAME.assign(x="a")), DataError, "Column 'x'"),
        (lambda: FLOWS["rows"](FRAME.assign(symbol=None)), DataError, "no symbol"),
        (lambda: FLOWS["rows"](FRAME, frame=FRAME), ParameterError, "reads 'frame'; give each by its name"),
    ],
)
def test_errors_say_what_to_do(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_a_flow_of_several_sources_wants_their_names() -> None:
    both = ft.source("trades").asof_join(ft.source("quotes"))
    for call in (both, both.explain, both.live, both.start()):
        with pytest.raises(ParameterError, match="reads 'trades', 'quotes'; give each by its name"):
            call(FRAME)


def test_lists_of_parameters_are_columns_and_several_exposures_are_not() -> None:
    exposed = ft.cs_neutralize("x", exposures=["beta", "size"])
    assert exposed.outputs == ("residual",)
    several = ft.cross_section(exposed, ft.cs_zscore("x", ddof=[0, 1]))
    each = (ft.cs_zscore("x", ddof=ddof).named(f"cs_zscore_{ddof}") for ddof in (0, 1))
    same(several(FRAME), ft.cross_section(exposed, *each)(FRAME))


def test_they_stand_in_the_catalogue() -> None:
    listed = ft.catalogue(search="cross_section")
    assert set(ACROSS) <= set(listed.index)
    assert (ft.catalogue().loc[list(ACROSS), "kind"] == "cross").all()
    assert {step.kernel.name for step in ROWS + STAMPS} == set(ACROSS)
