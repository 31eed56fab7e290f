"""The command line, as a user runs it."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import pandas as pd
import pytest
import typer
from confluent_kafka import Consumer, Producer

import fintech_toolkit as ft
from fintech_toolkit.cli import app, main
from tests.frames import same, ticks

FINDING = re.compile(r"^([✓–✗])\s+(\S+)\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]
WIDE = {"COLUMNS": "300", "NO_COLOR": "1"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, with a broad terminal and, of Kafka's variables, those given only."""

    def call(*arguments: str, **environ: str) -> Done:
        for name in [name for name in os.environ if name.startswith("KAFKA_")]:
            monkeypatch.delenv(name)
        for name, value in {**WIDE, **environ}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["fintech-toolkit", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Done(end.value.code, out, err)

    return call


def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "fintech_toolkit", *arguments],
        env={**os.environ, **WIDE, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def findings(output: str) -> dict[str, tuple[str, str]]:
    return {name: (mark, found.strip()) for mark, name, found in FINDING.findall(output)}


def every_command(group: typer.Typer = app) -> list[list[str]]:
    paths: list[list[str]] = [[]]
    for command in group.registered_commands:
        assert command.callback is not None
        paths.append([command.name or command.callback.__name__.replace("_", "-")])
    for mounted in group.registered_groups:
        assert mounted.typer_instance is not None
        assert mounted.name is not None
        paths += [[mounted.name, *path] for path in every_command(mounted.typer_instance)]
    return paths


def test_the_commands_are_these() -> None:
    names = {path[0] for path in every_command() if path}
    assert names == {"demo", "kernels", "broker", "doctor", "enrich", "flow", "generate", "orders", "signals"}
    assert ["kernels", "list"] in every_command()
    assert ["generate", "quotes"] in every_command()


def test_help_is_everywhere() -> None:
    from typer.testing import CliRunner

    for path in every_command():
        done = CliRunner().invoke(app, [*path, "--help"])
        assert done.exit_code == 0, path
        assert "Usage:" in done.output, path
        about = done.output.split("Options")[0].split("\n\n", maxsplit=1)[-1]
        assert re.search(r"\w+ \w+", about), f"{path} does not say what it does"


def test_version_is_that_of_the_distribution(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version").stdout.strip() == version("fintech-toolkit")


def test_kernels_as_json_are_the_catalogue(run: Run) -> None:
    listed = json.loads(run("kernels", "list", "--json").stdout)
    assert listed == ft.catalogue().reset_index().to_dict("records")


def test_kernels_of_one_family(run: Run) -> None:
    done = run("kernels", "list", "--family", "microstructure")
    names = {line.split()[0] for line in done.stdout.splitlines()[1:]}
    catalogue = ft.catalogue()
    assert names == set(catalogue.index[catalogue["family"] == "microstructure"])


def test_kernels_are_found_by_what_is_said_of_them(run: Run) -> None:
    listed = json.loads(run("kernels", "list", "--search", "hayashi", "--json").stdout)
    assert [entry["name"] for entry in listed] == ["hayashi_yoshida_corr", "hayashi_yoshida_cov", "xcorr_leadlag"]
    assert "rolling_mean" in ft.catalogue(search="SMA").index  # by another name of it


def test_a_kernel_is_shown_whole(run: Run) -> None:
    shown = run("kernels", "show", "ewma").stdout
    squeezed = re.sub(r"\s+", "", shown)
    assert ft.ewma.__doc__ is not None
    for line in ft.ewma.__doc__.splitlines():
        if not re.fullmatch(r"-*", line):  # the underlines of the headings
            assert re.sub(r"\s+", "", line) in squeezed


def test_the_loop_around_a_kernel_is_shown_as_python(run: Run) -> None:
    (loop,) = ast.parse(run("kernels", "show", "rolling_mean", "--loop").stdout).body
    assert isinstance(loop, ast.FunctionDef)
    assert loop.name == "rolling_mean"
    called = {node.func.id for node in ast.walk(loop) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert {"tick", "enter", "leave", "slide"} <= called


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kernels", "show", "rolling_men"], "There is no kernel 'rolling_men'. Did you mean 'rolling_mean'?"),
        (["kernels", "list", "--search", "moonphase"], "No kernel mentions 'moonphase'."),
        (["kernels", "list", "--family", "risks"], "There is no family 'risks'. Did you mean 'risk'?"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert (done.code, done.stdout, done.stderr.strip()) == (2, "", f"error: {message}")


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["kernels", "list", "--famly", "risk"], ["demo", "--seconds", "soon"]]
)
def test_misuse_is_exit_code_2_without_a_traceback(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_generate_writes_data(run: Run, tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    done = run("generate", "quotes", "--rows", "1e3", "--workers", "1", "--out", str(tmp_path / "quotes"))
    assert done.code == 0, done.stderr
    assert ds.dataset(tmp_path / "quotes", format="parquet").count_rows() == 1_000


def test_the_embedded_broker_serves_until_it_is_interrupted() -> None:
    process = start("broker")
    try:
        assert process.stdout is not None
        name, _, servers = process.stdout.readline().strip().partition("=")
        assert name == "KAFKA_BOOTSTRAP_SERVERS"
        producer = Producer({"bootstrap.servers": servers})
        producer.produce("quotes", b"one", partition=0)
        assert producer.flush(60) == 0
        consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "auto.offset.reset": "earliest"})
        try:
            consumer.assign([_from_start("quotes")])
            message = consumer.poll(60)
            assert message is not None
            assert message.value() == b"one"
        finally:
            consumer.close()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "Traceback" not in said
    finally:
        process.kill()
        process.communicate()


def _from_start(topic: str) -> object:
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    return TopicPartition(topic, 0, OFFSET_BEGINNING)


def test_doctor_finds_the_machine_in_order(run: Run, kafka_broker: str) -> None:
    done = run("doctor", KAFKA_BOOTSTRAP_SERVERS=kafka_broker)
    found = findings(done.stdout)
    assert done.code == 0, done.stdout
    assert found["broker"] == ("✓", f"{kafka_broker} is reachable, 1 in the cluster")
    assert found["python"][1].startswith(".".join(map(str, sys.version_info[:3])))
    assert int(found["cores"][1]) >= 1
    assert found["numba"] == ("✓", numba.__version__)


def test_doctor_without_kafka_says_how_to_name_one(run: Run) -> None:
    done = run("doctor")
    mark, found = findings(done.stdout)["broker"]
    assert (done.code, mark) == (0, "–")
    assert "KAFKA_BOOTSTRAP_SERVERS" in found


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "Connection refused"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:9092"}, "Failed to resolve"),
        ({"KAFKA_BOOTSTRAP_SERVER": "localhost:9092"}, "did you mean KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_doctor_says_why_kafka_is_not_reachable(run: Run, environ: dict[str, str], reason: str) -> None:
    done = run("doctor", KAFKA_SASL_PASSWORD="hunter2", **environ)
    mark, found = findings(done.stdout)["broker"]
    assert (done.code, mark) == (1, "✗")
    assert reason in found
    assert "hunter2" not in done.stdout + done.stderr


def test_doctor_sees_where_compiled_kernels_are_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong = tmp_path / "file" / "cache"  # a folder that nobody can make, root neither
    good, bad = (start("doctor", NUMBA_CACHE_DIR=str(folder)) for folder in (tmp_path, wrong))
    mark, found = findings(good.communicate(timeout=120)[0])["folder"]
    assert mark == "✓"
    assert found.startswith(str(tmp_path))
    mark, found = findings(bad.communicate(timeout=120)[0])["folder"]
    assert (bad.returncode, mark) == (1, "✗")
    assert str(wrong) in found


def test_an_error_ends_the_process_with_its_code() -> None:
    process = start("kernels", "show", "emwa")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: There is no kernel 'emwa'.")


@pytest.fixture
def flow_files(tmp_path: Path) -> Path:
    """A flow as YAML and as JSON, and the trades that it reads."""
    flow = ft.source("trades").filter(("price", ">", 100)).pipe(ft.ewma("price", span=3)).select("symbol", "ewma")
    (tmp_path / "flow.yaml").write_text(flow.to_yaml())
    (tmp_path / "flow.json").write_text(flow.to_json())
    ticks().to_parquet(tmp_path / "trades.parquet", index=False)
    return tmp_path


@pytest.mark.parametrize("written", ["flow.yaml", "flow.json"])
def test_a_flow_over_files(run: Run, flow_files: Path, written: str) -> None:
    expected = ft.Flow.from_json((flow_files / "flow.json").read_text())(trades=ticks())
    call = ["flow", str(flow_files / written), f"trades={flow_files}/trades.parquet"]
    shown = run(*call)
    assert shown.code == 0
    assert shown.stdout.endswith(f"\n{len(expected)} rows of 2 columns\n")
    assert run(*call, "--out", str(flow_files / "result.parquet")).code == 0
    same(pd.read_parquet(flow_files / "result.parquet"), expected.reset_index(drop=True))
    explained = run(*call, "--explain").stdout
    assert explained.startswith("Written:\n  4 select symbol, ewma\n")
    assert "trades: 3 of 11 columns" in explained


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["missing.yaml", "trades=t.parquet"], "missing.yaml cannot be read: No such file"),
        (["flow.yaml"], "Source 'trades' is not given"),
        (["flow.yaml", "trades"], "'trades' gives no path; name each source and its files"),
        (["flow.yaml", "trades=nowhere.parquet"], "nowhere.parquet cannot be read: there is no such file or folder"),
        (["trades.parquet", "trades=trades.parquet"], "cannot be read|is not a flow"),
        (["flow.yaml", "trades=trades.parquet", "--out", "no/such/folder.parquet"], "cannot be written"),
    ],
)
def test_a_flow_that_cannot_be_run(
    run: Run, flow_files: Path, call: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(flow_files)
    done = run("flow", *call)
    assert done.code == 2
    assert re.search(f"^error: .*({message})", done.stderr)
    assert not list(flow_files.glob(".*"))
