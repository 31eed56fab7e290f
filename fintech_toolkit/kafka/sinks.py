"""streamz sinks for frames: a Kafka topic, a bounded table in memory, and a function of the user's own."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from streamz import Stream
from streamz.sinks import Sink

from fintech_toolkit.engines.live.batch import Batch, batch_of
from fintech_toolkit.errors import ColumnError, DataError, ParameterError, did_you_mean
from fintech_toolkit.kafka.codecs import ENCODERS, Messages
from fintech_toolkit.kafka.config import KafkaConfig
from fintech_toolkit.kafka.message_schema import arrow_table
from fintech_toolkit.kafka.messages import raise_first
from fintech_toolkit.kafka.writer import BATCH, Writer
from fintech_toolkit.scan.names import is_text
from fintech_toolkit.schema import key_columns


class FrameSink(Sink):  # type: ignore[misc]
    """What the sinks share: they are handed the batch that a frame came from, and can be released."""

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Take a frame, unless it was only replayed to rebuild state: then the sink has had it before."""
        batch = batch_of(metadata)
        return [] if batch is not None and batch.replayed else self._take(x, batch, metadata or [])

    def _take(self, frame: Any, batch: Batch | None, metadata: list[dict[str, Any]]) -> Any:
        raise NotImplementedError

    def release(self) -> None:
        """Close what the sink holds open, when the frames that it has are finished; the next frame opens it again."""

    def destroy(self) -> None:
        """Disconnect the sink from its stream, and release it."""
        super().destroy()
        self.release()

    async def _holding(self, work: Awaitable[Any], metadata: list[dict[str, Any]]) -> None:
        """Do the work on a frame, which keeps its batch from being done."""
        self._retain_refs(metadata)
        await work
        self._release_refs(metadata)


class _Connection:
    """A producer and the two threads of a sink: one encodes a frame while the other delivers the one before."""

    def __init__(self, topic: str, config: KafkaConfig) -> None:
        self.writer = Writer(config)
        self.encoding = ThreadPoolExecutor(1, thread_name_prefix=f"encode-{topic}")
        self.delivery = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{topic}")

    def close(self) -> None:
        """End all of it; nothing is under way."""
        self.encoding.shutdown(wait=False)
        self.delivery.shutdown(wait=False)
        self.writer.close()


