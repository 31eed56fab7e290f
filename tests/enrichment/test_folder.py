"""A folder is enriched whole: every row is out or rejected, the same bytes on any cluster and after any cut."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster

import data_generators
import fintech_toolkit as ft
from fintech_toolkit.cli import main
from fintech_toolkit.enrichment.folder import Summary, enrich_folder
from fintech_toolkit.enrichment.intake import repeated_symbols
from tests.frames import same
from tests.live.topics import wait_until
from tests.stress import dealt

FAULTS = {
    "quotes": data_generators.Faults(late=0.01, out_of_order=0.02, duplicate=0.02, crossed=0.02, malformed=0.03),
    "trades": data_generators.Faults(late=0.01, out_of_order=0.02, duplicate=0.02, malformed=0.03),
    "securities": data_generators.Faults(duplicate=0.05, malformed=0.4),
}
ROWS = {"quotes": 6_000, "securities": 1_500, "trades": 5_000}
PARTS = {"quotes": 4, "securities": 1, "trades": 3}


def make(folder: Path, *, faults: bool = False, **options: Any) -> Path:
    for name, rows in ROWS.items():
        given = FAULTS[name] if faults else None
        data_generators.write(name, folder / name, rows, symbols=8, partitions=PARTS[name], faults=given, **options)
    return folder


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("faulty"), faults=True)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as client:
        yield client


@pytest.fixture(scope="module")
def whole(faulty: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """What comes of the faulty market in one go."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, enrich_folder(faulty, out, client)


