"""A step's scan by itself: its state is copied, grown and used up; columns come as they are, rows go out as they must.

What it gives for every kernel is the contract's business; here it is what it does to the memory that it is handed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.authoring import event_kernel
from fintech_toolkit.scan import slots
from fintech_toolkit.scan.scan import NO_SESSION, Emitted, Scan, StepState

MEAN = ft.rolling_mean("x", window=5)
RANDOM = np.random.default_rng(0)
ROWS, SYMBOLS = 90, 6
CODES = RANDOM.integers(0, SYMBOLS, ROWS).astype(np.uint32)
X = RANDOM.integers(0, 50, ROWS).astype(float)


def means(scan: Scan, state: StepState, rows: slice, symbols: int = SYMBOLS) -> Any:
    (result,) = scan.run(state, symbols, CODES[rows], NO_SESSION, NO_SESSION, [X[rows]])
    return result


def test_a_copied_state_goes_its_own_way() -> None:
    scan = Scan(MEAN)
    state = scan.fresh()
    means(scan, state, slice(0, 30))
    copy = state.copy()
    kept = [part.copy() for part in (copy.records, copy.slots, copy.used)]
    rest = means(scan, state, slice(30, 90))
    for part, before in zip((copy.records, copy.slots, copy.used), kept, strict=True):
        assert part.tobytes() == before.tobytes()  # slots that nobody has taken yet hold anything
    assert_array_equal(means(scan, copy, slice(30, 90)), rest)


def test_a_fresh_state_has_seen_nothing() -> None:
    state = Scan(MEAN).fresh(3)
    assert (len(state.records), len(state.slots), state.used.tolist()) == (3, 0, [0])
    assert not any(state.records[name].any() for name in state.records.dtype.names or ())
    assert len(Scan(MEAN).fresh().records) == 0
    assert len(Scan(ft.midprice("a", "b")).fresh(3).records) == 0, "what needs no state has none"


def test_symbols_may_come_one_by_one_without_copying_all_of_them_each_time() -> None:
    scan = Scan(MEAN)
    state, once = scan.fresh(), scan.fresh()
    copies, results = [], []
    for symbol in range(300):
        before = state.records
        code = np.array([symbol], np.uint32)
        results += scan.run(state, symbol + 1, code, NO_SESSION, NO_SESSION, [np.array([float(symbol)])])
        if state.records is not before:
            copies.append(len(state.records))
    assert len(copies) <= 12
    all_codes = np.arange(300, dtype=np.uint32)
    expected = scan.run(once, 300, all_codes, NO_SESSION, NO_SESSION, [all_codes.astype(float)])
    assert_array_equal(np.concatenate(results), expected[0])  # type: ignore[index]
    shared = [name for name in once.records.dtype.names or () if name != "start"]
    assert_array_equal(state.records[shared][:300], once.records[shared])
    before = state.records
    scan.run(state, 300, all_codes, NO_SESSION, NO_SESSION, [all_codes.astype(float)])
    assert state.records is before


def test_results_go_where_they_are_wanted() -> None:
    scan = Scan(ft.macd("x"))
    room = scan.outputs(ROWS)
    assert [(len(column), column.dtype) for column in room] == [(ROWS, np.float64)] * 3
    given = scan.run(scan.fresh(), SYMBOLS, CODES, NO_SESSION, NO_SESSION, [X], room)
    assert given is room
    other = scan.run(scan.fresh(), SYMBOLS, CODES, NO_SESSION, NO_SESSION, [X])
    for mine, theirs in zip(room, other, strict=True):  # type: ignore[arg-type]
        assert_array_equal(mine, theirs)


@pytest.mark.parametrize("kind", ["strided", "read only", "int32", "big-endian"])
def test_columns_come_as_they_are(kind: str) -> None:
    column: Any = {
        "strided": np.repeat(X, 3)[::3],
        "read only": X.copy(),
        "int32": X.astype(np.int32),
        "big-endian": X.astype(">f8"),
    }[kind]
    column.flags.writeable = False
    scan = Scan(MEAN)
    (result,) = scan.run(scan.fresh(), SYMBOLS, CODES, NO_SESSION, NO_SESSION, [column])
    assert_array_equal(result, means(scan, scan.fresh(), slice(None)))


def flush_counts(s: Any, row: Any, again: bool) -> bool:
    """Emit what is left of a symbol, once."""
    if again or s.left == 0:
        return False
    row.left = s.left
    s.left = 0
    return True


@event_kernel(
    reads="x",
    gives=["left:i8", "number:i8"],
    state=[("left", "i8")],
    flush=flush_counts,
    source="a test",
)
def countdown(s: Any, row: Any, x: float, again: bool) -> bool:
    """Emit x rows for a tick, counting down, and keep one for the end."""
    if not again:
        s.left += int(x)
    if s.left <= 1:
        return False
    row.left = s.left
    row.number = 7
    s.left -= 1
    return True


def emitted_by(scan: Scan, counts: list[float], codes: list[int], room: int) -> Emitted:
    """Return what is emitted where there is room for so many rows at first, the unfinished ones last."""
    state, emitted = scan.fresh(), Emitted(scan.output_dtypes, room)
    ticks = np.array(codes, np.uint32), NO_SESSION, NO_SESSION, [np.array(counts)]
    scan.emit(state, 70, *ticks, emitted, 1000)
    known = emitted.count
    scan.flush(state, emitted)
    assert emitted.at[known : emitted.count].tolist() == emitted.codes[known : emitted.count].tolist()
    again = scan.room(0)
    scan.flush(state, again)
    assert again.count == 0, "the state is used up"
    return emitted


@pytest.mark.parametrize("room", [1, 2, 198, 199, 262, 263, 264, 300, 1000])
def test_a_tick_may_emit_more_rows_than_there_is_room_for(room: int) -> None:
    scan = Scan(countdown.step("x"))
    assert scan.outputs(5) == []
    emitted = emitted_by(scan, [200.0, 1.0, 64.0], [1, 0, 1], room)
    assert emitted.count == 265
    emitted.cut()
    left, number = emitted.columns
    assert left.tolist() == [*range(200, 1, -1), *range(65, 1, -1), 1, 1]
    assert number.tolist() == [7] * 263 + [0, 0], "what is not said is 0"
    assert emitted.codes.tolist() == [1] * 199 + [1] * 64 + [0, 1]
    assert emitted.at[:263].tolist() == [1000] * 199 + [1002] * 64
    assert len(emitted.at) == 265


def test_room_beyond_the_rows_is_given_back_where_it_is_the_larger_part() -> None:
    scan = Scan(countdown.step("x"))
    for room, kept in ((9, True), (11, False)):
        emitted = emitted_by(scan, [5.0], [0], room)
        before = list(emitted)
        emitted.cut()
        assert [np.shares_memory(cut, old) for cut, old in zip(emitted, before, strict=True)] == [kept] * 4
        assert emitted.columns[0].tolist() == [5, 4, 3, 2, 1]


def test_columns_that_are_written_side_by_side_do_not_begin_at_the_same_place_of_a_page() -> None:
    """They would drive each other out of the cache, and a row would take several times as long."""
    emitted = Scan(ft.dollar_bars("price", "size", bar_size=1)).room(1 << 20)
    lines = [(values.ctypes.data - values.base.ctypes.data) % 4096 // 64 for values in emitted]
    assert len(set(lines)) == len(lines) == 12


def test_a_session_that_ends_where_there_is_no_room_goes_on_with_more() -> None:
    scan = Scan(countdown.step("x"), session=True)
    codes, session = np.array([0, 0, 1, 0], np.uint32), np.array([1, 1, 1, 2])
    counts = np.array([3.0, 2.0, 2.0, 4.0])
    given = []
    for room in range(1, 14):
        emitted = Emitted(scan.output_dtypes, room)
        scan.emit(scan.fresh(), 2, codes, session, NO_SESSION, [counts], emitted)
        emitted.cut()
        given.append([values.tolist() for values in emitted])
    assert given[0][0] == [3, 2, 3, 2, 2, 1, 4, 3, 2]
    assert given[0][3] == [0, 0, 1, 1, 2, 3, 3, 3, 3]
    assert all(each == given[0] for each in given)


def test_as_many_rows_as_there_are_symbols_are_flushed() -> None:
    scan = Scan(countdown.step("x"))
    state, emitted = scan.fresh(), scan.room(0)
    codes = np.arange(130, dtype=np.uint32)
    scan.emit(state, 130, codes, NO_SESSION, NO_SESSION, [np.ones(130)], emitted)
    assert emitted.count == 0
    scan.flush(state, emitted)
    emitted.cut()
    assert_array_equal(emitted.codes, codes)
    assert emitted.columns[0].tolist() == [1] * 130


def ring(capacity: int, head: int, count: int, start: int = 0) -> Any:
    """Return a symbol's state of which only the ring matters."""
    (s,) = np.rec.array([(start, capacity, head, count, 0)], dtype=np.dtype(slots.SLOT_HEADER, align=True))
    return s


