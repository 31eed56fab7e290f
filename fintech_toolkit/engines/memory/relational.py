"""What the nodes of a dataflow do to frames in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fintech_toolkit.engines.memory.asof import join_frames, same_sort
from fintech_toolkit.engines.memory.filters import filtered
from fintech_toolkit.engines.memory.inputs import Input
from fintech_toolkit.engines.memory.lookup import match_keys
from fintech_toolkit.engines.memory.run import Run
from fintech_toolkit.engines.memory.windows import aggregated
from fintech_toolkit.errors import FintechToolkitError
from fintech_toolkit.flow.nodes import Node, Source, placed, walk
from fintech_toolkit.flow.operations import AsOfJoin, Filter, Join, Pipe, Rename, Select
from fintech_toolkit.flow.windows import Window
from fintech_toolkit.frames.views import Joinable, joinable
from fintech_toolkit.schema import Array


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
                frames[node] = OPERATIONS[type(node)](node, *(frames[before] for before in node.before))
        for before in node.before:
            still_read[before] -= 1
            if not still_read[before]:
                del frames[before]  # or all that was ever made would be kept
    return frames[tree]


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


def _join(node: Join, left: Any, reference: Any) -> Any:
    here, there = same_sort(left, reference)
    return joined(here, there, match_keys(here, node.left_on, there, node.right_on), node)


def _renamed(node: Rename, frame: Any) -> Any:
    view, names = joinable(frame), dict(node.names)
    return view.rename({name: names.get(name, name) for name in view.names}).frame


OPERATIONS: dict[type[Node], Callable[..., Any]] = {
    Filter: lambda node, frame: filtered(joinable(frame), node.where),
    Select: lambda node, frame: joinable(frame).select(list(node.columns)),
    Rename: _renamed,
    Pipe: lambda node, frame: Run(node.pipeline).whole(frame),
    Join: _join,
    AsOfJoin: lambda node, left, right: join_frames(*same_sort(left, right), node.options),
    Window: lambda node, frame: aggregated(node, joinable(frame)),
}
"""For each kind of node but sources, what it makes of whole frames."""
