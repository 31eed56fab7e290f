"""What jobs a run will have, estimated from how its files begin."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import numpy as np
import pyarrow.parquet as pq

from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.orders.checks import local_days
from fintech_toolkit.orders.config import OrdersConfig
from fintech_toolkit.orders.intake import EPOCH
from fintech_toolkit.orders.reading import BLOCK, Source, pieces, stamp_of

MOST_FILES = 32
"""How many files of a kind are looked into."""
PACKED = 6
"""How many times as long a text is as it is after gzip."""

Places = Counter[tuple[int, date]]


def survey(config: OrdersConfig) -> tuple[Places, Places]:
    """Return about how many order states and sides of trades there are, by security and local day.

    Of each file the first rows are read, and taken for all; of many files some stand for the others.

    Raises
    ------
    FintechToolkitError
        If a file cannot be read.
    """
    orders, trades = (
        _rows(kind, paths, config.market.zone)
        for kind, paths in (("orders", config.inputs.orders), ("trades", config.inputs.trades))
    )
    return orders, trades


def _rows(kind: str, paths: list[str], zone: str) -> Places:
    sources = [Source(url, kind) for path in paths for url in Files(path).urls]
    sizes = [int(stamp_of(source)[0]) for source in sources]
    step = -(-len(sources) // MOST_FILES)
    factor = sum(sizes) / max(1, sum(sizes[::step]))
    found: Places = Counter()
    for source, size in zip(sources[::step], sizes[::step], strict=True):
        piece = next(pieces(source, zone), None)
        if piece is None or not piece.taken.num_rows:
            continue
        days = local_days(piece.taken["timestamp"], zone).to_numpy(zero_copy_only=False).astype("int64")
        times = factor * _times(source, size, piece.rows)
        places, counts = np.unique(
            np.column_stack([piece.taken["security_code"].to_numpy(), days]), axis=0, return_counts=True
        )
        for (security, day), count in zip(places.tolist(), counts.tolist(), strict=True):
            found[security, EPOCH + timedelta(days=day)] += round(times * count)
    return found


def _times(source: Source, size: int, rows: int) -> float:
    """Return how many times as many rows there are as were read."""
    if not source.is_csv:
        import fsspec

        with fsspec.open(source.path, "rb") as file:
            return float(pq.read_metadata(file).num_rows / rows)
    return max(1.0, size * (PACKED if source.path.endswith(".gz") else 1) / BLOCK)
