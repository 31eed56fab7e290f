"""What kernels across symbols have that others have not: further columns, which the user may name; and no arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fintech_toolkit.errors import ColumnError, ParameterError
from fintech_toolkit.scan.parameters import Parameter

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel
    from fintech_toolkit.scan.steps import Step


@dataclass(frozen=True)
class Columns(Parameter):
    """Further columns that a kernel across symbols reads, by name: one, or as many as the user likes; of numbers, or of
    the names of groups.
    """

    sweeps: ClassVar[bool] = False
    default: Any = None
    many: bool = False
    groups: bool = False

    @property
    def type_name(self) -> str:
        return "str or list of str" if self.many else "str"

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        self.names(given[self.name])
        return {}

    def names(self, value: Any) -> tuple[str, ...]:
        """Return the columns that the user gave; none for None."""
        names = tuple(value) if self.many and isinstance(value, list | tuple) else () if value is None else (value,)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            wanted = "names of columns, each once" if self.many else "the name of a column"
            raise ParameterError(f"{self.name}={value!r} must be {wanted}.")
        return names

    def spelled(self, value: Any) -> Any:
        names = self.names(value)
        return names if self.many else names[0]


def further_columns(step: Step) -> dict[Columns, tuple[str, ...]]:
    """Return the columns that a step reads besides its own, by the parameter that names them."""
    return {p: p.names(step.parameters.get(p.name)) for p in step.kernel.parameters if isinstance(p, Columns)}


def names_only(kernel: Kernel, columns: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the columns of a call of a kernel across symbols, which are names.

    Raises
    ------
    ColumnError
        If they are not: an array does not say whose and when its values are.
    """
    if not all(isinstance(column, str) for column in columns):
        raise ColumnError(
            f"{kernel.name} looks at all symbols of a time, so it takes names of columns, and a cross-section "
            f"takes the frame: ft.cross_section(ft.{kernel.name}('{kernel.reads[0]}'))(frame)."
        )
    return columns
