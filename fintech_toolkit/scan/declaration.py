"""How a kernel is declared: one plain function of one tick, and what else there is to say; `authoring` says how."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fintech_toolkit.errors import ColumnError, KernelError, ParameterError, PipelineError, did_you_mean
from fintech_toolkit.scan.across import names_only
from fintech_toolkit.scan.columns import TypedColumn
from fintech_toolkit.scan.documentation import CALLS, document, signature
from fintech_toolkit.scan.fingerprint import digest_of
from fintech_toolkit.scan.parameters import Levels, Parameter, Window, sweep_shape
from fintech_toolkit.scan.sets import bind_parameters
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.schema import CANONICAL

Function = Callable[..., Any]
Fields = tuple[tuple[Any, ...], ...]
LIBRARY = "fintech_toolkit.kernels."


class Derived:
    """An attribute that is made of a kernel's declaration when somebody looks at it, so that no import pays for it. The
    class has one of its own, or none.
    """

    def __init__(self, derive: Callable[[Kernel], Any], of_class: Any = None) -> None:
        self.derive, self.of_class = derive, of_class

    def __get__(self, kernel: Kernel | None, owner: type[Kernel]) -> Any:
        if kernel is not None:
            return self.derive(kernel)
        if self.of_class is None:
            raise AttributeError
        return self.of_class


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel's declaration; a call of it means what its arguments say.

    - Names of columns, or nothing where columns have default names: a step of a pipeline; of a parameter that is a
      list, columns for each of its values.
    - A frame and names of its columns, or names by default: the frame with the kernel's columns appended (or the rows
      that it emits), as from a pipeline of this one step. `symbol` and `time` name columns, as in `Pipeline`.
    - A pandas frame alone, with neither a column ``symbol`` nor the kernel's column by default, where the kernel reads
      one: each of its columns is a series, as for pandas' ``frame.ewm(…).mean()``.
    - Anything else: arrays, Series, frames of series; `symbol` then says whose tick each row is.

    Attributes
    ----------
    name, family, kind : str
        Its public name; the family that its module belongs to; tick, window, event, pair, cross, plan or matrix.
    inputs : tuple of TypedColumn
        The columns that it reads. A canonical name is the default column; the last may stand for any number of them.
    outputs : tuple of TypedColumn
        The columns that it gives.
    warmup : str
        When the first result can be expected.
    source : str
        The paper, standard or library that defines it.
    cases : tuple of mapping
        Parameters under which its contract is tested.
    integers : bool
        Whether it reads and gives whole numbers, of which the least int64 is a missing one (see `exact`).
    """

    __doc__ = Derived(document, __doc__)
    __signature__ = Derived(signature)

    function: Function
    kind: str
    inputs: tuple[TypedColumn, ...]
    outputs: tuple[TypedColumn, ...]
    parameters: tuple[Parameter, ...] = ()
    state: Fields = ()
    slots: Fields = ()
    memory: tuple[str, ...] = ()
    enter: Function | None = None
    leave: Function | None = None
    slide: Function | None = None
    prepare: Function | None = None
    series: Function | None = None
    enters: tuple[TypedColumn, ...] = ()
    flush: Function | None = None
    skips_missing: bool = True
    drifts: bool = False
    warmup: str = "none"
    source: str = ""
    aliases: tuple[str, ...] = ()
    cases: tuple[Mapping[str, Any], ...] = ({},)
    integers: bool = False
    per_stamp: bool = False
    oracles: list[Function] = field(default_factory=list, repr=False)
    twins: dict[str, Kernel] = field(default_factory=dict, repr=False)

    on_data: ClassVar[Callable[[Kernel, tuple[Any, ...], dict[str, Any]], Any]]
    """What a call with arrays or a frame does: set by the facade, since a declaration knows neither."""
    on_declared: ClassVar[Callable[[Kernel], None]]
    """What is done about a kernel of the user's own when it is declared: set by the facade too, which knows all."""
    known: ClassVar[dict[tuple[str, str], Kernel]] = {}
    """The kernels of the user's own that this process has used, by name and digest, those replaced by now too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "__wrapped__", self.function)
        object.__setattr__(self, "__module__", self.function.__module__)
        object.__setattr__(self, "__name__", self.name)
        object.__setattr__(self, "__qualname__", self.name)

    @property
    def name(self) -> str:
        """The public name."""
        return self.function.__name__

    @property
    def family(self) -> str:
        """The family, after the package that its module is in; "own" if it is the user's."""
        return "own" if self.own else self.function.__module__.split(".")[2].replace("_", " ")

    @cached_property
    def own(self) -> bool:
        """Whether it is the user's own, and not one of the library."""
        return not self.function.__module__.startswith(LIBRARY)

    @cached_property
    def digest(self) -> str:
        """What tells a kernel of the user's own from others of its name: a digest of what it is made of, taken at its
        first use.
        """
        digest = digest_of(self)
        Kernel.known.setdefault((self.name, digest), self)
        return digest

    def check_unchanged(self) -> None:
        """Raise if a helper or a constant of the user's own kernel is no longer what it was at its first use.

        Raises
        ------
        KernelError
            If so: compiled code still has the old one.
        """
        if self.own and self.digest != digest_of(self):
            raise KernelError(
                f"{self.name} uses a helper or a constant that has changed since its first use; declare the kernel "
                "again, too: run its cell, or reload its module."
            )

    def __reduce__(self) -> Any:
        # A kernel of the library travels as its name; the user's own by value, as Dask sends functions.
        if not self.own:
            return self.name
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "oracles"}
        return _arrived, (values, self.digest)

    @cached_property
    def tickwise(self) -> bool:
        """Whether it is run tick by tick; a plan or a matrix is a function of arrays, `cross` needs all of a time."""
        return self.kind not in ("plan", "matrix", "cross")

    @property
    def stateless(self) -> bool:
        """Whether a row's result depends on that row alone."""
        return not self.state and not self.has_slots and self.kind != "cross"

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
        return bool(self.inputs) and self.inputs[-1].variadic

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

    @cached_property
    def asks_for_time(self) -> bool:
        """Whether one of its functions takes ``ts``."""
        functions = (self.function, self.enter, self.leave, self.slide, self.prepare, self.flush)
        return any("ts" in inspect.signature(function).parameters for function in functions if function)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The names of what it reads, as its function takes them."""
        return tuple(column.name for column in self.inputs)

    @cached_property
    def groups(self) -> int:
        """How many variadic reads it has; each stands for as many columns as the others."""
        return sum(column.variadic for column in self.inputs)

    def input_columns(self, width: int) -> list[TypedColumn]:
        """Return the columns that it reads, `width` of them through each variadic read."""
        return [column for column in self.inputs for _ in range(width if column.variadic else 1)]

    def input_names(self, width: int) -> list[str]:
        """Return the names of the columns that it reads."""
        return [column.name for column in self.input_columns(width)]

    def input_count(self, width: int) -> int:
        """Return how many columns it reads."""
        return len(self.input_columns(width))

    @cached_property
    def levels(self) -> Levels | None:
        """The parameter that says how many columns each starred output stands for, if it is one that does."""
        return next((parameter for parameter in self.parameters if isinstance(parameter, Levels)), None)

    def width(self, columns: int, given: Mapping[str, Any]) -> int:
        """Return how many columns a starred one stands for, where so many are read and these parameters are given."""
        if self.levels is not None:
            return int(self.levels.check(given.get(self.levels.name, self.levels.default)))
        return max((columns - len(self.inputs)) // self.groups + 1, 1) if self.variadic else 0

    def output_columns(self, width: int) -> list[tuple[str, np.dtype[Any]]]:
        """Return the names and dtypes of the columns it gives."""
        columns = []
        for column in self.outputs:
            names = [f"{column.name}_{j}" for j in range(1, width + 1)] if column.variadic else [column.name]
            columns += [(name, column.dtype) for name in names]
        return columns

    def output_names(self, width: int) -> list[str]:
        """Return the names of the columns it gives."""
        return [name for name, _ in self.output_columns(width)]

    def output_dtypes(self, width: int) -> list[np.dtype[Any]]:
        """Return the dtypes of the columns it gives."""
        return [dtype for _, dtype in self.output_columns(width)]

    @cached_property
    def fills(self) -> bool:
        """Whether it fills a record with what it gives for a row, instead of returning it."""
        return self.emits or any(column.variadic for column in self.outputs)

    def filled_dtype(self, width: int) -> np.dtype[Any]:
        """The record that it fills: what it gives for a row, starred columns as arrays."""
        fields = [(column.name, column.dtype, (width,) if column.variadic else ()) for column in self.outputs]
        return np.dtype(fields, align=True)

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

        def integers(columns: tuple[TypedColumn, ...]) -> tuple[TypedColumn, ...]:
            return tuple(replace(column, dtype=np.dtype("i8")) for column in columns)

        function.__name__, function.__doc__ = self.name, self.function.__doc__
        self.twins["int64"] = replace(
            self,
            function=function,
            inputs=integers(self.inputs),
            outputs=integers(self.outputs),
            enters=integers(self.enters),
            state=whole(self.state),
            slots=whole(self.slots),
            integers=True,
            series=None,
            twins={},
        )
        return function

    def variant(self, given: Mapping[str, Any]) -> Kernel:
        """Return the kernel for the user's `dtype`: itself, or its twin for whole numbers."""
        dtype = given.get("dtype")
        return self.twins.get(dtype, self) if isinstance(dtype, str) else self

    def __call__(self, *columns: Any, **keywords: Any) -> Any:
        if not self.tickwise:
            if self.kind == "cross":
                return self.step(*names_only(self, columns), **keywords)
            return self.function(*columns, **keywords)
        if self.own:
            self.check_unchanged()
        if columns and type(columns[0]) is np.ndarray:
            return Kernel.on_data(self, columns, keywords)
        if keywords.get("symbol") is None and all(isinstance(column, str) for column in columns):
            named = [keywords[name] for name in (*self._read_keywords(), "ts") if name in keywords]
            if all(isinstance(column, str) for column in named):
                return self.step(*columns, **keywords)
        return Kernel.on_data(self, columns, keywords)

    def _read_keywords(self) -> list[str]:
        return [column.name for column in self.inputs if not column.variadic]

    def bind_columns(self, columns: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        """Take the columns out of a call, by position and by name, defaults where canonical."""
        names = self._read_keywords()
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
        if self.variadic and len(rest) % self.groups:
            reads = ", then of ".join(map(str, self.inputs[-self.groups :]))
            raise ColumnError(f"{self.name} needs as many columns of {reads}; got {len(rest)} columns for these.")
        return [bound[name] for name in names] + rest

    def step(self, *columns: str, **keywords: Any) -> Step:
        """Return this kernel as a step of a pipeline, on columns by name."""
        bound = self.bind_columns(columns, keywords)
        if any(not isinstance(column, str) for column in bound):
            raise ColumnError(f"{self.name}: give either arrays or column names, not both.")
        given, resolved = bind_parameters(self, keywords)
        return Step(self.variant(dict(given)), tuple(bound), given, resolved)


def _arrived(values: dict[str, Any], digest: str) -> Kernel:
    """Return the kernel that has travelled here: the one that is here by now, so that it is compiled once."""
    kernel = Kernel(**values)
    kernel.__dict__["digest"] = digest
    return Kernel.known.setdefault((kernel.name, digest), kernel)
