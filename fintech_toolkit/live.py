"""Live feeds: streamz sources and sinks for Kafka, and pipelines that run on them.

Importing it registers ``Stream.from_kafka_frames``, ``.to_kafka_frames``, ``.to_function`` and ``.to_table``.
"""

from __future__ import annotations

from fintech_toolkit.engines.live.batch import Batch
from fintech_toolkit.engines.live.states import LiveState
from fintech_toolkit.errors import LiveError
from fintech_toolkit.kafka.config import KafkaConfig
from fintech_toolkit.kafka.counts import Counts
from fintech_toolkit.kafka.embedded_broker import EmbeddedBroker
from fintech_toolkit.kafka.health import Health
from fintech_toolkit.kafka.sinks import to_function, to_kafka_frames, to_table
from fintech_toolkit.kafka.source import from_kafka_frames

__all__ = [
    "Batch",
    "Counts",
    "EmbeddedBroker",
    "Health",
    "KafkaConfig",
    "LiveError",
    "LiveState",
    "from_kafka_frames",
    "to_function",
    "to_kafka_frames",
    "to_table",
]
