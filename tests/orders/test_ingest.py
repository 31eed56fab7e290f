"""Files into a store: every row there or rejected, the same bytes however the files are cut."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from fintech_toolkit.orders import Store, ingest, read_orders


def bytes_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.glob("security=*/day=*/*")}


def test_the_real_day_in_csv_and_parquet_gives_the_same_store(real_data: Path, tmp_path: Path) -> None:
    day = real_data / "asx_day"
    table = pq.read_table(day / "orders.parquet")
    pa.csv.write_csv(table.set_column(4, "price", table["price"].cast(pa.int64())), tmp_path / "orders.csv")
    stores = []
    for number, (path, chunk) in enumerate([(day / "orders.parquet", 2**30), (tmp_path / "orders.csv", 300_000)]):
        stores.append(tmp_path / f"store{number}")
        found = ingest(path, day / "trades.csv.gz", stores[-1], chunk_bytes=chunk)
        assert [(each.rows, each.taken) for each in found.files] == [(28_452, 28_452), (8_302, 8_302)]
    assert bytes_of(stores[0]) == bytes_of(stores[1])
    assert len(bytes_of(stores[0])) == 3
    store = Store(stores[0])
    evening, whole = store.days()
    assert (evening.order_rows, evening.trade_rows, whole.order_rows, whole.trade_rows) == (52, 0, 28_400, 8_302)
    frames = [store.orders(each.security, each.day) for each in (evening, whole)]
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), read_orders(day / "orders.parquet"))
    assert store.trades(evening.security, evening.day).empty
