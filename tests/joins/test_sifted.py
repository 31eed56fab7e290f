"""Rows of a feed that a join cannot use are put aside, and the others are joined as if those had not been there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from tests.frames import same

SORTS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "Arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}
ROWS = 40


def at(seconds: Any) -> Any:
    return pd.to_datetime(pd.Series(seconds), unit="s", utc=True)


def side(value: str, first: int) -> pd.DataFrame:
    seconds = first + np.arange(ROWS)
    return pd.DataFrame({"symbol": np.array(["A", "B", "C"])[seconds % 3], "ts": at(seconds), value: seconds * 0.5})


def spoiled(frame: pd.DataFrame) -> tuple[pd.DataFrame, Any, dict[int, str]]:
    """The frame with rows that cannot be used, the latest times that rows may have, and what is said of which row."""
    frame = frame.copy()
    frame.loc[2, "symbol"] = None
    frame.loc[4, "ts"] = pd.NaT
    frame.loc[9, "ts"] = frame["ts"][3]  # of the same symbol, and after row 6
    frame.loc[20, "ts"] = pd.Timestamp("1960", tz="UTC")
    frame.loc[30, "ts"] = pd.Timestamp("2060", tz="UTC")
    latest = np.full(ROWS, pd.Timestamp("2000", tz="UTC").value)
    said = {
        2: "column 'symbol' has no symbol at row 2",
        4: "column 'ts' has no time for symbol",
        9: "column 'ts' goes backwards for symbol",
        20: "feed had reached 1970-01-01 00:00:0",
        30: "may be 2000-01-01 00:00:00 at most, judged by when its record was written",
    }
    return frame, latest, said


def as_pandas(answered: Any) -> pd.DataFrame:
    return (answered.to_pandas() if isinstance(answered, pa.Table) else answered).reset_index(drop=True)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("which", ["left", "right"])
def test_what_cannot_be_used_is_told_and_changes_nothing(which: str, sort: str) -> None:
    convert = SORTS[sort]
    begun = side("bid", 0), side("price", 1)
    one, other = ft.AsofJoin(), ft.AsofJoin()
    for join in (one, other):
        join.right(convert(begun[0].iloc[:2]))
        join.left(convert(begun[1].iloc[:1]))
    frame, latest, said = spoiled(side("bid" if which == "right" else "price", 5))
    answered, refused = one.accept(which, convert(frame), latest)
    assert list(refused) == list(said)
    for row, reason in said.items():
        assert reason in refused[row]
    expected = getattr(other, which)(convert(frame.drop(index=list(said))))
    assert one.watermark(which) == other.watermark(which)
    for mine, theirs in ((answered, expected), (one.flush(), other.flush())):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            same(as_pandas(mine), as_pandas(theirs))


def test_rows_that_are_not_finished_wait_among_those_that_are_put_aside() -> None:
    left = side("price", 5).assign(known_at=lambda f: f["ts"])
    left.loc[[7, 12], "known_at"] = pd.NaT
    left.loc[9, "known_at"] = left["known_at"][3]
    one, other = ft.AsofJoin(), ft.AsofJoin()
    for join in (one, other):
        join.right(side("bid", 0))
    answered, refused = one.accept("left", left)
    assert list(refused) == [9]
    same(answered, other.left(left.drop(index=9)))
    same(one.flush(), other.flush())


def test_a_frame_of_which_nothing_can_be_used_leaves_the_join_as_it_was() -> None:
    join = ft.AsofJoin()
    join.right(side("bid", 100))
    before = join.to_bytes()
    answered, refused = join.accept("right", side("bid", 0))
    assert answered is None
    assert list(refused) == list(range(ROWS))
    assert join.to_bytes() == before


def test_rows_that_were_answered_before_only_tell_how_far_the_left_has_come() -> None:
    one, other = ft.AsofJoin(), ft.AsofJoin()
    for join in (one, other):
        join.right(side("bid", 0))
    frame, latest, said = spoiled(side("price", 5))
    answered, refused = one.accept("left", frame.drop(index=20), latest[1:], answered=True)
    assert answered is None
    assert len(refused) == len(said) - 1
    assert one.pending == 0
    other.advance(left=frame["ts"].drop(index=[20, 30]).max())
    assert one.watermark("left") == other.watermark("left")
    for join in (one, other):
        assert join.left(side("price", 60)) is None
    same(one.flush(), other.flush())
