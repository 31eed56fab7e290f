"""Files of reference tables: the same when opened again, left as they were, refused if damaged, mapped and not read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import reference_file
from tests.joins.securities import bonds, trades


def test_a_table_saved_and_opened_is_the_same(tmp_path: Path) -> None:
    reference = bonds()
    left = trades(reference)
    table = ft.ReferenceTable(reference, on="isin")
    path = tmp_path / "bonds.reference"
    table.save(path)
    opened = ft.ReferenceTable.open(path)
    ft.ReferenceTable.verify(path)
    assert repr(opened) == repr(table)
    for how in ("left", "inner"):
        assert_frame_equal(opened.lookup(left, how=how), table.lookup(left, how=how), check_exact=True)
    assert [found.name for found in tmp_path.iterdir()] == ["bonds.reference"]
    assert pa.ipc.open_file(pa.BufferReader(path.read_bytes()[: _rows_end(path)])).read_all().num_rows == 200


def _rows_end(path: Path) -> int:
    with path.open("rb") as file:
        return int(reference_file._checked(file, sampled=True)["parts"][0]["size"])


def test_an_opened_file_stays_as_it_was_and_goes_on_when_it_is_saved_over(tmp_path: Path) -> None:
    path = tmp_path / "t"
    frame = pd.DataFrame({"k": [1, 2, 3], "v": ["a", "b", "c"]})
    table = ft.ReferenceTable(frame, on="k")
    table.upsert(frame.assign(v="later"), valid_from=10)
    table.save(path)
    before = path.read_bytes()
    first, second = ft.ReferenceTable.open(path), ft.ReferenceTable.open(path)
    first.upsert(frame.assign(v="between"), valid_from=5)  # into the versions of the file
    first.upsert(pd.DataFrame({"k": [9], "v": ["new"]}))
    first.delete([2])
    at = pd.DataFrame({"k": [1, 2, 9], "ts": [7, 7, 7]})
    assert first.lookup(at, as_of="ts")["v"].tolist() == ["between", np.nan, "new"]
    assert path.read_bytes() == before
    assert second.lookup(at, as_of="ts")["v"].tolist() == ["a", "b", np.nan]
    first.save(path)
    assert second.lookup(at, as_of="ts")["v"].tolist() == ["a", "b", np.nan]
    third = ft.ReferenceTable.open(path)
    assert third.lookup(at, as_of="ts")["v"].tolist() == ["between", np.nan, "new"]
    assert len(third) == 3


def test_a_byte_that_is_another_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t"
    table = ft.ReferenceTable(bonds(40), on="isin")
    table.upsert(bonds(40).iloc[:5], valid_from="2026-01-01")
    table.save(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 400, 1)):
        path.write_bytes(flipped(whole, place))
        for look in (ft.ReferenceTable.open, ft.ReferenceTable.verify):
            with pytest.raises(ft.StateError, match=r"is not a whole reference table .*; go back to an older one"):
                look(path)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def test_of_large_parts_samples_are_looked_at_and_all_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four blocks of each part, from its first byte to its last."""
    monkeypatch.setattr(reference_file, "BLOCK", 16)
    monkeypatch.setattr(reference_file, "BLOCKS", 4)
    path = tmp_path / "t"
    ft.ReferenceTable(pd.DataFrame({"key": np.arange(100), "id": np.arange(100)}), on="key").save(path)
    whole = path.read_bytes()
    with path.open("rb") as file:
        parts = {part["name"]: part for part in reference_file._checked(file, sampled=True)["parts"]}
    begin, size = parts["slots"]["begin"], parts["slots"]["size"]
    end = parts["keys"]["begin"]  # what fills the gap belongs to the part
    assert size > 16 * 4
    sampled = {start + n for start in (begin + (end - 16 - begin) * k // 3 for k in range(4)) for n in range(16)}
    assert {begin, end - 1} <= sampled
    opened = 0
    for place in range(begin, end, 5):
        path.write_bytes(flipped(whole, place))
        with pytest.raises(ft.StateError, match="its slots have another digest"):
            ft.ReferenceTable.verify(path)
        try:
            ft.ReferenceTable.open(path)
            opened += 1
            assert place not in sampled
        except ft.StateError:
            assert place in sampled
    assert opened


@pytest.mark.parametrize("batch", [1, 7, 200])
def test_rows_are_written_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(reference_file, "BATCH", batch)
    reference = bonds()
    table = ft.ReferenceTable(reference, on="isin")
    table.upsert(bonds(20).assign(issuer="later", sector=pd.Categorical(["w"] * 20)))
    table.delete(reference["isin"].iloc[50:60])
    table.save(tmp_path / "t")
    opened = ft.ReferenceTable.open(tmp_path / "t")
    left = trades(reference)
    expected = table.lookup(left)
    assert_frame_equal(opened.lookup(left), expected, check_exact=True, check_categorical=False)
    assert set(expected["sector"].dropna()) == {"w", "x", "y"}
    assert_frame_equal(opened.lookup(left.iloc[::-7]), opened.lookup(left).iloc[::-7], check_exact=True)


def test_a_file_that_is_cut_short_or_longer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    ft.ReferenceTable(bonds(40), on="isin").save(path)
    whole = path.read_bytes()
    for data in (
        *(whole[:end] for end in range(0, len(whole), len(whole) // 50)),
        whole[:-1],
        whole + b"\0",
        whole[1:],
    ):
        path.write_bytes(data)
        with pytest.raises(ft.StateError, match="is not a whole reference table"):
            ft.ReferenceTable.open(path)
    with pytest.raises(FileNotFoundError):
        ft.ReferenceTable.open(tmp_path / "nowhere")
    with pytest.raises(ft.StateError, match="there is no folder"):
        ft.ReferenceTable(bonds(4), on="isin").save(tmp_path / "no" / "where")
    with pytest.raises(ft.StateError, match="it is a folder"):
        ft.ReferenceTable(bonds(4), on="isin").save(tmp_path)


def test_an_index_damaged_where_nobody_looked_never_leads_astray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no digest at all: an error, or a row that has the key; never another row, never the end of the process."""
    reference = bonds(60)[["isin", "id"]].assign(isin=lambda f: f["isin"] + f["id"].astype(str).str[-2:] * 2)
    path = tmp_path / "t"
    table = ft.ReferenceTable(reference, on="isin")
    table.upsert(reference.iloc[:9], valid_from=3)
    table.save(path)
    left = reference.assign(ts=1)[["isin", "ts"]]
    with path.open("rb") as file:
        manifest = reference_file._checked(file, sampled=True)
    whole = path.read_bytes()
    monkeypatch.setattr(reference_file, "_digest", lambda *_: None)
    for part in manifest["parts"]:
        part["digests"] = [None, None]
    monkeypatch.setattr(reference_file.json, "loads", lambda _: manifest)
    rng = np.random.default_rng(7)
    outcomes = set()
    ids = reference.set_index("isin")["id"]
    for part in [part for part in manifest["parts"][1:] if part["size"]]:
        for _ in range(60):
            data = bytearray(whole)
            at = part["begin"] + int(rng.integers(0, part["size"]))
            data[at] ^= 1 << int(rng.integers(0, 8))
            path.write_bytes(data)
            try:
                found = ft.ReferenceTable.open(path).lookup(left, as_of="ts")["id"]
            except ft.StateError:
                outcomes.add("refused")
                continue
            outcomes.add("found")
            there = found.notna().to_numpy()
            if part["name"] in ("slots", "keys"):
                assert_array_equal(found[there].astype("int64"), ids[left["isin"][there]])
    assert outcomes == {"refused", "found"}


def test_a_file_is_mapped_and_not_read(tmp_path: Path) -> None:
    """What a process holds of its own does not grow by a file that it opens and looks a few rows up in."""
    rows = 1_500_000
    path = tmp_path / "large"
    table = pa.table({"key": np.arange(rows), **{f"v{j}": np.random.default_rng(j).random(rows) for j in range(6)}})
    ft.ReferenceTable(table, on="key").save(path)
    size = path.stat().st_size
    assert size > 100e6
    script = (
        "import sys, psutil, pandas as pd, fintech_toolkit as ft\n"
        "small = ft.ReferenceTable(pd.DataFrame({'key': [1], 'v0': [1.0]}), on='key')\n"
        "frame = pd.DataFrame({'key': [5, 1_499_999, -1]})\n"
        "small.lookup(frame)\n"
        "process = psutil.Process()\n"
        "before = process.memory_info()\n"
        "table = ft.ReferenceTable.open(sys.argv[1])\n"
        "found = table.lookup(frame)['v3'].tolist()\n"
        "after = process.memory_info()\n"
        "print(after.rss - before.rss, *found)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    grown, *found = map(float, done.stdout.split())
    assert grown < size / 4
    values = table.column("v3").to_numpy()
    assert_array_equal(found, [values[5], values[-1], np.nan])
