"""Runs over contracts on Dask: what they write, what they do when something fails, and what they leave alone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster

from fintech_toolkit.cli import main
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.signals import SignalSettings, performance, read_results, signals
from fintech_toolkit.signals.configuration import run_settings
from fintech_toolkit.signals.orchestrator import retried_settings, run
from fintech_toolkit.signals.record import Record, read_record, runs
from tests.frames import same
from tests.signals.folders import PRICES, SPX, VIX, write_folder

NAMES = ["AAPL", "BRK.B", "MSFT", "NVDA", "V"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signals") / "in"
    write_folder(path, NAMES)
    return path


@pytest.fixture(scope="module")
def here() -> Client:
    """A worker in this process."""
    with Client(processes=False, n_workers=1, dashboard_address="127.0.0.1:0") as client:
        yield client


def held(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What each file of results holds, and which file it is."""
    files = sorted((folder / "results").rglob("*.parquet"))
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_ino) for path in files}


def texts(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (data, _) in held(folder).items()}


def test_a_run_on_dask_gives_the_bits_of_one_call(client: Client, folder: Path, tmp_path: Path) -> None:
    told: list[Mapping[str, int]] = []
    settings = run_settings(input=str(folder), output=str(tmp_path))
    record = run(settings, client, progress=lambda states, of: told.append({**states, "of": of}))
    assert record.counts == {"in": 5, "done": 5, "failed": 0, "skipped": 0}
    assert (told[0]["done"], told[-1]) == (0, {"done": 5, "failed": 0, "skipped": 0, "of": 5})
    found = read_results(str(tmp_path))
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in (PRICES, VIX, SPX)}
    for name, own in frames[PRICES].groupby("contract"):
        alone = signals(own.reset_index(drop=True), frames[VIX], frames[SPX], SignalSettings())
        same(found[found["contract"] == name].reset_index(drop=True), alone)
    assert read_record(str(tmp_path), record.run) == record
    assert runs(str(tmp_path)) == [record.run]
    table = pq.read_table(tmp_path / "runs" / record.run / "contracts.parquet").to_pandas()
    for row, (name, own) in zip(table.itertuples(), found.groupby("contract"), strict=True):
        earned = performance(own)
        counted = (earned.good, earned.bad, earned.neutral)
        assert (row.contract, row.rows, row.good, row.bad, row.neutral) == (name, len(own), *counted), name
    assert (table["good"] + table["bad"]).min() > 10
    assert len(set(table["worker"])) == 2


def test_part_of_a_run_again_gives_the_same_bytes_and_touches_nothing_else(
    here: Client, folder: Path, tmp_path: Path
) -> None:
    given = {"input": str(folder), "output": str(tmp_path)}
    run(run_settings(**given), here)
    whole = held(tmp_path)
    at = read_results(str(tmp_path), ["MSFT"])["timestamp"]
    for scope in ({}, {"at": str(at[70])}, {"since": str(at[3]), "until": str(at[5])}, {"until": str(at[0])}):
        record = run(run_settings(**given, contracts=["MSFT"], **scope), here)
        assert record.of("done")[0].counts.rows == {"at": 1, "since": 3}.get(
            next(iter(scope), ""), 180 if not scope else 1
        )
        again = held(tmp_path)
        changed = {name for name in whole if again[name] != whole[name]}
        assert changed == {"results/MSFT.parquet"}  # another file, of the same bytes
        assert {name: data for name, (data, _) in again.items()} == {name: data for name, (data, _) in whole.items()}
    other = {"signals": {"base": 0.25}}
    assert (
        "other settings"
        in run(run_settings(**given, contracts=["MSFT"], at=str(at[70]), **other), here).outcomes[0].why
    )
    assert texts(tmp_path) == {name: data for name, (data, _) in whole.items()}


