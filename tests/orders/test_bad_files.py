"""What is wrong in files of orders: each row is right, or rejected with its line and the reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fintech_toolkit.errors import ColumnError, DataError, FintechToolkitError
from fintech_toolkit.orders import read_orders, read_trades
from fintech_toolkit.orders.records import MOST_RECORD
from tests.orders.files import AT, NAMES, TRADE_NAMES, order, parted, text

NULL = -(2**63)


def written(folder: Path, content: str | bytes, name: str = "orders.csv") -> Path:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("order_id", "7904794000000000001.0", "order_id is not a whole number"),
        ("order_id", "9223372036854775808", "order_id is not a whole number"),
        ("order_id", "", "order_id is missing"),
        ("side", "3", "side has an unknown code; known: 1, 2"),
        ("orderstatus", "5", "orderstatus has an unknown code; known: 1, 2, 3, 4"),
        ("exchangeordertype", "1", "exchangeordertype has an unknown bit; known: 2, 64, 256, 2048, 4096"),
        ("exchangeordertype", str(2**40), "exchangeordertype has an unknown bit; known: 2, 64, 256, 2048, 4096"),
        ("quantity", "0", "quantity is not above 0"),
        ("quantity", "-5", "quantity is not above 0"),
        ("quantity", "1.5", "quantity is not a whole number"),
        ("leavesquantity", "-1", "leavesquantity is below 0"),
        ("price", "0", "price is not above 0"),
        ("price", "3340.5", "price is not a whole number"),
        ("price", "inf", "price is not a whole number"),
        ("timestamp", str(AT // 10**6), "timestamp is neither nanoseconds since 1970 nor a time with its zone"),
        ("timestamp", "2024-09-05T10:00:00", "timestamp is neither nanoseconds since 1970 nor a time with its zone"),
        ("timestamp", "2024-13-05T10:00:00Z", "timestamp is neither nanoseconds since 1970 nor a time with its zone"),
        ("note", "a,b", "13 fields instead of 12"),
        ("note", "a\rb", "a line break or quote within a field"),
        ("note", '"open', "a quote is opened and not closed"),
    ],
)
def test_a_wrong_value_rejects_its_row_alone(tmp_path: Path, column: str, value: str, reason: str) -> None:
    rows = [order(0), order(1, **{column: value}), order(2)]
    taken, rejected, count = parted(written(tmp_path, text(rows)))
    assert [line for line, _ in taken] == [2, 4]
    assert rejected == [(3, reason)]
    assert count == 3
    if "quote" not in reason and "fields" not in reason:
        with pytest.raises(DataError, match="line 3: " + reason.split(";", maxsplit=1)[0]):
            read_orders(tmp_path / "orders.csv")


@pytest.mark.parametrize(
    ("column", "value", "meant"),
    [
        ("price", "3340.0", 3340),
        ("price", "-9.223372036854776e+18", NULL),
        ("price", str(NULL), NULL),
        ("price", "", NULL),
        ("price", " 3340", 3340),
        ("price", '"3340"', 3340),
        ("order_id", str(2**63 - 1), 2**63 - 1),
        ("timestamp", "2024-09-05T10:00:00.000000001+10:00", AT),
        ("timestamp", "2024-09-05 00:00:00.000000001Z", AT),
        ("note", '"two\nlines, and a comma"', None),
    ],
)
def test_other_ways_to_write_a_value_are_read_to_the_digit(
    tmp_path: Path, column: str, value: str, meant: int | None
) -> None:
    rows = [order(0), order(1, **{column: value}), order(2)]
    frame = read_orders(written(tmp_path, text(rows, end="\r\n")))
    assert sorted(frame["sequence"]) == [0, 1, 2]
    if meant is not None:
        row = frame[frame["sequence"] == 1]
        assert (row[column].astype("int64") if column == "timestamp" else row[column]).tolist() == [meant]


def test_a_header_again_is_rejected_and_another_one_refused(tmp_path: Path) -> None:
    rows = text([order(0), order(1)])
    taken, rejected, count = parted(written(tmp_path, rows + rows))
    assert [line for line, _ in taken] == [2, 3, 5, 6]
    assert (rejected, count) == ([(4, "the header again")], 5)
    other = text([order(0)], [*NAMES[1:], NAMES[0]])
    with pytest.raises(DataError, match=r"orders\.csv: line 4 is another header; cut the file there"):
        parted(written(tmp_path, rows + other))


def test_blank_lines_bom_spaces_capitals_and_no_last_line_break(tmp_path: Path) -> None:
    content = text([order(0), order(1)]).replace("order_id", " Order_ID").replace("\n79", "\n\n79").rstrip("\n")
    taken, rejected, count = parted(written(tmp_path, "\ufeff" + content, "orders.csv.gz"))
    assert ([line for line, _ in taken], rejected, count) == ([3, 5], [], 2)


@pytest.mark.parametrize("wrong", ["missing", "twice", "empty"])
def test_columns_missing_or_twice_are_refused(tmp_path: Path, wrong: str) -> None:
    content = {
        "missing": text([order(0)], [name for name in NAMES if name != "quantity"]),
        "twice": text([{**order(0), "orderid": "1"}], [*NAMES, "orderid"]),
        "empty": "",
    }[wrong]
    message = {"missing": "no column 'quantity'", "twice": "'order_id' twice", "empty": "does not begin with"}[wrong]
    with pytest.raises(FintechToolkitError, match=rf"orders\.csv .*{message}"):
        parted(written(tmp_path, content))


def test_a_line_longer_than_any_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"orders\.csv: line 3 has more than"):
        parted(written(tmp_path, text([order(0)]) + "1" * (MOST_RECORD + 1)))


def test_a_packed_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, text(order(n) for n in range(5_000)), "orders.csv.gz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"orders\.csv\.gz is damaged or cut short .* copy it again"):
        parted(path)


@pytest.mark.parametrize(
    ("column", "dtype", "message"),
    [
        ("exchangeordertype", "int8", "sweeps .2048. and blocks .4096. become 0"),
        ("order_id", "float64", "order_id is double, in which digits are lost"),
        ("timestamp", "datetime64[ns]", "timestamp has no time zone"),
        ("side", "bool", "side is bool; write it as int64"),
    ],
)
def test_columns_of_parquet_that_lost_values_are_refused(tmp_path: Path, column: str, dtype: str, message: str) -> None:
    frame = pd.DataFrame([order(0)]).drop(columns="note").astype("int64")
    frame[column] = (frame[column] % 100 if dtype == "int8" else frame[column]).astype(dtype)
    frame.to_parquet(tmp_path / "orders.parquet")
    with pytest.raises(ColumnError, match=message):
        read_orders(tmp_path / "orders.parquet")


def test_parquet_of_other_types_is_read_to_the_digit_or_rejected_by_row(tmp_path: Path) -> None:
    frame = pd.DataFrame([order(n) for n in range(4)]).drop(columns="note").astype("int64")
    table = pa.table(
        {
            **{name: pa.array(frame[name]) for name in frame},
            "order_id": pa.array([2**63, *frame["order_id"][1:]], pa.uint64()),
            "timestamp": pa.array(frame["timestamp"]).cast(pa.timestamp("ns", "Australia/Sydney")),
            "price": pa.array([3340.0, float(NULL), None, 3340.5]),
            "quantity": pa.array(["1", "2", "3", "4"]).dictionary_encode(),
            "leavesquantity": pa.array([None, 1, 1, 1], pa.int32()),
        }
    )
    pq.write_table(table, tmp_path / "orders.parquet", row_group_size=2)
    taken, rejected, rows = parted(tmp_path / "orders.parquet", size=1)
    assert taken == [(2, frame["order_id"][1]), (3, frame["order_id"][2])]
    assert rejected == [(1, "order_id is not a whole number of 64 bits"), (4, "price is not a whole number")]
    assert rows == 4


def test_without_a_sequence_the_order_of_the_file_is_it(tmp_path: Path) -> None:
    rows = [order(n, timestamp=AT + (n == 0), quantity=9 - n) for n in range(4)]
    frame = read_orders(written(tmp_path, text(rows, [name for name in NAMES if name != "sequence"])))
    assert frame["quantity"].tolist() == [8, 7, 6, 9]
    assert frame["sequence"].tolist() == [0, 1, 2, 3]
    rows[2]["sequence"] = ""
    with pytest.raises(DataError, match="Some orders have a sequence and others do not"):
        read_orders(written(tmp_path, text(rows)))


def test_trades_with_an_unknown_source_or_no_price_are_refused(tmp_path: Path) -> None:
    right = dict(zip(TRADE_NAMES, ["1", str(AT), "7", "8", "47", "9", "3345", "10", "1"], strict=True))
    assert read_trades(written(tmp_path, text([right], TRADE_NAMES)))["price"].tolist() == [3345]
    for column, value, reason in (("dealsource", "2", "unknown code"), ("tradeprice", "", "price is not above 0")):
        with pytest.raises(DataError, match=reason):
            read_trades(written(tmp_path, text([{**right, column: value}], TRADE_NAMES)))


RECORDS = st.sampled_from(
    [
        *(",".join(order(n).values()) for n in range(4)),
        ",".join(order(5, note='"x,\n""y"""').values()),
        ",".join(order(6, price="3340.0").values()),
        ",".join(order(7, side="x").values()),
        ",".join(NAMES),
        "",
        "1,2",
        'a"b',
        '"',
        "\r",
        "0x1F",
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(RECORDS, max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.binary(max_size=40) | st.text('0123456789,"\n\r -x.', max_size=60).map(str.encode),
    st.integers(1, 300),
)
def test_nothing_is_lost_however_a_damaged_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory, records: list[str], end: str, last: bool, damage: bytes, size: int
) -> None:
    """Whatever stands in a file: all rows are taken or rejected, the same ones in any cut, or the file is refused."""
    content = end.join([",".join(NAMES), *records]).encode() + damage + end.encode() * last
    path = written(tmp_path_factory.mktemp("damaged"), content)

    def outcome(size: int) -> object:
        try:
            taken, rejected, rows = parted(path, size=size)
        except FintechToolkitError as error:
            return str(error)
        assert rows == len(taken) + len(rejected)
        assert rows <= len(content.split(b"\n"))
        return taken, rejected

    assert outcome(size) == outcome(2**30)


@settings(max_examples=25, deadline=None)
@given(st.lists(RECORDS.filter(lambda record: record.count('"') % 2 == 0 and "\r" not in record), max_size=12))
def test_right_records_are_those_that_a_slow_reader_takes(
    tmp_path_factory: pytest.TempPathFactory, records: list[str]
) -> None:
    import csv
    import io

    path = written(tmp_path_factory.mktemp("read"), "\n".join([",".join(NAMES), *records]))
    expected = []
    for fields in csv.reader(io.StringIO("\n".join(records))):
        row = dict(zip(NAMES, fields, strict=False))
        if len(fields) == len(NAMES) and row["side"] in "12":
            expected.append(int(row["order_id"]))
    taken, _, rows = parted(path, size=200)
    assert [order_id for _, order_id in taken] == expected
    assert rows == sum(bool(fields) for fields in csv.reader(io.StringIO("\n".join(records))))
    assert np.all(np.diff([line for line, _ in taken]) > 0)
