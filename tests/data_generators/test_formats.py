"""What the files hold, read back by other libraries."""

import io
import json
import re
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_generators import Faults, GeneratorError, sample, stream, to_wire, write
from data_generators.datasets import DATASETS

NAMES = list(DATASETS)
WIRE = {
    "quotes": "instrumentId dealerId bidPrice offerPrice bidSize offerSize timestamp",
    "securities": "instrumentId securityName cusip isin marketSegment issuer sector currency coupon maturity issueDate "
    "rating country exchange status minDenomination",
    "trades": "tradeId instrumentId price quantity timestamp buySellIndicator dealerId venue",
}
DTYPES = {
    "quotes": {"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": "float64", "ask": "float64",
               "bid_size": "float64", "ask_size": "float64", "dealer": "str"},
    "trades": {"symbol": "str", "ts": "datetime64[ns, UTC]", "trade_id": "int64", "price": "float64",
               "size": "float64", "side": "int8", "dealer": "str", "venue": "str"},
}  # fmt: skip


def from_wire(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Undo the wire, column by column."""
    back = frame.rename(columns={wire: column for column, wire in DATASETS[name].wire.items()})
    if "ts" in back:
        back["ts"] = pd.to_datetime(back["ts"], format="ISO8601", utc=True).astype("datetime64[ns, UTC]")
    if "side" in back:
        back["side"] = back["side"].map({"B": 1, "S": -1}).astype("int8")
    for column in {"maturity", "issue_date"} & set(back.columns):
        back[column] = pd.to_datetime(back[column]).astype("datetime64[ms]")
    return back[list(DATASETS[name].schema.names)]


@pytest.mark.parametrize(("name", "dealers"), [("quotes", 3), ("trades", 2)])
def test_samples_have_the_canonical_columns(name: str, dealers: int) -> None:
    frame = sample(name)
    assert {column: str(dtype) for column, dtype in frame.dtypes.items()} == DTYPES[name]
    assert len(frame) == 1_000
    assert frame["ts"].is_monotonic_increasing
    assert 5 <= frame["symbol"].nunique() <= 10
    assert frame.groupby("symbol")["dealer"].nunique().min() >= dealers
    pd.testing.assert_frame_equal(frame, sample(name))
    assert sample(name, rows=0).dtypes.equals(frame.dtypes)
    assert sample(name, rows=5_000, symbols=3)["symbol"].nunique() == 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_text_formats_hold_the_wire_and_lose_nothing(tmp_path: Path, name: str, format: str) -> None:
    write(name, tmp_path, 20_000, symbols=8, format=format, partitions=2)
    parts = sorted(tmp_path.glob(f"part-*.{format}"))
    if format == "csv":
        frame = pd.concat([pd.read_csv(path) for path in parts], ignore_index=True)
    else:
        lines = [line for path in parts for line in path.read_text().splitlines()]
        frame = pd.DataFrame([json.loads(line) for line in lines])
    assert list(frame.columns) == WIRE[name].split()
    expected = sample(name, 20_000)
    back = from_wire(frame, name)
    if format == "csv" and name != "securities":
        sizes = [column for column in back if column.endswith("size")]
        back[sizes] = back[sizes].astype("float64")
    pd.testing.assert_frame_equal(back, expected, check_exact=True)


def test_the_wire_is_iso_8601_with_b_and_s() -> None:
    wire = to_wire(sample("trades"), "trades")
    pattern = re.compile(r"2024-01-08T\d\d:\d\d:\d\d\.\d{6}Z")
    assert wire["timestamp"].map(lambda text: pattern.fullmatch(text) is not None).all()
    assert set(wire["buySellIndicator"]) == {"B", "S"}
    assert (
        to_wire(sample("securities"), "securities")["issueDate"].str.fullmatch(r"\d{4}-\d\d-01|\d{4}-\d\d-15")
    ).all()


def test_the_wire_keeps_the_index_and_not_the_input() -> None:
    quotes = sample("quotes", 100).iloc[::7]
    before = quotes.copy()
    assert to_wire(quotes, "quotes").index.equals(quotes.index)
    pd.testing.assert_frame_equal(quotes, before)


def test_what_the_wire_cannot_carry_is_an_error() -> None:
    quotes = sample("quotes", 10)
    with pytest.raises(GeneratorError, match="needs the column 'bid'"):
        to_wire(quotes.drop(columns="bid"), "quotes")
    with pytest.raises(GeneratorError, match="whole microseconds"):
        to_wire(quotes.assign(ts=quotes["ts"] + pd.Timedelta(1, "ns")), "quotes")
    with pytest.raises(GeneratorError, match="there is no data set 'orders'"):
        to_wire(quotes, "orders")


@pytest.mark.parametrize("name", NAMES)
def test_binary_formats_hold_the_canonical_columns(tmp_path: Path, name: str) -> None:
    expected = pa.concat_tables(stream(name, 20_000, symbols=8))
    write(name, tmp_path / "arrow", 20_000, symbols=8, format="arrow", partitions=2)
    tables = [pa.ipc.open_file(path).read_all() for path in sorted((tmp_path / "arrow").glob("part-*"))]
    assert pa.concat_tables(tables).equals(expected)
    write(name, tmp_path / "parquet", 20_000, symbols=8, partitions=2)
    assert pa.parquet.read_table(tmp_path / "parquet").equals(expected)
    lazy = dd.read_parquet(tmp_path / "parquet")
    assert lazy.npartitions == 2
    assert len(lazy) == 20_000
    assert set(lazy.columns) == set(expected.column_names)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_missing_values_on_the_wire(tmp_path: Path, format: str) -> None:
    write("quotes", tmp_path, 3_000, symbols=8, format=format, faults=Faults(malformed=0.05))
    text = (tmp_path / f"part-00000.{format}").read_text()
    listed = pd.read_csv(tmp_path / "_faults.csv")
    if format == "csv":
        frame = pd.read_csv(io.StringIO(text))
    else:
        frame = pd.DataFrame([json.loads(line) for line in text.splitlines()])
    for column, detail in (("instrumentId", "symbol"), ("timestamp", "ts"), ("bidPrice", "bid")):
        missing = np.flatnonzero(frame[column].isna())
        assert set(missing) == set(listed.loc[listed["detail"] == f"{detail} missing", "row"])
        assert len(missing) > 0


def test_empty_data_sets_are_whole(tmp_path: Path) -> None:
    for format in ("parquet", "csv", "jsonl", "arrow"):
        report = write("trades", tmp_path / format, 0, format=format)
        assert (report.rows, report.partitions) == (0, 1)
        assert json.loads((tmp_path / format / "_manifest.json").read_text())["rows"] == 0
    assert len(pd.read_parquet(tmp_path / "parquet")) == 0


def test_default_partitions_are_trading_days(tmp_path: Path) -> None:
    write("quotes", tmp_path, 500_000, symbols=8)
    days = [pd.read_parquet(path)["ts"].dt.date.unique() for path in sorted(tmp_path.glob("part-*"))]
    assert [len(day) for day in days] == [1, 1, 1]


@pytest.mark.parametrize("rows", [-1, 1.5, "10", None, float("nan"), True])
def test_a_number_of_rows_that_is_none_is_an_error(rows: object) -> None:
    with pytest.raises(GeneratorError, match="rows must be a whole number"):
        sample("quotes", rows)


def test_unknown_names_are_errors_that_list_the_known(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="choose one of quotes, securities, trades"):
        sample("order")
    with pytest.raises(GeneratorError, match="choose one of parquet, csv, jsonl, arrow"):
        write("quotes", tmp_path, 1, format="xml")
    assert list(tmp_path.iterdir()) == []
