"""Folders as strangers name them: what cannot be done is said, and leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from distributed import Client

import data_generators
import fintech_toolkit as ft
from fintech_toolkit.enrichment.folder import enrich_folder
from fintech_toolkit.errors import ParameterError

ROWS = {"quotes": 2_000, "securities": 500, "trades": 500}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as client:
        yield client


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a market")  # with a space
    for name, rows in ROWS.items():
        data_generators.write(name, folder / name, rows, symbols=8, profile="wide")
    return folder


def test_rows_that_are_not_firm_are_counted(market: Path, client: Client, tmp_path: Path) -> None:
    summary = enrich_folder(market, tmp_path / "out", client)
    firm = pd.read_parquet(market / "quotes")["firm"]
    assert summary.inputs["quotes"].notes["firm is false or missing: no quote"] == (~firm).sum() > 0
    assert summary.outputs["quotes"] == firm.sum()


def test_what_comes_out_is_not_put_among_what_goes_in(market: Path, client: Client) -> None:
    for out in (market / "quotes", market / "trades" / "deep" / "out"):
        with pytest.raises(ft.DataError, match=r"lies among the (quotes|trades) that are read; choose another folder"):
            enrich_folder(market, out, client)
        assert not list(market.rglob("_plan.json"))
    beside = enrich_folder(market, market / "out", client)
    again = enrich_folder(market, market / "out", client)
    assert again.outputs == beside.outputs


def test_a_run_that_cannot_start_leaves_nothing(market: Path, client: Client, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"^every='five' is not a duration"):
        enrich_folder(market, tmp_path / "out", client, every="five")
    assert not (tmp_path / "out").exists()
    assert enrich_folder(market, tmp_path / "out", client).outputs["trades"] == ROWS["trades"]


def test_two_runs_do_not_write_to_one_folder(market: Path, client: Client, tmp_path: Path) -> None:
    refused: list[str] = []

    def second(what: str, done: int, of: int) -> None:
        if not refused:
            with pytest.raises(ft.DataError, match=r"Another run is writing to .*/out; wait until it ends") as error:
                enrich_folder(market, tmp_path / "out", client)
            refused.append(str(error.value))

    first = enrich_folder(market, tmp_path / "out", client, progress=second)
    assert refused
    assert first.found == 0
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
