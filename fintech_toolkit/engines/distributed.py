"""Pipelines on Dask frames: which of three plans, and why."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from dask.dataframe.dask_expr import new_collection

from fintech_toolkit.engines import evidence
from fintech_toolkit.engines.dask_scan import Enrich, Scan, StateAfter
from fintech_toolkit.engines.shuffle import partitioned
from fintech_toolkit.errors import ParameterError, PipelineError

if TYPE_CHECKING:
    from fintech_toolkit.pipeline import Pipeline

PLANS = {
    "partition-wise": "every partition by itself, where it is",
    "chain": "along the chain of state: a partition's scan waits for the state of the one before; reading and writing do not wait",
    "by_symbol": "every partition by itself, with the states of its own symbols",
    "shuffle": "after one shuffle by symbol, which restores time order: every partition by itself, with the states of its own symbols",
}


@dataclass(frozen=True)
class Plan:
    """How a pipeline runs on a Dask frame. Prints itself.

    Attributes
    ----------
    name : {"partition-wise", "chain", "by_symbol", "shuffle"}
        The plan.
    reason : str
        Why this one.
    npartitions : int
        How many partitions there are to scan.
    steps : tuple of (str, str)
        Each step, and where it runs.
    """

    name: str
    reason: str
    npartitions: int
    steps: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        lines = [
            f"Plan: {self.name} ({self.npartitions} partitions)",
            f"Why: {self.reason}.",
            f"How: {PLANS[self.name]}.",
        ]
        width = max((len(step) for step, _ in self.steps), default=0)
        return "\n".join([*lines, *(f"  {step:<{width}}  {where}" for step, where in self.steps)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(step)}</td><td style='text-align:left'>{escape(where)}</td></tr>"
            for step, where in self.steps
        )
        return (
            f"<p><b>{escape(self.name)}</b>, {self.npartitions} partitions: {escape(PLANS[self.name])}.<br>"
            f"Why: {escape(self.reason)}.</p>"
            f"<table><thead><tr><th style='text-align:left'>step</th><th style='text-align:left'>runs</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


def explain(pipeline: Pipeline, ddf: Any, plan: str | None = None) -> Plan:
    """Return how a pipeline would run on a Dask frame; nothing is computed.

    Parameters
    ----------
    pipeline : Pipeline
    ddf : dask.dataframe.DataFrame
    plan : {"chain", "by_symbol", "shuffle"}, optional
        The plan to take, whatever is known about the frame. A wrong claim is found out as it runs: an error, not a number.

    Raises
    ------
    ParameterError
        If there is no such plan.
    PipelineError
        If the pipeline cannot run by that plan.
    """
    _check_frame(ddf)
    name, reason = _choose(pipeline, ddf.expr, plan)
    steps = []
    for step in pipeline.steps:
        where = "in its partition's scan" + (", needs no state" if step.kernel.stateless else "")
        steps.append((repr(step), "partition by partition" if name == "partition-wise" else where))
    return Plan(name, reason, ddf.npartitions, tuple(steps))


def apply(pipeline: Pipeline, ddf: Any, state: Any = None, plan: str | None = None) -> tuple[Any, Any]:
    """Return the lazy result of a pipeline on a Dask frame, and the lazy state after it.

    Parameters
    ----------
    pipeline : Pipeline
    ddf : dask.dataframe.DataFrame
    state : State, lazy state or None
        Before the first row. None: the frame is all there is, so that the rows that an event step has not finished come last.
    plan : {"chain", "by_symbol", "shuffle"}, optional
        See `explain`.

    Returns
    -------
    dask.dataframe.DataFrame
        Partitions, rows, index and dtypes as they were, with the steps' columns; or the emitted rows. After a shuffle the
        partitions are by symbol, their rows in time order.
    lazy state
        Computes to a `State`; may be given as `state` to the next frame. Computed together with the result, the
        frame is scanned once.

    Raises
    ------
    ColumnError, ParameterError, PipelineError
        At once, if a column is missing or clashes, or the plan is not possible.
    DataError
        When computed: if time goes backwards within a symbol, or a symbol is in two partitions that were to be by symbol.
    """
    _check_frame(ddf)
    name, _ = _choose(pipeline, ddf.expr, plan)
    frame, text = ddf.expr, pipeline.to_json()
    flush = state is None and pipeline.emits
    if name == "shuffle":
        frame = partitioned(frame, pipeline.symbol, pipeline.time, frame.npartitions)
    scan = Scan(frame, text, state, name not in ("by_symbol", "shuffle"), flush)
    result = Enrich(frame, text) if name == "partition-wise" else scan
    return new_collection(result), new_collection(StateAfter(scan))


def _check_frame(ddf: Any) -> None:
    if getattr(ddf, "ndim", None) != 2 or not hasattr(ddf, "expr"):
        raise PipelineError(f"Of Dask's collections a pipeline takes a DataFrame, not {type(ddf).__name__}.")


def _choose(pipeline: Pipeline, frame: Any, plan: str | None) -> tuple[str, str]:
    if plan is not None:
        if plan not in PLANS or plan == "partition-wise":
            raise ParameterError(f"plan={plan!r} must be 'chain', 'by_symbol' or 'shuffle'.")
        if plan != "chain" and pipeline.symbol is None:
            raise PipelineError(f"plan={plan!r} needs symbols; this pipeline has symbol=None. Use plan='chain'.")
        return plan, "it was asked for; the order of rows is checked as it runs"
    if pipeline.stateless:
        return "partition-wise", "no step has a state"
    apart = evidence.by_symbol(frame, pipeline.symbol)
    if apart.holds:
        return "by_symbol", apart.why
    order = evidence.time_order(frame, pipeline.time)
    if order.holds:
        return "chain", order.why
    if pipeline.symbol is None:
        raise PipelineError(
            f"The partitions are not known to be in time order: {order.why}. With symbol=None only plan='chain' is possible; "
            "say so if they are."
        )
    return "shuffle", f"{order.why}; {apart.why}"
