"""A streamz source that reads a Kafka topic as frames, at least once, and never drops an error."""

from __future__ import annotations

import atexit
import itertools
import math
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from streamz import Source, Stream
from streamz.core import convert_interval

from fintech_toolkit.engines.live.holds import Holds
from fintech_toolkit.engines.live.states import KeepsState, adopt_states, downstream, states_of
from fintech_toolkit.errors import ParameterError, did_you_mean
from fintech_toolkit.kafka.codecs import DECODERS
from fintech_toolkit.kafka.config import KafkaConfig
from fintech_toolkit.kafka.counts import Counter, Counts
from fintech_toolkit.kafka.dead_letters import DeadLetters
from fintech_toolkit.kafka.delivery import Delivery
from fintech_toolkit.kafka.health import Health
from fintech_toolkit.kafka.membership import Membership, consumer_settings
from fintech_toolkit.kafka.message_schema import message_schema
from fintech_toolkit.kafka.reader import Reader
from fintech_toolkit.kafka.writer import logger

_CONNECT_SECONDS = 10.0
_LEAVE_SECONDS = 2.0
# Nodes with a life of their own: what happens behind them reaches nobody.
_DETACHED = {"buffer", "delay", "latest", "map_async", "timed_window", "timed_window_unique"}

_running: dict[tuple[str, ...], from_kafka_frames] = {}
"""The sources of this process that run, by broker, group and member."""


