"""What the partitions of a distributed as-of join do: say what they can answer, ask, answer, put answers in place."""
# Dask's dispatch is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from dask.dataframe.dispatch import concat

from fintech_toolkit.engines.memory.asof import attach
from fintech_toolkit.engines.memory.feed_joins import join_feeds
from fintech_toolkit.engines.memory.join_keys import Side
from fintech_toolkit.engines.memory.search import ages, search
from fintech_toolkit.engines.memory.sides import check_time_kinds, finished, read_side
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions
from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.symbols import Symbol, check_same_kind
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import PandasFrame
from fintech_toolkit.schema import Array


@dataclass(frozen=True)
class Span:
    """The first and the last time of a partition, in nanoseconds."""

    partition: int
    first: int
    last: int
    time_kind: str


def join_partition(left: pd.DataFrame, right: pd.DataFrame, options: FeedOptions, partition: int) -> Any:
    """Join a partition of left with all of right."""
    try:
        return join_feeds(PandasFrame(left), PandasFrame(right), options)
    except DataError as error:
        raise DataError(f"{error} (Partition {partition} of left.)") from error


def nearer(backward: pd.DataFrame, forward: pd.DataFrame, options: AsOf, time: str, matched_at: str) -> Any:
    """Return for every row the match that is nearer in time, the earlier of two that are equally near.

    Both frames say in a column `matched_at`, which the result does not have, when their matches are; `time` is the
    column of left's times.
    """
    here, early, late = (
        times(PandasFrame(frame), name, options.unit)[0]
        for frame, name in ((backward, time), (backward, matched_at), (forward, matched_at))
    )
    rows = np.arange(len(here))
    earlier, later = (ages(here, there, np.where(there == NAT, -1, rows)) for there in (early, late))
    both = concat([backward, forward]).drop(columns=matched_at)
    return both.iloc[np.where(later < earlier, rows + len(rows), rows)]


def span(right: pd.DataFrame, options: AsOf, partition: int) -> Span | None:
    """Return the first and the last time of a partition of right; None if it has none."""
    view = PandasFrame(right)
    ts, time_kind = times(view, options.time("right"), options.unit)
    known = finished(view, options, "right")
    ts = ts if known is None else ts[known]
    ts = ts[ts != NAT]  # the answer of this partition complains about missing ones
    return Span(partition, int(ts.min()), int(ts.max()), time_kind) if len(ts) else None


def time_address(spans: list[Span | None]) -> list[Span]:
    """Return the spans of the partitions that have rows.

    Raises
    ------
    DataError
        If they are not in time order.
    """
    known = [span for span in spans if span is not None]
    for before, after in pairwise(known):
        if after.first < before.last:
            raise DataError(
                f"Partition {after.partition} of right starts at {pd.Timestamp(after.first)}, before partition "
                f"{before.partition} ends at {pd.Timestamp(before.last)}, though its statistics or divisions say that "
                "they are in time order. Write it anew, or use partition_by_symbol on it."
            )
    return known


def symbol_address(symbols: list[list[Symbol]]) -> dict[Symbol, int]:
    """Return the partition of right that has each symbol.

    Raises
    ------
    DataError
        If two have the same one.
    """
    homes: dict[Symbol, int] = {}
    for partition, names in enumerate(symbols):
        for symbol in names:
            first = homes.setdefault(symbol, partition)
            if first != partition:
                raise DataError(
                    f"Symbol {symbol!r} is in partitions {first} and {partition} of right, which should be by symbol; "
                    "use partition_by_symbol on it."
                )
    return homes


