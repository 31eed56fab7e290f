"""What is wrong with rows is found, each once, and nothing else is."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import stdnum.cusip
import stdnum.isin
from pandas.testing import assert_frame_equal

import data_generators
import fintech_toolkit as ft
from data_generators.datasets import find_dataset
from data_generators.faults import inject
from fintech_toolkit.enrichment.checks import Before, Checked, Known, check, conform, newest
from fintech_toolkit.enrichment.identifiers import has_wrong_check_digit

FAULTS = data_generators.Faults(late=0.01, out_of_order=0.02, duplicate=0.02, crossed=0.02, malformed=0.03)


def faulty(name: str, rows: int = 4_000) -> tuple[pa.Table, pd.DataFrame]:
    """Rows with faults, and the list of them."""
    frame = data_generators.sample(name, rows)
    table = pa.Table.from_pandas(frame, schema=find_dataset(name).schema, preserve_index=False)
    which = {"quotes": FAULTS, "trades": data_generators.Faults(0.01, 0.02, 0.02, 0, 0.03)}
    faults = which.get(name, data_generators.Faults(duplicate=0.02, malformed=0.03))
    found, listed = inject(table, faults, np.random.default_rng(5), 0)
    return found, listed.to_pandas()


def found_in(checked: Checked) -> pd.DataFrame:
    """What was found, in the words of the generator."""
    kinds = {"late: ": "late", "duplicate": "duplicate", "crossed": "crossed"}
    rejected = checked.rejected.to_pandas()
    kind = [next((k for start, k in kinds.items() if r.startswith(start)), "malformed") for r in rejected["reason"]]
    moved = pd.DataFrame({"row": checked.reordered, "kind": "out_of_order", "reason": ""})
    return pd.concat([rejected[["row", "reason"]].assign(kind=kind), moved]).sort_values("row", ignore_index=True)


@pytest.mark.parametrize("name", ["quotes", "securities", "trades"])
def test_every_fault_of_the_generator_is_found_again_and_nothing_else(name: str) -> None:
    table, listed = faulty(name)
    checked = check(conform(table, name, "f"), name, "f")
    found = found_in(checked)
    assert found["row"].tolist() == listed["row"].tolist()
    assert found["kind"].tolist() == listed["kind"].tolist()
    spoiled = (listed["kind"] == "malformed").to_numpy()
    assert spoiled.any()
    assert found["reason"][spoiled].tolist() == listed["detail"][spoiled].tolist()
    assert checked.taken.num_rows + checked.rejected.num_rows == table.num_rows
    assert checked.taken.num_rows == len(set(range(table.num_rows)) - set(checked.rejected["row"].to_pylist()))
    if name != "securities":
        assert checked.taken["ts"].to_pandas().is_monotonic_increasing
    records = pa.Table.from_struct_array(checked.rejected["record"])
    assert_frame_equal(records.to_pandas(), table.take(checked.rejected["row"]).to_pandas(), check_dtype=False)


@pytest.mark.parametrize("name", ["quotes", "securities", "trades"])
@pytest.mark.parametrize("pieces", [2, 7])
def test_files_may_be_cut_anywhere(name: str, pieces: int) -> None:
    """A duplicate's original, and the newer row of a late one, may stand in the file before."""
    table, _ = faulty(name)
    table = conform(table, name, "f")
    whole = check(table, name, "f")
    before, seen, rejected = Before(), set(), set()
    bounds = np.linspace(0, table.num_rows, pieces + 1).astype(int)
    for start, stop in itertools.pairwise(bounds):
        part = table.slice(start, stop - start)
        checked = check(part, name, "f", before)
        rejected |= {
            (start + row, reason)
            for row, reason in zip(
                checked.rejected["row"].to_pylist(), checked.rejected["reason"].to_pylist(), strict=True
            )
        }
        seen |= set(part["symbol"].drop_null().to_pylist())
        time = max(before.newest, newest(part, Known())) if name != "securities" else before.newest
        before = Before(time, part.slice(part.num_rows - 1), seen)
    expected = set(zip(whole.rejected["row"].to_pylist(), whole.rejected["reason"].to_pylist(), strict=True))
    across = {(row, reason) for row, reason in rejected if reason.startswith("out of order")}
    assert {row for row, _ in across} <= set(whole.reordered.tolist())
    assert rejected - across == expected


