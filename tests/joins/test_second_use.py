"""Joins after an error, after the end, and a second time; and every option in every engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal
from streamz import Stream
from streamz.core import RefCounter

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import waiting_join
from tests.frames import same
from tests.joins.feeds import Options
from tests.joins.layouts import LAYOUTS, by_time

OPTIONS: dict[str, Options] = {
    "plain": {},
    "tolerance": {"tolerance": "2ns"},
    "zero": {"tolerance": 0},
    "not exact": {"allow_exact_matches": False},
    "suffixes": {"suffixes": ("_l", "_r")},
    "no symbol": {"by": None},
    "all": {"by": None, "tolerance": "3ns", "allow_exact_matches": False, "suffixes": ("_l", "_r")},
}


@pytest.fixture(autouse=True)
def plain() -> Any:
    with dask.config.set({"scheduler": "sync", "dataframe.convert-string": False}):
        yield


def through(join: ft.AsofJoin, left: Any, right: Any) -> Any:
    """Bring both feeds in turns; return the answers in left's order."""
    answers = []
    for start in range(0, 50, 10):
        answers.append(join.left(left[start : start + 10]))
        answers.append(join.right(right[start : start + 10]))
    answers.append(join.flush())
    known = [rows for rows in answers if rows is not None]
    return pa.concat_tables(known) if isinstance(known[0], pa.Table) else pd.concat(known)


def streams(left: Any, right: Any, how: Options) -> Any:
    sources = Stream(), Stream()
    joined = ft.asof_join(*sources, **how)
    answers = joined.sink_to_list()
    for start in range(0, 50, 10):
        sources[0].emit(left[start : start + 10])
        sources[1].emit(right[start : start + 10])
    joined.flush()
    return pd.concat(answers)