def route(
    left: pd.DataFrame, address: list[Span] | dict[Symbol, int], partitions: int, options: AsOf, partition: int
) -> list[pd.DataFrame]:
    """Return the symbols and times of the rows that go to each partition of right, with their numbers as index.

    Raises
    ------
    DataError
        If left's keys cannot be used.
    """
    table = SymbolTable()
    try:
        keys = read_side(PandasFrame(left), options, table, "left")
    except DataError as error:
        raise DataError(f"{error} (Partition {partition} of left.)") from error
    if isinstance(address, dict):
        for symbol, known in zip(table.symbols[:1], list(address)[:1], strict=False):
            check_same_kind(symbol, known)
        homes = np.array([address.get(symbol, -1) for symbol in table.symbols], np.int64)
        targets = homes[keys.codes] if len(homes) else np.empty(0, np.int64)
    else:
        targets = _targets(address, keys, options)
    rows = np.arange(len(left)) if keys.rows is None else keys.rows
    order = np.argsort(targets, kind="stable")
    # The index is the number of the row, which no column of a user's can clash with.
    asked = left[options.keys("left")].iloc[rows[order]].set_axis(rows[order])
    ends = np.searchsorted(targets[order], np.arange(partitions + 1))
    return [asked.iloc[start:end] for start, end in pairwise(ends)]


def _targets(spans: list[Span], keys: Side, options: AsOf) -> Array:
    """Return the last partition that has begun by a row's time, or the first that has not ended; -1 if none."""
    for there in spans[:1]:
        check_time_kinds(options, keys.time_kind, there.time_kind)
    backward = options.direction == "backward"
    edges = np.array([span.first if backward else span.last for span in spans], np.int64)
    places = np.searchsorted(edges, keys.ts, "right" if backward == options.exact else "left") - backward
    partitions = np.array([*(span.partition for span in spans), -1], np.int64)
    targets: Array = partitions[places]  # -1 before the first, and past the last, is -1
    return targets


def edge_rows(right: Any, options: AsOf) -> Any:
    """Return the rows of a partition that other partitions may need: each symbol's last, or its first if forward."""
    keep = "last" if options.direction == "backward" else "first"
    known = finished(PandasFrame(right), options, "right")
    rows = right if known is None else right.iloc[known]
    rows = rows.dropna(subset=options.keys("right"))  # the answer of this partition complains about missing ones
    if options.by is None:
        return rows.iloc[-1:] if keep == "last" else rows.iloc[:1]
    return rows.drop_duplicates(subset=options.by, keep=keep)


def later_edge(edges: Any, nearest: Any, options: AsOf) -> Any:
    """Return the edge rows of all partitions so far."""
    if edges is None:
        return nearest
    parts = [edges, nearest] if options.direction == "backward" else [nearest, edges]
    return edge_rows(concat(parts), options)


def answer(
    right: pd.DataFrame,
    edges: pd.DataFrame | None,
    pieces: list[pd.DataFrame],
    options: AsOf,
    partition: int,
) -> list[pd.DataFrame]:
    """Return, for every piece, the rows of right that match some of its rows, with the numbers of these as index.

    Raises
    ------
    DataError
        If right's keys cannot be used.
    """
    backward = options.direction == "backward"
    before = 0 if edges is None or not backward else len(edges)
    there = right if edges is None else concat([edges, right] if backward else [right, edges])
    asked = concat(pieces)
    ts, _ = times(PandasFrame(asked), options.time("left"), options.unit)
    order = np.argsort(ts, kind="stable")
    found = np.empty(len(order), np.int64)
    try:
        found[order] = search(PandasFrame(asked.iloc[order]), PandasFrame(there), options, -before)
    except DataError as error:
        raise DataError(f"{error} (Partition {partition} of right.)") from error
    columns = there.drop(columns=list(options.dropped))
    ends = np.cumsum([len(piece) for piece in pieces])
    answers = []
    for piece, end in zip(pieces, ends, strict=True):
        rows = found[end - len(piece) : end]
        matched = rows >= 0
        answers.append(columns.iloc[rows[matched]].set_axis(piece.index[matched]))
    return answers


def assemble(left: pd.DataFrame, answers: list[pd.DataFrame], like: pd.DataFrame, options: AsOf) -> Any:
    """Put the answers beside the rows of left that they belong to."""
    some = [rows for rows in answers if len(rows)]
    found = np.full(len(left), -1, np.int64)
    if not some:
        return attach(PandasFrame(left), PandasFrame(like), found, options)
    there = concat(some)
    found[there.index.to_numpy()] = np.arange(len(there))
    return attach(PandasFrame(left), PandasFrame(there), found, options)
