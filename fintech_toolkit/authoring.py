"""What a file with a kernel imports: the decorators, parameters, and helpers of the state. A kernel's function takes
its state, then one argument per column that it reads, and then, by name, whichever it needs of its parameters and of
what the engine offers: ``ts`` (event time, ns), ``by_time`` (whether its window is a length of time), ``slots`` (the
symbol's own stretch of the pool, a ring by means of `push`, `oldest`, `nth` and `pop`).

- `tick_kernel`: ``f(s, x, …) -> outputs``. Without `state` there is no ``s``: the kernel is stateless.
- `window_kernel`: ``enter(s, x)`` and ``leave(s, x)`` say what happens when a value enters and leaves the window;
  the function itself gives the result. The engine keeps the ring and evicts by rows or by time.
- `event_kernel`: ``f(s, row, x, …) -> bool`` fills `row`, of zeros, and returns True, and is called with the same tick
  again (``again`` is then True) until it returns False. ``flush(s, row, …) -> bool`` does the same for what is
  unfinished.
- A kernel of ``kind="pair"`` is any of these on the ticks of a pair: `to_pairs` made the pair the symbol, and ``leg``
  (0 or 1) says whose tick it is.
- `cross_kernel`: ``f(starts, ends, x, out, …)`` looks at all symbols of a time, and fills `out`.
- `plain_kernel`: a function of whole arrays, listed with the others (`plan` and `matrix`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypedDict, Unpack

from fintech_toolkit.errors import KernelError, did_you_mean
from fintech_toolkit.scan.across import Columns
from fintech_toolkit.scan.columns import TypedColumn, typed
from fintech_toolkit.scan.declaration import Function, Kernel
from fintech_toolkit.scan.loops import check_functions
from fintech_toolkit.scan.parameters import (
    DTYPE,
    Choice,
    Count,
    Decay,
    Duration,
    Flag,
    Levels,
    Name,
    Number,
    Parameter,
    Window,
)
from fintech_toolkit.scan.slots import (
    FIRST,
    LAST,
    STALE,
    checked_index,
    earlier,
    elapsed,
    helper,
    later,
    nth,
    oldest,
    pop,
    push,
    slot_of,
)
from fintech_toolkit.scan.values import MISSING

__all__ = [
    "DTYPE",
    "FIRST",
    "LAST",
    "MISSING",
    "STALE",
    "Choice",
    "Columns",
    "Count",
    "Decay",
    "Duration",
    "Flag",
    "Kernel",
    "Levels",
    "Name",
    "Number",
    "Window",
    "checked_index",
    "cross_kernel",
    "earlier",
    "elapsed",
    "event_kernel",
    "helper",
    "later",
    "nth",
    "oldest",
    "plain_kernel",
    "pop",
    "push",
    "slot_of",
    "tick_kernel",
    "window_kernel",
]


class Declared(TypedDict, total=False):
    """What there is to say of a kernel besides its function and columns."""

    parameters: Sequence[Parameter]
    state: Sequence[tuple[str, ...]]
    slots: Sequence[tuple[str, ...]]
    memory: Sequence[str]
    slide: Function
    prepare: Function
    series: Function
    enters: Sequence[str]
    skips_missing: bool
    drifts: bool
    warmup: str
    source: str
    aliases: Sequence[str]
    cases: Sequence[Mapping[str, Any]]
    integers: bool
    per_stamp: bool


def tick_kernel(
    *, reads: str | Iterable[str], gives: str | Iterable[str], kind: str = "tick", **declared: Unpack[Declared]
) -> Callable[[Function], Kernel]:
    """Declare a kernel that gives a value for every tick: ``f(s, x, …) -> outputs``.

    Parameters
    ----------
    reads : str or list of str
        The columns that the function takes after its state. A canonical name (``"price"``, ``"bid"``, …) is the column
        by default; ``"id:i8"`` has another dtype than float64; ``"*levels"`` stands for any number of columns, which
        come as a tuple. Several of these come last, and each stands for as many columns as the others. Of names
        (``"dealer"``, ``"venue"``, ``"action:O"``) the function sees int64 keys, `MISSING` without a name, which a
        parameter that is a `Name` is compared with.
    gives : str or list of str
        The columns that it returns, float64 unless ``"name:dtype"`` says otherwise. ``"*bid"`` stands for columns
        ``bid_1``, ``bid_2``, …: as many as a parameter that is `Levels` says, or as each starred read has. The function
        then takes a `row` after its state and fills that, ``row.bid[0] = …``, instead of returning anything.
    kind : str
        ``"pair"`` for a kernel on the ticks of pairs.
    **declared
        What else there is to say. `state`: the fields of a symbol's record as ``[("last", "f8"), …]``, zeros at first;
        without it there is no ``s``. `slots`: the fields of a table that grows beside it. `parameters`: such as
        ``[Number("alpha", "weight of the last value", above=0)]``; what comes of a `Choice` is compared with constants
        such as ``FIRST = SEED["first"]``. `warmup`, `source`: for the documentation. `cases`: parameters under which
        its contract is checked. `aliases`: other names.

    Returns
    -------
    Callable
        What makes a `Kernel` of the function. Numba compiles it on first use.

    Raises
    ------
    KernelError
        If what is declared does not fit together, or a kernel of the library has that name.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> @ft.tick_kernel(reads="x", gives="run", state=[("last", "f8"), ("length", "i8")])
    ... def run_length(s, x):
    ...     s.length = s.length + 1 if x == s.last else 1
    ...     s.last = x
    ...     return s.length
    >>> run_length(np.array([5.0, 5.0, 5.0, 6.0]))
    array([1., 2., 3., 1.])
    """
    return _declarer(kind, typed(reads), gives, declared)


def window_kernel(
    *,
    reads: str | Iterable[str],
    gives: str | Iterable[str],
    enter: Function,
    leave: Function | None = None,
    kind: str = "window",
    **declared: Unpack[Declared],
) -> Callable[[Function], Kernel]:
    """Declare a kernel over a sliding window: what enters, what leaves, and (the function itself) the result.

    Parameters
    ----------
    reads, gives, kind
        As for `tick_kernel`.
    enter, leave : function
        ``enter(s, x)`` is called with each value that enters the window, ``leave(s, x)`` with each that leaves it. What
        is not finite does neither, unless ``skips_missing=False``.
    **declared
        As for `tick_kernel`; `parameters` hold a `Window`. Besides: `prepare` makes other values of the tick, which
        `enters` names, before they enter. `slide` replaces `leave` and `enter` where both happen at once.
        ``drifts=True`` says that entering and leaving accumulate rounding errors, so that the engine sums afresh from
        time to time. `memory` names fields of the state that outlive the window; where all do, nothing is made anew
        when a ring moves, and slots may hold what no longer follows from its values. ``series(x, …, result, …)`` may
        fill an array with the results of a whole series at once, with the same bits, where that is much faster: calls
        on arrays use it for windows of rows, unless it returns False.

    Returns
    -------
    Callable
        What makes a `Kernel` of the function.

    Raises
    ------
    KernelError
        As for `tick_kernel`.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> from fintech_toolkit.authoring import Window, helper
    >>> @helper
    ... def enter(s, x):
    ...     s.ups += x > 0
    >>> @helper
    ... def leave(s, x):
    ...     s.ups -= x > 0
    >>> @ft.window_kernel(
    ...     reads="x", gives="ups", enter=enter, leave=leave, state=[("ups", "i8")],
    ...     parameters=[Window(min_periods=False)],
    ... )
    ... def rolling_ups(s, x):
    ...     return s.ups
    >>> rolling_ups(np.array([1.0, 2.0, -1.0, 3.0]), window=2)
    array([1., 2., 1., 1.])
    """
    inputs = typed(reads)
    enters = typed(declared["enters"]) if "enters" in declared else inputs
    return _declarer(kind, inputs, gives, {**declared, "enters": enters, "enter": enter, "leave": leave})


def event_kernel(
    *,
    reads: str | Iterable[str],
    gives: str | Iterable[str],
    flush: Function,
    kind: str = "event",
    **declared: Unpack[Declared],
) -> Callable[[Function], Kernel]:
    """Declare a kernel that emits rows of its own: ``f(s, row, x, …) -> bool`` fills `row` and returns True.

    Parameters
    ----------
    reads, kind
        As for `tick_kernel`.
    gives : list of str
        The columns of its rows; ``"ts:i8"``, what a row is about, is one of them.
    flush : function
        ``flush(s, row, …) -> bool`` emits what is unfinished at the end.
    **declared
        As for `tick_kernel`.

    Returns
    -------
    Callable
        What makes a `Kernel` of the function.

    Raises
    ------
    KernelError
        As for `tick_kernel`.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> def nothing(s, row):
    ...     return False
    >>> @ft.event_kernel(reads="x", gives=["ts:i8", "high"], flush=nothing, state=[("high", "f8")])
    ... def highs(s, row, x, ts, again):
    ...     if again or x <= s.high:
    ...         return False
    ...     s.high = row.high = x
    ...     row.ts = ts
    ...     return True
    >>> highs(np.array([1.0, 3.0, 2.0, 4.0]), ts=np.arange(4)).ts
    array([0, 1, 3])
    """
    return _declarer(kind, typed(reads), gives, {**declared, "flush": flush})


def cross_kernel(
    *, reads: str | Iterable[str], gives: str, **declared: Unpack[Declared]
) -> Callable[[Function], Kernel]:
    """Declare a kernel across symbols: ``f(starts, ends, x, …, out, …)`` fills `out`, and returns nothing.

    Its arguments are found by their names. Of the columns, float64, it is given the rows of one time after the other,
    each time's in the order of the symbols' names, one row a symbol: those of time g lie at ``starts[g]`` up to before
    ``ends[g]``; what lies between one's end and the next one's start is nothing. Further columns are parameters
    (`Columns`): one of numbers comes as an array of the same length, several as one with a row for each, groups as
    int32 numbers, -1 for none; empty where the user gives none. ``symbols`` are int32 numbers of the rows' symbols.
    Plain Python that Numba compiles.

    Parameters
    ----------
    reads : str or list of str
        The columns that it reads.
    gives : str
        The column that it gives, float64.
    **declared
        As for `tick_kernel`; and `per_stamp`: it gives one value for each time, ``out[g]``, instead of one for each
        row. One with a parameter ``window`` sees so many times, and fills ``out[g]`` from that and those before it.

    Returns
    -------
    Callable
        What makes a `Kernel` of the function.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> from fintech_toolkit.authoring import cross_kernel
    >>> @cross_kernel(reads="x", gives="count", per_stamp=True)
    ... def how_many(starts, ends, out):
    ...     for g in range(starts.shape[0]):
    ...         out[g] = ends[g] - starts[g]
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "A"], "ts": [1, 1, 2], "x": 1.0})
    >>> ft.cross_section(how_many("x"))(ticks)["count"].tolist()
    [2.0, 1.0]
    """
    return _declarer("cross", typed(reads), gives, declared)


def plain_kernel(*, kind: str, reads: Any, gives: Any, source: str) -> Callable[[Function], Kernel]:
    """List a function of whole arrays (`kind` is plan or matrix) with the kernels."""
    return _declarer(kind, typed(reads), gives, {"source": source})


def _declarer(
    kind: str, inputs: tuple[TypedColumn, ...], gives: str | Iterable[str], declared: Mapping[str, Any]
) -> Callable[[Function], Kernel]:
    known = {field.name for field in fields(Kernel)}
    for name in declared:
        if name not in known:
            raise KernelError(f"There is nothing to declare called {name!r}. {did_you_mean(name, known)}")
    frozen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in declared.items()
    }
    outputs = typed(gives, "f8")

    def declare(function: Function) -> Kernel:
        kernel = Kernel(function, kind, inputs, outputs, **frozen)
        if kernel.own and kernel.tickwise:
            check_functions(kernel)
            Kernel.on_declared(kernel)
        return kernel

    return declare
