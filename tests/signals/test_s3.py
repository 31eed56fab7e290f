"""Runs from an object store to an object store, over the real protocol, also when it refuses, is busy or changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from fintech_toolkit.errors import DataError
from fintech_toolkit.signals import read_results
from fintech_toolkit.signals.configuration import RunSettings, run_settings
from fintech_toolkit.signals.orchestrator import run
from fintech_toolkit.signals.record import read_record, runs
from tests.frames import same
from tests.signals.folders import PRICES, write_folder
from tests.signals.s3 import BUCKET, S3Server, forget_connections

NAMES = ["AAPL", "MSFT", "V"]
FROM = f"s3://{BUCKET}/hourly"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server with one bucket, where prices are, a file for each contract; all of this process knows it."""
    folder = tmp_path_factory.mktemp("s3") / "in"
    write_folder(folder, NAMES, by_contract=True)
    server = S3Server()
    environ = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    with pytest.MonkeyPatch.context() as patch, server.running():
        for name, value in {**environ, "AWS_ENDPOINT_URL": server.url}.items():
            patch.setenv(name, value)
        files = server.files()
        files.mkdir(BUCKET)
        for path in folder.rglob("*.parquet"):
            files.pipe_file(f"{BUCKET}/hourly/{path.relative_to(folder)}", path.read_bytes())
        yield server
    forget_connections()


@pytest.fixture
def here(server: S3Server) -> Iterator[Client]:
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as client:
        yield client
    server.watcher = lambda method, path: False


def asked(to: str, **more: object) -> RunSettings:
    return run_settings(input=FROM, output=f"s3://{BUCKET}/{to}", **more)


def test_a_whole_run_from_store_to_store(server: S3Server, client: Client, tmp_path: Path) -> None:
    """On processes, which take what they need of the store from their environment; the bytes are those of a disk."""
    environ = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    client.run(lambda: os.environ.update(environ))
    seen: list[tuple[str, str]] = []
    server.watcher = lambda method, path: bool(seen.append((method, path)))
    record = run(asked("out"), client)
    server.watcher = lambda method, path: False
    assert record.counts == {"in": 3, "done": 3, "failed": 0, "skipped": 0}
    # Each file was put in one piece, and the record came last.
    put = [path.removeprefix(f"/{BUCKET}/out/") for method, path in seen if method in ("PUT", "POST")]
    assert sorted(put[1:4]) == [f"results/{name}.parquet" for name in NAMES]
    parts = ("asked.json", "contracts.parquet", "report.html", "record.json")
    assert [*put[:1], *put[4:]] == [f"runs/{record.run}/{part}" for part in parts]
    to = f"s3://{BUCKET}/out"
    assert (runs(to), read_record(to, record.run)) == ([record.run], record)
    local = tmp_path / "in"
    write_folder(local, NAMES)
    run(run_settings(input=str(local), output=str(tmp_path / "out")), client)
    same(read_results(to), read_results(str(tmp_path / "out")))
    for name in NAMES:
        held = server.files().cat_file(f"{BUCKET}/out/results/{name}.parquet")
        assert held == (tmp_path / "out" / "results" / f"{name}.parquet").read_bytes()


def test_part_of_a_run_by_stamp(server: S3Server, here: Client) -> None:
    settings = asked("stamps", contracts=["V"], layout="stamps", until="2024-01-03")
    assert run(settings, here).counts["done"] == 1
    found = server.files().find(f"{BUCKET}/stamps/results")
    assert found == [f"{BUCKET}/stamps/results/V/20240102_{hour}3000.parquet" for hour in (14, 15, 16)]
    assert len(read_results(settings.output)) == 3


def test_a_busy_store_is_asked_again(server: S3Server, here: Client) -> None:
    """One contract is refused twice and then served, another always."""
    refused = {"MSFT": 0, "V": 0}

    def busy(method: str, path: str) -> bool:
        name = path.rpartition("/")[2].removesuffix(".parquet")
        if method != "GET" or name not in refused or "hourly" not in path:
            return False
        refused[name] += 1
        return name == "V" or refused[name] <= 2

    server.watcher = busy
    record = run(asked("busy"), here)
    outcomes = {outcome.contract: outcome for outcome in record.outcomes}
    assert {name: (each.state, each.attempts) for name, each in outcomes.items()} == {
        "AAPL": ("done", 1),
        "MSFT": ("done", 3),
        "V": ("failed", 3),
    }
    assert f"{FROM}/{PRICES}/V.parquet cannot be read" in outcomes["V"].why
    assert "Come again" in outcomes["V"].why


@pytest.mark.parametrize("when", ["HEAD", "GET"], ids=["before it is opened", "while it is read"])
def test_an_object_that_is_replaced_under_a_run(server: S3Server, here: Client, when: str) -> None:
    """A contract is of the file that was there when the run began, or fails."""
    key = f"{BUCKET}/hourly/{PRICES}/V.parquet"
    files = server.files()
    good = files.cat_file(key)
    seen: list[str] = []

    def replace(method: str, path: str) -> bool:
        if path == f"/{key}" and method in ("HEAD", "GET"):
            seen.append(method)
            # The run looked at it when it began; then it is opened, and read.
            if seen.count("HEAD") > 1 and seen.count(when) == {"HEAD": 2, "GET": 1}[when] and seen[-1] == when:
                files.pipe_file(key, good[: len(good) // 2])
        return False

    server.watcher = replace
    record = run(asked(f"replaced-{when}", contracts=["AAPL", "V"]), here)
    server.watcher = lambda method, path: False
    assert files.cat_file(key) != good
    files.pipe_file(key, good)
    assert [outcome.state for outcome in record.outcomes] == ["done", "failed"]
    assert record.outcomes[1].why == f"{FROM}/{PRICES}/V.parquet was replaced while the run read it; run again."


def test_keys_that_the_store_does_not_know(server: S3Server, here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    right = server.require_keys()
    try:
        forget_connections()
        with pytest.raises(DataError, match=r"cannot be listed.*Check AWS_ACCESS_KEY_ID.*in the environment"):
            run(asked("keys"), here)
        for name, value in right.items():
            monkeypatch.setenv(name, value)
        forget_connections()
        assert run(asked("keys", contracts=["V"]), here).counts["done"] == 1
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        forget_connections()
        with pytest.raises(DataError, match=r"Unable to locate credentials.*Check AWS_ACCESS_KEY_ID"):
            run(asked("keys"), here)
    finally:
        server.open_again()
        forget_connections()


def test_a_bucket_that_is_not_there(here: Client) -> None:
    with pytest.raises(DataError, match="s3://nowhere/hourly cannot be listed: The specified bucket does not exist"):
        run(run_settings(input="s3://nowhere/hourly", output="s3://market/x"), here)
    with pytest.raises(DataError, match=r"s3://market/nothing lacks spx_holdings_hourly\.parquet"):
        run(run_settings(input="s3://market/nothing", output="s3://market/x"), here)
    with pytest.raises(DataError, match=r"s3://nowhere/out/runs/.* cannot be written: The specified bucket does not"):
        run(run_settings(input=FROM, output="s3://nowhere/out"), here)
