"""A kernel on named columns: what pipelines are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from fintech_toolkit.errors import PipelineError

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel


class Read(NamedTuple):
    """A column as a step reads it: its name, what the kernel takes it for, its dtype there, and whether integers may be
    missing.
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
        The parameters that the user gave, each in one spelling: Python numbers, durations such as ``"5s"``.
    resolved : tuple of (str, number)
        What the compiled loop takes for them. A step that travels keeps these: elsewhere, ``exp`` may differ in the
        last bit.
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
        """How many columns each variadic read stands for."""
        return self.kernel.width_of(len(self.columns))

    @cached_property
    def reads(self) -> list[Read]:
        """The columns that it reads, as it reads them."""
        columns = zip(self.columns, self.kernel.input_columns(self.width), strict=True)
        return [Read(name, column.name, column.dtype, self.kernel.integers) for name, column in columns]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the columns it gives."""
        return self.names or tuple(self.kernel.output_names(self.width))

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the user gave."""
        return dict(self.given)

    def named(self, *names: str) -> Step:
        """Return the step with other output names: one per output, or one prefix for several.

        Examples
        --------
        >>> import fintech_toolkit as ft
        >>> ft.ewma("mid", span=9).named("fast").outputs
        ('fast',)
        >>> ft.macd("mid").named("slow").outputs
        ('slow_macd', 'slow_signal', 'slow_hist')
        """
        defaults = self.kernel.output_names(self.width)
        if len(names) == 1 and len(defaults) > 1:
            names = tuple(f"{names[0]}_{name}" for name in defaults)
        if len(names) != len(defaults) or not all(isinstance(name, str) and name for name in names):
            raise PipelineError(f"{self.kernel.name} gives {len(defaults)} columns; got names {names!r}.")
        return replace(self, names=tuple(names))

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
        if mine.keys() != numbers.keys() or not all(
            math.isclose(numbers[name], value, rel_tol=1e-12) for name, value in mine.items()
        ):
            raise PipelineError(f"{self!r} stands for {mine}, not for {dict(numbers)}.")
        return replace(self, resolved=tuple((name, numbers[name]) for name in mine))

    def __repr__(self) -> str:
        arguments = [repr(column) for column in self.columns] + [f"{name}={value!r}" for name, value in self.given]
        renamed = f".named({', '.join(map(repr, self.names))})" if self.names else ""
        return f"{self.kernel.name}({', '.join(arguments)}){renamed}"
