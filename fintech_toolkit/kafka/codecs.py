"""Messages to frames and frames to messages, a batch at a time: JSON and Arrow IPC.

Decoding never loses a message and never guesses: each one is in the table that comes out, or among the
rejected with the reason. Which ones are rejected does not depend on how messages are cut into batches.
Encoding never loses a row: each one is in a message, or among the refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from fintech_toolkit.kafka.arrow_codec import ArrowDecoder, arrow_messages, encode_arrow
from fintech_toolkit.kafka.json_codec import JsonDecoder
from fintech_toolkit.kafka.json_encoding import encode_json, json_messages
from fintech_toolkit.kafka.messages import Decoded, Messages

__all__ = ["DECODERS", "ENCODERS", "ArrowDecoder", "Decoded", "JsonDecoder", "Messages", "encode_arrow", "encode_json"]

DECODERS: dict[str, Callable[[pa.Schema], JsonDecoder | ArrowDecoder]] = {
    "json": JsonDecoder,
    "arrow": ArrowDecoder,
}
ENCODERS: dict[str, Callable[[pa.Table, pa.Array | None, int], Messages]] = {
    "json": json_messages,
    "arrow": arrow_messages,
}
