"""Files as inputs: what is listed, what is read of it, and what is said of those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.rules import RULES
from tests.flows.worlds import world
from tests.frames import same

TRADES = world(300, 5)["trades"]
FLOW = ft.source("trades").filter([("price", ">", 99), ("size", ">", 2)]).select("symbol", "price")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Trades in three files of Parquet, of which the second comes after the tenth by its letters."""
    for number, start in ((1, 0), (2, 100), (10, 200)):
        TRADES[start : start + 100].to_parquet(tmp_path / f"part-{number}.parquet", index=False, row_group_size=25)
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part-3.parquet.crc").write_text("")
    (tmp_path / "notes.txt").write_text("not data")
    return tmp_path


def test_a_folder_and_a_pattern_are_read_in_their_order(folder: Path) -> None:
    for path in (folder, str(folder), f"{folder}/part-*.parquet", f"file://{folder}"):
        assert Files(path).read(["id"])["id"].to_pylist() == TRADES["id"].tolist()
        same(FLOW(trades=path).to_pandas(), FLOW(trades=TRADES).reset_index(drop=True))


def test_other_file_systems(folder: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in folder.glob("*.parquet"):
        memory.pipe(f"/trades/{path.name}", path.read_bytes())
    try:
        same(FLOW(trades="memory://trades").to_pandas(), FLOW(trades=TRADES).reset_index(drop=True))
    finally:
        memory.rm("/trades", recursive=True)


def test_csv(tmp_path: Path) -> None:
    expected = FLOW(trades=TRADES).reset_index(drop=True)
    for name in ("trades.csv", "trades.csv.gz"):
        TRADES.to_csv(tmp_path / name, index=False)
        same(FLOW(trades=tmp_path / name).to_pandas(), expected)
        same(FLOW.dask(trades=str(tmp_path / name)).compute().astype(expected.dtypes).reset_index(drop=True), expected)


def test_what_explain_says_is_what_is_read(folder: Path) -> None:
    """What the footers rule out is not read: there is no Parquet in its place, and nobody notices."""
    first, since = folder / "part-1.parquet", int(TRADES["id"].iloc[40])
    flow = ft.source("trades").filter([("id", ">=", since), ("size", ">", 2)]).select("symbol", "price")
    (reading,) = flow.explain(trades=folder).reads
    metadata = [pq.read_metadata(path) for path in folder.glob("part-*.parquet")]
    groups = [meta.row_group(g) for meta in metadata for g in range(meta.num_row_groups)]
    all_columns = [group.column(c) for group in groups for c in range(group.num_columns)]
    assert reading.of_size == sum(column.total_compressed_size for column in all_columns)
    assert reading.of_rows == len(TRADES)
    assert (reading.columns, reading.of_columns) == (2, len(TRADES.columns))
    met = [group for group in groups if group.column(2).statistics.max >= since]  # the ids
    read = {"symbol", "price", "size", "id"}
    assert reading.rows == sum(group.num_rows for group in met) < len(TRADES)
    assert reading.size == sum(
        group.column(c).total_compressed_size
        for group in met
        for c in range(group.num_columns)
        if group.column(c).path_in_schema in read
    )
    expected = flow(trades=folder)
    venue = pq.read_metadata(first).row_group(0).column(5)
    assert venue.path_in_schema == "venue"
    data = bytearray(first.read_bytes())
    start = venue.dictionary_page_offset or venue.data_page_offset
    data[start : start + venue.total_compressed_size] = b"\xff" * venue.total_compressed_size
    first.write_bytes(data)
    assert flow(trades=folder).equals(expected)
    with pytest.raises(DataError, match="cannot be read"):
        ft.source("trades").filter(("venue", "==", "X"))(trades=folder)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.parquet cannot be read: there is no such file or folder"):
        FLOW(trades=tmp_path / "missing.parquet")
    with pytest.raises(DataError, match="holds no files of Parquet or CSV; give a file, a folder or a pattern"):
        FLOW(trades=tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        FLOW(trades="nosuchprotocol://bucket/trades")


@pytest.mark.parametrize("left", [0, 10, 4_000])
def test_a_file_cut_short(folder: Path, left: int) -> None:
    path = folder / "part-2.parquet"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match="cannot be read"):
        FLOW(trades=folder)


def test_a_csv_file_with_a_row_too_short(tmp_path: Path) -> None:
    (tmp_path / "trades.csv").write_text("symbol,price,size\nA,1.0,2\nB,1.0\n")
    with pytest.raises(DataError, match=r"trades\.csv cannot be read: .*#3"):
        FLOW(trades=tmp_path / "trades.csv")


def test_a_data_set_by_symbol_stays_one(tmp_path: Path) -> None:
    ft.write_partitioned(TRADES, str(tmp_path / "set"), npartitions=3)
    flow = ft.source("trades").filter(("price", ">", 0)).pipe(ft.ewma("price", span=5))
    with pytest.raises(DataError, match=r"is a data set by symbol: give ft\.read_partitioned"):
        flow(trades=tmp_path / "set")
    lazy = flow.dask(trades=str(tmp_path / "set"))
    assert lazy.npartitions == 3
    got = lazy.compute().sort_values("id", ignore_index=True)
    expected = flow(trades=TRADES).sort_values("id", ignore_index=True)
    same(got.astype(expected.dtypes), expected)


def test_paths_beside_frames(folder: Path) -> None:
    """They are read as the frames beside them are: an Arrow table, or pandas."""
    bonds = world(300, 5)["bonds"]
    flow = ft.source("trades").join(ft.source("bonds"), on="symbol")
    assert isinstance(flow(trades=folder, bonds=pa.Table.from_pandas(bonds)), pa.Table)
    got = flow(trades=folder, bonds=bonds)
    assert isinstance(got, pd.DataFrame)
    same(got, flow(trades=TRADES, bonds=bonds).reset_index(drop=True))
    same(got, flow(trades=folder, bonds=bonds, without=RULES))
