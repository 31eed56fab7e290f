"""Where a source goes on: a table of what a group has committed, what nodes have seen, and what was said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.live.batch import Batch
from fintech_toolkit.engines.live.states import Kept, LiveState
from fintech_toolkit.errors import StateError
from fintech_toolkit.kafka.resumption import Committed, Resumption, commit_metadata, resume
from fintech_toolkit.pipeline import Pipeline
from tests.live.topics import SCHEMA, ticks

PLACE = ("quotes", 3)


def saved(offset: int, since: int | None) -> Any:
    """A node that goes on from a state that was saved."""
    pipeline = Pipeline(ft.ewma("bid", halflife=5))
    kept = Kept(pipeline.start().state, {PLACE: offset}, since)
    return pipeline.live(Stream(), LiveState(pipeline.identity, {PLACE: kept}))


def node(*offsets: int, step: Any = None) -> Any:
    """A node that has begun at the first offset and seen a batch up to each of the others; without any, nothing."""
    source = Stream.from_kafka_frames("quotes", {"bootstrap.servers": "x"}, schema=SCHEMA, group="g")
    made = Pipeline(step or ft.ewma("bid", halflife=5)).live(source)
    frame, count = ticks(10), 0
    for number, offset in enumerate(offsets):
        if number == 0:
            made.begin(PLACE, offset)
            continue
        start = offsets[number - 1]
        rows = frame.iloc[count : count + 1].reset_index(drop=True)
        batch = Batch(number, "quotes", {3: (start, offset)}, np.array([3]), np.array([start]), source)
        made.update(rows, metadata=[{"batch": batch}])
        count += 1
    return made


def where(
    nodes: list[Any],
    committed: Committed = Committed(),  # noqa: B008  # immutable
    passed: int | None = None,
    first: int = 0,
    low: int = 0,
    replay: bool = False,
    fresh: bool = False,
) -> Resumption:
    return resume(PLACE, nodes, committed, passed, first, low, replay=replay, fresh=fresh, group="g")


@pytest.mark.parametrize("ways", [{}, {"replay": True}, {"fresh": True}])
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        # nothing is known
        ({"nodes": [node()]}, Resumption(0, 0, 0, begin=True)),
        ({"nodes": [node()], "first": 40, "low": 40}, Resumption(40, 40, 40, begin=True)),
        ({"nodes": [node()], "first": 90, "low": 40}, Resumption(90, 90, 90, begin=True)),  # from the latest
        # no node has a memory
        ({"nodes": []}, Resumption(0, 0, 0, begin=True)),
        ({"nodes": [], "committed": Committed(50, 0)}, Resumption(50, 50, 0, begin=True)),
        ({"nodes": [], "committed": Committed(50)}, Resumption(50, 50, 50, begin=True)),
        ({"nodes": [], "committed": Committed(50, 0), "passed": 70}, Resumption(70, 70, 0, begin=True)),
        ({"nodes": [node(step=ft.midprice())], "committed": Committed(50, 0)}, Resumption(50, 50, 0, begin=True)),
        # the state began where the group is
        ({"nodes": [node()], "committed": Committed(50, 50)}, Resumption(50, 50, 50, begin=True)),
        # a state at the very offset
        ({"nodes": [saved(50, 10)], "committed": Committed(50, 10)}, Resumption(50, 50, 10)),
        ({"nodes": [node(0, 50, 80)], "committed": Committed(50, 0)}, Resumption(50, 50, 0)),
        ({"nodes": [saved(50, 0), saved(50, 0)], "committed": Committed(50, 0)}, Resumption(50, 50, 0)),
        ({"nodes": [node(0, 50), saved(50, 0)], "committed": Committed(80, 0)}, Resumption(50, 80, 0)),
        ({"nodes": [saved(50, 0), node(step=ft.midprice())], "committed": Committed(50, 0)}, Resumption(50, 50, 0)),
        # where a state began, it knows better than the group
        ({"nodes": [saved(80, 10)]}, Resumption(80, 80, 10)),
        ({"nodes": [saved(80, 10)], "committed": Committed(80)}, Resumption(80, 80, 10)),
        ({"nodes": [saved(80, 10)], "committed": Committed(80, 50)}, Resumption(80, 80, 10)),
        ({"nodes": [saved(80, None)], "committed": Committed(80, 50)}, Resumption(80, 80, 50)),
        ({"nodes": [saved(80, None)]}, Resumption(80, 80, None)),
        # older: what lies between is replayed
        ({"nodes": [saved(30, 0)], "committed": Committed(50, 0)}, Resumption(30, 50, 0)),
        ({"nodes": [node(0, 30, 80)], "committed": Committed(50, 0)}, Resumption(30, 50, 0)),
        # newer: a commit was lost, or sinks have failed
        ({"nodes": [saved(80, 0)], "committed": Committed(50, 0)}, Resumption(80, 80, 0)),
        ({"nodes": [node(0, 50, 80)], "committed": Committed(50, 0), "passed": 80}, Resumption(80, 80, 0)),
        ({"nodes": [node(0, 50, 80, 90)], "committed": Committed(50, 0), "passed": 80}, Resumption(80, 80, 0)),
        ({"nodes": [node(0, 50, 80)]}, Resumption(0, 0, 0)),
    ],
)
def test_where_a_state_is_at_hand_or_none_is_needed_the_ways_out_do_not_count(
    case: dict[str, Any], expected: Resumption, ways: dict[str, bool]
) -> None:
    assert where(**case, **ways) == expected


def test_replay_begins_where_the_state_began_and_fresh_where_the_group_is() -> None:
    assert where([node()], Committed(50, 10), replay=True) == Resumption(10, 50, 10, begin=True)
    assert where([node()], Committed(50, 10), 70, replay=True) == Resumption(10, 70, 10, begin=True)
    assert where([node()], Committed(50), replay=True) == Resumption(0, 50, 0, begin=True)
    assert where([node()], Committed(50, 10), fresh=True) == Resumption(50, 50, 50, begin=True)
    assert where([node(20), node(30)], Committed(50, 10), replay=True) == Resumption(10, 50, 10, begin=True)
    assert where([node(20), node(30)], Committed(50, 10), fresh=True) == Resumption(50, 50, 50, begin=True)


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        (
            {"nodes": [node()], "committed": Committed(50, 10)},
            ["topic 'quotes', partition 3", "'g'", "offset 50", "ewma", "state=", "replay=True", "fresh=True"],
        ),
        ({"nodes": [node()], "passed": 50}, ["offset 50", "state="]),
        (
            {"nodes": [node(20), node(30)], "committed": Committed(50, 10)},
            ["topic 'quotes', partition 3", "20, 30", "replay=True", "fresh=True"],
        ),
        ({"nodes": [node(20), node()], "committed": Committed(50, 10)}, ["20, None", "replay=True"]),
        (
            {"nodes": [node()], "committed": Committed(50, 10), "low": 11, "replay": True},
            ["topic 'quotes', partition 3", "before offset 11", "began at 10", "fresh=True"],
        ),
        ({"nodes": [node()], "committed": Committed(50), "low": 1, "replay": True}, ["before offset 1", "began at 0"]),
    ],
)
def test_what_would_give_wrong_numbers_is_an_error_that_says_what_to_do(case: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(StateError) as caught:
        where(**case)
    for part in parts:
        assert part in str(caught.value)


def test_where_the_states_began_is_read_back_from_the_commit() -> None:
    assert Committed.read(50, commit_metadata(10, [node()])) == Committed(50, 10)
    assert Committed.read(50, commit_metadata(None, [node()])) == Committed(50)
    assert Committed.read(-1001, "") == Committed()
    for foreign in ("", None, "someone else's"):
        assert Committed.read(50, foreign) == Committed(50)


def test_a_state_that_began_from_another_is_not_made_again_without_it() -> None:
    pipeline = Pipeline(ft.ewma("bid", halflife=5))
    history = pipeline.start()
    history(ticks(50))
    given = pipeline.live(Stream(), history.state)
    there = Committed.read(50, commit_metadata(0, [node(), given]))
    assert there.origin == given.origin
    assert where(nodes=[given], committed=there, replay=True) == Resumption(0, 50, 0, begin=True)
    for nodes in ([node()], [pipeline.live(Stream(), pipeline.start().state)]):
        with pytest.raises(StateError, match="began from a State that was given"):
            where(nodes=nodes, committed=there, replay=True)
