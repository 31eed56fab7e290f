"""Texts as codes: what a dict of Python makes of them, whatever their lengths, and with two of one hash."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fintech_toolkit.frames import text_codes as module
from fintech_toolkit.frames.text_codes import text_codes
from fintech_toolkit.scan.hashing import hash_rows
from fintech_toolkit.scan.names import key_of


def check(texts: list[str | None], column: pa.LargeStringArray | None = None) -> None:
    codes, distinct = text_codes(pa.array(texts, pa.large_string()) if column is None else column)
    known: dict[str, int] = {}
    expected = [-1 if text is None else known.setdefault(text, len(known)) for text in texts]
    values = distinct.to_pylist()
    if None not in texts:
        assert values == list(known)
        assert_array_equal(codes, expected)
    assert codes.dtype == np.int32
    assert len(set(values)) == len(values)
    assert [None if code < 0 else values[code] for code in codes] == texts


@settings(deadline=None)
@given(st.lists(st.none() | st.text("aé𝄞\0", max_size=20), max_size=300))
def test_texts_have_the_codes_that_a_dict_gives(texts: list[str | None]) -> None:
    check(texts)
    check(texts, pa.array(["before", *texts, "after"], pa.large_string())[1:-1])


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 9, 15, 16, 17, 24, 25, 100])
def test_every_byte_of_a_text_counts(length: int) -> None:
    text = "x" * length
    others = [text[:j] + "y" + text[j + 1 :] for j in range(length)]
    check([text, *others, text + "x", text + "\0", *others, text])


def test_many_texts_have_as_many_codes() -> None:
    drawn = random.Random(0)
    texts: list[str | None] = [f"B{drawn.randrange(30_000):09}"[: drawn.randrange(5, 11)] for _ in range(60_000)]
    check(texts)
    texts[::7] = [None] * len(texts[::7])
    check(texts)


def twin(text: bytes) -> bytes:
    """Return other bytes with the hash of these 16, found by taking the hash apart."""

    def mixed(word: int) -> int:
        word = ((16 * 0x9E3779B97F4A7C15 ^ word) * 0xFF51AFD7ED558CCD) % 2**64
        return word ^ word >> 32

    first, second = (int.from_bytes(half, "little") for half in (text[:8], text[8:]))
    drawn = random.Random(0)
    while True:
        other = bytes(drawn.choices(b"ABCDEFGH", k=8))
        rest = (mixed(first) ^ second ^ mixed(int.from_bytes(other, "little"))).to_bytes(8, "little")
        if rest.isascii() and other != text[:8]:
            return other + rest


def test_two_texts_of_one_hash_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "0123456789abcdef"
    other = twin(text.encode()).decode()
    assert other != text
    assert key_of(other) == key_of(text)
    check([text, "a", other, text, other, "b", None])
    fallen_back = []
    encode = module.pc.dictionary_encode
    monkeypatch.setattr(module.pc, "dictionary_encode", lambda texts: fallen_back.append(1) or encode(texts))
    check(["a", "b", "a"])
    assert not fallen_back
    check(["a"] * 1_000 + [text, other])
    assert fallen_back


@pytest.mark.parametrize("length", range(9))
def test_the_hash_of_a_short_text_depends_on_nothing_behind_it(length: int) -> None:
    """Whether it is read as a word, with what follows it, or at the end of memory, byte by byte."""
    ends, followed = np.empty(1, np.uint64), np.empty(1, np.uint64)
    text = np.frombuffer(b"abcdefgh"[:length], np.uint8)
    behind = np.frombuffer(b"abcdefgh"[:length] + b"zyxwvuts", np.uint8)
    offsets = np.frombuffer(np.array([0, length]).tobytes(), np.int64)
    hash_rows(text, offsets, 0, ends)
    hash_rows(behind, offsets, 0, followed)
    assert_array_equal(ends, followed)
