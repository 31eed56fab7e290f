"""Days in messages of JSON: as ISO 8601, and back in the dtype that pandas has for them."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from fintech_toolkit.errors import DataError
from fintech_toolkit.kafka.codecs import JsonDecoder, encode_json
from fintech_toolkit.kafka.message_schema import arrow_table, message_schema, to_frame
from tests.frames import same


def test_days() -> None:
    """As pandas has them, in milliseconds or seconds; what is no day, or another unit, may be a time without a zone."""
    schema = message_schema({"day": "datetime64[ms]"})
    written = [b'{"day":"2026-10-01"}', b'{"day":null}']
    for unit in ("s", "ms"):
        days = pd.Series(pd.to_datetime(["2026-10-01", None])).astype(f"datetime64[{unit}]")
        assert encode_json(arrow_table(pd.DataFrame({"day": days}))) == written
        same(to_frame(JsonDecoder(schema).decode(written).table), pd.DataFrame({"day": days.astype("M8[ms]")}))
    assert encode_json(pa.table({"day": pa.array([20_727], pa.date32())})) == written[:1]
    for wrong in (days + pd.Timedelta("1h"), days.astype("M8[us]"), days.astype("M8[ns]")):
        with pytest.raises(DataError, match="column 'day' has times without a zone"):
            arrow_table(pd.DataFrame({"day": wrong}))
    for number in (-719_163, 2_932_897):
        with pytest.raises(DataError, match="column 'day': a day beyond the years 1 to 9999"):
            encode_json(pa.table({"day": pa.array([number], pa.date32())}))
    bad = [b'{"day":"2026-13-01"}', b'{"day":5}', b"{}", b'{"day":"2026-10-01T00:00:00Z"}']
    found = JsonDecoder(schema).decode([*written, *bad])
    assert found.message.tolist() == [0, 1]
    said = ["'2026-13-01' is not an ISO 8601 day", "expected string", "is missing", "is not an ISO 8601 day"]
    assert all(text in reason for text, (_, reason) in zip(said, found.rejected, strict=True)), found.rejected
