"""One family of errors: every problem a user can cause is a `FintechToolkitError` that says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FintechToolkitError(Exception):
    """Base of all errors that this package raises on purpose."""


class ParameterError(FintechToolkitError, ValueError):
    """A parameter is unknown, missing, contradictory or out of its range."""


class ColumnError(FintechToolkitError, KeyError):
    """A column is unknown, missing or given twice."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would quote and escape the message.
        return str(self.args[0]) if self.args else ""


class DataError(FintechToolkitError, ValueError):
    """The values of a column cannot be used: wrong type, nulls, time going backwards."""


class StateError(FintechToolkitError, ValueError):
    """A saved state is damaged, or belongs to another pipeline."""


class PipelineError(FintechToolkitError, ValueError):
    """Steps do not fit together, or a pipeline is asked for what it cannot do."""


class KernelError(FintechToolkitError, ValueError):
    """A kernel of the user's own cannot be declared, compiled or told from another, or is not loaded."""


class LiveError(FintechToolkitError):
    """Kafka, or a record that came from it, stopped a live stream; the message says where and why."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known name nearest to `name`, or lists what there is.

    Examples
    --------
    >>> did_you_mean("simbol", ["symbol", "ts"])
    "Did you mean 'symbol'?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.55)
    if near:
        return f"Did you mean {near[0]!r}?"
    listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"Known: {listed}." if listed else "There are none."
