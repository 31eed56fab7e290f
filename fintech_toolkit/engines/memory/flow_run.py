"""A dataflow in progress: its inputs come frame by frame, and each node goes on from where it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.cross_run import CrossOperator
from fintech_toolkit.engines.memory.feed import concat
from fintech_toolkit.engines.memory.inputs import unwrapped
from fintech_toolkit.engines.memory.reference_table import ReferenceRows
from fintech_toolkit.engines.memory.relational import OPERATIONS, as_read, looked_up, naming
from fintech_toolkit.engines.memory.resumable_asof import AsofJoin
from fintech_toolkit.engines.memory.run import Run
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.state_file import read_state_file, write_state_file
from fintech_toolkit.engines.memory.waiting_join import WaitingJoin
from fintech_toolkit.engines.memory.window_run import WindowOperator, WindowRows
from fintech_toolkit.errors import ParameterError, PipelineError, StateError, did_you_mean
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.nodes import Node, Source, by_name, sources, walk
from fintech_toolkit.flow.operations import AsOfJoin, FeedJoin, HorizonJoin, IntervalJoin, Join, Pipe, WindowJoin
from fintech_toolkit.flow.serial import identity
from fintech_toolkit.flow.windows import Window
from fintech_toolkit.frames.views import joinable, wrap

KIND = b"fintech_toolkit.flow_state"


class Operator(Protocol):
    """A node that remembers: it takes what has come of each input, None for nothing, and returns what that makes."""

    def advance(self, *frames: Any) -> Any:
        """Take frames, and return rows or None."""

    def flush(self) -> Any:
        """Return the rows that are still unfinished, or None."""

    @property
    def waiting(self) -> int:
        """How many rows wait for others."""

    @property
    def state(self) -> Any:
        """What it knows: something with ``to_bytes`` and ``from_bytes``."""


class PipeOperator:
    """A pipeline over frames that come one after the other."""

    def __init__(self, node: Pipe, state: State | None) -> None:
        self._run = Run(node.pipeline, state)
        self._like: Any = None
        self.waiting = 0

    def advance(self, frame: Any) -> Any:
        if frame is None:
            return None
        if self._run.pipeline.emits:
            self._like = joinable(frame).take(np.arange(0))  # the rows that are left at the end are of this sort
        return self._run(frame)

    def flush(self) -> Any:
        return self._run.flush(self._like) if self._run.pipeline.emits else None

    @property
    def state(self) -> State:
        return self._run.state


class FeedOperator:
    """A join of two feeds that come frame by frame."""

    def __init__(self, node: FeedJoin, state: WaitingJoin | None) -> None:
        _, kind = OPERATORS[type(node)]
        self._join: WaitingJoin = kind.of(node.options) if state is None else state.copy()

    def advance(self, left: Any, right: Any) -> Any:
        answers = [] if right is None else [self._join.right(right)]
        answers += [] if left is None else [self._join.left(left)]
        return together(answers)

    def flush(self) -> Any:
        return self._join.flush()

    @property
    def waiting(self) -> int:
        return self._join.pending

    @property
    def state(self) -> WaitingJoin:
        return self._join


class JoinOperator:
    """A join with a reference: rows of it replace those with the same key, for what comes after them."""

    def __init__(self, node: Join, state: ReferenceRows | None) -> None:
        self._node = node
        self.state = None if state is None else state.copy()
        self.waiting = 0

    def advance(self, left: Any, reference: Any) -> Any:
        if isinstance(reference, ReferenceRows):
            self.state = reference.copy()
        elif reference is not None and self.state is None:
            self.state = ReferenceRows.of(wrap(reference), list(self._node.right_on))
        elif reference is not None and self.state is not None:
            self.state.put(wrap(reference), None)
        if left is None:
            return None
        if self.state is None:
            raise PipelineError("rows came before the reference has; give that first, or with them.")
        return looked_up(joinable(left), self.state, self._node)

    def flush(self) -> Any:
        return None


OPERATORS: dict[type[Node], tuple[Callable[[Any, Any], Operator], Any]] = {
    Pipe: (PipeOperator, State),
    AsOfJoin: (FeedOperator, AsofJoin),
    HorizonJoin: (FeedOperator, WaitingJoin),
    WindowJoin: (FeedOperator, WaitingJoin),
    IntervalJoin: (FeedOperator, WaitingJoin),
    Join: (JoinOperator, ReferenceRows),
    Window: (WindowOperator, WindowRows),
    CrossSection: (CrossOperator, WindowRows),
}
"""For each kind of node that remembers, what runs it and what holds its state."""


@dataclass(frozen=True)
class FlowState:
    """What the nodes of a dataflow know. It belongs to no flow as a whole: each part of it belongs to a node, with all
    that stands before it.

    Attributes
    ----------
    parts : dict of str to (str, state)
        For each node that remembers, by its identity, what it is called, and what it knows.
    """

    parts: Mapping[str, tuple[str, Any]]

    def __repr__(self) -> str:
        return f"<FlowState: {'; '.join(called for called, _ in self.parts.values()) or 'nothing known'}>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to one file, sealed as `State.save` does.

        Raises
        ------
        StateError
            If there is no such folder, or the package that a URL needs is not installed.
        """
        kinds = {kind: node.__name__ for node, (_, kind) in OPERATORS.items()}
        rows = [
            {"node": key, "called": called, "kind": kinds[type(state)], "state": state.to_bytes()}
            for key, (called, state) in self.parts.items()
        ]
        strings = [pa.field(name, pa.string()) for name in ("node", "called", "kind")]
        schema = pa.schema([*strings, pa.field("state", pa.large_binary())])
        write_state_file(path, pa.Table.from_pylist(rows, schema), {KIND: b"1"})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FlowState:
        """Read what `save` wrote.

        Raises
        ------
        StateError
            If the file is damaged, cut short, or not the state of a flow.
        """

        def parse(table: pa.Table, metadata: Mapping[bytes, bytes]) -> FlowState:
            if KIND not in metadata:
                raise ValueError("it is something else")
            kinds = {node.__name__: kind for node, (_, kind) in OPERATORS.items()}
            return cls(
                {row["node"]: (row["called"], kinds[row["kind"]].from_bytes(row["state"])) for row in table.to_pylist()}
            )

        return read_state_file(path, "saved state of a flow", parse)


