"""A pipeline as a node of a stream: each frame continues from the state that the last one left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from streamz import Stream

from fintech_toolkit.errors import DataError

if TYPE_CHECKING:
    from fintech_toolkit.engines.runner import Run
    from fintech_toolkit.engines.state import State
    from fintech_toolkit.pipeline import Pipeline


class PipelineNode(Stream):  # type: ignore[misc]
    """Runs a pipeline over the frames of a stream.

    Rows that the pipeline's checks refuse (a null symbol, time going backwards) go to the dead letters of the
    Kafka source that they came from, and the stream goes on. Without such a source they are an error.

    Attributes
    ----------
    run : Run
        The pipeline in progress: ``run.state``, ``run.peek``. It advances in the stream's thread: look at it when the
        source has stopped.
    """

    def __init__(self, upstream: Any, run: Run, **kwargs: Any) -> None:
        self.run = run
        super().__init__(upstream, **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Enrich a frame and pass it on."""
        enriched, rejected = self.run.accept(x)
        if len(rejected):
            batch = next((entry["batch"] for entry in metadata or [] if "batch" in entry), None)
            if batch is None:
                raise DataError(f"row {rejected['row'].iloc[0]}: {rejected['reason'].iloc[0]}")
            batch.reject(x.index[rejected["row"]].tolist(), rejected["reason"].tolist())
        return self._emit(enriched, metadata=metadata)


def live(pipeline: Pipeline, stream: Stream, state: State | str | os.PathLike[str] | None = None) -> PipelineNode:
    """Return a stream of enriched frames, made from a stream of frames.

    Parameters
    ----------
    pipeline : Pipeline
        What to compute.
    stream : streamz.Stream
        Frames with the pipeline's input columns, such as ``Stream.from_kafka_frames(…)`` gives.
    state : State or path, optional
        Where to continue from, or the file in which that was saved.

    Returns
    -------
    PipelineNode
        A stream, with the pipeline in progress as its ``run``.
    """
    return PipelineNode(stream, pipeline.start(state))
