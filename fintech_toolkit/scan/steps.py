"""A kernel on named columns: what pipelines are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from fintech_toolkit.errors import PipelineError
from fintech_toolkit.scan.sets import Several, chosen, count_of, each_set, suffixes

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel


class Read(NamedTuple):
    """A column as a step reads it: its name, what the kernel takes it for ("" for names, which may be any), its dtype
    there (object for names, of which loops see keys), and whether integers may be missing.
    """

    name: str
    role: str
    dtype: np.dtype[Any]
    nullable: bool


@dataclass(frozen=True)
class Step:
    """A kernel on named columns, as part of a pipeline: what a kernel gives when it is called with column names.

    Attributes
    ----------
    kernel : Kernel
        What it computes.
    columns : tuple of str
        The columns that it reads.
    given : tuple of (str, object)
        The parameters that the user gave, each in one spelling: Python numbers, durations such as ``"5s"``; of lists,
        `Several` of such, all of one length.
    resolved : tuple of (str, number)
        What the compiled loop takes for them; of each `Several`, where there are lists. A step that travels keeps
        these: elsewhere, ``exp`` may differ in the last bit.
    names : tuple of str
        The columns that it gives, if `named` has renamed them.
    """

    kernel: Kernel
    columns: tuple[str, ...]
    given: tuple[tuple[str, Any], ...] = ()
    resolved: tuple[tuple[str, Any], ...] = ()
    names: tuple[str, ...] = ()

    in_a_row: ClassVar[Callable[..., Any]]
    """What makes a pipeline of steps: set by the facade, since a step knows none."""

    def __or__(self, other: Any) -> Any:
        """Return the pipeline of this step and the next."""
        return NotImplemented if hasattr(other, "__ror__") else Step.in_a_row(self, other)

    @property
    def width(self) -> int:
        """How many columns a starred one of its kernel stands for."""
        return self.kernel.width(len(self.columns), self.parameters)

    @cached_property
    def reads(self) -> list[Read]:
        """The columns that it reads, as it reads them."""
        columns = zip(self.columns, self.kernel.input_columns(self.width), strict=True)
        return [Read(name, column.role, column.dtype, self.kernel.integers) for name, column in columns]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the columns it gives; of each set of parameters those that a step of its own would."""
        return self.names or tuple(self._suffixed(self.kernel.output_names(self.width)))

    @property
    def output_dtypes(self) -> dict[str, np.dtype[Any]]:
        """The dtypes of those columns, by name."""
        return dict(zip(self.outputs, self.kernel.output_dtypes(self.width) * max(self.sets, 1), strict=True))

    def _suffixed(self, names: Iterable[str]) -> list[str]:
        if not self.sets:
            return list(names)
        names = list(names)
        return [f"{name}_{suffix}" for suffix in suffixes(self.given) for name in names]

    @cached_property
    def sets(self) -> int:
        """How many sets of parameters it is computed for; 0 if none of them is a list."""
        return count_of(self.given)

    @cached_property
    def parts(self) -> list[Step]:
        """The step of each set of parameters, under the names that its columns have here; without lists, this one.

        Each is a scan of its own. What a scan costs is the arithmetic of its kernel: a loop over all sets in each tick
        saves little by reading the tick once, and loses more by states that do not fit into a core's cache together.
        """
        if not self.sets:
            return [self]
        given, resolved = each_set(self.given, self.sets), each_set(self.resolved, self.sets)
        columns = len(self.outputs) // self.sets
        names = [self.outputs[j : j + columns] for j in range(0, len(self.outputs), columns)]
        return [replace(self, given=g, resolved=r, names=n) for g, r, n in zip(given, resolved, names, strict=True)]

    def giving(self, wanted: set[str]) -> Step:
        """Return the step for those sets of its parameters that give a column that is wanted."""
        sets = [j for j, part in enumerate(self.parts) if wanted.intersection(part.outputs)]
        if not self.sets or len(sets) == self.sets:
            return self
        names = tuple(name for j in sets for name in self.parts[j].outputs)
        return replace(self, given=chosen(self.given, sets), resolved=chosen(self.resolved, sets), names=names)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the user gave."""
        return dict(self.given)

    def named(self, *names: str) -> Step:
        """Return the step with other output names: one per output, or one prefix for several. Where parameters are
        lists, their values are appended to these, unless there is a name for each column.

        Examples
        --------
        >>> import fintech_toolkit as ft
        >>> ft.ewma("mid", span=9).named("fast").outputs
        ('fast',)
        >>> ft.macd("mid").named("slow").outputs
        ('slow_macd', 'slow_signal', 'slow_hist')
        >>> ft.ewma("mid", span=[9, 20]).named("fast").outputs
        ('fast_9', 'fast_20')
        """
        defaults = self.kernel.output_names(self.width)
        if len(names) == 1 and len(defaults) > 1:
            names = tuple(f"{names[0]}_{name}" for name in defaults)
        if len(names) == len(defaults):
            names = tuple(self._suffixed(names))
        return self.renamed(names)

    def renamed(self, names: Iterable[str]) -> Step:
        """Return the step with such names of its columns.

        Raises
        ------
        PipelineError
            If it has more columns, or fewer, or a name is none.
        """
        names = tuple(names)
        if len(names) != len(self.outputs) or not all(isinstance(name, str) and name for name in names):
            raise PipelineError(f"{self.kernel.name} gives {len(self.outputs)} columns; got names {names!r}.")
        return replace(self, names=names)

    def to_dict(self) -> dict[str, Any]:
        """Return what a pipeline's JSON says of the step; of the user's own kernels, with the digest of which it is."""
        return {
            "kernel": self.kernel.name,
            "columns": self.columns,
            "parameters": self.parameters,
            "resolved": dict(self.resolved),
            "names": self.names,
            **({"digest": self.kernel.digest} if self.kernel.own else {}),
        }

    def with_resolved(self, numbers: Mapping[str, Any]) -> Step:
        """Return the step with the numbers that its parameters were resolved to where it was made.

        Raises
        ------
        PipelineError
            If they are not those of these parameters.
        """
        mine = dict(self.resolved)
        theirs = {name: Several(value) if isinstance(value, list) else value for name, value in numbers.items()}
        if mine.keys() != theirs.keys() or not all(_close(theirs[name], value) for name, value in mine.items()):
            raise PipelineError(f"{self!r} stands for {mine}, not for {theirs}.")
        return replace(self, resolved=tuple((name, theirs[name]) for name in mine))

    def __repr__(self) -> str:
        given = [(name, list(value) if isinstance(value, tuple) else value) for name, value in self.given]
        arguments = [repr(column) for column in self.columns] + [f"{name}={value!r}" for name, value in given]
        renamed = f".named({', '.join(map(repr, self.names))})" if self.names else ""
        return f"{self.kernel.name}({', '.join(arguments)}){renamed}"


def _close(ours: Any, theirs: Any) -> bool:
    """Whether two numbers, or several, differ by no more than rounding."""
    if isinstance(ours, Several) and isinstance(theirs, Several):
        return len(ours) == len(theirs) and all(map(_close, ours, theirs))
    return math.isclose(ours, theirs, rel_tol=1e-12)
