"""What the nodes of a dataflow do to frames in memory."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fintech_toolkit.engines.memory.asof import same_sort
from fintech_toolkit.engines.memory.cross_sections import crossed
from fintech_toolkit.engines.memory.feed_joins import join_feeds
from fintech_toolkit.engines.memory.filters import filtered
from fintech_toolkit.engines.memory.inputs import Input
from fintech_toolkit.engines.memory.key_report import report
from fintech_toolkit.engines.memory.lookup import match_keys
from fintech_toolkit.engines.memory.reference_table import ReferenceRows
from fintech_toolkit.engines.memory.run import Run
from fintech_toolkit.engines.memory.windows import aggregated
from fintech_toolkit.errors import ColumnError, FintechToolkitError
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.nodes import Node, Source, placed, walk
from fintech_toolkit.flow.operations import (
    AsOfJoin,
    FeedJoin,
    Filter,
    HorizonJoin,
    IntervalJoin,
    Join,
    Pipe,
    Rename,
    Select,
    WindowJoin,
)
from fintech_toolkit.flow.windows import Window
from fintech_toolkit.frames.views import Joinable, joinable, sort_of, wrap
from fintech_toolkit.schema import Array

FEW = 0.01
"""Where a smaller share of rows finds a key, a join says why: that is seldom what was meant."""


def whole(tree: Node, inputs: Mapping[str, Input]) -> Any:
    """Return what a flow gives of its inputs, each of which is all there is of it.

    Raises
    ------
    FintechToolkitError
        If something is wrong with a column or a row; the message says in which node.
    """
    nodes = list(walk(tree))
    still_read = Counter(before for node in nodes for before in node.before)
    frames: dict[Node, Any] = {}
    for node in nodes:
        with naming(node, tree):
            if isinstance(node, Source):
                frames[node] = inputs[node.name].read(node.columns, node.where)
            else:
                before = as_read(node, [frames[each] for each in node.before])
                frames[node] = OPERATIONS[type(node)](node, *before)
        for each in node.before:
            still_read[each] -= 1
            if not still_read[each]:
                del frames[each]  # or all that was ever made would be kept
    first = next(node for node in nodes if isinstance(node, Source))
    return inputs[first.name].result(frames[tree])


def as_read(node: Node, before: Sequence[Any]) -> list[Any]:
    """Return what a node reads: of a reference table its rows, unless rows are joined with it."""
    joins = isinstance(node, Join)
    return [
        each.frame() if isinstance(each, ReferenceRows) and not (joins and side) else each
        for side, each in enumerate(before)
    ]


@contextmanager
def naming(node: Node, tree: Node) -> Iterator[None]:
    """Say in errors in which node of a tree something was wrong."""
    try:
        yield
    except FintechToolkitError as error:
        raise type(error)(f"In {placed(node, tree)}: {error}") from error


def joined(left: Joinable, reference: Joinable, found: Array, node: Join) -> Any:
    """Return left with columns of the reference appended, each row's from row `found`, -1 where there is none."""
    inner = node.how == "inner"
    if inner and len(rows := np.flatnonzero(found >= 0)) < left.rows:
        left, found = joinable(left.take(rows)), found[rows]
    take = reference.taker(found, some=not inner)
    return left.append({name: take(name) for name in node.taken(reference.names)})


def looked_up(left: Joinable, rows: ReferenceRows, node: Join) -> Any:
    """Return left with columns of a reference appended whose index is there already."""
    if list(node.right_on) != rows.on:
        raise ColumnError(f"the table's keys are {', '.join(rows.on)}, so it can be joined by these only.")
    found = rows.find(left, node.left_on)
    if node.how == "inner" and len(kept := np.flatnonzero(found >= 0)) < left.rows:
        left, found = joinable(left.take(kept)), found[kept]
    pandas = sort_of(left.frame) == "pandas"
    return left.append(rows.columns(found, node.taken(rows.schema.names), pandas, node.how == "left"))


def join(node: Join, left: Any, reference: Any) -> tuple[Any, Array]:
    """Return left joined with a reference, and which row of that each of its rows has found."""
    here, there = same_sort(left, reference)
    found = match_keys(here, node.left_on, there, node.right_on)
    return joined(here, there, found, node), found


def _join(node: Join, left: Any, reference: Any) -> Any:
    """Return left joined with a reference; where next to nothing was found, say why."""
    if not isinstance(reference, ReferenceRows) and sort_of(left) != sort_of(reference):
        reference = ReferenceRows.of(wrap(reference), list(node.right_on))  # what is left of a table
    if isinstance(reference, ReferenceRows):
        return looked_up(joinable(left), reference, node)
    result, found = join(node, left, reference)
    if np.count_nonzero(found >= 0) < FEW * len(found):
        why = report(joinable(left), node.left_on, joinable(reference), node.right_on)
        warnings.warn(f"{node}: {why}", stacklevel=4)
    return result


def _feeds(node: FeedJoin, left: Any, right: Any) -> Any:
    return join_feeds(*same_sort(left, right), node.options)


def _renamed(node: Rename, frame: Any) -> Any:
    view, names = joinable(frame), dict(node.names)
    return view.rename({name: names.get(name, name) for name in view.names}).frame


OPERATIONS: dict[type[Node], Callable[..., Any]] = {
    Filter: lambda node, frame: filtered(joinable(frame), node.where),
    Select: lambda node, frame: joinable(frame).select(list(node.columns)),
    Rename: _renamed,
    Pipe: lambda node, frame: Run(node.pipeline).whole(frame),
    Join: _join,
    AsOfJoin: _feeds,
    HorizonJoin: _feeds,
    WindowJoin: _feeds,
    IntervalJoin: _feeds,
    Window: lambda node, frame: aggregated(node, joinable(frame)),
    CrossSection: lambda node, frame: crossed(node, joinable(frame)),
}
"""For each kind of node but sources, what it makes of whole frames."""
