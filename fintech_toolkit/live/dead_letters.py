"""Where records go that cannot be used: to a Kafka topic of their own."""

from __future__ import annotations

from confluent_kafka import Message

from fintech_toolkit.live.config import KafkaConfig
from fintech_toolkit.live.writer import LiveError, Writer


class DeadLetters:
    """Where records go that cannot be used: to a topic, or without one to the caller, as an error.

    A dead letter has the key and value of the record, and in its headers ``topic``, ``partition``, ``offset`` and
    ``reason`` as text. One row out of a message with many is a message of its own, with ``row`` as well.
    """

    def __init__(self, topic: str | None, config: KafkaConfig) -> None:
        self.topic = topic
        self._config = config
        self._writer: Writer | None = None

    def send(self, message: Message, reason: str, row: int | None = None, value: bytes | None = None) -> None:
        """Queue a dead letter for a message, or for one of its rows with the row's own value.

        Raises
        ------
        LiveError
            If there is no topic for dead letters.
        """
        where = {"topic": str(message.topic()), "partition": str(message.partition()), "offset": str(message.offset())}
        if self.topic is None:
            place = ", ".join(f"{name} {text}" for name, text in where.items())
            raise LiveError(f"{place}: {reason}; with dead_letter_topic=… such records are put aside there")
        if self._writer is None:
            self._writer = Writer(self._config)
        if row is None:
            value = message.value()
        else:
            where["row"] = str(row)
        self._writer.send(self.topic, value, message.key(), {**where, "reason": reason})

    def flush(self, timeout: float) -> bool:
        """Wait for the deliveries of what was queued and return whether they are complete."""
        return self._writer is None or self._writer.flush(timeout)
