"""A run over a market: right, the same bytes whatever is killed or full, and one job's failure is its own."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from distributed import Client, LocalCluster

from data_generators.orders import write_orders
from fintech_toolkit.cli import main
from fintech_toolkit.errors import DataError
from fintech_toolkit.orders import OrdersConfig, Store, read_orders
from fintech_toolkit.orders.jobs import ClusterLost, cluster
from fintech_toolkit.orders.run import Ran, run_orders, take_in
from tests.frames import same
from tests.live.topics import wait_until

TELLING = ("by_security", "aggregated", "manifest.json")


def nobody(what: str, done: int, of: int) -> None:
    """Is told how far a run is."""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    write_orders(folder, securities=2, days=2, states=400, seed=3)
    return folder


@pytest.fixture(scope="module")
def threads() -> Iterator[Client]:
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as client:
        yield client


def settings(market: Path, output: Path, **others: Any) -> OrdersConfig:
    inputs = {kind: [str(market / kind)] for kind in ("orders", "trades", "quotes")}
    return OrdersConfig(inputs=inputs, output=output, **others)


def write_settings(market: Path, folder: Path, **others: Any) -> Path:
    path = folder / "orders.yaml"
    inputs = {kind: str(market / kind) for kind in ("orders", "trades", "quotes")}
    path.write_text(yaml.safe_dump({"inputs": inputs, "output": "out", **others}))
    return path


@pytest.fixture(scope="module")
def whole(market: Path, threads: Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """What comes of the market in one go."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, run_orders(settings(market, out), threads)


def contents(out: Path) -> dict[str, bytes]:
    """Every file that tells something, hidden ones too."""
    paths = [path for name in TELLING for path in [out / name, *(out / name).rglob("*")] if path.is_file()]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def command(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fintech_toolkit", "orders", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )


def test_every_row_and_every_order_is_accounted_for(market: Path, whole: tuple[Path, Ran]) -> None:
    out, ran = whole
    assert not ran.failed
    assert [outcome.name for outcome in ran.outcomes] == [job.name for job in ran.jobs]
    assert (out / "report.html").stat().st_size > 100_000
    lines = sum(len(path.read_text().splitlines()) - 1 for path in (market / "orders").glob("*.csv"))
    assert sum(outcome.counts["orders"] for outcome in ran.outcomes) == lines
    truth = pd.concat([pd.read_parquet(path) for path in sorted((market / "truth").glob("*.parquet"))])
    found = pd.concat([pd.read_parquet(path) for path in sorted(out.glob("by_security/*/*/classified.parquet"))])
    last = found.sort_values("last").drop_duplicates("order_id", keep="last").sort_values("order_id")
    truth = truth.sort_values("timestamp").drop_duplicates("order_id", keep="last").sort_values("order_id")
    assert last["order_id"].tolist() == truth["order_id"].tolist()
    assert last["matched"].tolist() == truth["totalmatchedquantity"].tolist()
    summary = pd.read_csv(out / "aggregated/global_summary.csv")
    assert summary["orders"].item() == len(found)
    assert summary["mid_orders"].item() > 0


def test_a_written_day_reads_back_to_the_bit(whole: tuple[Path, Ran]) -> None:
    out, ran = whole
    job = max(ran.jobs, key=lambda job: job.order_rows)
    folder = out / f"by_security/SEC_{job.security}/{job.day}"
    same(read_orders(folder / "orders.csv.gz"), Store(out / "store").orders(job.security, job.day))
    assert (folder / "orders.csv.gz").read_bytes()[4:8] == bytes(4), "gzip's time"
    metrics = pd.read_csv(folder / "metrics.csv")
    beside = pd.read_parquet(folder / "metrics.parquet")
    same(metrics[["order_id", "simulated_cost_bps"]], beside[["order_id", "simulated_cost_bps"]])


@pytest.mark.parametrize("name", ["orders", "classified", "simulation", "sweeps"])
def test_what_is_missing_in_csv_is_missing_in_parquet(whole: tuple[Path, Ran], name: str) -> None:
    out, ran = whole
    job = max(ran.jobs, key=lambda job: job.order_rows)
    folder = out / f"by_security/SEC_{job.security}/{job.day}"
    missing = pd.read_csv(folder / f"{name}.csv.gz").isna()
    same(missing, pd.read_parquet(folder / f"{name}.parquet").isna())
    assert name != "orders" or missing["price"].any()


def test_a_killed_worker_changes_no_byte(market: Path, whole: tuple[Path, Ran], client: Client, tmp_path: Path) -> None:
    killed = []

    def kill_one(what: str, done: int, of: int) -> None:
        if what == "analyse" and done and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    ran = run_orders(settings(market, tmp_path / "out"), client, progress=kill_one)
    assert killed
    assert not ran.failed
    assert contents(tmp_path / "out") == contents(whole[0])


def test_a_killed_client_leaves_whole_files_and_the_run_goes_on(
    market: Path, whole: tuple[Path, Ran], threads: Client, tmp_path: Path
) -> None:
    file = write_settings(market, tmp_path, workers=1)
    job = whole[1].jobs[-1]
    half = tmp_path / f"out/by_security/SEC_{job.security}/{job.day}/.metrics.csv.{'0' * 32}"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"what a process that was killed had not finished")
    running = command("run", file)
    records = tmp_path / "out" / "jobs"
    wait_until(lambda: any(records.glob("*/*.json")) or running.poll() is not None)
    assert running.poll() is None, running.communicate()
    running.kill()
    running.wait()
    assert not (tmp_path / "out" / "manifest.json").exists()
    done = {path: path.stat().st_mtime_ns for path in records.glob("*/*.json")}
    ran = run_orders(OrdersConfig.load(file), threads)
    assert len(done) < len(ran.jobs)
    assert contents(tmp_path / "out") == contents(whole[0])
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what was done was done again"


