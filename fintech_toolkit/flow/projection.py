"""Which columns of its sources, and which steps, the result of a dataflow needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fintech_toolkit.flow.nodes import Node, Source, walk
from fintech_toolkit.flow.operations import AsOfJoin, Filter, Join, Pipe, Rename, Select
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.flow.windows import Window
from fintech_toolkit.schema import KNOWN_AT

Columns = Mapping[Node, list[str]]


def fewer_columns(tree: Node, columns: Columns) -> Node:
    """Return the tree with sources and nodes that give only what is read of them, and what they cannot but give."""
    wanted = _wanted(tree, columns)
    done: dict[Node, Node] = {}
    given: dict[Node, list[str]] = {}
    for node in walk(tree):
        before = [done[each] for each in node.before]
        if isinstance(node, AsOfJoin):
            # What nobody reads would be told apart from what is called alike on the other side, if it is there still.
            kept = [[name for name in given[b] if name in wanted[b]] for b in node.before]
            selected = zip(before, kept, node.before, strict=True)
            before = [b if names == given[old] else Select(b, tuple(names)) for b, names, old in selected]
        else:
            kept = [given[b] for b in node.before]
        done[node] = _narrow(node, wanted[node], columns, kept).over(*before)
        given[node] = done[node].gives(*kept) if kept else [n for n in columns[node] if n in wanted[node]]
    return done[tree]


def fewer_steps(tree: Node, columns: Columns) -> Node:
    """Return the tree without steps of pipelines whose columns nobody reads."""
    wanted = _wanted(tree, columns)
    done: dict[Node, Node] = {}
    for node in walk(tree):
        before = [done[each] for each in node.before]
        if isinstance(node, Pipe):
            kept = needed_steps(node.pipeline, wanted[node])
            done[node] = before[0] if kept is None else Pipe(before[0], kept)
        else:
            done[node] = node.over(*before)
    return done[tree]


def needed_steps(pipeline: Description, wanted: set[str]) -> Description | None:
    """Return a pipeline with only the steps that some columns rest on, None if none does."""
    kept, needed = [], set(wanted)
    for step in reversed(pipeline.steps):
        if step.kernel.emits or needed.intersection(step.outputs):
            kept.append(step)
            needed.update(read.name for read in step.reads)
    if len(kept) == len(pipeline.steps):
        return pipeline
    return pipeline.with_steps(kept[::-1]) if kept else None


def _wanted(tree: Node, columns: Columns) -> dict[Node, set[str]]:
    """Return for each node which of its columns are read, by the result or by a node after it."""
    wanted: dict[Node, set[str]] = {node: set() for node in walk(tree)}
    wanted[tree] = set(columns[tree])
    for node in reversed(list(walk(tree))):
        reads = _reads(node, wanted[node], [columns[before] for before in node.before])
        for before, names in zip(node.before, reads, strict=True):
            wanted[before] |= names
    return wanted


def _reads(node: Node, wanted: set[str], columns: list[list[str]]) -> list[set[str]]:
    """Return which columns of each input a node reads, if so many of its own are wanted."""
    if isinstance(node, Source):
        return []
    if isinstance(node, AsOfJoin):
        options = node.options.resolved(*columns)
        # What is called alike on both sides is kept on both, so that it goes on being told apart by its suffix.
        needed = {n for names in options.names(*columns) for n, called in names.items() if called in wanted}
        sides = zip(("left", "right"), columns, strict=True)
        return [needed.intersection(there).union(options.reads(side, there)) for side, there in sides]
    if isinstance(node, Window):
        return [{*_narrow_window(node, wanted).reads, *{KNOWN_AT}.intersection(columns[0])}]
    carried = [place for name in wanted if (place := node.carries(name, *columns)) is not None]
    reads: list[set[str]] = [{name for side, name in carried if side == s} for s in range(len(columns))]
    if isinstance(node, Filter):
        reads[0].update(node.where.columns)
    if isinstance(node, Pipe):
        reads[0].update(node.pipeline.reads)
        if node.pipeline.emits:  # rows that are not known yet make none that are
            reads[0].update({KNOWN_AT}.intersection(columns[0]))
    if isinstance(node, Join):
        reads[0].update(node.left_on)
        reads[1].update(node.right_on)
    return reads


def _narrow(node: Node, wanted: set[str], columns: Columns, given: list[list[str]]) -> Node:
    """Return a node that gives no more than is wanted, of inputs that give so much."""
    if isinstance(node, Source | Select):
        kept = tuple(name for name in columns[node] if name in wanted)
        if len(kept) < len(columns[node]):
            return replace(node, columns=kept)
    if isinstance(node, Window):
        return _narrow_window(node, wanted)
    if isinstance(node, Rename):
        return replace(node, names=tuple(pair for pair in node.names if pair[0] in given[0]))
    if isinstance(node, Join):
        taken = node.taken(columns[node.reference])
        kept = tuple(name for name in taken if name in wanted)
        if len(kept) < len(taken):
            return replace(node, columns=kept)
    return node


def _narrow_window(node: Window, wanted: set[str]) -> Window:
    return replace(node, aggregates=tuple(each for each in node.aggregates if each.name in wanted))
