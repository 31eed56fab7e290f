"""No composition of pipelines and joins sees a row before it was known.

What a row says must not depend on what comes after it. So every composition is computed on the whole feed, and again on
the feed as it was at every instant: the rows up to then must be the same, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.checking.ticks import columns_of, dtypes_of, step_of, ticks
from tests.frames import same
from tests.stress import crossed

Frames = dict[str, pd.DataFrame]
Composition = Callable[[Any], Any]

START = pd.Timestamp(1_704_189_598_123_456_789, tz="UTC")
BARS = ft.Pipeline(ft.time_bars(frequency="2s"))
MORE_BARS = ft.Pipeline(ft.time_bars("close", "volume", frequency="5s"))
SPREADS = ft.Pipeline(ft.midprice(), ft.realized_spread(mid="mid", horizon="700ms"))
BUCKETS = ft.Pipeline(ft.vpin(bucket=8, window=2))
QUOTED = ft.Pipeline(ft.midprice(), ft.ewma("mid", span=3))
BAR_FEATURES = ft.Pipeline(ft.log_returns("close"), ft.ewma("log_return", span=3))


@cache
def feed() -> pd.DataFrame:
    """Ticks of three symbols, trades with quotes beside them, several at one instant, no two rows alike."""
    rng = np.random.default_rng(0)
    rows = 70
    steps = rng.choice([0, 1, 1, 200, 900], rows) * 1_000_000
    mid = 100 + np.cumsum(rng.normal(size=rows))
    return pd.DataFrame(
        {
            "symbol": pd.array([f"S{j}" for j in rng.integers(0, 3, rows)], dtype="str"),
            "ts": START + pd.to_timedelta(np.cumsum(steps), unit="ns"),
            "id": np.arange(rows) + 2**60,
            "bid": mid - 0.1,
            "ask": mid + 0.1,
            "price": mid + rng.choice([-0.1, 0.1], rows),
            "size": rng.integers(1, 9, rows).astype(float),
            "side": rng.choice([-1.0, 1.0], rows),
        }
    )


def instants(frame: pd.DataFrame) -> list[pd.Timestamp]:
    return sorted(set(frame["ts"]))


def trades(frame: Any) -> Any:
    return frame[["symbol", "ts", "id", "price", "size"]]


def chained(frame: Any) -> Any:
    """Bars with features, joined to trades with quotes: as the guide has it, from pipeline to bars to pipeline."""
    bars = BAR_FEATURES(BARS(frame))
    quoted = ft.asof_join(trades(frame), QUOTED(frame[["symbol", "ts", "bid", "ask"]]), allow_exact_matches=False)
    return ft.asof_join(quoted, bars, suffixes=("", "_bar"))


COMPOSITIONS: dict[str, Composition] = {
    "quotes to trades": lambda f: ft.asof_join(trades(f), f[["symbol", "ts", "bid", "ask"]]),
    "bars to trades": lambda f: ft.asof_join(trades(f), BARS(f)),
    "bars to trades, earlier ones only": lambda f: ft.asof_join(trades(f), BARS(f), allow_exact_matches=False),
    "bars to trades, not too old": lambda f: ft.asof_join(trades(f), BARS(f), tolerance="1s"),
    "realized_spread to trades": lambda f: ft.asof_join(trades(f), SPREADS(f)),
    "vpin to trades": lambda f: ft.asof_join(trades(f), BUCKETS(f)),
    "quotes to bars": lambda f: ft.asof_join(BARS(f), f[["symbol", "ts", "bid", "ask"]]),
    "quotes to bars as of their start": lambda f: ft.asof_join(
        BARS(f), f[["symbol", "ts", "bid", "ask"]], left_on="ts"
    ),
    "vpin to bars": lambda f: ft.asof_join(BARS(f), BUCKETS(f)),
    "pipeline, bars, pipeline, join": chained,
    "bars of bars to trades": lambda f: ft.asof_join(trades(f), MORE_BARS(BARS(f))),
    "bars of finished bars to trades": lambda f: ft.asof_join(trades(f), MORE_BARS(BARS(f).query("complete"))),
    "bars of bars to quotes": lambda f: ft.asof_join(
        f[["symbol", "ts", "bid"]].iloc[1::2], MORE_BARS(BARS(f.iloc[::2]))
    ),
    "bars to trades to trades": lambda f: ft.asof_join(
        trades(f), ft.asof_join(trades(f), BARS(f)), suffixes=("", "_before")
    ),
}


def known_by(result: pd.DataFrame, instant: pd.Timestamp) -> pd.DataFrame:
    """The rows that were known at an instant, in an order of their own."""
    known = result[result["known_at" if "known_at" in result else "ts"] <= instant]
    return known.reset_index(drop=True)


def check(composition: Composition, frame: pd.DataFrame, cuts: list[pd.Timestamp]) -> int:
    """Compare the rows known at each cut with those of the feed until then; return in how many the join told more."""
    whole = composition(frame)
    for instant in cuts:
        now = composition(frame[frame["ts"] <= instant])
        same(known_by(now, instant), known_by(whole, instant))
    return len(whole)


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_what_comes_later_changes_no_row(name: str) -> None:
    frame = feed()
    whole = COMPOSITIONS[name](frame)
    joined = [column for column in whole if column.endswith(("_right", "_bar", "bid"))]
    assert whole[joined].notna().any().any(), "the join matches something"
    check(COMPOSITIONS[name], frame, instants(frame))


def test_joined_by_their_start_bars_look_ahead() -> None:
    """The check can fail: this is what joining by `ts` did."""
    frame = feed()
    with pytest.raises(AssertionError):
        check(lambda f: ft.asof_join(trades(f), BARS(f), right_on="ts"), frame, instants(frame))


EVENTS = [
    (name, case) for name, kernel in kernels.registry().items() if kernel.emits and name == kernel.name
    for case in kernel.cases
]  # fmt: skip


@pytest.mark.parametrize(("name", "case"), EVENTS, ids=str)
def test_no_event_kernel_is_seen_before_its_row_was_known(name: str, case: dict[str, Any]) -> None:
    kernel = kernels.get(name)
    drawn = ticks(dtypes_of(kernel), 60, seed=3, symbols=2)
    drawn["ts"] = drawn["ts"][0] + 20 * (drawn["ts"] - drawn["ts"][0])
    frame = pd.DataFrame(drawn).astype({"symbol": "str"}).assign(ts=pd.to_datetime(drawn["ts"], utc=True))
    rows = ft.Pipeline(step_of(kernel, case))
    ticked = ["symbol", "ts", *columns_of(kernel)]
    assert "known_at" in rows.gives
    found = ft.asof_join(frame[ticked], rows(frame))
    finished = rows(frame)["known_at"].notna()
    assert found["known_at_right"].notna().any() == finished.any()
    assert not (found["known_at_right"] > found["ts"]).any()
    check(lambda f: ft.asof_join(f[ticked], rows(f)), frame, instants(frame)[::3])


@pytest.fixture(autouse=True)
def plain() -> Any:
    with dask.config.set({"dataframe.convert-string": False}):
        yield


def by_day(frame: pd.DataFrame, partitions: int = 3) -> Any:
    return dd.from_pandas(frame, npartitions=partitions, sort=False)


DASK: dict[str, Composition] = {
    name: COMPOSITIONS[name]
    for name in (
        "bars to trades",
        "vpin to trades",
        "quotes to bars",
        "pipeline, bars, pipeline, join",
        "bars of finished bars to trades",
    )
}


@pytest.mark.parametrize("name", DASK)
def test_on_dask_neither(name: str) -> None:
    frame = feed()
    cuts = instants(frame)[5::17]

    def on_dask(part: pd.DataFrame) -> pd.DataFrame:
        result: pd.DataFrame = DASK[name](by_day(part)).compute(scheduler="sync")
        order = ["known_at", "symbol", "ts"] if "known_at" in result else ["id"]
        return result.sort_values(order, kind="stable", ignore_index=True)

    def in_memory(part: pd.DataFrame) -> pd.DataFrame:
        result = DASK[name](part)
        order = ["known_at", "symbol", "ts"] if "known_at" in result else ["id"]
        return result.sort_values(order, kind="stable", ignore_index=True)

    same(on_dask(frame), in_memory(frame))
    check(on_dask, frame, cuts)


@crossed(
    layout=["time", "symbol", "unknown", "pandas"], direction=["backward", "forward", "nearest"], partitions=[1, 2, 5]
)
def test_dask_sends_rows_where_they_were_known(layout: str, direction: str, partitions: int) -> None:
    frame = feed()
    bars = BARS(frame)
    bars = bars[bars["known_at"].notna()].sort_values("known_at", kind="stable", ignore_index=True)
    there: Any = by_day(bars, partitions)
    if layout == "symbol":
        there = ft.partition_by_symbol(there, partitions, time="known_at")
    elif layout == "unknown":
        there = there.partitions[::-1] if partitions > 1 else there
        there = there.map_partitions(lambda part: part, meta=bars.iloc[:0])
    elif layout == "pandas":
        there = bars
    expected = ft.asof_join(trades(frame), bars, direction=direction)
    joined = ft.asof_join(by_day(trades(frame)), there, direction=direction)
    assert joined.dtypes.equals(expected.dtypes)
    same(joined.compute(scheduler="sync"), expected)


def test_arrow_is_pandas() -> None:
    frame = feed()
    expected = COMPOSITIONS["bars to trades"](frame)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    joined = ft.asof_join(table.select(["symbol", "ts", "id", "price", "size"]), BARS(table))
    assert joined.equals(pa.Table.from_pandas(expected, schema=joined.schema, preserve_index=False))


def live(frame: pd.DataFrame, cuts: list[int], composition: str) -> tuple[list[pd.DataFrame], Any]:
    """Run a composition on streams: every frame is computed before it is answered, the last rows by `flush`."""
    source = Stream()
    left = source.map(trades)
    right = BARS.live(source) if composition == "bars to trades" else BUCKETS.live(source)
    joined = ft.asof_join(left, right)
    answers = joined.sink_to_list()
    for start, stop in pairwise([0, *cuts, len(frame)]):
        source.emit(frame.iloc[start:stop])
    return answers, joined


@pytest.mark.parametrize("composition", ["bars to trades", "vpin to trades"])
def test_live_neither(composition: str) -> None:
    frame = feed()
    whole = COMPOSITIONS[composition](frame)
    answers, joined = live(frame, [3, 20, 21, 50], composition)
    given = pd.concat(answers)
    assert 0 < len(given) < len(frame)
    same(given, whole.loc[given.index])
    joined.flush()
    same(pd.concat(answers), whole)
    for stop in (10, 33, 60):
        early, _ = live(frame.iloc[:stop], [5], composition)
        known = pd.concat(early)
        same(known, whole.loc[known.index])


@pytest.mark.parametrize("arrow", [False, True])
def test_a_live_join_takes_rows_that_are_not_finished(arrow: bool) -> None:
    """Left ones are answered at once, with nothing; right ones are left out."""
    frame = feed()
    bars = BARS(frame).sort_values("known_at", kind="stable", ignore_index=True)
    quotes = frame[["symbol", "ts", "bid", "ask"]]
    both = [pa.Table.from_pandas(side, preserve_index=False) for side in (bars, quotes)] if arrow else [bars, quotes]
    whole = ft.asof_join(*both)
    join = ft.AsofJoin()
    join.right(both[1])
    answers = [answer for answer in (join.left(both[0]), join.flush()) if answer is not None]
    together = pa.concat_tables(answers) if arrow else pd.concat(answers)
    # Finished before the quotes' last instant, or not at all: known; at that instant: after the flush.
    here, there = (rows.to_pandas() if arrow else rows for rows in (together, whole))
    order = ["symbol", "ts"]
    same(here.sort_values(order, ignore_index=True), there.sort_values(order, ignore_index=True))
    other = ft.AsofJoin()
    answers = [other.left(both[1]), other.right(both[0])]
    assert other._right.rows == bars["complete"].sum() < len(bars)
    answers.append(other.flush())
    together = pa.concat_tables(answers[1:]) if arrow else pd.concat(answers)
    assert together.equals(ft.asof_join(both[1], both[0]))