def test_a_killed_scheduler_ends_the_run_with_a_sentence_and_the_run_goes_on(
    market: Path, whole: tuple[Path, Ran], threads: Client, tmp_path: Path
) -> None:
    dask = [sys.executable, "-m", "dask"]
    address = tmp_path / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen([*dask, "scheduler", *options], **quiet)
    worker = None
    try:
        wait_until(address.exists)
        worker = subprocess.Popen(
            [*dask, "worker", "--scheduler-file", str(address), "--nthreads", "1", "--no-nanny", "--no-dashboard"],
            **quiet,
        )
        config = settings(market, tmp_path / "out")

        def kill(what: str, done: int, of: int) -> None:
            if what == "analyse" and done:
                scheduler.kill()

        where = yaml.safe_load(address.read_text())["address"]
        with cluster(config, where) as client, pytest.raises(ClusterLost, match="The scheduler is gone"):
            run_orders(config, client, progress=kill)
    finally:
        for process in (worker, scheduler):
            if process is not None:
                process.kill()
                process.wait()
    assert not run_orders(config, threads).failed
    assert contents(tmp_path / "out") == contents(whole[0])


def test_a_full_disk_fails_jobs_alone_and_the_run_goes_on(
    market: Path, whole: tuple[Path, Ran], threads: Client, tmp_path: Path
) -> None:
    config = settings(market, tmp_path / "out", attempts=1)
    take_in(config, threads, nobody)
    largest = max(path.stat().st_size for path in whole[0].rglob("by_security/*/*/*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written: .*File too large"):  # the report is larger
            run_orders(config, threads)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    states = [yaml.safe_load(path.read_text()) for path in (tmp_path / "out/jobs").glob("*/*.json")]
    failed = [each["cause"] for each in states if each["state"] == "failed"]
    assert 0 < len(failed) < len(states) == len(whole[1].jobs)
    assert all("File too large" in cause for cause in failed)
    assert not [path for path in (tmp_path / "out/by_security").rglob(".*") if path.is_file()], "half a file is left"
    assert not run_orders(config, threads).failed
    assert contents(tmp_path / "out") == contents(whole[0])


def test_a_truncated_input_is_refused_and_once_it_is_whole_the_bytes_are_the_same(
    market: Path, whole: tuple[Path, Ran], threads: Client, tmp_path: Path
) -> None:
    shutil.copytree(market, tmp_path / "market")
    path = max((tmp_path / "market/orders").glob("*.csv"))
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    path = path.with_name(f"{path.name}.gz")
    path.write_bytes(packed[: len(packed) // 2])
    config = settings(tmp_path / "market", tmp_path / "out")
    with pytest.raises(DataError, match=f"{path.name} is damaged or cut short"):
        run_orders(config, threads)
    path.write_bytes(packed)
    assert not run_orders(config, threads).failed
    assert contents(tmp_path / "out") == contents(whole[0])


def test_a_job_that_fails_is_told_with_its_cause_and_the_others_end(
    market: Path,
    whole: tuple[Path, Ran],
    cluster: LocalCluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(market, tmp_path / "market")
    path = max((tmp_path / "market/trades").glob("*.csv"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))  # a side of the day's last trade is lost
    bad = whole[1].jobs[-1].name if lines[-1].count(str(whole[1].jobs[-1].security)) else whole[1].jobs[2].name
    file = write_settings(tmp_path / "market", tmp_path)

    def orders(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["fintech-toolkit", "orders", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out + said.err

    count = len(whole[1].jobs)
    assert orders("resume", str(file)) == (
        2,
        f"error: {tmp_path / 'out'} holds no run; start one with `fintech-toolkit orders run`.\n",
    )
    code, said = orders("plan", str(file))
    assert code == 0
    assert f"{count} jobs, 0 of them done" in said
    code, said = orders("run", str(file), "--scheduler", cluster.scheduler_address)
    assert code == 1
    assert f"{count} jobs: {count - 1} done, 1 failed, 0 waiting" in said
    assert f"failed: {bad}: DataError: Orders and trades of security" in said
    assert "dashboard: http://127.0.0.1" in said
    code, again = orders("status", str(file))
    assert code == 1
    assert "slowest" in again
    assert f"failed: {bad}" in again
    assert orders("run", str(file), "--only", "5/2024-01-01")[0] == 2
    monkeypatch.setenv("FINTECH_TOOLKIT_ORDERS__WORKRES", "1")
    assert orders("status", str(file)) == (
        2,
        "error: FINTECH_TOOLKIT_ORDERS__WORKRES: there is no key 'workres'. Did you mean 'workers'?\n",
    )
