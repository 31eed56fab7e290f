"""Pipelines: kernels in a row, on any kind of frame."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from fintech_toolkit import kernels
from fintech_toolkit.engines.frames import is_dask
from fintech_toolkit.engines.runner import Run
from fintech_toolkit.engines.sessions import parse_session
from fintech_toolkit.engines.state import State
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.scan import Scan
from fintech_toolkit.scan.steps import Read, Step
from fintech_toolkit.schema import AHEAD, KNOWN_AT, check_unit

if TYPE_CHECKING:
    from fintech_toolkit.live.states import LiveState

FORMAT = 2

OPTIONS: dict[str, Any] = {"symbol": "symbol", "time": "ts", "unit": None, "session": None, "columns": {}}
"""What a pipeline has besides its steps, and what that is if nothing is said."""


class Pipeline:
    """Kernels applied one after the other to the ticks of every symbol.

    Immutable. The same pipeline runs on a pandas frame, an Arrow table or batch, a dict of arrays, a Dask frame and a
    live stream, and gives the same numbers to the last bit.

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
        Names in the frame of columns that the steps know by other names, such as ``{"bid": "best_bid"}``.

    Raises
    ------
    PipelineError
        If there is no step, one is not a step, or they do not fit together: two give the same column, one stands after
        an event step or reads another type than an earlier one gives.

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

    def __init__(
        self,
        *steps: Step,
        symbol: str | None = "symbol",
        time: str | None = "ts",
        unit: str | None = None,
        session: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        for option, name in (("symbol", symbol), ("time", time)):
            if name is not None and not isinstance(name, str):
                raise PipelineError(f"{option}={name!r} must be the name of a column, or None.")
        if symbol is not None and symbol == time:
            raise PipelineError(f"symbol= and time= are both {time!r}; they must be two columns.")
        check_unit(unit)
        if session is not None:
            parse_session(session)
        if session is not None and time is None:
            raise PipelineError("Sessions need a time column; time=None leaves them without one.")
        if unit is not None and time is None:
            raise PipelineError("unit= is that of a time column; time=None leaves it without one.")
        self.steps = tuple(steps)
        self.symbol = symbol
        self.time = time
        self.unit = unit
        self.session = session
        self.columns = _checked_names(columns)
        self._check()

    def _check(self) -> None:
        if not self.steps:
            raise PipelineError("A pipeline needs a step, such as ft.midprice().")
        seen: dict[str, Step] = {}
        dtypes: dict[str, Any] = {}
        for j, step in enumerate(self.steps):
            if not isinstance(step, Step):
                raise PipelineError(f"Step {j + 1} is {_not_a_step(step)}")
            if j and self.steps[j - 1].kernel.emits:
                raise PipelineError(
                    f"{self.steps[j - 1]!r} emits rows of its own, so it must be the last step; {step!r} follows it."
                )
            for read in step.reads:
                made = dtypes.get(read.name, read.dtype)
                if made != read.dtype and (made.kind, read.dtype.kind) != ("b", "f"):
                    raise PipelineError(
                        f"{step!r} reads {read.name!r} as {read.dtype}, but {seen[read.name]!r} gives {made}; "
                        "dtype= says which, where a kernel has it."
                    )
            for name in step.outputs if not step.kernel.emits else ():
                if name in seen:
                    raise PipelineError(f"{seen[name]!r} and {step!r} both give {name!r}; rename one with .named('…').")
                seen[name] = step
            if not step.kernel.emits:
                dtypes |= dict(zip(step.outputs, step.kernel.output_dtypes(step.width), strict=True))
            if self.time is None and (step.kernel.asks_for_time or step.kernel.by_time(step.parameters)):
                raise PipelineError(f"{step!r} needs event times; time=None leaves it without them.")
        for name in self.gives if self.emits else ():
            if self.gives.count(name) > 1:
                raise PipelineError(
                    f"The rows of {self.steps[-1]!r} would have two columns called {name!r}; rename one."
                )

    @cached_property
    def scans(self) -> list[Scan]:
        """The steps, ready to run."""
        return [Scan(step, session=self.session is not None) for step in self.steps]

    @property
    def emits(self) -> bool:
        """Whether it gives rows of its own instead of more columns."""
        return self.steps[-1].kernel.emits

    @property
    def stateless(self) -> bool:
        """Whether a row's result depends on that row alone."""
        return all(step.kernel.stateless for step in self.steps)

    @cached_property
    def gives(self) -> list[str]:
        """The columns that it appends (or, if it ends in an event step, those of its rows)."""
        if self.emits:
            return [
                *([self.symbol] if self.symbol else []),
                *self.steps[-1].outputs,
                *([KNOWN_AT] if self.time else []),
            ]
        return [name for step in self.steps for name in step.outputs]

    @cached_property
    def source_reads(self) -> list[Read]:
        """The columns of numbers that its steps read and no earlier step gives, as the steps read them."""
        made: set[str] = set()
        reads: dict[Read, None] = {}
        for step in self.steps:
            reads |= {read: None for read in step.reads if read.name not in made}
            made.update(step.outputs)
        return list(reads)

    @cached_property
    def numeric_reads(self) -> list[str]:
        """The names of those columns."""
        return list(dict.fromkeys(read.name for read in self.source_reads))

    @cached_property
    def nullable(self) -> set[str]:
        """Those of its columns that are whole numbers and may be missing."""
        return {name for step in self.steps if step.kernel.integers for name in step.outputs}

    @cached_property
    def reads(self) -> list[str]:
        """The columns that a frame must have."""
        keys = [name for name in (self.symbol, self.time) if name is not None]
        return list(dict.fromkeys([*keys, *map(self.source, self.numeric_reads)]))

    def source(self, name: str) -> str:
        """Return the frame's name of a column."""
        return self.columns.get(name, name)

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
            from fintech_toolkit.engines import distributed

            return distributed.apply(self, frame, plan=plan)[0]
        return Run(self).whole(frame, plan=plan)

    def start(self, state: State | str | os.PathLike[str] | None = None) -> Run:
        """Return a run that continues, frame by frame, from a state, a file in which one was saved, or from nothing.

        Raises
        ------
        StateError
            If the state belongs to another pipeline, or the file is not a saved state.
        """
        if isinstance(state, str | os.PathLike):
            state = State.load(state)
        return Run(self, state)

    def explain(self, frame: Any, plan: str | None = None) -> Any:
        """Return how the pipeline would run on a Dask frame: which plan, why, and where each step runs. Nothing is
        computed.
        """
        from fintech_toolkit.engines import distributed

        return distributed.explain(self, frame, plan)

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
        from fintech_toolkit.live.pipeline import PipelineNode
        from fintech_toolkit.live.states import load

        if isinstance(state, str | os.PathLike):
            state = load(state)
        return PipelineNode(stream, self, state, ahead)

    def __or__(self, other: Pipeline | Step) -> Pipeline:
        """Return this pipeline followed by another one, or by a step."""
        if isinstance(other, Step):
            return self._with([*self.steps, other])
        if not isinstance(other, Pipeline):
            return NotImplemented
        mine, theirs = self._options(), other._options()
        if mine != theirs:
            raise PipelineError(f"These pipelines do not fit together: {mine} and {theirs}.")
        return self._with([*self.steps, *other.steps])

    def __ror__(self, step: Step) -> Pipeline:
        return self._with([step, *self.steps]) if isinstance(step, Step) else NotImplemented

    def _with(self, steps: Iterable[Step]) -> Pipeline:
        return Pipeline(*steps, **self._options())

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in OPTIONS}

    def to_json(self) -> str:
        """Return the pipeline as JSON, from which `from_json` makes it again."""
        steps = [step.to_dict() for step in self.steps]
        return json.dumps({"format": FORMAT, **self._options(), "steps": steps}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Pipeline:
        """Return the pipeline that `to_json` wrote.

        Raises
        ------
        PipelineError, KernelError
            If the text is not such a pipeline, or a kernel of the user's own is not loaded; nothing is imported for it.
        """
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise PipelineError(
                    f"This pipeline was written in format {data['format']!r}; this version reads {FORMAT}."
                )
            steps = []
            for step in data["steps"]:
                kernel = kernels.loaded(step["kernel"], step.get("digest"))
                made = kernel.step(*step["columns"], **step["parameters"])
                made = made.with_resolved(step["resolved"])
                steps.append(made.named(*step["names"]) if step["names"] else made)
            options = {name: data[name] for name in OPTIONS}
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise PipelineError(f"This is not a pipeline's JSON: {error}.") from error
        return cls(*steps, **options)

    @cached_property
    def identity(self) -> str:
        """What tells this pipeline from others; a state belongs to one."""
        return self.to_json()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __reduce__(self) -> Any:
        # A pipeline travels as its names and parameters, never as compiled code; kernels of the user's own beside it.
        return _arrived, (self.identity, tuple(step.kernel for step in self.steps if step.kernel.own))

    def __dask_tokenize__(self) -> str:
        return self.identity

    def __repr__(self) -> str:
        options = [f"{name}={value!r}" for name, value in self._options().items() if value != OPTIONS[name]]
        return "Pipeline(\n" + "".join(f"    {item},\n" for item in [*map(repr, self.steps), *options]) + ")"

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th style='text-align:left'>{title}</th>" for title in ("step", "reads", "gives", "warm-up", "stateless")
        )
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td style='text-align:left'>{escape(cell)}</td>"
                for cell in (
                    repr(step),
                    ", ".join(step.columns),
                    ", ".join(step.outputs),
                    step.kernel.warmup,
                    "yes" if step.kernel.stateless else "no",
                )
            )
            + "</tr>"
            for step in self.steps
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


@lru_cache(maxsize=64)
def _arrived(text: str, own: tuple[Kernel, ...]) -> Pipeline:
    """Return the pipeline that has travelled here; kernels are known from when they have arrived."""
    return Pipeline.from_json(text)


def _checked_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    names = dict(columns) if isinstance(columns, Mapping) else None
    if columns is not None and (
        names is None or not all(isinstance(text, str) for pair in names.items() for text in pair)
    ):
        raise PipelineError(f"columns={columns!r} must say what columns are called: {{'bid': 'best_bid'}}.")
    return names or {}


def _not_a_step(given: Any) -> str:
    """Say what stands in place of a step, and how to make it one."""
    if isinstance(given, Kernel):
        return f"the kernel {given.name} itself, not a step; call it, with column names: ft.{given.name}(…)."
    if isinstance(given, list | tuple):
        return f"a {type(given).__name__}, not a step; give steps one by one: Pipeline(*steps)."
    if isinstance(given, str) and given in kernels.registry():
        return f"{given!r}, not a step; call the kernel, with column names: ft.{given}(…)."
    return f"{given!r}, not a step; call a kernel with column names: ft.ewma('mid', span=20)."
