"""Cross-sections on Dask frames: along a chain of partitions in time order, after a sort by time if need be."""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import ClearDivisions, Expr, Partitions

from fintech_toolkit.engines.dask import evidence
from fintech_toolkit.engines.dask.scans import in_partition
from fintech_toolkit.engines.dask.windows import WindowsOf
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.nodes import Source
from fintech_toolkit.flow.plan import Plan, how_many
from fintech_toolkit.frames.times import times_of
from fintech_toolkit.schema import KNOWN_AT

PLACE, MOMENT = "fintech_toolkit.place", "fintech_toolkit.moment"
CHAIN = (
    "along the chain: rows of times that are not over go from a partition to the next, and reading runs ahead by a few "
    "partitions"
)


def apply(node: CrossSection, frame: Any) -> Any:
    """Return the lazy frame of the cross-sections of a Dask frame."""
    expr = frame.expr
    if node.per_stamp:
        expr = expr[[name for name in frame.columns if name in {*node.reads, KNOWN_AT}]]
    in_time = evidence.time_order(frame.expr, node.time)
    if in_time.order is None:
        expr = _sorted(new_collection(expr), node).expr
    elif in_time.order != list(range(expr.npartitions)):
        expr = ClearDivisions(Partitions(expr, in_time.order))
    return new_collection(CrossSectionsOf(expr, node.over(Source("frame")), True))


def _sorted(frame: Any, node: CrossSection) -> Any:
    """Return a frame sorted by time, ties in the order in which rows lay: of those of one symbol the last counts.

    Dask's sort puts a row before its first boundary into the last partition, and its boundaries pass through float64:
    so they are of numbers that this leaves as they are, about a millisecond each.
    """
    numbered = frame.map_partitions(_numbered, node.time, node.unit, meta=_numbered(frame._meta, node.time, node.unit))
    return numbered.sort_values([MOMENT, node.time, PLACE])[list(frame.columns)]


def _numbered(
    rows: pd.DataFrame, time: str, unit: str | None, partition_info: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    number = 0 if partition_info is None else partition_info["number"]
    with in_partition(number):
        ts, _ = times_of(rows[time], f"Column {time!r}", unit)
    first = number << 32
    return rows.assign(**{MOMENT: ts >> 20, PLACE: np.arange(first, first + len(rows))})


def explain(node: CrossSection, frame: Any) -> Plan:
    """Return how cross-sections of a Dask frame would be found; nothing is computed."""
    in_time = evidence.time_order(frame.expr, node.time)
    name, how = ("sort", f"after a sort by {node.time}, {CHAIN}") if in_time.order is None else ("chain", CHAIN)
    return Plan(
        name, in_time.why, how, how_many(frame.npartitions, "partition"), "by time, from partition to partition"
    )


class CrossSectionsOf(WindowsOf):
    """The cross-sections of partitions in time order."""

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return nothing: rows of the last time of a partition are in the next."""
        return None

    def in_time_order(self, time: str) -> bool:
        """Whether no time of a partition is before one of the partition before."""
        known = not self.node.keeps and KNOWN_AT not in self.frame.columns
        return time == self.node.time or (known and time == KNOWN_AT)

    def emits_in_order(self, symbol: str, time: str) -> bool:
        """Whether the rows of a symbol come in order of a time, from partition to partition."""
        return self.in_time_order(time)