ROW = {"symbol": "A", "ts": pd.Timestamp("2024-01-08 14:00", tz="UTC"), "bid": 99.0, "ask": 99.5, "dealer": "D"}
TRADE = {"symbol": "A", "ts": ROW["ts"], "price": 99.0, "size": 5.0, "side": 1, "dealer": "D"}
KNOWN = Known(pa.array(["A"]), pa.array(["D"]), pd.Timestamp("2024-01-09", tz="UTC").value)


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("quotes", {"symbol": " "}, "symbol missing"),
        ("quotes", {"symbol": "B"}, "symbol unknown: no security has it"),
        ("quotes", {"dealer": None}, "dealer missing"),
        ("quotes", {"dealer": "E"}, "dealer unknown: no quote is of it"),
        ("quotes", {"ts": pd.Timestamp("2024-01-10", tz="UTC")}, "ts in the future"),
        ("quotes", {"ts": pd.NaT}, "ts missing"),
        ("quotes", {"ask": np.nan}, "ask missing"),
        ("quotes", {"bid": -np.inf}, "bid missing"),
        ("quotes", {"bid": 99.6}, "crossed: bid above ask"),
        ("trades", {"price": None}, "price missing"),
        ("trades", {"size": -1.0}, "size negative"),
        ("trades", {"side": 2}, "side neither 1, -1 nor 0"),
    ],
)
def test_a_wrong_row_is_rejected_and_the_right_ones_around_it_are_not(name: str, row: Any, reason: str) -> None:
    right = ROW if name == "quotes" else TRADE
    rows = [
        right,
        {**right, "ts": right["ts"] + pd.Timedelta("1s"), **row},
        {**right, "ts": right["ts"] + pd.Timedelta("2s")},
    ]
    table = conform(pa.Table.from_pandas(pd.DataFrame(rows)), name, "f")
    checked = check(table, name, "f", known=KNOWN)
    assert checked.rejected.select(["file", "row", "reason"]).to_pylist() == [{"file": "f", "row": 1, "reason": reason}]
    assert checked.taken.num_rows == 2
    assert not len(checked.reordered)


def test_a_locked_quote_and_one_of_this_instant_are_right() -> None:
    rows = [{**ROW, "ask": 99.0}, {**ROW, "ts": pd.Timestamp(KNOWN.now, tz="UTC")}]
    checked = check(conform(pa.Table.from_pandas(pd.DataFrame(rows)), "quotes", "f"), "quotes", "f", known=KNOWN)
    assert checked.reasons == {}


def test_one_sided_rows_need_no_bid_and_may_hold_sentinels() -> None:
    rows = pd.DataFrame([{**TRADE, "side": side, "price": price} for side, price in (("BID", 0.0), ("ASK", 1000.0))])
    checked = check(conform(pa.Table.from_pandas(rows), "quotes", "f"), "quotes", "f")
    assert checked.taken.num_rows == 2


def test_a_key_that_a_reference_has_twice_counts_once() -> None:
    table = pa.table({"symbol": ["A", "B", "A", "C", "C"], "cusip": [None, None, None, None, "NULL"]})
    checked = check(table, "securities", "f", Before(taken={"B"}))
    assert checked.taken["symbol"].to_pylist() == ["A", "C"]
    assert checked.reasons == {"symbol of an earlier security": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.drop_columns(["bid"]),
            "day.parquet: there is no column 'bid', which quotes must have. Known: ask,",
        ),
        (
            lambda t: t.set_column(1, "ts", t["ts"].cast(pa.timestamp("ns"))),
            "day.parquet: column 'ts' holds times without a zone",
        ),
        (lambda t: t.set_column(1, "ts", t["ts"].cast(pa.int64())), "day.parquet: column 'ts' holds int64"),
        (
            lambda t: t.set_column(2, "bid", t["bid"].cast(pa.string())),
            "day.parquet: column 'bid' holds string; it must hold numbers",
        ),
        (
            lambda t: t.set_column(0, "symbol", pc.utf8_length(t["symbol"]).cast(pa.int32())),
            "day.parquet: column 'symbol' holds int32; it must hold texts",
        ),
    ],
)
def test_columns_that_cannot_be_used_are_named_with_their_file(change: Any, message: str) -> None:
    table = pa.Table.from_pandas(data_generators.sample("quotes", 10), preserve_index=False)
    with pytest.raises((ft.ColumnError, ft.DataError), match=message):
        conform(change(table), "quotes", "day.parquet")


def test_check_digits_are_those_of_another_library() -> None:
    rng = np.random.default_rng(3)
    alphabet = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    for length, module in ((9, stdnum.cusip), (12, stdnum.isin)):
        texts = ["".join(rng.choice(alphabet, length - 1)) + str(rng.integers(10)) for _ in range(2_000)]
        if length == 12:
            texts = ["US" + text[2:] for text in texts]
        expected = [not module.is_valid(text) for text in texts]
        assert 0 < sum(expected) < len(texts)
        values = pa.chunked_array([texts[:700], texts[700:]]).slice(3)
        assert has_wrong_check_digit(values, length).tolist() == expected[3:]
    others = pa.chunked_array([["03783310", "0378331000", "037833*00", "NULL", "", None]])
    assert has_wrong_check_digit(others, 9).tolist() == [True, True, True, False, False, False]
