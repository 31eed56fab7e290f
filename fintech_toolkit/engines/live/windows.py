"""Windows as a node of a stream: they come out when they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamz import Stream

from fintech_toolkit.engines.live.batch import batch_of
from fintech_toolkit.engines.memory.window_run import WindowOperator
from fintech_toolkit.errors import PipelineError

if TYPE_CHECKING:
    from fintech_toolkit.flow.windows import Window


class WindowNode(Stream):  # type: ignore[misc]
    """Passes on the windows that are over.

    Attributes
    ----------
    late : Stream
        The rows that came too late, frame by frame.
    late_rows : int
        How many there were.
    """

    def __init__(self, upstream: Stream, node: Window, **kwargs: Any) -> None:
        self._node = node
        self._operator = WindowOperator(node, None)
        self.late, self.late_rows = Stream(), 0
        super().__init__(upstream, **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Take a frame, and pass on the windows that are over by then."""
        if batch_of(metadata) is not None:
            raise PipelineError(
                "windows cannot follow a Kafka topic: their rows would not be tied to its offsets, and be lost when it "
                "stops. Take the frames from another source, or time_bars(…) in a pipeline."
            )
        over = self._operator.advance(x)
        results = []
        if (late := self._operator.late) is not None:
            self.late_rows += len(late)
            results += self.late._emit(late, metadata=metadata)
        if over is not None:
            results += self._emit(over, metadata=metadata)
        return results

    def flush(self) -> Any:
        """Return the windows that are not over, as if the stream had ended, or None; and start afresh."""
        rows = self._operator.flush()
        self._operator = WindowOperator(self._node, None)
        return rows
