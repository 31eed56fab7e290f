"""Check digits of CUSIP and ISIN, of whole columns."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyarrow as pa

from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.schema import Array


def has_wrong_check_digit(values: pa.ChunkedArray, length: int) -> Array:
    """Return which identifiers are none: not of this many characters, of other ones, or with another check digit.

    Parameters
    ----------
    values : pyarrow.ChunkedArray of strings
        Null, ``""`` and ``"NULL"`` stand for no identifier and are not wrong.
    length : {9, 12}
        9 of a CUSIP (ANSI X9.6), 12 of an ISIN (ISO 6166).

    Examples
    --------
    >>> has_wrong_check_digit(pa.chunked_array([["037833100", "037833101", None]]), 9)
    array([False,  True, False])
    >>> has_wrong_check_digit(pa.chunked_array([["US0378331005", "US0378331006", ""]]), 12)
    array([False,  True, False])
    """
    found = np.zeros(len(values), dtype=bool)
    at = 0
    for chunk in values.cast(pa.large_string()).chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        texts = np.frombuffer(data if data is not None else b"\0", np.uint8)
        part = found[at : at + len(chunk)]
        _loop()(texts, ends, length, part)
        part &= ~chunk.is_null().to_numpy(zero_copy_only=False)
        at += len(chunk)
    return found


@functools.cache
def _loop() -> Any:
    return compile_cached(_wrong)


def _wrong(texts: Any, ends: Any, length: int, wrong: Any) -> None:
    for row in range(len(wrong)):
        start, stop = ends[row], ends[row + 1]
        size = stop - start
        if size == 0:
            continue
        null = size == 4 and texts[start] == 78 and texts[start + 1] == 85
        if null and texts[start + 2] == 76 and texts[start + 3] == 76:
            continue
        total = 0
        fine = size == length
        # An ISIN's letters become two digits each, and every other digit from the right is doubled; of a CUSIP every
        # other character's value is doubled.
        doubled = True
        for place in range(min(size, length) - 2, -1, -1):
            character = texts[start + place]
            if 48 <= character <= 57:
                value = int(character) - 48
            elif 65 <= character <= 90:
                value = int(character) - 55
            else:
                value = 0
                fine = False
            if length == 9:
                value *= 1 + place % 2
                total += value // 10 + value % 10
                continue
            first = True
            while first or value > 0:
                first = False
                digit = (value % 10) * (1 + doubled)
                total += digit // 10 + digit % 10
                doubled = not doubled
                value //= 10
        wrong[row] = not fine or int(texts[stop - 1]) - 48 != (10 - total % 10) % 10
