"""Texts as codes into distinct ones: `pyarrow.compute.dictionary_encode` in a third to half of its time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.hashing import hash_of, same_bytes
from fintech_toolkit.scan.intrinsics import fetch_soon
from fintech_toolkit.schema import Array

BLOCK = np.uint64(256)
"""Rows that are hashed, and then looked up, at a time: their hashes stay in a core's cache."""

_ZERO, _ONE = np.uint64(0), np.uint64(1)


def text_codes(texts: pa.StringArray | pa.LargeStringArray) -> tuple[Array, pa.Array]:
    """Return texts as codes (int32, -1: null) into distinct ones, in order of arrival, of which one may be unused."""
    rows, missing = len(texts), None
    if not rows:
        return np.empty(0, np.int32), texts
    if texts.null_count:
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        texts = pc.fill_null(texts, "")
    _, places, data = texts.buffers()
    size = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    offsets = np.frombuffer(places, size)[texts.offset : texts.offset + rows + 1]
    offsets = read_only(offsets.astype(np.int64, copy=False))
    characters = read_only(np.frombuffer(data or b"", np.uint8))
    # Of what has room for as many distinct texts as rows, memory is taken for what is written alone.
    codes, hashes, begins = np.empty(rows, np.int32), np.empty(rows, np.uint64), np.empty(rows + 1, np.int64)
    known = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    looked_at = read_only(known)  # what compares bytes knows one sort of array
    begins[0] = row = distinct = 0
    slots = np.zeros(1 << 14, np.uint32)
    while row < rows:
        row, distinct = _give_codes(characters, offsets, slots, row, distinct, codes, hashes, begins, known, looked_at)
        if row < 0:  # two texts have one hash, as none have unless somebody has looked for such
            encoded = pc.dictionary_encode(texts)
            codes, distinct_texts = encoded.indices.to_numpy(zero_copy_only=False).copy(), encoded.dictionary
            break
        if row < rows:
            slots = np.zeros(4 * len(slots), np.uint32)
            _take_slots(slots, hashes[:distinct])
    else:
        ends = begins[: distinct + 1].copy()
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(known[: ends[-1]].copy())]
        distinct_texts = pa.Array.from_buffers(pa.large_string(), distinct, buffers)
    if missing is not None:
        codes[missing] = -1
    return codes, distinct_texts


@compile_cached
def _take_slots(slots, hashes):  # type: ignore[no-untyped-def]
    last = np.uint64(slots.shape[0] - 1)
    for code in range(np.uint64(hashes.shape[0])):
        at = hashes[code] & last
        while slots[at] != 0:
            at = (at + _ONE) & last
        slots[at] = code + _ONE


@compile_cached
def _give_codes(data, offsets, slots, row, distinct, codes, hashes, begins, known, looked_at):  # type: ignore[no-untyped-def]
    """Give rows their codes, from one on, and each new code the hash of its text, its bytes and where they begin.

    Return the row at which it stopped, at the end or for want of slots, of which a quarter is taken at most, and how
    many codes there are. A row of -1 says that two different texts have one hash.

    A slot holds the code, counted from 1, of a text whose search begins there or before.
    """
    last, most = np.uint64(slots.shape[0] - 1), np.uint64(slots.shape[0]) // np.uint64(4)
    rows, distinct, hashed = np.uint64(codes.shape[0]), np.uint64(distinct), np.empty(BLOCK, np.uint64)
    for start in range(np.uint64(row), rows, BLOCK):
        count, stored = min(BLOCK, rows - start), distinct
        if distinct + count > most:
            return np.int64(start), np.int64(distinct)
        # Loops of little each, since what one of all of them needs at a time is more than a processor has registers.
        for j in range(count):
            hashed[j] = hash_of(data, offsets[start + j], offsets[start + j + _ONE])
            fetch_soon(slots, hashed[j] & last)
        for j in range(count):
            at = hashed[j] & last
            while True:
                code = np.uint64(slots[at])
                if code == _ZERO:
                    hashes[distinct] = hashed[j]
                    distinct += _ONE
                    slots[at] = code = distinct
                if hashes[code - _ONE] == hashed[j]:
                    codes[start + j] = code - _ONE
                    break
                at = (at + _ONE) & last
        same = True
        for j in range(count):
            code, begin = np.uint64(codes[start + j]), offsets[start + j]
            length = offsets[start + j + _ONE] - begin
            there = begins[code]
            if code == stored:
                stored += _ONE
                begins[stored] = there + length
                for k in range(length):
                    known[there + k] = data[begin + k]
            same &= begins[code + _ONE] - there == length and same_bytes(data, begin, looked_at, there, length)
        if not same:
            return -1, np.int64(distinct)
    return np.int64(rows), np.int64(distinct)
