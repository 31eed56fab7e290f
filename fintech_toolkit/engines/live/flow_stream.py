"""What a dataflow gives of streams, and how many rows have gone through each of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from streamz import Stream

from fintech_toolkit.engines.live.asof import AsofJoinNode
from fintech_toolkit.engines.live.batch import batch_of
from fintech_toolkit.engines.live.states import KeepsState, pass_on
from fintech_toolkit.engines.live.windows import WindowNode
from fintech_toolkit.engines.memory.flow_run import NOT_OUT, rows_of, why_dropped
from fintech_toolkit.flow.nodes import Node, walk
from fintech_toolkit.flow.operations import Pipe


class Tally(Stream):  # type: ignore[misc]
    """Counts the rows that a node passes on.

    Attributes
    ----------
    rows : int
        How many there were, without those that are only replayed.
    """

    def __init__(self, upstream: Stream, **kwargs: Any) -> None:
        self.rows = 0
        super().__init__(upstream, **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Count a frame."""
        batch = batch_of(metadata)
        self.rows += 0 if batch is not None and batch.replayed else len(x)
        return []


class FlowStream(Stream):  # type: ignore[misc]
    """The frames that a flow gives of streams, a stream like any other. It shows itself as its `counts`.

    Parameters
    ----------
    tree : Node
        The flow.
    made : mapping
        For each of its nodes the stream of what it gives, or a frame that stays what it is.

    Attributes
    ----------
    late : dict of int to Stream
        The rows that came too late for windows, frame by frame, by node, numbered as in `counts`.
    """

    def __init__(self, tree: Node, made: Mapping[Node, Any], **kwargs: Any) -> None:
        self._nodes = list(walk(tree))
        self._made = [made[node] for node in self._nodes]
        self._tallies = [Tally(stream) if isinstance(stream, Stream) else None for stream in self._made]
        places = {node: place for place, node in enumerate(self._nodes)}
        self._before = [[places[before] for before in node.before] for node in self._nodes]
        self.late = {n: stream.late for n, stream in enumerate(self._made, 1) if isinstance(stream, WindowNode)}
        super().__init__(made[tree], **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Pass a frame on."""
        return pass_on(self, x, metadata, batch_of(metadata))

    def flush(self) -> None:
        """Pass on the rows that are still unfinished, as if all sources had ended, through the nodes after them; and
        begin them anew. Sources are to be stopped before.
        """
        for node, stream in zip(self._nodes, self._made, strict=True):
            if isinstance(stream, AsofJoinNode):
                stream.flush()
            elif isinstance(stream, WindowNode) or (isinstance(node, Pipe) and stream.pipeline.emits):
                stream.end()

    @property
    def counts(self) -> pd.DataFrame:
        """Rows in and out of every node so far, as `FlowRun.counts` has them, and those that went to the dead letters:
        of a join, those of its left side. Rows that come again, because a sink has failed, count again.
        """
        out = [
            rows_of(made) if tally is None else tally.rows
            for made, tally in zip(self._made, self._tallies, strict=True)
        ]
        rows = []
        for place, (node, stream, before) in enumerate(zip(self._nodes, self._made, self._before, strict=True)):
            came, left, why = out[before[0]] if before else out[place], out[place], why_dropped(node)
            row = {"node": place + 1, "what": str(node), "in": came, "out": left} | NOT_OUT
            row |= {why: came - left} if why else {}
            row |= {"late": stream.late_rows} if isinstance(stream, WindowNode) else {}
            keeps = isinstance(stream, KeepsState)
            rows.append(row | {"waiting": stream.waiting if keeps else 0, "rejected": stream.rejected if keeps else 0})
        return pd.DataFrame(rows).set_index("node")

    _ipython_display_ = None  # streamz would show its frames

    def __repr__(self) -> str:
        return repr(self.counts)

    def _repr_html_(self) -> str:
        return self.counts.to_html()
