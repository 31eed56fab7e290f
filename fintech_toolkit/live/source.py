"""A streamz source that reads a Kafka topic as frames, at least once, and never drops an error."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import itertools
import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from streamz import Source, Stream
from streamz.core import RefCounter, convert_interval

from fintech_toolkit.errors import ParameterError, did_you_mean
from fintech_toolkit.live.batch import Batch, Counter, Counts
from fintech_toolkit.live.codecs import DECODERS
from fintech_toolkit.live.config import KafkaConfig
from fintech_toolkit.live.dead_letters import DeadLetters
from fintech_toolkit.live.reader import Reader, consumer_settings
from fintech_toolkit.live.schema import message_schema
from fintech_toolkit.live.writer import logger

_CONNECT_SECONDS = 10.0
_LEAVE_SECONDS = 2.0
# Nodes with a life of their own: what happens behind them reaches nobody.
_DETACHED = {"buffer", "delay", "latest", "map_async", "timed_window", "timed_window_unique"}


def _downstream(node: Stream) -> Iterator[Stream]:
    """Walk over all nodes that a node feeds."""
    for child in node.downstreams:
        yield child
        yield from _downstream(child)


@Stream.register_api(staticmethod)
class from_kafka_frames(Source):  # type: ignore[misc]  # a node is named as its method
    """Read a Kafka topic as a stream of pandas frames, one for each micro-batch of messages.

    At least once: offsets are committed after a batch has gone through all sinks. The next batch is read when the
    slowest sink has finished with the last one; the consumer keeps its place in the group for as long as it takes.

    A frame's rows are in order of partition, then offset. So rows of one symbol are in the order of production if
    the symbol is the key; rows of different symbols need not be in order of time. Its index counts the rows; its
    origin travels in the metadata, as a `Batch`.

    Errors end the stream and are raised by `wait`: those of nodes and sinks, of Kafka, and of records that cannot
    be decoded, unless these have a dead-letter topic to go to.

    Parameters
    ----------
    topic : str
        Topic to read.
    config : KafkaConfig, dict, path of a properties file or None
        See `KafkaConfig`; None takes everything from the environment. ``auto.offset.reset`` (``"earliest"`` unless
        given) says where a group starts that has committed nothing yet.
    schema : dict of str to dtype
        Columns to decode, see `message_schema`.
    group : str, optional
        Consumer group; ``group.id`` of the configuration if not given.
    format : {"json", "arrow"}
        A JSON object a message, or an Arrow IPC stream a message.
    batch_size : int
        Most messages in a batch.
    batch_time : float or str
        How long a batch waits for messages, in seconds or as ``"50ms"``: what latency costs.
    wait_for_topic : float or str
        How long to wait for the topic if it does not exist when the source starts, in seconds or as ``"5min"``:
        ``math.inf`` for as long as it takes, 0 if its absence is an error at once.
    dead_letter_topic : str, optional
        Where records go that cannot be decoded, or that a pipeline refuses, see `DeadLetters`.
    until : {"latest"}, optional
        Stop at what was the end of the topic when the partitions were assigned, and wait for all sinks.
    start : bool
        Whether to start at once; otherwise call ``start`` when all nodes are in place.
    **kwargs
        For `streamz.Stream`: ``stream_name``, ``loop``, ``asynchronous``.

    Raises
    ------
    ParameterError
        For parameters that are unknown or out of range, and for settings that at-least-once rests on.

    Examples
    --------
    >>> import pandas as pd
    >>> from streamz import Stream
    >>> from fintech_toolkit.live import EmbeddedBroker
    >>> with EmbeddedBroker() as broker:
    ...     config = {"bootstrap.servers": broker.bootstrap_servers}
    ...     quotes = Stream()
    ...     sink = quotes.to_kafka_frames("quotes", config, key="symbol")
    ...     quotes.emit(pd.DataFrame({"symbol": ["AAA", "AAA"], "bid": [10.0, 10.5]}))
    ...     schema = {"symbol": "str", "bid": "float64"}
    ...     source = Stream.from_kafka_frames("quotes", config, schema=schema, group="docs", until="latest")
    ...     frames = source.sink_to_list()
    ...     source.start()
    ...     source.wait(30)
    True
    >>> pd.concat(frames)
      symbol   bid
    0    AAA  10.0
    1    AAA  10.5
    """

    def __init__(
        self,
        topic: str,
        config: KafkaConfig | Mapping[str, Any] | str | Path | None = None,
        *,
        schema: Mapping[str, Any],
        group: str | None = None,
        format: Literal["json", "arrow"] = "json",
        batch_size: int = 20_000,
        batch_time: float | str = 0.05,
        wait_for_topic: float | str = 30.0,
        dead_letter_topic: str | None = None,
        until: Literal["latest"] | None = None,
        start: bool = False,
        **kwargs: Any,
    ) -> None:
        if format not in DECODERS:
            raise ParameterError(f"unknown format {format!r}. {did_you_mean(format, DECODERS)}")
        if until not in (None, "latest"):
            raise ParameterError(f"until={until!r}: it is 'latest' or None")
        if not 1 <= batch_size <= 1_000_000:
            raise ParameterError(f"batch_size={batch_size}: it is between 1 and 1,000,000")
        settings = KafkaConfig.of(config)
        counter = Counter()
        self.stopped: bool
        self.topic = topic
        self.exception: BaseException | None = None
        self._counter = counter
        self._thread: threading.Thread | None = None
        self._reader: Reader | None = None
        self._reader_arguments: dict[str, Any] = {
            "topic": topic,
            "settings": consumer_settings(settings.for_consumer(), group),
            "decoder": DECODERS[format](message_schema(schema)),
            "batch_size": batch_size,
            "batch_time": convert_interval(batch_time),
            "wait_for_topic": convert_interval(wait_for_topic),
            "until_latest": until is not None,
            "ids": itertools.count(),
            "passed": {},
            "counter": counter,
            "dead_letters": DeadLetters(dead_letter_topic, settings),
            "deliver": self._deliver,
            "stopped": lambda: self.stopped,
        }
        super().__init__(start=start, **kwargs)

    # What the caller sees, from any thread

    def start(self) -> None:
        """Start reading in a thread of its own; if it runs already, nothing happens.

        Raises
        ------
        ParameterError
            If a node downstream would take errors out of sight.
        """
        if not self.stopped:
            return
        for node in _downstream(self):
            name = type(node).__name__
            if type(node).__module__.startswith("streamz.") and name in _DETACHED:
                raise ParameterError(
                    f"{name!r} cannot follow a Kafka source: it passes frames on later, by itself, so that "
                    "errors would reach nobody and back-pressure would end there"
                )
        if self._thread is not None:
            self._thread.join()
        self.stopped, self.started, self.exception = False, True, None
        self._thread = threading.Thread(target=self._read, name=f"kafka-{self.topic}", daemon=True)
        self._thread.start()
        atexit.register(self._leave)

    def stop(self) -> None:
        """Ask the source to stop, which takes less than a second; `wait` waits for it.

        A batch that its sinks have not finished by then is not committed: it will be read again.
        """
        self.stopped = True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the source and return whether it has come within `timeout` seconds.

        Raises
        ------
        Exception
            What stopped the source, if it was an error.
        """
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        if self.exception is not None:
            raise self.exception
        return True

    @property
    def health(self) -> str:
        """What the source is about: not started, waiting for Kafka or its topic, running, stopped; or why it died."""
        if self.exception is not None:
            return f"died: {type(self.exception).__name__}: {self.exception}"
        if self.stopped:
            return "stopped" if self.started else "not started"
        return self._reader.doing if self._reader is not None else "starting"

    @property
    def counts(self) -> Counts:
        """How many records were received, emitted and rejected."""
        return self._counter.counts

    @property
    def lag(self) -> dict[int, int]:
        """For each partition, how far the last batch was from the end of the topic, in offsets."""
        return dict(self._reader.lag) if self._reader is not None else {}

    @property
    def rate(self) -> float:
        """Records received per second, over the last five seconds."""
        return self._counter.rate

    def _read(self) -> None:
        try:
            patience = _CONNECT_SECONDS
            while not self.stopped:
                self._reader = Reader(**self._reader_arguments)
                if not self._reader.run(patience):
                    break
                logger.warning("topic %r: the group has given this consumer up; joining again", self.topic)
                patience = math.inf
        except BaseException as error:
            logger.error("the source of topic %r stopped: %s", self.topic, error)
            self.exception = error
        finally:
            self.stopped = True
            atexit.unregister(self._leave)

    def _leave(self) -> None:
        """Leave the group before the interpreter ends, or others would wait for this consumer's session to."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_LEAVE_SECONDS)

    def _deliver(self, frame: pd.DataFrame, batch: Batch) -> concurrent.futures.Future[None]:
        return asyncio.run_coroutine_threadsafe(self._emit_to_sinks(frame, batch), self.loop.asyncio_loop)

    async def _emit_to_sinks(self, frame: pd.DataFrame, batch: Batch) -> None:
        """Send a frame down the stream and return when all sinks have finished with it."""
        # A reference of our own: a sink's future may still be at work when all nodes have let go.
        reference = RefCounter(initial=1, cb=batch.done.set, loop=self.loop)
        await asyncio.gather(*self._emit(frame, [{"ref": reference, "batch": batch}]))
        reference.release()
