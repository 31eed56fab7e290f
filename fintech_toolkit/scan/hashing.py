"""Hashes of 64 bits of runs of bytes: the same in every process and on every machine of its byte order."""

from __future__ import annotations

import numpy as np

from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.intrinsics import word_at

_EIGHT, _HALF = np.uint64(8), np.uint64(32)
# The multipliers of MurmurHash3's last step, and one of the golden ratio.
_FIRST, _SECOND, _GOLDEN = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(0x9E3779B97F4A7C15)


@compile_cached
def tail(data, begin, end):  # type: ignore[no-untyped-def]
    """Fewer than eight bytes as one integer."""
    word = np.uint64(0)
    for at in range(begin, end):
        word = (word << _EIGHT) | np.uint64(data[at])
    return word


@compile_cached
def hash_rows(data, offsets, width, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the hash of each row's bytes: where `offsets` says, or, if it is empty, `width` of them each."""
    for i in range(out.shape[0]):
        if offsets.shape[0] > 0:
            begin, end = offsets[i], offsets[i + 1]
        else:
            begin, end = i * width, (i + 1) * width
        mixed = np.uint64(end - begin) * _GOLDEN
        if end - begin < 8:
            mixed = (mixed ^ tail(data, begin, end)) * _FIRST
        else:
            at = begin
            while at + 8 < end:
                mixed = (mixed ^ word_at(data, at)) * _FIRST
                mixed ^= mixed >> _HALF
                at += 8
            mixed = (mixed ^ word_at(data, end - 8)) * _FIRST  # may hold bytes of the one before
        mixed ^= mixed >> _HALF
        mixed *= _SECOND
        out[i] = mixed ^ (mixed >> _HALF)
