"""CSV as bytes: the same records on the same lines, however much is read at once."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fintech_toolkit.orders.records import MOST_RECORD, blocks


def records(content: bytes, size: int) -> list[tuple[int, bytes, bool]]:
    """Return line, text and whether it is broken, of each record."""
    found = []
    for block in blocks(io.BytesIO(content).read, 2, size):
        numbers = np.arange(len(block.starts()))
        assert block.count == len(numbers)
        texts = block.texts(numbers)
        found += [(line, text, block.broken) for line, text in zip(block.lines(numbers).tolist(), texts, strict=True)]
    return found


@given(
    st.lists(st.sampled_from([b"a", b",", b"\n", b'"', b'"\n"', b"\r\n"]), max_size=30).map(b"".join), st.integers(1, 9)
)
def test_records_do_not_depend_on_how_much_is_read_at_once(content: bytes, size: int) -> None:
    found = records(content, size)
    assert b"".join(text for _, text, _ in found) == content
    assert found == records(content, 2**20)
    before = b""
    for line, text, broken in found:
        assert line == 2 + before.count(b"\n")
        assert broken or text.count(b'"') % 2 == 0
        assert text.endswith(b"\n") or before + text == content
        before += text


def test_a_quote_that_is_never_closed_costs_its_line_alone() -> None:
    lines = [b"1,2\n"] * (MOST_RECORD // 2)
    lines[3] = b'1,"2\n'
    found = records(b"".join(lines), 4_096)
    assert len(found) == len(lines)
    assert [line for line, _, broken in found if broken] == [5]
