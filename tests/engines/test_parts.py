"""Several states over one frame, a part of it each: the same as each state over a frame of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.run import accept_parts
from fintech_toolkit.errors import DataError
from fintech_toolkit.pipeline import Pipeline
from tests.stress import crossed

PIPELINES = {
    "values": Pipeline(ft.ewma("bid", halflife=5), ft.lag("ewma"), ft.rolling_zscore("bid", window=7)),
    "integers that may be missing": Pipeline(ft.diff("id", dtype="int64")),
    "sessions": Pipeline(ft.ewma("bid", halflife=5), session="Europe/London"),
    "rows of its own": Pipeline(ft.time_bars(price="bid", size="bid", frequency="50us")),
    "one series": Pipeline(ft.diff("bid"), symbol=None),
}
KINDS: dict[str, Any] = {
    "pandas": lambda frame: frame,
    "categories": lambda frame: frame.astype({"symbol": "category"}),
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}
COUNTS = ([40, 0, 25, 1], [0, 0, 3, 0], [7, 60, 1, 0], [1, 1, 1, 1])


def part(number: int, rows: int, first: int) -> pd.DataFrame:
    rng = np.random.default_rng([number, rows, first])
    at = first + np.sort(rng.integers(0, 1_000_000, rows))
    return pd.DataFrame(
        {
            "symbol": pd.array([f"P{number}S{code}" for code in rng.integers(0, 4, rows)], dtype="str"),
            "ts": pd.to_datetime(1723161240123456789 + at, utc=True),
            "bid": rng.normal(100, 1, rows),
            "id": rng.integers(0, 2**60, rows),
        }
    )


def spoil(frame: pd.DataFrame, chance: float) -> pd.DataFrame:
    rng = np.random.default_rng(len(frame))
    bad = rng.random(len(frame)) < chance
    frame.loc[bad, "symbol"] = rng.choice(np.array([None, "NEW"], object), int(bad.sum()))
    frame.loc[bad, "ts"] -= pd.Timedelta("1D")
    return frame


def to_pandas(frame: Any) -> pd.DataFrame:
    frame = frame.to_pandas() if isinstance(frame, pa.Table) else frame
    return frame.astype({"symbol": "str"})


def anywhere(reasons: Iterable[str]) -> list[str]:
    return [re.sub(r"row \d+", "row", reason) for reason in reasons]


@crossed(name=list(PIPELINES), chance=[0.0, 0.2, 1.0], kind=list(KINDS))
def test_they_are_the_same_as_frames_of_their_own(name: str, chance: float, kind: str) -> None:
    pipeline = PIPELINES[name]
    runs = [pipeline.start() for _ in COUNTS[0]]
    states = [run.state.copy() for run in runs]
    for number, counts in enumerate(COUNTS):
        first = [part(p, rows, number * 1_000_000) for p, rows in enumerate(counts)]
        parts = [spoil(rows, chance) if number else rows for rows in first]
        whole = KINDS[kind](pd.concat(parts, ignore_index=True))
        alone = [run.accept(KINDS[kind](rows)) for run, rows in zip(runs, parts, strict=True)]
        before = [state.to_bytes() for state in states]
        result, rows, after, refused = accept_parts(pipeline, whole, list(zip(states, counts, strict=True)))
        assert [state.to_bytes() for state in states] == before
        expected = pd.concat([to_pandas(good) for good, _ in alone], ignore_index=True)
        assert_frame_equal(to_pandas(result).reset_index(drop=True), expected, check_exact=True, check_dtype=False)
        assert rows == [len(good) for good, _ in alone]
        starts = np.cumsum([0, *counts])
        places = [bad["row"] + start for start, (_, bad) in zip(starts, alone, strict=False)]
        assert list(refused) == pd.concat(places).tolist()
        assert anywhere(refused.values()) == anywhere(pd.concat([bad["reason"] for _, bad in alone]))
        for row, reason in refused.items():
            assert re.search(rf"row {row}\b", reason)
        states = after
        assert [state.to_bytes() for state in states] == [run.state.to_bytes() for run in runs]


def test_what_makes_a_frame_unusable_leaves_all_states_as_they_were() -> None:
    pipeline = PIPELINES["values"]
    states = [pipeline.start().state for _ in range(2)]
    frame = pd.concat([part(0, 5, 0), part(1, 5, 0)], ignore_index=True)
    _, _, states, _ = accept_parts(pipeline, frame, [(state, 5) for state in states])
    before = [state.to_bytes() for state in states]
    naive = frame.assign(ts=frame["ts"].dt.tz_localize(None), symbol="NEW")
    with pytest.raises(DataError, match="naive times"):
        accept_parts(pipeline, naive, [(state, 5) for state in states])
    with pytest.raises(DataError, match="'symbol' holds"):
        accept_parts(pipeline, frame.assign(symbol=[1.5] * 10), [(state, 5) for state in states])
    assert [state.to_bytes() for state in states] == before
