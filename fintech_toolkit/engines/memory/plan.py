"""How a pipeline runs on a frame in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintech_toolkit.engines.memory import wavefront
from fintech_toolkit.flow.plan import AS_THEY_WERE, Plan, how_many
from fintech_toolkit.frames.views import Frame, require, wrap
from fintech_toolkit.scan.threads import threads

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description


def require_reads(pipeline: Description, view: Frame) -> None:
    """Raise unless a frame has the columns that a pipeline reads, in the words of a run.

    Raises
    ------
    ColumnError
        If one is missing.
    """
    keys = {pipeline.symbol: " for symbols; without one, say symbol=None"}
    keys[pipeline.time] = " for event times; without one, say time=None if rows are in order"
    for name in pipeline.reads:
        require(view, name, keys.get(name, ""))


def explain(pipeline: Description, frame: Any) -> Plan:
    """Return how a pipeline would run on a frame in memory; nothing is computed.

    Raises
    ------
    ColumnError
        If a column is missing.
    """
    view = wrap(frame)
    require_reads(pipeline, view)
    chunks = wavefront.cut(view.rows, wavefront.MORSEL)
    several = threads(len(chunks))
    name, how = "one scan", "one scan in this process, on the calling thread, a chunk after the other"
    where, freely = "over all rows", ""
    if several > 1:
        name = "wavefront"
        how = (
            f"one scan in this process, chunks side by side on {how_many(several, 'thread')}: a step with a state "
            "waits for the same step of the chunk before"
        )
        where, freely = "chunk after chunk", "chunks in any order"
    return Plan(
        name,
        f"the frame is in memory, and has {how_many(view.rows, 'row')}",
        how,
        f"{how_many(len(chunks), 'chunk')} of up to {how_many(wavefront.MORSEL, 'row')}",
        "those that the last step emits, the unfinished ones last" if pipeline.emits else AS_THEY_WERE,
        pipeline.told(where, freely),
    )
