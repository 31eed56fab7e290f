"""As-of joins in memory: the right's columns beside the left's rows."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from fintech_toolkit.engines.memory.search import search
from fintech_toolkit.engines.memory.wavefront import MORSEL, run_wavefront
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.frames.views import Joinable, joinable, sort_of
from fintech_toolkit.scan.threads import one_thread
from fintech_toolkit.schema import Array


def same_sort(left: Any, right: Any) -> tuple[Joinable, Joinable]:
    """Return the views of two frames.

    Raises
    ------
    PipelineError
        If they are not both pandas, or both Arrow or what offers Arrow's stream.
    """
    if sort_of(left) is None or sort_of(left) != sort_of(right):
        raise PipelineError(
            "An as-of join takes two pandas DataFrames, two Arrow tables (or what offers Arrow's stream, as Polars "
            f"frames do), two Dask DataFrames or two streams; not {_called(left)} and {_called(right)}. "
            "Convert one, as with Table.from_pandas(…) or .to_pandas()."
        )
    return joinable(left), joinable(right)


def _called(frame: Any) -> str:
    return f"{type(frame).__module__.partition('.')[0]}'s {type(frame).__name__}"


def join_frames(left: Joinable, right: Joinable, options: AsOf, right_first_row: int = 0) -> Any:
    """Join two frames in memory."""
    options = options.resolved(left.names, right.names)
    options.names(left.names, right.names)
    return attach(left, right, search(left, right, options, right_first_row), options)


def attach(left: Joinable, right: Joinable, found: Array, options: AsOf) -> Any:
    """Return left with right's other columns appended, each row's from row `found` of right, nulls where that is -1."""
    ours, theirs = options.names(left.names, right.names)
    taken: dict[str, Any] = dict.fromkeys(theirs.values())
    columns = list(theirs.items())
    take = right.taker(found)

    def fill(c: int) -> None:
        source, name = columns[c]
        taken[name] = take(source)

    with one_thread() if len(found) < MORSEL else nullcontext():  # of a few rows a thread costs more than it takes
        run_wavefront(len(columns), [(False, fill)])
    return left.rename(ours).append(taken)
