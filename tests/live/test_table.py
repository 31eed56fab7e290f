"""The bounded table: the last rows, whole, from any thread."""

from __future__ import annotations

import threading

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamz import Stream

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from fintech_toolkit.errors import ParameterError
from tests.frames import same


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 20), st.integers(1, 4))
def test_it_holds_the_last_rows(sizes: list[int], maxlen: int, every: int) -> None:
    frames = Stream()
    table = frames.to_table(maxlen=maxlen)
    frame = pd.DataFrame({"symbol": [f"S{row % 3}" for row in range(sum(sizes))], "bid": range(sum(sizes))})
    done = 0
    for number, size in enumerate(sizes):
        frames.emit(frame.iloc[done : done + size])
        done += size
        if number % every == 0 and done:
            expected = frame.iloc[:done].iloc[-maxlen:].reset_index(drop=True)
            same(table.snapshot(), expected)
            mine = expected[expected["symbol"] == "S01"].reset_index(drop=True)
            same(table.snapshot("S01"), mine)


def test_snapshots_of_another_thread_are_whole() -> None:
    frames = Stream()
    table = frames.to_table(maxlen=1_000)
    ended = threading.Event()

    def write() -> None:
        for start in range(0, 50_000, 100):
            frames.emit(pd.DataFrame({"symbol": "A", "bid": range(start, start + 100)}))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not ended.is_set():
        rows = table.snapshot()
        if len(rows):
            seen += 1
            first = rows["bid"].iloc[0]
            assert rows["bid"].tolist() == list(range(first, first + len(rows)))
    writer.join()
    assert seen
    assert table.snapshot()["bid"].tolist() == list(range(49_000, 50_000))


def test_an_empty_one() -> None:
    assert Stream().to_table().snapshot("A").empty
    with pytest.raises(ParameterError, match="maxlen"):
        Stream().to_table(maxlen=0)
