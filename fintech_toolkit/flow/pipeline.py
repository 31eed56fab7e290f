"""What a pipeline is: kernels in a row, applied to the ticks of every symbol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from html import escape
from typing import Any, Self

from fintech_toolkit import kernels
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.scan import Scan
from fintech_toolkit.scan.steps import Read, Step
from fintech_toolkit.schema import KNOWN_AT, check_unit, column_names, key_columns, parse_session

FORMAT = 2

OPTIONS: dict[str, Any] = {"symbol": "symbol", "time": "ts", "unit": None, "session": None, "columns": {}}
"""What a pipeline has besides its steps, and what that is if nothing is said."""


class Description:
    """What a pipeline computes: its steps, and what the columns of symbols and times are called. Immutable, pure data.

    `fintech_toolkit.Pipeline`, which says what the parameters mean, is one that can be called.
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
        symbol, time = key_columns(symbol, time, columns)
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
        self.columns = column_names(columns)
        self._check()

    def _check(self) -> None:
        if not self.steps:
            raise PipelineError("A pipeline needs a step, such as ft.midprice().")
        seen: dict[str, Step] = {}
        dtypes: dict[str, Any] = {}
        for j, step in enumerate(self.steps):
            if not isinstance(step, Step):
                raise PipelineError(f"Step {j + 1} is {_not_a_step(step)}")
            if step.kernel.kind == "cross":
                raise PipelineError(
                    f"{step!r} needs all symbols of a time, and a pipeline goes symbol by symbol; give it to "
                    f"ft.cross_section({step!r}), which a pipeline can follow: cross_section | pipeline."
                )
            if j and self.steps[j - 1].kernel.emits:
                raise PipelineError(
                    f"{self.steps[j - 1]!r} emits rows of its own, so it must be the last step; {step!r} follows it."
                )
            for read in step.reads:
                made = dtypes.get(read.name, read.dtype)
                if made != read.dtype and (made.kind, read.dtype.kind) not in (("b", "f"), ("i", "O")):
                    raise PipelineError(
                        f"{step!r} reads {read.name!r} as {read.dtype}, but {seen[read.name]!r} gives {made}; "
                        "dtype= says which, where a kernel has it."
                    )
            for name in step.outputs if not step.kernel.emits else ():
                if name in seen:
                    raise PipelineError(f"{seen[name]!r} and {step!r} both give {name!r}; rename one with .named('…').")
                seen[name] = step
            if not step.kernel.emits:
                dtypes |= step.output_dtypes
            if self.time is None and (step.kernel.asks_for_time or step.kernel.by_time(step.parameters)):
                raise PipelineError(f"{step!r} needs event times; time=None leaves it without them.")
        for name in self.gives if self.emits else ():
            if self.gives.count(name) > 1:
                raise PipelineError(
                    f"The rows of {self.steps[-1]!r} would have two columns called {name!r}; rename one."
                )

    @cached_property
    def scans(self) -> list[Scan]:
        """The steps, ready to run; of one with lists of parameters those of each set."""
        return [Scan(part, session=self.session is not None) for step in self.steps for part in step.parts]

    @cached_property
    def wires(self) -> list[tuple[Scan, list[int]]]:
        """The scans, each with where the columns that it reads stand: those of `source_reads` come first, then what the
        scans give, one after the other.
        """
        places: dict[Read | str, int] = {read: j for j, read in enumerate(self.source_reads)}
        wires = []
        for scan in self.scans:
            wires.append((scan, [places.get(read.name, places.get(read, -1)) for read in scan.reads]))
            for name in () if scan.emits else scan.gives:
                places[name] = len(places)
        return wires

    @cached_property
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

    def told(self, where: str, freely: str = "") -> tuple[tuple[str, str], ...]:
        """Return for a plan each step, and where it runs: one with a state, and one that needs none."""
        return tuple(
            (repr(step), f"{freely or where}, needs no state" if step.kernel.stateless else where)
            for step in self.steps
        )

    def source(self, name: str) -> str:
        """Return the frame's name of a column."""
        return self.columns.get(name, name)

    def __or__(self, other: Description | Step) -> Self:
        """Return this pipeline followed by another one with the same options, or by a step."""
        if not isinstance(other, Description):
            return self.with_steps([*self.steps, other])
        mine, theirs = self._options(), other._options()
        for name in OPTIONS:
            if mine[name] != theirs[name]:
                raise PipelineError(
                    f"These pipelines do not fit together: {name}={mine[name]!r} and {name}={theirs[name]!r}. Make "
                    "both with the same options, or give the steps of one of them as they are: pipeline | step."
                )
        return self.with_steps([*self.steps, *other.steps])

    def __ror__(self, step: Step) -> Self:
        return self.with_steps([step, *self.steps])

    def with_steps(self, steps: Iterable[Step]) -> Self:
        """Return a pipeline of other steps with the same options."""
        return type(self)(*steps, **self._options())

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in OPTIONS}

    def to_json(self) -> str:
        """Return the pipeline as JSON, from which `from_json` makes it again."""
        steps = [step.to_dict() for step in self.steps]
        return json.dumps({"format": FORMAT, **self._options(), "steps": steps}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
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
            steps = [step_from_dict(step) for step in data["steps"]]
            options = {name: data[name] for name in OPTIONS}
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise PipelineError(f"This is not a pipeline's JSON: {error}.") from error
        return cls(*steps, **options)

    @cached_property
    def identity(self) -> str:
        """What tells this pipeline from others; a state belongs to one."""
        return self.to_json()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Description) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __reduce__(self) -> Any:
        # A pipeline travels as its names and parameters, never as compiled code; kernels of the user's own beside it.
        return _arrived, (type(self), self.identity, tuple(step.kernel for step in self.steps if step.kernel.own))

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


def step_from_dict(data: Mapping[str, Any]) -> Step:
    """Return the step that `Step.to_dict` wrote."""
    kernel = kernels.loaded(data["kernel"], data.get("digest"))
    made = kernel.step(*data["columns"], **data["parameters"]).with_resolved(data["resolved"])
    return made.renamed(data["names"]) if data["names"] else made


@lru_cache(maxsize=64)
def _arrived(kind: type[Description], text: str, own: tuple[Kernel, ...]) -> Description:
    """Return the pipeline that has travelled here; kernels are known from when they have arrived."""
    return kind.from_json(text)


def _not_a_step(given: Any) -> str:
    """Say what stands in place of a step, and how to make it one."""
    if isinstance(given, Kernel):
        return f"the kernel {given.name} itself, not a step; call it, with column names: ft.{given.name}(…)."
    if isinstance(given, list | tuple):
        return f"a {type(given).__name__}, not a step; give steps one by one: Pipeline(*steps)."
    if isinstance(given, str) and given in kernels.places():
        return f"{given!r}, not a step; call the kernel, with column names: ft.{given}(…)."
    return f"{given!r}, not a step; call a kernel with column names: ft.ewma('mid', span=20)."
