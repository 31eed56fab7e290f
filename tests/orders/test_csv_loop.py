"""The loop that reads plain whole numbers: to the digit, or not at all."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fintech_toolkit.orders.csv_loop import read_whole_numbers

NUMBERS = st.one_of(
    st.integers(-20, 20).map(str),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(-(2**64), 2**64).map(str),
    st.sampled_from([str(-(2**63)), str(2**63 - 1), str(2**63), str(-(2**63) - 1), "0" * 19, "-0", "007"]),
)
ODD = st.sampled_from(["", "-", "+1", "1.0", " 1", "1 ", "--1", "0x1F", "1\r", "x", "9" * 20])


def read(text: bytes, columns: list[int]) -> list[list[int]] | None:
    values = np.empty((max(columns) + 1, text.count(b"\n") + (not text.endswith(b"\n"))), np.int64)
    many = read_whole_numbers(np.frombuffer(text, np.uint8), np.array(columns), values)
    return None if many < 0 else values[:, :many].T.tolist()


@settings(deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, st.text("ab x.-1", max_size=3), NUMBERS), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.none() | st.tuples(st.integers(0, 7), ODD),
)
def test_every_plain_number_is_read_and_anything_else_leaves_all_to_others(
    records: list[tuple[str, str, str]], end: str, last: bool, odd: tuple[int, str] | None
) -> None:
    """The middle column is not read, and the others change places."""
    if odd is not None and odd[0] < len(records):
        records[odd[0]] = (odd[1], *records[odd[0]][1:])
    text = (end.join(map(",".join, records)) + end * last).encode()
    plain = all(
        re.fullmatch("-?[0-9]{1,19}", field) and -(2**63) <= int(field) < 2**63
        for first, _, third in records
        for field in (first, third)
    )
    expected = [[int(third), int(first)] for first, _, third in records] if plain else None
    assert read(text, [1, -1, 0]) == expected


@pytest.mark.parametrize("text", [b"1,2\n\n3,4\n", b"1\n", b"1,2,3\n", b"1,2\n3\n", b"1,2\r", b"1,2\r3,4\n", b"1,"])
def test_records_that_are_not_of_so_many_fields_are_left_to_others(text: bytes) -> None:
    assert read(text, [0, 1]) is None