def test_slots_of_a_ring_are_found_from_the_oldest_on() -> None:
    at = [slots.nth_slot.py_func(ring(4, 2, 4, start=10), j) for j in range(4)]
    assert at == [12, 13, 10, 11]
    heads = []
    turning = ring(3, 0, 3)
    for _ in range(4):
        slots.advance.py_func(turning)
        heads.append(turning.head)
    assert heads == [1, 2, 0, 1]


def test_a_ring_of_a_symbols_own_slots_turns() -> None:
    s, values, kept = ring(3, 2, 0, start=10), [0] * 3, []
    for value in range(5):
        if s.count == 3:
            kept.append(values[slots.oldest(s)])
            slots.pop.py_func(s)
        values[slots.push.py_func(s)] = value
    assert kept == [0, 1]
    assert [values[slots.nth(s, j)] for j in range(s.count)] == [2, 3, 4]


def test_a_ring_moves_to_the_end_of_the_pool_with_its_oldest_first() -> None:
    pool = np.arange(8)
    s, used = ring(4, 3, 4, start=2), np.array([6])
    moved = slots.grow_ring.py_func(s, pool, used, 8)
    assert (s.start, s.capacity, s.head, used.tolist()) == (6, 8, 0, [14])
    assert moved[6:10].tolist() == [5, 2, 3, 4]
    assert moved[:6].tolist() == [0, 1, 2, 3, 4, 5], "what others keep in the pool stays"
    assert len(moved) >= 14
    within = slots.grow_ring.py_func(ring(2, 0, 2, start=0), np.arange(20), np.array([4]), 8)
    assert len(within) == 20


def test_pools_grow_by_doubling_or_to_what_is_needed() -> None:
    pool = np.arange(1, 5)
    assert np.shares_memory(slots.grow_pool(pool, 4), pool)
    assert slots.grow_pool(pool, 5).tolist() == [1, 2, 3, 4, 0, 0, 0, 0]
    assert slots.grow_pool(pool, 50).tolist() == [1, 2, 3, 4] + [0] * 46


def test_a_helper_can_be_called_from_python() -> None:
    """As compiled: what loops use is made without a way to call it."""
    assert slots.later(slots.LAST - 1, length=9) == slots.LAST
    assert np.isinf(slots.helper(lambda x: 1 / x)(0.0))