@pytest.fixture(scope="module")
def clean(market: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """What comes of the market in which nothing is wrong, by the minute."""
    out = tmp_path_factory.mktemp("clean") / "out"
    return out, enrich_folder(market, out, client, every="1min")


def contents(out: Path) -> dict[str, bytes]:
    """Every Parquet file of a folder, hidden ones too."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if ".parquet" in path.name}


def test_every_injected_fault_is_found_again_in_the_files(faulty: Path, whole: tuple[Path, Summary]) -> None:
    out, summary = whole
    for name in ROWS:
        listed = pd.read_csv(faulty / name / "_faults.csv")
        parts = sorted((faulty / name).glob("*.parquet"))
        sizes = [pq.read_metadata(path).num_rows for path in parts]
        starts = {f"{name}/{path.name}": sum(sizes[:n]) for n, path in enumerate(parts)}
        rejected = pd.concat([pd.read_parquet(path) for path in (out / "rejected").glob(f"{name}-*.parquet")])
        rejected["row"] += rejected["file"].map(starts)
        lost = rejected["reason"].str.startswith("symbol unknown")  # what became of securities that are rejected
        moved = rejected["reason"].str.startswith("out of order")
        expected = listed[listed["kind"] != "out_of_order"]
        assert sorted(rejected["row"][~lost & ~moved]) == expected["row"].tolist()
        disorder = set(listed["row"][listed["kind"] == "out_of_order"])
        assert set(rejected["row"][moved]) <= disorder
        taken = summary.inputs[name]
        unknown_and_moved = len(disorder & set(rejected["row"][lost]))
        assert taken.reordered + moved.sum() + unknown_and_moved == len(disorder)
        assert taken.rows == sum(sizes) == taken.taken + len(rejected)
        assert sum(taken.reasons.values()) == len(rejected)
        details = expected[expected["kind"] == "malformed"]["detail"].value_counts().to_dict()
        assert {reason: taken.reasons[reason] for reason in details} == details
        assert rejected["record"].map(lambda record: "symbol" in record).all()
    assert lost_symbols(faulty, out).isdisjoint(pd.read_parquet(out / "quotes")["symbol"])


def lost_symbols(faulty: Path, out: Path) -> set[str]:
    """Instruments that are quoted, but whose security was rejected."""
    known = set(pd.read_parquet(out / "quotes")["symbol"])
    lost = set(pd.read_parquet(faulty / "quotes")["symbol"].dropna()) - known
    assert lost, "choose another seed: no security that is quoted was spoiled"
    return lost


@pytest.mark.parametrize("profile", ["narrow", "wide"])
def test_what_comes_out_is_what_frames_give(
    profile: str, market: Path, clean: tuple[Path, Summary], client: Client, tmp_path: Path
) -> None:
    out, summary = clean
    if profile == "wide":
        market, out = make(tmp_path / "wide", profile=profile), tmp_path / "out"
        summary = enrich_folder(market, out, client, every="1min")
    frames = {name: pd.read_parquet(market / name) for name in ROWS}
    frames["trades"]["side"] = frames["trades"]["side"].astype(float)
    expected = ft.enrich(**frames, every="1min")
    assert all(each.reasons == {} for each in summary.inputs.values())
    for name, rows in summary.outputs.items():
        there = getattr(expected, name)
        assert len(there) == rows > 0
        found = pd.read_parquet(out / name)
        found = found.astype({column: "Int64" for column in there if there[column].dtype == "Int64"})
        by = [column for column in ("ts", "symbol", "dealer", "venue", "segment", "sector") if column in found]
        if name not in ("quotes", "trades"):  # which stand in the order in which they came
            found, there = (frame.sort_values(by, kind="stable") for frame in (found, there))
        same(found.reset_index(drop=True), there.reset_index(drop=True))


def test_files_may_lie_in_folders_of_their_own_and_paths_be_relative(
    market: Path, clean: tuple[Path, Summary], client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, parts in PARTS.items():
        for number in range(parts):
            (tmp_path / "days" / name / f"day={number + 8}").mkdir(parents=True)  # 10 comes after 9
            file = f"{name}/day={number + 8}/rows.parquet"
            shutil.copy(market / name / f"part-{number:05d}.parquet", tmp_path / "days" / file)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    enrich_folder("../days", "out", client, every="1min")
    assert contents(Path("out")) == contents(clean[0])


def test_csv_gives_the_same(clean: tuple[Path, Summary], client: Client, tmp_path: Path) -> None:
    make(tmp_path / "csv", format="csv")
    enrich_folder(tmp_path / "csv", tmp_path / "out", client, every="1min")
    assert contents(tmp_path / "out") == contents(clean[0])


@pytest.mark.parametrize("workers", dealt([2, 4], 1))
def test_the_bytes_do_not_depend_on_workers_nor_on_their_death(
    workers: int, faulty: Path, whole: tuple[Path, Summary], tmp_path: Path
) -> None:
    """Those of `whole` are of threads of one worker."""
    killed = []
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):

        def kill_one(what: str, done: int, of: int) -> None:
            if workers == 2 and what == "trades" and done == 1:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        summary = enrich_folder(faulty, tmp_path / "out", client, progress=kill_one)
    assert len(killed) == (workers == 2)
    assert contents(tmp_path / "out") == contents(whole[0])
    assert summary == whole[1]


def command(*arguments: str | Path, preamble: str = "") -> subprocess.Popen[str]:
    code = f"{preamble}\nfrom fintech_toolkit.cli import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "enrich", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )


def test_a_run_that_was_killed_leaves_whole_files_and_goes_on(
    faulty: Path, whole: tuple[Path, Summary], client: Client, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    running = command(faulty, "--out", out)
    written = out / "quotes" / "part-00001.parquet"
    wait_until(lambda: written.exists() or running.poll() is not None)
    assert running.poll() is None, running.communicate()
    running.kill()
    running.wait()
    assert not (out / "_manifest.json").exists()
    before = {name: data for name, data in contents(out).items() if not Path(name).name.startswith(".")}
    for name in before:
        pq.read_table(out / name)  # whole
    (out / "quotes" / f".part-00009.parquet.{'0' * 32}").write_bytes(b"half")
    stamps = {name: (out / name).stat().st_mtime_ns for name in before if not name.startswith(".taken")}
    gone_on = enrich_folder(faulty, out, client)
    assert gone_on.inputs == whole[1].inputs
    assert gone_on.found == len([name for name in stamps if not name.startswith("rejected")]) >= 2
    assert stamps.items() <= {name: (out / name).stat().st_mtime_ns for name in contents(out)}.items()
    assert contents(out) == contents(whole[0])
    (out / ".taken").mkdir()  # as if it had been killed while it tidied up
    again = enrich_folder(faulty, out, client)
    assert not (out / ".taken").exists()
    assert (again.inputs, again.outputs) == (gone_on.inputs, gone_on.outputs)
    assert contents(out) == contents(whole[0])


def test_a_full_disk_is_an_error_that_says_so_and_the_run_goes_on_when_there_is_room(
    faulty: Path, whole: tuple[Path, Summary], client: Client, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    largest = max(map(len, contents(whole[0]).values()))
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest - 1},) * 2)"
    running = command(faulty, "--out", out, preamble=limit)
    _, stderr = running.communicate(timeout=120)
    assert running.returncode == 2
    (message,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert re.search(r"error: .*/out/.* cannot be written: .*File too large", message)
    assert "run the same again" in message
    assert not list(out.rglob(".part*"))
    assert not (out / "_manifest.json").exists()
    assert enrich_folder(faulty, out, client).inputs == whole[1].inputs
    assert contents(out) == contents(whole[0])


def in_process(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["fintech-toolkit", "enrich", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_explain_computes_nothing(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(monkeypatch, market, "--out", tmp_path / "out", "--explain") == 0
    shown = capsys.readouterr().out
    assert "== trades ==" in shown
    assert "as-of join" in shown
    sizes = pq.read_metadata(market / "securities" / "part-00000.parquet")
    assert re.search(
        rf"== files ==\n(.*\n)*  securities: 9 of 16 columns, {sizes.num_rows:,} of {sizes.num_rows:,} rows, ", shown
    )
    assert not (tmp_path / "out").exists()


def test_a_scheduler_by_its_address_and_a_summary(
    faulty: Path,
    whole: tuple[Path, Summary],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as cluster:
        assert in_process(monkeypatch, faulty, "--out", out, "--scheduler", cluster.scheduler_address) == 0
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[1:4]}
    for name, taken in whole[1].inputs.items():
        numbers = [taken.rows, taken.taken, sum(taken.reasons.values()), taken.reordered]
        assert rows[name] == [f"{number:,}" for number in numbers]
        for reason, count in taken.reasons.items():
            assert f"  {count:,} {name} rejected: {reason}\n" in shown
    assert f"in = out + rejected; written to {out}: " in shown
    assert contents(out) == contents(whole[0])


def test_workers_and_an_address_contradict_each_other(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--scheduler", "tcp://127.0.0.1:1", "--workers", "2"]
    assert in_process(monkeypatch, market, "--out", tmp_path / "out", *options) == 2
    assert "error: --workers starts processes on this machine" in capsys.readouterr().err


@pytest.fixture
def own(market: Path, tmp_path: Path) -> Path:
    """A copy of the market that may be spoiled, without what says what was written."""
    shutil.copytree(market, tmp_path / "own", ignore=shutil.ignore_patterns("_manifest.json"))
    return tmp_path / "own"


def test_an_empty_day_is_no_day_without_a_file(own: Path, client: Client, tmp_path: Path) -> None:
    first = own / "quotes" / "part-00000.parquet"
    pq.write_table(pq.read_table(first).slice(0, 0), first)
    summary = enrich_folder(own, tmp_path / "out", client)
    assert summary.outputs["quotes"] == summary.inputs["quotes"].taken == 6_000 * 3 // 4


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_that_was_cut_short_is_named(ending: str, own: Path, client: Client, tmp_path: Path) -> None:
    path = own / "trades" / "part-00001.parquet"
    if ending == "csv":
        for each in (own / "trades").iterdir():
            each.unlink()
        data_generators.write("trades", tmp_path / "csv", 100, symbols=8, format="csv")
        path = own / "trades" / "part-00001.csv"
        shutil.copy(tmp_path / "csv" / "part-00000.csv", path)
    path.write_bytes(path.read_bytes()[:-25])
    with pytest.raises(ft.DataError, match=f"trades/part-00001.{ending} cannot be read"):
        enrich_folder(own, tmp_path / "out", client)
    assert not list((tmp_path / "out").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2024-01-08T14:00:00", "column 'timestamp': .*Row #3.* expected a zone offset in '2024-01-08T14:00:00'"),
        ("yesterday", "column 'timestamp': .*Row #3.*invalid value 'yesterday'"),
    ],
)
def test_a_value_of_a_csv_file_that_is_none_is_named(
    text: str, message: str, own: Path, client: Client, tmp_path: Path
) -> None:
    shutil.rmtree(own / "quotes")
    data_generators.write("quotes", own / "quotes", 10, symbols=8, format="csv")
    path = own / "quotes" / "part-00000.csv"
    lines = path.read_text().splitlines()
    lines[2] = ",".join([*lines[2].split(",")[:-1], text])
    path.write_text("\n".join(lines))
    (own / "quotes" / "_manifest.json").unlink()
    with pytest.raises(ft.DataError, match=f"quotes/part-00000.csv cannot be read: .*{message}"):
        enrich_folder(own, tmp_path / "out", client)


def test_what_is_missing_or_was_changed_is_said(own: Path, market: Path, client: Client, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ft.DataError, match="is no folder"):
        enrich_folder(tmp_path / "nowhere", out, client)
    enrich_folder(own, out, client)
    (own / "trades" / "part-00002.parquet").unlink()
    with pytest.raises(ft.DataError, match="holds what came of other files"):
        enrich_folder(own, out, client)
    shutil.copy(market / "trades" / "_manifest.json", own / "trades")
    with pytest.raises(ft.DataError, match=r"part-00002.parquet is missing or was changed"):
        enrich_folder(own, tmp_path / "other", client)
    shutil.rmtree(own / "trades")
    with pytest.raises(ft.DataError, match="trades"):
        enrich_folder(own, tmp_path / "other", client)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(ft.DataError, match=r"holds other data \(a.txt\)"):
        enrich_folder(market, tmp_path / "notes", client)


def test_symbols_that_a_reference_has_in_two_files_are_found(tmp_path: Path) -> None:
    from fintech_toolkit.enrichment.intake import files_of

    folder = tmp_path / "securities"
    folder.mkdir()
    for number, symbols in enumerate([["A", "B", None], ["C", None, "A"], ["A", "C", "D"]]):
        pq.write_table(pa.table({"symbol": symbols}), folder / f"part-{number}.parquet")
    found = [sorted(before.taken) for before in repeated_symbols(files_of(tmp_path, "securities"))]
    assert [[text for text in texts if text] for texts in found] == [[], ["A"], ["A", "C"]]
