"""What a live join keeps and answers: at the watermarks themselves, and wherever it is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import waiting_join
from tests.joins.feeds import Options


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_that_was_advanced_does_not_go_back(side: str) -> None:
    def row(second: int) -> pd.DataFrame:
        return pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([second], unit="s", utc=True), "n": [second]})

    join = ft.AsofJoin()
    for promised in (pd.Timestamp(10, unit="s", tz="UTC"), pd.Timestamp(10, unit="s"), 9_000_000_000, np.int64(3)):
        assert join.advance(**{side: promised}) is None
    assert join.advance() is None
    assert {"left": join._left, "right": join._right}[side].watermark == 10_000_000_000
    assert {"left": join._right, "right": join._left}[side].watermark == np.iinfo("i8").min
    with pytest.raises(ft.DataError, match=rf"{side} frame: .*row 0 is .*:09.*had reached .*:10"):
        getattr(join, side)(row(9))
    getattr(join, side)(row(10))
    for wrong in ("soon", True, pd.NaT, [1], 10**30):
        with pytest.raises(ft.ParameterError, match=r"right=.* is not a time"):
            join.advance(left=20_000_000_000, right=wrong)
    assert join._left.watermark <= 10_000_000_000
    other = "right" if side == "left" else "left"
    getattr(join, other)(row(9))  # the other side was not advanced with it
    assert join.pending == 1 if side == "left" else join.pending == 0
    assert len(join.flush() if side == "left" else [0]) == 1


def test_the_row_before_the_lefts_own_instant_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the match where exact ones are not allowed, also of rows that still wait while the left has gone on."""
    monkeypatch.setattr(waiting_join, "FEW", 1)

    def row(ts: int, symbol: str, **more: int) -> pd.DataFrame:
        return pd.DataFrame({"symbol": [symbol], "ts": [ts], **more})

    join = ft.AsofJoin(allow_exact_matches=False)
    join.left(row(5, "B"))
    join.right(pd.concat([row(1, "A", n=1), row(5, "A", n=5)]))
    assert join.left(row(5, "A"))["n"].tolist() == [1]
    assert join.left(row(7, "A")) is None
    assert join.left(row(20, "A")) is None
    assert join.right(pd.concat([row(6, "A", n=6), row(9, "A", n=9)]))["n"].tolist() == [6]
    join = ft.AsofJoin()
    join.left(row(7, "A"))
    join.left(row(20, "A"))
    for ts in (5, 6):  # the left has passed them, but its first row still waits for a better one
        assert join.right(row(ts, "A", n=ts)) is None
    assert join.right(pd.concat([row(7, "A", n=7), row(7, "A", n=77)])) is None
    assert join.right(row(15, "A", n=15))["n"].tolist() == [77]


@pytest.mark.parametrize("exact", [False, True])
def test_the_watermark_itself(exact: bool) -> None:
    """A row at the right's watermark may still get a better match only if that may be of its own time."""
    left, right = (pd.DataFrame({"symbol": ["A"], "ts": [7]}), pd.DataFrame({"symbol": ["A"], "ts": [7], "n": [1]}))
    join = ft.AsofJoin(allow_exact_matches=exact)
    join.right(right)
    answered = join.left(left)
    assert (answered is None) == exact
    if exact:
        assert join.right(right.assign(n=2)) is None
        assert join.advance(right=7) is None
        assert join.advance(right=8)["n"].tolist() == [2]


@pytest.mark.parametrize("arrow", [False, True])
@pytest.mark.parametrize("when", range(6))
def test_saved_at_any_time_it_goes_on(
    both: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path, arrow: bool, when: int
) -> None:
    left, right = (pa.Table.from_pandas(frame) for frame in both) if arrow else both
    how: Options = {"tolerance": 0, "allow_exact_matches": True, "suffixes": ("_l", "_r"), "unit": "ns"}
    join = ft.AsofJoin(**how)
    answers = []
    steps = [("left", left[:20]), ("right", right[:25]), ("left", left[20:]), ("right", right[25:])]
    for n, (side, frame) in enumerate([*steps, ("flush", None), ("left", left)]):
        if n == when:
            join.save(tmp_path / "join.parquet")
            options, kinds = join.options, (join._left.time_kind, join._right.time_kind)
            join = ft.AsofJoin.load(tmp_path / "join.parquet")
            assert (join.options, join._left.time_kind, join._right.time_kind) == (options, *kinds)
        answers.append(join.flush() if side == "flush" else getattr(join, side)(frame))
    known = [rows for rows in answers if rows is not None]
    together = pa.concat_tables(known) if arrow else pd.concat(known)
    assert together.equals(ft.asof_join(left, right, **how))
    assert join.pending == 40
