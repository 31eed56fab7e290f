"""Windows as a node of a stream: they come out when they are over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from streamz import Stream

from fintech_toolkit.engines.live.batch import Batch, batch_of, with_batch
from fintech_toolkit.engines.live.partition_states import PartitionStates
from fintech_toolkit.engines.live.states import LiveState, pass_on
from fintech_toolkit.engines.memory.keys import symbols_of
from fintech_toolkit.engines.memory.window_run import WindowOperator, WindowRows
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.serial import identity
from fintech_toolkit.schema import nanoseconds

if TYPE_CHECKING:
    from fintech_toolkit.flow.windows import Window


class WindowNode(PartitionStates):
    """Passes on the windows that are over.

    Of a Kafka topic each partition has windows of its own, and a time of its own that they wait for: a row is late, and
    a window over, by the rows of its partition. What is open is a state that is tied to offsets, as that of a pipeline
    is. Rows that can be in no window (no symbol, no time, one far ahead of the record's own) go to the dead letters;
    without such a source they are an error.

    Attributes
    ----------
    late : Stream
        The rows that came too late, frame by frame.
    late_rows : int
        How many there were; of a batch that comes again after an error, they count again.
    """

    needs_state = True
    alone: type[WindowOperator] = WindowOperator
    """What takes frames that come from no Kafka source."""
    of_part: type[WindowOperator] = WindowOperator
    """What takes the rows of a partition."""

    def __init__(
        self,
        upstream: Stream,
        node: Window | CrossSection,
        state: LiveState | None = None,
        ahead: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._node = node
        self._operator: WindowOperator = self.alone(node, None)
        self._ahead = None if ahead is None else nanoseconds(ahead, "ahead")
        self.identity = json.dumps({"windows": str(node), "flow": identity(node)}, sort_keys=True)
        self.described = str(node)
        self.symbol = node.windows.symbol
        self.feeds = {}
        self.late, self.late_rows = Stream(), 0
        super().__init__(upstream, state, **kwargs)
        for place, rows in self.state.items():
            for frame in rows.frames:
                self._homes |= dict.fromkeys(symbols_of(frame, self.symbol), place)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Take a frame, and pass on the windows that are over by then."""
        batch = batch_of(metadata)
        if batch is not None:
            return self._of_batch(x, metadata, batch)
        over = self._operator.advance(x)
        results = []
        if (late := self._operator.late) is not None:
            self.late_rows += len(late)
            results += self.late._emit(late, metadata=metadata)
        if over is not None:
            results += self._emit(over, metadata=metadata)
        return results

    def _of_batch(self, frame: Any, metadata: Any, batch: Batch) -> Any:
        frame, counts = batch.parts(frame)
        before = self.before(batch)
        latest = None if self._ahead is None else batch.latest(frame, self._ahead)
        late, over, after = [], dict[int, Any](), dict[int, WindowRows]()
        start = 0
        for number, count in counts.items():
            operator, at = self.of_part(self._node, before[number]), slice(start, start + count)
            start += count
            if count:
                rows = frame.iloc[at]
                closed, refused = operator.accept(rows, None if latest is None else latest[at])
                if refused:
                    wrong = rows.iloc[list(refused)]
                    self.rejected += 0 if batch.replayed else len(wrong)
                    batch.reject(wrong.index.tolist(), refused.values(), wrong)
                used = rows.iloc[np.delete(np.arange(count), list(refused))]
                self.check_homes(batch, number, symbols_of(used, self.symbol))
                if operator.late is not None:
                    late.append(operator.late)
                if closed is not None:
                    over[number] = closed
            after[number] = operator.state
        self.keep(batch, self.close(over, after, batch))
        results = []
        if late:
            rows = pd.concat(late)
            self.late_rows += 0 if batch.replayed else len(rows)
            results += pass_on(self.late, rows, metadata, batch)
        if over:
            of_windows = batch.derived(np.repeat(list(over), list(map(len, over.values()))))
            rows = pd.concat(over.values(), ignore_index=True)
            results += pass_on(self, rows, with_batch(metadata, of_windows), of_windows)
        return results

    def flush(self) -> Any:
        """Return the windows that are not over, as if the stream had ended, or None; and start afresh."""
        rows = [over for _, known in self.at_sinks() for over in self.left_over(known.states)]
        if not rows and (over := self._operator.flush()) is not None:
            rows = [over]
        self._operator = self.alone(self._node, None)
        self.begin_again()
        if len(rows) > 1:
            return pd.concat(rows, ignore_index=True)
        return rows[0] if rows else None

    def close(self, over: dict[int, Any], after: dict[int, WindowRows], batch: Batch) -> dict[int, WindowRows]:
        """Add to what is over by partition what none could tell alone; return the states after a batch."""
        return after

    def unfinished(self, state: WindowRows) -> Any:
        """Return the windows that are not over in the state of a partition, or None."""
        return self.of_part(self._node, state).flush()

    @property
    def waiting(self) -> int:
        """How many rows are in windows that are not over."""
        parts = [self.of_part(self._node, rows) for rows in self.state.values()]
        return sum(part.waiting for part in (*parts, self._operator))

    def fresh(self) -> WindowRows:
        """Return what is known of a partition of which nothing has been seen."""
        return WindowRows()
