"""An as-of join as a node of two streams of frames."""

from __future__ import annotations

from typing import Any

from streamz import Stream

from fintech_toolkit.errors import PipelineError
from fintech_toolkit.joins.options import AsOf
from fintech_toolkit.joins.resumable import AsofJoin


class AsofJoinNode(Stream):  # type: ignore[misc]
    """Answers the frames of one stream with those of another, as soon as they can be answered.

    References of a frame of the left are held until all of its rows are answered, so that nothing is committed before.

    Attributes
    ----------
    join : AsofJoin
        The join in progress: ``join.pending``, ``join.save``. It advances in the streams' thread.
    """

    def __init__(self, left: Stream, right: Stream, join: AsofJoin, **kwargs: Any) -> None:
        self.join = join
        self._left = left
        self._held: list[Any] = []
        super().__init__(upstreams=(left, right), **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Take a frame of one side and pass on the rows that it answers."""
        if who is self._left:
            answered = self.join.left(x)
            self._retain_refs(metadata)  # only now: what was refused is not waited for
            self._held.extend(metadata or [])
        else:
            answered = self.join.right(x)
        return self._pass_on(answered)

    def flush(self) -> Any:
        """Pass on the rows that still wait, when both feeds have ended."""
        return self._pass_on(self.join.flush())

    def _pass_on(self, answered: Any) -> Any:
        held = [] if self.join.pending else self._held
        if not self.join.pending:
            self._held = []
        result = [] if answered is None else self._emit(answered, metadata=held)
        self._release_refs(held)
        return result


def join(left: Stream, right: Any, options: AsOf) -> AsofJoinNode:
    """Return the stream of left's frames with right's columns.

    Raises
    ------
    PipelineError
        If right is not a stream.
    """
    if not isinstance(right, Stream):
        raise PipelineError(f"left is a stream, so right must be one too, not {type(right).__name__}.")
    return AsofJoinNode(left, right, AsofJoin.of(options))