def test_a_file_for_each_stamp_holds_the_same_rows(here: Client, folder: Path, tmp_path: Path) -> None:
    given = {"input": str(folder), "contracts": ["BRK.B"]}
    run(run_settings(**given, output=str(tmp_path / "one")), here)
    stamps = run_settings(**given, output=str(tmp_path / "many"), layout="stamps")
    run(stamps, here)
    one = read_results(str(tmp_path / "one"))
    same(read_results(str(tmp_path / "many")), one)
    files = held(tmp_path / "many")
    assert next(iter(files)) == f"results/BRK.B/{one['timestamp'][0]:%Y%m%d_%H%M%S}.parquet"
    assert len(files) == len(one)
    run(stamps.model_copy(update={"at": str(one["timestamp"][9])}), here)
    again = held(tmp_path / "many")
    assert [name for name in files if again[name] != files[name]] == [list(files)[9]]
    assert texts(tmp_path / "many") == {name: data for name, (data, _) in files.items()}
    mixed = run(run_settings(**given, output=str(tmp_path / "many")), here)
    assert "by stamp" in mixed.outcomes[0].why
    mixed = run(run_settings(**given, output=str(tmp_path / "one"), layout="stamps"), here)
    assert "as one file" in mixed.outcomes[0].why


def test_a_worker_that_is_killed_costs_nothing(client: Client, tmp_path: Path) -> None:
    names = [f"C{number:02d}" for number in range(24)]
    write_folder(tmp_path / "in", names, days=10)
    undisturbed = run_settings(input=str(tmp_path / "in"), output=str(tmp_path / "calm"))
    run(undisturbed, client)
    pids = list(client.run(os.getpid).values())

    def kill(states: Mapping[str, int], of: int) -> None:
        if states["done"] == 3:
            assert sum(states.values()) < of
            os.kill(pids[0], signal.SIGKILL)

    record = run(undisturbed.model_copy(update={"output": str(tmp_path / "out")}), client, progress=kill)
    client.wait_for_workers(2)
    assert set(client.run(os.getpid).values()) != set(pids)
    assert record.counts == {"in": 24, "done": 24, "failed": 0, "skipped": 0}
    assert texts(tmp_path / "out") == texts(tmp_path / "calm")


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process, with a broad terminal."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", "300")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(sys, "argv", ["fintech-toolkit", "signals", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return (end.value.code, *capsys.readouterr())

    return call


def test_what_fails_costs_the_others_nothing_and_is_done_again_alone(
    command: Command, cluster: LocalCluster, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file cut short, one of another contract, one that is never readable, one of bad prices; then all repaired."""
    folder, out = tmp_path / "in", tmp_path / "out"
    frames = write_folder(folder, NAMES, by_contract=True)
    files = {name: folder / PRICES / f"{name}.parquet" for name in NAMES}
    good = {name: path.read_bytes() for name, path in files.items()}
    files["AAPL"].write_bytes(good["AAPL"][: len(good["AAPL"]) // 2])
    files["BRK.B"].write_bytes(good["MSFT"])
    files["NVDA"].unlink()
    os.mkfifo(files["NVDA"])  # nothing comes of it
    own = frames[PRICES][frames[PRICES]["contract"] == "V"].reset_index(drop=True)
    own.assign(price=own["price"].where(own.index != 50, -1.0)).to_parquet(files["V"], index=False)
    (tmp_path / "signals.yaml").write_text(f"input: {folder}\ntimeout: 2\n")
    to = ["--output", str(out)]
    far = ["--scheduler", cluster.scheduler_address]
    code, shown, _ = command("run", "--config", str(tmp_path / "signals.yaml"), *to, *far)
    assert code == 1
    assert "5 contracts in = 1 done + 4 failed + 0 skipped" in shown
    (name,) = runs(str(out))
    why = {outcome.contract: outcome.why for outcome in read_record(str(out), name).of("failed")}
    assert f"{files['AAPL']} cannot be read" in why["AAPL"]
    assert "holds 'MSFT', not 'BRK.B' alone" in why["BRK.B"]
    assert "longer than 2 s" in why["NVDA"]
    assert "price -1 is not positive, first in row 50" in why["V"]
    assert all(reason.split(":")[0] in shown for reason in why.values())
    before = held(out)
    assert list(before) == ["results/MSFT.parquet"]
    os.close(os.open(files["NVDA"], os.O_WRONLY))  # who waits for it may end
    for contract, data in good.items():
        if contract != "MSFT":
            files[contract].unlink()
            files[contract].write_bytes(data)
    code, shown, _ = command("run", "--retry", name, *to, *far)
    assert code == 0
    assert "5 contracts in = 4 done + 0 failed + 1 skipped" in shown
    assert held(out)["results/MSFT.parquet"] == before["results/MSFT.parquet"]
    assert sorted(read_results(str(out))["contract"].unique()) == NAMES
    last = next(each for each in runs(str(out)) if each != name)
    monkeypatch.setenv("FINTECH_TOOLKIT_SIGNALS__OUTPUT", str(out))
    assert f"of {name} again" in command("runs")[1]
    assert [line.split()[:2] for line in command("show", last, *to)[1].splitlines()[1:6]] == [
        [contract, "skipped" if contract == "MSFT" else "done"] for contract in NAMES
    ]
    with pytest.raises(ParameterError, match="Nothing failed"):
        retried_settings(str(out), last)


def test_an_interrupted_run_says_what_it_did_not_get_to(here: Client, folder: Path, tmp_path: Path) -> None:
    def interrupt(states: Mapping[str, int], of: int) -> None:
        if states["done"] == 2:
            raise KeyboardInterrupt

    settings = run_settings(input=str(folder), output=str(tmp_path))
    record = run(settings, here, progress=interrupt)
    assert record.interrupted
    assert (record.counts["in"], record.counts["done"], record.counts["skipped"]) == (5, 2, 3)
    again = run(retried_settings(str(tmp_path), record.run), here, retry=record.run)
    assert again.counts == {"in": 5, "done": 3, "failed": 0, "skipped": 2}
    assert (record.run, again.retry_of) == (again.retry_of, record.run)
    assert len(read_results(str(tmp_path))) == 5 * 180


def test_a_cut_run_leaves_nothing_that_looks_whole(here: Client, folder: Path, tmp_path: Path) -> None:
    record = run(run_settings(input=str(folder), output=str(tmp_path)), here)
    files = {path.name: path for path in (tmp_path / "runs" / record.run).iterdir()}
    assert list(files) != []
    newest = max(files, key=lambda name: files[name].stat().st_mtime_ns)
    assert newest == "record.json"
    files["record.json"].unlink()
    (tmp_path / "results" / ".V.parquet.0123").write_bytes(b"half")
    assert runs(str(tmp_path)) == []
    with pytest.raises(ParameterError, match="holds no run"):
        read_record(str(tmp_path), record.run)
    assert len(read_results(str(tmp_path))) == 5 * 180


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "vix_hourly.parquet").unlink(), "lacks vix_hourly.parquet"),
        (lambda folder: (folder / f"{PRICES}.parquet").unlink(), "or a folder spx_holdings_hourly"),
        (lambda folder: (folder / PRICES).mkdir(), "remove one of them"),
        (lambda folder: (folder / "spx_hourly.parquet").write_bytes(b"PAR1"), "spx_hourly.parquet cannot be read"),
        (
            lambda folder: _change(folder, PRICES, lambda f: f.assign(contract=f["contract"].where(f.index != 4))),
            "row 4",
        ),
        (
            lambda folder: _change(folder, PRICES, lambda f: f.rename(columns={"price": "prise"})),
            "Did you mean 'prise'",
        ),
        (lambda folder: _change(folder, PRICES, lambda f: f.iloc[:0]), "no prices of any contract"),
    ],
)
def test_inputs_that_no_contract_could_do_without(
    here: Client, tmp_path: Path, harm: Callable[[Path], object], message: str
) -> None:
    write_folder(tmp_path / "in", NAMES[:1], days=5)
    harm(tmp_path / "in")
    with pytest.raises((DataError, KeyError), match=message):
        run(run_settings(input=str(tmp_path / "in"), output=str(tmp_path / "out")), here)
    assert not (tmp_path / "out").exists()


def _change(folder: Path, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = folder / f"{name}.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)


def test_contracts_that_there_are_not(here: Client, folder: Path, tmp_path: Path) -> None:
    given = {"input": str(folder), "output": str(tmp_path)}
    with pytest.raises(ParameterError, match=r"no prices of 'APPL' in .*Did you mean 'AAPL'\?"):
        run(run_settings(**given, contracts=["APPL"]), here)
    with pytest.raises(ParameterError, match="holds no run 'nothing'"):
        read_record(str(tmp_path), "nothing")
    record: Record = run(run_settings(**given, contracts=2), here)
    assert [outcome.contract for outcome in record.outcomes] == NAMES[:2]
