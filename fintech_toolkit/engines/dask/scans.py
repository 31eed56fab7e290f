"""What a worker does with a partition: advance the state over it, and check and merge what comes of that."""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,no-any-return"

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd
from dask.dataframe.dispatch import meta_nonempty
from dask.sizeof import sizeof

from fintech_toolkit.engines.memory.keys import symbols_of
from fintech_toolkit.engines.memory.run import Run, scan
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.frames.symbols import LocalCodes, Symbol
from fintech_toolkit.scan.threads import one_thread

BYTES_A_SYMBOL = 150
"""A short string, and its places in a list and a dict."""


CHAIN_ADVICE = " If it is the partitions that are not in order of time, plan='shuffle' merges them."


def result_meta(pipeline: Description, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the empty frame that has the columns and dtypes of a result."""
    if not pipeline.emits:
        return Run(pipeline).whole(frame)
    # Of a row that is made up, because an empty frame does not say whether its times are aware.
    ticks = meta_nonempty(frame[[name for name in frame.columns if name in pipeline.reads]]).iloc[[0]]
    rows: pd.DataFrame = Run(pipeline).whole(ticks).iloc[:0]
    if pipeline.symbol is not None and pd.api.types.is_integer_dtype(frame[pipeline.symbol].dtype):
        rows = rows.astype({pipeline.symbol: "int64"})
    return rows


def enrich(frame: pd.DataFrame, pipeline: Description, partition: int) -> pd.DataFrame:
    """Run stateless steps."""
    with one_thread(), in_partition(partition):
        return Run(pipeline).whole(frame)


@contextmanager
def in_partition(number: int, advice: str = "") -> Iterator[None]:
    """Say in errors which partition they are about, and what may be done about times that go backwards."""
    try:
        yield
    except DataError as error:
        raise DataError(f"Partition {number}: {error}{advice if 'backwards' in str(error) else ''}") from error


class Scanned(NamedTuple):
    """A partition after its scan: what it gives, the state after it, and its symbols as they were encoded."""

    result: pd.DataFrame
    state: State
    encoded: LocalCodes


def scan_partition(
    frame: pd.DataFrame,
    state: State | None,
    encoded: LocalCodes | None,
    pipeline: Description,
    like: pd.DataFrame,
    partition: int,
    *,
    flush: bool,
    alone: bool = False,
) -> Scanned:
    """Advance the state over a partition, whose symbols a scan before may have encoded; `alone`, only the states of
    symbols that it has.
    """
    if state is not None and alone:
        state = state.select(symbols_of(frame, pipeline.symbol))
    run = Run(pipeline, state)
    with one_thread(), in_partition(partition, CHAIN_ADVICE if state is not None else ""):
        result, encoded = scan(run, frame, encoded)
    if flush:
        unfinished = Run(pipeline, run.state).flush()
        result = pd.concat([result, unfinished], ignore_index=True)
    if pipeline.emits and not len(result):
        result = like  # rows that are not there cannot say of what type their symbols are
    return Scanned(result, run.state, encoded)


def check_apart(*symbols: list[Symbol]) -> None:
    """Raise if a symbol is in two partitions."""
    home: dict[Symbol, int] = {}
    for partition, names in enumerate(symbols):
        for name in names:
            first = home.setdefault(name, partition)
            if first != partition:
                raise DataError(
                    f"Symbol {name!r} is in partition {first} and in partition {partition}, so the partitions are not "
                    "by symbol; use plan='shuffle', or plan='chain' if they are in time order."
                )


def merge_states(before: State | None, states: list[State], apart: None = None) -> State:
    """Return the state after all partitions: each symbol's from the one that had it, or as it was before."""
    if before is not None:
        seen = {symbol for state in states for symbol in state.symbols}
        states = [before.select([symbol for symbol in before.symbols if symbol not in seen]), *states]
    return State.merge(states)


def take_frame(scanned: Scanned, apart: None = None) -> pd.DataFrame:
    """Return what a scan gave. `apart` is waited for, so that a whole result stands or falls with that check."""
    return scanned.result


def list_symbols(scanned: Scanned) -> list[Symbol]:
    """Return the symbols that a partition had."""
    return scanned.state.symbols


def scanned(result: Scanned) -> None:
    """Say nothing but that a partition is scanned, to whoever waits for that."""


@sizeof.register(State)  # type: ignore[untyped-decorator]
def state_size(state: State) -> int:
    """Return the bytes of a state, by which Dask decides whether it travels to the frame or the frame to it."""
    arrays = [state.last, *(array for step in state.steps for array in (step.records, step.slots))]
    return sum(array.nbytes for array in arrays) + BYTES_A_SYMBOL * len(state.table)
