"""How a dataflow becomes a cheaper one with the same result: small rules over what its nodes say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from fintech_toolkit.errors import ParameterError, PipelineError, did_you_mean
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.nodes import Node, Source, columns_of, rebuilt, walk
from fintech_toolkit.flow.operations import FeedJoin, Filter, IntervalJoin, Join, Pipe, Select
from fintech_toolkit.flow.projection import fewer_columns, fewer_steps
from fintech_toolkit.flow.windows import Window

Gives = Callable[[Node], list[str]]
Rule = Callable[[Node, Gives], Node]


@dataclass(frozen=True)
class Change:
    """What a rule has done."""

    rule: str
    what: str


def fuse_filters(node: Node, gives: Gives) -> Node:
    """A filter upon a filter is one."""
    if isinstance(node, Filter) and isinstance(node.frame, Filter):
        return Filter(node.frame.frame, node.frame.where.also(node.where))
    return node


def push_filters(node: Node, gives: Gives) -> Node:
    """A filter goes below what makes none of the columns that it looks at, and works row by row; one of symbols alone
    goes below everything that keeps symbols apart.
    """
    if not isinstance(node, Filter) or isinstance(node.frame, Source | Filter):
        return node
    below, stay = node.frame, []
    moved: list[list[Conditions]] = [[] for _ in below.before]
    for part in node.where.parts():
        places = _places_below(part, below, gives)
        for side, condition in places.items():
            moved[side].append(condition)
        if not places:
            stay.append(part)
    if not any(moved):
        return node
    filtered = below.over(*(_filtered(b, parts) for b, parts in zip(below.before, moved, strict=True)))
    return _filtered(filtered, stay)


def _filtered(node: Node, parts: Sequence[Conditions]) -> Node:
    where = None
    for part in parts:
        where = part if where is None else where.also(part)
    return node if where is None else Filter(node, where)


def _places_below(where: Conditions, below: Node, gives: Gives) -> dict[int, Conditions]:
    """Return for each input of a node to which conditions can go instead, what they are there."""
    columns = [gives(before) for before in below.before]
    if isinstance(below, Pipe):
        pipeline = below.pipeline
        if where.columns == [pipeline.symbol]:
            return {0: where}
        if not pipeline.stateless or pipeline.emits:
            return {}
    if isinstance(below, CrossSection):
        return {}  # rows that are left out count in what the others get
    if isinstance(below, Window):
        return {0: where} if where.columns == [below.windows.symbol] else {}
    carried = {name: below.carries(name, *columns) for name in where.columns}
    places = {place[0] for place in carried.values() if place is not None}
    if len(places) != 1 or None in carried.values():
        return {}
    (side,) = places
    there = where.renamed({name: place[1] for name, place in carried.items() if place is not None})
    if isinstance(below, FeedJoin):
        if side:
            return {1: there} if isinstance(below, IntervalJoin) else {}
        by = below.options.sides.by
        return {0: there, 1: there} if there.columns == [by] else {0: there}
    if isinstance(below, Join):
        if side and below.how != "inner":
            return {}
        keys = dict(zip(below.left_on, below.right_on, strict=True))
        if not side and keys.keys() >= set(there.columns):
            return {0: there, 1: there.renamed(keys)}
    return {side: there}


def filter_in_scan(node: Node, gives: Gives) -> Node:
    """A filter upon a source is part of its scan."""
    if isinstance(node, Filter) and isinstance(node.frame, Source):
        source = node.frame
        return replace(source, where=node.where if source.where is None else source.where.also(node.where))
    return node


def join_first(node: Node, gives: Gives) -> Node:
    """A join that drops rows goes below what works row by row, so that this has fewer of them."""
    if not isinstance(node, Join) or node.how != "inner":
        return node
    below = node.left
    stateless = isinstance(below, Pipe) and below.pipeline.stateless and not below.pipeline.emits
    if not (stateless or isinstance(below, FeedJoin)):
        return node
    columns = [gives(before) for before in below.before]
    carried = [below.carries(name, *columns) for name in node.left_on]
    taken = set(node.taken(gives(node.reference)))
    if any(place is None or place[0] for place in carried) or any(taken & set(names) for names in columns):
        return node
    keys = tuple(place[1] for place in carried if place is not None)
    first = replace(node, left=below.before[0], left_on=keys)
    return Select(below.over(first, *below.before[1:]), tuple(gives(node)))


def fuse_pipelines(node: Node, gives: Gives) -> Node:
    """A pipeline upon a pipeline is one."""
    if not (isinstance(node, Pipe) and isinstance(node.frame, Pipe)):
        return node
    first, then = node.frame.pipeline, node.pipeline
    made = set(first.gives)
    # What one calls by another name is a column of the frame, which the other's steps do not give yet.
    if first.emits or any({name, then.source(name)} & made for name in then.numeric_reads if then.source(name) != name):
        return node
    try:
        return Pipe(node.frame.frame, first | then)
    except PipelineError:
        return node


ROW_RULES: dict[str, Rule] = {
    "filter fusion": fuse_filters,
    "filter pushdown": push_filters,
    "joins first": join_first,
    "filters in scans": filter_in_scan,
    "pipeline fusion": fuse_pipelines,
}
TREE_RULES = {"unread steps": fewer_steps, "projection pushdown": fewer_columns}
RULES = (*ROW_RULES, *TREE_RULES)


def optimised(
    tree: Node, inputs: Mapping[str, Sequence[str]], without: Collection[str] = ()
) -> tuple[Node, list[Change]]:
    """Return a tree with the same result, and what was done to it.

    Parameters
    ----------
    tree : Node
        The flow.
    inputs : mapping
        The columns of each source.
    without : collection of str
        Rules that are left out.

    Raises
    ------
    ParameterError
        If there is no such rule.
    ColumnError
        If a node reads a column that none before it gives.
    """
    without = [without] if isinstance(without, str) else list(without)
    for name in without:
        if name not in RULES:
            raise ParameterError(f"There is no rule {name!r}. {did_you_mean(str(name), RULES)}")
    columns_of(tree, inputs)  # complains of the flow as it was written
    changes: list[Change] = []
    while True:
        before = tree
        for name, rule in ROW_RULES.items():
            if name not in without:
                tree = _applied(name, rule, tree, inputs, changes)
        if tree == before:
            break
    for name, narrow in TREE_RULES.items():
        if name not in without:
            narrower = narrow(tree, columns_of(tree, inputs))
            changes += _told(name, tree, narrower)
            tree = narrower
    return tree, changes


def _applied(name: str, rule: Rule, tree: Node, inputs: Mapping[str, Sequence[str]], changes: list[Change]) -> Node:
    def change(node: Node) -> Node:
        changed = rule(node, lambda each: columns_of(each, inputs)[each])
        if changed is not node:
            changes.append(Change(name, f"{node}, upon {' and '.join(map(str, node.before))}"))
        return changed

    return rebuilt(tree, change)


def _told(name: str, before: Node, after: Node) -> list[Change]:
    known = set(map(str, walk(before)))
    return [Change(name, str(node)) for node in walk(after) if str(node) not in known]
