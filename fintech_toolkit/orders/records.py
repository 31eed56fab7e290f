"""CSV as bytes: blocks that end where a record ends, also where a field has line breaks of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fintech_toolkit.errors import DataError
from fintech_toolkit.schema import Array

MOST_RECORD = 65_536
"""Bytes of the longest record: what is longer has a quote that was opened and not closed."""
_QUOTE, _BREAK = ord('"'), ord("\n")


@dataclass(frozen=True)
class Block:
    """Whole records of a file.

    Attributes
    ----------
    data : bytes
        The records, the last one with or without its line break.
    line : int
        The line on which the first one begins; the file's first line is 1.
    broken : bool
        Whether it is one line with a quote that is opened and not closed.
    """

    data: bytes
    line: int
    broken: bool = False

    @cached_property
    def quoted(self) -> bool:
        """Whether there are quotes."""
        return b'"' in self.data

    @cached_property
    def breaks(self) -> int:
        """How many line breaks there are, within quotes too."""
        return int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == _BREAK))

    @property
    def count(self) -> int:
        """How many records there are."""
        if self.quoted:
            return len(self.starts())
        return self.breaks + (not self.data.endswith(b"\n"))

    def starts(self) -> Array:
        """Return where each record begins."""
        ends = np.zeros(1, np.int64) if self.broken else np.append(0, _ends(self.data))
        return ends[:-1] if len(ends) > 1 and ends[-1] == len(self.data) else ends

    def lines(self, records: Array) -> Array:
        """Return the line on which each of some records begins."""
        if not self.quoted:
            return self.line + records
        breaks = np.flatnonzero(np.frombuffer(self.data, np.uint8) == _BREAK)
        return self.line + np.searchsorted(breaks, self.starts()[records])

    def texts(self, records: Array) -> list[bytes]:
        """Return some records as they stand there."""
        if not len(records):
            return []
        starts = self.starts()
        ends = np.append(starts[1:], len(self.data))
        return [self.data[start:end] for start, end in zip(starts[records], ends[records], strict=True)]


def blocks(read: Callable[[int], bytes], line: int, size: int) -> Iterator[Block]:
    """Cut what is read from the beginning of a record on into blocks of about so many bytes.

    Raises
    ------
    DataError
        If a line is longer than any record.
    """
    rest, ended = b"", False
    while not ended:
        data = read(size)
        ended = not data
        rest += data
        while rest:
            block = _next(rest, line, ended)
            if block is None:
                break
            yield block
            line += block.breaks
            rest = rest[len(block.data) :]


def _next(text: bytes, line: int, ended: bool) -> Block | None:
    """Return the records that a text begins with, or None where more of it must be read."""
    if b'"' not in text:
        end = len(text) if ended else text.rfind(b"\n") + 1
        if end or len(text) <= MOST_RECORD:
            return Block(text[:end], line) if end else None
        raise DataError(f"line {line} has more than {MOST_RECORD} bytes; lines must end with LF or CRLF.")
    ends = np.append(0, _ends(text))
    long = np.flatnonzero(np.diff(ends) > MOST_RECORD)
    last = int(ends[long[0]] if len(long) else ends[-1])
    if last:
        return Block(text[:last], line)
    open_quote = text.count(b'"') % 2 == 1
    if not len(long) and len(text) <= MOST_RECORD and not (ended and open_quote):
        return Block(text, line) if ended else None
    first = text.find(b"\n") + 1
    if not first and len(text) > MOST_RECORD:
        raise DataError(f"line {line} has more than {MOST_RECORD} bytes; lines must end with LF or CRLF.")
    return Block(text[: first or len(text)], line, broken=True)


def _ends(text: bytes) -> Array:
    """Return the places after the line breaks that stand outside of quotes."""
    data = np.frombuffer(text, np.uint8)
    breaks = np.flatnonzero(data == _BREAK)
    if b'"' in text:
        breaks = breaks[np.searchsorted(np.flatnonzero(data == _QUOTE), breaks) % 2 == 0]
    return breaks + 1
