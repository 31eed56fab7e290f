"""Dataflows on streams: each node of the flow as a node of streamz."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamz import Stream

from fintech_toolkit.engines.live import asof
from fintech_toolkit.engines.live.batch import batch_of
from fintech_toolkit.engines.live.cross_sections import CrossSectionNode
from fintech_toolkit.engines.live.flow_stream import FlowStream
from fintech_toolkit.engines.live.pipeline import PipelineNode
from fintech_toolkit.engines.live.states import pass_on
from fintech_toolkit.engines.live.windows import WindowNode
from fintech_toolkit.engines.memory.flow_run import JoinOperator
from fintech_toolkit.engines.memory.inputs import inputs_of
from fintech_toolkit.engines.memory.relational import OPERATIONS, as_read, naming
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.nodes import Node, Source, walk
from fintech_toolkit.flow.operations import FeedJoin, Filter, Join, Pipe, Rename, Select
from fintech_toolkit.flow.windows import Window
from fintech_toolkit.frames.views import is_stream


class RowNode(Stream):  # type: ignore[misc]
    """What needs no other frame than the one that comes, and keeps the index of its rows.

    A frame of which no row is left goes on to nodes only that know how far a topic has been read.
    """

    def __init__(self, upstream: Stream, change: Callable[[Any], Any], **kwargs: Any) -> None:
        self._change = change
        super().__init__(upstream, **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Change a frame and pass it on."""
        return pass_on(self, self._change(x), metadata, batch_of(metadata))


def live(tree: Node, given: Mapping[str, Any], idle: str | None, ahead: str | None) -> FlowStream:
    """Return the stream of what a flow gives of streams, and of frames that stay what they are.

    Raises
    ------
    PipelineError
        If what must be a stream is none, or what must stay is one.
    """
    if not any(map(is_stream, given.values())):
        raise PipelineError("live(…) needs a stream for a source, such as Stream.from_kafka_frames(…) gives.")
    streams = {name for name, value in given.items() if is_stream(value)}
    still = inputs_of({name: value for name, value in given.items() if name not in streams}, pandas=True)
    made: dict[Node, Any] = {}
    for node in walk(tree):
        before = [made[each] for each in node.before]
        with naming(node, tree):
            if isinstance(node, Source):
                made[node] = given[node.name] if node.name in streams else still[node.name].read(None, None)
            elif any(map(is_stream, before)):
                made[node] = _as_stream(node, before, idle, ahead)
            else:
                made[node] = OPERATIONS[type(node)](node, *as_read(node, before))
    return FlowStream(tree, made)


def _as_stream(node: Node, before: list[Any], idle: str | None, ahead: str | None) -> Stream:
    if isinstance(node, Filter | Select | Rename):
        operation = OPERATIONS[type(node)]
        return RowNode(before[0], lambda frame: operation(node, frame))
    if isinstance(node, Pipe):
        return PipelineNode(before[0], node.pipeline, None, ahead)
    if isinstance(node, Window | CrossSection):
        return (WindowNode if isinstance(node, Window) else CrossSectionNode)(before[0], node, ahead=ahead)
    left, other = before
    if isinstance(node, FeedJoin):
        if not is_stream(left):
            raise PipelineError("right is a stream, so left must be one too.")
        return asof.join(left, other, node.options, idle=idle, ahead=ahead)
    assert isinstance(node, Join)
    if is_stream(other):
        raise PipelineError("the reference of a live flow must be a frame, which stays what it is while it runs.")
    known = JoinOperator(node, None)
    known.advance(None, other)
    return RowNode(left, lambda frame: known.advance(frame, None))
