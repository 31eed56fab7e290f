"""The wrong changes that cosmic-ray does not know: a statement, a check or a copy that is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.operators.operator import Example, Operator
from parso.python import tree

Position = tuple[tuple[int, int], tuple[int, int]]
COPIES = {"list", "dict", "set", "tuple", "sorted", "reversed"}


class DropStatement(Operator):
    """Leave out what is done for its effect: a call, an error raised, an assignment to a part, a deletion."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "simple_stmt" and self._has_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    @staticmethod
    def _has_effect(statement: Any) -> bool:
        if statement.type == "expr_stmt":
            target, operator = statement.children[:2]
            changes = operator.type == "operator" and operator.value != "="
            return changes or (operator.type != "annassign" and target.type == "atom_expr")
        if statement.type == "atom_expr":
            last = statement.children[-1]
            return last.type == "trailer" and last.children[0].value == "("
        return statement.type in ("raise_stmt", "del_stmt") or statement == "raise"

    def mutate(self, node: Any, index: int) -> Any:
        node.children[0] = tree.Keyword("pass", node.children[0].start_pos, node.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("if x:\n    raise ValueError(x)\n", "if x:\n    pass\n"),
            Example("rows.append(1)\n", "pass\n"),
            Example("self.last = last\n", "pass\n"),
            Example("count += 1\n", "pass\n"),
        )


class DropCopy(Operator):
    """Use a thing itself where a copy of it, or its parts in order, were meant."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "atom_expr" and (self._method(node) is not None or self._function(node)):
            yield node.start_pos, node.end_pos

    @staticmethod
    def _method(node: Any) -> int | None:
        """Return where ``.copy`` stands among the children, if its call ends the expression."""
        names = [child.get_code(include_prefix=False) for child in node.children]
        return len(names) - 2 if names[-2] == ".copy" and names[-1].startswith("(") else None

    @staticmethod
    def _function(node: Any) -> bool:
        name, call = node.children[0], node.children[1]
        one = len(node.children) == 2 and call.type == "trailer" and len(call.children) == 3
        return (
            one
            and name.type == "name"
            and name.value in COPIES
            and call.children[0].value == "("
            and call.children[1].type not in ("arglist", "argument")
        )

    def mutate(self, node: Any, index: int) -> Any:
        place = self._method(node)
        if place is not None:
            del node.children[place:]
            return node
        kept = node.children[1].children[1]
        kept.get_first_leaf().prefix = node.get_first_leaf().prefix
        return kept

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("last = state.last.copy()", "last = state.last"),
            Example("for name in sorted(names): pass", "for name in names: pass"),
        )


class Provider(dict[str, type[Operator]]):
    """These operators, as cosmic-ray asks for them."""


cosmic_ray.plugins.OPERATOR_PROVIDERS["dropped"] = Provider({"Statement": DropStatement, "Copy": DropCopy})
