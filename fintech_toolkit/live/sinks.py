"""streamz sinks for frames: a Kafka topic, and a bounded table in memory. For a callback, streamz has `sink`."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from streamz import Stream
from streamz.sinks import Sink

from fintech_toolkit.errors import ColumnError, DataError, ParameterError, did_you_mean
from fintech_toolkit.live.codecs import encode_arrow, encode_json
from fintech_toolkit.live.config import KafkaConfig
from fintech_toolkit.live.schema import to_table as arrow_table
from fintech_toolkit.live.writer import BATCH, Writer

_ENCODERS = {"json": encode_json, "arrow": encode_arrow}


@Stream.register_api()
class to_kafka_frames(Sink):  # type: ignore[misc]  # a node is named as its method
    """Write frames to a Kafka topic, a message for each row.

    The stream waits until the broker has acknowledged all messages of a frame. If one is not acknowledged within
    30 seconds (``delivery.timeout.ms``), ``emit`` raises; a Kafka source upstream stops. Messages of one key keep
    their order. The index is not written.

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
        if format not in _ENCODERS:
            raise ParameterError(f"unknown format {format!r}. {did_you_mean(format, _ENCODERS)}")
        self.topic = topic
        self._key = key
        self._format = format
        self._writer = Writer(KafkaConfig.of(config))
        self._turn = asyncio.Lock()  # frames are written whole, in the order in which they came
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{topic}")
        super().__init__(upstream, ensure_io_loop=True, **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Write a frame; what is returned is done when it is delivered."""
        self._retain_refs(metadata or [])
        return asyncio.ensure_future(self._write(x, metadata or []))

    async def _write(self, frame: pd.DataFrame | pa.Table, metadata: list[dict[str, Any]]) -> None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            messages = await loop.run_in_executor(self._pool, self._messages, frame)
            for start in range(0, len(messages), BATCH):
                chunk = messages[start : start + BATCH]
                await loop.run_in_executor(self._pool, self._writer.send_batch, self.topic, chunk)
                # In short waits: the interpreter joins the thread when it ends.
                while not await loop.run_in_executor(self._pool, self._writer.flush, 0.1):
                    pass
        self._release_refs(metadata)

    def _messages(self, frame: pd.DataFrame | pa.Table) -> list[dict[str, Any]]:
        table = arrow_table(frame)
        if self._key is None:
            return [{"value": value} for value in _ENCODERS[self._format](table)]
        if self._key not in table.column_names:
            raise ColumnError(f"no column {self._key!r} for the key. {did_you_mean(self._key, table.column_names)}")
        keys = table[self._key].combine_chunks()
        if pa.types.is_dictionary(keys.type):
            keys = keys.dictionary_decode()
        if not (pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type)):
            raise DataError(f"column {self._key!r} is {keys.type}; a key is a string")
        if self._format == "json":
            values = encode_json(table)
            encoded = keys.cast(pa.large_binary()).to_pylist()
            return [{"value": value, "key": key} for value, key in zip(values, encoded, strict=True)]
        codes = keys.dictionary_encode(null_encoding="encode")
        messages = []
        for code, key in enumerate(codes.dictionary.to_pylist()):
            rows = table.filter(pa.compute.equal(codes.indices, code))
            encoded_key = None if key is None else key.encode()
            messages += [{"value": value, "key": encoded_key} for value in encode_arrow(rows)]
        return messages


@Stream.register_api()
class to_table(Sink):  # type: ignore[misc]  # a node is named as its method
    """Keep the last rows of a stream of frames in memory, for plots.

    Parameters
    ----------
    upstream : Stream
        pandas frames.
    maxlen : int
        Most rows to keep; older ones are dropped.
    symbol : str
        Column that `snapshot` selects by.
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

    def __init__(self, upstream: Any, maxlen: int = 100_000, symbol: str = "symbol", **kwargs: Any) -> None:
        if maxlen < 1:
            raise ParameterError(f"maxlen={maxlen}: it is at least 1")
        self.maxlen = maxlen
        self._symbol = symbol
        self._lock = threading.Lock()
        self._frames: deque[pd.DataFrame] = deque()
        self._rows = 0
        super().__init__(upstream, **kwargs)

    def update(self, x: pd.DataFrame, who: Any = None, metadata: Any = None) -> None:
        """Add a frame's rows."""
        frame = x.iloc[-self.maxlen :]
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
            rows = rows[rows[self._symbol] == symbol]
        return rows.reset_index(drop=True)