@dataclass
class _Count:
    came: int = 0
    left: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


class FlowRun:
    """A dataflow in progress: ``run(quotes=frame)`` goes on from where the last frames left.

    `Flow.start` makes one; its frames are in memory. Sources that are not named bring nothing this time. Of an as-of
    join rows of the left wait until the right has passed their time; rows of a reference replace those with the same
    key, for what comes after them. A frame that cannot be used raises. If nodes before had gone on by then, the run is
    neither where it was nor further, and refuses to go on: start again from a state that was taken before.

    Parameters
    ----------
    tree : Node
        The flow.
    state : FlowState, optional
        Where to go on. By default nothing was seen yet.

    Attributes
    ----------
    resumed : dict of str to bool
        For each node that remembers, whether it goes on from the state: of a flow that was changed, those do that are
        what they were, with all before them.
    """

    def __init__(self, tree: Node, state: FlowState | None = None) -> None:
        if not isinstance(state, FlowState | None):
            raise StateError(f"A flow starts from a FlowState or the path of one, not {type(state).__name__}.")
        self.tree = tree
        self.resumed: dict[str, bool] = {}
        self._nodes = list(walk(tree))
        places = {node: place for place, node in enumerate(self._nodes)}
        self._before = [[places[before] for before in node.before] for node in self._nodes]
        self._counts = [_Count() for _ in self._nodes]
        self._stopped: str | None = None
        self._operators: dict[int, Operator] = {}
        parts = {} if state is None else dict(state.parts)
        for node in self._nodes:
            if type(node) in OPERATORS:
                _, known = parts.get(identity(node), ("", None))
                make, _ = OPERATORS[type(node)]
                self._operators[places[node]] = make(node, known)
                if state is not None:
                    self.resumed[str(node)] = known is not None
        if parts and not any(self.resumed.values()):
            raise StateError(f"This state belongs to another flow: {state!r}. Start that one, or this one without it.")

    def __call__(self, frame: Any = None, /, **frames: Any) -> Any:
        """Take a frame of some sources, and return the rows that are ready, or None if there are none. Where there is
        one source, it needs no name.

        Raises
        ------
        ParameterError
            If there is no such source.
        FintechToolkitError
            If something is wrong with a column or a row; the message says in which node.
        """
        frames = by_name(self.tree, frame, frames)
        for name in frames:
            if name not in sources(self.tree):
                raise ParameterError(f"There is no source {name!r}. {did_you_mean(name, sources(self.tree))}")
        given = {name: unwrapped(frame) for name, frame in frames.items()}
        return self._go_on(lambda node: given.get(node.name), ended=False)

    def flush(self) -> Any:
        """Return the rows that are still unfinished, as if all sources had ended, and start afresh."""
        rows = self._go_on(lambda node: None, ended=True)
        for place in self._operators:
            make, _ = OPERATORS[type(self._nodes[place])]
            self._operators[place] = make(self._nodes[place], None)
        return rows

    @property
    def state(self) -> FlowState:
        """What its nodes know after the last frames; it stays what it is when the run goes on.

        Raises
        ------
        StateError
            If a frame stopped half-way.
        """
        self._check()
        known = {
            identity(self._nodes[place]): (str(self._nodes[place]), operator.state.copy())
            for place, operator in self._operators.items()
            if operator.state is not None
        }
        return FlowState(known)

    @property
    def late(self) -> dict[int, Any]:
        """The rows among the last frames that came too late for windows, by node, numbered as in `counts`. The next
        frames bring others.
        """
        late = {place + 1: getattr(operator, "late", None) for place, operator in self._operators.items()}
        return {number: rows for number, rows in late.items() if rows is not None}

    @property
    def counts(self) -> pd.DataFrame:
        """Rows in and out of every node so far: what went in has come out, was filtered out, met no row of a reference,
        was replaced by rows that the node emits, came late, or waits.
        """
        rows = []
        for place, (node, count) in enumerate(zip(self._nodes, self._counts, strict=True)):
            waiting = self._operators[place].waiting if place in self._operators else 0
            known = {"node": place + 1, "what": str(node), "in": count.came, "out": count.left}
            rows.append(known | NOT_OUT | count.dropped | {"waiting": waiting})
        return pd.DataFrame(rows).set_index("node")

    def __repr__(self) -> str:
        return repr(self.counts)

    def _repr_html_(self) -> str:
        return self.counts.to_html()

    def _check(self) -> None:
        if self._stopped is not None:
            raise StateError(
                f"A frame stopped half-way ({self._stopped}), so the run is neither where it was nor further; start "
                "again from a state that was taken before."
            )

    def _go_on(self, given: Callable[[Source], Any], *, ended: bool) -> Any:
        self._check()
        came: list[Any] = []
        advanced = False
        try:
            for node, places in zip(self._nodes, self._before, strict=True):
                with naming(node, self.tree):
                    if isinstance(node, Source):
                        came.append(given(node))
                        continue
                    before = as_read(node, [came[place] for place in places])
                    operator = self._operators.get(len(came))
                    if operator is None:
                        made = None if before[0] is None else OPERATIONS[type(node)](node, before[0])
                    else:
                        made = operator.advance(*before)
                        advanced = True
                        if ended:
                            made = together([made, operator.flush()])
                    came.append(made)
        except BaseException as error:
            if advanced:
                self._stopped = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise
        self._count([rows_of(frame) for frame in came])
        return came[-1]

    def _count(self, rows: list[int]) -> None:
        for node, places, left, count in zip(self._nodes, self._before, rows, self._counts, strict=True):
            arrived = rows[places[0]] if places else left
            count.came += arrived
            count.left += left
            if why := why_dropped(node):
                count.dropped[why] = count.dropped.get(why, 0) + arrived - left
        for number, late in self.late.items():
            dropped = self._counts[number - 1].dropped
            dropped["late"] = dropped.get("late", 0) + rows_of(late)


NOT_OUT = {"filtered": 0, "unmatched": 0, "late": 0}


def why_dropped(node: Node) -> str:
    """Return what becomes of the rows that a node drops, as counts call it; empty if it drops none."""
    if node.effect.rows != "drops":
        return ""
    return "unmatched" if isinstance(node, Join) else "filtered"


def rows_of(frame: Any) -> int:
    """Return how many rows there are in what comes to a node: a frame, a reference, or nothing."""
    if isinstance(frame, ReferenceRows):
        return frame.keys
    return 0 if frame is None else joinable(frame).rows


def together(frames: list[Any]) -> Any:
    """Return frames of which some may be None as one; those without rows only if there are no others."""
    there = [frame for frame in frames if frame is not None]
    filled = [frame for frame in there if joinable(frame).rows] or there[:1]
    return concat(filled) if filled else None
