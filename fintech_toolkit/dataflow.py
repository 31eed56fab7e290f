"""Dataflows: operations on named inputs, described once, that frames, files, Dask and live streams all run."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fintech_toolkit.engines.memory.flow_run import FlowRun, FlowState
from fintech_toolkit.engines.memory.inputs import Names, inputs_of, is_names
from fintech_toolkit.engines.memory.relational import whole
from fintech_toolkit.errors import ParameterError, PipelineError, did_you_mean
from fintech_toolkit.flow import flow_plan
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.flow.flow_plan import FlowPlan
from fintech_toolkit.flow.nodes import Node, Source, sources
from fintech_toolkit.flow.operations import AsOfJoin, Filter, Join, Pipe, Rename, Select
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.flow.rules import optimised
from fintech_toolkit.flow.serial import from_data, to_data
from fintech_toolkit.frames.views import is_dask
from fintech_toolkit.pipeline import Pipeline
from fintech_toolkit.scan.steps import Step


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
    if not isinstance(name, str) or not name.isidentifier() or name in ("without", "self"):
        raise ParameterError(f"source({name!r}): a source is given by its name, so this must be one, such as 'quotes'.")
    return Flow(Source(name))


class Flow:
    """Operations on named inputs, each of which gives a new flow. Immutable, pure data; `source` begins one.

    ``flow(quotes=…, trades=…)`` runs it on all there is; ``flow.start()`` frame by frame; ``flow.live(…)`` on streams.
    All of these give the same numbers to the last bit. Rules make it cheaper before it runs on all there is, and
    change nothing of its result; ``flow.explain(…)`` shows what they did.

    Attributes
    ----------
    node : Node
        The last operation; the others stand before it.

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

    def __init__(self, node: Node) -> None:
        self.node = node

    def filter(self, where: Any) -> Flow:
        """Keep rows that meet conditions.

        Parameters
        ----------
        where : tuple, list of tuples or list of lists of tuples
            Conditions such as ``("price", ">", 100)``, as filters of Parquet files are given in pandas, Arrow and
            Dask: all of a list must hold, of a list of lists all of one. They compare by ``==``, ``!=``, ``<``,
            ``<=``, ``>``, ``>=``, ``in`` and ``not in``, with values of the column's own type; whole numbers exactly.
            A row in which the value is missing (null or NaN) meets no condition, ``!=`` and ``not in`` included.

        Raises
        ------
        ParameterError
            If they are no conditions.
        """
        return Flow(Filter(self.node, Conditions.checked(where)))

    def select(self, *columns: str) -> Flow:
        """Keep some columns, in this order.

        Raises
        ------
        ParameterError
            If there is none, one is no name, or one is named twice.
        """
        return Flow(Select(self.node, _names(columns, "select")))

    def rename(self, names: Mapping[str, str]) -> Flow:
        """Call columns by other names: ``{"old": "new"}``.

        Raises
        ------
        ParameterError
            If it is no mapping of names.
        """
        if not isinstance(names, Mapping) or not names or not all(isinstance(n, str) for p in names.items() for n in p):
            raise ParameterError(f"rename({names!r}) needs a mapping of old names to new ones.")
        return Flow(Rename(self.node, tuple(names.items())))

    def pipe(self, *steps: Step | Description, **options: Any) -> Flow:
        """Run a pipeline, or steps as one; `flow | pipeline` is the same.

        Parameters
        ----------
        *steps : Pipeline or Steps
            A pipeline, or the steps of one.
        **options
            Of steps, those of a `Pipeline`.

        Raises
        ------
        PipelineError, ParameterError
            If they make no pipeline.
        """
        if len(steps) == 1 and isinstance(steps[0], Description) and not options:
            return Flow(Pipe(self.node, steps[0]))
        return Flow(Pipe(self.node, Pipeline(*steps, **options)))  # type: ignore[arg-type]

    def __or__(self, other: Step | Description) -> Flow:
        return self.pipe(other)

    def join(
        self,
        reference: Flow,
        on: str | Sequence[str] | None = None,
        *,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: str = "inner",
        select: Sequence[str] | None = None,
        where: Any = None,
    ) -> Flow:
        """Append columns of the one row of a reference that has the same key.

        Parameters
        ----------
        reference : Flow
            Its keys are unique: two rows with one key that is asked for are an error.
        on : str or list of str
            The columns that are equal. A missing value equals nothing.
        left_on, right_on : str or list of str, optional
            Instead of `on`, where they are called differently.
        how : {"inner", "left"}
            Whether rows that meet none are dropped, or kept with missing values.
        select : list of str, optional
            The columns that are appended; all but the key, if left out.
        where : conditions, optional
            Conditions on rows of the reference, as for `filter`.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        ours, theirs = _keys(on, left_on, right_on)
        if how not in ("inner", "left"):
            raise ParameterError(f"how={how!r} must be 'inner' or 'left'.")
        there = _flow(reference, "join").node
        if where is not None:
            there = Filter(there, Conditions.checked(where))
        columns = None if select is None else _names(select, "select=")
        return Flow(Join(self.node, there, ours, theirs, how, columns))

    def asof_join(
        self,
        right: Flow,
        symbol: str | None = "symbol",
        time: str = "ts",
        left_on: str | None = None,
        right_on: str | None = None,
        direction: str = "backward",
        tolerance: Any = None,
        allow_exact_matches: bool = True,
        suffixes: Sequence[str] = ("", "_right"),
        unfinished: bool = False,
        unit: str | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        by: Any = ...,
        on: Any = ...,
    ) -> Flow:
        """Append the columns of the row of another feed that held as of each row's time.

        The arguments are those of `fintech_toolkit.asof_join`.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        options = AsOf.checked(
            symbol,
            time,
            left_on,
            right_on,
            direction,
            tolerance,
            allow_exact_matches,
            suffixes,
            unfinished,
            unit,
            columns,
            by,
            on,
        )
        return Flow(AsOfJoin(self.node, _flow(right, "asof_join").node, options))

    def __call__(self, *, without: Collection[str] = (), **inputs: Any) -> Any:
        """Run on all there is of each input.

        Parameters
        ----------
        without : collection of str
            Rules that are left out; see `explain`.
        **inputs : frame or path
            Each source by its name: pandas frames, Arrow tables (or what offers Arrow's stream, as Polars frames do),
            Dask frames, or paths and URLs of files or folders of Parquet or CSV, of which only what is needed is read.
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
        given = self._given(inputs)
        if any(map(is_dask, given.values())):
            return self.dask(without=without, **given)
        found = inputs_of(given)
        tree, _ = optimised(self.node, {name: item.names for name, item in found.items()}, without)
        return whole(tree, found)

    def dask(self, *, without: Collection[str] = (), **inputs: Any) -> Any:
        """Return the lazy Dask frame of what the flow gives, also where all inputs are paths.

        Parameters and errors are those of a call; of references that are pandas frames, every worker gets a copy.
        """
        from fintech_toolkit.engines.dask import dataflow

        return dataflow.run(self.node, self._given(inputs), without)

    def start(self, state: FlowState | str | os.PathLike[str] | None = None) -> FlowRun:
        """Return a run that goes on, frame by frame, from a state, a file in which one was saved, or from nothing.

        Raises
        ------
        StateError
            If no node of the flow is in the state, or the file is not a saved one.
        """
        return FlowRun(self.node, FlowState.load(state) if isinstance(state, str | os.PathLike) else state)

    def live(self, **streams: Any) -> Any:
        """Return a streamz stream of what the flow gives of streams of frames.

        Parameters
        ----------
        **streams : streamz.Stream or frame
            Each source by its name. A reference may be a frame, which stays what it is.

        Raises
        ------
        ParameterError, PipelineError
            If a source is not given, or cannot be a stream.
        """
        from fintech_toolkit.engines.live import dataflow

        return dataflow.live(self.node, self._given(streams))

    def explain(self, *, without: Collection[str] = (), **inputs: Any) -> FlowPlan:
        """Return the flow as it was written and as it would run, what each rule did, what is read, and how it runs on
        Dask. Nothing is computed; of files footers are read.

        Parameters and errors are those of a call. Of inputs that are not given, lists of their columns will do.
        """
        given = {name: Names(value) if is_names(value) else value for name, value in self._given(inputs).items()}
        if any(map(is_dask, given.values())):
            from fintech_toolkit.engines.dask import dataflow

            return dataflow.explain(self.node, given, without)
        return flow_plan.explain(self.node, inputs_of(given), without)

    def _given(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        known = sources(self.node)
        for name in inputs:
            if name not in known:
                raise ParameterError(f"The flow has no source {name!r}. {did_you_mean(name, known)}")
        missing = [name for name in known if name not in inputs]
        if missing:
            raise ParameterError(f"Source {missing[0]!r} is not given; the flow reads {', '.join(map(repr, known))}.")
        return dict(inputs)

    @property
    def sources(self) -> list[str]:
        """The names of its inputs."""
        return sources(self.node)

    def to_json(self) -> str:
        """Return the flow as JSON, from which `from_json` makes it again."""
        return json.dumps(to_data(self.node), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Flow:
        """Return the flow that `to_json` wrote.

        Raises
        ------
        PipelineError, KernelError
            If the text is no flow, or a kernel of the user's own is not loaded; nothing is imported for it.
        """
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, TypeError) as error:
            raise PipelineError(f"This is not a flow's JSON: {error}.") from error
        return cls(from_data(data))

    def to_yaml(self) -> str:
        """Return the flow as YAML, from which `from_yaml` makes it again."""
        import yaml

        return str(yaml.safe_dump(to_data(self.node), sort_keys=False))

    @classmethod
    def from_yaml(cls, text: str) -> Flow:
        """Return the flow that `to_yaml` wrote; errors are those of `from_json`."""
        import yaml

        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise PipelineError(f"This is not a flow's YAML: {error}.") from error
        return cls(from_data(data))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flow) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def __repr__(self) -> str:
        return flow_plan.text(self.node)

    def _repr_html_(self) -> str:
        return flow_plan.html(self.node)


def _flow(value: Any, what: str) -> Flow:
    if not isinstance(value, Flow):
        raise ParameterError(f"{what} takes a flow, such as ft.source('quotes'), not {type(value).__name__}.")
    return value


def _names(names: Any, what: str) -> tuple[str, ...]:
    if len(names) == 1 and not isinstance(names, str) and isinstance(names[0], list | tuple):
        names = names[0]
    listed: tuple[str, ...] = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) for name in listed) or len(set(listed)) < len(listed):
        raise ParameterError(f"{what} takes names of columns, each once; not {listed!r}.")
    return listed


def _keys(on: Any, left_on: Any, right_on: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if (on is None) == (left_on is None and right_on is None) or (left_on is None) != (right_on is None):
        raise ParameterError("A join needs on=…, or left_on=… and right_on=…, to say which columns are equal.")
    ours, theirs = (
        (_names(on, "on="),) * 2 if on is not None else (_names(left_on, "left_on="), _names(right_on, "right_on="))
    )
    if not ours or len(ours) != len(theirs):
        raise ParameterError(f"left_on={left_on!r} and right_on={right_on!r} must name as many columns.")
    return ours, theirs
