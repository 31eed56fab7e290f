"""A dataflow as data that JSON and YAML can hold, and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import Any

from fintech_toolkit.errors import KernelError, PipelineError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon
from fintech_toolkit.flow.nodes import Node, Source, parameters
from fintech_toolkit.flow.operations import (
    AsOfJoin,
    Filter,
    HorizonJoin,
    IntervalJoin,
    Join,
    Pipe,
    Rename,
    Select,
    WindowJoin,
)
from fintech_toolkit.flow.pipeline import Description, step_from_dict
from fintech_toolkit.flow.window_joins import Interval, WindowOptions
from fintech_toolkit.flow.windows import Aggregate, Window, Windows
from fintech_toolkit.scan.steps import Step

FORMAT = 1

KINDS: dict[str, type[Node]] = {
    "source": Source,
    "filter": Filter,
    "select": Select,
    "rename": Rename,
    "pipe": Pipe,
    "join": Join,
    "asof_join": AsOfJoin,
    "horizon_join": HorizonJoin,
    "window_join": WindowJoin,
    "interval_join": IntervalJoin,
    "window": Window,
    "cross_section": CrossSection,
}
_CALLED = {kind: name for name, kind in KINDS.items()}
OPTIONS: dict[type[Node], type[FeedOptions]] = {
    AsOfJoin: AsOf,
    HorizonJoin: Horizon,
    WindowJoin: WindowOptions,
    IntervalJoin: Interval,
}


def to_data(tree: Node) -> dict[str, Any]:
    """Return a flow as dicts, lists and plain values."""
    return {"format": FORMAT, "flow": _node_to_data(tree)}


def from_data(data: Any) -> Node:
    """Return the flow that `to_data` wrote.

    Raises
    ------
    PipelineError, KernelError, ParameterError
        If it is none, or a kernel of the user's own is not loaded; nothing is imported for it.
    """
    try:
        if data["format"] != FORMAT:
            raise PipelineError(f"This flow was written in format {data['format']!r}; this version reads {FORMAT}.")
        return _node_from_data(data["flow"])
    except (PipelineError, KernelError):
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PipelineError(f"This is not a flow: {type(error).__name__} {error}.") from error


def identity(tree: Node) -> str:
    """Return what tells a node, with all that stands before it, from others."""
    return hashlib.sha256(json.dumps(_node_to_data(tree), sort_keys=True).encode()).hexdigest()[:32]


def _node_to_data(node: Node) -> dict[str, Any]:
    before = {name: _node_to_data(getattr(node, name)) for name in node.inputs}
    plain = {name: _plain(value) for name, value in parameters(node).items()}
    return {
        "node": _CALLED[type(node)],
        **before,
        **{name: value for name, value in plain.items() if value is not None},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Conditions | FeedOptions):
        return value.to_data()
    if isinstance(value, Description):
        return json.loads(value.to_json())
    if isinstance(value, Step):
        return json.loads(json.dumps(value.to_dict()))  # tuples become lists
    if isinstance(value, Windows | Aggregate):
        return {f.name: _plain(v) for f in fields(value) if (v := getattr(value, f.name)) is not None}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _node_from_data(data: dict[str, Any]) -> Node:
    kind = KINDS[data["node"]]
    given = {name: value for name, value in data.items() if name != "node"}
    return kind(
        **{name: _node_from_data(v) if name in kind.inputs else _made(kind, name, v) for name, v in given.items()}
    )


def _made(kind: type[Node], name: str, value: Any) -> Any:
    if name == "where":
        return Conditions.from_data(value)
    if name == "pipeline":
        return Description.from_json(json.dumps(value))
    if name == "options":
        return OPTIONS[kind].from_data(value)
    if name == "windows":
        return Windows(**value)
    if name == "steps":
        return tuple(map(step_from_dict, value))
    if name == "aggregates":
        return tuple(map(_aggregate, value))
    return tuple(tuple(v) if isinstance(v, list) else v for v in value) if isinstance(value, list) else value


def _aggregate(data: dict[str, Any]) -> Aggregate:
    if "pipeline" in data:
        return Aggregate.checked(data["name"], Description.from_json(json.dumps(data["pipeline"])).steps[0], {})
    return Aggregate.checked(data["name"], (data["column"], data["how"]), {})
