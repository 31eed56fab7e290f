"""A run's settings: what a file says, the environment over it, and sentences for what cannot be."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.orders import OrdersConfig

MINIMAL = "inputs: {orders: [o/*.csv, 's3://bucket/o.csv.gz'], trades: t.csv}\noutput: out\n"


def load(folder: Path, text: str, **environ: str) -> OrdersConfig:
    (folder / "orders.yaml").write_text(text)
    return OrdersConfig.load(folder / "orders.yaml", environ)


def test_paths_are_seen_from_the_folder_of_the_file_and_urls_stay(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config.inputs.orders == [str(tmp_path / "o/*.csv"), "s3://bucket/o.csv.gz"]
    assert config.inputs.trades == [str(tmp_path / "t.csv")]
    assert config.inputs.quotes is None
    assert (config.output, config.stored) == (tmp_path / "out", tmp_path / "out" / "store")


def test_every_key_reaches_its_type(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        MINIMAL
        + "securities: [110621]\ndates: [2024-09-05]\nparticipants: all\nchunk_size: 1 GB\nmemory_per_worker: 2000000\n"
        + 'market: {units_per_currency: 100, tick: 1, zone: America/New_York, opens: "09:30", closes: "16:00"}\n'
        + "simulation: {mode: legacy, impact_ticks: 1}\nformats: [parquet]\n",
    )
    assert (config.securities, config.dates) == ([110621], [date(2024, 9, 5)])
    assert (config.chunk_size, config.memory_per_worker) == (10**9, 2_000_000)
    assert (config.market.opens, config.market.units_per_currency) == (time(9, 30), 100)
    assert (config.simulation.mode, config.formats) == ("legacy", ["parquet"])


def test_the_environment_stands_over_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        MINIMAL + "workers: 2\nsimulation: {mode: exchange, seed: 5}\n",
        FINTECH_TOOLKIT_ORDERS__WORKERS="3",
        FINTECH_TOOLKIT_ORDERS__SIMULATION__MODE="legacy",
        FINTECH_TOOLKIT_ORDERS__MARKET__TICK="5",
        FINTECH_TOOLKIT_ORDERS__SECURITIES="[1, 2]",
        OTHER="x",
    )
    assert (config.workers, config.simulation.mode, config.simulation.seed) == (3, "legacy", 5)
    assert (config.market.tick, config.securities) == (5, [1, 2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MINIMAL + "securites: [1]", "there is no key 'securites'. Did you mean 'securities'?"),
        (MINIMAL + "market: {tikc: 1}", "there is no key 'market.tikc'. Did you mean 'tick'?"),
        ("inputs: {orders: o.csv}\noutput: out", "the key 'inputs.trades' is missing"),
        (MINIMAL + "workers: many", "'workers' cannot be 'many': input should be a valid integer"),
        (MINIMAL + "securities: 110621", "'securities' cannot be 110621: should be all or a list, such as [110621]"),
        (MINIMAL + "chunk_size: large", "'chunk_size' cannot be 'large'"),
        (MINIMAL + "market: {opens: 10:00}", 'write times of day in quotes, such as "10:00"'),
        (MINIMAL + "market: {ends: 16:12}", 'write times of day in quotes, such as "10:00"'),
        (MINIMAL + 'market: {opens: "17:00"}', "opens 17:00, closes 16:00"),
        (MINIMAL + "market: {zone: Australia/Sidney}", "Did you mean 'Australia/Sydney'"),
        (MINIMAL + "simulation: {mode: legcy}", "input should be 'exchange' or 'legacy'"),
        ("inputs: {orders: [", "is no YAML: while parsing"),
        ("- 1", "should hold keys and values"),
    ],
)
def test_what_cannot_be_is_told_with_its_key(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError) as error:
        load(tmp_path, text)
    assert said in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "orders.yaml"))


def test_what_the_environment_got_wrong_is_told_with_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"^FINTECH_TOOLKIT_ORDERS__WORKRES: there is no key 'workres'\. Did"):
        load(tmp_path, MINIMAL, FINTECH_TOOLKIT_ORDERS__WORKRES="3")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="No such file"):
        OrdersConfig.load(tmp_path / "none.yaml")
