"""A dataflow shown: as it was written, as it would run, what each rule did, and what is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from fintech_toolkit.flow.nodes import Node, Source, columns_of, walk
from fintech_toolkit.flow.plan import Plan, how_many
from fintech_toolkit.flow.rules import Change, optimised

_BOX = "border:1px solid #8aa;border-radius:4px;padding:2px 8px;margin:0 auto;display:inline-block;text-align:center"
_SMALL = "font-size:85%;opacity:.75"


@dataclass(frozen=True)
class Reading:
    """What is read of a source, and what would be without any rule.

    Attributes
    ----------
    columns, of_columns : int
        How many columns, and of how many.
    rows, of_rows, size, of_size : int or None
        Rows and bytes as they are stored, as far as footers of files tell; None where nothing does.
    """

    source: str
    columns: int
    of_columns: int
    rows: int | None = None
    of_rows: int | None = None
    size: int | None = None
    of_size: int | None = None

    def __str__(self) -> str:
        said = [f"{self.columns} of {how_many(self.of_columns, 'column')}"]
        if self.of_rows is not None:
            said.append(f"{self.rows:,} of {how_many(self.of_rows, 'row')}")
        if self.size is not None and self.of_size is not None:
            said.append(f"{self.size / 1e6:,.1f} of {self.of_size / 1e6:,.1f} MB")
        return f"{self.source}: {', '.join(said)}"


@dataclass(frozen=True)
class FlowPlan:
    """How a dataflow runs. Prints itself, and draws itself in a notebook.

    Attributes
    ----------
    written, runs : Node
        The flow as it was written, and as it runs.
    columns : dict of Node to list of str
        The columns that come out of each node of `runs`.
    changes : list of Change
        What rules did, in their order.
    reads : list of Reading
        What is read of each source.
    plans : dict of Node to Plan
        On Dask, how nodes that remember run, and why.
    """

    written: Node
    runs: Node
    columns: Mapping[Node, list[str]]
    changes: Sequence[Change]
    reads: Sequence[Reading]
    plans: Mapping[Node, Plan] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = ["Written:", _indented(text(self.written)), "Runs:", _indented(text(self.runs))]
        told = [f"{change.rule}: {change.what}" for change in self.changes] or ["nothing to do"]
        parts += ["Rules:", *(f"  {line}" for line in told), "Reads:", *(f"  {reading}" for reading in self.reads)]
        numbers = {node: number for number, node in enumerate(walk(self.runs), 1)}
        for node, plan in self.plans.items():
            parts.append(f"Node {numbers[node]}: {plan.name} ({plan.chunks}), because {plan.reason}")
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        def listed(lines: Sequence[Any]) -> str:
            return "<ul>" + "".join(f"<li>{escape(str(line))}</li>" for line in lines) + "</ul>"

        told = [f"{change.rule}: {change.what}" for change in self.changes] or ["nothing to do"]
        plans = {node: f"{plan.name}: {plan.reason}" for node, plan in self.plans.items()}
        return (
            "<div style='display:flex;flex-wrap:wrap;gap:3em'>"
            f"<div><div><b>As it was written</b></div>{html(self.written)}</div>"
            f"<div><div><b>As it runs</b></div>{html(self.runs, self.columns, plans)}</div></div>"
            f"<b>What rules did</b>{listed(told)}<b>What is read</b>{listed(self.reads)}"
        )


def explain(
    tree: Node, inputs: Mapping[str, Any], without: Collection[str], plans: Mapping[Node, Plan] | None = None
) -> FlowPlan:
    """Return how a flow runs on inputs, which have ``names`` and may have a ``weight`` (see `Files`)."""
    names = {name: list(item.names) for name, item in inputs.items()}
    runs, changes = optimised(tree, names, without)
    reads = [_reading(node, inputs[node.name], names[node.name]) for node in walk(runs) if isinstance(node, Source)]
    return FlowPlan(tree, runs, columns_of(runs, names), changes, reads, plans or {})


def _reading(node: Source, item: Any, names: list[str]) -> Reading:
    columns = len(names if node.columns is None else node.columns)
    if not hasattr(item, "weight"):
        return Reading(node.name, columns, len(names))
    read, whole = item.weight(node.columns, node.where), item.weight()
    if whole.rows is None:
        return Reading(node.name, columns, len(names), size=read.bytes, of_size=whole.bytes)
    return Reading(node.name, columns, len(names), read.rows, whole.rows, read.bytes, whole.bytes)


def text(tree: Node) -> str:
    """Return a flow as a tree of text, the node whose rows come out first; numbers are those of errors."""
    numbers = {node: number for number, node in enumerate(walk(tree), 1)}

    def lines(node: Node, head: str, rest: str) -> list[str]:
        found = [f"{head}{numbers[node]} {node}"]
        for place, before in enumerate(node.before):
            last = place == len(node.before) - 1
            found += lines(before, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))
        return found

    return "\n".join(lines(tree, "", ""))


def html(tree: Node, columns: Mapping[Node, list[str]] | None = None, plans: Mapping[Node, str] | None = None) -> str:
    """Return a flow as boxes, sources on top: what each node does to rows and, as far as known, what comes out."""
    numbers = {node: number for number, node in enumerate(walk(tree), 1)}

    def drawn(node: Node) -> str:
        before = "".join(drawn(each) for each in node.before)
        above = f"<div style='display:flex;gap:1em;align-items:flex-end'>{before}</div><div>↓</div>" if before else ""
        told = [str(node.effect)]
        if columns is not None:
            told.append(
                f"{how_many(len(columns[node]), 'column')}: {', '.join(columns[node][:8])}"
                + (" …" if len(columns[node]) > 8 else "")
            )
        if plans is not None and node in plans:
            told.append(plans[node])
        small = "".join(f"<br><span style='{_SMALL}'>{escape(line)}</span>" for line in told)
        box = f"<div style='{_BOX}'>{numbers[node]} {escape(str(node))}{small}</div>"
        return f"<div style='display:flex;flex-direction:column;align-items:center'>{above}{box}</div>"

    return f"<div style='display:inline-block;margin:.5em'>{drawn(tree)}</div>"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
