"""Dataflows: operations on named inputs, described once, that frames, files, Dask and live streams all run."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from fintech_toolkit.engines.memory.flow_run import FlowRun, FlowState
from fintech_toolkit.engines.memory.inputs import Names, inputs_of, is_names, unwrapped
from fintech_toolkit.engines.memory.relational import whole
from fintech_toolkit.errors import ParameterError, did_you_mean
from fintech_toolkit.flow import flow_plan
from fintech_toolkit.flow.description import FlowDescription
from fintech_toolkit.flow.flow_plan import FlowPlan
from fintech_toolkit.flow.nodes import Source, by_name, sources
from fintech_toolkit.flow.rules import RULES, optimised
from fintech_toolkit.frames.views import is_dask
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.schema import AHEAD

RESERVED = ("self", "without", "idle", "ahead")
"""What calls of a flow take besides its sources."""


def source(name: str) -> Flow:
    """Return a dataflow that is an input.

    Parameters
    ----------
    name : str
        By this it is given when the flow is called: ``flow(quotes=…)``.

    Returns
    -------
    Flow
        Its methods add operations.

    Raises
    ------
    ParameterError
        If it is no name that Python's keywords can have.

    Examples
    --------
    >>> import fintech_toolkit as ft
    >>> ft.source("quotes").filter([("bid", ">", 0)]).select("symbol", "bid")
    3 select symbol, bid
    └─ 2 filter bid > 0
       └─ 1 source 'quotes'
    """
    if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
        raise ParameterError(f"source({name!r}): a source is given by its name, so this must be one, such as 'quotes'.")
    return Flow(Source(name))


def cross_section(
    *steps: Step,
    every: Any = None,
    lateness: Any = 0,
    symbol: str = "symbol",
    time: str = "ts",
    unit: str | None = None,
) -> Flow:
    """Return the dataflow of one source that computes something of all symbols of a time.

    It is ``source("frame").cross_section(…)``, which tells all. Called with a frame, of pandas, Arrow, Polars
    or Dask, it gives a frame; ``.start()`` goes frame by frame, and ``.live(stream)`` on a stream. Other operations
    follow it as they do any flow: ``cross_section | pipeline``.

    Parameters
    ----------
    *steps : Step
        Such as ``ft.cs_rank("x")``; all that there is: ``ft.catalogue(search="cross")``.
    every : str or duration, optional
        Take bars of time, such as ``"1min"``, instead of single times.
    lateness : str or duration
        By how much a row may come after one of a later time.
    symbol, time : str
        The columns of symbols and of event times.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of integer times.

    Returns
    -------
    Flow
        A dataflow.

    Raises
    ------
    ParameterError
        If an argument is not what it must be.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "A", "B"], "ts": [1, 1, 2, 2], "x": [3.0, 1.0, 2.0, 4.0]})
    >>> ft.cross_section(ft.cs_rank("x"), ft.cs_demean("x"))(ticks)
      symbol  ts    x  cs_rank  cs_demean
    0      A   1  3.0      2.0        1.0
    1      B   1  1.0      1.0       -1.0
    2      A   2  2.0      1.0       -1.0
    3      B   2  4.0      2.0        1.0
    >>> ft.cross_section(ft.index_level("x"))(ticks)
       ts  index_level  known_at
    0   1          2.0         1
    1   2          3.0         2
    """
    return source("frame").cross_section(*steps, every=every, lateness=lateness, symbol=symbol, time=time, unit=unit)


class Flow(FlowDescription):
    """Operations on named inputs, each of which gives a new flow. Immutable, pure data; `source` begins one.

    ``flow(quotes=…, trades=…)`` runs it on all there is; ``flow.start()`` frame by frame; ``flow.live(…)`` on streams.
    All of these give the same numbers to the last bit. Rules make it cheaper before it runs on all there is, and
    change nothing of its result; ``flow.explain(…)`` shows what they did.

    Attributes
    ----------
    node : Node
        The last operation; the others stand before it.
    rules : tuple of str
        The names of the rules that make flows cheaper.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> def at(*seconds): return pd.to_datetime(seconds, unit="s", utc=True)
    >>> trades, quotes, bonds = ft.source("trades"), ft.source("quotes"), ft.source("bonds")
    >>> flow = (
    ...     trades.asof_join(quotes.pipe(ft.midprice()))
    ...     .join(bonds, on="symbol", select=["rating"])
    ...     .filter([("rating", "in", ["AAA", "AA"])])
    ... )
    >>> result = flow(
    ...     trades=pd.DataFrame({"symbol": ["A", "B"], "ts": at(2, 3), "price": [10.2, 20.0]}),
    ...     quotes=pd.DataFrame({"symbol": ["A", "B"], "ts": at(0, 1), "bid": [10.0, 19.0], "ask": [10.2, 21.0]}),
    ...     bonds=pd.DataFrame({"symbol": ["A", "B"], "rating": ["AA", "CCC"]}),
    ... )
    >>> result[["symbol", "price", "mid", "rating"]]
      symbol  price   mid rating
    0      A   10.2  10.1     AA
    """

    rules: ClassVar[tuple[str, ...]] = RULES

    def __call__(self, frame: Any = None, /, *, without: Collection[str] = (), **inputs: Any) -> Any:
        """Run on all there is of each input.

        Parameters
        ----------
        frame : frame or path, optional
            The only source, which needs no name then.
        without : collection of str
            Rules that are left out; see `explain`.
        **inputs : frame or path
            Each source by its name: pandas frames, Arrow tables (or what offers Arrow's stream, as Polars frames do),
            Dask frames, a `ReferenceTable` that others are joined with, or paths and URLs of files or folders of
            Parquet or CSV, of which only what is needed is read.
            Paths alone give an Arrow table. Beside a Dask frame the others may be paths, Dask and pandas frames.

        Returns
        -------
        frame
            Of the sort of the inputs; of Dask frames a lazy one.

        Raises
        ------
        ParameterError
            If a source is not given, or one is that the flow does not have.
        PipelineError
            If the inputs are not of one sort.
        FintechToolkitError
            If something is wrong with a column or a row; the message says in which node.
        """
        given = self._given(frame, inputs)
        if any(map(is_dask, given.values())):
            return self.dask(without=without, **given)
        found = inputs_of(given)
        tree, _ = optimised(self.node, {name: item.names for name, item in found.items()}, without)
        return whole(tree, found)

    def dask(self, frame: Any = None, /, *, without: Collection[str] = (), **inputs: Any) -> Any:
        """Return the lazy Dask frame of what the flow gives, also where all inputs are paths.

        Parameters and errors are those of a call. A small reference of `join` is sent whole to every worker. One of
        more than 256 MiB, as footers of Parquet and frames in memory tell, or of several partitions of which nothing
        tells, is partitioned by key, so that no worker needs to hold all of it; `explain` says which and why. Rows,
        their order and the partitions of the result are the same.
        """
        from fintech_toolkit.engines.dask import dataflow

        return dataflow.run(self.node, self._given(frame, inputs), without)

    def start(self, state: FlowState | str | os.PathLike[str] | None = None) -> FlowRun:
        """Return a run that goes on, frame by frame, from a state, a file in which one was saved, or from nothing.

        Raises
        ------
        StateError
            If no node of the flow is in the state, or the file is not a saved one.
        """
        return FlowRun(self.node, FlowState.load(state) if isinstance(state, str | os.PathLike) else state)

    def live(self, stream: Any = None, /, *, idle: str | None = None, ahead: str | None = AHEAD, **streams: Any) -> Any:
        """Return a streamz stream of what the flow gives of streams of frames.

        Parameters
        ----------
        stream : streamz.Stream, optional
            The only source, which needs no name then.
        idle, ahead : str, optional
            As for `fintech_toolkit.asof_join`, of all as-of joins, and as for `Pipeline.live`.
        **streams : streamz.Stream or frame
            Each source by its name. A reference may be a frame, a `ReferenceTable` or a path, and stays what it is.

        Returns
        -------
        FlowStream
            A stream, of which ``counts`` says how many rows went through each node, as those of `FlowRun` do; ``late``
            has for each window a stream of the rows that came too late; and ``flush()`` passes on, when all sources
            have ended, what is still unfinished. Of Kafka topics each partition is by itself, its windows too, and the
            states of all nodes are tied to offsets: started again after a crash, sources with ``replay=True`` make them
            again, and no row is lost.

        Raises
        ------
        ParameterError, PipelineError
            If a source is not given, or cannot be a stream.
        """
        from fintech_toolkit.engines.live import dataflow

        return dataflow.live(self.node, self._given(stream, streams), idle, ahead)

    def explain(self, frame: Any = None, /, *, without: Collection[str] = (), **inputs: Any) -> FlowPlan:
        """Return the flow as it was written and as it would run, what each rule did, what is read, and how it runs on
        Dask. Nothing is computed; of files footers are read.

        Parameters and errors are those of a call. Of inputs that are not given, lists of their columns will do.
        """
        given = {name: Names(value) if is_names(value) else value for name, value in self._given(frame, inputs).items()}
        if any(map(is_dask, given.values())):
            from fintech_toolkit.engines.dask import dataflow

            return dataflow.explain(self.node, given, without)
        return flow_plan.explain(self.node, inputs_of(given), without)

    def _given(self, only: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        inputs, known = by_name(self.node, only, inputs), sources(self.node)
        for name in inputs:
            if name not in known:
                raise ParameterError(f"The flow has no source {name!r}. {did_you_mean(name, known)}")
        missing = [name for name in known if name not in inputs]
        if missing:
            raise ParameterError(f"Source {missing[0]!r} is not given; the flow reads {', '.join(map(repr, known))}.")
        return {name: unwrapped(value) for name, value in inputs.items()}
