"""What is wrong with rows is found, each once, and nothing else is."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import stdnum.cusip
import stdnum.isin
from pandas.testing import assert_frame_equal

import data_generators
import fintech_toolkit as ft
from fintech_toolkit.enrichment.checks import Before, Checked, Known, check, conform, newest
from fintech_toolkit.enrichment.identifiers import has_wrong_check_digit

SHARES = {
    "late": 0.01,
    "out_of_order": 0.02,
    "duplicate": 0.02,
    "crossed": 0.02,
    "malformed": 0.03,
    "sentinel": 0.03,
    "null_text": 0.03,
    "zero_size": 0.02,
    "withdrawn": 0.02,
}
TIMED = ("late", "out_of_order", "duplicate", "malformed", "sentinel", "null_text", "zero_size")
KINDS = {
    ("quotes", "narrow"): (*TIMED, "crossed"),
    ("quotes", "wide"): (*TIMED, "withdrawn"),
    ("trades", "narrow"): TIMED,
    ("trades", "wide"): TIMED,
    ("securities", "narrow"): ("duplicate", "malformed", "null_text"),
    ("securities", "wide"): ("duplicate", "malformed", "sentinel", "null_text", "zero_size"),
}


def faulty(name: str, profile: str = "narrow", rows: int = 4_000) -> tuple[pa.Table, pd.DataFrame]:
    """Rows with faults, and the list of them."""
    faults = data_generators.Faults(**{kind: SHARES[kind] for kind in KINDS[name, profile]})
    with tempfile.TemporaryDirectory() as folder:
        data_generators.write(name, Path(folder) / "d", rows, symbols=8, profile=profile, faults=faults, partitions=1)
        return pq.read_table(Path(folder) / "d" / "part-00000.parquet"), pd.read_csv(Path(folder) / "d" / "_faults.csv")


def found_in(checked: Checked) -> pd.DataFrame:
    """The rows that were rejected or put in order, in the words of the generator."""
    kinds = {"late: ": "late", "duplicate": "duplicate", "crossed": "crossed"}
    rejected = checked.rejected.to_pandas()
    kind = [next((k for start, k in kinds.items() if r.startswith(start)), "malformed") for r in rejected["reason"]]
    moved = pd.DataFrame({"row": checked.reordered, "kind": "out_of_order", "reason": ""})
    return pd.concat([rejected[["row", "reason"]].assign(kind=kind), moved]).sort_values("row", ignore_index=True)


def noted(kind: str, detail: str) -> str:
    """What a fault is called of a row that is taken all the same; nothing, if none can see it in the rows."""
    column = detail.partition(" is ")[0]
    said = {
        "withdrawn": "action is DELETE: withdrawn",
        "sentinel": f"{column} is a sentinel: none",
        "null_text": f"{column} is the text NULL: missing",
        "zero_size": f"{column} is 0: none",
    }
    return said.get(kind, "")


SIDES = ("quotes", "narrow")


@pytest.mark.parametrize(("name", "profile"), KINDS)
def test_every_fault_of_the_generator_is_found_again_and_nothing_else(name: str, profile: str) -> None:
    table, listed = faulty(name, profile)
    checked = check(conform(table, name, "f"), name, "f")
    found = found_in(checked)
    # What is withdrawn needs no price.
    withdrawn = listed["row"].isin(listed["row"][listed["kind"] == "withdrawn"])
    listed = listed[~(withdrawn & (listed["detail"] == "price missing"))]
    # Sentinels and sizes of 0 take one-sided quotes away; NULL stands for no dealer.
    none = ["sentinel", "zero_size"] if name == "trades" else ["sentinel"] if (name, profile) == SIDES else []
    rejected = listed["kind"].isin(none) | listed["detail"].str.startswith("dealer is")
    seen = rejected | listed["kind"].isin(["late", "out_of_order", "duplicate", "crossed", "malformed"])
    seen &= ~listed["detail"].str.startswith("a later record of the same time")
    expected = listed[seen]
    assert set(KINDS[name, profile]) == set(listed["kind"])
    assert found["row"].tolist() == expected["row"].tolist()
    assert found["kind"].tolist() == expected["kind"].where(~rejected[seen], "malformed").tolist()
    spoiled = (found["kind"] == "malformed").to_numpy()
    assert spoiled.any()
    details = expected["detail"].replace("dealer is the text NULL", "dealer missing")
    assert found["reason"][spoiled].tolist() == details[spoiled].tolist()
    others = listed[~seen & ~listed["row"].isin(checked.rejected["row"].to_pylist())]
    notes = Counter(noted(kind, detail) for kind, detail in zip(others["kind"], others["detail"], strict=True))
    notes.pop("", None)
    if (name, profile) == ("quotes", "wide"):
        notes["firm is false or missing: no quote"] = int((~checked.taken["firm"].to_pandas()).sum())
    assert checked.notes == dict(notes)
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
