"""How a kernel is declared: one plain function of one tick, and a decorator that says the rest.

A kernel's function takes its state, then one argument per column that it reads, and then, by name, whichever it
needs of its parameters and of what the engine offers: ``ts`` (event time, ns), ``slots`` (the symbol's own stretch of
the pool).

- `tick_kernel`: ``f(s, x, …) -> outputs``. Without `state` there is no ``s``: the kernel is stateless.
- `window_kernel`: ``enter(s, x)`` and ``leave(s, x)`` say what happens when a value enters and leaves the window;
  the function itself gives the result. The engine keeps the ring and evicts by rows or by time.
- `event_kernel`: ``f(s, row, x, …) -> bool`` fills `row` and returns True, and is called with the same tick again
  (``again`` is then True) until it returns False. ``flush(s, row, …) -> bool`` does the same for what is unfinished.
- A kernel of ``kind="pair"`` is any of these on the ticks of a pair: `to_pairs` made the pair the symbol, and ``leg``
  (0 or 1) says whose tick it is.
- `plain_kernel`: a function of whole arrays, listed with the others (`plan` and `matrix`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fintech_toolkit.errors import ColumnError, ParameterError, PipelineError, did_you_mean
from fintech_toolkit.scan.documentation import CALLS, document, signature
from fintech_toolkit.scan.parameters import Parameter, Window, sweep_shape
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.schema import CANONICAL, dtype_of

Function = Callable[..., Any]
Fields = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel's declaration; a call of it means what its arguments say.

    - Names of columns, or nothing where columns have default names: a step of a pipeline.
    - A frame and names of its columns, or names by default: the frame with the kernel's columns appended (or the rows
      that it emits), as from a pipeline of this one step. `symbol` and `time` name columns, as in `Pipeline`.
    - A pandas frame alone, with neither a column ``symbol`` nor the kernel's column by default, where the kernel reads
      one: each of its columns is a series, as for pandas' ``frame.ewm(…).mean()``.
    - Anything else: arrays, Series, frames of series; `symbol` then says whose tick each row is.

    Attributes
    ----------
    name, family, kind : str
        Its public name; the family that its module belongs to; tick, window, event, pair, plan or matrix.
    reads : tuple of str
        The columns that it reads. A canonical name is the default column; ``"*levels"`` stands for any number of
        columns.
    gives : tuple of (str, str)
        Names and dtypes of its output columns.
    warmup : str
        When the first result can be expected.
    source : str
        The paper, standard or library that defines it.
    cases : tuple of mapping
        Parameters under which its contract is tested.
    integers : bool
        Whether it reads and gives whole numbers, of which the least int64 is a missing one (see `exact`).
    """

    function: Function
    kind: str
    reads: tuple[str, ...]
    gives: tuple[tuple[str, str], ...]
    parameters: tuple[Parameter, ...] = ()
    state: Fields = ()
    slots: Fields = ()
    memory: tuple[str, ...] = ()
    enter: Function | None = None
    leave: Function | None = None
    slide: Function | None = None
    prepare: Function | None = None
    enters: tuple[str, ...] = ()
    flush: Function | None = None
    skips_missing: bool = True
    drifts: bool = False
    warmup: str = "none"
    source: str = ""
    aliases: tuple[str, ...] = ()
    cases: tuple[Mapping[str, Any], ...] = ({},)
    integers: bool = False
    oracles: list[Function] = field(default_factory=list, repr=False)
    twins: dict[str, Kernel] = field(default_factory=dict, repr=False)

    on_data: ClassVar[Callable[[Kernel, tuple[Any, ...], dict[str, Any]], Any]]
    """What a call with arrays or a frame does: set by the facade, since a declaration knows neither."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "__wrapped__", self.function)
        object.__setattr__(self, "__module__", self.function.__module__)
        object.__setattr__(self, "__name__", self.name)
        object.__setattr__(self, "__qualname__", self.name)
        object.__setattr__(self, "__signature__", signature(self))
        object.__setattr__(self, "__doc__", document(self))

    @property
    def name(self) -> str:
        """The public name."""
        return self.function.__name__

    @property
    def family(self) -> str:
        """The family, after the package that its module is in."""
        return self.function.__module__.split(".")[2].replace("_", " ")

    @property
    def stateless(self) -> bool:
        """Whether a row's result depends on that row alone."""
        return not self.state and not self.has_slots

    @property
    def has_slots(self) -> bool:
        """Whether a symbol has a ring or a table of its own besides its record."""
        return bool(self.slots) or self.enter is not None

    @property
    def emits(self) -> bool:
        """Whether it gives rows of its own instead of a value for each row."""
        return self.flush is not None

    @property
    def variadic(self) -> bool:
        """Whether it reads any number of columns."""
        return bool(self.reads) and self.reads[-1].startswith("*")

    @property
    def rebuilt(self) -> tuple[str, ...]:
        """The state's fields that follow from what is in the window alone."""
        return tuple(name for name, *_ in self.state if name not in self.memory)

    @cached_property
    def loop_parameters(self) -> dict[str, str]:
        """Names and dtypes of what the compiled loop takes."""
        names: dict[str, str] = {}
        for parameter in self.parameters:
            names[parameter.name] = parameter.dtype
            if isinstance(parameter, Window) and parameter.min_periods:
                names["min_periods"] = "i8"
        return names

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """The user's keywords and their defaults."""
        return {name: default for parameter in self.parameters for name, default in parameter.keywords.items()}

    def input_dtype(self, name: str) -> np.dtype[Any]:
        """Return the dtype of a column that it reads (or of a value that enters its window)."""
        plain = name.lstrip("*")
        if ":" in plain:
            return np.dtype(plain.split(":")[1])
        return dtype_of(plain)

    @cached_property
    def asks_for_time(self) -> bool:
        """Whether one of its functions takes ``ts``."""
        functions = (self.function, self.enter, self.leave, self.slide, self.prepare, self.flush)
        return any("ts" in inspect.signature(function).parameters for function in functions if function)

    def read_names(self, width: int) -> list[str]:
        """Return what it reads as declared, a variadic read once per column."""
        return [*self.reads[:-1], *[self.reads[-1]] * width] if self.variadic else list(self.reads)

    def input_names(self, width: int) -> list[str]:
        """Return the names of what it reads."""
        return [name.lstrip("*").split(":")[0] for name in self.read_names(width)]

    def input_count(self, width: int) -> int:
        """Return how many columns it reads, `width` of them through its variadic read."""
        return len(self.read_names(width))

    def output_count(self, width: int) -> int:
        """Return how many columns it gives."""
        return len(self.gives) if not self.gives[0][0].endswith("*") else width

    def output_names(self, width: int) -> list[str]:
        """Return the names of the columns it gives."""
        first = self.gives[0][0]
        return [f"{first[:-1]}_{j}" for j in range(width)] if first.endswith("*") else [name for name, _ in self.gives]

    def output_dtypes(self, width: int) -> list[np.dtype[Any]]:
        """Return the dtypes of the columns it gives."""
        dtypes = [np.dtype(kind) for _, kind in self.gives]
        return dtypes * width if self.gives[0][0].endswith("*") else dtypes

    @property
    def row_dtype(self) -> np.dtype[Any]:
        """The record of one emitted row."""
        return np.dtype(list(self.gives), align=True)

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check the user's keywords and return the values of the loop's parameters."""
        for name in given:
            if name not in self.keywords:
                if name in CALLS:
                    raise ParameterError(f"{self.name}: {name}= goes with {CALLS[name]}.")
                raise ParameterError(f"{self.name} has no parameter {name!r}. {did_you_mean(name, self.keywords)}")
        merged = self.keywords | dict(given)
        resolved: dict[str, Any] = {}
        try:
            for parameter in self.parameters:
                resolved |= parameter.resolve(merged)
            sweep_shape(resolved)
        except ParameterError as error:
            raise ParameterError(f"{self.name}: {error}") from None
        return resolved

    def by_time(self, given: Mapping[str, Any]) -> bool:
        """Whether the user's window is a length of time."""
        merged = self.keywords | dict(given)
        return any(isinstance(p, Window) and p.is_duration(merged[p.keyword]) for p in self.parameters)

    def oracle(self, function: Function) -> Function:
        """Register the slow, readable definition that the tests hold this kernel to.

        It takes the columns of one symbol as float arrays (``ts`` as int64) and the user's parameters, and returns the
        outputs: an array, a tuple of arrays, or for events a list of rows (dicts).
        """
        self.oracles.append(function)
        return function

    def exact(self, function: Function) -> Function:
        """Register the function of this kernel's twin for ``dtype="int64"``: whole numbers in, in the state and out,
        which never pass through float64; the least of them (`MISSING`) is a missing one.
        """

        def whole(fields: Fields) -> Fields:
            return tuple((name, "i8" if kind == "f8" else kind, *shape) for name, kind, *shape in fields)

        function.__name__, function.__doc__ = self.name, self.function.__doc__
        self.twins["int64"] = replace(
            self,
            function=function,
            reads=tuple(f"{name}:i8" for name in self.reads),
            enters=tuple(f"{name}:i8" for name in self.enters),
            gives=tuple((name, "i8") for name, _ in self.gives),
            state=whole(self.state),
            slots=whole(self.slots),
            integers=True,
            twins={},
        )
        return function

    def variant(self, given: Mapping[str, Any]) -> Kernel:
        """Return the kernel for the user's `dtype`: itself, or its twin for whole numbers."""
        dtype = given.get("dtype")
        return self.twins.get(dtype, self) if isinstance(dtype, str) else self

    def __call__(self, *columns: Any, **keywords: Any) -> Any:
        if self.kind in ("plan", "matrix"):
            return self.function(*columns, **keywords)
        named = [keywords[name] for name in self._read_keywords() if name in keywords]
        if keywords.get("symbol") is None and all(isinstance(value, str) for value in (*columns, *named)):
            return self.step(*columns, **keywords)
        return Kernel.on_data(self, columns, keywords)

    def _read_keywords(self) -> list[str]:
        return [name.split(":")[0] for name in self.reads if not name.startswith("*")] + ["ts"]

    def bind_columns(self, columns: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        """Take the columns out of a call, by position and by name, defaults where canonical."""
        names = [name.split(":")[0] for name in self.reads if not name.startswith("*")]
        if len(columns) > len(names) and not self.variadic:
            raise PipelineError(f"{self.name} reads {', '.join(names) or 'no columns'}; got {len(columns)} columns.")
        bound: dict[str, Any] = dict(zip(names, columns, strict=False))
        for name in names:
            if name in keywords:
                if name in bound:
                    raise ColumnError(f"{self.name} got column {name!r} twice.")
                bound[name] = keywords.pop(name)
            elif name not in bound:
                if name not in CANONICAL or any(not isinstance(value, str) for value in columns):
                    raise ColumnError(
                        f"{self.name} needs a column for {name!r}, for example {self.name}({name}='mid')."
                    )
                bound[name] = name
        rest = list(columns[len(names) :])
        if self.variadic and not rest:
            raise ColumnError(f"{self.name} needs at least one column.")
        return [bound[name] for name in names] + rest

    def step(self, *columns: str, **keywords: Any) -> Step:
        """Return this kernel as a step of a pipeline, on columns by name."""
        bound = self.bind_columns(columns, keywords)
        if any(not isinstance(column, str) for column in bound):
            raise ColumnError(f"{self.name}: give either arrays or column names, not both.")
        resolved = self.resolve(keywords)
        for name, value in resolved.items():
            if np.ndim(value):
                raise ParameterError(f"{self.name}: {name} must be one value in a pipeline; sweeps work on arrays.")
        given = {
            name: parameter.spelled(keywords[name])
            for parameter in self.parameters
            for name in parameter.keywords
            if keywords.get(name) is not None
        }
        return Step(self.variant(given), tuple(bound), tuple(given.items()), tuple(resolved.items()))


def _tuple(value: str | Iterable[Any]) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _outputs(gives: str | Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Read ``"name"`` or ``"name:dtype"``."""
    return tuple((name, kind or "f8") for name, _, kind in (text.partition(":") for text in _tuple(gives)))


def tick_kernel(*, reads: Any, gives: Any, kind: str = "tick", **rest: Any) -> Callable[[Function], Kernel]:
    """Declare a kernel that gives a value for every tick. See `Kernel` for the keywords."""

    def declare(function: Function) -> Kernel:
        return Kernel(function, kind, _tuple(reads), _outputs(gives), **_frozen(rest))

    return declare


def window_kernel(
    *,
    reads: Any,
    gives: Any,
    enter: Function,
    leave: Function | None = None,
    kind: str = "window",
    **rest: Any,
) -> Callable[[Function], Kernel]:
    """Declare a kernel over a sliding window: what enters, what leaves, and (the function itself) the result.

    `enters` names what goes into the ring if `prepare` makes other values of the tick; `drifts=True` says that
    entering and leaving accumulate rounding errors, so that the engine sums afresh from time to time; `memory` names
    fields of the state that outlive the window.
    """
    names = _tuple(reads)

    def declare(function: Function) -> Kernel:
        rest.setdefault("enters", names)
        return Kernel(function, kind, names, _outputs(gives), enter=enter, leave=leave, **_frozen(rest))

    return declare


def event_kernel(
    *, reads: Any, gives: Any, flush: Function, kind: str = "event", **rest: Any
) -> Callable[[Function], Kernel]:
    """Declare a kernel that emits rows of its own; `flush` emits what is unfinished at the end."""

    def declare(function: Function) -> Kernel:
        return Kernel(function, kind, _tuple(reads), _outputs(gives), flush=flush, **_frozen(rest))

    return declare


def plain_kernel(*, kind: str, reads: Any, gives: Any, source: str) -> Callable[[Function], Kernel]:
    """List a function of whole arrays (`kind` is plan or matrix) with the kernels."""

    def declare(function: Function) -> Kernel:
        return Kernel(function, kind, _tuple(reads), _outputs(gives), source=source)

    return declare


def _frozen(rest: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in rest.items()}