@Stream.register_api(staticmethod)
class from_kafka_frames(Source):  # type: ignore[misc]  # a node is named as its method
    """Read a Kafka topic as a stream of pandas frames, one for each micro-batch of messages.

    At least once: offsets are committed after a batch has gone through all sinks. Two batches may be on their way
    through nodes and sinks while the next is read; the consumer keeps its place in the group for as long as it takes.

    Nodes that keep a state (`Pipeline.live`, `asof_join`) have one for each partition, tied to the offset that it has
    seen: it changes when all sinks have a batch, so that a source that an error stopped can be started again. Where the
    group has committed offsets and a node has no matching state, the source stops and says so, because the node's
    numbers would be wrong. There are three ways out: give the state that was saved with its offsets
    (``enriched.state.save(path)``, ``pipeline.live(source, path)``), `replay`, or `fresh`.

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
    optional : sequence of str
        Columns that a message may lack; one that lacks another is rejected. A null is none, where the dtype allows it.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of times that are integers. Left out, they are nanoseconds, and rejected if they look like another.
    batch_size, batch_bytes : int
        Most rows in a batch, and most bytes of its messages (a single message may have more of either).
    batch_time : float or str
        How long a batch waits for messages, in seconds or as ``"50ms"``: what latency costs.
    wait_for_topic : float or str
        How long to wait for the topic if it does not exist when the source starts, in seconds or as ``"5min"``:
        ``math.inf`` for as long as it takes, 0 if its absence is an error at once.
    dead_letter_topic : str, optional
        Where records go that cannot be decoded, or that a pipeline refuses, see `DeadLetters`.
    replay : bool
        Where a state is missing, read the records again that it was made of. They go to nodes with a state only, and
        to no sink of ours; a sink of streamz itself gets them again where a node of your own lies before it that also
        leads to a state.
    fresh : bool
        Where a state is missing, begin with none, at the offset that the group has come to.
    member : str, optional
        The name of this consumer in its group (``group.instance.id``), by default of this machine and topic. Started
        again under its name, after a crash too, it has its partitions at once. A source that starts under the name of
        another takes over from it, with its states if it is of the same process and an equal stream.
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
        optional: Sequence[str] = (),
        unit: str | None = None,
        batch_size: int = 20_000,
        batch_bytes: int = 16_000_000,
        batch_time: float | str = 0.05,
        wait_for_topic: float | str = 30.0,
        dead_letter_topic: str | None = None,
        replay: bool = False,
        fresh: bool = False,
        member: str | None = None,
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
        if not 1 <= batch_bytes <= 2**30:
            raise ParameterError(f"batch_bytes={batch_bytes}: it is between 1 and 1,073,741,824")
        if replay and fresh:
            raise ParameterError("replay=True and fresh=True: a state that is missing is made again, or begun anew")
        settings = KafkaConfig.of(config)
        self.stopped: bool
        self.topic = topic
        self.exception: BaseException | None = None
        self.passed: dict[int, int] = {}
        self.through: dict[int, int] = {}
        self.settled: dict[int, int] = {}
        self.holds = Holds()
        self.failure: BaseException | None = None
        self._settings = consumer_settings(settings.for_consumer(), group, member or f"{socket.gethostname()}.{topic}")
        self._columns = message_schema(schema, optional=optional, unit=unit)
        self._until_latest = until is not None
        self._replay, self._fresh = replay, fresh
        self._wait_for_topic = convert_interval(wait_for_topic)
        self._counter = Counter()
        self._dead_letters = DeadLetters(dead_letter_topic, settings)
        time = next((field.name for field in self._columns if pa.types.is_timestamp(field.type)), None)
        self._delivery = Delivery(self, time)
        self._restarts = 0
        self._thread: threading.Thread | None = None
        self._reader: Reader | None = None
        self._reader_arguments: dict[str, Any] = {
            "decoder": DECODERS[format](self._columns),
            "batch_size": batch_size,
            "batch_bytes": batch_bytes,
            "batch_time": convert_interval(batch_time),
            "ids": itertools.count(),
            "passed": self.passed,
            "counter": self._counter,
            "dead_letters": self._dead_letters,
            "deliver": self._delivery.send,
            "feed": self,
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
        for node in downstream(self):
            name = type(node).__name__
            if type(node).__module__.startswith("streamz.") and name in _DETACHED:
                raise ParameterError(
                    f"{name!r} cannot follow a Kafka source: it passes frames on later, by itself, so that "
                    "errors would reach nobody and back-pressure would end there"
                )
        if self._thread is not None:
            self._thread.join()
        for state in self._nodes():
            state.follow(self, self.topic)
        self._take_over()
        self.stopped, self.started, self._delivery.broken = False, True, False
        self.exception = self.failure = None
        self.holds.clear()
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

    def __enter__(self) -> from_kafka_frames:
        """Start the source."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the source and wait for its end, which gives back threads and connections."""
        self.stop()
        try:
            self.wait()
        except Exception:
            if error is None:
                raise

    @property
    def health(self) -> Health:
        """How the source is doing."""
        if self.exception is not None:
            status = f"died: {type(self.exception).__name__}: {self.exception}"
        elif self.stopped:
            status = "stopped" if self.started else "not started"
        else:
            status = self._reader.doing if self._reader is not None else "starting"
        marks = [mark for number, mark in self._delivery.watermarks.copy().items() if number in self.lag]
        watermark = pd.Timestamp(min(marks), tz="UTC") if marks else None
        return Health(status, self.rate, self.lag, watermark, self._restarts, self.holds.now(self.lag))

    @property
    def counts(self) -> Counts:
        """How many records were received, emitted and rejected, of batches that all sinks have finished with."""
        return self._counter.counts

    @property
    def lag(self) -> dict[int, int]:
        """For each partition, how far the last batch was from the end of the topic, in offsets."""
        return dict(self._reader.lag) if self._reader is not None else {}

    @property
    def rate(self) -> float:
        """Records received per second, over the last five seconds."""
        return self._counter.rate

    # What nodes ask

    def caught_up(self, partition: int) -> bool:
        """Whether all records of a partition have been read."""
        return self.stopped or self.lag.get(partition) == 0

    def fail(self, error: BaseException) -> None:
        """Stop because of an error that no batch has brought about."""
        self.failure = error
        self._delivery.broken = True

    @property
    def broken(self) -> bool:
        """Whether a batch has failed, so that none after it may begin."""
        return self._delivery.broken

    @property
    def partitions(self) -> int:
        """How many partitions the topic has, 0 before it is known."""
        return self._reader.membership.partitions if self._reader is not None else 0

    # The thread

    def _nodes(self) -> list[KeepsState]:
        return states_of(self)

    def _name(self) -> tuple[str, ...]:
        names = ("bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id")
        return (*(str(self._settings.get(name)) for name in names), self.topic)

    def _take_over(self) -> None:
        """Stop the source that runs under this one's name, and go on from what its nodes know."""
        before = _running.get(self._name())
        _running[self._name()] = self
        if before is None or before is self:
            return
        logger.warning("topic %r: the source that ran under this one's name is stopped", self.topic)
        before.stop()
        if before._thread is not None:
            before._thread.join()
        self.passed |= before.passed
        self.through |= before.through
        self.settled |= before.settled
        adopt_states(self._nodes(), before._nodes(), self.topic)

    def _membership(self, drain: Any) -> Membership:
        return Membership(
            self.topic,
            self._settings,
            nodes=self._nodes(),
            passed=self.passed,
            settled=self.settled,
            replay=self._replay,
            fresh=self._fresh,
            until_latest=self._until_latest,
            stopped=lambda: self.stopped,
            drain=drain,
        )

    def _read(self) -> None:
        try:
            patience = _CONNECT_SECONDS
            while not self.stopped:
                self._reader = Reader(self.topic, self._membership, **self._reader_arguments)
                if not self._reader.run(patience, self._wait_for_topic):
                    break
                logger.warning("topic %r: the group has given this consumer up; joining again", self.topic)
                self._restarts += 1
                patience = math.inf
        except BaseException as error:
            logger.error("the source of topic %r stopped: %s", self.topic, error)
            self.exception = error
        finally:
            self._release()
            self.stopped = True
            for node in self._nodes():
                node.unfollow(self.topic)
            if _running.get(self._name()) is self:
                del _running[self._name()]
            atexit.unregister(self._leave)

    def _release(self) -> None:
        """Give back the threads and connections of what only this source feeds; the next start makes them anew."""
        self._dead_letters.close()
        for node in downstream(self):
            if hasattr(node, "release"):
                node.release()

    def _leave(self) -> None:
        """Leave the group before the interpreter ends, or others would wait for this consumer's session to."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_LEAVE_SECONDS)
