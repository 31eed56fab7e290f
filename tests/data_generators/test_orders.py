"""Generated exchanges: consistent in themselves, with all codes, and the same bytes for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from data_generators.errors import GeneratorError
from data_generators.orders import write_orders


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exchange")
    write_orders(folder, securities=2, days=2, states=60_000, seed=3)
    return folder


def read(folder: Path, kind: str) -> pd.DataFrame:
    return pd.concat([pd.read_csv(path) for path in sorted((folder / kind).iterdir())], ignore_index=True)


def test_orders_agree_with_their_trades_and_with_the_truth(exchange: Path) -> None:
    orders, trades = read(exchange, "orders"), read(exchange, "trades")
    last = orders.groupby("order_id").last()
    traded = trades.groupby("orderid")["quantity"].sum().reindex(last.index, fill_value=0)
    assert_array_equal(traded, last["totalmatchedquantity"])
    assert_array_equal(last["quantity"], last["leavesquantity"] + last["totalmatchedquantity"])
    assert last["leavesquantity"].min() == 0
    truth = pd.concat([pd.read_parquet(path) for path in sorted((exchange / "truth").iterdir())])
    truth = truth.set_index("order_id").sort_index()
    assert_array_equal(truth.index, last.index)
    for name in truth.columns:
        assert_array_equal(truth[name], last[name], err_msg=name)
    sides = trades.groupby("matchgroupid")["side"].agg(["min", "max", "size"])
    assert (sides == [1, 2, 2]).all(axis=None)
    at = trades[trades["dealsource"].isin([47, 48, 50])]
    assert_array_equal(2 * at["tradeprice"], at["nationalbidpricesnapshot"] + at["nationalofferpricesnapshot"])


def test_all_codes_occur(exchange: Path) -> None:
    orders, trades = read(exchange, "orders"), read(exchange, "trades")
    assert set(orders["exchangeordertype"]) == {0, 2, 64, 256, 2048, 4096, 4098}
    assert set(orders["changereason"]) == {1, 3, 5, 6, 7, 8, 9, 24, 30, 39, 50}
    assert set(orders["orderstatus"]) == {1, 2, 3, 4}
    assert set(trades["dealsource"]) == {1, 5, 20, 44, 45, 46, 47, 48, 49, 50}
    assert (orders["price"] == np.iinfo(np.int64).min).any()
    assert orders["timestamp"].duplicated().any()


def test_a_seed_gives_the_same_bytes_also_from_half_of_the_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_orders(tmp_path / name, securities=1, days=2, states=300, format="csv.gz")
    for path in (tmp_path / "two").glob("*/*-03.*"):
        path.unlink()
    report = write_orders(tmp_path / "two", securities=1, days=2, states=300, format="csv.gz")
    assert (report.files, report.found) == (10, 5)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").glob("*/*"))
    assert len(files) == 10
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


@pytest.mark.parametrize(("name", "value"), [("securities", 0), ("days", -1), ("states", 10**9), ("format", "xml")])
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(GeneratorError, match=name):
        write_orders(tmp_path, **{name: value})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