@Stream.register_api()
class to_kafka_frames(FrameSink):  # a node is named as its method
    """Write frames to a Kafka topic, a message for each row.

    The stream waits until the broker has acknowledged all messages of a frame. If one is not acknowledged within
    30 seconds (``delivery.timeout.ms``), ``emit`` raises; a Kafka source upstream stops. Messages of one key keep
    their order. The index is not written.

    A row that cannot be written (an infinity in JSON, a message larger than ``message.max.bytes``) becomes a dead
    letter of the Kafka source upstream, and the others are written. Without such a source it is an error, and nothing
    of the frame is written.

    Parameters
    ----------
    upstream : Stream
        Frames: pandas or Arrow.
    topic : str
        Topic to write.
    config : KafkaConfig, dict, path of a properties file or None
        See `KafkaConfig`; None takes everything from the environment.
    key : str, optional
        Column of strings whose value is the message's key, which decides the partition.
    format : {"json", "arrow"}
        A JSON object for each row; or Arrow IPC streams, which hold all rows of a frame that share a key.
    **kwargs
        For `streamz.Stream`.

    Raises
    ------
    ParameterError
        For an unknown format.
    DataError, ColumnError, LiveError
        From the stream: for frames that cannot be written, and messages that were not delivered.
    """

    def __init__(
        self,
        upstream: Any,
        topic: str,
        config: KafkaConfig | Mapping[str, Any] | str | Path | None = None,
        *,
        key: str | None = None,
        format: Literal["json", "arrow"] = "json",
        **kwargs: Any,
    ) -> None:
        if format not in ENCODERS:
            raise ParameterError(f"unknown format {format!r}. {did_you_mean(format, ENCODERS)}")
        self.topic = topic
        self._key = key
        self._encoder = ENCODERS[format]
        self._config = KafkaConfig.of(config)
        # Frames are encoded and delivered whole, in the order in which they came.
        self._encoding, self._delivery = asyncio.Lock(), asyncio.Lock()
        self._lock = threading.Lock()  # of what follows: the end of a source releases its sinks from another thread
        self._connection: _Connection | None = None
        self._frames = 0  # under way
        self._released = False
        super().__init__(upstream, ensure_io_loop=True, **kwargs)

    def release(self) -> None:
        """Close the producer and end the threads, when the frames under way are finished; the next frame has new ones.

        Safe to call from any thread.
        """
        with self._lock:
            self._released = True
            self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._released and not self._frames and self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self, frame: pd.DataFrame | pa.Table, batch: Batch | None, metadata: list[dict[str, Any]]) -> Any:
        with self._lock:
            if self._connection is None:
                self._connection = _Connection(self.topic, self._config)
            self._released = False
            self._frames += 1
        return asyncio.ensure_future(self._holding(self._write(frame, batch, self._connection), metadata))

    async def _write(self, frame: pd.DataFrame | pa.Table, batch: Batch | None, connection: _Connection) -> None:
        try:
            # Until its turn to be delivered has come, so that one frame at most waits encoded.
            async with self._encoding:
                messages = await self._encode(frame, batch, connection)
                await self._delivery.acquire()
            try:
                await self._deliver(messages, connection)
            finally:
                self._delivery.release()
        finally:
            with self._lock:
                self._frames -= 1
                self._close_if_idle()

    async def _encode(
        self, frame: pd.DataFrame | pa.Table, batch: Batch | None, connection: _Connection
    ) -> list[dict[str, Any]]:
        """Return a frame's messages, and put the rows aside that cannot be written."""
        loop = asyncio.get_running_loop()
        table, encoded = await loop.run_in_executor(connection.encoding, self._messages, frame, connection.writer.room)
        if encoded.refused:
            if batch is None:
                raise_first(encoded.refused)
            else:
                rows = list(encoded.refused)
                labels = frame.index[rows].tolist() if isinstance(frame, pd.DataFrame) else rows
                batch.reject(labels, encoded.refused.values(), table.take(rows))
        return encoded.messages

    async def _deliver(self, messages: list[dict[str, Any]], connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        for start in range(0, len(messages), BATCH):
            chunk = messages[start : start + BATCH]
            await loop.run_in_executor(connection.delivery, connection.writer.send_batch, self.topic, chunk)
            # In short waits: the interpreter joins the thread when it ends.
            while not await loop.run_in_executor(connection.delivery, connection.writer.flush, 0.1):
                pass

    def _messages(self, frame: pd.DataFrame | pa.Table, room: int) -> tuple[pa.Table, Messages]:
        table = arrow_table(frame)
        if self._key is None:
            return table, self._encoder(table, None, room)
        if self._key not in table.column_names:
            raise ColumnError(f"no column {self._key!r} for the key. {did_you_mean(self._key, table.column_names)}")
        keys = table[self._key]
        kind = keys.type.value_type if pa.types.is_dictionary(keys.type) else keys.type
        if not is_text(kind):
            raise DataError(f"column {self._key!r} is {keys.type}; a key is a string")
        return table, self._encoder(table, keys.cast(kind).cast(pa.large_binary()).combine_chunks(), room)


@Stream.register_api()
class to_function(FrameSink):  # a node is named as its method
    """Hand frames to a function of your own, with the batch that they came from.

    At least once: after a restart the last batches may come again. Its `Batch.id` and `Batch.offsets` say which they
    are; stored together with what the function writes, they tell what has been written already. A frame that is
    replayed to rebuild state is not handed over. The stream waits for the function.

    Parameters
    ----------
    upstream : Stream
        Frames.
    f : callable
        Takes a frame and its `Batch`, which is None without a Kafka source upstream; may be ``async``.
    **kwargs
        For `streamz.Stream`.

    Examples
    --------
    >>> from streamz import Stream
    >>> frames = Stream()
    >>> sink = frames.to_function(lambda frame, batch: print(len(frame), batch))
    >>> frames.emit(pd.DataFrame({"bid": [1.0, 2.0]}))
    2 None
    """

    def __init__(self, upstream: Any, f: Callable[[Any, Batch | None], Any], **kwargs: Any) -> None:
        self.function = f
        super().__init__(upstream, ensure_io_loop=True, **kwargs)

    def _take(self, frame: Any, batch: Batch | None, metadata: list[dict[str, Any]]) -> Any:
        result = self.function(frame, batch)
        return self._holding(result, metadata) if inspect.isawaitable(result) else []


@Stream.register_api()
class to_table(FrameSink):  # a node is named as its method
    """Keep the last rows of a stream of frames in memory, for plots.

    Parameters
    ----------
    upstream : Stream
        pandas frames.
    maxlen : int
        Most rows to keep; older ones are dropped.
    symbol : str
        Column that `snapshot` selects by.
    columns : mapping, optional
        What it is called, as for a pipeline: ``{"symbol": "ticker"}``.
    **kwargs
        For `streamz.Stream`.

    Examples
    --------
    >>> from streamz import Stream
    >>> frames = Stream()
    >>> table = frames.to_table(maxlen=3)
    >>> frames.emit(pd.DataFrame({"symbol": ["A", "B"], "bid": [1.0, 2.0]}))
    >>> frames.emit(pd.DataFrame({"symbol": ["B", "A"], "bid": [3.0, 4.0]}))
    >>> table.snapshot()
      symbol  bid
    0      B  2.0
    1      B  3.0
    2      A  4.0
    >>> table.snapshot("A")
      symbol  bid
    0      A  4.0
    """

    def __init__(
        self,
        upstream: Any,
        maxlen: int = 100_000,
        symbol: str = "symbol",
        columns: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        if maxlen < 1:
            raise ParameterError(f"maxlen={maxlen}: it is at least 1")
        self.maxlen = maxlen
        self.symbol, _ = key_columns(symbol, "ts", columns)
        self._lock = threading.Lock()
        self._frames: deque[pd.DataFrame] = deque()
        self._rows = 0
        super().__init__(upstream, **kwargs)

    def _take(self, frame: pd.DataFrame, batch: Batch | None, metadata: list[dict[str, Any]]) -> None:
        frame = frame.iloc[-self.maxlen :]
        if not len(frame):
            return
        with self._lock:
            self._frames.append(frame)
            self._rows += len(frame)
            while self._rows - len(self._frames[0]) >= self.maxlen:
                self._rows -= len(self._frames.popleft())

    def snapshot(self, symbol: str | None = None) -> pd.DataFrame:
        """Return the rows as of now, of all symbols or of one, with a fresh index; an empty frame before the first.

        Safe to call from any thread; the rows are a copy.
        """
        with self._lock:
            if len(self._frames) > 1:  # many small frames become one, once
                self._frames = deque([pd.concat(self._frames, ignore_index=True).iloc[-self.maxlen :]])
                self._rows = len(self._frames[0])
            rows = self._frames[0] if self._frames else pd.DataFrame()
        rows = rows.iloc[-self.maxlen :]
        if symbol is not None and len(rows):
            rows = rows[rows[self.symbol] == symbol]
        return rows.reset_index(drop=True)
