"""Pipelines on Dask frames: which of three plans, and why."""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import ClearDivisions, Partitions

from fintech_toolkit.engines.dask import evidence
from fintech_toolkit.engines.dask.chain import Enrich, PartitionScan, RowScan, StateAfter
from fintech_toolkit.engines.dask.shuffle import partitioned
from fintech_toolkit.engines.memory.plan import require_reads
from fintech_toolkit.errors import ParameterError, PipelineError
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.flow.plan import AS_THEY_WERE, Plan, how_many
from fintech_toolkit.frames.views import PandasFrame

PLANS = {
    "partition-wise": "every partition by itself, where it is",
    "chain": (
        "along the chain of state: a partition's scan waits for the one before, and reading runs ahead by a few "
        "partitions"
    ),
    "by_symbol": "every partition by itself, with its own symbols' states",
    "shuffle": "after a shuffle by symbol: each partition by itself, with its own symbols' states",
}
ORDER = {
    "chain": "in order of time by partitions, within a partition as they were",
    "shuffle": "by partitions that hold symbols whole, within a partition in order of time, ties as they were",
}


def explain(pipeline: Description, ddf: Any, plan: str | None = None) -> Plan:
    """Return how a pipeline would run on a Dask frame; nothing is computed.

    Parameters
    ----------
    pipeline : Pipeline
        What to run.
    ddf : dask.dataframe.DataFrame
        Ticks.
    plan : {"chain", "by_symbol", "shuffle"}, optional
        The plan to take, whatever is known about the frame. A wrong claim is an error when it runs.

    Raises
    ------
    ParameterError
        If there is no such plan.
    PipelineError
        If the pipeline cannot run by that plan.
    """
    _check_frame(pipeline, ddf)
    choice = _choose(pipeline, ddf.expr, plan)
    name = choice.name
    moved = name == "shuffle" or not _as_they_are(choice, ddf.npartitions)
    return Plan(
        name,
        choice.reason,
        PLANS[name],
        how_many(ddf.npartitions, "partition"),
        ORDER[name] if moved else AS_THEY_WERE,
        pipeline.told("in its partition's scan"),
    )


def apply(pipeline: Description, ddf: Any, state: Any = None, plan: str | None = None) -> tuple[Any, Any]:
    """Return the lazy result of a pipeline on a Dask frame, and the lazy state after it.

    Parameters
    ----------
    pipeline : Pipeline
        What to run.
    ddf : dask.dataframe.DataFrame
        Ticks.
    state : lazy state or None
        Before the first row. None: the frame is all there is, and the unfinished rows of an event step come last.
    plan : {"chain", "by_symbol", "shuffle"}, optional
        See `explain`.

    Returns
    -------
    dask.dataframe.DataFrame
        Rows, index and dtypes as they were, with the steps' columns; or the emitted rows. Partitions and the order of
        rows too, but for two plans: along a chain, partitions come in order of time; after a shuffle they hold symbols
        whole, their rows in order of time.
    lazy state
        Computes to a `State`; may be given as `state` to the next frame. Computed together with the result, the frame
        is scanned once.

    Raises
    ------
    ColumnError, ParameterError, PipelineError
        At once, if a column is missing or clashes, or the plan is not possible.
    DataError
        When computed: if time goes backwards within a symbol of a partition, or from a partition of a chain to the
        next; or if partitions by symbol share a symbol.
    """
    _check_frame(pipeline, ddf)
    choice = _choose(pipeline, ddf.expr, plan)
    name = choice.name
    frame = ddf.expr
    flush = state is None and pipeline.emits
    if name == "shuffle":
        frame = partitioned(frame, pipeline.symbol, pipeline.time, frame.npartitions)
    if not _as_they_are(choice, frame.npartitions):
        frame = ClearDivisions(Partitions(frame, choice.order))
    expression = PartitionScan if pipeline.emits else RowScan
    scan = expression(frame, pipeline, state, name not in ("by_symbol", "shuffle"), flush)
    result = Enrich(frame, pipeline) if name == "partition-wise" else scan
    return new_collection(result), new_collection(StateAfter(scan))


def _check_frame(pipeline: Description, ddf: Any) -> None:
    if getattr(ddf, "ndim", None) != 2 or not hasattr(ddf, "expr"):
        library = type(ddf).__module__.partition(".")[0]
        raise PipelineError(f"On Dask a pipeline takes a DataFrame of Dask's, not {library}'s {type(ddf).__name__}.")
    require_reads(pipeline, PandasFrame(ddf._meta))


@dataclass(frozen=True)
class _Choice:
    name: str
    reason: str
    order: list[int] | None = None


def _as_they_are(choice: _Choice, npartitions: int) -> bool:
    return choice.order is None or choice.order == list(range(npartitions))


def _choose(pipeline: Description, frame: Any, plan: str | None) -> _Choice:
    if plan is not None and (plan not in PLANS or plan == "partition-wise"):
        raise ParameterError(f"plan={plan!r} must be 'chain', 'by_symbol' or 'shuffle'.")
    if plan in ("by_symbol", "shuffle") and pipeline.symbol is None:
        raise PipelineError(f"plan={plan!r} needs symbols; this pipeline has symbol=None. Use plan='chain'.")
    if plan in ("by_symbol", "shuffle"):
        return _Choice(plan, "it was asked for; that it is right is checked as it runs")
    if plan is None and pipeline.stateless:
        return _Choice("partition-wise", "no step has a state")
    if plan is None:
        apart = evidence.by_symbol(frame, pipeline.symbol)
        if apart.holds:
            return _Choice("by_symbol", apart.why)
    found = evidence.time_order(frame, pipeline.time)
    if plan == "chain":
        return _Choice(plan, f"it was asked for ({found.why}); that it is right is checked as it runs", found.order)
    if found.order is not None:
        return _Choice("chain", found.why, found.order)
    by_symbol = evidence.order_by_symbol(frame, pipeline.symbol, pipeline.time)
    if by_symbol.holds:
        return _Choice("chain", by_symbol.why)
    if pipeline.symbol is None:
        raise PipelineError(
            f"The partitions are not known to be in time order: {found.why}. With symbol=None only plan='chain' "
            "is possible; ask for it if they are."
        )
    return _Choice("shuffle", f"{found.why}; {apart.why}")
