"""A hash table from keys to the rows that have them: open addressing, hashes of 64 bits, all bytes compared.

A slot is 0 if it is empty; else its lower 40 bits are a row, counted from 1, and the others those of its hash, so that
the bytes of another key are hardly ever looked at. Who has the table may probe it from several threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fintech_toolkit.errors import StateError
from fintech_toolkit.frames.key_bytes import KeyBytes
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.hashing import hash_rows, same_bytes
from fintech_toolkit.scan.intrinsics import fetch_soon
from fintech_toolkit.schema import Array

_ROW_BITS = np.uint64(40)
_ROW = np.uint64(2**40 - 1)
_ONE, _SEVEN, _HALF = np.uint64(1), np.uint64(7), np.uint64(32)
_AHEAD = 16
"""Rows by which slots are fetched from memory before they are looked at."""


class HashTable(NamedTuple):
    """Slots, and the keys that they lead to."""

    slots: Array
    keys: KeyBytes

    def find(self, keys: KeyBytes) -> Array:
        """Return for each key the row of the table that has it, -1 if none has.

        Raises
        ------
        StateError
            If the table, read from a file, is damaged.
        """
        return self._find(keys, hashes(keys), np.arange(keys.rows))

    def _find(self, keys: KeyBytes, hashed: Array, rows: Array) -> Array:
        """Return for the keys of some rows the row of the table that has it."""
        found = np.empty(len(rows), np.int64)
        if not _find(
            self.slots,
            read_only(hashed),
            read_only(rows),
            *keys[:4],
            *self.keys[:3],
            self.keys.rows,
            found,
        ):
            raise StateError("The index of the table is damaged; make it anew from its rows.")
        return found


class Sieve:
    """A table before which most keys that it does not have are sorted out: a bit for each hash, small enough to stay in
    a core's cache.

    Parameters
    ----------
    table : HashTable
        The table.
    """

    def __init__(self, table: HashTable) -> None:
        self._table = table
        bits = np.zeros(table.keys.rows + 1, np.uint8)
        _mark(read_only(hashes(table.keys)), bits)
        self._bits = read_only(bits)

    def find(self, keys: KeyBytes) -> tuple[Array, Array]:
        """Return which keys the table has, in order, and its rows that have them."""
        hashed = hashes(keys)
        rows = np.empty(keys.rows + 1, np.int64)
        rows = rows[: _sift(read_only(hashed), self._bits, rows)]
        found = self._table._find(keys, hashed, rows)
        there = found >= 0
        return rows[there], found[there]


def build(keys: KeyBytes) -> tuple[HashTable, Array]:
    """Return a table of keys, and for each row the first one that has the same key, -1 without a key.

    The table knows only the first of several rows.
    """
    slots = np.zeros(3 * keys.rows + 1, np.uint64)  # never full, so that each search ends
    first = np.empty(keys.rows, np.int64)
    _insert(slots, read_only(hashes(keys)), *keys[:4], first)
    return HashTable(read_only(slots), keys), first


def hashes(keys: KeyBytes) -> Array:
    """Return the hash of each key."""
    out = np.empty(keys.rows, np.uint64)
    hash_rows(*keys[:3], out)
    return out


@compile_cached
def _home(hashed, size):  # type: ignore[no-untyped-def]
    """The slot at which the search for a hash begins: its upper half, scaled; its lower bits are the tag."""
    return ((hashed >> _HALF) * size) >> _HALF


@compile_cached
def _insert(slots, hashed, data, offsets, width, valid, first):  # type: ignore[no-untyped-def]
    size = np.uint64(slots.shape[0])
    for i in range(hashed.shape[0]):
        fetch_soon(slots, _home(hashed[min(i + _AHEAD, hashed.shape[0] - 1)], size))
        if valid.shape[0] > 0 and not valid[i]:
            first[i] = -1
            continue
        if offsets.shape[0] > 0:
            begin, length = offsets[i], offsets[i + 1] - offsets[i]
        else:
            begin, length = i * width, width
        at, tag = _home(hashed[i], size), hashed[i] << _ROW_BITS
        while True:
            slot = slots[at]
            if slot == 0:
                slots[at] = tag | np.uint64(i + 1)
                first[i] = i
                break
            if slot & ~_ROW == tag:
                row = np.int64(slot & _ROW) - 1
                if offsets.shape[0] > 0:
                    there, bytes_ = offsets[row], offsets[row + 1] - offsets[row]
                else:
                    there, bytes_ = row * width, width
                if bytes_ == length and same_bytes(data, begin, data, there, length):
                    first[i] = row
                    break
            at = at + _ONE if at + _ONE < size else np.uint64(0)


@compile_cached
def _find(slots, hashed, rows, data, offsets, width, valid, their_data, their_offsets, their_width, their_rows, found):  # type: ignore[no-untyped-def]
    """Find the row of the keys of some rows. False, and no more is looked at, if a slot or an offset leads nowhere."""
    size = np.uint64(slots.shape[0])
    for n in range(rows.shape[0]):
        fetch_soon(slots, _home(hashed[rows[min(n + _AHEAD, rows.shape[0] - 1)]], size))
        i = rows[n]
        found[n] = -1
        if valid.shape[0] > 0 and not valid[i]:
            continue
        if offsets.shape[0] > 0:
            begin, length = offsets[i], offsets[i + 1] - offsets[i]
        else:
            begin, length = i * width, width
        at, tag = _home(hashed[i], size), hashed[i] << _ROW_BITS
        for _ in range(slots.shape[0]):
            slot = slots[at]
            if slot == 0:
                break
            if slot & ~_ROW == tag:
                row = np.int64(slot & _ROW) - 1
                if row < 0 or row >= their_rows:
                    return False
                if their_offsets.shape[0] > 0:
                    there, bytes_ = their_offsets[row], their_offsets[row + 1] - their_offsets[row]
                else:
                    there, bytes_ = row * their_width, their_width
                if bytes_ == length:
                    if there < 0 or there > their_data.shape[0] - length:
                        return False
                    if same_bytes(data, begin, their_data, there, length):
                        found[n] = row
                        break
            at = at + _ONE if at + _ONE < size else np.uint64(0)
    return True


@compile_cached
def _mark(hashed, bits):  # type: ignore[no-untyped-def]
    size = np.uint64(bits.shape[0])
    for i in range(hashed.shape[0]):
        bits[_home(hashed[i], size)] |= np.uint8(1) << np.uint8(hashed[i] & _SEVEN)


@compile_cached
def _sift(hashed, bits, rows):  # type: ignore[no-untyped-def]
    """Note the rows whose bit is set, without a branch, and return how many; `rows` has room for one more."""
    size, kept = np.uint64(bits.shape[0]), 0
    for i in range(hashed.shape[0]):
        rows[kept] = i
        kept += (bits[_home(hashed[i], size)] >> np.uint8(hashed[i] & _SEVEN)) & 1
    return kept