ENGINES: dict[str, Callable[..., Any]] = {
    "arrow": lambda left, right, how: ft.asof_join(
        *(pa.Table.from_pandas(frame, preserve_index=False) for frame in (left, right)), **how
    ).to_pandas(),
    "live": lambda left, right, how: through(ft.AsofJoin(**how), left, right),
    "streams": streams,
    **{
        f"dask, {layout}": lambda left, right, how, make=LAYOUTS[layout]: ft.asof_join(
            by_time(left, 3), make(right, 4), **how
        ).compute()
        for layout in LAYOUTS
    },
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
def test_an_option_means_the_same_in_every_engine(
    both: tuple[pd.DataFrame, pd.DataFrame], engine: str, name: str, direction: str
) -> None:
    left, right = both
    right = right.drop_duplicates("ts" if "by" in OPTIONS[name] else ["symbol", "ts"])  # other orders, other ties
    how = {**OPTIONS[name], "direction": direction}
    if engine in ("live", "streams") and direction != "backward":
        with pytest.raises(ft.ParameterError, match="looks into the future"):
            ENGINES[engine](left, right, how)
    elif engine in ("dask, by symbol", "dask, unknown") and "by" in how:
        with pytest.raises(ft.PipelineError, match="not known to be in time order"):
            ENGINES[engine](left, right, how)
    else:
        result = ENGINES[engine](left, right, how)
        expected = ft.asof_join(left, right, **how)
        assert_frame_equal(result, expected, check_dtype=engine != "arrow")
        assert list(expected.columns) == list(result.columns)


def test_attrs_are_lefts(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    left, right = both
    right.attrs = {"source": "right"}
    for suffixes in (("", "_r"), ("_l", "_r")):
        joined = ft.asof_join(left, right, suffixes=suffixes)
        assert joined.attrs == {"source": "left"}
        joined.attrs["more"] = 1
    assert left.attrs == {"source": "left"}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", ["backward", "nearest"])
def test_a_dask_join_is_computed_twice_and_joined_again(
    both: tuple[pd.DataFrame, pd.DataFrame], layout: str, direction: str
) -> None:
    left, right = both
    here, there = by_time(left, 3), LAYOUTS[layout](right, 4)
    joined = ft.asof_join(here, there, direction=direction)
    first = joined.compute()
    same(joined.compute(), first)
    again = ft.asof_join(joined, there, direction=direction, suffixes=("", "_again"))
    twice = again.compute()
    same(twice[list(first.columns)], first)
    for name in ("id", "price"):
        same(twice[[f"{name}_again"]], first[[f"{name}_right"]].set_axis([f"{name}_again"], axis=1))
    same(dask.compute(joined, again)[0], first)
    same(joined.persist().compute(), first)
    summary = ft.asof_summary(here, there, direction=direction)
    assert summary.compute() == summary.compute()


def test_an_answer_is_not_a_view_of_what_is_kept(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Nor is one call's memory that of the next."""
    left, right = both
    whole = ft.asof_join(left, right)
    before = whole.copy()
    whole.loc[:, "price_right"] = -1.0
    whole.loc[:, "price"] = -1.0
    same(ft.asof_join(left, right), before)
    join = ft.AsofJoin()
    join.right(right)
    answer = join.left(left[:20])
    expected = answer.copy()
    answer.loc[:, "id_right"] = 0
    right.loc[:, "price"] = right["price"]
    join_again = ft.AsofJoin()
    join_again.right(right)
    same(join_again.left(left[:20]), expected)


def test_columns_of_a_result_share_nothing() -> None:
    left = pd.DataFrame({"symbol": ["A", "Z"], "ts": [5, 6]})
    right = pd.DataFrame({"symbol": ["A"], "ts": [5], "n": [1], "m": [2], "flag": [True]})
    joined = ft.asof_join(left, right)
    joined["n"].array[1] = 7
    assert joined["n"].tolist() == [1, 7]
    assert joined["m"].tolist() == [2, pd.NA]
    assert joined["flag"].tolist() == [True, pd.NA]


@pytest.mark.parametrize("arrow", [False, True])
def test_after_a_flush_it_starts_afresh(
    both: tuple[pd.DataFrame, pd.DataFrame], arrow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_join, "FEW", 4)
    left, right = (pa.Table.from_pandas(frame) for frame in both) if arrow else both
    join = ft.AsofJoin(tolerance="5ns")
    first = through(join, left, right)
    assert (join.pending, join._right.rows, join._last.symbols) == (0, 0, [])
    assert join.flush() is None
    assert through(join, left, right).equals(first)  # times begin again, which without a flush would be late
    assert first.equals(ft.asof_join(left, right, tolerance="5ns"))
    other = [frame.drop(["id"]) if arrow else frame.drop(columns="id") for frame in (left, right)]
    assert through(join, *other).equals(ft.asof_join(*other, tolerance="5ns"))


def bad_frames(frame: pd.DataFrame) -> dict[str, tuple[Any, type[Exception], str]]:
    """Frames that cannot follow the first twenty rows, and what is said."""
    part = frame[20:30]
    symbol = part["symbol"].iloc[0]
    null = part.assign(symbol=part["symbol"].where(part.index != 23))
    earlier = part.assign(ts=part["ts"].where(part.index != 20, frame["ts"].iloc[19] - pd.Timedelta("1ns")))
    last = part["ts"].iloc[-1]
    swapped = pd.concat(
        [part, part.iloc[[0]].assign(ts=last + pd.Timedelta("9ns")), part.iloc[[0]].assign(ts=last)]
    )  # fmt: skip
    return {
        "late": (earlier, ft.DataError, f"frame: column 'ts' of symbol '{symbol}' at row 0 is .*but the feed had"),
        "backwards": (swapped, ft.DataError, f"frame: column 'ts' goes backwards for symbol '{symbol}' at row 11"),
        "no symbol": (null, ft.DataError, "frame: column 'symbol' has no symbol at row 3"),
        "no time": (part.assign(ts=part["ts"].where(part.index != 25)), ft.DataError, "no time for symbol .* at row 5"),
        "naive": (part.assign(ts=part["ts"].dt.tz_localize(None)), ft.DataError, "'ts' .*(naive|aware) (times|ones)"),
        "integers": (part.assign(symbol=np.arange(10)), ft.DataError, "one is a string, one an integer"),
        "no column": (part.drop(columns="ts"), ft.ColumnError, "its columns are|no column 'ts'"),
        "other columns": (part.assign(more=1), ft.ColumnError, "its columns are .*more"),
        "arrow": (pa.Table.from_pandas(part), ft.PipelineError, "A join of feeds takes two pandas"),
        "nothing": (None, ft.PipelineError, "A join of feeds takes two pandas"),
    }  # fmt: skip


BAD = [
    "late",
    "backwards",
    "no symbol",
    "no time",
    "naive",
    "integers",
    "no column",
    "other columns",
    "arrow",
    "nothing",
]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("through_stream", [False, True])
def test_a_frame_that_is_refused_leaves_nothing_behind(
    both: tuple[pd.DataFrame, pd.DataFrame], side: str, bad: str, through_stream: bool
) -> None:
    left, right = both
    frame, error, message = bad_frames({"left": left, "right": right}[side])[bad]
    if through_stream:
        sources = {"left": Stream(), "right": Stream()}
        node = ft.asof_join(sources["left"], sources["right"])
        answers = node.sink_to_list()
        take = {name: source.emit for name, source in sources.items()}
        join = node.join
    else:
        join, answers = ft.AsofJoin(), []
        take = {name: lambda frame, name=name: answers.append(getattr(join, name)(frame)) for name in ("left", "right")}
    take["left"](left[:20])
    take["right"](right[:20])
    kept = join.pending, join._right.rows, join._left.watermark, join._right.watermark
    count = len(answers)
    with pytest.raises(error, match=f"(?s)^(In the {side} )?.*{message}"):
        take[side](frame)
    assert (join.pending, join._right.rows, join._left.watermark, join._right.watermark) == kept
    assert len(answers) == count
    take["left"](left[20:])
    take["right"](right[20:])
    (node if through_stream else join).flush() if through_stream else answers.append(join.flush())
    known = [rows for rows in answers if rows is not None]
    same(pd.concat(known), ft.asof_join(left, right))


@pytest.mark.parametrize("bad", ["late", "naive", "integers", "other columns"])
def test_the_first_frame_of_the_other_side_may_be_refused(both: tuple[pd.DataFrame, pd.DataFrame], bad: str) -> None:
    """Only one side has come: what the other brings first is held against it."""
    left, right = both
    join = ft.AsofJoin()
    join.left(left)
    if bad in ("naive", "integers"):
        with pytest.raises(ft.DataError, match=bad_frames(right)[bad][2]):
            join.right(bad_frames(right)[bad][0])
    assert join._right.frames == ()
    assert join._right.time_kind == ""
    answers = [join.right(right), join.flush()]
    same(pd.concat([rows for rows in answers if rows is not None]), ft.asof_join(left, right))


def test_frames_of_one_side_are_of_one_kind_even_before_the_other_came() -> None:
    aware = pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([1], utc=True)})
    for name in ("left", "right"):
        join = ft.AsofJoin()
        getattr(join, name)(aware)
        for other in (aware.assign(ts=aware["ts"].dt.tz_localize(None)), aware.assign(ts=[2])):
            with pytest.raises(
                ft.DataError, match=f"In the {name} frame: column 'ts' has .* the frames before had aware"
            ):
                getattr(join, name)(other)
        table = ft.AsofJoin()
        getattr(table, name)(pa.table({"symbol": ["A"], "ts": pa.array([1], pa.timestamp("ns")), "n": [1]}))
        with pytest.raises(
            ft.DataError, match=f"In the {name} frame: column 'n' is of type double, in .* before int64"
        ):
            getattr(table, name)(pa.table({"symbol": ["A"], "ts": pa.array([1], pa.timestamp("ns")), "n": [1.5]}))


def test_what_was_refused_is_not_waited_for(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """A stream's offsets are committed when references are released: those of a refused frame are the source's own."""
    left, right = both
    trades, quotes = Stream(), Stream()
    joined = ft.asof_join(trades, quotes)
    joined.sink_to_list()
    done: list[str] = []

    class Refs(RefCounter):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__(initial=1)
            self.name = name

        def release(self, n: int = 1) -> None:
            self.count -= n
            if self.count <= 0:
                done.append(self.name)

    refused, good, plain = Refs("refused"), Refs("good"), Refs("plain")
    with pytest.raises(ft.DataError):
        trades.emit(left.iloc[::-1], metadata=[{"ref": refused}])
    source = Stream()
    answers = source.map(lambda frame: frame["none"]).sink_to_list()
    with pytest.raises(KeyError):
        source.emit(left, metadata=[{"ref": plain}])
    assert not answers
    assert refused.count == plain.count  # what streamz itself holds after an error
    assert joined._held == []
    trades.emit(left, metadata=[{"ref": good}])
    good.release()
    assert done == []
    quotes.emit(right)
    joined.flush()
    assert done == ["good"]


def test_a_flush_that_fails_can_be_made_good() -> None:
    left = pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([5], utc=True)})
    right = left.assign(bid=[1])
    join = ft.AsofJoin()
    join.left(left)
    with pytest.raises(ft.PipelineError, match="give it an empty one"):
        join.flush()
    assert join.pending == 1
    assert join.right(right.iloc[:0]) is None
    assert join.flush()["bid"].isna().tolist() == [True]


def test_options_of_a_join_cannot_be_mixed_up() -> None:
    """Every option is one of its own: no two sets of them make the same join."""
    choices: Options = {"by": [None, "symbol"], "on": ["ts", "t"], "left_on": [None, "a"], "right_on": [None, "b"],
        "tolerance": [None, 0], "allow_exact_matches": [True, False], "suffixes": [("", "_r"), ("_r", "")],
        "unfinished": [False, True], "unit": [None, "ms"]}  # fmt: skip
    drawn = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    assert len({ft.AsofJoin(**how).options for how in drawn}) == 2 ** len(choices)
