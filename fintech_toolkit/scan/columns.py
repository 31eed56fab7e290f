"""Columns as a kernel declares them, read once from how its author writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fintech_toolkit.errors import KernelError
from fintech_toolkit.schema import Array, dtype_of


@dataclass(frozen=True)
class TypedColumn:
    """A column that a kernel reads, keeps in its window, or gives.

    Attributes
    ----------
    name : str
        What the kernel takes it for, or gives it as.
    dtype : dtype
        Its type: object for names, of which the compiled loop sees keys (see `names`).
    variadic : bool
        Whether it stands for any number of columns.
    """

    name: str
    dtype: np.dtype[Any]
    variadic: bool = False

    def __str__(self) -> str:
        return f"*{self.name}" if self.variadic else self.name

    @property
    def role(self) -> str:
        """The canonical column whose values it may have: that of its name, none for names."""
        return "" if self.dtype.kind == "O" else self.name


def loop_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which the compiled loop sees a column of a type: names (object) as integers."""
    return np.dtype("i8") if dtype.kind == "O" else dtype


def typed(declared: str | Iterable[str], default: str | None = None) -> tuple[TypedColumn, ...]:
    """Return the columns that ``"name"``, ``"name:dtype"`` and ``"*names"`` stand for.

    Parameters
    ----------
    declared : str or iterable of str
        One column or several.
    default : str, optional
        The dtype where none is said; the schema's if left out.

    Raises
    ------
    KernelError
        If NumPy has no such dtype.

    Examples
    --------
    >>> typed(["trade_id", "*levels", "flag:?"])[2]
    TypedColumn(name='flag', dtype=dtype('bool'), variadic=False)
    """
    columns = []
    for text in (declared,) if isinstance(declared, str) else declared:
        starred, _, dtype = text.partition(":")
        name = starred.lstrip("*")
        try:
            columns.append(TypedColumn(name, np.dtype(dtype or default or dtype_of(name)), starred != name))
        except TypeError:
            raise KernelError(
                f"The column {text!r} is declared with the dtype {dtype!r}, which there is not."
            ) from None
    return tuple(columns)


def read_only(values: Array) -> Array:
    """Return a contiguous view that is read only: columns come either way, and one sort means one compiled loop."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view
