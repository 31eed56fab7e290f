"""The same rows whatever the partitions, workers and batches, and however long the run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_generators import Faults, stream, write
from data_generators.datasets import DATASETS, find_dataset, row_range
from data_generators.faults import Faults as FaultShares
from data_generators.market import Market
from data_generators.randomness import generator
from tests.stress import dealt

NAMES = list(DATASETS)
SLOW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = st.integers(0, 2**64 - 1)
FAULTY = Faults(late=0.01, out_of_order=0.02, duplicate=0.03, malformed=0.02)


def whole(name: str, rows: int, **arguments: object) -> pa.Table:
    return pa.concat_tables([find_dataset(name).schema.empty_table(), *stream(name, rows, **arguments)])


def faults_for(name: str, faulty: bool) -> Faults:
    if not faulty:
        return Faults()
    return FAULTY if name != "securities" else Faults(duplicate=0.03, malformed=0.02)


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])


@pytest.mark.parametrize("name", NAMES)
@SLOW
@given(seed=SEEDS, rows=st.integers(0, 300_000), faulty=st.booleans(), symbols=st.sampled_from([1, 7, 300]))
def test_rows_do_not_depend_on_partitions(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int, rows: int, faulty: bool, symbols: int
) -> None:
    faults = faults_for(name, faulty)
    expected = whole(name, rows, seed=seed, symbols=symbols, faults=faults)
    assert expected.num_rows == rows
    listed = set()
    for partitions in (1, 3, 8):
        folder = tmp_path_factory.mktemp("partitions")
        write(name, folder, rows, seed=seed, symbols=symbols, partitions=partitions, faults=faults)
        assert read(folder).equals(expected)
        assert len(list(folder.glob("part-*.parquet"))) == partitions
        if faults.any():
            listed.add((folder / "_faults.csv").read_text())
    assert len(listed) == (1 if faults.any() else 0)


@pytest.mark.parametrize("name", NAMES)
@SLOW
@given(seed=SEEDS, long=st.integers(1, 500_000), share=st.floats(0, 1), faulty=st.booleans())
def test_a_prefix_of_a_longer_run_is_the_shorter_run(
    name: str, seed: int, long: int, share: float, faulty: bool
) -> None:
    arguments = {"seed": seed, "symbols": 50, "faults": faults_for(name, faulty)}
    short = int(long * share)
    assert whole(name, long, **arguments).slice(0, short).equals(whole(name, short, **arguments))


@pytest.mark.parametrize("name", NAMES)
@SLOW
@given(rows=st.integers(1, 300_000), batch_rows=st.integers(500, 400_000))
def test_rows_do_not_depend_on_batches(name: str, rows: int, batch_rows: int) -> None:
    batches = list(stream(name, rows, seed=3, symbols=20, batch_rows=batch_rows))
    assert [batch.num_rows for batch in batches[:-1]] == [batch_rows] * (len(batches) - 1)
    assert pa.concat_tables(batches).equals(whole(name, rows, seed=3, symbols=20, batch_rows=rows))


@pytest.mark.parametrize("name", NAMES)
@SLOW
@given(start=st.integers(0, 700_000), length=st.integers(0, 300_000))
def test_any_range_of_rows_stands_alone(name: str, start: int, length: int) -> None:
    dataset, market = find_dataset(name), Market(9, 12)
    everything = _first_million(name)
    tables = [table for table, _ in row_range(dataset, market, FaultShares(), start, start + length)]
    part = pa.concat_tables([dataset.schema.empty_table(), *tables])
    assert part.equals(everything.slice(start, length))


_million: dict[str, pa.Table] = {}


def _first_million(name: str) -> pa.Table:
    if name not in _million:
        _million[name] = whole(name, 1_000_000, seed=9, symbols=12)
    return _million[name]


@pytest.mark.parametrize("format", dealt(["parquet", "csv", "jsonl", "arrow"], 1))
def test_files_of_two_workers_are_those_of_one(tmp_path: Path, format: str) -> None:
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        faults = Faults(duplicate=0.01, crossed=0.01)
        write("quotes", folder, 30_000, symbols=40, format=format, partitions=3, workers=workers, faults=faults)
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "2").iterdir())
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_any_kind_of_whole_number_will_do() -> None:
    expected = whole("trades", 1_000, seed=3, symbols=9)
    assert whole("trades", 1e3, seed=np.uint8(3), symbols=np.int64(9), batch_rows=np.int32(64)).equals(expected)


def test_other_seeds_give_other_rows() -> None:
    for name in NAMES:
        assert not whole(name, 1_000, seed=1).equals(whole(name, 1_000, seed=2))


def test_streams_of_random_numbers_depend_on_their_address_alone() -> None:
    addresses = [("a",), ("b",), ("a", 0), ("a", 1), ("a", 1, 0)]
    drawn = [tuple(generator(5, *address).integers(0, 2**63, 4)) for address in addresses]
    assert len(set(drawn)) == len(addresses)
    assert drawn == [tuple(generator(5, *address).integers(0, 2**63, 4)) for address in addresses]


def test_usable_without_the_toolkit_and_from_a_folder_that_cannot_be_written() -> None:
    code = (
        "import sys, data_generators as g; f = g.sample('trades', rows=50)\n"
        "assert not any(m.split('.')[0] == 'fintech_toolkit' for m in sys.modules)\n"
        "print(len(f), f['price'].sum())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # No place to cache is what Numba finds where neither its own folder nor the user's can be written.
    no_place = "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
    results = [
        subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True).stdout
        for text in (code, no_place + code)
    ]
    assert results[0] == results[1]
    assert results[0].startswith("50 ")
