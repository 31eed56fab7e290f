"""A Kafka producer whose failures cannot be missed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from fintech_toolkit.errors import LiveError
from fintech_toolkit.kafka.config import KafkaConfig

logger = logging.getLogger("fintech_toolkit.live")

BATCH = 20_000
# What librdkafka counts of a message besides its key and value, and of each header besides its name and value.
OVERHEAD, HEADER_OVERHEAD = 36, 10
_DEFAULTS = {
    "enable.idempotence": True,
    "linger.ms": 50,  # so that a frame's messages go out together: flushing, which follows at once, ends the wait
    "delivery.timeout.ms": 30_000,  # without a broker, librdkafka alone would say so after five minutes
}

_STEP_SECONDS = 0.002


class Writer:
    """Produces messages; `flush` raises if any message since the last one was not delivered.

    Attributes
    ----------
    room : int
        How many bytes key and value of a message may have together.
    """

    def __init__(self, config: KafkaConfig) -> None:
        settings = _DEFAULTS | config.for_producer() | {"delivery.report.only.error": True}
        self._producer = Producer(settings | {"on_delivery": self._on_delivery}, logger=logger)
        self.room = int(settings.get("message.max.bytes", 1_000_000)) - OVERHEAD
        self._servers = settings.get("bootstrap.servers", settings.get("metadata.broker.list"))
        self._failure: str | None = None

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: dict[str, str],
        on_too_large: Callable[[], None],
    ) -> None:
        """Queue one message with headers, waiting for room in the queue if need be.

        `on_too_large` is called, by `flush`, if the broker refuses it as too large; that is no failure.
        """
        encoded: dict[str, str | bytes | None] = {name: text.encode() for name, text in headers.items()}

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                on_too_large()
            else:
                self._on_delivery(error, message)

        while True:
            try:
                self._producer.produce(topic, value, key, headers=encoded, on_delivery=on_delivery)
            except BufferError:
                self.flush(1)
            else:
                return

    def send_batch(self, topic: str, messages: list[dict[str, Any]]) -> None:
        """Queue messages, dicts of ``value`` and perhaps ``key``, in their order.

        At most `BATCH` at a time, with a `flush` between: the queue must have room for all of them, since once it
        is full, later ones could overtake earlier ones.

        Raises
        ------
        LiveError
            If a message is larger than `room`, or the queue too small.
        """
        if self._producer.produce_batch(topic, messages) < len(messages):
            error = next(message["_error"] for message in messages if "_error" in message)
            raise LiveError(f"topic {topic!r}: a message was not taken: {error.str()}")

    def flush(self, timeout: float) -> bool:
        """Wait for the deliveries of all that was queued and return whether they are complete.

        Raises
        ------
        LiveError
            If a message could not be delivered.
        """
        deadline = time.monotonic() + timeout
        # In small steps: the client looks only every 10 ms, or when a step ends, whether all is delivered.
        while waiting := self._producer.flush(min(_STEP_SECONDS, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                break
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise LiveError(failure)
        return waiting == 0

    def close(self) -> None:
        """End the producer, its threads and its connections; what was not delivered is given up."""
        self._producer.purge()
        self._producer.close()

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = f"topic {message.topic()!r} at {self._servers}: a message was not delivered: {error.str()}"
