"""The tree of a dataflow: what a node is, what it says of itself, and how trees are walked and rebuilt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from fintech_toolkit.errors import ColumnError, FintechToolkitError, ParameterError, did_you_mean
from fintech_toolkit.flow.conditions import Conditions


@dataclass(frozen=True)
class Effect:
    """What a node does to the rows of its first input.

    Attributes
    ----------
    rows : {"keeps", "drops", "replaces"}
        Whether each row comes out once, at most once, or rows of the node's own come out.
    needs : {"nothing", "order within the symbol", "all of a time"}
        What it needs of the rows before: each symbol's in order of time, or all up to a time before it goes on.
    """

    rows: str
    needs: str = "nothing"

    def __str__(self) -> str:
        return f"{self.rows} rows" + ("" if self.needs == "nothing" else f", needs {self.needs}")


@dataclass(frozen=True)
class Node(ABC):
    """A node: the fields that `inputs` names are the nodes before it, the others are parameters."""

    inputs: ClassVar[tuple[str, ...]] = ()

    @property
    def before(self) -> list[Node]:
        """The nodes that it reads, the one whose rows come out first."""
        return [getattr(self, name) for name in self.inputs]

    def over(self, *before: Node) -> Any:
        """Return the same node over others."""
        return replace(self, **dict(zip(self.inputs, before, strict=True)))

    @property
    @abstractmethod
    def effect(self) -> Effect:
        """What it does to rows."""

    @abstractmethod
    def gives(self, *columns: list[str]) -> list[str]:
        """Return the columns that come out, by those of each input.

        Raises
        ------
        ColumnError, ParameterError
            If one is missing, or two would have one name.
        """

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        """Return of which input a column comes as it is, row by row, and its name there; None if it is made here."""
        return (0, column) if column in columns[0] else None


@dataclass(frozen=True)
class Source(Node):
    """An input of the flow, and what its scan reads of it: some columns, and rows that meet conditions."""

    name: str
    columns: tuple[str, ...] | None = None
    where: Conditions | None = None

    @property
    def effect(self) -> Effect:
        return Effect("keeps" if self.where is None else "drops")

    def gives(self, *columns: list[str]) -> list[str]:
        (there,) = columns
        for name in [*(self.columns or ()), *(self.where.columns if self.where else ())]:
            require_column(name, there)
        return there if self.columns is None else list(self.columns)

    def __str__(self) -> str:
        read = "" if self.columns is None else f", reads {listed(self.columns)}"
        return f"source {self.name!r}{read}{'' if self.where is None else f', where {self.where}'}"


def walk(node: Node) -> Iterator[Node]:
    """Yield the nodes of a tree, each once, those that a node reads before it."""
    seen: set[Node] = set()

    def visit(node: Node) -> Iterator[Node]:
        if node not in seen:
            for before in node.before:
                yield from visit(before)
            seen.add(node)
            yield node

    yield from visit(node)


def sources(node: Node) -> list[str]:
    """Return the names of the sources of a tree, in the order in which it reads them."""
    return list(dict.fromkeys(found.name for found in walk(node) if isinstance(found, Source)))


def by_name(node: Node, only: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a tree by the names of its sources; `only` is that of the one there is, None if it is named.

    Raises
    ------
    ParameterError
        If it has several sources, or others are named beside it.
    """
    if only is None:
        return dict(inputs)
    known = sources(node)
    if len(known) > 1 or inputs:
        raise ParameterError(f"The flow reads {', '.join(map(repr, known))}; give each by its name: {known[0]}=….")
    return {known[0]: only}


def placed(node: Node, within: Node) -> str:
    """Return what a node of a tree is called in errors."""
    number = list(walk(within)).index(node) + 1
    return f"node {number}, {node}"


def columns_of(node: Node, inputs: Mapping[str, Sequence[str]], within: Node | None = None) -> dict[Node, list[str]]:
    """Return the columns of every node of a tree, by those of its sources.

    Raises
    ------
    ColumnError, ParameterError
        If a node reads a column that none before it gives, or would give two of one name; the message says which node.
    """
    found: dict[Node, list[str]] = {}
    for each in walk(node):
        before = [list(inputs[each.name])] if isinstance(each, Source) else [found[b] for b in each.before]
        try:
            found[each] = each.gives(*before)
        except FintechToolkitError as error:
            raise type(error)(f"In {placed(each, within or node)}: {error}") from None
    return found


def rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return a tree in which `change` was made to every node, those before it first."""
    done: dict[Node, Node] = {}
    for each in walk(node):
        done[each] = change(each.over(*(done[before] for before in each.before)))
    return done[node]


def parameters(node: Node) -> dict[str, Any]:
    """Return what a node has besides the nodes before it."""
    return {field.name: getattr(node, field.name) for field in fields(node) if field.name not in node.inputs}


def require_column(name: str, there: Sequence[str], what: str = "") -> None:
    """Raise unless a column is there."""
    if name not in there:
        raise ColumnError(f"there is no column {name!r}{what}. {did_you_mean(name, map(str, there))}")


def listed(names: Sequence[str]) -> str:
    """Return names as a text, of many the first ones."""
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown


def names_of_columns(names: Any, what: str) -> tuple[str, ...]:
    """Return names of columns as a user gives them: one, several, or a list of them.

    Raises
    ------
    ParameterError
        If they are none, or one is there twice.
    """
    if len(names) == 1 and not isinstance(names, str) and isinstance(names[0], list | tuple):
        names = names[0]
    listed: tuple[str, ...] = (names,) if isinstance(names, str) else tuple(names)
    if not listed or not all(isinstance(name, str) for name in listed) or len(set(listed)) < len(listed):
        raise ParameterError(f"{what} takes names of columns, each once; not {listed!r}.")
    return listed
