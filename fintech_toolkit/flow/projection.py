"""Which columns of its sources, and which steps, the result of a dataflow needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.nodes import Node, Source, walk
from fintech_toolkit.flow.operations import FeedJoin, Filter, Join, Pipe, Rename, Select
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.flow.windows import Window
from fintech_toolkit.schema import KNOWN_AT

Columns = Mapping[Node, list[str]]


def fewer_columns(tree: Node, columns: Columns) -> Node:
    """Return the tree with sources and nodes that give only what is read of them, and what they cannot but give."""
    return _rebuilt(tree, columns, _fewer_columns)


def fewer_steps(tree: Node, columns: Columns) -> Node:
    """Return the tree without steps of pipelines, and joins that keep all rows, whose columns nobody reads."""
    return _rebuilt(tree, columns, _fewer_steps)


def _rebuilt(tree: Node, columns: Columns, narrow: Callable[[Node, set[str], Columns], Node | None]) -> Node:
    """Return the tree with each node narrowed to what is wanted of it, or, for None, left out."""
    wanted = _wanted(tree, columns)
    done: dict[Node, Node] = {}
    given: dict[Node, list[str]] = {}
    for node in walk(tree):
        before, there = [done[each] for each in node.before], [given[each] for each in node.before]
        changed = narrow(node, wanted[node], columns)
        if changed is None:
            done[node], given[node] = before[0], there[0]
            continue
        if isinstance(changed, Source):
            done[node], given[node] = changed, [n for n in columns[node] if n in (changed.columns or columns[node])]
            continue
        if isinstance(changed, FeedJoin):
            # What nobody reads would be told apart from what is called alike on the other side, if it is there still.
            if there != [columns[old] for old in node.before]:
                kept = [
                    [name for name in names if name in wanted[old]]
                    for names, old in zip(there, node.before, strict=True)
                ]
                before = [b if k == t else Select(b, tuple(k)) for b, k, t in zip(before, kept, there, strict=True)]
                there = kept
                changed = replace(changed, options=changed.options.narrowed(wanted[node]))
        elif isinstance(changed, Select):
            changed = replace(changed, columns=tuple(name for name in changed.columns if name in there[0]))
        elif isinstance(changed, Rename):
            changed = replace(changed, names=tuple(pair for pair in changed.names if pair[0] in there[0]))
        elif isinstance(changed, Window):
            changed = _narrow_window(changed, wanted[node])
        elif isinstance(changed, CrossSection):
            changed = _narrow_cross_section(changed, wanted[node])
        elif isinstance(changed, Join) and changed.columns is not None:
            changed = replace(changed, columns=tuple(name for name in changed.columns if name in there[1]))
        done[node] = changed.over(*before)
        given[node] = done[node].gives(*there)
    return done[tree]


def needed_steps(pipeline: Description, wanted: set[str]) -> Description | None:
    """Return a pipeline with only the steps that some columns rest on, and of lists of parameters only the values; None
    if none does.
    """
    kept, needed = [], set(wanted)
    for step in reversed(pipeline.steps):
        if step.kernel.emits or needed.intersection(step.outputs):
            kept.append(step.giving(needed))
            needed.update(read.name for read in step.reads)
    if tuple(kept[::-1]) == pipeline.steps:
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
    if isinstance(node, FeedJoin):
        return node.options.needs(wanted, columns[0], columns[1])
    if isinstance(node, Window):
        return [{*_narrow_window(node, wanted).reads, *{KNOWN_AT}.intersection(columns[0])}]
    if isinstance(node, CrossSection):
        own = {*_narrow_cross_section(node, wanted).reads, *{KNOWN_AT}.intersection(columns[0])}
        return [own if node.per_stamp else own | (wanted.intersection(columns[0]) - {*node.outputs})]
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


def _fewer_steps(node: Node, wanted: set[str], columns: Columns) -> Node | None:
    if isinstance(node, Pipe):
        kept = needed_steps(node.pipeline, wanted)
        return None if kept is None else replace(node, pipeline=kept)
    if isinstance(node, Join | FeedJoin) and node.effect.rows == "keeps":
        there = [columns[before] for before in node.before]
        if all(node.carries(name, *there) == (0, name) for name in wanted):
            return None
    return node


def _fewer_columns(node: Node, wanted: set[str], columns: Columns) -> Node:
    if isinstance(node, Source | Select):
        kept = tuple(name for name in columns[node] if name in wanted)
        if len(kept) < len(columns[node]):
            return replace(node, columns=kept)
    if isinstance(node, FeedJoin):
        return replace(node, options=node.options.narrowed(wanted))
    if isinstance(node, Window):
        return _narrow_window(node, wanted)
    if isinstance(node, CrossSection):
        return _narrow_cross_section(node, wanted)
    if isinstance(node, Join):
        taken = node.taken(columns[node.reference])
        kept = tuple(name for name in taken if name in wanted)
        if len(kept) < len(taken):
            return replace(node, columns=kept)
    return node


def _narrow_cross_section(node: CrossSection, wanted: set[str]) -> CrossSection:
    """Return it without the steps of which nothing is wanted; one stays where it says that there is a row a time."""
    kept = tuple(step for step in node.steps if wanted.intersection(step.outputs))
    return replace(node, steps=kept or node.steps[:1] if node.per_stamp else kept)


def _narrow_window(node: Window, wanted: set[str]) -> Window:
    return replace(node, aggregates=tuple(each for each in node.aggregates if each.name in wanted))
