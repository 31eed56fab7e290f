"""As-of joins of feeds that come frame by frame: the bits of the whole, however it is cut, saved and resumed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamz import Stream
from streamz.core import RefCounter

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import last_rows, waiting_join
from fintech_toolkit.engines.memory.feed_joins import join_feeds
from tests.frames import same
from tests.joins.feeds import Options, feeds
from tests.joins.test_asof import LEFT, RIGHT, seconds

HOW = st.fixed_dictionaries(
    {"tolerance": st.sampled_from([None, "2ns"]), "allow_exact_matches": st.booleans()},
)


def pieces(frame: Any, cuts: list[int]) -> list[Any]:
    edges = [0, *sorted(cut % (len(frame) + 1) for cut in cuts), len(frame)]
    return [frame[start:stop] for start, stop in pairwise(edges)]


def together(answers: list[Any]) -> Any:
    known = [rows for rows in answers if rows is not None]
    return pa.concat_tables(known) if isinstance(known[0], pa.Table) else pd.concat(known)


CUTS = st.lists(st.integers(0, 40), max_size=4)


@given(feeds(), HOW, CUTS, CUTS, st.randoms(use_true_random=False), st.booleans(), st.sampled_from([1, 5, 1_000]))
@settings(deadline=None, max_examples=80)
def test_is_the_join_of_the_whole(
    both: tuple[pd.DataFrame, pd.DataFrame],
    how: Options,
    left_cuts: Any,
    right_cuts: Any,
    random: Any,
    arrow: bool,
    few: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting_join, "FEW", few)
        patch.setattr(last_rows, "FEW", few)
        check_whole(both, how, left_cuts, right_cuts, random, arrow)


def check_whole(
    both: tuple[pd.DataFrame, pd.DataFrame], how: Options, left_cuts: Any, right_cuts: Any, random: Any, arrow: bool
) -> None:
    left, right = (pa.Table.from_pandas(frame) for frame in both) if arrow else both
    join = ft.AsofJoin(**how)
    queue = {"left": pieces(left, left_cuts), "right": pieces(right, right_cuts)}
    answers = []
    while any(queue.values()):
        side = random.choice([side for side, frames in queue.items() if frames])
        answers.append(getattr(join, side)(queue[side].pop(0)))
    answers.append(join.flush())
    assert join.pending == 0
    whole = ft.asof_join(left, right, **how)
    if len(left) == 0:
        assert answers == [None] * len(answers)
    elif arrow:
        assert together(answers).equals(whole)
    else:
        same(together(answers), whole)


@given(feeds(), HOW)
@settings(deadline=None, max_examples=20)
def test_no_answer_comes_before_it_is_final(both: tuple[pd.DataFrame, pd.DataFrame], how: Options) -> None:
    left, right = both
    join = ft.AsofJoin(**how)
    assert join.left(left) is None
    for row in range(len(right)):
        answered = join.right(right.iloc[row : row + 1])
        if answered is not None:
            same(answered, ft.asof_join(left, right, **how).loc[answered.index])


def test_what_no_row_can_need_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_join, "FEW", 4)
    join = ft.AsofJoin()
    answers = []
    for second in range(60):
        one = {"symbol": ["A"], "ts": seconds(second)}
        answers.append(join.left(pd.DataFrame({**one, "n": [second]})))
        answers.append(join.right(pd.DataFrame({**one, "bid": [second]})))
        assert join._right.rows <= 6
    answers.append(join.flush())
    found = together(answers)
    assert (found["n"] == found["bid"]).all()
    assert len(found) == 60


@pytest.mark.parametrize("arrow", [False, True])
def test_an_answer_looks_at_no_more_rows_than_it_needs(arrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []

    def counted(here: Any, there: Any, options: Any) -> Any:
        looked_at.append(here.rows + there.rows)
        return join_feeds(here, there, options)

    monkeypatch.setattr(waiting_join, "join_feeds", counted)
    many, rng = 20_000, np.random.default_rng(5)
    sort = pa.Table.from_pandas if arrow else lambda frame: frame
    right = pd.DataFrame({"symbol": [f"S{code}" for code in range(many)], "ts": np.arange(many)})
    right = right.assign(bid=rng.normal(size=many))
    join, answers, lefts = ft.AsofJoin(), [], []
    join.right(sort(right))
    for step in range(60):
        at = many + step * 100
        quotes = pd.DataFrame({"symbol": rng.choice(right["symbol"], 50), "ts": at + np.arange(50)})
        right = pd.concat([right, quotes := quotes.assign(bid=rng.normal(size=50))], ignore_index=True)
        trades = pd.DataFrame({"symbol": rng.choice(right["symbol"], 30), "ts": at + np.arange(30)})
        lefts.append(trades)
        answers += [join.left(sort(trades)), join.right(sort(quotes))]
    assert max(looked_at[1:]) < 2_500
    found, whole = together([*answers, join.flush()]), ft.asof_join(pd.concat(lefts, ignore_index=True), right)
    np.testing.assert_array_equal(np.asarray(found["bid"]), whole["bid"])


def test_a_quiet_side_can_promise() -> None:
    join = ft.AsofJoin()
    join.right(RIGHT)
    assert len(join.left(LEFT)) == 1
    assert join.advance(right=seconds(6)[0]) is None
    assert len(join.advance(right=seconds(6.5)[0])) == 1
    with pytest.raises(
        ft.DataError, match=r"right frame: column 'ts' of symbol 'A' at row 0 is 1970.*:01, but the feed had"
    ):
        join.right(RIGHT)


def test_a_frame_that_cannot_be_used_changes_nothing() -> None:
    join = ft.AsofJoin()
    join.right(RIGHT)
    for bad in (LEFT.iloc[::-1].assign(symbol="A"), LEFT.assign(ts=[1, 2]), LEFT.drop(columns="ts")):
        with pytest.raises(ft.FintechToolkitError):
            join.left(bad)
    with pytest.raises(ft.PipelineError):
        join.left(pa.Table.from_pandas(LEFT))
    assert join.pending == 0
    same(pd.concat([join.left(LEFT), join.flush()]), ft.asof_join(LEFT, RIGHT))


def test_what_lies_ahead_is_refused() -> None:
    for direction in ("forward", "nearest"):
        with pytest.raises(ft.ParameterError, match="looks into the future"):
            ft.AsofJoin(direction=direction)
    join = ft.AsofJoin()
    join.left(LEFT)
    with pytest.raises(ft.PipelineError, match="No frame of the right has come"):
        join.flush()


@pytest.mark.parametrize("arrow", [False, True])
def test_saved_and_loaded_it_goes_on(tmp_path: Path, arrow: bool) -> None:
    left, right = (pa.Table.from_pandas(frame) for frame in (LEFT, RIGHT)) if arrow else (LEFT, RIGHT)
    path = tmp_path / "join.parquet"
    answers = []
    join = ft.AsofJoin(tolerance="10s", suffixes=("_l", "_r"))
    for side, frame in (("left", left[:1]), ("right", right[:2]), ("left", left[1:]), ("right", right[2:])):
        join.save(path)
        join = ft.AsofJoin.load(path)
        answers.append(getattr(join, side)(frame))
    answers.append(join.flush())
    whole = ft.asof_join(left, right, tolerance="10s", suffixes=("_l", "_r"))
    assert together(answers).equals(whole)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "join.parquet"
    join = ft.AsofJoin()
    join.right(RIGHT)
    join.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(whole), 20):
        path.write_bytes(whole[:cut])
        with pytest.raises(ft.StateError, match="is not a whole saved join"):
            ft.AsofJoin.load(path)
    pd.DataFrame({"left": [1]}).to_parquet(path)
    with pytest.raises(ft.StateError):
        ft.AsofJoin.load(path)


def test_streams_are_joined() -> None:
    trades, quotes = Stream(), Stream()
    joined = ft.asof_join(trades, quotes, tolerance="10s")
    answers = joined.sink_to_list()
    done: list[str] = []
    quotes.emit(RIGHT[:2])

    class Refs(RefCounter):  # type: ignore[misc]
        def release(self, n: int = 1) -> None:
            self.count -= n
            if self.count <= 0:
                done.append("done")

    refs = Refs(initial=1)
    trades.emit(LEFT, metadata=[{"ref": refs}])
    refs.release()
    assert joined.join.pending == 2
    assert not done
    quotes.emit(RIGHT[2:])
    assert joined.join.pending == 1
    assert not done
    joined.flush()
    assert done
    same(pd.concat(answers), ft.asof_join(LEFT, RIGHT, tolerance="10s"))
    with pytest.raises(ft.PipelineError, match="right must be one too"):
        ft.asof_join(trades, RIGHT)


@pytest.mark.parametrize("option", [{"state": "x.parquet"}, {"idle": "5s"}, {"ahead": None}])
def test_what_is_for_streams_is_refused_for_frames(option: dict[str, Any]) -> None:
    frame = pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([0], utc=True)})
    for kind in (lambda part: part, pa.Table.from_pandas, lambda part: dd.from_pandas(part, npartitions=1)):
        with pytest.raises(ft.ParameterError, match="are for streams"):
            ft.asof_join(kind(frame), kind(frame.assign(bid=1.0)), **option)
