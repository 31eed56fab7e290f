"""Injected faults: each that is listed is in the data, and nothing else is wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import cusip, isin

from data_generators import Faults, GeneratorError, stream, write
from data_generators.datasets import find_dataset, row_range
from data_generators.faults import FAULTS_SCHEMA
from data_generators.market import Market

SHARES = st.floats(0, 0.2)
FEW = settings(max_examples=8, deadline=None)


def faulty_rows(name: str, faults: Faults, seed: int, rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    dataset, market = find_dataset(name), Market(seed, 8)
    tables, listed = zip(*row_range(dataset, market, faults, 0, rows), strict=True)
    return pa.concat_tables(tables).to_pandas(), pa.concat_tables(listed).to_pandas()


def found(frame: pd.DataFrame) -> pd.DataFrame:
    """Look for everything that can be wrong with quotes or trades, knowing nothing of how faults are made."""
    rows, previous = [], None
    newest = pd.Timestamp(0, tz="UTC")
    for number, record in enumerate(frame.itertuples(index=False)):
        fields = record._asdict()
        for column, value in fields.items():
            if pd.isna(value):
                rows.append((number, "malformed", f"{column} missing"))
            elif column in ("size", "bid_size", "ask_size") and value <= 0:
                rows.append((number, "malformed", f"{column} negative"))
        if "bid" in fields and record.bid >= record.ask:
            rows.append((number, "crossed", "bid above ask"))
        if not pd.isna(record.ts):
            if (newest - record.ts).total_seconds() >= 60:
                rows.append((number, "late", "a record newer by 60 s or more came before"))
            elif record.ts < newest:
                rows.append((number, "out_of_order", "a newer record came before"))
            newest = max(newest, record.ts)
        if record == previous:
            rows.append((number, "duplicate", "copy of the row before"))
        previous = record
    return pd.DataFrame(rows, columns=["row", "kind", "detail"])


def as_set(listed: pd.DataFrame) -> set[tuple[int, str, str]]:
    return set(listed.itertuples(index=False, name=None))


@pytest.mark.parametrize("name", ["quotes", "trades"])
@FEW
@given(
    late=SHARES,
    out_of_order=SHARES,
    duplicate=SHARES,
    crossed=SHARES,
    malformed=SHARES,
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 6_000),
)
def test_what_is_listed_is_there_and_nothing_else(
    name: str,
    late: float,
    out_of_order: float,
    duplicate: float,
    crossed: float,
    malformed: float,
    seed: int,
    rows: int,
) -> None:
    faults = Faults(late, out_of_order, duplicate, crossed if name == "quotes" else 0.0, malformed)
    frame, listed = faulty_rows(name, faults, seed, rows)
    assert len(frame) == rows
    assert as_set(found(frame)) == as_set(listed)
    assert listed["row"].is_monotonic_increasing


@pytest.mark.parametrize("name", ["quotes", "trades"])
def test_without_their_faults_the_records_are_the_clean_ones(name: str) -> None:
    faults = Faults(late=0.05, out_of_order=0.05, duplicate=0.05)
    dataset = find_dataset(name)
    rows = dataset.block_rows + round(0.05 * dataset.block_rows)
    frame, listed = faulty_rows(name, faults, 3, rows)
    clean = pa.concat_tables(stream(name, dataset.block_rows, seed=3, symbols=8)).to_pandas()
    copies = listed.loc[listed["kind"] == "duplicate", "row"]
    restored = frame.drop(index=copies).sort_values("ts", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(restored, clean)


@pytest.mark.parametrize("kind", ["late", "out_of_order", "duplicate", "crossed", "malformed"])
@pytest.mark.parametrize("share", [0.001, 0.1])
def test_shares_are_those_asked_for(kind: str, share: float) -> None:
    _, listed = faulty_rows("quotes", Faults(**{kind: share}), 1, 240_000)
    counts = listed["kind"].value_counts()
    others = {"late": {"out_of_order"}}.get(kind, set())
    assert set(counts.index) <= {kind} | others
    records = 240_000 / (1 + share) if kind == "duplicate" else 240_000
    assert counts[kind] == pytest.approx(records * share, rel=0.06)


@pytest.mark.parametrize("kind", ["late", "out_of_order", "duplicate", "crossed", "malformed"])
def test_a_share_of_one_spoils_every_record(kind: str) -> None:
    frame, listed = faulty_rows("quotes", Faults(**{kind: 1.0}), 1, 5_000)
    assert as_set(found(frame)) == as_set(listed)
    if kind in ("crossed", "malformed"):
        assert len(listed) == 5_000
    if kind == "duplicate":
        assert len(listed) == 2_500


def test_faults_of_securities() -> None:
    dataset, faults = find_dataset("securities"), Faults(duplicate=0.02, malformed=0.03)
    tables, listings = zip(*row_range(dataset, Market(2, 8), faults, 0, 40_000), strict=True)
    frame, listed = pa.concat_tables(tables).to_pandas(), pa.concat_tables(listings).to_pandas()
    wrong = set()
    for detail, rows in (
        ("symbol missing", frame["symbol"].isna()),
        ("cusip with a wrong check digit", ~frame["cusip"].map(cusip.is_valid)),
        ("isin with a wrong check digit", ~frame["isin"].map(isin.is_valid)),
    ):
        wrong |= {(row, "malformed", detail) for row in np.flatnonzero(rows)}
    copies = (frame == frame.shift()).all(axis=1)
    wrong |= {(row, "duplicate", "copy of the row before") for row in np.flatnonzero(copies)}
    assert wrong == as_set(listed)
    assert set(listed["kind"]) == {"duplicate", "malformed"}


def test_the_side_file_lists_the_faults_of_the_files(tmp_path: Path) -> None:
    faults = Faults(late=0.01, out_of_order=0.01, duplicate=0.01, crossed=0.01, malformed=0.01)
    report = write("quotes", tmp_path, 9_000, symbols=8, partitions=4, faults=faults)
    listed = pd.read_csv(tmp_path / "_faults.csv")
    assert list(listed.columns) == FAULTS_SCHEMA.names
    frame = pa.concat_tables([pq.read_table(path) for path in sorted(tmp_path.glob("part-*"))]).to_pandas()
    assert as_set(found(frame)) == as_set(listed)
    assert report.rows == len(frame) == 9_000
    assert not list(tmp_path.glob(".*")), "no fragment is left"


def test_no_faults_by_default(tmp_path: Path) -> None:
    write("quotes", tmp_path, 5_000, symbols=8)
    assert not (tmp_path / "_faults.csv").exists()
    assert found(pd.read_parquet(tmp_path)).empty


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf"), "much", True])
def test_a_share_out_of_range_is_an_error(share: object) -> None:
    with pytest.raises(GeneratorError, match="share of crossed records must be from 0 to 1"):
        Faults(crossed=share)


def test_shares_above_one_together_are_an_error() -> None:
    with pytest.raises(GeneratorError, match="one fault at most"):
        Faults(late=0.6, malformed=0.6)


@pytest.mark.parametrize(("name", "kind"), [("trades", "crossed"), ("securities", "late"), ("securities", "crossed")])
def test_faults_that_records_cannot_have_are_an_error(name: str, kind: str) -> None:
    with pytest.raises(GeneratorError, match="cannot be"):
        stream(name, 10, faults=Faults(**{kind: 0.1}))
