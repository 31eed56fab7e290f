"""Hashes of 64 bits of runs of bytes: the same in every process and on every machine of its byte order."""

from __future__ import annotations

import numpy as np

from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.intrinsics import turned, word_at

_EIGHT, _HALF = np.uint64(8), np.uint64(32)
# The multipliers of MurmurHash3's last step, and one of the golden ratio.
_FIRST, _SECOND, _GOLDEN = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(0x9E3779B97F4A7C15)


@compile_cached
def _tail(data, begin, end):  # type: ignore[no-untyped-def]
    """Fewer than eight bytes as one integer, of which the last is the lowest."""
    if begin < end and begin + 8 <= data.shape[0]:
        return turned(word_at(data, begin)) >> (_EIGHT * np.uint64(begin + 8 - end))
    word = np.uint64(0)
    for at in range(begin, end):
        word = (word << _EIGHT) | np.uint64(data[at])
    return word


@compile_cached
def hash_of(data, begin, end):  # type: ignore[no-untyped-def]
    """The hash of some bytes."""
    mixed = np.uint64(end - begin) * _GOLDEN
    if end - begin < 8:
        mixed = (mixed ^ _tail(data, begin, end)) * _FIRST
    else:
        at = begin
        while at + 8 < end:
            mixed = (mixed ^ word_at(data, at)) * _FIRST
            mixed ^= mixed >> _HALF
            at += 8
        mixed = (mixed ^ word_at(data, end - 8)) * _FIRST  # may hold bytes of the one before
    mixed ^= mixed >> _HALF
    mixed *= _SECOND
    return mixed ^ (mixed >> _HALF)


@compile_cached
def same_bytes(data, begin, other, there, length):  # type: ignore[no-untyped-def]
    """Whether as many bytes of two places are the same."""
    if length < 8:
        return _tail(data, begin, begin + length) == _tail(other, there, there + length)
    for j in range(0, length - 8, 8):
        if word_at(data, begin + j) != word_at(other, there + j):
            return False
    return word_at(data, begin + length - 8) == word_at(other, there + length - 8)


@compile_cached
def hash_rows(data, offsets, width, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the hash of each row's bytes: where `offsets` says, or, if it is empty, `width` of them each."""
    for i in range(out.shape[0]):
        if offsets.shape[0] > 0:
            out[i] = hash_of(data, offsets[i], offsets[i + 1])
        else:
            out[i] = hash_of(data, i * width, (i + 1) * width)
