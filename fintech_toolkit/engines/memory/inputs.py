"""What the sources of a dataflow are read from: frames in memory, and files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.engines.memory.filters import filtered
from fintech_toolkit.engines.memory.reference_table import ReferenceRows
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.frames.views import is_stream, joinable, sort_of


class Input(Protocol):
    """What a source is read from."""

    names: list[str]

    def read(self, columns: Any, where: Conditions | None) -> Any:
        """Return some columns (all, for None) of the rows that meet conditions."""

    def result(self, frame: Any) -> Any:
        """Return what a flow gives whose first source this is."""


class FrameInput:
    """A frame in memory as an input."""

    def __init__(self, frame: Any) -> None:
        self._view = joinable(frame)
        self.names = self._view.names

    def read(self, columns: Any, where: Conditions | None) -> Any:
        frame = self._view.frame if where is None else filtered(self._view, where)
        return frame if columns is None else joinable(frame).select(list(columns))

    def result(self, frame: Any) -> Any:
        """Return what a flow gives whose first source this is: as it is, with its index."""
        return frame


class TableInput:
    """A reference table as an input: what is joined with it goes by the index that it has; else it is a frame."""

    def __init__(self, rows: ReferenceRows) -> None:
        self._rows = rows
        self.names = list(rows.schema.names)

    def read(self, columns: Any, where: Conditions | None) -> Any:
        """Return the table, or a frame of the rows that meet conditions."""
        return self._rows if where is None else FrameInput(self._rows.frame()).read(columns, where)

    def result(self, frame: Any) -> Any:
        """Return what a flow gives whose first source this is: a frame of some of its rows."""
        return frame


def unwrapped(value: Any) -> Any:
    """Return the rows of a reference table, and anything else as it is."""
    rows = getattr(value, "rows", None)
    return rows if isinstance(rows, ReferenceRows) else value


class Names:
    """Names of columns, in place of an input."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)


def is_names(value: Any) -> bool:
    """Whether it is a list of names of columns."""
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def inputs_of(given: Mapping[str, Any], *, pandas: bool = False) -> dict[str, Any]:
    """Return what frames in memory and paths are read from; all give frames of one sort."""
    sorts: dict[str, str] = {}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, str | os.PathLike):
            found[name] = Files(value)
        elif isinstance(value, Names | ReferenceRows):
            found[name] = value
        elif (sort := sort_of(value)) is not None:
            sorts[name] = sort
            found[name] = FrameInput(value)
        else:
            stream = " Streams are for live(…); explain(…) takes lists of their columns." if is_stream(value) else ""
            raise PipelineError(
                f"Source {name!r} must be a pandas or Dask frame, an Arrow table, a ReferenceTable, or a path, not "
                f"{type(value).__name__}.{stream}"
            )
    if len(set(sorts.values())) > 1:
        raise PipelineError(
            f"The sources are of different sorts ({', '.join(f'{n}: {s}' for n, s in sorts.items())}); convert one, as "
            "with Table.from_pandas(…) or .to_pandas()."
        )
    pandas |= "pandas" in sorts.values()
    for name, item in found.items():
        if isinstance(item, ReferenceRows):
            found[name] = TableInput(item)
        elif isinstance(item, Files) and pandas:
            found[name] = item.as_pandas()
    return found
