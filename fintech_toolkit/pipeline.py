"""Pipelines: kernels in a row, on any kind of frame."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fintech_toolkit.engines.memory.plan import explain
from fintech_toolkit.engines.memory.run import Run
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.flow.plan import AS_THEY_WERE, Plan
from fintech_toolkit.frames.views import is_dask, is_stream
from fintech_toolkit.schema import AHEAD

if TYPE_CHECKING:
    from fintech_toolkit.engines.dask.run import DaskRun
    from fintech_toolkit.engines.live.states import LiveState


class Pipeline(Description):
    """Kernels applied one after the other to the ticks of every symbol.

    Immutable. The same pipeline runs on a pandas frame, an Arrow table or batch, a dict of arrays, a Dask frame and a
    live stream, and gives the same numbers to the last bit. ``ft.midprice() | ft.ewma("mid", span=9)`` is one too; what
    follows may be a step, or a pipeline with the same options.

    Parameters
    ----------
    *steps : Step
        What kernels give when they are called with column names. A step may read what earlier ones give. An event
        step (bars) must be the last; the pipeline then gives a frame of its own.
    symbol : str or None
        The column that says whose tick a row is, strings or integers; None if all rows are of one symbol.
    time : str or None
        The column of event times, which must not go backwards within a symbol; None if there is none.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of event times that are integers, since 1970 in UTC. Left out, they are nanoseconds, and an error if
        they look like another unit. What an event step emits comes in the same unit, rounded down, and `known_at` as
        nullable integers (pandas' Int64): null where a row is not finished.
    session : str, optional
        Start every state afresh with each trading day of a time zone: ``"America/New_York"``, or, where the day does
        not start at midnight, ``"America/Chicago 17:00"``.
    columns : mapping, optional
        Names in the frame of columns that the steps know by other names, such as ``{"bid": "best_bid"}``. ``{"symbol":
        "ticker", "ts": "time"}`` says the same as ``symbol="ticker", time="time"``.

    Raises
    ------
    PipelineError
        If there is no step, one is not a step, or they do not fit together: two give the same column, one stands after
        an event step or reads another type than an earlier one gives.
    ParameterError
        If `columns` is no mapping of names, or contradicts `symbol` or `time`.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> quotes = pd.DataFrame({
    ...     "symbol": ["A", "B", "A"],
    ...     "ts": pd.to_datetime([0, 1, 2], unit="s", utc=True),
    ...     "bid": [10.0, 20.0, 10.2],
    ...     "ask": [10.2, 20.4, 10.4],
    ... })
    >>> features = ft.Pipeline(ft.midprice(), ft.ewma("mid", alpha=0.5, adjust=False))
    >>> features(quotes)[["symbol", "mid", "ewma"]]
      symbol   mid  ewma
    0      A  10.1  10.1
    1      B  20.2  20.2
    2      A  10.3  10.2
    """

    def __call__(self, frame: Any, *, plan: str | None = None) -> Any:
        """Run over a whole frame, from empty state.

        Parameters
        ----------
        frame : DataFrame, Table, RecordBatch, dict or Dask DataFrame
            Ticks in time order within each symbol; symbols may be interleaved. It is not changed. Other frames that
            offer Arrow's stream (``__arrow_c_stream__``), such as those of Polars, are taken as Arrow tables.
        plan : {"chain", "by_symbol", "shuffle"}, optional
            For Dask frames: how to run (see `explain`); chosen from the frame if left out.

        Returns
        -------
        same type as `frame`
            All rows, index, dtypes and metadata kept, with the steps' columns appended; or the emitted rows, the
            unfinished ones last. Rows come back in their order. On Dask, where the result is lazy, there are two
            exceptions, which `explain` tells: partitions that do not overlap in time but are not in its order come back
            in that order; and after a shuffle a partition holds some symbols whole, its rows in order of time, ties in
            their order.

        Raises
        ------
        ColumnError, DataError
            If a column is missing, clashes or cannot be used.
        """
        if is_dask(frame):
            from fintech_toolkit.engines.dask import plans

            return plans.apply(self, frame, plan=plan)[0]
        _refuse(plan)
        return Run(self).whole(frame)

    def start(self, state: State | str | os.PathLike[str] | None = None) -> Run:
        """Return a run that continues, frame by frame, from a state, a file in which one was saved, or from nothing.

        Its frames are in memory; for Dask frames see `start_dask`.

        Raises
        ------
        StateError
            If the state belongs to another pipeline, or the file is not a saved state.
        """
        return Run(self, _loaded(state))

    def start_dask(self, state: Any = None) -> DaskRun:
        """Return a run that continues, Dask frame by Dask frame, and computes nothing by itself.

        Parameters
        ----------
        state : State, lazy state or path, optional
            Where to go on: what `start` takes, or ``run.state`` of another such run. By default nothing was seen yet.

        Returns
        -------
        DaskRun
            Its ``state`` is lazy: ``run.state.compute()`` is the `State` after the last frame.

        Raises
        ------
        StateError
            If the state belongs to another pipeline, or the file is not a saved state.
        """
        from fintech_toolkit.engines.dask.run import DaskRun

        return DaskRun(self, _loaded(state))

    def explain(self, frame: Any, plan: str | None = None) -> Plan:
        """Return how the pipeline would run on a frame or a stream: by which plan, why, and where each step runs.

        Nothing is computed. Parameters and errors are those of a call; a stream is one that `live` takes.

        Examples
        --------
        >>> import pandas as pd, fintech_toolkit as ft
        >>> quotes = pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([0], utc=True), "bid": [1.0], "ask": [1.2]})
        >>> (ft.midprice() | ft.ewma("mid", span=9)).explain(quotes)
        Plan: one scan (1 chunk of up to 131,072 rows)
        Why: the frame is in memory, and has 1 row.
        How: one scan in this process, on the calling thread, a chunk after the other.
        Rows: as they were.
          midprice('bid', 'ask')  over all rows, needs no state
          ewma('mid', span=9)     over all rows
        """
        if is_dask(frame):
            from fintech_toolkit.engines.dask import plans

            return plans.explain(self, frame, plan)
        _refuse(plan)
        return self._explain_live() if is_stream(frame) else explain(self, frame)

    def _explain_live(self) -> Plan:
        return Plan(
            "live",
            "frames come one after the other",
            "in this process, each frame from where the last one left; of a Kafka source each partition has a state of "
            "its own, and a batch is read and another one delivered meanwhile",
            "frame by frame",
            "those that the last step emits, when they are known" if self.emits else AS_THEY_WERE,
            self.told("over each frame's rows"),
        )

    def live(
        self,
        stream: Any,
        state: State | LiveState | str | os.PathLike[str] | None = None,
        *,
        ahead: str | None = AHEAD,
    ) -> Any:
        """Return a streamz stream of enriched frames, made from a stream of frames.

        Parameters
        ----------
        stream : streamz.Stream
            Frames with the pipeline's input columns, such as ``Stream.from_kafka_frames(…)`` gives.
        state : LiveState, State or path, optional
            Where to go on. What ``enriched.state.save(path)`` wrote says by itself at which offsets; a `State`, such
            as a batch of history left, is what every partition begins with.
        ahead : str or None
            How far a row's time may be ahead of when its record was written to Kafka. A row beyond is put aside,
            because it would make all that follow of its symbol late.

        Returns
        -------
        PipelineNode
            A stream, whose ``state`` is a `LiveState`; of frames that come from no Kafka source, ``run.state``.
        """
        import fintech_toolkit.live  # noqa: F401  # registers the sinks that may follow
        from fintech_toolkit.engines.live.pipeline import PipelineNode
        from fintech_toolkit.engines.live.states import load

        if isinstance(state, str | os.PathLike):
            state = load(state)
        return PipelineNode(stream, self, state, ahead)


def _loaded(state: Any) -> Any:
    return State.load(state) if isinstance(state, str | os.PathLike) else state


def _refuse(plan: str | None) -> None:
    if plan is not None:
        raise PipelineError("plan= is for Dask frames.")
