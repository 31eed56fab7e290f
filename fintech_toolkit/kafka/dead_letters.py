"""Where records go that cannot be used: to a Kafka topic of their own."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from fintech_toolkit.errors import LiveError
from fintech_toolkit.kafka.codecs import encode_arrow
from fintech_toolkit.kafka.config import KafkaConfig
from fintech_toolkit.kafka.message_schema import arrow_table
from fintech_toolkit.kafka.records import Record
from fintech_toolkit.kafka.writer import HEADER_OVERHEAD, Writer

_REASON_BYTES = 1_000


class _Letter(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


class DeadLetters:
    """Where records go that cannot be used: to a topic, or without one to the caller, as an error.

    A dead letter has the key and value of the record, and in its headers ``topic``, ``partition``, ``offset`` and
    ``reason`` as text. One row out of a message with many is a message of its own, with ``row`` as well. What does not
    fit into a message is cut, first the value and then the key; the header ``length`` or ``key_length`` says how many
    bytes it had. ``message.max.bytes`` decides, and then the broker.

    Parameters
    ----------
    topic : str or None
        Topic to write.
    config : KafkaConfig
        How to connect.
    """

    def __init__(self, topic: str | None, config: KafkaConfig) -> None:
        self.topic = topic
        self._config = config
        self._writer: Writer | None = None
        self._room = 0
        self._refused: deque[_Letter] = deque()  # by the broker, as too large
        self._alone: _Letter | None = None

    def send(self, record: Record, reason: str, row: int | None = None, rows: pa.Table | None = None) -> None:
        """Queue a dead letter for a record, or for one of its rows with a table of that row alone.

        Raises
        ------
        LiveError
            If there is no topic for dead letters.
        """
        where = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
        if row is None:
            self._queue(where, reason, record.key, record.value)
        else:
            (value,) = encode_arrow(rows)
            self._queue({**where, "row": str(row)}, reason, record.key, value)

    def send_row(
        self, topic: str, partition: int, first_offset: int, reason: str, rows: pa.Table | pd.DataFrame | None, row: int
    ) -> None:
        """Queue a dead letter for one of several rows that no single message stands for.

        It has the offset from which the row was made, and no value if the rows are not at hand.

        Raises
        ------
        LiveError
            If there is no topic for dead letters.
        """
        where = {"topic": topic, "partition": str(partition), "offset": str(first_offset)}
        (value,) = encode_arrow(arrow_table(rows).slice(row, 1)) if rows is not None else (b"",)
        self._queue(where, reason, None, value)

    def flush(self, timeout: float) -> bool:
        """Wait for the deliveries of what was queued and return whether they are complete.

        Raises
        ------
        LiveError
            If a letter could not be delivered, not even cut.
        """
        deadline = time.monotonic() + timeout
        while self._writer is not None:
            if not self._writer.flush(max(0.0, deadline - time.monotonic())):
                return False
            if not self._refused:
                return True
            # The broker's limit is for what is sent together. Only what it refuses alone is too large by itself.
            if self._refused[-1] is self._alone:
                letter = self._refused.pop()
                self._room = min(self._room, _size(letter)) // 2
            else:
                letter = self._refused.popleft()
            self._alone = letter
            self._send(letter)
        return True

    def close(self) -> None:
        """End the producer; the next letter makes a new one. What was not flushed is given up."""
        if self._writer is not None:
            self._writer.close()
        self._writer = self._alone = None
        self._refused.clear()

    def _queue(self, where: dict[str, str], reason: str, key: bytes | None, value: bytes | None) -> None:
        if self.topic is None:
            place = ", ".join(f"{name} {text}" for name, text in where.items())
            raise LiveError(f"{place}: {reason}; with dead_letter_topic=… such records are put aside there")
        if self._writer is None:
            self._writer = Writer(self._config)
            self._room = self._writer.room
        if len(reason.encode()) > _REASON_BYTES:
            reason = reason.encode()[:_REASON_BYTES].decode(errors="ignore") + "…"
        self._send(_Letter(key, value, {**where, "reason": reason}))

    def _send(self, letter: _Letter) -> None:
        """Hand a letter to the producer, cut to what there is room for."""
        assert self.topic is not None
        assert self._writer is not None
        key, value, headers = letter
        if _size(letter) > self._room:
            headers = {**headers, "length": str(len(value or b""))}
            left = self._room - _size(_Letter(None, None, headers))
            if key and len(key) > left:
                headers["key_length"] = str(len(key))
                left = self._room - _size(_Letter(None, None, headers))
                key = key[: max(0, left)]
            if left < 0:
                raise LiveError(
                    f"topic {self.topic!r}: a dead letter is too large even without key and value; allow for larger "
                    "messages: max.message.bytes of the topic, message.max.bytes of the client"
                )
            value = value and value[: left - len(key or b"")]
        self._writer.send(self.topic, value, key, headers, partial(self._refused.append, letter))


def _size(letter: _Letter) -> int:
    headers = sum(len(name) + len(text.encode()) + HEADER_OVERHEAD for name, text in letter.headers.items())
    return len(letter.key or b"") + len(letter.value or b"") + headers
